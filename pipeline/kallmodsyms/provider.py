"""The provider of /proc/kallmodsyms: the folder runtime/ enters, objects to link into a real kernel leave.

The tree's own scripts/Makefile.build compiles them with the kernel's own flags, in a folder of the build directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kallmodsyms import files, release
from kallmodsyms.names import FOLDER

SOURCES = Path(__file__).parent / "runtime"
"""A folder as Kbuild wants it, with its Makefile. The toy kernel has its files in kernel/kallmodsyms/."""


def possible(config: Mapping[str, str]) -> bool:
    """Whether a kernel of this configuration has what the provider reads and a place for its file."""
    return "PROC_FS" in config and "KALLSYMS" in config


def build(tree: release.Tree, make: Callable[..., None], folder: str = FOLDER) -> list[str]:
    """Compile what changed, in `folder` of the current directory; the objects' paths.

    make: runs a makefile of the tree with the arguments after it
    Raises InputError if the compiler fails.
    """
    sources = [path for path in SOURCES.iterdir() if path.suffix in (".c", ".h") or path.name == "Makefile"]
    for path in sources:
        files.write(Path(folder, path.name), files.read_bytes(path))
    objects = sorted(f"{folder}/{path.stem}.o" for path in sources if path.suffix == ".c")
    # An object that is no part of vmlinux.o must see objtool by itself.
    variables = [*release.folder_variables(tree, folder), "need-builtin=1", "objtool-enabled=y"]
    if release.hides_modules(tree):
        variables.append("CFLAGS_kallmodsyms_proc.o=-DKALLMODSYMS_MODULES_ARE_HIDDEN")
    make("scripts/Makefile.build", *variables, *objects)
    return objects
