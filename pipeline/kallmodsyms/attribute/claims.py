"""What evidence says: claims of several kinds enter, best first; disjoint ones leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.attribute.order import Span
from kallmodsyms.names import ModuleList
from kallmodsyms.symbols import SymbolTable

_PADDING = 64
"""What is no farther behind a symbol than functions are aligned."""


class Claim(NamedTuple):
    """The bytes from `start` up to, but not including, `end` are of an object, as `evidence` says.

    path: the object as Kbuild names it; `[ext4]` or `[ext4 jbd2]` where only the modules are known, and `[]` where it
        is known that there are none
    evidence: the name of the rung
    """

    start: int
    end: int
    path: str
    evidence: str


def combined(rungs: Iterable[Sequence[Claim]]) -> list[Claim]:
    """The claims of all rungs, sorted and disjoint. Where two overlap, the rung that comes first has the bytes.

    >>> combined([[Claim(2, 4, "a.o", "x")], [Claim(0, 9, "b.o", "y")]])  # doctest: +NORMALIZE_WHITESPACE
    [Claim(start=0, end=2, path='b.o', evidence='y'),
     Claim(start=2, end=4, path='a.o', evidence='x'),
     Claim(start=4, end=9, path='b.o', evidence='y')]
    """
    result: list[Claim] = []
    for claims in rungs:
        result = sorted([*result, *_in_gaps(sorted(claims), result)])
    return result


def _in_gaps(claims: Iterable[Claim], taken: Sequence[Claim]) -> Iterable[Claim]:
    """What is left of sorted `claims` outside of the sorted, disjoint `taken`, and of each other."""
    at, reach = 0, 0
    for claim in claims:
        start = max(claim.start, reach)
        while at and taken[at - 1].end > start:
            at -= 1
        while start < claim.end:
            while at < len(taken) and taken[at].end <= start:
                at += 1
            limit = min(claim.end, taken[at].start) if at < len(taken) else claim.end
            if limit > start:
                yield claim._replace(start=start, end=limit)
            start = claim.end if limit == claim.end else taken[at].end
        reach = max(reach, claim.end)


def positions(claims: Sequence[Claim], addresses: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Which of the sorted, disjoint `claims` holds each address; -1 for none."""
    if not claims:
        return np.full(len(addresses), -1)
    starts = np.array([claim.start for claim in claims], np.uint64)
    ends = np.array([claim.end for claim in claims], np.uint64)
    found = np.searchsorted(starts, addresses, side="right") - 1
    return np.where((found >= 0) & (addresses < ends[found]), found, -1)


def paths(spans: Sequence[Span | None], objects: Sequence[str], lists: Mapping[str, ModuleList]) -> list[str | None]:
    """Of each span of objects its only object, or the modules that all of them belong to; None where these differ.

    objects: in link order
    lists: the modules of each object that has some
    """
    of_objects = [lists.get(path, ()) for path in objects]
    changes = [0, *accumulate(one != other for one, other in pairwise(of_objects))]
    return [
        None
        if span is None or changes[span[0]] != changes[span[1]]
        else objects[span[0]]
        if span[0] == span[1]
        else f"[{' '.join(of_objects[span[0]])}]"
        for span in spans
    ]


def of_symbols(symbols: SymbolTable, which: Sequence[int], objects: Sequence[str | None], evidence: str) -> list[Claim]:
    """Claims from objects of single symbols.

    which: text symbols of the table, ascending
    objects: the path of each of them as a claim has it, or None

    A symbol has as many bytes as its size says, and the padding behind it; without sizes, those up to the next one. Of
    several symbols at one address the largest says whose they are.
    """
    claims: list[Claim] = []
    addresses = symbols.addresses[list(which)].tolist()
    sizes = [0] * len(addresses) if symbols.sizes is None else symbols.sizes[list(which)].tolist()
    groups = [(start, list(group)) for start, group in groupby(range(len(addresses)), addresses.__getitem__)]
    for (start, group), (limit, _) in pairwise([*groups, (2**64, [])]):
        known = [index for index in group if objects[index] is not None]
        if not known:
            continue
        own = start + max(1, *(sizes[index] for index in group))
        close = limit < 2**64 if symbols.sizes is None else limit < own + _PADDING
        path = objects[max(known, key=sizes.__getitem__)]
        claims.append(Claim(start, limit if close else own, str(path), evidence))
    return claims
