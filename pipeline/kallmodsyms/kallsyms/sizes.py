"""Symbol sizes, one byte for most: addresses and sizes of a table enter, codes leave; and back.

docs/design.md, "Sizes", describes the form. Nearly every function ends a few bytes of padding before the next symbol
begins, so the padding is what is stored; a size that cannot be told in this way (the last symbol's, or that of an
object which overlaps the next one) follows as a ULEB128 number.

    address  size  next   code
    0x1000   0x1d  0x1020 3
    0x1020   0     0x1040 255
    0x1040   0x500 0x1050 254, 0x80, 0x0a
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import strings

MARKER_SPAN = 256  # Symbols from one marker to the next, those of names and those of sizes.
_EXPLICIT, _ZERO = 254, 255


@dataclass(frozen=True)
class Sizes:
    """codes: `kallsyms_size_codes`; markers: where in it the code of every 256th symbol is."""

    codes: NDArray[np.uint8]
    markers: NDArray[np.uint32]


def encode(addresses: NDArray[np.uint64], absolute: NDArray[np.bool_], sizes: NDArray[np.uint64]) -> Sizes:
    """Code the `sizes` of symbols at ascending `addresses`; `absolute` says which do not move with the image."""
    room = _room(addresses, absolute)
    fits = (sizes <= room) & (room - sizes < _EXPLICIT) & (sizes > 0)
    first = np.where(sizes == 0, _ZERO, np.where(fits, room - sizes, _EXPLICIT)).astype(np.uint8)
    explicit = np.flatnonzero(first == _EXPLICIT)
    numbers = [_uleb128(size) for size in sizes[explicit].tolist()]
    widths = np.ones(len(sizes), np.int64)
    widths[explicit] += strings.lengths(numbers)
    begin = strings.starts(widths)
    codes = np.zeros(int(widths.sum()), np.uint8)
    codes[begin] = first
    for position, number in zip(begin[explicit].tolist(), numbers, strict=True):
        codes[position + 1 : position + 1 + len(number)] = np.frombuffer(number, np.uint8)
    return Sizes(codes, begin[::MARKER_SPAN].astype(np.uint32))


def decode(
    addresses: NDArray[np.uint64], absolute: NDArray[np.bool_], codes: bytes, markers: NDArray[np.uint32]
) -> NDArray[np.uint64]:
    """The sizes of the symbols at ascending `addresses`.

    Raises ValueError, naming the offset, if there are too few codes or too many, or if they disagree with a marker.
    """
    room = _room(addresses, absolute).tolist()
    sizes = np.zeros(len(room), np.uint64)
    if len(markers) != -(-len(room) // MARKER_SPAN):
        raise ValueError(f"{len(markers)} markers for {len(room)} symbols")
    position = 0
    for index, space in enumerate(room):
        if index % MARKER_SPAN == 0 and int(markers[index // MARKER_SPAN]) != position:
            raise ValueError(
                f"marker {index // MARKER_SPAN} says {int(markers[index // MARKER_SPAN]):#x}, "
                f"the code is at offset {position:#x}"
            )
        if position >= len(codes):
            raise ValueError(f"no code for symbol {index} at offset {position:#x}")
        code = codes[position]
        position += 1
        if code == _EXPLICIT:
            shift = 0
            while True:
                if position >= len(codes) or shift > 63:
                    raise ValueError(f"a number does not end at offset {position:#x}")
                byte = codes[position]
                position += 1
                sizes[index] |= np.uint64((byte & 0x7F) << shift & 2**64 - 1)
                shift += 7
                if byte < 0x80:
                    break
        elif code != _ZERO:
            if code > space:
                raise ValueError(f"symbol {index} would end before it begins, at offset {position - 1:#x}")
            sizes[index] = space - code
    if position != len(codes):
        raise ValueError(f"{len(codes) - position} bytes are left at offset {position:#x}")
    return sizes


def _room(addresses: NDArray[np.uint64], absolute: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The distance from each symbol to the next higher address; 0 if there is none that moves with this one."""
    if not len(addresses):
        return np.zeros(0, np.uint64)
    following = np.searchsorted(addresses, addresses, side="right")
    known = following < len(addresses)
    following = np.where(known, following, 0)
    known &= absolute[following] == absolute
    return np.where(known, addresses[following] - addresses, np.uint64(0))


def _uleb128(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
