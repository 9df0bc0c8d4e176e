"""Token compression of names: many byte strings enter, 256 tokens and the coded strings leave.

The tokens are those that scripts/kallsyms chooses (6.1: optimize_token_table). Each byte value that occurs in no name,
from 255 down, comes to stand for the pair of neighbouring codes that is then the most frequent; of equally frequent
pairs, it is the one with the lower second, then the lower first code. Overlapping pairs all count; pairs are replaced
from left to right.

    names   Tabc Tabd     255 = "ab": T 255 c, T 255 d     254 = "T" 255: 254 c, 254 d

The kernel's program scans all names for each of its 180 or so tokens. Here each code keeps a list of the places where
it was written, which can only shrink, and a pair is looked for in the shorter of its two codes' lists. All names lie in
one array of cells, with a mark between them. A code that stands for several characters is written into the first and
the last of their cells, so that the neighbours of a place are found by the lengths of the codes next to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MARK = 256  # Between names, and in cells that a longer code has swallowed.
_CODES = 257
_CHUNK = 1 << 22  # Cells counted at a time; bounds the memory that counting takes.


@dataclass(frozen=True)
class Compressed:
    """tokens: what each of the 256 codes stands for, empty if it is not in use
    codes: the coded strings, end to end
    lengths: how many codes each string has
    """

    tokens: tuple[bytes, ...]
    codes: NDArray[np.uint8]
    lengths: NDArray[np.int64]


def compress(names: Sequence[bytes]) -> Compressed:
    """Code `names`, none of which holds a NUL. Their order decides nothing but the order of the result."""
    cells = (
        np.frombuffer(b"\0" + b"\0".join(names) + b"\0", np.uint8).astype(np.uint16)
        if names
        else np.zeros(1, np.uint16)
    )
    cells[cells == 0] = _MARK
    starts = np.ones(len(cells), np.bool_)
    tokens = _replace(cells, starts)
    tokens_in_order = cells[starts]
    lengths = np.diff(np.flatnonzero(tokens_in_order == _MARK)) - 1
    return Compressed(tokens, tokens_in_order[tokens_in_order != _MARK].astype(np.uint8), lengths)


def _replace(cells: NDArray[np.uint16], starts: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Replace pairs in `cells` by codes until none is left to use, and return the tokens.

    starts: which cells begin a code; kept up to date
    """
    used = np.bincount(cells, minlength=_CODES)[:_MARK] > 0
    tokens = [bytes([code]) if used[code] else b"" for code in range(256)]
    width = np.ones(_CODES, np.int64)
    pairs = _count_pairs(cells)
    places: dict[int, NDArray[np.int64]] = {}
    for code in range(255, -1, -1):
        if used[code]:
            continue
        second, first = divmod(int(np.argmax(pairs)), _CODES)
        if pairs[second, first] <= 0:
            break
        tokens[code] = tokens[first] + tokens[second]
        width[code] = width[first] + width[second]
        left = _find(cells, places, first, second, int(width[first]))
        right = left + width[first]
        end = right + width[second]
        # A pair of which the second half begins the next replaced pair is subtracted there.
        apart = np.ones(len(left), np.bool_)
        apart[:-1] = end[:-1] != left[1:]
        pairs[first, :] -= np.bincount(cells[left - 1], minlength=_CODES)
        pairs[second, first] -= len(left)
        pairs[:, second] -= np.bincount(cells[end[apart]], minlength=_CODES)
        cells[right - 1] = cells[right] = _MARK
        cells[left] = cells[end - 1] = code
        starts[right] = False
        before = cells[left - 1]
        pairs[code, :] += np.bincount(before[before != code], minlength=_CODES)
        pairs[:, code] += np.bincount(cells[end], minlength=_CODES)
        pairs[_MARK, :] = pairs[:, _MARK] = 0
        places[code] = left
    return tuple(tokens)


def _count_pairs(cells: NDArray[np.uint16]) -> NDArray[np.int64]:
    """How often each pair of neighbours occurs, by its second and then its first code; without those with a mark."""
    flat = np.zeros(_CODES * _CODES, np.int64)
    for start in range(0, len(cells) - 1, _CHUNK):
        part = cells[start : start + _CHUNK + 1].astype(np.int64)
        flat += np.bincount(part[:-1] + _CODES * part[1:], minlength=len(flat))
    pairs = flat.reshape(_CODES, _CODES)
    pairs[_MARK, :] = pairs[:, _MARK] = 0
    return pairs


def _find(
    cells: NDArray[np.uint16], places: dict[int, NDArray[np.int64]], first: int, second: int, first_width: int
) -> NDArray[np.int64]:
    """Where the pair occurs, ascending and without overlaps. Drops from `places` where its rarer code no longer is."""
    for code in (first, second):
        if code not in places:
            places[code] = np.flatnonzero(cells == code)
    shorter = min(first, second, key=lambda code: len(places[code]))
    # A place once lost never comes back: a cell gets each code at most once, when that code is made.
    places[shorter] = live = places[shorter][cells[places[shorter]] == shorter]
    if shorter == first:
        found: NDArray[np.int64] = live[cells[live + first_width] == second]
    else:
        found = live[cells[live - 1] == first] - first_width
    if first == second and len(found):
        # In a run of equal codes, every second pair is replaced.
        begins = np.ones(len(found), np.bool_)
        begins[1:] = found[1:] != found[:-1] + first_width
        position = np.arange(len(found))
        found = found[(position - np.maximum.accumulate(np.where(begins, position, 0))) % 2 == 0]
    return found
