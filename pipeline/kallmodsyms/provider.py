"""The provider of /proc/kallmodsyms: the C sources in runtime/ enter, objects to link into a real kernel leave.

They are compiled by the tree's own scripts/Makefile.build with the kernel's own flags, in a folder of the build directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kallmodsyms import files

SOURCES = Path(__file__).parent / "runtime"
"""A folder as Kbuild wants it, with its Makefile. The toy kernel has its files in kernel/kallmodsyms/."""
FOLDER = ".kallmodsyms"


def possible(config: Mapping[str, str]) -> bool:
    """Whether a kernel of this configuration has what the provider reads and a place for its file."""
    return "PROC_FS" in config and "KALLSYMS" in config


def build(make: Callable[..., None]) -> list[str]:
    """Compile what changed, in the current directory; the objects' paths.

    make: runs a makefile of the tree with the arguments after it
    Raises InputError if the compiler fails.
    """
    sources = [path for path in SOURCES.iterdir() if path.suffix in (".c", ".h") or path.name == "Makefile"]
    for path in sources:
        files.write(Path(FOLDER, path.name), files.read_bytes(path))
    objects = sorted(f"{FOLDER}/{path.stem}.o" for path in sources if path.suffix == ".c")
    # The sources are here and not in the tree, which 6.1 looks for in kbuild-dir, 6.12 by way of srcroot and VPATH. An object
    # that is no part of vmlinux.o must see objtool by itself.
    place = [f"obj={FOLDER}", f"kbuild-dir={FOLDER}", "VPATH=", "srcroot="]
    make("scripts/Makefile.build", *place, "need-builtin=1", "objtool-enabled=y", *objects)
    return objects
