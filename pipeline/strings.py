"""Lists of byte strings as numpy sees them: many strings at once, without a Python step for each.

Strings hold no NUL. Order is that of strcmp and of the C locale: unsigned bytes, a prefix before what it begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def lengths(strings: Sequence[bytes]) -> NDArray[np.int64]:
    """The length of each string."""
    return np.fromiter(map(len, strings), np.int64, len(strings))


def starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of the items laid end to end begins: the sums of the `sizes` before it."""
    return np.cumsum(sizes) - sizes


def argsort(strings: Sequence[bytes], *keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The stable order by `keys`, the most significant first, and by the strings where all keys are equal.

    Eight bytes a round, as one big-endian number; a round handles only what the rounds before left tied. Kernel names sort
    five times faster so than by Python's comparison.
    """
    order = np.lexsort(keys[::-1]) if keys else np.arange(len(strings))
    fresh = np.zeros(len(strings), np.bool_)
    for key in keys:
        fresh[1:] |= key[order[1:]] != key[order[:-1]]
    group = np.cumsum(fresh)
    slots = np.flatnonzero(_tied(group))
    group = group[slots]
    involved = order[slots]  # Mostly few, where the keys are addresses: only their names are looked at.
    names = [strings[index] for index in involved.tolist()]
    size = lengths(names)
    begin = starts(size)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(b"".join(names) + bytes(8), np.uint8), 8)
    local = np.arange(len(names))
    depth = 0
    while len(slots):
        left = size[local] - depth
        word = windows[np.minimum(begin[local] + depth, len(windows) - 1)].view(">u8").ravel().astype(np.uint64)
        # The bytes that belong to the string after this one do not count.
        word &= np.where(left >= 8, ~np.uint64(0), ~(~np.uint64(0) >> (8 * np.clip(left, 0, 7)).astype(np.uint64)))
        more = left > 8
        rank = np.lexsort((more, word, group))
        local, word, more = local[rank], word[rank], more[rank]
        order[slots] = involved[local]
        fresh = np.ones(len(slots), np.bool_)
        fresh[1:] = (group[1:] != group[:-1]) | (word[1:] != word[:-1]) | (more[1:] != more[:-1])
        group = np.cumsum(fresh)
        keep = _tied(group) & more
        slots, group, local = slots[keep], group[keep], local[keep]
        depth += 8
    return order


def _tied(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which members of a sorted column have an equal neighbour."""
    tied = np.zeros(len(group), np.bool_)
    same = group[1:] == group[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    return tied
