"""Which symbols a kernel's tables hold, and in which order: a `SymbolTable` and a `Dialect` enter, a `Selection` leaves.

Two steps, as in the kernel's build: scripts/mksysmap makes System.map of the image's symbols, scripts/kallsyms takes its choice of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.kallsyms.dialect import Dialect
from pipeline.strings import lengths
from pipeline.symbols import SymbolTable

SIZES = ("none", "dense", "compact")


@dataclass(frozen=True)
class Options:
    """What the configuration of a kernel decides.

    all_symbols: CONFIG_KALLSYMS_ALL: data too
    absolute_percpu: CONFIG_KALLSYMS_ABSOLUTE_PERCPU: per-CPU symbols are not relative to the image
    base_relative: CONFIG_KALLSYMS_BASE_RELATIVE, where the dialect leaves the choice
    lto_clang: CONFIG_LTO_CLANG
    sizes: how symbol sizes are kept: "none", "dense" or "compact" (docs/design.md, Sizes)
    """

    all_symbols: bool = False
    absolute_percpu: bool = False
    base_relative: bool = False
    lto_clang: bool = False
    sizes: str = "none"


@dataclass(frozen=True)
class Selection:
    """The symbols of a table, in table order.

    index: where each one is in the SymbolTable
    types: its letter in the table: `A` for a per-CPU symbol that is kept absolute
    absolute: whether it is such a symbol
    text: the address of `_text`, 0 if there is none
    too_long: the names that the kernel's limit keeps out of the table
    """

    index: NDArray[np.int64]
    types: NDArray[np.uint8]
    absolute: NDArray[np.bool_]
    text: int
    too_long: tuple[bytes, ...]


def system_map(symbols: SymbolTable, dialect: Dialect) -> bytes:
    """The text of System.map: the lines of `nm -n` that mksysmap lets through."""
    index = _system_map_index(symbols, dialect)
    return SymbolTable(
        addresses=symbols.addresses[index],
        sizes=None,
        types=np.frombuffer(symbols.types, np.uint8)[index].tobytes(),
        names=_names(symbols, index),
        bits=symbols.bits,
    ).nm()


def _system_map_index(symbols: SymbolTable, dialect: Dialect) -> NDArray[np.int64]:
    letters = np.frombuffer(symbols.types, np.uint8)
    index = np.flatnonzero(~np.isin(letters, np.frombuffer(dialect.filters.dropped_letters, np.uint8)))
    return index[~dialect.filters.system_map(_names(symbols, index))]


def _names(symbols: SymbolTable, index: NDArray[np.int64]) -> list[bytes]:
    return np.fromiter(symbols.names, object, len(symbols))[index].tolist()


def select(symbols: SymbolTable, options: Options, dialect: Dialect) -> Selection:
    """The symbols that scripts/kallsyms puts into the tables, in its order.

    With sizes in the tables the order of symbols at one address is that of the series' last patch: those of size zero first, then
    larger before smaller, then as without sizes.
    """
    index = _system_map_index(symbols, dialect)
    names = _names(symbols, index)
    text = int(symbols.addresses[index[names.index(b"_text")]]) if b"_text" in names else 0
    letters = np.frombuffer(symbols.types, np.uint8)[index]
    long = lengths(names) >= dialect.name_limit
    drop = long | dialect.filters.ignored(names)
    drop |= np.isin(letters, np.frombuffer(dialect.ignored_types.encode(), np.uint8))
    for position in np.flatnonzero((letters == ord("A")) | (letters == ord("a"))).tolist():
        drop[position] |= names[position].decode("utf-8", "surrogateescape") not in dialect.kept_absolute
    too_long = tuple(names[position] for position in np.flatnonzero(long).tolist())
    index, letters = index[~drop], letters[~drop]
    names = _names(symbols, index)
    addresses = symbols.addresses[index]

    percpu = _limits(addresses, names, dialect.percpu_range, (2**64 - 1, 0))
    if not options.all_symbols:
        keep = _text_only(addresses, names, dialect)
        index, letters, addresses = index[keep], letters[keep], addresses[keep]
        names = _names(symbols, index)
    absolute = np.zeros(len(index), np.bool_)
    if options.absolute_percpu:
        absolute = (addresses >= percpu[0]) & (addresses <= percpu[1])
    types = np.where(absolute, np.uint8(ord("A")), letters)
    with_sizes = options.sizes != "none" and symbols.sizes is not None
    order = _order(addresses, types, names, symbols.sizes[index] if with_sizes else None)
    return Selection(index[order], types[order], absolute[order], text, too_long)


def _limits(
    addresses: NDArray[np.uint64], names: list[bytes], labels: tuple[str, str], unknown: tuple[int, int]
) -> tuple[np.uint64, np.uint64]:
    """The addresses of the two `labels`, the last ones of that name; `unknown` where there is none."""
    found = list(unknown)
    for side, label in enumerate(labels):
        wanted = label.encode()
        if wanted in names:
            found[side] = int(addresses[len(names) - 1 - names[::-1].index(wanted)])
    return np.uint64(found[0]), np.uint64(found[1])


def _text_only(addresses: NDArray[np.uint64], names: list[bytes], dialect: Dialect) -> NDArray[np.bool_]:
    """Which symbols lie in the ranges of text, both ends included.

    What lies on the last address of a range moves out of it when the tables grow: only the label itself stays.
    """
    inside = np.zeros(len(names), np.bool_)
    edge = np.zeros(len(names), np.bool_)
    for labels in dialect.text_ranges:
        start, end = _limits(addresses, names, labels, (0, 0))
        inside |= (addresses >= start) & (addresses <= end)
        for position in np.flatnonzero(addresses == end).tolist():
            edge[position] |= names[position] != labels[1].encode()
    keep = inside & ~edge
    kept = tuple(prefix.encode() for prefix in dialect.kept_prefixes)
    if kept:
        keep |= np.fromiter((name.startswith(kept) for name in names), np.bool_, len(names))
    return keep


def _order(
    addresses: NDArray[np.uint64], types: NDArray[np.uint8], names: list[bytes], sizes: NDArray[np.uint64] | None
) -> NDArray[np.int64]:
    """The order of scripts/kallsyms (compare_symbols): address, weak ones last, then what a linker script may have provided, then
    the number of leading underscores, then the order they came in."""
    weak = (types == ord("w")) | (types == ord("W"))
    shared = addresses[1:] == addresses[:-1]
    tied = np.flatnonzero(np.append(shared, False) | np.insert(shared, 0, False)) if len(names) else np.zeros(0, np.int64)
    provided, underscores = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    if np.all(addresses[1:] >= addresses[:-1]):
        examined = tied.tolist()
    else:
        examined = range(len(names))  # Not sorted yet: any two may meet.
    for position in examined:
        name = names[position]
        provided[position] = _may_be_provided(name)
        underscores[position] = len(name) - len(name.lstrip(b"_"))
    keys = [underscores, provided, weak]
    if sizes is not None:
        keys.append(np.uint64(0) - sizes)  # Modulo 2**64: zero stays first, the largest comes next.
    return np.lexsort([*keys, addresses])


def _may_be_provided(name: bytes) -> bool:
    """Whether a linker script may have provided the name; 8 bytes and more, beginning in two underscores."""
    return len(name) >= 8 and name.startswith(b"__") and (
        name.startswith((b"start_", b"stop_", b"end_"), 2) or name.endswith((b"_start", b"_end"))
    )
