"""An object of a `KernelTree` in, the flags that Kbuild compiles it with out.

What `c_flags` and `a_flags` of scripts/Makefile.lib add up to, without the instrumentation (KASAN, gcov …) that the
toy kernel has not. A real tree is compiled by its own make.
"""

from __future__ import annotations

from kallmodsyms.errors import InputError
from kallmodsyms.kbuild.directory import SUBDIRECTORY_FLAGS, Directory
from kallmodsyms.kbuild.tree import KernelTree
from kallmodsyms.make import Evaluator
from kallmodsyms.make.functions import filter_out
from kallmodsyms.names import module_name


def compile_flags(kernel_tree: KernelTree, path: str, assembler: bool = False) -> str:
    """The flags for one object, as a piece of shell text: after the compiler, before `-c -o OBJECT SOURCE`.

    assembler: for a .S source, not a .c one
    Raises InputError for an object that nothing builds.
    """
    directory = kernel_tree.directory_of(path)
    if directory is None:
        raise InputError(f"no directory of the tree builds '{path}'", path=kernel_tree.tree)
    evaluator = kernel_tree.evaluator(directory.path)
    evaluator.evaluate(SUBDIRECTORY_FLAGS)
    modular = any(path in parts for parts in directory.modular.values())
    if assembler:
        names = ("KBUILD_AFLAGS", "asflags-y", "AFLAGS", "asflags-remove-y")
    else:
        names = ("KBUILD_CFLAGS", "ccflags-y", "CFLAGS", "ccflags-remove-y")
    parts = [
        evaluator.get("NOSTDINC_FLAGS"),
        evaluator.get("LINUXINCLUDE"),
        _of_object(evaluator, directory, path, names),
    ]
    if evaluator.get("building_out_of_srctree"):
        parts.append(f"-I {evaluator.get('srctree')}/{directory.path} -I ./{directory.path}")
    common, own = names[0], names[2]
    which = "MODULE" if modular else "KERNEL"
    parts += [evaluator.get(f"{common}_{which}"), evaluator.get(f"{own}_{which}")]
    if not assembler:
        parts += _names(directory, path, modular)
    return " ".join(part for part in parts if part)


def _of_object(evaluator: Evaluator, directory: Directory, path: str, names: tuple[str, str, str, str]) -> str:
    common, local, own, removed = names
    prefix = "" if directory.path == "." else directory.path + "/"
    stem = path.removeprefix(prefix)
    flags = " ".join(evaluator.get(name) for name in ("KBUILD_CPPFLAGS", common, local))
    kept = filter_out(evaluator.get(removed), flags) + " " + evaluator.get(f"{own}_{stem}")
    return filter_out(evaluator.get(f"{own}_REMOVE_{stem}"), kept)


def _names(directory: Directory, path: str, modular: bool) -> list[str]:
    """The macros that tell a source which file, and which module, it is part of."""
    owners = directory.owners_of(path)
    base = module_name(path)
    module = ":".join(map(module_name, owners))
    flags = [] if modular else [f"-DKBUILD_MODFILE='\"{' '.join(owners)}\"'"]
    return [
        *flags,
        f"-DKBUILD_BASENAME='\"{base}\"'",
        f"-DKBUILD_MODNAME='\"{module}\"'",
        f"-D__KBUILD_MODNAME=kmod_{module}",
    ]
