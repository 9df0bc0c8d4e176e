"""A decoded table: `Kallsyms` enters; its symbols leave as rows, and the rows as text or records.

Row(0xffffffff812f3a40, 0x1d2, "t", "ext4_fill_super", ("ext4",))

    text        ffffffff812f3a40 1d2 t ext4_fill_super<TAB>[ext4]
    records     {"address": "0xffffffff812f3a40", "size": 466, "type": "t", "name": "ext4_fill_super", …}
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.names import ModuleList


class Row(NamedTuple):
    """A symbol as it is listed.

    size: None in an image without sizes, and in /proc/kallsyms, which has no such column
    type: its letter, in lower case if it has modules
    object: the end of its object's path, if name and modules do not tell it from another symbol and the image keeps it
    """

    address: int
    size: int | None
    type: str
    name: str
    modules: ModuleList = ()
    object: str = ""


Fields = tuple[int, int | None, str, str, ModuleList, str]
"""A Row, or the same without the names: to make 100,000 Rows takes as long as to format them."""


class Found(NamedTuple):
    """The answer to a question for an address or a name.

    offset: how far behind the start of the symbol the address is
    modules: the owners of the byte there; not the symbol's, if it is padding behind the symbol, or if the symbol is a
        marker on another one's first byte
    """

    symbol: Row
    offset: int
    modules: ModuleList


class Places(NamedTuple):
    """Where addresses are: columns of one length.

    symbols: number of the symbol that an address lies in or behind, -1 for none
    offsets: how far behind the symbol's start
    lists: number of the byte's list of modules, in `lists`
    """

    symbols: NDArray[np.int64]
    offsets: NDArray[np.uint64]
    lists: NDArray[np.int64]


def text(rows: Iterable[Fields], bits: int) -> bytes:
    """The lines of a listing: `address size type name`, a tab, the modules in brackets, and the object in braces."""
    line, without_size = (f"%0{bits // 4}x {size}%s %s%s\n" for size in ("%x ", ""))
    lines = [
        without_size % (address, letter, name, _tail(modules, suffix) if modules or suffix else "")
        if size is None
        else line % (address, size, letter, name, _tail(modules, suffix) if modules or suffix else "")
        for address, size, letter, name, modules, suffix in rows
    ]
    return "".join(lines).encode("utf-8", "surrogateescape")


def place(found: Found, bits: int) -> bytes:
    """The line for an address: `address symbol+offset/size`, and behind a tab the modules that own the byte."""
    symbol = found.symbol
    size = "" if symbol.size is None else f"/{symbol.size:#x}"
    where = f"{symbol.name}+{found.offset:#x}{size}{_tail(found.modules, '')}"
    return f"{symbol.address + found.offset:0{bits // 4}x} {where}\n".encode("utf-8", "surrogateescape")


@cache
def _tail(modules: ModuleList, suffix: str) -> str:
    parts = [f"[{name}]" for name in modules] + [f"{{{suffix}}}"] * bool(suffix)
    return "\t" + " ".join(parts) if parts else ""


def records(rows: Iterable[Fields]) -> Iterator[dict[str, str | int | Sequence[str] | None]]:
    """The rows by the names of their fields, the address as text; for JSON and CSV."""
    return (Row(*row)._asdict() | {"address": f"{row[0]:#x}"} for row in rows)


@dataclass(frozen=True)
class Kallsyms:
    """The symbols of a kernel in the order of its tables.

    bits: word size
    addresses: uint64
    absolute: which of them are per-CPU offsets, which stay when the kernel moves
    sizes: uint64, None in an image without them
    types: one letter each
    names: without the letter
    lists: the lists of modules that occur, `lists[0]` empty
    of_symbols: the list of each symbol
    runs, of_runs: where each run of bytes of one list begins, and its list; the last one is nobody's
    has_modules: whether the image has module tables
    objects: by index, the end of the path of the symbol's object, for symbols that need it to be told apart
    sections: (start, end) of the allocated sections
    """

    bits: int
    addresses: NDArray[np.uint64]
    absolute: NDArray[np.bool_]
    sizes: NDArray[np.uint64] | None
    types: bytes
    names: list[bytes] = field(repr=False)
    lists: tuple[ModuleList, ...]
    of_symbols: NDArray[np.int64]
    runs: NDArray[np.uint64] = field(repr=False)
    of_runs: NDArray[np.int64] = field(repr=False)
    has_modules: bool
    sections: tuple[tuple[int, int], ...] = field(repr=False)
    objects: dict[int, str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def symbol(self, index: int) -> Row:
        """The symbol number `index` of the table, as `rows` has it."""
        modules = self.lists[int(self.of_symbols[index])]
        letter = chr(self.types[index])
        return Row(
            address=int(self.addresses[index]),
            size=None if self.sizes is None else int(self.sizes[index]),
            type=letter.lower() if modules else letter,
            name=self.names[index].decode("utf-8", "surrogateescape"),
            modules=modules,
            object=self.objects.get(index, ""),
        )

    @property
    def letters(self) -> NDArray[np.uint8]:
        """The letter of each symbol in /proc/kallmodsyms, in lower case if it has modules."""
        letters = np.frombuffer(self.types, np.uint8)
        return np.where(self.of_symbols > 0, letters | 0x20, letters)

    def rows(self) -> Iterator[Fields]:
        """The rows of /proc/kallmodsyms."""
        sizes = [None] * len(self) if self.sizes is None else self.sizes.tolist()
        objects = [""] * len(self)
        for index, suffix in self.objects.items():
            objects[index] = suffix
        modules = map(self.lists.__getitem__, self.of_symbols.tolist())
        return self._rows(sizes, self.letters.tobytes(), modules, objects)

    def kallsyms_rows(self) -> Iterator[Fields]:
        """The rows of /proc/kallsyms."""
        return self._rows([None] * len(self), self.types, [()] * len(self), [""] * len(self))

    def _rows(
        self, sizes: Iterable[int | None], letters: bytes, modules: Iterable[ModuleList], objects: Iterable[str]
    ) -> Iterator[Fields]:
        names = [name.decode("utf-8", "surrogateescape") for name in self.names]
        return zip(self.addresses.tolist(), sizes, letters.decode("latin-1"), names, modules, objects, strict=True)

    def listing(self) -> bytes:
        """The text of /proc/kallmodsyms."""
        return text(self.rows(), self.bits)

    def kallsyms_listing(self) -> bytes:
        """The text of /proc/kallsyms."""
        return text(self.kallsyms_rows(), self.bits)

    def relocated(self, running: str | os.PathLike[str]) -> Kallsyms:
        """These symbols at the addresses of a running kernel; `running` is a copy of its /proc/kallsyms, made as root.

        Raises InputError if the file cannot be read, does not say where `_text` is, or is of another kernel: all of it
        moves by one distance, but for per-CPU symbols, so that a name which moved by another tells.
        """
        # Symbols of loaded modules, and of what the kernel made while it ran, have a tab and a name in brackets.
        lines = re.findall(rb"^([0-9a-f]+) \S ([^\s\[]+)$", files.read_bytes(running), re.MULTILINE)
        there = {name: int(address, 16) for address, name in lines}
        here = {
            name: address
            for name, address, fixed in zip(self.names, self.addresses.tolist(), self.absolute.tolist(), strict=True)
            if not fixed
        }
        if not there.get(b"_text") or b"_text" not in here:
            raise InputError("does not say where _text is", path=running, cure="copy /proc/kallsyms as root")
        distance = (there[b"_text"] - here[b"_text"]) % 2**64
        ours, theirs = Counter(self.names), Counter(name for _, name in lines)
        for name, address in here.items():
            if ours[name] == theirs[name] == 1 and (there[name] - address - distance) % 2**self.bits:
                places = (
                    f"{there[name] - there[b'_text']:#x} behind _text there, and {address - here[b'_text']:#x} here"
                )
                raise InputError(
                    f"is of another kernel: {name.decode('utf-8', 'replace')} is {places}",
                    path=running,
                    cure="take the vmlinux of the kernel that was running",
                )
        moved = self.addresses + np.uint64(distance) & np.uint64(2**self.bits - 1)
        return replace(self, addresses=np.where(self.absolute, self.addresses, moved))

    def lookup(self, what: int | str) -> list[Found]:
        """The symbols of a name, in table order; or the one symbol that an address lies in or behind (`locate`)."""
        if isinstance(what, str):
            found = map(self.symbol, self.numbers(what.encode("utf-8", "surrogateescape")))
            return [Found(symbol, 0, symbol.modules) for symbol in found]
        if not 0 <= what < 2**64:
            return []
        symbols, offsets, lists = self.locate(np.array([what], np.uint64))
        number = int(symbols[0])
        return [Found(self.symbol(number), int(offsets[0]), self.lists[int(lists[0])])] if number >= 0 else []

    def numbers(self, name: bytes) -> Sequence[int]:
        """The numbers of the symbols of a name, ascending."""
        return self._by_name.get(name, ())

    def locate(self, addresses: NDArray[np.uint64]) -> Places:
        """What `lookup` says of addresses, for many at once: as in the kernel (`kallmodsyms_lookup` in runtime/).

        Of the symbols at the highest address that is not above it, the first one whose bytes reach it is the answer, or
        else the first one. So in padding, or behind a label without a size, the offset is not below the symbol's size.
        An address in no section is in no symbol, unless one begins there: a label at the end of a section.
        """
        if not len(self):
            return Places(np.full(len(addresses), -1), np.zeros_like(addresses), np.zeros(len(addresses), np.int64))
        sections = sorted(self.sections) or [(0, 0)]
        starts, ends = (np.array(column, np.uint64) for column in zip(*sections, strict=True))
        section = np.searchsorted(starts, addresses, side="right") - 1
        behind = np.searchsorted(self.addresses, addresses, side="right")
        nearest = self.addresses[np.maximum(behind, 1) - 1]
        inside = (section >= 0) & (addresses < np.maximum.accumulate(ends)[section])
        known = (behind > 0) & (inside | (nearest == addresses))
        first = np.searchsorted(self.addresses, nearest)
        offsets = addresses - nearest
        symbols = np.where(known, first, -1)
        if self.sizes is not None:
            # Of several symbols at one place, the first whose bytes reach the address.
            short = np.flatnonzero(known & (self.sizes[np.where(known, first, 0)] <= offsets))
            candidate = first + 1
            while len(short := short[candidate[short] < behind[short]]):
                reaches = self.sizes[candidate[short]] > offsets[short]
                symbols[short[reaches]] = candidate[short[reaches]]
                short = short[~reaches]
                candidate = candidate + 1
        run = np.searchsorted(self.runs, addresses, side="right") - 1
        of_runs = np.append(self.of_runs, 0)  # Before the first run, and without runs, nobody's.
        return Places(symbols, np.where(known, offsets, 0).astype(np.uint64), np.where(known, of_runs[run], 0))

    @cached_property
    def _by_name(self) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for index, name in enumerate(self.names):
            found.setdefault(name, []).append(index)
        return found
