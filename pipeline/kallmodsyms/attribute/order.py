"""Things of which some are known by name, in the order of the link, enter; the object of each one leaves.

A linker goes through its objects once for each pattern of its script. What it makes of them, be it units of debug data,
names of files or the functions of a section, is in the order of the objects, so that what is known says between which
objects the rest is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

RESET = 8
"""How many known symbols must be out of order before another part of a section is taken to begin there: the linker
begins anew with the first object for .text.unlikely, say.
"""


def matched(found: Sequence[str], objects: Sequence[str]) -> list[int | None]:
    """For each name in `found`, the position of the object of that name: those in order, as many as possible; then
    those of a name that occurs once; then what is alone between two neighbours that are known.

    >>> matched(["a", "x", "c", "d"], ["a", "b", "c", "d"])
    [0, 1, 2, 3]
    >>> matched(["a", "x", "y", "c", "z"], ["a", "b", "c"])
    [0, None, None, 2, None]
    """
    result: list[int | None] = [None] * len(found)
    blocks = SequenceMatcher(None, found, objects, autojunk=False).get_matching_blocks()
    for here, there, size in blocks:
        result[here : here + size] = range(there, there + size)
    ours, theirs = Counter(found), Counter(objects)
    place = {name: index for index, name in enumerate(objects)}
    used = set(result)
    for index, name in enumerate(found):
        if result[index] is None and ours[name] == theirs[name] == 1 and place[name] not in used:
            result[index] = place[name]
    used = set(result)
    end, stop = 0, 0
    for here, there, size in blocks:
        unknown = [index for index in range(end, here) if result[index] is None]
        free = [index for index in range(stop, there) if index not in used]
        # Behind the last block is what only the link takes: there, nothing follows from the order.
        if size and len(unknown) == len(free):
            for index, position in zip(unknown, free, strict=True):
                result[index] = position
        end, stop = here + size, there + size
    return result


def chain(positions: Sequence[int]) -> list[int]:
    """The most of `positions` that can be kept so that they never descend, but for jumps back that cost RESET each: for
    each of them the number of its stretch, or -1 where it is left out.

    >>> chain([1, 2, 9, 3, 4])
    [0, 0, -1, 0, 0]
    """
    best_below = _Highest(max(positions, default=0) + 1)
    overall = (0, -1)
    scores: list[int] = []
    before: list[int] = []
    for index, position in enumerate(positions):
        score, last = best_below.up_to(position)
        if overall[0] - RESET > score:
            score, last = overall[0] - RESET, overall[1]
        scores.append(score + 1)
        before.append(last)
        best_below.put(position, (score + 1, index))
        overall = max(overall, (score + 1, index))
    kept: list[int] = []
    at = overall[1]
    while at >= 0:
        kept.append(at)
        at = before[at]
    result, stretch, previous = [-1] * len(positions), 0, -1
    for index in reversed(kept):
        if previous >= 0 and positions[index] < positions[previous]:
            stretch += 1
        result[index], previous = stretch, index
    return result


class _Highest:
    """The highest value put at a position up to a given one: a Fenwick tree."""

    def __init__(self, size: int) -> None:
        self._values = [(0, -1)] * (size + 1)

    def put(self, position: int, value: tuple[int, int]) -> None:
        at = position + 1
        while at < len(self._values):
            self._values[at] = max(self._values[at], value)
            at += at & -at

    def up_to(self, position: int) -> tuple[int, int]:
        at, found = position + 1, (0, -1)
        while at:
            found = max(found, self._values[at])
            at -= at & -at
        return found


Span = tuple[int, int]
"""The first and the last of the objects that something may be of: positions in the link order."""


def placed(candidates: Sequence[Sequence[int]], sections: Sequence[int]) -> list[Span | None]:
    """Between which objects each symbol, by address, is; None where nothing is known.

    candidates: the objects that each may be of, ascending; none where nothing is known
    sections: in which section each one is

    One candidate is believed as far as the order agrees; then the span is of one object. Of several, the one that lies
    between the objects of the neighbours is taken. All else is between its neighbours' objects.
    """
    believed: dict[int, int] = {index: found[0] for index, found in enumerate(candidates) if len(found) == 1}
    stretches: dict[int, int] = {}
    for _ in range(4):
        known = sorted(believed)
        kept = chain([believed[index] for index in known])
        stretches = {index: stretch for index, stretch in zip(known, kept, strict=True) if stretch >= 0}
        believed = {index: believed[index] for index in stretches}
        new: dict[int, int] = {}
        for first, last in _between(stretches, sections):
            low, high = believed[first], believed[last]
            for index in range(first + 1, last):
                fitting = _within(candidates[index], low, high)
                if len(fitting) == 1:
                    new[index] = fitting[0]
        if not new:
            break
        believed |= new
    result: list[Span | None] = [None] * len(candidates)
    for index in stretches:
        result[index] = (believed[index], believed[index])
    for first, last in _between(stretches, sections):
        result[first + 1 : last] = [(believed[first], believed[last])] * (last - first - 1)
    return result


def _within(candidates: Sequence[int], low: int, high: int) -> Sequence[int]:
    first = bisect_right(candidates, low - 1)
    return candidates[first : bisect_right(candidates, high)]


def _between(stretches: dict[int, int], sections: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbours in one stretch and one section between which there are symbols."""
    known = list(stretches)
    return [
        (first, last)
        for first, last in pairwise(known)
        if last > first + 1 and stretches[first] == stretches[last] and sections[first] == sections[last]
    ]
