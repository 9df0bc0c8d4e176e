"""Symbols of ELF files against `nm -n` and `nm -nS` of binutils.

That is done natively and for three other word sizes and byte orders. Damaged files and malformed text must give
the right message.
"""

import contextlib
import os
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_kit import TARGETS, table

from kallmodsyms import elf, strings, symbols
from kallmodsyms.errors import InputError

# Every kind of symbol that C can make; `weak_data` and `weak_code` have letters of their own, `common` has no address
# in the object.
SOURCE_C = """
int initialised = 1; int zero; const int constant = 2; static int local_zero[4]; int common __attribute__((common));
int weak_data __attribute__((weak)); int in_section __attribute__((section(".init.data"))) = 3;
extern int undefined_data __attribute__((weak)); extern void undefined_code(void) __attribute__((weak));
extern int missing;
_Thread_local int thread = 1;
static int __attribute__((noinline)) same(int x) { return x + local_zero[1]; }
void weak_code(void) __attribute__((weak)); void weak_code(void) { local_zero[0]++; }
void alias(void) __attribute__((alias("weak_code")));
int __attribute__((section(".init.text"))) init(int x)
{ if (undefined_code) undefined_code(); return same(x) + missing + (&undefined_data ? undefined_data : 0) + thread; }
int _start(int x) { return init(x) + constant; }
"""

# Sections by name and by flags, absolute symbols, one address for many names, names that are prefixes of each other at
# eight bytes.
SOURCE_S = "".join(
    f'.section "{name}","{flags}",%{kind}\nS_{number}:\n.globl G_{number}\nG_{number}: .byte 0\n'
    for number, (name, flags, kind) in enumerate(
        (f"{name}{'' if kind == 'progbits' else '.z'}{flags}", flags, kind)
        for name in (
            ".odd",
            ".pdata.",
            ".idata$",
            ".edataX",
            ".debug_",
            ".line",
            ".zdebug_",
            ".drectve.",
            ".note.x",
            "plain",
        )
        for flags in ("", "a", "aw", "ax", "awx", "w")
        for kind in ("progbits", "nobits")
    )
) + (
    ".text\n"
    + "".join(
        f"{name}:\n"
        for name in ("bb", "aaaaaaaab", "aaaaaaaa", "aaaaaaaaa", "_b", "aaaaaaaaaaaaaaaaz", "aaaaaaaaaaaaaaaa", "A")
    )
    + ".globl absolute\nabsolute = 0x1234\nlocal_absolute = 7\n"
)


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: f"{target.bits}-{target.byteorder}")
def objects(request, tmp_path_factory):
    """Objects, a partly linked one and an executable of one target."""
    target, directory = request.param, tmp_path_factory.mktemp("objects")
    (directory / "c.c").write_text(SOURCE_C)
    (directory / "s.s").write_text(SOURCE_S)
    cc = f"{target.prefix}gcc"
    run = lambda *command: subprocess.run(command, check=True, cwd=directory)  # noqa: E731
    run(cc, "-O1", "-ffunction-sections", "-c", "c.c")
    run(f"{target.prefix}as", "-o", "s.o", "s.s")
    run(f"{target.prefix}ld", "-r", "-o", "r.o", "c.o", "s.o")
    run(cc, "-nostdlib", "-static", "-o", "exe", "c.o", "-Wl,--defsym=missing=8,--no-warnings")
    files = [directory / name for name in ("c.o", "s.o", "r.o", "exe")]
    if target.bits == 32 and target.byteorder == "little":
        run(cc, "-O1", "-mthumb", "-c", "-o", "thumb.o", "c.c")
        files.append(directory / "thumb.o")
    return target, files


@pytest.mark.parametrize("sizes", [False, True], ids=["-n", "-nS"])
def test_equal_to_nm(objects, sizes):
    target, files = objects
    for path in files:
        command = [f"{target.prefix}nm", "-nS" if sizes else "-n", path]
        expected = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
        found = symbols.read(path)
        assert found.nm(sizes) == expected, path
        assert (found.bits, found.byteorder) == (target.bits, target.byteorder)
        assert {int(a) for a, letter in zip(found.addresses, found.types, strict=True) if letter in b"Uwv"} <= {0}


@pytest.mark.parametrize("sizes", [False, True], ids=["-n", "-nS"])
def test_text_of_nm_read_back(objects, sizes, tmp_path):
    target, files = objects
    for path in files:
        text = symbols.read(path).nm(sizes)
        (tmp_path / "map").write_bytes(text)
        found = symbols.read(tmp_path / "map")
        assert found.nm(sizes) == text
        assert (found.bits, found.types) == (target.bits, symbols.read(path).types)
        assert found.addresses.tolist() == symbols.read(path).addresses.tolist()
        assert found.executable is None and found.byteorder is None
        assert (found.sizes is not None) == (
            sizes and path.name != "s.o"
        )  # Where nothing has a size, -S prints nothing.


def test_executable_sections_are_those_of_readelf(objects):
    _, files = objects
    path = files[3]
    lines = subprocess.run(["readelf", "-SW", path], capture_output=True, check=True, text=True).stdout.splitlines()
    fields = [line.partition("]")[2].split() for line in lines if line.startswith("  [")]
    expected = sorted(
        (int(f[2], 16), int(f[2], 16) + int(f[4], 16)) for f in fields if len(f) > 6 and "AX" in f[6] and int(f[4], 16)
    )
    assert expected and symbols.read(path).executable == tuple(expected)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"ffffffff81000000 T _text\nffffffff81000010 T\n", 2),
        (b"T _text\n", 1),
        (b"xyz T _text\n", 1),
        (b"ffffffff81000000 T _text\n\nffffffff81000010 t b\n", 2),
        (b"ffffffff81000000 zz T _text\n", 1),
        (b"ffffffff81000000\xff\n", 1),
    ],
)
def test_malformed_line(tmp_path, text, line):
    (tmp_path / "bad.map").write_bytes(text)
    with pytest.raises(InputError) as caught:
        symbols.read(tmp_path / "bad.map")
    assert str(caught.value).startswith(f"{tmp_path / 'bad.map'}:{line}: is not a line of nm")


@pytest.mark.parametrize(
    ("text", "bits", "addresses"),
    [
        (b"0 T a\n", 32, [0]),
        (b"ffffffff T a\n", 32, [2**32 - 1]),
        (b"100000000 T a\n", 64, [2**32]),
        (b"         U u\n00000010 T a\n", 32, [0, 16]),
        (b"                 U u\nffffffffffffffff T a\n", 64, [0, 2**64 - 1]),
    ],
)
def test_digits_tell_the_word_size(tmp_path, text, bits, addresses):
    (tmp_path / "map").write_bytes(text)
    found = symbols.read(tmp_path / "map")
    assert (found.bits, found.addresses.tolist()) == (bits, addresses)


def test_empty_text_has_no_symbols(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert len(symbols.read(tmp_path / "empty")) == 0


def test_stripped_file(objects, tmp_path):
    target, files = objects
    subprocess.run([f"{target.prefix}strip", "-o", tmp_path / "stripped", files[3]], check=True)
    with pytest.raises(InputError, match="has no symbol table"):
        symbols.read(tmp_path / "stripped")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        symbols.read(tmp_path / "nowhere")


def test_truncated_file_names_what_and_where(objects, tmp_path):
    data = objects[1][0].read_bytes()
    messages = set()
    for size in range(4, len(data), 101):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(InputError) as caught:
            symbols.read(tmp_path / "cut")
        assert caught.value.path == str(tmp_path / "cut")
        messages.add(caught.value.message.partition(":")[0])
    assert "section headers" in messages


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_file_is_read_or_refused(objects, tmp_path_factory, data):
    """No exception but InputError, whatever bytes change."""
    original = objects[1][0].read_bytes()
    damaged = bytearray(original)
    places = st.one_of(
        st.integers(0, 63), st.integers(0, len(original) - 1), st.integers(len(original) - 1500, len(original) - 1)
    )
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(places)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.o"
    path.write_bytes(damaged)
    with contextlib.suppress(InputError):
        symbols.read(path).nm(True)


def test_bytes_at_an_address(objects):
    target, files = objects
    image = elf.Elf(files[3])
    found = symbols.from_elf(image)
    at = int(found.addresses[found.names.index(b"initialised")])
    assert image.words_at(at, 1, 4).tolist() == [1]
    assert image.bytes_at(at, 4) == (1).to_bytes(4, target.byteorder)
    zero = int(found.addresses[found.names.index(b"zero")])
    assert image.bytes_at(zero, 4) == bytes(4)
    with pytest.raises(InputError, match="no section holds 4 bytes at address 0x1"):
        image.bytes_at(1, 4)


names = st.lists(
    st.binary(max_size=30).map(lambda name: name.replace(b"\0", b"a")) | st.text("ab", max_size=20).map(str.encode),
    max_size=40,
)


@given(names)
def test_argsort_is_the_order_of_bytes(items):
    assert strings.argsort(items).tolist() == sorted(range(len(items)), key=items.__getitem__)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 2), st.text("ab", max_size=10).map(str.encode)
        )
    )
)
def test_argsort_by_keys_first(rows):
    keys = [np.array([row[column] for row in rows], np.uint64) for column in range(2)]
    assert strings.argsort([row[2] for row in rows], *keys).tolist() == sorted(range(len(rows)), key=rows.__getitem__)


@given(
    names,
    st.binary(min_size=1, max_size=20).map(lambda part: part.replace(b"\0", b"a"))
    | st.text("ab", min_size=1).map(str.encode),
)
def test_beginnings_and_ends(items, part):
    flat = strings.Strings(items)
    assert flat.beginning(part).tolist() == [index for index, item in enumerate(items) if item.startswith(part)]
    assert flat.ending(part).tolist() == [index for index, item in enumerate(items) if item.endswith(part)]


def test_nm_text_of_a_table():
    rows = [(0, "U", "missing"), (0x10, "T", "a", 4), (0x20, "t", "b")]
    assert (
        table(rows).nm(True)
        == b"                 U missing\n0000000000000010 0000000000000004 T a\n0000000000000020 t b\n"
    )
    assert table(rows, TARGETS[1]).nm() == b"         U missing\n00000010 T a\n00000020 t b\n"
