"""Other architectures: code that the linker adds (stubs for far calls) or shortens (relaxation) between the objects.

The oracle is `nm`, on the objects and on the image. Assemblers and linkers are Debian's cross binutils, and LLD.
"""

from __future__ import annotations

import subprocess

import pytest
from test_linkmap import attribution, definitions, image_symbols, run

from kallmodsyms import elf, symbols
from kallmodsyms.linkmap import image, read

# Two functions within reach of each other and one beyond that of a call instruction.
SCRIPT = """
SECTIONS
{
    . = 0x10000000;
    .text : { _text = .; *(.text) _etext = .; }
    . = 0x40000000;
    .far : { *(.far) }
    /DISCARD/ : {
        *(.comment) *(.ARM.*) *(.note*) *(.eh_frame) *(.riscv.attributes)
        *(.reginfo) *(.MIPS*) *(.gnu.attributes) *(.pdr)
    }
}
"""

NEAR = """
.text
.globl near
.type near, %function
near: CALL far
CALL next
CALL next
local_a: CALL far
.size near, . - near
local_end_a:
"""

FAR = """
.text
.globl next, end_b
.type next, %function
next: CALL far
local_b: CALL near
.size next, . - next
end_b:
.section .far,"ax",%progbits
.globl far
.type far, %function
far: CALL next
.size far, . - far
"""

# Architecture: its call instruction; and, for each linker that knows it, the names of the stubs which that makes. GNU
# ld for powerpc adds nameless ones to the object itself; RISC-V's linkers shorten the calls instead.
CALLS = {
    "aarch64": (
        "bl",
        {"gnu": {"__far_veneer", "__next_veneer"}, "lld": {"__AArch64AbsLongThunk_far", "__AArch64AbsLongThunk_next"}},
    ),
    "arm": (
        "bl",
        {"gnu": {"__far_veneer", "__next_veneer"}, "lld": {"__ARMv5ABSLongThunk_far", "__ARMv5ABSLongThunk_next"}},
    ),
    "powerpc64": (
        "bl",
        {
            "gnu": {"00000018.plt_branch.far", "0000001e.plt_branch.next"},
            "lld": {"__long_branch_far", "__long_branch_next"},
        },
    ),
    "powerpc": ("bl", {"gnu": set(), "lld": {"__LongThunk_far", "__LongThunk_next"}}),
    "riscv64": ("call", {"gnu": set(), "lld": set()}),
    "s390x": ("brasl %r14,", {"gnu": set()}),
    "m68k": ("jsr", {"gnu": set()}),
}
SUFFIX = {"arm": "linux-gnueabihf"}


@pytest.mark.parametrize(
    "architecture, linker", [(name, linker) for name, (_, stubs) in CALLS.items() for linker in stubs]
)
def test_added_and_removed_code(tmp_path, architecture, linker):
    call, stubs = CALLS[architecture]
    tool = f"{architecture}-{SUFFIX.get(architecture, 'linux-gnu')}"
    for name, source in {"a": NEAR, "b": FAR}.items():
        subprocess.run(
            [f"{tool}-as", "-o", tmp_path / f"{name}.o"], input=source.replace("CALL", call), text=True, check=True
        )
    (tmp_path / "script.lds").write_text(SCRIPT)
    command = [
        f"{tool}-ld" if linker == "gnu" else "ld.lld",
        "-T",
        "script.lds",
        "-Map=map",
        "-o",
        "image",
        "a.o",
        "b.o",
    ]
    run(*command, cwd=tmp_path)

    linkmap = read(tmp_path / "map")
    image.confirm(linkmap, elf.Elf(tmp_path / "image"), tmp_path / "map", tmp_path)
    linkmap = image.with_image_labels(linkmap, symbols.read(tmp_path / "image"), tmp_path)
    truth = definitions(tmp_path, ["a.o", "b.o"])
    # Mapping symbols ($x, $d) have one name for many places.
    answers = {
        name: attribution(linkmap, address, name)
        for address, _, name in image_symbols(tmp_path, "image")
        if not name.startswith("$")
    }
    assert answers == {name: truth.get(name) for name in answers}
    assert set(answers) == {name for name in truth if not name.startswith("$")} | stubs[linker] | {"_text", "_etext"}
    assert bool(linkmap.unattributed) == bool(stubs[linker])
