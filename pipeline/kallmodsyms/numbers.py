"""Numbers of facts, as bytes in a ledger: what a step saw in, and out of it again; and those that are known to hold.

    0 0 0 0, then a 32-bit word a number, in any order      for a few numbers among many: a directory and its symbols
    1 0 0 0, then a bit a number, from 0 on                 for many: an object, its headers and its symbols

The shorter form is taken. Words are in this machine's byte order, as all of a ledger is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

_FEW = 40
_WORDS, _BITS = bytes([0, 0, 0, 0]), bytes([1, 0, 0, 0])


def packed(numbers: Sequence[int], bits: bool = False) -> bytes:
    """These numbers as bytes; `bits` asks for the second form.

    >>> list(packed([3])), list(packed([1, 2, 0, 9, 4]))
    ([1, 0, 0, 0, 8], [1, 0, 0, 0, 23, 2])
    """
    size = max(numbers, default=0) // 8 + 1
    if not bits and 4 * len(numbers) < size:
        return _WORDS + array("I", numbers).tobytes()
    found = bytearray(size)
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return _BITS + found


def unpacked(data: bytes) -> Iterable[int]:
    """The numbers in these bytes; those of the second form come in ascending order.

    >>> [list(unpacked(packed(some))) for some in ([], [70000, 3], [9, 4])]
    [[], [70000, 3], [4, 9]]
    """
    if data[0] == _WORDS[0]:
        return memoryview(data)[4:].cast("I")
    return _ones(int.from_bytes(data[4:], "little"))


class Known:
    """A set of numbers that grows, and is quick to tell which of others it lacks."""

    def __init__(self) -> None:
        self._set: set[int] = set()
        self._bits = 0
        self._pending: list[int] = []  # not yet in the bits: one by one they would cost more than all else

    def update(self, numbers: Sequence[int]) -> None:
        self._set.update(numbers)
        self._pending += numbers

    def clear(self) -> None:
        self._set.clear()
        self._pending.clear()
        self._bits = 0

    def lacks(self, data: bytes) -> Sequence[int]:
        """Those of the packed numbers that are not in the set."""
        if data[0] == _WORDS[0]:
            words = memoryview(data)[4:].cast("I")
            return () if self._set.issuperset(words) else [number for number in words if number not in self._set]
        if self._pending:
            self._bits |= int.from_bytes(packed(self._pending, bits=True)[4:], "little")
            self._pending.clear()
        rest = int.from_bytes(data[4:], "little") & ~self._bits
        return _ones(rest) if rest else ()


def _ones(bits: int) -> list[int]:
    """The numbers of the bits that are 1."""
    found = []
    if bits.bit_count() < _FEW:
        while bits:
            lowest = bits & -bits
            found.append(lowest.bit_length() - 1)
            bits ^= lowest
        return found
    for place, byte in enumerate(bits.to_bytes(bits.bit_length() // 8 + 1, "little")):
        if byte:
            found += [place * 8 + bit for bit in range(8) if byte >> bit & 1]
    return found
