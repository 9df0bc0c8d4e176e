"""A decoded table: `Kallsyms` enters; its symbols leave as rows, and the rows as text or records.

Row(0xffffffff812f3a40, 0x1d2, "t", "ext4_fill_super", ("ext4",))

    text        ffffffff812f3a40 1d2 t ext4_fill_super<TAB>[ext4]
    records     {"address": "0xffffffff812f3a40", "size": 466, "type": "t", "name": "ext4_fill_super", …}
"""

from __future__ import annotations

import os
import re
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

        Raises InputError if the file cannot be read, or does not say where `_text` is.
        """
        found = re.search(rb"^([0-9a-f]+) \S _text$", files.read_bytes(running), re.MULTILINE)
        if found is None or not int(found[1], 16) or b"_text" not in self.names:
            raise InputError("does not say where _text is", path=running, cure="copy /proc/kallsyms as root")
        distance = (int(found[1], 16) - int(self.addresses[self.names.index(b"_text")])) % 2**64
        moved = self.addresses + np.uint64(distance) & np.uint64(2**self.bits - 1)
        return replace(self, addresses=np.where(self.absolute, self.addresses, moved))

    def lookup(self, what: int | str) -> list[Found]:
        """The symbols of a name, in table order; or the one symbol that an address of the image lies in or behind.

        An address is looked up as in the kernel (`kallmodsyms_lookup` in runtime/). Of the symbols at the highest
        address that is not above it, the first one whose bytes reach it is the answer, or else the first one. So in
        padding, or behind a label without a size, the offset is not below the symbol's size. An address in no section
        is in no symbol.
        """
        if isinstance(what, str):
            found = map(self.symbol, self._by_name.get(what.encode("utf-8", "surrogateescape"), ()))
            return [Found(symbol, 0, symbol.modules) for symbol in found]
        if not any(start <= what < end for start, end in self.sections):
            return []
        behind = int(np.searchsorted(self.addresses, np.uint64(what), side="right"))
        if not behind:
            return []
        first = int(np.searchsorted(self.addresses, self.addresses[behind - 1]))
        offset = what - int(self.addresses[first])
        index = first
        if self.sizes is not None and (reaching := self.sizes[first:behind] > offset).any():
            index += int(np.argmax(reaching))
        run = int(np.searchsorted(self.runs, np.uint64(what), side="right")) - 1
        return [Found(self.symbol(index), offset, self.lists[int(self.of_runs[run])] if run >= 0 else ())]

    @cached_property
    def _by_name(self) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for index, name in enumerate(self.names):
            found.setdefault(name, []).append(index)
        return found
