"""The tables as the patch series of 2021 encodes them, and how they are read.

`THEIRS` is what the series' own scripts/kallsyms (version 7, patches 4 and 5) printed for these pieces and modules. Its
order of the modules in a list was an accident, and is sorted here, as its comment says that it should be.
"""

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_kit import TARGETS, image, link, table
from toy_kit import ROOT, Toy

from kallmodsyms import elf, kbuild, release
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader, select
from kallmodsyms.kallsyms import tables as kallsyms
from kallmodsyms.linkmap import Piece
from kallmodsyms.series import encoding, source

TEXT = 0xFFFFFFFF81000000
RULES = release.KallsymsDialect()
MODULES = [
    kbuild.Module("fs/ext4/ext4.o", ("fs/ext4/inode.o", "fs/ext4/super.o")),
    kbuild.Module("net/liquidio.o", ("net/common.o", "net/pf.o")),
    kbuild.Module("net/liquidio-vf.o", ("net/common.o", "net/vf.o")),
    kbuild.Module("net/otter.o", ("net/both.o", "net/otter.o")),
    kbuild.Module("drivers/liquidio.o", ("net/both.o",)),
    kbuild.Module("lib/crc-itu-t.o"),
    kbuild.Module("lib/argv_split.o"),
]
PIECES = [
    Piece(0x1000, 0x1100, "kernel/fork.o"),
    Piece(0x1100, 0x1200, "kernel/exit.o"),
    Piece(0x1200, 0x1280, "fs/ext4/inode.o"),
    Piece(0x1280, 0x1300, "fs/ext4/super.o"),
    Piece(0x1300, 0x1340, "fs/ext4/super.o"),
    Piece(0x1340, 0x1380, "net/common.o"),
    Piece(0x1380, 0x13C0, "net/vf.o"),
    Piece(0x13C0, 0x1400, "net/pf.o"),
    Piece(0x1400, 0x1410, "net/both.o"),
    Piece(0x1410, 0x1420, "net/otter.o"),
    Piece(0x1420, 0x1430, "kernel/fork.o"),
    Piece(0x1430, 0x1440, "lib/argv_split.o"),
    Piece(0x2000, 0x2010, "lib/crc-itu-t.o"),
    Piece(0x3000, 0x3010, "fs/ext4/super.o"),
]
RANGES = [(0x1000, 0x1430), (0x3000, 0x3010)]
THEIRS = {
    False: (
        b"\0liquidio_vf\0\0\2liquidio\0liquidio_vf\0liquidio\0ext4\0\0\2otter\0liquidio\0otter\0crc_itu_t\0ext4\0"
        b"argv_split\0",
        [0x1000, 0x1100, 0x1200, 0x1280, 0x1300, 0x1340, 0x1380, 0x13C0, 0x1400, 0x1410, 0x1420, 0x1430, 0x3000],
        [0, 0, 0x2D, 0x53, 0x53, 0xD, 0x1, 0x24, 0x32, 0x43, 0, 0x58, 0x53],
    ),
    True: (
        b"\0\0\2liquidio\0liquidio_vf\0\0\2liquidio\0otter\0ext4\0crc_itu_t\0argv_split\0",
        [0x1000, 0x1200, 0x1280, 0x1340, 0x1380, 0x13C0, 0x1400, 0x1410, 0x1420, 0x1430, 0x3000],
        [0, 0x29, 0x29, 0x1, 0xC, 0x1A, 0x18, 0x23, 0, 0x38, 0x29],
    ),
}
LISTS = {
    "fs/ext4/inode.o": ("ext4",), "fs/ext4/super.o": ("ext4",), "net/common.o": ("liquidio", "liquidio_vf"),
    "net/pf.o": ("liquidio",), "net/vf.o": ("liquidio_vf",), "net/both.o": ("liquidio", "otter"),
    "net/otter.o": ("otter",), "lib/crc-itu-t.o": ("crc_itu_t",), "lib/argv_split.o": ("argv_split",),
}  # fmt: skip


@pytest.mark.parametrize("optimize", [False, True])
def test_the_bytes_are_those_of_the_series(optimize):
    names, starts, values = THEIRS[optimize]
    found = encoding.encode(reversed(PIECES), MODULES, RANGES, optimize)
    assert (found.names, found.starts.tolist(), found.values.tolist()) == (names, starts, values)


def test_an_object_of_too_many_modules():
    modules = [kbuild.Module(f"a/m{number}.o", ("a/x.o",)) for number in range(256)]
    with pytest.raises(InputError, match=r"a/x\.o is part of 256 modules, the tables hold at most 255"):
        encoding.encode([], modules, RANGES)
    assert encoding.encode([Piece(0x1000, 0x1001, "a/x.o")], modules[:-1], RANGES).names[:3] == b"\0\0\xff"


def plain(address, pieces, spans, optimize):
    """Whose an address is to the series' reader: the piece of text that begins last at or below it, if it is not the
    last one of all.
    """
    found = [piece for piece in pieces if piece.start and any(first <= piece.start <= last for first, last in spans)]
    fused = [piece for at, piece in enumerate(found) if not (optimize and at and own(found[at - 1]) == own(piece))]
    below = [at for at, piece in enumerate(fused) if piece.start <= address]
    if not below or below[-1] == len(fused) - 1:
        return ()
    return LISTS.get(fused[below[-1]].path, ())


def own(piece):
    return piece.path if piece.path in LISTS else None


@st.composite
def images(draw):
    """Pieces with gaps between them, symbols in and between these, and two ranges of text."""
    choose = random.Random(draw(st.integers(0, 2**32)))
    position, pieces, spots = TEXT, [], [TEXT]
    for _ in range(choose.randint(0, 25)):
        size = choose.choice((1, 16, 40))
        pieces.append(Piece(position, position + size, choose.choice([*LISTS, "kernel/fork.o", "mm/slab.o"])))
        spots += [position, position + size]
        position += size + choose.choice((0, 0, 8))
    rows = [(choose.choice(spots), choose.choice("tTWd"), f"s{number}", 8) for number in range(choose.randint(0, 60))]
    ends = sorted(choose.choice(spots) for _ in range(4))
    labels = zip(("_stext", "_etext", "_sinittext", "_einittext"), ends, strict=True)
    return (
        sorted([(TEXT, "T", "_text", 0), *((address, "T", name, 0) for name, address in labels), *rows]),
        pieces,
        ends,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=images(),
    form=st.sampled_from(["text", "blob"]),
    base_relative=st.booleans(),
    percpu=st.booleans(),
    sizes=st.sampled_from(["none", "dense"]),
    optimize=st.booleans(),
)
def test_what_is_decoded_is_what_the_pieces_say(tmp_path, drawn, form, base_relative, percpu, sizes, optimize):
    rows, pieces, ends = drawn
    spans = [(ends[0], ends[1]), (ends[2], ends[3])]
    options = select.Options(all_symbols=True, base_relative=base_relative, absolute_percpu=percpu, sizes=sizes)
    found = table(rows)
    base = kallsyms.build(found, options, RULES)
    modules = encoding.encode(pieces, MODULES, encoding.text_ranges(found, RULES), optimize)
    decoded = reader.read(image(base, tmp_path, form=form, laid_out=source.layout(modules)))
    shown = {(row.name, row.address): tuple(sorted(row.modules)) for row in map(decoded.symbol, range(len(decoded)))}
    assert shown == {(row[2], row[0]): plain(row[0], pieces, spans, optimize) for row in rows}
    assert (decoded.sizes is None) == (sizes == "none")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.bits}-{target.byteorder}")
def test_other_targets(target, tmp_path):
    top = 0xC0000000 if target.bits == 32 else TEXT
    rows = [
        (top, "T", "_text", 0), (top, "T", "_stext", 0), (top + 8, "d", "data", 4), (top + 0x40, "T", "f", 4),
        (top + 0x80, "t", "g", 4), (top + 0xC0, "T", "_etext", 0),
    ]  # fmt: skip
    pieces = [Piece(top + n, top + n + 0x40, path) for n, path in ((0, "net/pf.o"), (0x40, "net/common.o"))]
    pieces += [Piece(top + 0x80, top + 0xC0, "lib/argv_split.o")]
    found = table(rows, target)
    base = kallsyms.build(found, select.Options(all_symbols=True, base_relative=True), RULES)
    modules = encoding.encode(pieces, MODULES, encoding.text_ranges(found, RULES))
    decoded = reader.read(image(base, tmp_path, target, laid_out=source.layout(modules)))
    assert [(row.name, row.type, row.modules) for row in map(decoded.symbol, range(6))] == [
        ("_text", "t", ("liquidio",)), ("_stext", "t", ("liquidio",)), ("data", "d", ("liquidio",)),
        ("f", "t", ("liquidio", "liquidio_vf")), ("g", "t", ()), ("_etext", "T", ()),
    ]  # fmt: skip
    assert [len(decoded.lists[n]) for n in decoded.of_runs] == [1, 2, 0] and len(np.unique(decoded.runs)) == 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """An image with these tables, and where in the file they are."""
    rows = [(TEXT, "T", "_text", 0), (TEXT, "T", "_stext", 0), (TEXT + 0x1000, "T", "_etext", 0)]
    rows += [(TEXT + 16 * n, "t", f"f{n}", 8) for n in range(1, 200)]
    pieces = [Piece(TEXT + 16 * n, TEXT + 16 * n + 16, path) for n, path in enumerate([*LISTS, "mm/slab.o"] * 20)]
    found = table(sorted(rows))
    base = kallsyms.build(found, select.Options(all_symbols=True, base_relative=True), RULES)
    modules = encoding.encode(pieces, MODULES, encoding.text_ranges(found, RULES))
    path = image(base, tmp_path_factory.mktemp("sound"), laid_out=source.layout(modules))
    home = next(one for one in elf.Elf(path).sections if one.name == ".rodata")
    nm = subprocess.run(["nm", "-n", path], capture_output=True, text=True, check=True).stdout
    places = {name: int(address, 16) for address, _, name in map(str.split, nm.splitlines())}
    first, last = places["kallsyms_module_names"], places["kallsyms_num_syms"]
    return path.read_bytes(), first - home.address + home.offset, last - home.address + home.offset


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_tables_are_decoded_or_refused(sound, tmp_path_factory, changes):
    """No exception but InputError."""
    data, first, last = sound
    damaged = bytearray(data)
    for where, value in changes:
        damaged[first + int(where * (last - first))] = value
    path = tmp_path_factory.getbasetemp() / "damaged-series.elf"
    path.write_bytes(damaged)
    try:
        decoded = reader.read(path)
    except InputError as error:
        assert "kallsyms_" in str(error) and str(path) in str(error)
        return
    assert decoded.listing().count(b"\n") >= len(decoded)
    decoded.lookup(TEXT + 100)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    built = Toy(tmp_path_factory.mktemp("toy"))
    built.doit("vmlinux")
    return built


def run(*words, status=0):
    command = [sys.executable, "-m", "kallmodsyms", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.mark.parametrize("form", ["text", "incbin"])
def test_the_command(toy, tmp_path, form):
    """Tables of the toy: assembled and read, they say of text what ours say, but for what tells the series apart."""
    obj = toy.objdir
    files = ("--symbols", obj / "vmlinux", "--ranges", obj / ".tmp_vmlinux2.ranges", "--thick")
    made = tmp_path / "series.S"
    words = ("tables", *files, obj / "modules_thick.builtin", "--all-symbols", "--base-relative", "--absolute-percpu")
    run(*words, "--encoding", "series", "--format", form, "-o", made)
    (tmp_path / "asm").mkdir()
    (tmp_path / "asm/bitsperlong.h").write_text("#define BITS_PER_LONG 64\n")
    subprocess.run(["gcc", f"-I{tmp_path}", "-c", "-o", tmp_path / "series.o", made], check=True)
    ours = reader.read(obj / "vmlinux")
    text = next(address for name, address in zip(ours.names, ours.addresses.tolist(), strict=True) if name == b"_text")
    theirs = reader.read(link([tmp_path / "series.o"], tmp_path / "series", text))
    assert theirs.names == ours.names and theirs.addresses.tolist() == ours.addresses.tolist()
    assert theirs.sizes.tolist() == ours.sizes.tolist()
    pairs = [(ours.symbol(n), theirs.symbol(n)) for n in range(len(ours))]
    assert sum(mine.modules == its.modules != () for mine, its in pairs) > 50
    odd = {mine.name for mine, its in pairs if mine.modules != its.modules}
    # Markers on a boundary, data that follow the last text, and what is behind _etext.
    assert 0 < len(odd) < 30, odd


def test_what_the_series_does_not_have(toy):
    obj = toy.objdir
    words = ("tables", "--symbols", obj / "vmlinux", "--ranges", obj / ".tmp_vmlinux2.ranges", "--thick")
    words = (*words, obj / "modules_thick.builtin", "--encoding", "series")
    for more in (("--sizes", "compact"), ("--objects",)):
        assert run(*words, *more, status=1) == (
            "kallmodsyms: the series has neither compact sizes nor objects\n  ask for dense sizes, or for none\n"
        )


def test_text_is_what_the_series_prints(toy):
    obj = toy.objdir
    words = ("tables", "--symbols", obj / "vmlinux", "--ranges", obj / ".tmp_vmlinux2.ranges", "--thick")
    said = run(*words, obj / "modules_thick.builtin", "--encoding", "series", "--base-relative", "--sizes", "none")
    labels = [line.removesuffix(":") for line in said.splitlines() if line.endswith(":")]
    assert labels == [
        "kallsyms_offsets", "kallsyms_relative_base", "kallsyms_module_names", "kallsyms_module_names_len",
        "kallsyms_module_offsets", "kallsyms_modules", "kallsyms_num_modules", "kallsyms_num_syms", "kallsyms_names",
        "kallsyms_markers", "kallsyms_seqs_of_names", "kallsyms_token_table", "kallsyms_token_index",
    ]  # fmt: skip
    assert '\t.byte\t2\n\t.asciz\t"otter"\n\t.asciz\t"otter_vf"\n' in said
