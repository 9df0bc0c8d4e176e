"""Linker maps against links made here: what a map says of a symbol must be what the symbol's own object says of itself.

The oracle is `nm` on every object (which symbols it defines) and on the image (where they went); the maps come from the
GNU ld and LLD of this machine.
"""

from __future__ import annotations

import bisect
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.linkmap import Label, LinkMap, OutputSection, Piece, ranges, read

# A linker script like the kernel's: markers, two executable sections, one of them with a name that breaks the map's line.
SCRIPT = """
SECTIONS
{
    . = 0xffffffff81000000;
    .text : AT(0x1000000) {
        _text = .;
        *(.text.hot)
        *(.text)
        . = ALIGN(64);
        PROVIDE(middle = .);
        PROVIDE(unused = .);
        *(.text.unlikely .text.unlikely_and_long)
        LONG(0x11223344)
        _etext = .;
    }
    alias = first_a;
    .data : { *(.data) }
    .init.text.of_a_long_name : { _sinittext = .; *(.init.text) _einittext = .; }
    .comment 0 : { *(.comment) }
    /DISCARD/ : { *(.discard) }
}
"""


def run(*arguments, cwd) -> str:
    return subprocess.run([str(one) for one in arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


def assemble(directory, **sources: str) -> list[str]:
    """Make `a.o` from the assembler text of keyword `a`; `fs__b=` makes `fs/b.o`."""
    objects = []
    for name, source in sources.items():
        target = directory / (name.replace("__", "/") + ".o")
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-c", "-x", "assembler", "-", "-o", target], input=source, text=True, check=True)
        objects.append(str(target.relative_to(directory)))
    return objects


def object_source(name: str, *, end_label: bool = False) -> str:
    """An object with a function, a local one and an alias in each of five executable sections, and something to discard."""
    lines = []
    for section in (".text", ".text.hot", ".text.unlikely", ".text.unlikely_and_long", ".init.text"):
        suffix = section.strip(".").replace(".", "_") + f"_{name}"
        lines += [
            f'.section {section},"ax"',
            ".p2align 4",
            f".globl {suffix}, alias_{suffix}",
            f".type {suffix}, @function",
            f"{suffix}: alias_{suffix}: nop; nop; ret",
            f"local_{suffix}: nop",
        ]
        if end_label:
            lines += [f".globl end_{suffix}", f"end_{suffix}:"]
    lines += [f".text; .globl first_{name}; first_{name}: ret"]
    lines += ['.section .discard,"ax"; nop', f".data; data_{name}: .quad 1", '.ident "somebody"', '.section .note.GNU-stack,""']
    return "\n".join(lines) + "\n"


def definitions(directory, objects) -> dict[str, str]:
    """What each symbol's object is, from the objects themselves."""
    return {line.split()[-1]: path for path in objects for line in run("nm", "--defined-only", path, cwd=directory).splitlines()}


def attributed(linkmap: LinkMap, address: int, name: str) -> str | None:
    """The object that `linkmap` names for a symbol of the image."""
    for label in linkmap.labels:
        if (label.address, label.name) == (address, name):
            return label.path
    index = bisect.bisect_right(linkmap.pieces, address, key=lambda piece: piece.start) - 1
    return linkmap.pieces[index].path if index >= 0 and address < linkmap.pieces[index].end else None


def image_symbols(directory, image) -> list[tuple[int, str, str]]:
    """(address, type, name) of every symbol of the image."""
    lines = [line.split() for line in run("nm", image, cwd=directory).splitlines()]
    return [(int(address, 16), kind, name) for address, kind, name in lines]


def link(directory, *arguments, linker="ld") -> str:
    """Link with SCRIPT to `image`; the path of its map."""
    (directory / "script.lds").write_text(SCRIPT)
    run(linker, "-T", "script.lds", "-Map=image.map", "-o", "image", *arguments, cwd=directory)
    return directory / "image.map"


def wrong(directory, linkmap, objects, image="image") -> list[tuple[str, str | None, str | None]]:
    """(symbol, its object by the map, its object by nm) wherever the two differ."""
    truth = definitions(directory, objects)
    answers = [(name, attributed(linkmap, address, name), truth.get(name)) for address, _, name in image_symbols(directory, image)]
    assert len(answers) > 10 * len(objects)
    return [answer for answer in answers if answer[1] != answer[2]]


def test_plain_objects(tmp_path):
    objects = assemble(tmp_path, a=object_source("a"), fs__b=object_source("b"), c=object_source("c"))
    linkmap = read(link(tmp_path, *objects))
    # `alias = first_a` is a.o's function under a name that a.o does not know.
    assert wrong(tmp_path, linkmap, objects) == [("alias", "a.o", None)]


def test_whole_map(tmp_path):
    objects = assemble(
        tmp_path,
        a='.globl first_a, end_a\nfirst_a: ret\nend_a:\n.section .init.text,"ax"\nnop\n',
        fs__b='.p2align 4\nret\n.section .text.unlikely_and_long,"ax"\nnop\n.section .discard,"ax"\nnop\n',
    )
    linkmap = read(link(tmp_path, "--undefined=middle", *objects))
    text = 0xFFFFFFFF81000000
    assert linkmap == LinkMap(
        pieces=[
            Piece(text, text + 1, "a.o"),
            Piece(text + 16, text + 17, "fs/b.o"),
            Piece(text + 64, text + 65, "fs/b.o"),
            Piece(text + 69, text + 70, "a.o"),
        ],
        labels=[
            Label(text, "_text", None),
            Label(text + 1, "end_a", "a.o"),
            Label(text + 64, "middle", None),
            Label(text + 69, "_etext", None),
            Label(text + 69, "_sinittext", None),
            Label(text + 70, "_einittext", None),
        ],
        output_sections=[
            OutputSection(".text", text, text + 69),
            OutputSection(".init.text.of_a_long_name", text + 69, text + 70),
        ],
        unattributed=[],
    )
    assert ranges.text(linkmap) == (
        "0xffffffff81000000 0x0 _text\n"
        "0xffffffff81000000 0x1 a.o\n"
        "0xffffffff81000001 0x0 a.o end_a\n"
        "0xffffffff81000010 0x1 fs/b.o\n"
        "0xffffffff81000040 0x0 middle\n"
        "0xffffffff81000040 0x1 fs/b.o\n"
        "0xffffffff81000045 0x0 _etext\n"
        "0xffffffff81000045 0x0 _sinittext\n"
        "0xffffffff81000045 0x1 a.o\n"
        "0xffffffff81000046 0x0 _einittext\n"
    )


@given(
    st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**20), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))),
    st.sets(st.tuples(st.integers(0, 2**64 - 1), st.from_regex(r"[A-Za-z_.$]+", fullmatch=True), st.none() | st.just("a b/c.o"))),
)
def test_ranges_round_trip(tmp_path_factory, sizes, labels):
    pieces, position = [], 2**63
    for size, gap, path in sizes:
        pieces.append(Piece(position + gap, position + gap + size, path))
        position += gap + size
    linkmap = LinkMap(pieces, [Label(*label) for label in sorted(labels, key=str)], [], [])
    path = tmp_path_factory.mktemp("ranges") / "ranges"
    path.write_text(ranges.text(linkmap))
    back = ranges.parse(path)
    assert back.pieces == pieces
    assert set(back.labels) == set(linkmap.labels)
    assert ranges.text(back) == ranges.text(linkmap)


@given(st.lists(st.sampled_from([" .text  0x10  0x2 a.o", ".text", " .text.unlikely", " " * 16 + "0x10  0x2 a.o", "OUTPUT(a b)", ""]) | st.text()))
def test_garbage_is_refused_or_read(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("map") / "map"
    path.write_text("\n".join(["Linker script and memory map", *lines]), errors="surrogatepass")
    try:
        read(path)
    except InputError as error:
        assert str(error).startswith(f"{path}:")
