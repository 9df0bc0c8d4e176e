"""Linker maps against links made here: what a map says of a symbol must be what the symbol's own object says of itself.

The oracle is `nm` on every object (which symbols it defines) and on the image (where they went); the maps come from the
GNU ld and LLD of this machine.
"""

from __future__ import annotations

import bisect
import subprocess
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallmodsyms import elf, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kbuild.modules import Module
from kallmodsyms.linkmap import Label, LinkMap, OutputSection, Piece, builtin_ranges, gnu, image, ranges, read
from kallmodsyms.linkmap.expand import expand
from kallmodsyms.linkmap.records import LINKER_MADE, EndLabel, Filler, Input, Layout, Output

# A linker script like the kernel's: markers, two executable sections, one with a name that breaks the map's line.
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
        *(.text.unlikely)
        *(.text.unlikely_and_long)
        LONG(0x11223344)
        _etext = .;
    }
    alias = first_a;
    PROVIDE(alias_of_alias = alias);
    end_alias = _etext;
    start_again = ADDR(.text);
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


SECTIONS = (".text", ".text.hot", ".text.unlikely", ".text.unlikely_and_long", ".init.text")


def object_source(name: str) -> str:
    """An object with a function, a local one, an alias, and labels at its end, in each of five executable sections.

    Each section is a whole number of alignment units long, so that the next object begins where this one ends.
    """
    lines = []
    for section in SECTIONS:
        suffix = section.strip(".").replace(".", "_") + f"_{name}"
        lines += [
            f'.section {section},"ax"',
            ".p2align 4",
            f".globl {suffix}, alias_{suffix}, end_{suffix}",
            f".type {suffix}, @function",
            f"{suffix}: alias_{suffix}: nop; nop; ret",
            f".size {suffix}, . - {suffix}",
            f"local_{suffix}: nop",
            ".p2align 4",
            f"end_{suffix}: local_end_{suffix}:",
        ]
    # Not b.o, whose .text ends where that of c.o begins.
    lines += [f".text; .globl first_{name}; first_{name}: ret"] * (name != "b")
    lines += [
        '.section .discard,"ax"; nop',
        f".data; .globl data_{name}; data_{name}: .quad 1",
        '.ident "somebody"',
        '.section .note.GNU-stack,""',
    ]
    return "\n".join(lines) + "\n"


def tree(directory) -> list[str]:
    """Seven such objects, in four directories."""
    sources = {
        "init__a": "a",
        "fs__b": "b",
        "fs__c": "c",
        "drivers__d": "d",
        "drivers__e": "e",
        "lib__f": "f",
        "lib__g": "g",
    }
    return assemble(directory, **{path: object_source(name) for path, name in sources.items()})


def definitions(directory, objects) -> dict[str, str]:
    """What each symbol's object is, from the objects themselves."""
    return {
        line.split()[-1]: path
        for path in objects
        for line in run("nm", "--defined-only", path, cwd=directory).splitlines()
    }


def attribution(linkmap: LinkMap | ranges.Ranges, address: int, name: str) -> str | None:
    """The object that `linkmap` names for a symbol of the image."""
    label = bisect.bisect_left(linkmap.labels, (address, name))
    if linkmap.labels[label : label + 1] and linkmap.labels[label][:2] == (address, name):
        return linkmap.labels[label].path
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
    answers = [
        (name, attribution(linkmap, address, name), truth.get(name))
        for address, _, name in image_symbols(directory, image)
    ]
    assert len(answers) > 10 * len(objects)
    return [answer for answer in answers if answer[1] != answer[2]]


def relocatable(directory, linker, objects) -> list[str]:
    run(linker, "-r", "-Map=object.map", "-o", "vmlinux.o", *objects, cwd=directory)
    return ["vmlinux.o"]


def thin(directory, linker, objects) -> list[str]:
    """As Kbuild does it: one thin archive for most, another for lib/."""
    run("ar", "rcsTP", "vmlinux.a", *objects[:6], cwd=directory)
    run("ar", "rcsTP", "lib/lib.a", *objects[6:], cwd=directory)
    return ["--whole-archive", "vmlinux.a", "lib/lib.a", "--no-whole-archive"]


def ordinary(directory, linker, objects) -> list[str]:
    """Archives that hold copies, named by their last component; and one object named in a roundabout way."""
    run("ar", "rcs", "fs/fs.a", *objects[1:3], cwd=directory)
    run("ar", "rcs", "drivers/x.a", *objects[3:5], cwd=directory)
    return ["fs/../init/a.o", "--whole-archive", "fs/fs.a", "drivers/x.a", "--no-whole-archive", *objects[5:]]


def thin_relocatable(directory, linker, objects) -> list[str]:
    return relocatable(directory, linker, thin(directory, linker, objects))


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
@pytest.mark.parametrize(
    "arrange", [lambda directory, linker, objects: objects, thin, ordinary, relocatable, thin_relocatable]
)
def test_every_layout(tmp_path, linker, arrange):
    objects = tree(tmp_path)
    map_path = link(tmp_path, "--undefined=alias_of_alias", *arrange(tmp_path, linker, objects), linker=linker)
    object_map = tmp_path / "object.map"
    linkmap = read(map_path, object_map if object_map.exists() else None)
    image.confirm(linkmap, elf.Elf(tmp_path / "image"), map_path, tmp_path)
    linkmap = image.with_image_labels(linkmap, symbols.read(tmp_path / "image"), tmp_path)
    # `alias = first_a` is a.o's function, under a name that a.o does not know.
    assert wrong(tmp_path, linkmap, objects) == [("alias", "init/a.o", None), ("alias_of_alias", "init/a.o", None)]
    assert linkmap.unattributed == []


def test_local_labels_come_from_objects(tmp_path):
    objects = tree(tmp_path)
    linkmap = read(link(tmp_path, *objects))
    for path in objects[1:]:
        (tmp_path / path).rename(tmp_path / f"{path}.gone")
    linkmap = image.with_image_labels(linkmap, symbols.read(tmp_path / "image"), tmp_path)
    labels = [label for label in linkmap.labels if label.name.startswith("local_end")]
    assert [(label.name, label.path) for label in sorted(labels, key=lambda label: label.name)] == [
        (f"local_end_{section.strip('.').replace('.', '_')}_a", "init/a.o")
        for section in sorted(SECTIONS)
        if section != ".text"
    ]


MODULES = [
    Module("fs/both-b.o", ("fs/b.o", "fs/c.o")),
    Module("drivers/x-d.o", ("drivers/d.o",)),
    Module("drivers/d2.o", ("drivers/d.o",)),
    Module("drivers/e.o"),
]


def kbuild_files(directory, objects):
    """What Kbuild leaves beside the objects of MODULES, and the name of each built-in module."""
    for path in objects:
        names = sorted(module.object.removesuffix(".o") for module in MODULES if path in module.objects) or [
            path.removesuffix(".o")
        ]
        folder, name = path.split("/")
        (directory / folder / f".{name}.cmd").write_text(
            f"cmd_{path} := gcc -DKBUILD_MODFILE='\"{' '.join(names)}\"' -c -o {path}\n"
        )
    (directory / "modules.builtin").write_text(
        "".join(f"kernel/{module.object.removesuffix('.o')}.ko\n" for module in MODULES)
    )
    (directory / "System.map").write_text(run("nm", "-n", "image", cwd=directory))


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
@pytest.mark.parametrize("arrange", [thin, thin_relocatable])
def test_builtin_ranges_are_the_kernels(tmp_path, linux_6_12, linker, arrange):
    """Our modules.builtin.ranges against the one that the tree's own script makes, and that tree's verifier on ours."""
    objects = tree(tmp_path)
    map_path = link(tmp_path, *arrange(tmp_path, linker, objects), linker=linker)
    object_map = tmp_path / "object.map"
    linkmap = read(map_path, object_map if object_map.exists() else None)
    kbuild_files(tmp_path, objects)
    ours = builtin_ranges.text(linkmap, MODULES)
    (tmp_path / "ours").write_text(ours)
    maps = ["image.map", "object.map" if object_map.exists() else "image.map"]
    scripts = linux_6_12 / "scripts"
    theirs = run("gawk", "-f", scripts / "generate_builtin_ranges.awk", "modules.builtin", *maps, cwd=tmp_path)
    assert ours == theirs
    assert ours.count("\n") == 3 + 3 * (len(SECTIONS) + 1)
    verify = [scripts / "verify_builtin_ranges.awk", "ours", "System.map", "modules.builtin", *maps]
    report = subprocess.run(["gawk", "-f", *verify], cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()
    # Ranges cannot say that a label belongs to what ends at its address.
    ends = {
        f"end_{section.strip('.').replace('.', '_')}_a in both_b (should NOT be)"
        for section in SECTIONS
        if section != ".text"
    }
    assert {line for line in report if "should" in line and not line.startswith("local_")} == (
        ends if arrange is thin else set()
    )


C_SOURCE = """
int other(int), sink(int);
static __attribute__((noinline)) int helper(int x) { return x < 0 ? sink(x) : x * NUMBER; }
__attribute__((cold)) int NAME(cold)(int x) { return helper(x) + other(x); }
__attribute__((hot)) int NAME(hot)(int x)
{
    if (__builtin_expect(x > 7, 0)) { sink(x); __builtin_trap(); }
    return helper(x + 1);
}
static int __attribute__((constructor)) NAME(init)(void) { return helper(3); }
const char *NAME(text)(void) { return "shared by all"; }
"""


@pytest.mark.parametrize(
    "options", [["-O2"], ["-Os", "-ffunction-sections"], ["-O2", "-ffunction-sections", "-fdata-sections", "-g"]]
)
@pytest.mark.parametrize("compiler, linker", [("gcc", "ld"), ("clang", "ld.lld"), ("gcc", "ld.lld")])
def test_what_a_compiler_splits(tmp_path, compiler, linker, options):
    """Hot, cold and init parts, one section a function; all of `.text*` in the order that the linker likes."""
    (tmp_path / "script.lds").write_text(
        "SECTIONS { . = 0x1000000; .text : { *(.text.hot .text.hot.*) *(.text .text.[a-z]*) *(.text.unlikely*) } "
        ".rodata : { *(.rodata*) } }"
    )
    names = ["a", "b", "c"]
    for number, name in enumerate(names, 3):
        source = C_SOURCE + ("int other(int x) { return x; } int sink(int x) { return x; }" if name == "a" else "")
        define = [f"-DNAME(x)={name}_##x", f"-DNUMBER={number}", "-fno-asynchronous-unwind-tables", "-fno-pic"]
        (tmp_path / f"{name}.c").write_text(source)
        run(compiler, *options, *define, "-c", f"{name}.c", cwd=tmp_path)
    objects = [f"{name}.o" for name in names]
    run(linker, "-T", "script.lds", "-Map=image.map", "-o", "image", *objects, cwd=tmp_path)
    linkmap = read(tmp_path / "image.map")
    image.confirm(linkmap, elf.Elf(tmp_path / "image"), tmp_path / "image.map", tmp_path)
    found = Counter(
        (attribution(linkmap, address, name), name)
        for address, kind, name in image_symbols(tmp_path, "image")
        if kind in "tT"
    )
    truth = Counter(
        (path, line.split()[-1])
        for path in objects
        for line in run("nm", "--defined-only", path, cwd=tmp_path).splitlines()
        if line.split()[-2] in "tT"
    )
    assert found == truth
    assert sum(count for (_, name), count in found.items() if name.startswith("helper")) >= 3


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
def test_overlays(tmp_path, linker):
    """Two sections at one address (arm's vectors): what is in both places is nobody's."""
    script = (
        "SECTIONS { .text 0x1000 : { *(.text) } OVERLAY 0x2000 : AT(0x8000) { .one { *(.one) } .two { *(.two) } } }"
    )
    (tmp_path / "script.lds").write_text(script)
    assemble(tmp_path, a='nop\n.section .one,"ax"\n.skip 8\n', b='nop\n.section .two,"ax"\n.skip 24\n')
    run(
        linker,
        *["--no-check-sections"] * (linker == "ld"),
        "-T",
        "script.lds",
        "-Map=map",
        "-o",
        "image",
        "a.o",
        "b.o",
        cwd=tmp_path,
    )
    linkmap = read(tmp_path / "map")
    assert linkmap.pieces == [Piece(0x1000, 0x1001, "a.o"), Piece(0x1001, 0x1002, "b.o"), Piece(0x2008, 0x2018, "b.o")]
    assert ranges.report(linkmap) == "0x0000000000002000 0x8 shared by a.o and b.o\n"


@pytest.mark.parametrize("mode", ["thin", "full"])
def test_link_time_optimisation(tmp_path, mode):
    """What LLD compiled itself is reported, the rest attributed."""
    (tmp_path / "a.c").write_text("int b(void), c(void); int a(void) { return b() + c(); }")
    (tmp_path / "b.c").write_text("__attribute__((noinline)) int b(void) { return 2; }")
    run("clang", "-O2", f"-flto={mode}", "-c", "a.c", "b.c", cwd=tmp_path)
    objects = ["a.o", "b.o", *assemble(tmp_path, c=".globl c\nc: ret\n")]
    run("ld.lld", "-r", "--thinlto-cache-dir=cache", "-Map=object.map", "-o", "vmlinux.o", *objects, cwd=tmp_path)
    (tmp_path / "script.lds").write_text(
        "SECTIONS { .text 0x1000 : { *(.text) *(.text.*) } /DISCARD/ : { *(.eh_frame) } }"
    )
    run("ld.lld", "-T", "script.lds", "-Map=image.map", "-o", "image", "vmlinux.o", cwd=tmp_path)
    linkmap = read(tmp_path / "image.map", tmp_path / "object.map")
    assert {piece.path for piece in linkmap.pieces} == {"c.o"}
    assert {entry.why.split(":")[1] for entry in linkmap.unattributed} == {
        " compiled at link time, and the map does not say from which objects"
    }
    unknown = {
        name for address, _, name in image_symbols(tmp_path, "image") if attribution(linkmap, address, name) is None
    }
    assert unknown == {"a", "b"}


def functions_of(directory, *objects):
    found = {}
    for line in run("llvm-nm", "-A", "--defined-only", *objects, cwd=directory).splitlines():
        path, _, symbol = line.partition(": ")
        found.setdefault(path, set()).add(symbol.split(" ")[-1])
    return {path: frozenset(names) for path, names in found.items()}


def test_thin_link_time_optimisation(tmp_path):
    """What LLD compiled is named by its functions; not where two objects look alike, unless all but one are known.

    There are static functions that it made global, the same one in two objects, and parts that it split off.
    """
    sources = {
        "a": "int b(int); __attribute__((noinline)) static int same(int x) { return x + 1; } "
             "int a(int x) { return b(x) + same(x); } int also(int x) { return same(x) * 3; }",
        "b": "void die(void) __attribute__((cold, noreturn)); "
             "__attribute__((noinline)) static int same(int x) { return x + 2; } "
             "int b(int x) { if (x == 3) die(); return same(x); }",
        "only_static": "__attribute__((used)) static int same(int x) { return x + 4; }",
        "twin": "__attribute__((used)) static int twin(int x) { return x + 5; }",
        "other_twin": "__attribute__((used)) static int twin(int x) { return x + 6; }",
    }  # fmt: skip
    for name, source in sources.items():
        (tmp_path / f"{name}.c").write_text(source)
    run("clang", "-O2", "-flto=thin", "-ffunction-sections", "-c", *(f"{name}.c" for name in sources), cwd=tmp_path)
    objects = [*(f"{name}.o" for name in sources), *assemble(tmp_path, asm=".globl die\ndie: ret\n")]
    run("ld.lld", "-r", "--thinlto-cache-dir=cache", "-Map=object.map", "-o", "vmlinux.o", *objects, cwd=tmp_path)
    (tmp_path / "script.lds").write_text(
        "SECTIONS { .text 0x1000 : { *(.text) *(.text.*) } /DISCARD/ : { *(.eh_frame) } }"
    )
    run("ld.lld", "-T", "script.lds", "-Map=image.map", "-o", "image", "vmlinux.o", cwd=tmp_path)
    linkmap = read(tmp_path / "image.map", tmp_path / "object.map", functions=functions_of(tmp_path, *objects))
    answers = {(name, attribution(linkmap, address, name)) for address, _, name in image_symbols(tmp_path, "image")}
    assert {(name.split(".")[0], path) for name, path in answers} == {
        ("a", "a.o"), ("also", "a.o"), ("same", "a.o"), ("b", "b.o"), ("same", "b.o"), ("same", "only_static.o"),
        ("twin", None), ("die", "asm.o"),
    }  # fmt: skip


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
def test_relocations_in_the_image(tmp_path, linker):
    """A kernel that can move itself has them; LLD lists them behind everything else."""
    objects = [*tree(tmp_path), *assemble(tmp_path, pointer=".data\n.quad first_a\n")]
    pieces = [read(link(tmp_path, *options, *objects, linker=linker)).pieces for options in ((), ("--emit-relocs",))]
    assert pieces[0] == pieces[1]
    assert any(section.name.startswith(".rela") for section in elf.Elf(tmp_path / "image").sections)


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
def test_hidden_objects_are_reported(tmp_path, linker):
    objects = tree(tmp_path)
    map_path = link(tmp_path, *relocatable(tmp_path, linker, objects[:-1]), objects[-1], linker=linker)
    linkmap = read(map_path)
    assert {piece.path for piece in linkmap.pieces} == {"lib/g.o"}
    assert [entry.why for entry in linkmap.unattributed][:5] == [
        f"{section}: from vmlinux.o, whose own map is needed to say more"
        for section in (".text.hot", ".text", ".text.unlikely", ".text.unlikely_and_long", ".data")
    ]
    assert sum(entry.size for entry in linkmap.unattributed) == sum(
        section.size
        for section in elf.Elf(tmp_path / "vmlinux.o").sections
        if section.flags & elf.SHF_ALLOC and section.name != ".discard"
    )


def test_a_section_that_a_tool_added(tmp_path):
    """What objtool does to vmlinux.o after its map was written."""
    objects = tree(tmp_path)
    relocatable(tmp_path, "ld", objects)
    (tmp_path / "sites").write_bytes(bytes(24))
    run(
        "objcopy",
        "--add-section=.text.hot_sites=sites",
        "--set-section-flags=.text.hot_sites=alloc,code",
        "vmlinux.o",
        cwd=tmp_path,
    )
    map_path = link(tmp_path, "vmlinux.o")
    linkmap = read(map_path, tmp_path / "object.map")
    assert [(entry.size, entry.why) for entry in linkmap.unattributed] == [
        (24, ".text.hot_sites: not in the map of vmlinux.o, or not of this size there")
    ]


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
def test_wrong_maps(tmp_path, linker):
    objects = tree(tmp_path)
    first = link(tmp_path, *objects, linker=linker).rename(tmp_path / "first.map")
    second = link(tmp_path, *objects[1:], "--defsym=first_a=1", linker=linker)
    with pytest.raises(InputError) as caught:
        image.confirm(read(first), elf.Elf(tmp_path / "image"), first, tmp_path)
    assert str(caught.value).startswith(
        f"{first}: is the map of another link than {tmp_path}/image: .text from 0xffffffff81000000 to"
    )
    with pytest.raises(InputError) as caught:
        read(second, first)
    assert str(caught.value) == (
        f"{second}: the image holds nothing from vmlinux.o, so that {first} tells nothing about it\n"
        "  give the map of the object that was linked, or none"
    )


@pytest.mark.parametrize("linker", ["ld", "ld.lld"])
def test_truncated(tmp_path, linker):
    """A map cut anywhere is refused, unless it already says all that it ever does."""
    map_path = link(tmp_path, *tree(tmp_path), linker=linker)
    whole, text = read(map_path), map_path.read_text()
    refused = 0
    boundaries = [index for index, character in enumerate(text) if character == "\n"]
    lengths = {length for index in boundaries for length in (index - 9, index, index + 1)} - {len(text)}
    for length in lengths:
        map_path.write_text(text[:length])
        try:
            assert read(map_path) == whole
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{map_path}:{text[:length].count(chr(10)) + 1}: ")
    assert refused > 0.95 * len(lengths)


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
            Label(text, "start_again", None),
            Label(text + 1, "end_a", "a.o"),
            Label(text + 64, "middle", None),
            Label(text + 69, "_etext", None),
            Label(text + 69, "_sinittext", None),
            Label(text + 69, "end_alias", None),
            Label(text + 70, "_einittext", None),
        ],
        unplaced=[],
        output_sections=[
            OutputSection(".text", text, text + 69, (text, "_text")),
            OutputSection(".init.text.of_a_long_name", text + 69, text + 70, (text + 69, "_sinittext")),
        ],
        unattributed=[],
        named=frozenset({"a.o", "fs/b.o"}),
    )
    assert ranges.text(linkmap) == (
        "0xffffffff81000000 0x0 _text\n"
        "0xffffffff81000000 0x0 start_again\n"
        "0xffffffff81000000 0x1 a.o\n"
        "0xffffffff81000001 0x0 a.o end_a\n"
        "0xffffffff81000010 0x1 fs/b.o\n"
        "0xffffffff81000040 0x0 middle\n"
        "0xffffffff81000040 0x1 fs/b.o\n"
        "0xffffffff81000045 0x0 _etext\n"
        "0xffffffff81000045 0x0 _sinittext\n"
        "0xffffffff81000045 0x0 end_alias\n"
        "0xffffffff81000045 0x1 a.o\n"
        "0xffffffff81000046 0x0 _einittext\n"
    )


@pytest.mark.parametrize(
    "content, message",
    [
        ("", ":1: no line reads 'Linker script and memory map', so this is not a whole GNU ld map"),
        (
            "Linkerscript und Memory-Map\n\n.text 0x1 0x1\n",
            ":4: no line reads 'Linker script and memory map', so this is not",
        ),
        (
            "Linker script and memory map\n .text  0x10  0x2 a.o\n",
            ":2: an input section before any output section\n    .text",
        ),
        ("  VMA  LMA  Size Align Out  In  Symbol\n10 10 1 .text\n", ":2: not a line of an LLD map\n    10 10 1 .text"),
        (
            "  VMA  LMA  Size Align Out  In  Symbol\n10 10 1 1         a.o:(.x)\n",
            ":2: an input section before any output section",
        ),
        (
            "  VMA  LMA  Size Align Out  In  Symbol\n10 10 1 1 .text\n",
            ":3: the linker map stops in the middle\n  run the link again",
        ),
    ],
)
def test_not_a_map(tmp_path, content, message):
    path = tmp_path / "map"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    "content, message",
    [
        ("0xffffffff81000000 0x10\n", "1: not '0xADDRESS 0xSIZE OBJECT'\n    0xffffffff81000000 0x10"),
        ("0x0000000000000010 0x10 a.o\n0x000000000000001f 0x1 b.o\n", "2: begins before the piece above ends\n    0x0"),
        ("0x0000000000000010 0x10 a.o\n0x00000000000000", "2: the last line is cut off\n    0x00000000000000"),
    ],
)
def test_not_a_ranges_file(tmp_path, content, message):
    path = tmp_path / "ranges"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        ranges.parse(path)
    assert str(caught.value).startswith(f"{path}:{message}")


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**20),
            st.integers(0, 2**20),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
        )
    ),
    st.sets(
        st.tuples(
            st.integers(0, 2**64 - 1), st.from_regex(r"[A-Za-z_.$]+", fullmatch=True), st.none() | st.just("a b/c.o")
        )
    ),
)
def test_ranges_round_trip(tmp_path_factory, sizes, labels):
    pieces, position = [], 2**63
    for size, gap, path in sizes:
        pieces.append(Piece(position + gap, position + gap + size, path))
        position += gap + size
    linkmap = LinkMap(pieces, [Label(*label) for label in sorted(labels, key=str)], [], [], [])
    path = tmp_path_factory.mktemp("ranges") / "ranges"
    path.write_text(ranges.text(linkmap))
    back = ranges.parse(path)
    assert back.pieces == pieces
    assert set(back.labels) == set(linkmap.labels)
    assert ranges.text(back) == ranges.text(linkmap)


LINES = {
    "Linker script and memory map": [
        ".text  0x10  0x9",
        " .text  0x10  0x2 a.o",
        ".text",
        " .text.unlikely",
        " " * 16 + "0x10  0x2 a.o",
        "OUTPUT(a b)",
    ],
    "VMA LMA Size Align Out In Symbol".replace(" ", "    "): [
        "10 10 9 1 .text",
        "10 10 2 1 " + " " * 8 + "a.o:(.text)",
        "12 12 0 1 " + " " * 16 + "a",
        "0 0 0 1         <internal>:(.strtab)",
    ],
}


@given(st.sampled_from(sorted(LINES)), st.data())
def test_garbage_is_refused_or_read(tmp_path_factory, heading, data):
    lines = data.draw(st.lists(st.sampled_from([*LINES[heading], ""]) | st.text()))
    path = tmp_path_factory.mktemp("map") / "map"
    path.write_text("\n".join([heading, *lines]), errors="surrogatepass")
    try:
        read(path)
    except InputError as error:
        assert str(error).startswith(f"{path}:")


def test_what_is_in_one_big_object_is_moved_as_a_whole():
    """Inputs, labels at their ends and fillers, each by the distance of its own section; what is not of it stays."""
    inner = Layout(
        outputs=[Output(".text", 0, 0x30, True), Output(".init", 0x40, 0x10, True)],
        inputs=[
            Input(0, ".text", 0, 0x10, "a.o"),
            Input(0, ".text", 0x20, 0x10, "b.o"),
            Input(1, ".init", 0x40, 0x10, "c.o"),
        ],
        ends=[EndLabel(0, 0x10, "end_of_a"), EndLabel(2, 0x50, "end_of_c")],
        fillers=[Filler(0, 0x10, 0x10)],
    )
    whole = Layout(
        outputs=[Output(".kernel", 0x1000, 0x200, True)],
        inputs=[
            Input(0, ".text", 0x1000, 0x10, "head.o"),
            Input(0, ".init", 0x1010, 0x10, "vmlinux.o"),
            Input(0, ".text", 0x1100, 0x30, "vmlinux.o"),
            Input(0, ".made", 0x1130, 0x10, "vmlinux.o"),
        ],
        ends=[EndLabel(0, 0x1010, "end_of_head"), EndLabel(2, 0x1130, "end_of_all")],
    )
    moved = expand(whole, inner, "vmlinux.o", "image.map", "object.map")
    assert [(entry.start, entry.size, entry.path) for entry in moved.inputs] == [
        (0x1000, 0x10, "head.o"),
        (0x1010, 0x10, "c.o"),
        (0x1100, 0x10, "a.o"),
        (0x1120, 0x10, "b.o"),
        (0x1130, 0x10, None),
    ]
    assert [(moved.inputs[end.input].path, end.address, end.name) for end in moved.ends] == [
        ("head.o", 0x1010, "end_of_head"),
        ("c.o", 0x1020, "end_of_c"),
        ("a.o", 0x1110, "end_of_a"),
    ]
    assert moved.fillers == [Filler(0, 0x1110, 0x10)]
    assert moved.inputs[-1].why == "not in the map of vmlinux.o, or not of this size there"


GNU_MAP = """\
Linker script and memory map

LOAD init/main.o
 *(.never)
                0x0000000000000000        0x0 init/main.o
  odd
                0x0000000000000000        0x0 init/main.o
.text           0x0000000000001000      0x200 load address 0x0000000000001000
 *(.text)
 .text          0x0000000000001000       0x40 init/main.o
 *fill*         0x0000000000001040       0x1e
 .text.stub     0x0000000000001060       0x20 linker stubs
 .plt           0x0000000000001080       0x20 init/main.o
                0x00000000000010a0       0x18 ASCIZ "a text of 23 characters"
OUTPUT(vmlinux elf64-x86-64)
"""  # fmt: skip


def test_each_kind_of_line_of_gnu_ld():
    """As binutils' ld/ldlang.c prints them; and lines that are none of these, which change nothing."""
    lines = GNU_MAP.split("\n")
    layout = gnu.parse(lines, "map")
    assert layout.outputs == [Output(".text", 0x1000, 0x200, True)]
    assert layout.inputs == [
        Input(0, ".text", 0x1000, 0x40, "init/main.o"),
        Input(0, ".text.stub", 0x1060, 0x20, None, LINKER_MADE),
        Input(0, ".plt", 0x1080, 0x20, None, LINKER_MADE),
    ]
    assert layout.fillers == [Filler(0, 0x1040, 0x1E), Filler(0, 0x10A0, 0x18)]
    assert gnu.has_end(lines)
    assert not gnu.has_end(lines[:-1])
    assert not gnu.has_end([*lines[:-2], ""])
    assert not gnu.has_end([*lines[:-2], "OUTPUT(vmlinux", "x"])
