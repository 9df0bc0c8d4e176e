"""DTrace: a request enters; modules.builtin.ranges in the form of Linux 6.12 leaves.

    .text 00000000-00000000 = _text
    .text 0000baf0-0000cb10 amd_uncore

The format is that of `linkmap/builtin_ranges.py`, which makes the file from a linker's map, with the data of modules.
Here it is made from the image's own tables, which know code alone.
"""

from __future__ import annotations

from kallmodsyms.errors import InputError
from kallmodsyms.export.request import Export, Request

_SECTIONS = ((".text", "_text", "_etext"), (".init.text", "_sinittext", "_einittext"))
"""Name, first label and label at the end of each section of code, as include/asm-generic/vmlinux.lds.h has them."""


def builtin_ranges(request: Request) -> Export:
    """The ranges of .text and .init.text. Raises InputError if the kernel does not say where these are."""
    kernel = request.kernel
    table = kernel.table
    wanted = set(request.names)
    ends = [*table.runs[1:].tolist(), *table.runs[-1:].tolist()]
    owned = [
        (start, end, names)
        for start, end, number in zip(table.runs.tolist(), ends, table.of_runs.tolist(), strict=True)
        if (names := table.lists[number]) and not wanted.isdisjoint(names)
    ]
    lines = []
    for section, first, last in _SECTIONS:
        base, limit = kernel.address_of(first), kernel.address_of(last)
        if base is None or limit is None:
            raise InputError(f"does not say where {first} and {last} are", path=kernel.path or None)
        lines.append(f"{section} 00000000-00000000 = {first}\n")
        lines += [
            f"{section} {start - base:08x}-{end - base:08x} {' '.join(names)}\n"
            for start, end, names in owned
            if base <= start < limit
        ]
    return Export("".join(lines))
