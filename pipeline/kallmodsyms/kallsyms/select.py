"""Which symbols a kernel's tables hold, in which order: `SymbolTable` and `KallsymsDialect` in, `Selection` out.

There are two steps, as in the kernel's build: scripts/mksysmap makes System.map from the image's symbols, and
scripts/kallsyms chooses from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.kallsyms.filters import filters
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.strings import Strings
from kallmodsyms.symbols import SymbolTable

_WITHOUT_ADDRESS = b"Uvw"
"""nm's letters for what is defined elsewhere."""


@dataclass(frozen=True)
class Options:
    """What the configuration of a kernel decides.

    all_symbols: CONFIG_KALLSYMS_ALL: data too
    absolute_percpu: CONFIG_KALLSYMS_ABSOLUTE_PERCPU: per-CPU symbols are not relative to the image
    base_relative: CONFIG_KALLSYMS_BASE_RELATIVE, where the dialect leaves the choice
    place_relative: addresses are distances from their entries
    lto_clang: CONFIG_LTO_CLANG
    sizes: how symbol sizes are kept: "none", "dense" or "compact" (docs/design.md, Sizes)
    objects: whether a symbol's object is kept if name and modules do not tell it from another (docs/design.md, Objects)
    """

    all_symbols: bool = False
    absolute_percpu: bool = False
    base_relative: bool = False
    place_relative: bool = False
    lto_clang: bool = False
    sizes: str = "none"
    objects: bool = False


@dataclass(frozen=True)
class Selection:
    """The symbols of a table, in table order.

    index: where each one is in the SymbolTable
    names: its name
    types: its letter in the table: `A` for a per-CPU symbol that is kept absolute
    absolute: whether it is such a symbol
    text: the address of `_text`, 0 if there is none
    too_long: the names that are left out because of the kernel's limit
    """

    index: NDArray[np.int64]
    names: list[bytes]
    types: NDArray[np.uint8]
    absolute: NDArray[np.bool_]
    text: int
    too_long: tuple[bytes, ...]


def system_map(symbols: SymbolTable, dialect: KallsymsDialect) -> bytes:
    """The text of System.map: the lines of `nm -n` that mksysmap lets through."""
    index, names = _lines(symbols, filters(dialect).dropped_letters)
    kept = ~filters(dialect).system_map(names)
    return SymbolTable(
        addresses=symbols.addresses[index[kept]],
        sizes=None,
        types=np.frombuffer(symbols.types, np.uint8)[index[kept]].tobytes(),
        names=list(compress(names.items, kept.tolist())),
        bits=symbols.bits,
    ).nm()


def _lines(symbols: SymbolTable, dropped_letters: bytes) -> tuple[NDArray[np.int64], Strings]:
    """The symbols with other letters than those, and their names."""
    letters = np.frombuffer(symbols.types, np.uint8)
    kept = ~np.isin(letters, np.frombuffer(dropped_letters, np.uint8))
    return np.flatnonzero(kept), Strings(list(compress(symbols.names, kept.tolist())))


def select(symbols: SymbolTable, options: Options, dialect: KallsymsDialect) -> Selection:
    """The symbols that scripts/kallsyms puts into the tables, in its order.

    If the tables hold sizes, symbols at one address are ordered as by the last patch of the series: those of size zero
    first, then larger before smaller ones, then as without sizes.
    """
    dropped = filters(dialect).dropped_letters if dialect.of_system_map else _WITHOUT_ADDRESS
    index, names = _lines(symbols, dropped)
    addresses, letters = symbols.addresses[index], np.frombuffer(symbols.types, np.uint8)[index]
    mapped = ~filters(dialect).system_map(names) if dialect.of_system_map else np.ones(len(names), np.bool_)
    long = names.size >= dialect.name_limit
    kept = mapped & ~long & ~filters(dialect).ignored(names)
    kept &= ~np.isin(letters, np.frombuffer(dialect.ignored_types.encode(), np.uint8))
    absolute = (letters == ord("A")) | (letters == ord("a"))
    for name in dialect.kept_absolute:
        absolute[names.equal(name.encode())] = False
    kept &= ~absolute

    def address(label: str, unknown: int) -> np.uint64:
        """The address of the last symbol called `label`; `unknown` if there is none."""
        where = names.equal(label.encode())
        where = where[kept[where]]
        return np.uint64(addresses[where[-1]] if len(where) else unknown)

    first, last = dialect.percpu_range
    percpu_start, percpu_end = address(first, 2**64 - 1), address(last, 0)
    if not options.all_symbols:
        ranges = [(address(first, 0), address(last, 0), last) for first, last in dialect.text_ranges]
        kept &= _text(addresses, names, ranges, dialect)
    text = names.equal(b"_text")
    text = text[mapped[text] & ~long[text]]
    text_address = int(addresses[text[-1]]) if len(text) else 0
    too_long = tuple(compress(names.items, (mapped & long).tolist()))
    chosen = np.fromiter(compress(names.items, kept.tolist()), np.object_)
    index, addresses = index[kept], addresses[kept]
    percpu_absolute = (addresses >= percpu_start) & (addresses <= percpu_end) & options.absolute_percpu
    types = np.where(percpu_absolute, np.uint8(ord("A")), letters[kept])
    sizes = symbols.sizes if options.sizes != "none" else None
    order = _order(addresses, types, chosen, None if sizes is None else sizes[index])
    return Selection(
        index=index[order],
        names=chosen[order].tolist(),
        types=types[order],
        absolute=percpu_absolute[order],
        text=text_address,
        too_long=too_long,
    )


def _text(
    addresses: NDArray[np.uint64],
    names: Strings,
    ranges: list[tuple[np.uint64, np.uint64, str]],
    dialect: KallsymsDialect,
) -> NDArray[np.bool_]:
    """Which symbols lie in the `ranges` (start, end, label at the end) of text, both ends included.

    Other symbols on the last address of a range would move out when the tables grow: only the label itself counts.
    """
    inside, edge = np.zeros(len(names), np.bool_), np.zeros(len(names), np.bool_)
    for start, end, label in ranges:
        inside |= (addresses >= start) & (addresses <= end)
        at_end = addresses == end
        at_end[names.equal(label.encode())] = False
        edge |= at_end
    inside &= ~edge
    for prefix in dialect.kept_prefixes:
        inside[names.beginning(prefix.encode())] = True
    return inside


def _order(
    addresses: NDArray[np.uint64],
    types: NDArray[np.uint8],
    names: NDArray[np.object_],
    sizes: NDArray[np.uint64] | None,
) -> NDArray[np.int64]:
    """The order of scripts/kallsyms (compare_symbols).

    By address, then weak symbols last, then those that a linker script may have provided last, then by the number of
    leading underscores, then as they came.
    """
    weak = (types == ord("w")) | (types == ord("W"))
    shared = addresses[1:] == addresses[:-1]
    tied = (
        np.flatnonzero(np.append(shared, False) | np.insert(shared, 0, False)) if len(names) else np.zeros(0, np.int64)
    )
    provided, underscores = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    # Where they are not sorted yet, any two may meet.
    for position in tied.tolist() if np.all(addresses[1:] >= addresses[:-1]) else range(len(names)):
        name = names[position]
        provided[position] = _may_be_provided(name)
        underscores[position] = len(name) - len(name.lstrip(b"_"))
    keys = [underscores, provided, weak]
    if sizes is not None:
        keys.append(np.uint64(0) - sizes)  # Modulo 2**64: zero stays first, the largest comes next.
    return np.lexsort([*keys, addresses])


def _may_be_provided(name: bytes) -> bool:
    """Whether a linker script may have provided the symbol, to judge by its name."""
    return (
        len(name) >= 8
        and name.startswith(b"__")
        and (name.startswith((b"start_", b"stop_", b"end_"), 2) or name.endswith((b"_start", b"_end")))
    )
