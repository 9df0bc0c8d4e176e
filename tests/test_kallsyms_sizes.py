"""The codes of symbol sizes, against docs/design.md ("Sizes") read symbol by symbol, and against binutils' ULEB128."""

import subprocess

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kallmodsyms.kallsyms import sizes


def encode(rows):
    """Of (address, absolute, size) rows: the codes, and where that of every 256th is."""
    codes, markers = bytearray(), []
    for index, (address, absolute, size) in enumerate(rows):
        if index % 256 == 0:
            markers.append(len(codes))
        higher = next((row for row in rows[index:] if row[0] > address), None)
        gap = higher[0] - address - size if higher is not None and higher[1] == absolute else -1
        if not size:
            codes.append(255)
        elif 0 <= gap <= 253:
            codes.append(gap)
        else:
            codes.append(254)
            digits = [size >> shift & 0x7F for shift in range(0, size.bit_length(), 7)]
            codes += bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])
    return bytes(codes), markers


def columns(rows):
    return (
        np.array([row[0] for row in rows], np.uint64),
        np.array([row[1] for row in rows], np.bool_),
        np.array([row[2] for row in rows], np.uint64),
    )


def decode(rows, codes, markers):
    addresses, absolute, _ = columns(rows)
    return sizes.decode(addresses, absolute, bytes(codes), np.array(markers, np.uint32)).tolist()


GAPS = st.sampled_from([0, 0, 1, 2, 16, 64, 254, 255, 256, 300, 2**31])
SIZES = st.sampled_from([0, 1, 2, 15, 16, 17, 64, 127, 128, 253, 254, 255, 300, 16383, 16384, 2**63, 2**64 - 1])
ROWS = st.lists(st.tuples(GAPS, st.booleans(), SIZES | st.integers(0, 2**64 - 1)), max_size=40)


@given(ROWS)
@example([(16, False, 16 - gap) for gap in (0, 1, 15, 16)] + [(0, False, 2**64 - 1)])
@example([(300, False, 300 - gap) for gap in (252, 253, 254, 255, 256)])
@example([(300, False, size) for size in range(1, 290, 7)] * 20)
def test_codes_are_those_of_the_document(steps):
    """Each step's gap is to the symbol that follows, so that a size near it is near the limits of a code."""
    rows, address = [], 0
    for gap, absolute, size in steps:
        rows.append((address, absolute, size))
        address += gap
    rows.append((address, False, 1))
    coded = sizes.encode(*columns(rows))
    assert (coded.codes.tobytes(), coded.markers.tolist()) == encode(rows)
    assert decode(rows, coded.codes, coded.markers) == [size for _, _, size in rows]


def test_no_symbols():
    coded = sizes.encode(*columns([]))
    assert (len(coded.codes), len(coded.markers)) == (0, 0) and decode([], b"", []) == []


def test_size_codes():
    """The example of docs/design.md: padding, no size, an overlap, and a neighbour that does not move along."""
    rows = [(0x1000, False, 0x1D), (0x1020, False, 0), (0x1040, False, 0x500), (0x1040, False, 0x10)]
    coded = sizes.encode(*columns([*rows, (0x1050, False, 0x10), (0x1060, True, 3)]))
    assert coded.codes.tolist() == [3, 255, 254, 0x80, 0x0A, 0, 254, 0x10, 254, 3] and coded.markers.tolist() == [0]


def test_numbers_are_those_of_the_assembler(tmp_path):
    numbers = [1, 0x7F, 0x80, 0xFF, 0x3FFF, 0x4000, 2**63, 2**64 - 1]
    (tmp_path / "n.s").write_text("".join(f".uleb128 {number}\n" for number in numbers))
    subprocess.run(["as", "-o", tmp_path / "n.o", tmp_path / "n.s"], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", tmp_path / "n.o", tmp_path / "n"], check=True)
    coded = sizes.encode(*columns([(0x1000, False, number) for number in numbers]))
    expected = (tmp_path / "n").read_bytes().rstrip(b"\0")  # the assembler fills the section up
    assert coded.codes.tobytes().replace(b"\xfe", b"") == expected.replace(b"\xfe", b"")


TWO = [(0x1000, False, 0), (0x1010, False, 0)]


@pytest.mark.parametrize(
    ("codes", "markers", "message"),
    [
        ([255, 255], [], "0 markers for 2 symbols"),
        ([255, 255], [0, 1], "2 markers for 2 symbols"),
        ([255, 255], [1], "marker 0 says 0x1, the code is at offset 0x0"),
        ([255], [0], "no code for symbol 1 at offset 0x1"),
        ([], [0], "no code for symbol 0 at offset 0x0"),
        ([255, 255, 255, 1], [0], "2 bytes are left at offset 0x2"),
        ([17, 255], [0], "symbol 0 would end before it begins, at offset 0x0"),
        ([255, 1], [0], "symbol 1 would end before it begins, at offset 0x1"),
        ([255, 254], [0], "a number does not end at offset 0x2"),
        ([255, 254, 0x80], [0], "a number does not end at offset 0x3"),
        ([255, 254, *[0x80] * 10, 0], [0], "a number does not end at offset 0xc"),
    ],
)
def test_what_is_wrong_with_codes(codes, markers, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        decode(TWO, codes, markers)


def test_the_limits_of_codes():
    """A code as large as the room, which we do not write; a number of ten bytes, of which 64 bits count."""
    assert decode(TWO, [16, 254, *[0xFF] * 9, 0x7F], [0]) == [0, 2**64 - 1]
    assert decode(TWO, [254, *[0x80] * 9, 1, 255], [0]) == [2**63, 0]


def test_markers_are_compared_with_where_each_code_is():
    rows = [(16 * number, False, 300 * (number == 7)) for number in range(600)]
    codes, markers = encode(rows)
    assert markers == [0, 258, 514] and decode(rows, codes, markers) == [size for _, _, size in rows]
    with pytest.raises(ValueError, match=r"^marker 2 says 0x203, the code is at offset 0x202$"):
        decode(rows, codes, [0, 258, 515])
