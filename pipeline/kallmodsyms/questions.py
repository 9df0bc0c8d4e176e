"""A kernel and what somebody asks it for enter; symbols and places leave.

ext4_fill_super             the symbols of the name
ext4:ext4_fill_super        those of them that belong to the module
0xffffffff812f3a48          the symbol there, and the modules of the byte
ext4_fill_super+0x8         the same, of an address that is given so; also module:symbol+offset
0xffffffff812f3a40-0xffffffff812f4000
                            the symbols that begin there, the end exclusive
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError
from kallmodsyms.forms import Record
from kallmodsyms.kallsyms import listing
from kallmodsyms.kernel import Found, Kernel, Symbol

KEYS = ("address", "size", "type", "name", "modules", "object")
PLACE_KEYS = ("query", "address", "offset", "symbol", "size", "type", "modules", "object")

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{1,16}|(?=[a-fA-F]*[0-9]|.{8})[0-9a-fA-F]{1,16}")
_RANGE = re.compile(r"(0[xX][0-9a-fA-F]{1,16}|[0-9a-fA-F]{8,16})-(0[xX][0-9a-fA-F]{1,16}|[0-9a-fA-F]{8,16})")
_OFFSET = re.compile(r"(.+)\+(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})")


class Selection(NamedTuple):
    """Which symbols somebody wants; None for what does not matter.

    modules: names, any of them
    types: letters, as the listing has them
    sections: names of the image's sections
    ranges: (start, end), any of them
    pattern: as for names of files: * ? [a-z]
    """

    modules: Sequence[str] = ()
    types: str | None = None
    sections: Sequence[str] = ()
    ranges: Sequence[tuple[int, int]] = ()
    pattern: str | None = None

    def of(self, kernel: Kernel) -> NDArray[np.bool_]:
        """Which symbols of the table these are. Raises InputError for a module or section that is not there."""
        table = kernel.table
        chosen = np.ones(len(table), np.bool_)
        if self.modules:
            names = {module.name for module in kernel.choose(self.modules)}
            chosen &= np.array([not names.isdisjoint(one) for one in table.lists], np.bool_)[table.of_symbols]
        if self.types is not None:
            chosen &= np.isin(table.letters, np.frombuffer(self.types.encode(), np.uint8))
        if self.sections:
            chosen &= _within(table.addresses, [_section(kernel, name) for name in self.sections])
        if self.ranges:
            chosen &= _within(table.addresses, self.ranges)
        if self.pattern is not None:
            matches = re.compile(fnmatch.translate(self.pattern).encode()).match
            chosen &= np.array([matches(name) is not None for name in table.names], np.bool_)
        return chosen


def _within(addresses: NDArray[np.uint64], ranges: Iterable[tuple[int, int]]) -> NDArray[np.bool_]:
    found = np.zeros(len(addresses), np.bool_)
    for start, end in ranges:
        found |= (addresses >= np.uint64(start)) & (addresses < np.uint64(end))
    return found


def _section(kernel: Kernel, name: str) -> tuple[int, int]:
    sections = kernel.image.sections if kernel.image is not None else []
    found = next((one for one in sections if one.name == name and one.address), None)
    if found is None:
        cure = "`readelf -SW` lists the sections of an image; a listing has none"
        raise InputError(f"has no section {name} with addresses", path=kernel.path or None, cure=cure)
    return found.address + kernel.distance, found.end + kernel.distance


def parse_range(text: str) -> tuple[int, int] | None:
    """The (start, end) of `START-END`, both hexadecimal; None if it is no range.

    >>> parse_range("0x10-0x20"), parse_range("10-20"), parse_range("a-b")
    ((16, 32), None, None)
    """
    found = _RANGE.fullmatch(text)
    return (int(found[1], 16), int(found[2], 16)) if found else None


class Answer(NamedTuple):
    """The answer to one question: symbols, or places. Neither where nothing is known.

    places: an address's symbol, the offset in it and the modules of the byte
    """

    query: str
    symbols: Sequence[Symbol] = ()
    places: Sequence[Found] = ()

    def text(self, bits: int) -> str:
        """The lines of the listing for symbols, `address symbol+offset/size` and the modules for places."""
        lines = listing.text(self.symbols, bits) + b"".join(listing.place(place, bits) for place in self.places)
        return lines.decode("utf-8", "surrogateescape")

    def records(self) -> Iterator[Record]:
        """With the keys `PLACE_KEYS`."""
        for symbol, offset, modules in [*((symbol, 0, symbol.modules) for symbol in self.symbols), *self.places]:
            yield {
                "query": self.query,
                "address": f"{symbol.address + offset:#x}",
                "offset": offset,
                "symbol": symbol.name,
                "size": symbol.size,
                "type": symbol.type,
                "modules": modules,
                "object": symbol.object,
            }


def answers(kernel: Kernel, queries: Sequence[str]) -> list[Answer]:
    """The answers, in the order of the questions; all addresses are looked up at once.

    What could be a name or an address is a name if a symbol is called so, and also if it has neither 0x nor a digit nor
    the length of an address (`add`).
    """
    found: list[Answer] = []
    places: list[tuple[int, list[int]]] = []
    for number, query in enumerate(queries):
        symbols, addresses = _ask(kernel, query)
        found.append(Answer(query, symbols))
        if addresses:
            places.append((number, addresses))
    flat = [address for _, addresses in places for address in addresses]
    located = iter(_places(kernel, flat))
    for number, addresses in places:
        there = [place for _ in addresses if (place := next(located)) is not None]
        found[number] = found[number]._replace(places=there)
    return found


def _ask(kernel: Kernel, query: str) -> tuple[Sequence[Symbol], list[int]]:
    """The symbols that a question is for, or the addresses."""
    if symbols := _called(kernel, query):
        return symbols, []
    if _ADDRESS.fullmatch(query):
        return (), [int(query, 16)]
    if found := _OFFSET.fullmatch(query):
        return (), [symbol.address + int(found[2], 0) for symbol in _called(kernel, found[1])]
    if bounds := parse_range(query):
        first, last = np.searchsorted(kernel.table.addresses, np.array(bounds, np.uint64)).tolist()
        return kernel.symbols[first:last], []
    return (), []


def _called(kernel: Kernel, name: str) -> list[Symbol]:
    module, colon, symbol = name.partition(":")
    if not colon:
        return kernel.find(name)
    module = module.replace("-", "_")
    return [one for one in kernel.find(symbol) if module in one.modules]


def _places(kernel: Kernel, addresses: Sequence[int]) -> list[Found | None]:
    table = kernel.table
    columns = kernel.locate(np.array(addresses, np.uint64))
    return [
        Found(table.symbol(number), offset, table.lists[modules]) if number >= 0 else None
        for number, offset, modules in zip(*(column.tolist() for column in columns), strict=True)
    ]
