"""The text of a listing enters, /proc/kallmodsyms or /proc/kallsyms or a copy of one; a decoded table leaves.

    ffffffff812f3a40 1d2 t ext4_fill_super<TAB>[ext4] {super.o}
    ffffffff812f3a40 t ext4_fill_super
    ffffffffc0201000 t crc7_be<TAB>[crc7]

The first line is of /proc/kallmodsyms, the others are of /proc/kallsyms. Such a text does not say whose bytes are; a
module owns those of its symbols, and without sizes those up to the next symbol.
"""

from __future__ import annotations

import os
import re

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.names import ModuleList

_LINE = re.compile(
    rb"^([0-9a-f]{8}|[0-9a-f]{16}) (?:([0-9a-f]+) )?([!-~]) (\S+)(?:\t((?:\[[^]\n]*\] ?)*)(?:\{([^}\n]*)\})?)?$",
    re.MULTILINE,
)
_PADDING = 64
"""A gap in front of a symbol that is not wider than a function's alignment belongs to the run."""

_PAGE = 4096
_GAP = 2**20
"""What lies farther than this behind a symbol lies outside of memory with symbols."""

_REACH = 2**31
"""A kernel's own symbols lie no farther from `_text` than this; what does is a per-CPU offset, or a module's."""


def parse(content: bytes, path: str | os.PathLike[str]) -> Kallsyms:
    """The symbols of a listing, by address; `path` is for messages.

    Raises InputError for a line that is none of a listing, and where addresses are hidden.
    """
    found = _LINE.findall(content)
    if len(found) != content.count(b"\n") + (not content.endswith(b"\n")) or not found:
        for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
            if not _LINE.fullmatch(line):
                raise InputError(
                    "is neither a kernel image nor a line of /proc/kallmodsyms or /proc/kallsyms",
                    path=path,
                    line=number,
                    text=line[:100].decode("utf-8", "backslashreplace"),
                )
    words, spans, letters, names, brackets, braces = zip(*found, strict=True)
    addresses = np.array([int(word, 16) for word in words], np.uint64)
    if not addresses.any():
        raise InputError("says 0 for every address", path=path, cure="read /proc/kallsyms and the like as root")
    order = np.argsort(addresses, kind="stable")
    addresses = addresses[order]
    chosen = order.tolist()
    sizes = np.array([int(spans[index] or b"0", 16) for index in chosen], np.uint64) if any(spans) else None
    lists: dict[ModuleList, int] = {(): 0}
    known = {text: lists.setdefault(_modules(text), len(lists)) for text in dict.fromkeys(brackets)}
    of_symbols = np.array([known[brackets[index]] for index in chosen], np.int64)
    names_there = [names[index] for index in chosen]
    anchor = next((int(a) for a, name in zip(addresses, names_there, strict=True) if name in (b"_text", b"_stext")), 0)
    near = addresses - np.uint64(anchor) + np.uint64(_REACH) < np.uint64(2 * _REACH)
    ends = _ends(addresses, sizes)
    runs, of_runs = _runs(addresses, ends, of_symbols)
    return Kallsyms(
        bits=4 * len(words[0]),
        addresses=addresses,
        absolute=~near & (addresses < anchor),
        sizes=sizes,
        types=b"".join(letters[index] for index in chosen),
        names=names_there,
        lists=tuple(lists),
        of_symbols=of_symbols,
        runs=runs,
        of_runs=of_runs,
        has_modules=len(lists) > 1,
        sections=_sections(addresses, ends),
        objects={
            at: braces[index].decode("utf-8", "surrogateescape") for at, index in enumerate(chosen) if braces[index]
        },
    )


def _modules(text: bytes) -> ModuleList:
    return tuple(name.decode("utf-8", "surrogateescape") for name in re.findall(rb"\[([^]]*)\]", text))


def _ends(addresses: NDArray[np.uint64], sizes: NDArray[np.uint64] | None) -> NDArray[np.uint64]:
    """Where each symbol ends, exclusive; without sizes, where the next one begins, but within a page."""
    behind = np.searchsorted(addresses, addresses, side="right")
    following = np.append(addresses, addresses[-1:])[behind]
    ends: NDArray[np.uint64] = np.minimum(following, addresses + np.uint64(_PAGE))
    return ends if sizes is None else addresses + sizes


def _runs(
    addresses: NDArray[np.uint64], ends: NDArray[np.uint64], of_symbols: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Where each run of bytes of one list begins, and its list: those of `Kallsyms`."""
    starts, values = [0], [0]
    covered = 0
    for start, end, value in zip(addresses.tolist(), ends.tolist(), of_symbols.tolist(), strict=True):
        if end <= start or (end <= covered and value == values[-1]):
            continue  # A label, or a symbol within the one before it.
        if value != values[-1] or start >= covered + _PADDING:
            if values[-1] and covered < start:
                starts.append(covered)
                values.append(0)
            if value != values[-1]:
                starts.append(start)
                values.append(value)
        covered = end
    if values[-1]:
        starts.append(covered)
        values.append(0)
    return np.array(starts, np.uint64), np.array(values, np.int64)


def _sections(addresses: NDArray[np.uint64], ends: NDArray[np.uint64]) -> tuple[tuple[int, int], ...]:
    """Extents of memory with symbols, as (start, end)."""
    reach: NDArray[np.uint64] = np.maximum.accumulate(ends)
    first = np.flatnonzero(np.append(True, addresses[1:] > reach[:-1] + np.uint64(_GAP)))
    last = np.append(first[1:], len(addresses)) - 1
    return tuple(zip(addresses[first].tolist(), reach[last].tolist(), strict=True))
