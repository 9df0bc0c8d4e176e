"""modules.builtin.ranges: a link map and the built-in modules in; the file of Linux 6.12, for any version, out.

    .text 00000000-00000000 = _text
    .text 0000baf0-0000cb10 amd_uncore
    .text 00413270-00414f60 liquidio liquidio_vf

A line has offsets from the start of a section, `end` exclusive, and the modules that own these bytes, sorted by the
paths of their objects. Lines are sorted by address. The first of each section, with `=`, says at which offset a symbol
is, by which a reader finds the section in a running kernel. The format is that of scripts/generate_builtin_ranges.awk
in Linux 6.12.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from kallmodsyms.linkmap import LinkMap, OutputSection
from kallmodsyms.names import Module, module_name

# The kernel's script leaves these out: unwind and patch tables, and the per-CPU area, which has no one place.
_LEFT_OUT = re.compile(r"[^.].*|\.orc_.*|.*_sites|.*\.percpu.*")


def text(linkmap: LinkMap, modules: Iterable[Module]) -> str:
    """The contents of modules.builtin.ranges for the image of `linkmap` and the modules built into it.

    Neighbours that belong to the same modules are one range, with the padding between them. A section without a symbol
    by which to find it gets no lines.
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
    """For each object of a module, the names of its modules as a line has them."""
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
