"""BTF, by pahole: an image with debug data enters; an object to link in, with the kernel's types, leaves."""

from __future__ import annotations

import os
import shlex
import shutil

from kallmodsyms.errors import InputError
from kallmodsyms.link.exports import Exports
from kallmodsyms.link.recipe import NAMES
from kallmodsyms.programs import run
from kallmodsyms.release import LinkDialect

OBJECT = ".btf.vmlinux.bin.o"
_DESCRIBED = NAMES.image(1)
"""The image with debug data."""


def ids_options() -> list[str]:
    """What tells resolve_btfids the numbers that scripts/gen-btf.sh left (Linux 7.0)."""
    return ["--patch_btfids", f"{_DESCRIBED}.BTF_ids"]


def describe(exports: Exports, link: LinkDialect, image: str) -> list[str]:
    """Make BTF of the debug data of an image; the objects to link in, of which there is one.

    Since Linux 7.0 a script of the tree does it.
    objcopy leaves an executable with only .BTF in it; the linker wants a relocatable file, so its ELF type is changed.
    Raises InputError.
    """
    pahole = exports.environment.get("PAHOLE") or "pahole"
    if shutil.which(pahole) is None:
        raise InputError("CONFIG_DEBUG_INFO_BTF needs pahole, which is not on the PATH", cure="apt-get install dwarves")
    if link.btf_script:
        exports.say("BTF", image)
        run([*shlex.split(exports.environment.get("CONFIG_SHELL", "sh")), f"{exports.tree}/scripts/gen-btf.sh", image])
        return [f"{image}.btf.o"]
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
