"""The functions among the symbols of a kernel: a `SymbolTable` enters; which they are, and in which section, leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kallmodsyms.names import TEXT_LETTERS
from kallmodsyms.symbols import SymbolTable


class Text(NamedTuple):
    """which: positions in the SymbolTable, by address
    sections: the section of each of them, or the part of it between two labels of the linker script, as a number
    """

    which: list[int]
    sections: list[int]

    @classmethod
    def of(cls, symbols: SymbolTable, labels: frozenset[bytes]) -> Text:
        """The text symbols of a table in sections with code. labels: names of symbols of the linker script"""
        text = np.isin(np.frombuffer(symbols.types, np.uint8), np.frombuffer(TEXT_LETTERS, np.uint8))
        addresses = symbols.addresses
        limits = addresses[[index for index, name in enumerate(symbols.names) if name in labels]]
        if symbols.executable is not None:
            spans = np.array(symbols.executable, np.uint64).reshape(-1, 2)
            section = np.searchsorted(spans[:, 0], addresses, side="right") - 1
            text &= (section >= 0) & (addresses < spans[section, 1])
            limits = np.concatenate([limits, spans.ravel()])
        which = np.flatnonzero(text & (addresses > 0))
        part = np.searchsorted(np.unique(limits), addresses[which], side="right")
        return cls(which.tolist(), part.tolist())

    def symbols(self, symbols: SymbolTable) -> Iterator[tuple[int, str, bytes]]:
        """Address, letter and name of each of them."""
        addresses = symbols.addresses[self.which].tolist()
        for address, index in zip(addresses, self.which, strict=True):
            yield address, chr(symbols.types[index]), symbols.names[index]
