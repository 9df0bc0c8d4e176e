"""What the series' tables say of a kernel, beside what is so: `Kallsyms` and `Encoded` enter; a `Kallsyms` as the
series' kernel would show it, and the symbols where the two differ, leave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.kallsyms.owners import lists_of_objects
from kallmodsyms.linkmap import Piece
from kallmodsyms.names import TEXT_LETTERS, Module, ModuleList
from kallmodsyms.series.encoding import Encoded

MISSED, INVENTED, OTHER = "missed", "invented", "another list"

NO_TEXT = "no text: data, a marker"
OUTSIDE = "no entry: outside of _stext to _etext and _sinittext to _einittext"
LISTED = "its object is not in the list, or wrongly"
EDGE = "text at the end of an object, in a gap, or behind the last entry"


@dataclass(frozen=True)
class Verdict:
    """right: how many symbols have modules, and the right ones
    wrong: of the others, the number by (how, why)
    """

    right: int
    wrong: Counter[tuple[str, str]]

    def count(self, how: str) -> int:
        """How many symbols are wrong in this way."""
        return sum(number for (kind, _), number in self.wrong.items() if kind == how)


def lists(encoded: Encoded) -> list[ModuleList]:
    """The modules of each entry, by the offsets in the table of names."""
    found: list[ModuleList] = []
    for value in encoded.values.tolist():
        if not value:
            found.append(())
            continue
        start, count = (value, 1) if encoded.names[value] else (value + 2, encoded.names[value + 1])
        names = encoded.names[start:].split(b"\0", count)[:count]
        found.append(tuple(name.decode() for name in names))
    return found


def shown(ours: Kallsyms, encoded: Encoded) -> Kallsyms:
    """The symbols as the series' kernel shows them: any kind of symbol has the modules of the entry at or below it; the
    last entry is the end.
    """
    of_entries = [*lists(encoded)[:-1], ()] if len(encoded.values) else []
    numbers: dict[ModuleList, int] = {(): 0}
    of_runs = np.array([numbers.setdefault(one, len(numbers)) for one in of_entries], np.int64)
    entry = np.searchsorted(encoded.starts, ours.addresses, side="right") - 1
    of_symbols = np.append(of_runs, 0)[entry]  # before the first entry: nobody's
    return replace(ours, lists=tuple(numbers), of_symbols=of_symbols, runs=encoded.starts, of_runs=of_runs, objects={})


def judge(
    ours: Kallsyms,
    theirs: Kallsyms,
    pieces: Sequence[Piece],
    modules: Iterable[Module],
    known: Iterable[Module],
    text_ranges: Iterable[tuple[int, int]],
) -> Verdict:
    """Where the two differ.

    pieces, modules: of the image
    known: those that `theirs` knew
    """
    real, listed = lists_of_objects(modules), lists_of_objects(known)
    starts = np.array([piece.start for piece in pieces], np.uint64)
    place = np.searchsorted(starts, ours.addresses, side="right") - 1
    spans = list(text_ranges)
    right, wrong = 0, Counter[tuple[str, str]]()
    of_theirs = [tuple(sorted(one)) for one in theirs.lists]
    for index, (mine, its) in enumerate(zip(ours.of_symbols.tolist(), theirs.of_symbols.tolist(), strict=True)):
        own, said = ours.lists[mine], of_theirs[its]
        if own == said:
            right += bool(own)
            continue
        how = INVENTED if not own else OTHER if said else MISSED
        address = int(ours.addresses[index])
        piece = pieces[place[index]] if place[index] >= 0 else None
        if ours.types[index] not in TEXT_LETTERS:
            why = NO_TEXT
        elif how == MISSED and not any(first <= address <= last for first, last in spans):
            why = OUTSIDE
        elif piece is not None and address < piece.end and listed.get(piece.path) != real.get(piece.path):
            why = LISTED
        else:
            why = EDGE
        wrong[how, why] += 1
    return Verdict(right, wrong)
