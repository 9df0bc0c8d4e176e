"""Attribution, module tables, sizes and the reader.

What the tables of a linked image decode to is compared with a plain symbol-by-symbol reading of the same pieces and
thick list; what a damaged image gives, with the error that it must give.
"""

import dataclasses
import itertools
import random
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_kit import NATIVE, RODATA, TARGETS, assemble, image, table

from kallmodsyms import Kernel, elf, forms, questions, release, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import listing, owners, reader, select, tables
from kallmodsyms.kallsyms.select import Options
from kallmodsyms.linkmap import Piece
from kallmodsyms.names import SIZES

TEXT = 0xFFFFFFFF81000000
RULES = release.KallsymsDialect()


@dataclass(frozen=True)
class Module:
    object: str
    members: tuple = ()


MODULES = [
    Module("fs/ext4/ext4.o", ("fs/ext4/inode.o", "fs/ext4/super.o")),
    Module("drivers/net/liquidio.o", ("drivers/net/common.o", "drivers/net/pf.o")),
    Module("drivers/net/liquidio-vf.o", ("drivers/net/common.o", "drivers/net/vf.o")),
    Module("lib/crc-itu-t.o"),
    Module("lib/argv_split.o"),
]
LISTS = {
    "fs/ext4/inode.o": ("ext4",),
    "fs/ext4/super.o": ("ext4",),
    "drivers/net/common.o": ("liquidio", "liquidio_vf"),
    "drivers/net/pf.o": ("liquidio",),
    "drivers/net/vf.o": ("liquidio_vf",),
    "lib/crc-itu-t.o": ("crc_itu_t",),
    "lib/argv_split.o": ("argv_split",),
    "kernel/fork.o": (),
}


def attributed(
    rows, pieces, boundary=None, executable=((TEXT, TEXT + 0x10000),), sizes="none", target=NATIVE, **choices
):
    """Tables of `rows` with modules; the SymbolTable, the Owners, the Tables."""
    found = table(rows, target, executable=executable)
    whose = owners.attribute(found, pieces, MODULES, boundary or {})
    return found, whose, tables.build(found, Options(all_symbols=True, sizes=sizes, **choices), RULES, whose)


def runs(whose):
    starts, values = whose.starts.tolist(), whose.of_runs.tolist()
    return [(start - TEXT, whose.lists[value]) for start, value in zip(starts, values, strict=True)]


def shown(decoded):
    return [(decoded.symbol(index).name, decoded.symbol(index).modules) for index in range(len(decoded))]


def test_runs_and_lists():
    pieces = [
        Piece(TEXT, TEXT + 0x100, "kernel/fork.o"),
        Piece(TEXT + 0x100, TEXT + 0x200, "fs/ext4/inode.o"),  # fuses with the next one, over the padding
        Piece(TEXT + 0x210, TEXT + 0x300, "fs/ext4/super.o"),
        Piece(TEXT + 0x310, TEXT + 0x400, "drivers/net/common.o"),  # padding between two lists is nobody's
        Piece(TEXT + 0x400, TEXT + 0x480, "drivers/net/pf.o"),
        Piece(TEXT + 0x480, TEXT + 0x500, "lib/argv_split.o"),
        Piece(TEXT + 0x500, TEXT + 0x600, "kernel/fork.o"),
        Piece(TEXT + 0x700, TEXT + 0x800, "lib/crc-itu-t.o"),  # the last one: its end is a run too
    ]
    rows = [(piece.start, "t", f"f{number}") for number, piece in enumerate(pieces)]
    _, whose, _ = attributed(rows, pieces)
    assert runs(whose) == [
        (0x100, ("ext4",)),
        (0x300, ()),
        (0x310, ("liquidio", "liquidio_vf")),
        (0x400, ("liquidio",)),
        (0x480, ("argv_split",)),
        (0x500, ()),
        (0x700, ("crc_itu_t",)),
        (0x800, ()),
    ]
    assert [whose.lists[value] for value in whose.of_symbols.tolist()] == [LISTS[piece.path] for piece in pieces]


def test_a_gap_with_a_symbol_of_its_own_is_no_padding():
    """A veneer or a stub that the linker put between two pieces of one module is not the module's."""
    pieces = [Piece(TEXT, TEXT + 0x20, "fs/ext4/inode.o"), Piece(TEXT + 0x40, TEXT + 0x60, "fs/ext4/inode.o")]
    rows = [(TEXT, "t", "a"), (TEXT + 0x20, "t", "stub"), (TEXT + 0x40, "t", "b")]
    _, whose, made = attributed(rows, pieces)
    assert runs(whose) == [(0, ("ext4",)), (0x20, ()), (0x40, ("ext4",)), (0x60, ())]
    assert len(made.modules.exceptions) == 0


def test_pieces_that_overlap_and_pieces_at_the_lowest_address():
    """What lies inside of an earlier piece has no run of its own; a run may begin at 0."""
    pieces = [
        Piece(0, 0x20, "fs/ext4/inode.o"),
        Piece(0x10, 0x20, "lib/argv_split.o"),  # ends where the one around it does
        Piece(0x18, 0x30, "lib/crc-itu-t.o"),  # goes on behind it
    ]
    found = table([(0, "t", "a"), (0x10, "t", "b"), (0x20, "t", "c")], executable=((0, 0x100),))
    whose = owners.attribute(found, pieces, MODULES, {})
    named = [whose.lists[value] for value in whose.of_runs.tolist()]
    assert list(zip(whose.starts.tolist(), named, strict=True)) == [(0, ("ext4",)), (0x20, ("crc_itu_t",)), (0x30, ())]


def test_the_objects_of_symbols():
    """A symbol of nobody has no object, even where all symbols of a name are of one."""
    pieces = [Piece(TEXT, TEXT + 0x20, "fs/ext4/inode.o"), Piece(TEXT + 0x20, TEXT + 0x40, "lib/argv_split.o")]
    rows = [(TEXT, "t", "show"), (TEXT, "t", "mark"), (TEXT + 0x10, "t", "show"), (TEXT + 0x20, "t", "other")]
    _, whose, _ = attributed(rows, pieces, {(TEXT, "mark"): None})
    paths = [whose.paths[number] for number in whose.path_of_symbols.tolist()]
    assert paths == ["fs/ext4/inode.o", "", "fs/ext4/inode.o", "lib/argv_split.o"]
    assert owners.suffixes(whose, [b"show", b"show", b"other"], np.array([0, 2, 3])) == {}


PATHS = list(LISTS)
LAYOUTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 3]),  # bytes of gap before
        st.sampled_from([1, 1, 2, 4]),  # bytes of the piece
        st.sampled_from(PATHS),
        st.sampled_from([None, None, 0, 1, 2]),  # where in the gap a symbol begins
        st.booleans(),  # whether a section begins here
    ),
    min_size=1,
    max_size=8,
)


@given(LAYOUTS)
@settings(max_examples=400, deadline=None)
def test_runs_say_of_each_byte_what_its_piece_or_its_padding_says(layout):
    """Against the definition, byte by byte; and not one run more than there are changes."""
    pieces, rows, sections, expected = [], [], [], []
    at = TEXT
    for gap, size, path, symbol, begins in layout:
        if begins or not sections:
            sections.append((at + gap, at + gap + size))
        quiet = not begins and symbol is None
        if symbol is not None and symbol < gap:
            rows.append((at + symbol, "t", f"stub{at}"))
        elif symbol is not None:
            quiet = not begins
        same = bool(pieces) and LISTS[pieces[-1].path] == LISTS[path] and quiet
        expected += [LISTS[path] if same else ()] * gap
        at += gap
        pieces.append(Piece(at, at + size, path))
        rows.append((at, "t", f"f{at}"))
        expected += [LISTS[path]] * size
        at += size
        sections[-1] = (sections[-1][0], at)
    _, whose, _ = attributed(sorted(rows), pieces, executable=tuple(sections))
    found, changes = runs(whose), 0
    told = []
    for (start, modules), (end, _) in itertools.pairwise([*found, (at - TEXT, ())]):
        told += [modules] * (end - start)
    before = [()] * (found[0][0] if found else at - TEXT)
    assert before + told + [()] * (at - TEXT - len(before) - len(told)) == expected
    changes = sum(one != other for one, other in itertools.pairwise([(), *expected, ()]))
    assert all(one != other for (_, one), (_, other) in itertools.pairwise([(0, ()), *found]))
    assert len(found) == changes and (not found or found[-1][1] == ())


def test_sections_without_text_symbols_have_no_runs():
    """.altinstr_replacement is executable and has no symbols; data has symbols and is not executable."""
    sections = ((TEXT, TEXT + 0x100), (TEXT + 0x200, TEXT + 0x300))
    pieces = [Piece(TEXT + at, TEXT + at + 0x40, "fs/ext4/inode.o") for at in (0, 0x200, 0x400)]
    rows = [(TEXT, "t", "code"), (TEXT + 0x400, "d", "data"), (TEXT + 0x404, "W", "weak_data")]
    _, whose, made = attributed(rows, pieces, executable=sections)
    assert runs(whose) == [(0, ("ext4",)), (0x40, ())]
    assert whose.of_symbols.tolist() == [1, 0, 0] and len(made.modules.exceptions) == 0


def test_two_sections_are_not_fused():
    sections = ((TEXT, TEXT + 0x40), (TEXT + 0x1000, TEXT + 0x1040))
    pieces = [Piece(start, end, "fs/ext4/inode.o") for start, end in sections]
    _, whose, _ = attributed([(TEXT, "t", "a"), (TEXT + 0x1000, "t", "init")], pieces, executable=sections)
    assert runs(whose) == [(0, ("ext4",)), (0x40, ()), (0x1000, ("ext4",)), (0x1040, ())]


def test_boundaries_are_exceptions(tmp_path):
    """A marker of the linker script on a module's first byte; a label at an object's end, where the next one begins."""
    pieces = [Piece(TEXT, TEXT + 0x20, "fs/ext4/inode.o"), Piece(TEXT + 0x20, TEXT + 0x40, "lib/crc-itu-t.o")]
    rows = [
        (TEXT, "T", "__start"),
        (TEXT, "T", "a"),
        (TEXT + 0x20, "t", "b"),
        (TEXT + 0x20, "t", "end_of_a"),
        (TEXT + 0x40, "T", "_etext"),
    ]
    boundary = {
        (TEXT, "__start"): None,
        (TEXT + 0x20, "end_of_a"): "fs/ext4/inode.o",
        (TEXT + 0x40, "_etext"): None,
        (TEXT, "absent"): None,
    }
    for form in ("text", "blob"):
        _, whose, made = attributed(rows, pieces, boundary, base_relative=True)
        assert made.modules.exceptions.tolist() == [[1, 0], [3, tables.module_names(whose.lists)[1]["ext4",]]]
        decoded = reader.read(image(made, tmp_path / form, NATIVE, form))
        assert shown(decoded) == [
            ("a", ("ext4",)),
            ("__start", ()),
            ("b", ("crc_itu_t",)),
            ("end_of_a", ("ext4",)),
            ("_etext", ()),
        ]


def test_text_of_nm_says_no_sections():
    """Pieces that hold code are told by the letters of the symbols."""
    pieces = [
        Piece(TEXT, TEXT + 0x40, "fs/ext4/inode.o"),
        Piece(TEXT + 0x40, TEXT + 0x80, "fs/ext4/super.o"),
        Piece(TEXT + 0x1000, TEXT + 0x1040, "fs/ext4/inode.o"),
    ]
    rows = [(TEXT, "t", "a"), (TEXT + 0x40, "T", "b"), (TEXT + 0x1000, "d", "data")]
    _, whose, _ = attributed(rows, pieces, executable=None)
    assert runs(whose) == [(0, ("ext4",)), (0x80, ())]


@pytest.mark.parametrize(
    ("lists", "names", "offsets"),
    [
        ([], b"\0", {(): 0}),
        ([("a",), (), ("b",), ("a",)], b"\0a\0b\0", {(): 0, ("a",): 1, ("b",): 3}),
        # A single name points into the list that has it; each list and name occurs once.
        ([("b",), ("a", "b"), ("c",)], b"\0\0\2a\0b\0c\0", {(): 0, ("a", "b"): 1, ("a",): 3, ("b",): 5, ("c",): 7}),
        (
            [("a", "b"), ("a", "c")],
            b"\0\0\2a\0b\0\0\2a\0c\0",
            {(): 0, ("a", "b"): 1, ("a",): 3, ("b",): 5, ("a", "c"): 7, ("c",): 11},
        ),
    ],
)  # fmt: skip
def test_module_names(lists, names, offsets):
    assert tables.module_names(lists) == (names, offsets)


def test_a_list_too_long_for_its_count():
    with pytest.raises(InputError, match="256 modules, the tables hold at most 255"):
        tables.module_names([tuple(f"m{number:03}" for number in range(256))])
    assert tables.module_names([tuple(f"m{number:03}" for number in range(255))])[0][1:3] == b"\0\xff"


def plain_owner(row, pieces, boundary, executable):
    """The modules of a symbol, by looking at every piece."""
    address, letter, name = row[:3]
    if letter not in "tTwW":
        return ()
    if (address, name) in boundary:
        return LISTS.get(boundary[address, name], ())
    if not any(start <= address < end for start, end in executable):
        return ()
    return next((LISTS[piece.path] for piece in pieces if piece.start <= address < piece.end), ())


@st.composite
def images(draw):
    """Sections, pieces in them, symbols in and between the pieces, and what the link map says of some of them."""
    choose = random.Random(draw(st.integers(0, 2**32)))
    position, pieces, executable, spots = TEXT + choose.choice((0, 16)), [], [], []
    for _ in range(choose.randint(1, 3)):
        start = position
        for _ in range(choose.randint(0, 12)):
            size = choose.choice((1, 16, 40, 300))
            pieces.append(Piece(position, position + size, choose.choice(list(LISTS))))
            spots += [position, position + size - 1, position + size]
            position += size + choose.choice((0, 0, 0, 8, 100))
            spots.append(position - 1)
        if choose.random() < 0.8:
            executable.append((start, position))
        position += choose.choice((0, 4096))
    spots = spots or [TEXT]
    rows = sorted(
        (choose.choice(spots), choose.choice("tTWdDb"), f"s{number}", choose.choice((0, 1, 7, 15, 5000)))
        for number in range(choose.randint(0, 300))
    )
    boundary = {(row[0], row[2]): choose.choice([None, *LISTS]) for row in rows if choose.random() < 0.1}
    return rows, pieces, boundary, tuple(executable)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=images(),
    form=st.sampled_from(["text", "blob"]),
    base_relative=st.booleans(),
    kept=st.sampled_from(SIZES),
)
def test_decoded_image_equals_the_plain_reading(tmp_path, drawn, form, base_relative, kept):
    rows, pieces, boundary, executable = drawn
    found, whose, made = attributed(rows, pieces, boundary, executable, kept, base_relative=base_relative)
    decoded = reader.read(image(made, tmp_path, NATIVE, form))
    order = select.select(found, made.options, RULES).index.tolist()
    assert shown(decoded) == [
        (rows[index][2], plain_owner(rows[index], pieces, boundary, executable)) for index in order
    ]
    assert decoded.addresses.tolist() == [rows[index][0] for index in order]
    assert decoded.sizes is None if kept == "none" else decoded.sizes.tolist() == [rows[index][3] for index in order]

    # The runs: ascending, each different from the one before, ending with nobody; every byte of a piece has its list.
    assert whose.starts.tolist() == sorted(set(whose.starts.tolist()))
    assert all(a != b for a, b in itertools.pairwise(whose.of_runs.tolist()))
    assert not len(whose.of_runs) or (whose.of_runs[0] and not whose.of_runs[-1])
    in_text = [
        section for section in executable if any(section[0] <= row[0] < section[1] and row[1] in "tTW" for row in rows)
    ]
    for piece in pieces:
        for address in (piece.start, piece.end - 1):
            run = int(np.searchsorted(whose.starts, np.uint64(address), side="right")) - 1
            expected = LISTS[piece.path] if any(start <= address < end for start, end in in_text) else ()
            assert (whose.lists[int(whose.of_runs[run])] if run >= 0 else ()) == expected


def test_listing(tmp_path):
    """The lines of /proc/kallmodsyms and /proc/kallsyms.

    Letters of owned symbols are in lower case, and there is a tab before the first bracket.
    """
    pieces = [
        Piece(TEXT, TEXT + 0x40, "kernel/fork.o"),
        Piece(TEXT + 0x40, TEXT + 0x80, "drivers/net/common.o"),
        Piece(TEXT + 0x80, TEXT + 0x90, "fs/ext4/inode.o"),
    ]
    rows = [
        (TEXT, "T", "_text", 0),
        (TEXT, "T", "fork", 0x3A),
        (TEXT + 0x40, "T", "lio", 0x40),
        (TEXT + 0x80, "W", "weak", 0),
        (TEXT + 0x100, "D", "data", 0x1234),
    ]
    _, _, made = attributed(rows, pieces, sizes="compact", base_relative=True)
    decoded = reader.read(image(made, tmp_path))
    assert decoded.listing() == (
        b"ffffffff81000000 0 T _text\n"
        b"ffffffff81000000 3a T fork\n"
        b"ffffffff81000040 40 t lio\t[liquidio] [liquidio_vf]\n"
        b"ffffffff81000080 0 w weak\t[ext4]\n"
        b"ffffffff81000100 1234 D data\n"
    )
    assert decoded.kallsyms_listing() == (
        b"ffffffff81000000 T _text\nffffffff81000000 T fork\n"
        b"ffffffff81000040 T lio\nffffffff81000080 W weak\nffffffff81000100 D data\n"
    )


def test_objects_tell_equal_names_apart(tmp_path):
    """Symbols of one name in one list get the shortest ends of paths that differ; nothing where the modules differ."""
    paths = [
        "arch/x86/core.o",
        "x86/core.o",
        "kernel/fork.o",
        "fs/ext4/inode.o",
        "fs/ext4/super.o",
        "lib/crc-itu-t.o",
        "kernel/fork.o",
    ]
    pieces = [Piece(TEXT + 16 * number, TEXT + 16 * (number + 1), path) for number, path in enumerate(paths)]
    rows = [(piece.start, "t", "show", 4) for piece in pieces] + [
        (TEXT + 0x100, "d", "show", 4),
        (TEXT + 0x200, "t", "show", 4),
    ]
    rows.insert(5, (pieces[4].start, "t", "alone", 4))
    _, _, made = attributed(
        rows, pieces, executable=((TEXT, TEXT + 0x300),), sizes="compact", base_relative=True, objects=True
    )
    for form in ("text", "blob"):
        decoded = reader.read(image(made, tmp_path / form, NATIVE, form))
        shown = [line.split(" ", 3)[3] for line in decoded.listing().decode().splitlines()]
        assert shown == [
            "show\t{arch/x86/core.o}", "show\t{x86/core.o}", "show\t{fork.o}", "show\t[ext4] {inode.o}",
            "show\t[ext4] {super.o}", "alone\t[ext4]", "show\t[crc_itu_t]", "show\t{fork.o}", "show", "show",
        ]  # fmt: skip
        assert decoded.symbol(3).object == "inode.o" and decoded.symbol(5).object == ""
        assert list(decoded.rows()) == [decoded.symbol(index) for index in range(len(decoded))]
        assert forms.document("symbols", listing.records(decoded.rows())).splitlines()[4] == (
            f'{{"address": "{TEXT + 0x30:#x}", "size": 4, "type": "t", "name": "show", '
            '"modules": ["ext4"], "object": "inode.o"},'
        )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.bits}-{target.byteorder}")
@pytest.mark.parametrize("base_relative", [False, True])
def test_modules_of_other_targets(target, base_relative, tmp_path):
    top = 0xC0000000 if target.bits == 32 else TEXT
    pieces = [Piece(top, top + 0x40, "fs/ext4/inode.o"), Piece(top + 0x40, top + 0x80, "drivers/net/common.o")]
    rows = [
        (top, "T", "a", 0x10),
        (top + 0x40, "t", "b", 0x40),
        (top + 0x80, "t", "edge", 8),
        (top + 0x80, "T", "tail", 0),
    ]
    boundary = {(top + 0x80, "edge"): "drivers/net/pf.o"}
    _, _, made = attributed(
        rows, pieces, boundary, ((top, top + 0x100),), "compact", target, base_relative=base_relative
    )
    width = 8 if target.bits == 32 else 16
    assert reader.read(image(made, tmp_path, target)).listing().decode() == (
        f"{top:0{width}x} 10 t a\t[ext4]\n{top + 0x40:0{width}x} 40 t b\t[liquidio] [liquidio_vf]\n"
        f"{top + 0x80:0{width}x} 0 T tail\n{top + 0x80:0{width}x} 8 t edge\t[liquidio]\n"
    )


def test_absolute_percpu_symbols_stay(tmp_path):
    """Both kinds in one table, in all four encodings where they fit; a per-CPU symbol never has a module."""
    rows = [
        (0, "D", "__per_cpu_start", 0),
        (0x1000, "d", "counter", 8),
        (0x2000, "D", "__per_cpu_end", 0),
        (TEXT, "T", "_text", 0),
        (TEXT + 16, "t", "f", 4),
    ]
    for base_relative in (False, True):
        _, _, made = attributed(
            rows,
            [Piece(TEXT, TEXT + 32, "fs/ext4/inode.o")],
            sizes="compact",
            base_relative=base_relative,
            absolute_percpu=True,
        )
        decoded = reader.read(image(made, tmp_path))
        assert [(s.address, s.type, s.size, s.modules) for s in map(decoded.symbol, range(5))] == [
            (0, "A", 0, ()), (0x1000, "A", 8, ()), (0x2000, "A", 0, ()),
            (TEXT, "t", 0, ("ext4",)), (TEXT + 16, "t", 4, ("ext4",)),
        ]  # fmt: skip


LOOKUP_ROWS = [
    (TEXT, "T", "marker", 0), (TEXT, "t", "outer", 0x40), (TEXT, "t", "alias", 0x20), (TEXT + 0x10, "t", "inner", 4),
    (TEXT + 0x14, "t", "label", 0), (TEXT + 0x50, "t", "next", 0x10), (TEXT + 0x60, "t", "alone", 0),
    (TEXT + 0x70, "t", "next", 0x10),
]  # fmt: skip


@pytest.mark.parametrize(
    ("offset", "found", "without_sizes"),
    [
        (0x00, ("outer", 0), ("marker", 0)),
        (0x0F, ("outer", 0xF), ("marker", 0xF)),
        (0x11, ("inner", 1), ("inner", 1)),
        (0x14, ("label", 0), ("label", 0)),
        (0x40, ("label", 0x2C), ("label", 0x2C)),
        (0x5F, ("next", 0xF), ("next", 0xF)),
        (0x60, ("alone", 0), ("alone", 0)),
        (0x61, ("alone", 1), ("alone", 1)),
        (0x7F, ("next", 0xF), ("next", 0xF)),
        (-1, None, None),
    ],
)
def test_lookup_of_addresses(offset, found, without_sizes, tmp_path):
    for kept, expected in (("compact", found), ("dense", found), ("none", without_sizes)):
        _, _, made = attributed(LOOKUP_ROWS, [], sizes=kept, base_relative=True)
        path = image_with_text(made, tmp_path / kept)
        answer = [(one.symbol.name, one.offset) for one in reader.read(path).lookup(TEXT + offset)]
        assert answer == ([expected] if expected else []), kept


def image_with_text(made, directory):
    """An image with the symbols' section too, as in a kernel: what has no size ends with its section at the latest."""
    objects = [assemble(made, directory)]
    (directory / "text.s").write_text('.section .kernel,"ax"\n.skip 0x80\n')
    subprocess.run(["as", "-o", directory / "text.o", directory / "text.s"], check=True)
    output = directory / "with_text.elf"
    command = ["ld", "-o", output, f"--section-start=.rodata={RODATA:#x}", f"--section-start=.kernel={TEXT:#x}"]
    subprocess.run([*command, f"--defsym=_text={made.text:#x}", "-e", "0", *objects, directory / "text.o"], check=True)
    return output


def test_lookup_past_the_last_section(tmp_path):
    _, _, made = attributed(LOOKUP_ROWS, [], base_relative=True)
    decoded = reader.read(image_with_text(made, tmp_path))
    assert [one.symbol.name for one in decoded.lookup(TEXT + 0x7F)] == ["next"] and decoded.lookup(TEXT + 0x80) == []
    assert decoded.lookup(2**64 - 1) == decoded.lookup(2**64) == []


def test_lookup_of_a_label_at_the_end_of_a_section(tmp_path):
    """It is in no section, but it is listed there."""
    _, _, made = attributed([*LOOKUP_ROWS, (TEXT + 0x80, "T", "_etext", 0)], [], base_relative=True)
    decoded = reader.read(image_with_text(made, tmp_path))
    assert [(one.symbol.name, one.offset) for one in decoded.lookup(TEXT + 0x80)] == [("_etext", 0)]
    assert decoded.lookup(TEXT + 0x81) == []


@pytest.mark.parametrize(
    "query, found",
    [
        ("add", None),  # 0xadd is an address of this image
        ("deadbeef", None),
        ("0xadd", b"0000000000000add low+0x5cd\n"),
        ("add0", b"000000000000add0 low+0xa8c0\n"),
        ("0000add0", b"000000000000add0 low+0xa8c0\n"),
        ("low", b"0000000000000510 t low\n"),
    ],
)
def test_what_is_an_address_and_what_a_name(query, found):
    nothing = np.zeros(0, np.uint64)
    kallsyms = listing.Kallsyms(
        bits=64, addresses=np.array([0x510], np.uint64), absolute=np.zeros(1, np.bool_), sizes=None, types=b"t",
        names=[b"low"], lists=((),), of_symbols=np.zeros(1, np.int64), runs=nothing, of_runs=nothing.astype(np.int64),
        has_modules=False, sections=((0, 0x10000),), objects={},
    )  # fmt: skip
    [answer] = questions.answers(Kernel(kallsyms), [query])
    assert answer.text(64).encode() == (found or b"")


def test_lookup_of_names(tmp_path):
    _, _, made = attributed(LOOKUP_ROWS, [Piece(TEXT + 0x70, TEXT + 0x80, "fs/ext4/inode.o")], sizes="compact")
    decoded = reader.read(image(made, tmp_path))
    assert decoded.lookup("next") == [
        listing.Found(listing.Row(TEXT + 0x50, 0x10, "t", "next", ()), 0, ()),
        listing.Found(listing.Row(TEXT + 0x70, 0x10, "t", "next", ("ext4",)), 0, ("ext4",)),
    ]
    assert decoded.lookup("absent") == []


def test_position_independent_image(tmp_path):
    """A kernel that relocates itself may keep pointers in relocations only, as arm64's linker is told to.

    The words themselves are zero here.
    """
    rows = [(RODATA + 16 * number, "t", f"f{number}") for number in range(5)]
    (tmp_path / "text.s").write_text(".globl _text\n.hidden _text\n.section .rodata\n_text:\n.skip 16\n")
    subprocess.run(["as", "-o", tmp_path / "text.o", tmp_path / "text.s"], check=True)
    for base_relative, words in ((False, 5), (True, 1)):
        made = tables.build(table(rows), Options(all_symbols=True, base_relative=base_relative), RULES)
        made = dataclasses.replace(made, text=RODATA)
        output = tmp_path / "pie.so"
        command = ["ld", "-shared", "-z", "notext", f"--section-start=.rodata={RODATA:#x}", "-o", output]
        subprocess.run([*command, tmp_path / "text.o", assemble(made, tmp_path)], check=True, capture_output=True)
        relocations = subprocess.run(["readelf", "-rW", output], check=True, capture_output=True, text=True).stdout
        places = [int(line.split()[0], 16) for line in relocations.splitlines() if "R_X86_64_RELATIVE" in line]
        assert len(places) == words
        home, data = elf.Elf(output).section_at(RODATA), bytearray(output.read_bytes())
        for place in places:
            at = place - home.address + home.offset
            assert any(data[at : at + 8])
            data[at : at + 8] = bytes(8)
        output.write_bytes(data)
        assert reader.read(output).addresses.tolist() == [row[0] for row in rows]


def test_file_without_tables(tmp_path):
    (tmp_path / "a.s").write_text(".globl f\nf: nop\n")
    subprocess.run(["as", "-o", tmp_path / "a.o", tmp_path / "a.s"], check=True)
    with pytest.raises(InputError, match=r"a\.o: has no kallsyms tables: kallsyms_num_syms is missing"):
        reader.read(tmp_path / "a.o")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """An image with every table, the offset of each table in the file, and the length of the last."""
    choose = random.Random(1)
    pieces = [
        Piece(TEXT + 64 * n, TEXT + 64 * n + choose.choice((50, 64)), choose.choice(list(LISTS))) for n in range(400)
    ]
    rows = [(TEXT + 64 * n, "tT"[n % 2], f"function_{n}_{n % 7 * 'x'}", choose.choice((0, 10, 50))) for n in range(400)]
    rows.insert(1, (TEXT, "t", "edge", 0))
    rows += [(TEXT + 64 * 400 + n, "t", "edge", 0) for n in range(2)]
    pieces += [
        Piece(TEXT + 64 * 400 + n, TEXT + 64 * 400 + n + 1, path)
        for n, path in enumerate(("fs/ext4/inode.o", "fs/ext4/super.o"))
    ]
    _, _, made = attributed(
        rows, pieces, {(TEXT, "edge"): "drivers/net/common.o"}, sizes="compact", base_relative=True, objects=True
    )
    path = image(made, tmp_path_factory.mktemp("sound"))
    reader.read(path)
    found = symbols.read(path)
    home = next(one for one in elf.Elf(path).sections if one.name == ".rodata")
    places = {
        name.decode(): int(address) - home.address + home.offset
        for name, address in zip(found.names, found.addresses, strict=True)
        if name.startswith(b"kallsyms_")
    }
    return path.read_bytes(), places, home.offset + home.size


DAMAGE = [
    ("kallsyms_objects", 12, 4, 99, r"kallsyms_objects: no name at 0x63 of kallsyms_object_names \(offset 0x8\)"),
    ("kallsyms_objects", 8, 4, 3, r"kallsyms_objects: symbol 3 is out of range or out of order \(offset 0x8\)"),
    ("kallsyms_num_syms", 0, 4, 10**9, "kallsyms_offsets: 1000000000 entries of 4 bytes are expected"),
    ("kallsyms_num_syms", 0, 4, 300, "kallsyms_seqs_of_names: "),
    ("kallsyms_offsets", 40, 4, 5,
     r"kallsyms_offsets: symbol 10 has a lower address than the one before it \(offset 0x28\)"),
    ("kallsyms_markers", 4, 4, 1,
     r"kallsyms_markers: says 0x1 for symbol 256, whose name is at 0x[0-9a-f]+ \(offset 0x4\)"),
    ("kallsyms_names", 0, 1, 0x7F, "kallsyms_"),
    ("kallsyms_names", 0, 1, 0, r"kallsyms_names: the name of symbol 0 has no end in the table \(offset 0x0\)"),
    ("kallsyms_token_index", 2, 2, 0xFFFF,
     r"kallsyms_token_index: token 1 at 0xffff is outside kallsyms_token_table \(offset 0x2\)"),
    ("kallsyms_seqs_of_names", 3, 3, 0xFFFFFF,
     r"kallsyms_seqs_of_names: symbol 16777215 is out of range or named twice \(offset 0x3\)"),
    ("kallsyms_seqs_of_names", 3, 3, int.from_bytes((402).to_bytes(3, "big"), "little"),
     r"kallsyms_seqs_of_names: symbol 402 is out of range or named twice \(offset 0x3\)"),
    ("kallsyms_names_len", 0, 4, 2**31, "kallsyms_names: 2147483648 entries of 1 bytes are expected"),
    ("kallsyms_names_len", 0, 4, 100, "kallsyms_names: the name of symbol [0-9]+ has no end in the table"),
    ("kallsyms_size_codes", 3, 1, 254, "kallsyms_size_codes: "),
    ("kallsyms_size_markers", 4, 4, 2, "kallsyms_size_codes: marker 1 says 0x2, the code is at offset "),
    ("kallsyms_size_codes_len", 0, 4, 4, "kallsyms_size_codes: no code for symbol 4 at offset 0x4"),
    ("kallsyms_num_modules", 0, 4, 1, "kallsyms_modules: the last run has modules"),
    ("kallsyms_num_modules", 0, 4, 2**31, "kallsyms_modules: 2147483648 entries of 4 bytes are expected"),
    ("kallsyms_modules", 0, 4, 999,
     r"kallsyms_modules: no list of modules at 0x3e7 of kallsyms_module_names \(offset 0x0\)"),
    ("kallsyms_module_offsets", 4, 4, 0,
     r"kallsyms_module_offsets: run 1 begins no later than the one before it \(offset 0x4\)"),
    ("kallsyms_module_names", 2, 1, 200, "kallsyms_module[s_].*: no list of modules at 0x1 of kallsyms_module_names"),
    ("kallsyms_module_exceptions", 0, 4, 5000,
     r"kallsyms_module_exceptions: symbol 5000 is out of range or out of order \(offset 0x0\)"),
    ("kallsyms_module_exceptions", 4, 4, 5000,
     r"kallsyms_module_exceptions: no list of modules at 0x1388 of kallsyms_module_names \(offset 0x0\)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "offset", "size", "value", "message"), DAMAGE, ids=[f"{d[0]}+{d[1]}={d[3]}" for d in DAMAGE]
)
def test_damage_is_named(sound, tmp_path, label, offset, size, value, message):
    data, places, _ = sound
    damaged = bytearray(data)
    at = places[label] + offset
    damaged[at : at + size] = value.to_bytes(size, "little")
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(InputError, match=message):
        reader.read(tmp_path / "damaged")


def mutate(sound, data, examples):
    original, places, end = sound
    first = min(places.values())
    damaged = bytearray(original)
    at = st.one_of(
        st.sampled_from(sorted(places.values())).flatmap(lambda start: st.integers(start, min(start + 16, end - 1))),
        st.integers(first, end - 1),
    )
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(at)] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255))
    return bytes(damaged)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mutated_tables_are_decoded_or_refused(sound, tmp_path_factory, data):
    """No exception but InputError, and no hang, whatever changes; what was decoded can be listed and looked up."""
    path = tmp_path_factory.getbasetemp() / "mutated.elf"
    path.write_bytes(mutate(sound, data, 8))
    try:
        decoded = reader.read(path)
    except InputError:
        return
    assert decoded.listing().count(b"\n") >= len(decoded)
    decoded.lookup(TEXT + 100)
    decoded.lookup("function_5_xxxxx")
