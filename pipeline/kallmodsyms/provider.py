"""The provider of /proc/kallmodsyms: the C sources in runtime/ enter, objects to link into a real kernel leave.

They are compiled by the tree's own scripts/Makefile.build with the kernel's own flags, in a folder of the build directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.names import FOLDER as FOLDER

SOURCES = Path(__file__).parent / "runtime"
OBJECTS = ("kallmodsyms.o", "kallmodsyms_linked.o", "kallmodsyms_proc.o")

# The linker that makes vmlinux takes no intermediate code: that was compiled when it linked vmlinux.o. Linux 6.1 looks for headers in
# the folder of the same name in the tree too, and warns under W=1 that there is none.
_MAKEFILE = f"""# Written by kallmodsyms link.
obj-y := {" ".join(OBJECTS)}
ccflags-remove-y := $(CC_FLAGS_LTO)
ccflags-y := $(call cc-option,-Wno-missing-include-dirs)
"""


def possible(config: Mapping[str, str]) -> bool:
    """Whether a kernel of this configuration has what the provider reads and a place for its file."""
    return "PROC_FS" in config and "KALLSYMS" in config


def build(make: Callable[..., None]) -> list[str]:
    """Compile what changed, in the current directory; the objects' paths.

    make: runs a makefile of the tree with the arguments after it
    Raises InputError if the compiler fails.
    """
    for source in sorted(SOURCES.glob("*.[ch]")):
        files.write(Path(FOLDER, source.name), files.read_bytes(source))
    files.write(Path(FOLDER, "Makefile"), _MAKEFILE)
    objects = [f"{FOLDER}/{name}" for name in OBJECTS]
    # The sources are here and not in the tree, which 6.1 looks for in kbuild-dir, 6.12 by way of srcroot and VPATH. An object
    # that is no part of vmlinux.o must see objtool by itself.
    place = [f"obj={FOLDER}", f"kbuild-dir={FOLDER}", "VPATH=", "srcroot="]
    make("scripts/Makefile.build", *place, "need-builtin=1", "objtool-enabled=y", *objects)
    return objects
