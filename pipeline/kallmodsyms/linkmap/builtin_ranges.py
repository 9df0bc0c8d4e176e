"""modules.builtin.ranges: a link map and the built-in modules in, the file of Linux 6.12 out, whatever the kernel's version.

    .text 00000000-00000000 = _text
    .text 0000baf0-0000cb10 amd_uncore
    .text 00413270-00414f60 liquidio liquidio_vf

Offsets from the start of a section, `end` exclusive, by address. A line with `=` goes before each section's: where in it a symbol is, by
which a reader finds the section in a running kernel. Modules are sorted by the path of their object; an object of several has
them all. Format: what scripts/generate_builtin_ranges.awk of Linux 6.12 writes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from kallmodsyms.linkmap import LinkMap, OutputSection
from kallmodsyms.names import Module, module_name

# The kernel's script leaves these out: unwind and patch tables, and the per-CPU area, which is nowhere in particular.
_LEFT_OUT = re.compile(r"[^.].*|\.orc_.*|.*_sites|.*\.percpu.*")


def text(linkmap: LinkMap, modules: Iterable[Module]) -> str:
    """The contents of modules.builtin.ranges for the image of `linkmap` and the modules built into it.

    Neighbours of the same modules are one range, padding between them included. A section without a symbol to find it by has no
    lines.
    """
    owners = _owners(modules)
    lines: list[str] = []
    for section in linkmap.output_sections:
        if section.start == 0 or section.anchor is None or _LEFT_OUT.fullmatch(section.name):
            continue
        ranges = [
            f"{section.name} {start - section.start:08x}-{end - section.start:08x} {names}\n"
            for start, end, names in _ranges(linkmap, section, owners)
        ]
        if ranges:
            address, symbol = section.anchor
            offset = address - section.start
            lines += [f"{section.name} {offset:08x}-{offset:08x} = {symbol}\n", *ranges]
    return "".join(lines)


def _owners(modules: Iterable[Module]) -> dict[str, str]:
    """Of each object of a module: the names of its modules, as a line has them."""
    objects: dict[str, set[str]] = {}
    for module in modules:
        for path in module.members or (module.object,):
            objects.setdefault(path, set()).add(module.object.removesuffix(".o"))
    return {path: " ".join(map(module_name, sorted(names))) for path, names in objects.items()}


def _ranges(linkmap: LinkMap, section: OutputSection, owners: dict[str, str]) -> list[tuple[int, int, str]]:
    """(start, end, names) of every range in `section`."""
    ranges: list[tuple[int, int, str]] = []
    unknown = [entry.address for entry in linkmap.unattributed]
    last = ""
    first = bisect_left(linkmap.pieces, (section.start,))
    for start, end, path in linkmap.pieces[first : bisect_left(linkmap.pieces, (section.end,))]:
        names = owners.get(path, "")
        if names and names == last and bisect_left(unknown, ranges[-1][1]) == bisect_left(unknown, start):
            ranges[-1] = (ranges[-1][0], end, names)
        elif names:
            ranges.append((start, end, names))
        last = names
    return ranges
