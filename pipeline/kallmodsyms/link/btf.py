"""BTF, by pahole: an image with debug data enters; an object to link in, with the kernel's types, leaves."""

from __future__ import annotations

import os
import shutil

from kallmodsyms.errors import InputError
from kallmodsyms.link.exports import Exports
from kallmodsyms.programs import run

OBJECT = ".btf.vmlinux.bin.o"


def describe(exports: Exports, image: str) -> list[str]:
    """Make BTF of the debug data of an image; the objects to link in, of which there is one.

    objcopy leaves an executable with only .BTF in it; the linker wants a relocatable file, so its ELF type is changed.
    Raises InputError.
    """
    pahole = exports.environment.get("PAHOLE") or "pahole"
    if shutil.which(pahole) is None:
        raise InputError("CONFIG_DEBUG_INFO_BTF needs pahole, which is not on the PATH", cure="apt-get install dwarves")
    exports.say("BTF", OBJECT)
    run(
        [pahole, "-J", *exports.words("PAHOLE_FLAGS"), image],
        environment={**os.environ, "LLVM_OBJCOPY": exports.environment["OBJCOPY"]},
    )
    only_btf = ["--only-section=.BTF", "--set-section-flags", ".BTF=alloc,readonly", "--strip-all"]
    # quiet: GNU objcopy is surprised at segments that are empty now.
    run([*exports.tool("OBJCOPY"), *only_btf, image, OBJECT], quiet=True)
    with open(OBJECT, "r+b") as stream:
        stream.seek(16)
        stream.write(b"\0\1" if "CPU_BIG_ENDIAN" in exports.config else b"\1\0")
    return [OBJECT]
