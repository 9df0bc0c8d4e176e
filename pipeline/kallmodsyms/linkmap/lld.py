"""The map that LLD writes with -Map: its text in, a `Layout` out.

                 VMA              LMA     Size Align Out     In      Symbol
    ffffffff81000000          1000000   600110  4096 .text
    ffffffff81000000          1000000        0     1         _text = .
    ffffffff81000000          1000000      26c    16         vmlinux.a(arch/x86/kernel/head_64.o):(.text)
    ffffffff81000000          1000000        0     1                 startup_64
    ffffffff8100026c          100026c       14     1         . = ALIGN ( 64 )
    ffffffff81000280          1000280        4     1         LONG ( 0x11223344 )

Numbers are hexadecimal, except for the alignment. There are three columns of text: output sections, and assignments
outside any; below them input sections, assignments and data of the script; below those every symbol that an input
defines, local ones included. The VMA of an assignment is the location counter, not the value assigned, and its size is
how far it moves the counter. Gaps from the alignment of inputs have no line. Source: lld/ELF/MapFile.cpp, LLVM 14.
"""

from __future__ import annotations

import os
import re

from kallmodsyms.errors import InputError
from kallmodsyms.linkmap.records import LINKER_MADE, Filler, Input, Layout, Output, assignment, cut_off, object_path

CURE = "run the link again"
HEADING = re.compile(r" +VMA +LMA +Size Align Out +In +Symbol")

_LINE = re.compile(r" *([0-9a-f]+) +([0-9a-f]+) +([0-9a-f]+) +([0-9]+) (.*)")
_INPUT = re.compile(r"(.+):\((.*)\)")
_DATA = re.compile(r"(?:BYTE|SHORT|LONG|QUAD) ?\(")
# What LLD calls the objects that link-time optimisation made (of all modules, of one, of one and kept in a cache).
_OPTIMIZED = re.compile(r"(?:.*/)?(?:lto\.tmp|llvmcache-[0-9A-F]+|[^/]*\.lto\.[^/]*)")
OPTIMIZED = "compiled at link time, and the map does not say from which objects"
_MOVED = re.compile(r"\. ([-+]) (0x[0-9a-fA-F]+|[0-9]+)")


def parse(lines: list[str], path: str | os.PathLike[str]) -> Layout:
    """The layout that an LLD map describes. `lines` are the map's, without line ends; `path` is for messages.

    Raises InputError at a line that does not have this form, and where the map stops before its end.
    """
    layout = Layout()
    counter = 0  # the address after the last thing listed
    for number, line in enumerate(lines[1:-1], 2):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError("not a line of an LLD map", path=path, line=number, text=line)
        start, load, size = (int(number, 16) for number in match.groups()[:3])
        align, text = int(match[4]), match[5]
        if text.startswith(" " * 16):
            layout.symbol(start, text[16:])
        elif not text.startswith(" " * 8):
            if " " in text:
                _assign(layout, start, text)
            else:
                layout.outputs.append(Output(text, start, size, _allocated(layout, start, load, size)))
                counter = start
        elif source := _INPUT.fullmatch(text, 8):
            if not layout.outputs:
                raise InputError("an input section before any output section", path=path, line=number, text=line)
            if 0 < start - counter < align:
                layout.fillers.append(Filler(len(layout.outputs) - 1, counter, start - counter))
            why = LINKER_MADE if source[1] == "<internal>" else OPTIMIZED if _OPTIMIZED.fullmatch(source[1]) else ""
            owner = None if why else object_path(source[1])
            if why == OPTIMIZED:
                layout.compiled_inputs[len(layout.inputs)] = source[1]
                layout.compiled.setdefault(source[1], set())
            layout.inputs.append(Input(len(layout.outputs) - 1, source[2], start, size, owner, why))
            counter = start + size
        elif _DATA.match(text, 8) or text.startswith(". ", 8):
            layout.fillers.append(Filler(len(layout.outputs) - 1, start, size))
            counter = start + size
        else:
            _assign(layout, start, text[8:])
    # LLD puts the table of section names last but for the table of strings and, with --emit-relocs, relocations.
    if lines[-1] or not any(entry.section == ".shstrtab" for entry in layout.inputs):
        raise cut_off(path, lines, CURE)
    return layout


def has_end(lines: list[str]) -> bool:
    """Whether a map was written to its end."""
    return not lines[-1] and any(line.endswith(":(.shstrtab)") for line in reversed(lines))


def _allocated(layout: Layout, start: int, load: int, size: int) -> bool:
    # As in GNU ld's map there are no flags, but what is not allocated has neither address and never comes first.
    return start != 0 or load != 0 or not any(output.size for output in layout.outputs)


def _assign(layout: Layout, here: int, text: str) -> None:
    parts = assignment(text)
    if parts is None or parts[0] == ".":
        return
    name, expression = parts
    moved = _MOVED.fullmatch(expression)
    address: int | None = None
    if expression == ".":
        address = here
    elif moved:
        address = here + int(moved[1] + moved[2], 0)
    layout.assign(address, name, expression)
