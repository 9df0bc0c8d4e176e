"""Every allocated byte of an image, once: sections, pieces and symbols enter; spans that fill each section leave.

    section .text     0x1000-0x1200
    piece             0x1000-0x1100 fs/ext4/inode.o     symbols a (0x40 bytes at 0x1000), b (0x80 at 0x1080)
    piece             0x1120-0x1200 kernel/fork.o       no symbol

    span  0x40  fs/ext4/inode.o  a
    span  0x40  fs/ext4/inode.o              bytes of the object that no symbol has
    span  0x80  fs/ext4/inode.o  b
    span  0x20  padding                      up to the alignment of what follows
    span  0xe0  kernel/fork.o

A byte that several symbols have counts for the one that begins first, and of those that begin together for the largest.
The others are spans of fewer bytes than their size, often of none, as labels are; so each symbol is there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kallmodsyms import elf
from kallmodsyms.errors import InputError
from kallmodsyms.linkmap import Label, Piece, Unattributed
from kallmodsyms.linkmap.records import LINKER_MADE
from kallmodsyms.names import ModuleList
from kallmodsyms.symbols import SymbolTable

OBJECT, PADDING, LINKER, SCRIPT, UNKNOWN = "object", "padding", "linker", "script", "unattributed"

NOWHERE = "(no section)"
"""What absolute symbols, and others that are in no section, are listed under. It has no bytes."""


class Section(NamedTuple):
    """An allocated section. kind: code, rodata, data, or bss for what the file does not hold"""

    name: str
    address: int
    size: int
    kind: str

    @property
    def end(self) -> int:
        return self.address + self.size


class Owner(NamedTuple):
    """Who contributed bytes: an object, or where there is none, what is known of them.

    name: the path of an object, or words
    kind: object; padding; linker, for what it made; script, for room that the linker script left; unattributed
    modules: those that are built from the object
    """

    name: str
    kind: str
    modules: ModuleList = ()


class Span(NamedTuple):
    """size: of the symbol, as the symbol table has it; bytes: those that count for this span
    owner: its number in `Account.owners`
    letter, name: of the symbol; empty for bytes without one
    address: of the symbol, which may be before the first byte that counts
    """

    bytes: int
    owner: int
    name: str = ""
    letter: str = ""
    address: int = 0
    size: int = 0


@dataclass(frozen=True)
class Account:
    """sections, spans: of each section, by address, the spans that fill it"""

    sections: Sequence[Section]
    owners: Sequence[Owner]
    spans: Sequence[Sequence[Span]]


@dataclass
class _Owners:
    """The owners so far, each once."""

    modules_of: Callable[[str], ModuleList]
    numbers: dict[Owner, int] = field(default_factory=dict)

    def object(self, path: str) -> int:
        return self.number(Owner(path, OBJECT, self.modules_of(path)))

    def number(self, owner: Owner) -> int:
        return self.numbers.setdefault(owner, len(self.numbers))


def sections_of(image: elf.Elf) -> list[Section]:
    """The allocated sections that are not empty, by address."""
    found = [
        Section(one.name, one.address, one.size, _kind(one))
        for one in image.sections
        if one.flags & elf.SHF_ALLOC and one.size
    ]
    return sorted(found, key=lambda section: (section.address, section.end, section.name))


def _kind(section: elf.Section) -> str:
    if section.flags & elf.SHF_EXECINSTR:
        return "code"
    if section.type == elf.SHT_NOBITS:
        return "bss"
    return "data" if section.flags & elf.SHF_WRITE else "rodata"


def account(
    sections: Sequence[Section],
    table: SymbolTable,
    pieces: Sequence[Piece],
    labels: Iterable[Label],
    told: Sequence[Unattributed] | None,
    modules_of: Callable[[str], ModuleList],
) -> Account:
    """Whose the bytes of `sections` are.

    table: the image's symbols
    pieces: disjoint, by address
    labels: symbols that are not of the piece that begins at their address
    told: what the linker's map says of bytes without an object; None where there is no map, so that of those that no
        alignment explains nothing is known
    Raises InputError for a piece that is in no section.
    """
    owners = _Owners(modules_of)
    boundary = {(label.address, label.name): label.path for label in labels}
    symbols = _Symbols(table)
    _confirm(sections, pieces)
    starts = [piece.start for piece in pieces]
    spans: list[list[Span]] = []
    for section in sections:
        first = max(0, bisect_right(starts, section.address) - 1)
        inside = pieces[first : bisect_right(starts, section.end - 1)]
        regions = _regions(section, [piece for piece in inside if piece.end > section.address], told, owners)
        filled = [span for region in regions for span in _fill(*region, symbols, boundary, owners)]
        total = sum(span.bytes for span in filled)
        assert total == section.size, f"{section.name}: {total} of {section.size} bytes"
        spans.append(filled)
    rest = symbols.rest()
    if rest:
        by_label = [(span, boundary.get((span.address, span.name), "")) for span in rest]
        nobody = Owner("the linker script", SCRIPT)
        spans.append(
            [span._replace(owner=owners.object(path) if path else owners.number(nobody)) for span, path in by_label]
        )
        sections = [*sections, Section(NOWHERE, 0, 0, "none")]
    return Account(sections, list(owners.numbers), spans)


def _confirm(sections: Sequence[Section], pieces: Iterable[Piece]) -> None:
    starts = [section.address for section in sections]
    ends = np.maximum.accumulate(np.array([section.end for section in sections], np.uint64)).tolist()
    for piece in pieces:
        at = bisect_right(starts, piece.start) - 1
        if at < 0 or piece.end > ends[at]:
            problem = f"{piece.path} has {piece.end - piece.start} bytes at {piece.start:#x}, where there is no section"
            raise InputError(problem, cure="the ranges are of another link: build again")


def _regions(
    section: Section, pieces: Iterable[Piece], told: Sequence[Unattributed] | None, owners: _Owners
) -> list[tuple[int, int, int]]:
    """(start, end, owner) of the runs that fill a section."""
    found: list[tuple[int, int, int]] = []
    position = section.address
    for piece in (*pieces, Piece(section.end, section.end, "")):
        start, end = max(piece.start, section.address), min(piece.end, section.end)
        if start > position:
            found += _gap(position, start, told, owners)
        if end > start:
            found.append((start, end, owners.object(piece.path)))
        position = max(position, end)
    return found


def _gap(start: int, end: int, told: Sequence[Unattributed] | None, owners: _Owners) -> list[tuple[int, int, int]]:
    """The runs between two pieces: what the map says of them, and padding or room in between."""
    found: list[tuple[int, int, int]] = []
    position = start
    first = max(0, bisect_right(told, start, key=lambda run: run.address) - 1) if told else 0
    for address, size, why in (told or ())[first:]:
        if address >= end:
            break
        begin, stop = max(address, position), min(address + size, end)
        if stop <= begin:
            continue
        if begin > position:
            found.append((position, begin, owners.number(_filler(position, begin, told))))
        kind = LINKER if why.endswith(LINKER_MADE) else UNKNOWN
        found.append((begin, stop, owners.number(Owner(why, kind))))
        position = stop
    if position < end:
        found.append((position, end, owners.number(_filler(position, end, told))))
    return found


def _filler(start: int, end: int, told: object) -> Owner:
    """What bytes are that no object has, and of which the map says nothing.

    Padding is shorter than the alignment that it reaches. Other bytes are room that a linker script made (`. += SIZE`).
    """
    if end - start < end & -end:
        return Owner("padding", PADDING)
    if told is None:
        return Owner("not known without the linker's map", UNKNOWN)
    return Owner("room left by the linker script", SCRIPT)


class _Symbols:
    """The symbols of an image, by address and then the largest first; each is given away once."""

    def __init__(self, table: SymbolTable) -> None:
        sizes = table.sizes if table.sizes is not None else np.zeros(len(table), np.uint64)
        letters = np.frombuffer(table.types, np.uint8)
        # A stable sort of the sizes, turned round: there is no negative uint64.
        order = np.lexsort((np.arange(len(table)), ~sizes, table.addresses))
        absolute = np.isin(letters, np.frombuffer(b"aA", np.uint8))
        undefined = np.isin(letters, np.frombuffer(b"Uwv", np.uint8))
        self._table = table
        self._sizes = sizes
        self._order = order[~absolute[order] & ~undefined[order]]
        self._addresses = table.addresses[self._order]
        self._given = np.zeros(len(table), np.bool_)
        self._given[undefined] = True

    def between(self, start: int, end: int) -> list[Span]:
        """Those that begin from `start` up to, but not including, `end`; as spans without bytes."""
        first, last = np.searchsorted(self._addresses, np.array([start, end], np.uint64)).tolist()
        which = self._order[first:last]
        self._given[which] = True
        return self._spans(which.tolist())

    def rest(self) -> list[Span]:
        """Those that were not given away."""
        return self._spans(np.flatnonzero(~self._given).tolist())

    def _spans(self, which: Sequence[int]) -> list[Span]:
        table, sizes = self._table, self._sizes
        return [
            Span(
                bytes=0,
                owner=0,
                name=table.names[index].decode("utf-8", "surrogateescape"),
                letter=chr(table.types[index]),
                address=int(table.addresses[index]),
                size=int(sizes[index]),
            )
            for index in which
        ]


def _fill(
    start: int,
    end: int,
    owner: int,
    symbols: _Symbols,
    boundary: Mapping[tuple[int, str], str | None],
    owners: _Owners,
) -> list[Span]:
    """The spans that fill a region, and the labels in it."""
    found: list[Span] = []
    position = start
    for symbol in symbols.between(start, end):
        key = symbol.address, symbol.name
        if key in boundary:
            path = boundary[key]
            nobody = Owner("the linker script", SCRIPT)
            found.append(symbol._replace(owner=owners.number(nobody) if path is None else owners.object(path)))
            continue
        begin, stop = max(symbol.address, position), min(symbol.address + symbol.size, end)
        if begin >= stop:
            found.append(symbol._replace(owner=owner))
            continue
        if begin > position:
            found.append(Span(begin - position, owner))
        found.append(symbol._replace(bytes=stop - begin, owner=owner))
        position = stop
    if position < end:
        found.append(Span(end - position, owner))
    return found
