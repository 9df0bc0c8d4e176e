"""Which module each symbol belongs to: symbols, pieces and the thick list enter, `Owners` leave.

An object belongs to every module under which the thick list names it. A text symbol belongs to the object whose piece
of the image it lies in, unless the link map knows better: a marker of the linker script belongs to nobody, and a label
at the very end of an object belongs to that object.

    piece    0x1000-0x1100  fs/ext4/super.o         run 0x1000 [ext4]
    padding  0x1100-0x1110                              (still ext4: the next piece is too)
    piece    0x1110-0x1200  fs/ext4/inode.o
    padding  0x1200-0x1210                          run 0x1200 nobody
    piece    0x1210-0x1300  fs/fat/dir.o            run 0x1210 [fat]
    end      0x1300                                 run 0x1300 nobody
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.names import TEXT_LETTERS, Module, ModuleList, module_name
from kallmodsyms.symbols import SymbolTable


class Piece(Protocol):
    """A run of bytes, `end` exclusive, that the object `path` contributed (kallmodsyms.linkmap.Piece)."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def path(self) -> str: ...


@dataclass(frozen=True)
class Owners:
    """lists: the lists of modules that occur, sorted names each; `lists[0]` is the empty one
    of_symbols: the list of each symbol of the SymbolTable
    paths: the objects that have text; `paths[0]` is empty, for symbols of no object
    path_of_symbols: the object of each text symbol
    starts, of_runs: where each run begins, and its list; a run ends where the next one begins, and the last one is
        nobody's
    """

    lists: tuple[ModuleList, ...]
    of_symbols: NDArray[np.int64]
    paths: tuple[str, ...]
    path_of_symbols: NDArray[np.int64]
    starts: NDArray[np.uint64]
    of_runs: NDArray[np.int64]


def lists_of_objects(modules: Iterable[Module]) -> dict[str, ModuleList]:
    """The modules of each object, sorted by name. A composite module's own object counts as one of its objects."""
    names: dict[str, set[str]] = {}
    for module in modules:
        for path in (module.object, *module.members):
            names.setdefault(path, set()).add(module_name(module.object))
    return {path: tuple(sorted(found)) for path, found in names.items()}


def attribute(
    symbols: SymbolTable,
    pieces: Iterable[Piece],
    modules: Iterable[Module],
    boundary: Mapping[tuple[int, str], str | None],
) -> Owners:
    """Attribute the text symbols of an image to modules.

    boundary: symbols, as (address, name), that belong to an object whatever lies at their address, or (None) to nobody
    Symbols with other letters than those of text, and symbols outside executable sections, belong to nobody.
    """
    of_objects = lists_of_objects(modules)
    lists: dict[ModuleList, int] = {(): 0}
    paths = {"": 0}

    def numbers(path: str | None) -> tuple[int, int]:
        """The number of an object's list, and the object's own number."""
        found = of_objects.get(path, ()) if path is not None else ()
        return lists.setdefault(found, len(lists)), paths.setdefault(path or "", len(paths))

    text = np.isin(np.frombuffer(symbols.types, np.uint8), np.frombuffer(TEXT_LETTERS, np.uint8))
    ordered = sorted(pieces, key=lambda piece: (piece.start, piece.end))
    begin = np.array([piece.start for piece in ordered], np.uint64)
    end = np.array([piece.end for piece in ordered], np.uint64)
    sections = _sections(symbols, text, begin, end)
    inside = _position(symbols.addresses, sections[:, 0], sections[:, 1])
    section = _position(begin, sections[:, 0], sections[:, 1])
    wanted = np.flatnonzero(section >= 0)
    of_pieces = np.array([numbers(ordered[index].path) for index in wanted.tolist()], np.int64).reshape(-1, 2)
    begin, end = begin[wanted], end[wanted]
    section = section[wanted] if symbols.executable is not None else np.zeros(len(wanted), np.int64)

    of_symbols = np.zeros((len(symbols), 2), np.int64)
    place = _position(symbols.addresses, begin, end)
    known = np.flatnonzero(text & (inside >= 0) & (place >= 0))
    of_symbols[known] = of_pieces[place[known]]
    if boundary:
        at = np.isin(symbols.addresses, np.array(sorted({address for address, _ in boundary}), np.uint64))
        for index in np.flatnonzero(at & text).tolist():
            key = (int(symbols.addresses[index]), symbols.names[index].decode("utf-8", "surrogateescape"))
            if key in boundary:
                of_symbols[index] = numbers(boundary[key])
    starts, of_runs = _runs(begin, end, section, of_pieces[:, 0], np.sort(symbols.addresses))
    return Owners(tuple(lists), of_symbols[:, 0], tuple(paths), of_symbols[:, 1], starts, of_runs)


def _position(addresses: NDArray[np.uint64], begin: NDArray[np.uint64], end: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Which of the ascending, disjoint spans each address lies in, or -1."""
    place = np.searchsorted(begin, addresses, side="right") - 1
    return np.where((place >= 0) & (addresses < end[place]), place, -1) if len(begin) else np.full(len(addresses), -1)


def _sections(
    symbols: SymbolTable, text: NDArray[np.bool_], begin: NDArray[np.uint64], end: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """The (start, end) of each executable section that holds a text symbol.

    If the sections are not known, every piece that holds a symbol of letter t or T counts as one.
    """
    if symbols.executable is None:
        letters = np.frombuffer(symbols.types, np.uint8)
        spans = np.column_stack([begin, end])
        addresses = symbols.addresses[(letters == ord("t")) | (letters == ord("T"))]
    else:
        spans = np.array(symbols.executable, np.uint64).reshape(-1, 2)
        addresses = symbols.addresses[text]
    found = np.unique(_position(addresses, spans[:, 0], spans[:, 1]))
    return spans[found[found >= 0]]


def _runs(
    begin: NDArray[np.uint64],
    end: NDArray[np.uint64],
    section: NDArray[np.int64],
    of_pieces: NDArray[np.int64],
    addresses: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The fewest runs that give every byte of a piece to the piece's list, and no byte outside the pieces to any.

    A gap between two pieces of one list is padding that goes with them, if it lies in one section and no symbol begins
    in it.
    """
    quiet = np.searchsorted(addresses, end[:-1]) == np.searchsorted(addresses, begin[1:])
    padding = (quiet & (section[1:] == section[:-1])).tolist()
    runs: list[tuple[int, int]] = []
    reach, current = 0, 0
    for index, (start, stop, value) in enumerate(zip(begin.tolist(), end.tolist(), of_pieces.tolist(), strict=True)):
        if stop <= reach:
            continue
        start = max(start, reach)
        if value == current and (start == reach or value == 0 or padding[index - 1]):
            reach = stop
            continue
        if start > reach and current:
            runs.append((reach, 0))
        if value or start == reach:
            runs.append((start, value))
        reach, current = stop, value
    if current:
        runs.append((reach, 0))
    return np.array([start for start, _ in runs], np.uint64), np.array([value for _, value in runs], np.int64)


def suffixes(owners: Owners, names: Sequence[bytes], which: NDArray[np.int64]) -> dict[int, str]:
    """What tells apart symbols of one name in one list of modules: the shortest differing ends of their objects' paths.

    names, which: the names of the text symbols in question, and their positions in the SymbolTable
    Returns, by place in `which`, the suffix of each symbol that shares its name and list with one of another object.
    """
    groups: dict[tuple[bytes, int], list[int]] = {}
    for place, key in enumerate(zip(names, owners.of_symbols[which].tolist(), strict=True)):
        groups.setdefault(key, []).append(place)
    path = owners.path_of_symbols[which].tolist()
    found: dict[int, str] = {}
    for places in groups.values():
        if len(places) == 1:
            continue
        parts = {one: tuple(reversed(owners.paths[one].split("/"))) for one in {path[place] for place in places} - {0}}
        for place in places:
            if path[place] and len(parts) > 1:
                own = parts[path[place]]
                # A whole path may be the end of another one: lib/delay.o, arch/x86/lib/delay.o.
                depth = next(
                    (d for d in range(1, len(own)) if sum(other[:d] == own[:d] for other in parts.values()) == 1),
                    len(own),
                )
                found[place] = "/".join(reversed(own[:depth]))
    return dict(sorted(found.items()))
