"""The map that GNU ld writes with -Map: its text in, a `Layout` out.

After archive members, discarded sections and memory regions, which do not matter here, a map reads

    Linker script and memory map

    .text           0xffffffff81000000   0x600110 load address 0x0000000001000000
                    0xffffffff81000000                _text = .
     *(.text .text.fixup)
     .text          0xffffffff81000690       0x13 init/main.o
                    0xffffffff81000690                do_one_initcall
     *fill*         0xffffffff810006a3        0xd cccc
     .text.unlikely
                    0xffffffff810006b0       0x20 lib/lib.a(argv_split.o)

with an output section at the left edge, an input section one column in, and below it the global symbols that it
defines. After a name of 15 characters or more (16 at the left edge) the rest is on a line of its own. Source: in
binutils' ld/ldlang.c, versions 2.35 to 2.40, print_output_section_statement(), print_input_section(),
print_assignment(), print_fill_statement().
"""

from __future__ import annotations

import os
import re

from kallmodsyms.errors import InputError
from kallmodsyms.linkmap.records import LINKER_MADE, Filler, Input, Layout, Output, assignment, cut_off, object_path

HEADING = "Linker script and memory map"
CURE = "run the link again; the disk may be full, of which GNU ld says nothing"

_HEX = r"0x([0-9a-f]+)"
_OUTPUT = re.compile(rf"([^\s(]\S*) +{_HEX} +{_HEX}( load address {_HEX})?$")
_INPUT = re.compile(rf" ([^\s*]\S*) +{_HEX} +{_HEX} (.+)$")
_INDENTED = re.compile(rf" {{16}}{_HEX} +(\S.*)$")
_OUTPUT_REST = re.compile(rf"{_HEX}( load address {_HEX})?$")
_INPUT_REST = re.compile(rf"{_HEX} (.+)$")
_DATA = re.compile(rf"{_HEX} (?:BYTE|SHORT|LONG|QUAD|SQUAD|ASCIZ) ")
_FILL = re.compile(rf" \*fill\* +{_HEX} +{_HEX}(?: |$)")

# Sections that the linker itself makes, which it lists under the first object of the link; and the owner of its stubs.
_LINKER_SECTION = re.compile(
    r"\.(?:i?plt|i?got|rela?|relr|glink|gnu\.hash|gnu\.version(?:_[dr])?|hash|interp|dynamic|dynsym|dynstr|eh_frame_hdr"
    r"|note\.gnu\.build-id|note\.gnu\.property"
    r"|glue_7t?|vfp11_veneer|v4_bx|stm32l4xx_veneer)(?:\..*)?"
)
_LINKER_OWNER = "linker stubs"
# Constants that the linker merged with equal ones of other objects: what it lists under one object serves others too.
_MERGED_SECTION = re.compile(r"(?:\.init)?\.rodata\.(?:str[0-9]+\.[0-9]+|cst[0-9]+)(?:\..*)?|__ksymtab_strings")


def parse(lines: list[str], path: str | os.PathLike[str]) -> Layout:
    """The layout that a GNU ld map describes. `lines` are the map's, without line ends; `path` is for messages.

    Raises InputError where the map stops before its end, or has no memory map to start from.
    """
    layout = Layout()
    begin = _heading(lines, path)
    broken = ""  # a name whose numbers are on the next line
    ended = False
    here = -1  # the output section we are in
    for number, line in enumerate(lines[begin:], begin + 1):
        name, broken = broken, ""
        found: tuple[str, ...] | None = None
        if indented := _INDENTED.match(line):
            start, rest = indented.groups()
            if not rest.startswith("0x"):
                _add_symbol(layout, int(start, 16), rest)
            elif match := _DATA.match(rest):
                layout.fillers.append(Filler(here, int(start, 16), int(match[1], 16)))
            elif name.startswith(" ") and (match := _INPUT_REST.match(rest)):
                found = (name[1:], start, *match.groups())
            elif name and (match := _OUTPUT_REST.match(rest)):
                layout.outputs.pop()
                here = _add_output(layout, name, start, *match.groups()[:2])
        elif line.startswith(" "):
            if match := _INPUT.match(line):
                found = match.groups()
            elif match := _FILL.match(line):
                layout.fillers.append(Filler(here, int(match[1], 16), int(match[2], 16)))
            elif " " not in line[1:] and not line.startswith(" *"):
                broken = line
        elif match := _OUTPUT.match(line):
            here = _add_output(layout, *match.groups()[:4])
        elif line.startswith("OUTPUT("):
            ended = True
        elif line.startswith("Cross Reference Table"):
            break
        elif line and " " not in line:
            here = _add_output(layout, line, "0", "0", None)
            broken = line
        if found:
            if here < 0:
                raise InputError("an input section before any output section", path=path, line=number, text=line)
            _add_input(layout, here, *found)
    if broken or not ended or lines[-1]:
        raise cut_off(path, lines, CURE)
    return layout


def has_end(lines: list[str]) -> bool:
    """Whether a map was written to its end."""
    return not lines[-1] and any(line.startswith("OUTPUT(") for line in reversed(lines))


def _heading(lines: list[str], path: str | os.PathLike[str]) -> int:
    try:
        return lines.index(HEADING) + 1
    except ValueError:
        raise InputError(
            f"no line reads '{HEADING}', so this is not a whole GNU ld map",
            path=path,
            line=len(lines),
            cure="write it with -Map=FILE under LC_ALL=C (a translated map cannot be read), where the disk has room",
        ) from None


def _add_output(layout: Layout, name: str, start: str, size: str, load: str | None) -> int:
    # The map has no section flags. What is not allocated (.comment, .debug_info) is at 0, has no load address, and
    # never comes first; x86's .data..percpu is at 0 too, but has a load address.
    leads = not any(output.size for output in layout.outputs)
    allocated = int(start, 16) != 0 or load is not None or leads
    layout.outputs.append(Output(name, int(start, 16), int(size, 16), allocated))
    return len(layout.outputs) - 1


def _add_input(layout: Layout, here: int, section: str, start: str, size: str, owner: str) -> None:
    path: str | None = object_path(owner)
    why = ""
    if owner == _LINKER_OWNER or _LINKER_SECTION.fullmatch(section):
        path, why = None, LINKER_MADE
    elif _MERGED_SECTION.fullmatch(section):
        path, why = None, "constants shared by several objects"
    layout.inputs.append(Input(here, section, int(start, 16), int(size, 16), path, why))


def _add_symbol(layout: Layout, address: int, text: str) -> None:
    parts = assignment(text) if " " in text else None
    if parts is None:
        layout.symbol(address, text)
    elif parts[0] != ".":
        layout.assign(address, *parts)
