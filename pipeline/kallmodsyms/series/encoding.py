"""The module tables as the patch series of 2021 encodes them: pieces and the thick list enter, `Encoded` leaves.

Format: scripts/kallsyms.c of version 7, patches 4 (`optimize` is False) and 5.

    entry       where a piece of text begins, and an offset into the names; 0 for an object of no module. There are no
                ends: an entry reaches up to the next one, and the last is taken for the end of the text
    names       a first byte 0; then `name NUL`, or `0, count, name NUL ...` for an object of several modules

Patch 4 has an entry for each piece and a name for each object of the thick list. Patch 5 writes equal lists once,
points a single name into a list that has it, and fuses neighbours of the same object. The order of the names is that of
the series' hash table of objects, so that the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms.owners import Piece
from kallmodsyms.names import Module, ModuleList, module_name
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.symbols import SymbolTable

_BUCKETS = 1024
_MOST = 255


@dataclass(frozen=True)
class Encoded:
    """starts, values: the address of each entry, ascending, and the offset of its list of modules in `names`
    parts: what `names` is made of, in order: the lists
    """

    starts: NDArray[np.uint64]
    values: NDArray[np.uint32]
    names: bytes
    parts: tuple[ModuleList, ...] = field(repr=False)


def text_ranges(symbols: SymbolTable, dialect: KallsymsDialect) -> list[tuple[int, int]]:
    """The (first, last) address of each range of text, both inclusive, as scripts/kallsyms finds them by their labels;
    (0, 0) for one whose labels the image does not have.
    """
    last = dict(zip(symbols.names, symbols.addresses.tolist(), strict=True))
    return [(last.get(first.encode(), 0), last.get(end.encode(), 0)) for first, end in dialect.text_ranges]


def encode(
    pieces: Iterable[Piece], modules: Iterable[Module], ranges: Iterable[tuple[int, int]], optimize: bool = True
) -> Encoded:
    """The tables of an image.

    pieces: what the objects contributed, in any order
    ranges: of text; only pieces that begin in one, ends included, have entries
    Raises InputError for an object of more than 255 modules.
    """
    lists = _lists(modules, optimize)
    offsets, names, parts = _names(lists, optimize)
    spans = list(ranges)
    entries = [
        (piece.start, piece.path if piece.path in lists else None)
        for piece in sorted(pieces, key=lambda piece: (piece.start, piece.end))
        if piece.start and any(first <= piece.start <= last for first, last in spans)
    ]
    if optimize:
        entries = [next(run) for _, run in groupby(entries, key=lambda entry: entry[1])]
    return Encoded(
        starts=np.array([start for start, _ in entries], np.uint64),
        values=np.array([0 if path is None else offsets[path] for _, path in entries], np.uint32),
        names=names,
        parts=parts,
    )


def _lists(modules: Iterable[Module], in_order: bool) -> dict[str, ModuleList]:
    """The modules of each object, in the order of the thick list or, `in_order`, sorted; objects as they first come."""
    found: dict[str, list[str]] = {}
    for module in modules:
        for path in module.members or (module.object,):
            found.setdefault(path, []).append(module_name(module.object))
    for path, names in found.items():
        if len(names) > _MOST:
            raise InputError(f"{path} is part of {len(names)} modules, the tables hold at most {_MOST}")
    return {path: tuple(sorted(names) if in_order else names) for path, names in found.items()}


def _names(lists: Mapping[str, ModuleList], optimize: bool) -> tuple[dict[str, int], bytes, tuple[ModuleList, ...]]:
    """The offset of each object's list, the table of names, and what that is made of."""
    # The series' table has newer objects of a bucket first.
    numbers = {path: number for number, path in enumerate(lists)}
    walk = sorted(lists, key=lambda path: (_hash(path.encode()) % _BUCKETS, -numbers[path]))
    into = _shared(lists.values()) if optimize else {}
    out, parts = bytearray(1), []
    known: dict[ModuleList, int] = {}
    offsets: dict[str, int] = {}
    for path in walk:
        part = into.get(lists[path], lists[path])
        if part not in known or not optimize:
            known[part] = len(out)
            parts.append(part)
            if len(part) > 1:
                out += bytes([0, len(part)])
            out += b"".join(name.encode() + b"\0" for name in part)
        offsets[path] = known[part]
        if part != lists[path]:  # a single name, in a longer list
            place = part.index(lists[path][0])
            offsets[path] += 2 + sum(len(name.encode()) + 1 for name in part[:place])
    return offsets, bytes(out), tuple(parts)


def _shared(lists: Iterable[ModuleList]) -> dict[ModuleList, ModuleList]:
    """For a single module that is also in a list of several: that list; of more than one, the last by its hash."""
    several = sorted({one for one in lists if len(one) > 1}, key=lambda one: _hash(_strings(one)))
    return {(name,): one for one in several for name in one}


def _strings(names: ModuleList) -> bytes:
    return b"".join(name.encode() + b"\0" for name in names)


def _hash(text: bytes) -> int:
    """FNV-1a, 32 bits.

    >>> hex(_hash(b"")), hex(_hash(b"a"))
    ('0x811c9dc5', '0xe40c292c')
    """
    found = 2166136261
    for byte in text:
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    return found
