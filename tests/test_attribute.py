"""Kernels that somebody else built: the toy with debug data of both formats, and the small real kernel without. The
truth is the kernel's own tables, which our link made from the linker's map; others who read debug data are addr2line
and dwz.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import attribution_kit as kit
import pytest
from toy_kit import ROOT, Toy

from kallmodsyms import Kernel, elf
from kallmodsyms.attribute import builtin_ranges, dwarf, order
from kallmodsyms.attribute.claims import Claim
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import attributed

OUTPUTS = ("kallmodsyms", "modules.builtin.ranges", "kallmodsyms.attribution")


def run(*words, status=0, **environment):
    """(standard output, standard error) of a command."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline"), **environment}
    command = [sys.executable, "-m", "kallmodsyms", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == status and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout, done.stderr


class Built:
    """A toy with debug data. vmlinux, tree and config are what `attribute` is given."""

    def __init__(self, directory, version):
        toy = Toy(directory)
        toy.edit("Makefile", "KBUILD_CFLAGS := ", f"KBUILD_CFLAGS := -gdwarf-{version} ", 1)
        toy.edit("Makefile", "KBUILD_AFLAGS := ", f"KBUILD_AFLAGS := -Wa,-gdwarf-{version} ", 1)
        toy.doit()
        self.vmlinux, self.tree, self.config = toy.objdir / "vmlinux", toy.tree, toy.objdir / ".config"

    def attribute(self, output, *words, image=None, status=0, config=None):
        output.mkdir(exist_ok=True)
        command = ("attribute", image or self.vmlinux, "--tree", self.tree, "--config", config or self.config)
        return run(*command, "--arch", "x86", "-o", output, *words, status=status)


@pytest.fixture(scope="module", params=[4, 5])
def any_toy(request, tmp_path_factory):
    return Built(tmp_path_factory.mktemp("toy"), request.param)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return Built(tmp_path_factory.mktemp("toy"), 5)


@pytest.fixture(scope="module")
def plain(toy, tmp_path_factory):
    """What `attribute` makes of the toy, by the names of the files."""
    output = tmp_path_factory.mktemp("plain")
    toy.attribute(output)
    return {name: (output / name).read_bytes() for name in OUTPUTS}


def binutils(*words):
    subprocess.run([*map(str, words)], check=True, capture_output=True)


def test_debug_data_is_right_of_every_symbol(any_toy):
    exact = kit.truth(Kernel.open(any_toy.vmlinux))
    found = kit.by_rungs(any_toy.vmlinux, any_toy.tree, any_toy.config)["dwarf"]
    score = kit.score(found, exact)
    assert score.wrong == [] and score.of_modules > 60
    # One object ends, with a label, where that of another module begins, with a label.
    assert score.unknown == ["crc32c_intel_text_end", "xor_text_start"]


def test_objects_are_those_of_addr2line(toy):
    found = kit.by_rungs(toy.vmlinux, toy.tree, toy.config)["dwarf"]
    rows = [
        (hex(address), path)
        for address, path, kind in zip(found.table.addresses.tolist(), found.objects, found.evidence, strict=True)
        if kind == "dwarf"
    ]
    command = ["addr2line", "-e", toy.vmlinux, *(address for address, _ in rows)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    known = [(line.split(":")[0], path) for line, (_, path) in zip(said, rows, strict=True) if line[0] != "?"]
    assert len(known) > 100
    for source, path in known:
        assert os.path.normpath(source).endswith(f"/{path[:-2]}{os.path.splitext(source)[1]}") or ".h" in source


@pytest.mark.parametrize("rung", ["file-symbols", "names"])
def test_the_other_rungs_alone(toy, rung):
    score = kit.score(kit.by_rungs(toy.vmlinux, toy.tree, toy.config)[rung], kit.truth(Kernel.open(toy.vmlinux)))
    assert score.wrong == [] and len(score.unknown) < score.total / 2


@pytest.mark.parametrize("rung, unknown", [("file-symbols", 0.09), ("names", 0.07), ("all", 0.05)])
def test_a_real_kernel_without_debug_data(built, linux_6_1, rung, unknown):
    """Measured on the small 6.1 of 28,000 symbols: docs/attribute.md."""
    exact = kit.truth(Kernel.open(built / "vmlinux"))
    score = kit.score(kit.by_rungs(built / "vmlinux", linux_6_1, built / ".config")[rung], exact)
    assert len(score.wrong) < 0.005 * score.total, score.wrong
    assert len(score.unknown_of_modules) < unknown * score.of_modules


@pytest.mark.parametrize("kind", ["System.map", "kallsyms"])
def test_a_real_kernel_of_which_only_the_symbols_are_there(built, linux_6_1, tmp_path, kind):
    text = tmp_path / kind
    if kind == "kallsyms":
        # A running kernel, moved by KASLR, with a module of its own.
        moved = Kernel.open(built / "vmlinux").moved(0x12400000)
        text.write_bytes(moved.table.kallsyms_listing() + b"ffffffffc0001000 t crc7_be\t[crc7]\n")
    else:
        text.write_bytes((built / kind).read_bytes())
    exact = kit.truth(Kernel.open(built / "vmlinux"))
    found = kit.by_rungs(text, linux_6_1, built / ".config")["names"]
    if kind == "System.map":  # which has names that the tables leave out
        exact = {**dict.fromkeys(_keys(found), ()), **exact}
    score = kit.score(found, exact)
    assert len(score.wrong) < 0.005 * score.total, score.wrong
    assert len(score.unknown_of_modules) < 0.07 * score.of_modules


def _keys(found):
    kernel = Kernel(found.table)
    return {(symbol.address - kernel.address_of("_text"), symbol.name) for symbol in kernel.symbols}


def test_what_is_written(toy, plain, tmp_path):
    said, warned = toy.attribute(tmp_path, "--evidence")
    rows = {words[0]: words[1:] for words in map(str.split, said.splitlines()[1:])}
    assert warned == "" and rows["dwarf"] == ["144", "64"] and rows["unknown"] == ["2", "0"]
    listing = (tmp_path / "kallmodsyms").read_text()
    assert "\t[minix] (dwarf)\n" in listing and "\t(dwarf)\n" in listing and "\t(script)\n" in listing
    without = re.sub(r"(\t\[.*\]) \([a-z-]+\)$|\t\([a-z-]+\)$", r"\1", listing, flags=re.MULTILINE)
    assert without.encode() == plain["kallmodsyms"]
    for name in OUTPUTS[1:]:
        assert (tmp_path / name).read_bytes() == plain[name]
    own = run("show", toy.vmlinux)[0].splitlines()
    differing = set(own) ^ set(without.splitlines())
    assert len(differing) == 4 and {line.split()[3] for line in differing} == {
        "crc32c_intel_text_end",
        "xor_text_start",
    }


def test_the_ranges_are_those_of_the_linkers_map(toy, plain):
    """Rung 4 reads what rung 1 makes, and comes to the same."""
    ranges = toy.vmlinux.parent / "attributed.ranges"
    ranges.write_bytes(plain["modules.builtin.ranges"])
    score = kit.score(
        kit.by_rungs(toy.vmlinux, toy.tree, toy.config, ranges)["builtin-ranges"], kit.truth(Kernel.open(toy.vmlinux))
    )
    assert score.wrong == [] and score.of_modules > 60


@pytest.mark.parametrize("way", ["compressed", "dwz", "debuglink", "named", "stripped"])
def test_debug_data_elsewhere_or_in_another_form(toy, plain, tmp_path, way):
    image, debug = tmp_path / "vmlinux", tmp_path / "vmlinux.debug"
    shutil.copy(toy.vmlinux, image)
    words = []
    if way == "compressed":
        binutils("objcopy", "--compress-debug-sections=zlib", image)
    elif way == "dwz":
        binutils("dwz", image)
        tags = subprocess.run(["readelf", "--debug-dump=info", image], capture_output=True, text=True).stdout
        assert "DW_TAG_partial_unit" in tags
    else:
        binutils("objcopy", "--only-keep-debug", image, debug)
        binutils("strip", "--strip-all" if way == "stripped" else "--strip-debug", image)
        if way == "named":
            words = ["--debug", debug]
        else:
            binutils("objcopy", f"--add-gnu-debuglink={debug}", image)
    _, warned = toy.attribute(tmp_path / "out", *words, image=image)
    assert warned == ""
    for name in OUTPUTS:
        content = (tmp_path / "out" / name).read_bytes()
        if way == "stripped":  # Of data, the letters are those of sections without contents.
            assert _code(content) == _code(plain[name])
        else:
            assert content == plain[name]


def _code(content):
    """Without the lines of data symbols."""
    return [line for line in content.splitlines() if not re.search(rb" [bBdDrR] ", line)]


def test_without_debug_data_the_next_rungs_answer(toy, tmp_path):
    image = tmp_path / "vmlinux"
    binutils("objcopy", "--remove-section=.debug_*", toy.vmlinux, image)
    said, warned = toy.attribute(tmp_path, image=image)
    assert warned == f"kallmodsyms: warning: {image}: has no debug data; modules rest on what is left\n"
    assert "dwarf" not in said and int(re.search(r"file-symbols +(\d+)", said)[1]) > 70
    score = kit.score(_read(tmp_path), kit.truth(Kernel.open(toy.vmlinux)))
    assert score.wrong == []


def _read(output):
    path = output / "kallmodsyms.attribution"
    return attributed.parse(path.read_bytes(), path)


def test_debug_data_of_another_build_is_refused(toy, tmp_path):
    image, debug = tmp_path / "vmlinux", tmp_path / "other.debug"
    binutils("strip", "--strip-debug", "-o", image, toy.vmlinux)
    shutil.copy(toy.vmlinux, debug)
    note = elf.Elf(debug).build_id()
    content = debug.read_bytes()
    debug.write_bytes(content.replace(bytes.fromhex(note), bytes.fromhex(note)[::-1]))
    other = elf.Elf(debug).build_id()
    _, said = toy.attribute(tmp_path, "--debug", debug, image=image, status=1)
    problem = f"is debug data of another build: its build id is {other}, that of {image} is {note}"
    assert said == f"kallmodsyms: {debug}: {problem}\n  take the debug package of the very same version\n"


def test_a_configuration_of_another_release_is_refused(toy, tmp_path):
    config = tmp_path / "config"
    config.write_text(toy.config.read_text().replace("6.1.0-toy", "6.2.0-toy"))
    _, said = toy.attribute(tmp_path, config=config, status=1)
    problem = f"is a configuration of Linux 6.2.0-toy, and {toy.tree} is Linux 6.1.0-toy"
    cure = "take the source and the configuration of the very same version"
    assert said == f"kallmodsyms: {config}: {problem}\n  {cure}\n"


def test_an_image_of_another_release_is_refused(toy, tmp_path):
    tree, config = tmp_path / "tree", tmp_path / "config"
    shutil.copytree(toy.tree, tree)
    (tree / "Makefile").write_text(
        toy.tree.joinpath("Makefile").read_text().replace("PATCHLEVEL = 1", "PATCHLEVEL = 2")
    )
    config.write_text(toy.config.read_text().replace("6.1.0-toy", "6.2.0-toy"))
    command = ("attribute", toy.vmlinux, "--tree", tree, "--config", config, "--arch", "x86", "-o", tmp_path)
    _, said = run(*command, status=1)
    assert f"kallmodsyms: {toy.vmlinux}: is Linux 6.1.0-toy, and {tree} is Linux 6.2.0-toy\n" in said


def test_a_tree_of_other_sources_is_refused(toy, tmp_path):
    other = tmp_path / "tree"
    shutil.copytree(toy.tree, other)
    for makefile in ("fs", "drivers", "net", "sound", "lib"):
        (other / makefile / "Makefile").write_text("")
    command = ("attribute", toy.vmlinux, "--tree", other, "--config", toy.config, "--arch", "x86", "-o", tmp_path)
    _, said = run(*command, status=1)
    assert re.fullmatch(
        rf"kallmodsyms: {toy.vmlinux}: of \d+ compile units only \d+ are of sources that {other} has in this "
        r"configuration\n  take the source and the configuration of the very same version\n",
        said.partition("kallmodsyms: warning")[0],
    )


@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_a_truncated_debug_section_is_refused(toy, tmp_path, cut):
    image = tmp_path / "vmlinux"
    content = bytearray(toy.vmlinux.read_bytes())
    headers, count = struct.unpack_from("<Q", content, 0x28)[0], struct.unpack_from("<H", content, 0x3C)[0]
    names = [section.name for section in elf.Elf(toy.vmlinux).sections]
    assert len(names) == count
    size_at = headers + 64 * names.index(".debug_info") + 32
    (size,) = struct.unpack_from("<Q", content, size_at)
    struct.pack_into("<Q", content, size_at, size - cut)
    image.write_bytes(content)
    _, said = toy.attribute(tmp_path, image=image, status=1)
    assert said.startswith(f"kallmodsyms: {image}: the debug data ") and "  the file is truncated or damaged" in said


def test_a_truncated_file_is_refused(toy, tmp_path):
    image = tmp_path / "vmlinux"
    image.write_bytes(toy.vmlinux.read_bytes()[:-4000])
    _, said = toy.attribute(tmp_path, image=image, status=1)
    assert said.startswith(f"kallmodsyms: {image}: ") and "the file is truncated or damaged" in said


def test_no_image_no_directory(toy, tmp_path):
    _, said = toy.attribute(tmp_path, image=tmp_path / "none", status=1)
    assert said == f"kallmodsyms: {tmp_path}/none: cannot be read: No such file or directory\n"
    command = ("attribute", toy.vmlinux, "--tree", toy.tree, "--config", toy.config, "--arch", "x86")
    _, said = run(*command, "-o", tmp_path / "none", status=1)
    assert said == f"kallmodsyms: {tmp_path}/none: is no directory\n  make it, or say another one with -o\n"


def test_every_command_takes_the_attribution_file(toy, plain, tmp_path):
    file = tmp_path / "kallmodsyms.attribution"
    file.write_bytes(plain[file.name])
    assert run("show", file)[0].encode() == plain["kallmodsyms"]
    for words in (
        ("lookup", "minix_count_free_blocks"),
        ("modules",),
        ("export", "--for", "kprobes", "--module", "minix"),
    ):
        name, *rest = words
        asked = [name, *(["--from"] if name == "export" else []), file, *rest]
        mine = run(*asked)[0]
        theirs = run(*(str(toy.vmlinux) if word == file else word for word in asked))[0]
        same = {line.split()[0] for line in mine.splitlines()} == {line.split()[0] for line in theirs.splitlines()}
        assert same and mine, words
    assert run("diff", file, file)[0] == ""
    text = "at minix_count_free_blocks+0x4\n"
    command = [sys.executable, "-m", "kallmodsyms", "explain", "--from", file]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "at minix_count_free_blocks+0x4 [minix]\n"


def test_the_running_kernel_by_an_attribution_file(plain, tmp_path):
    file = tmp_path / "kallmodsyms.attribution"
    file.write_bytes(plain[file.name])
    found = _read(tmp_path)
    text = int(found.table.addresses[found.table.numbers(b"_text")[0]])
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/kallsyms").write_text(f"{text + 0x200000:016x} T _text\n")
    notes = struct.pack("<3I", 4, len(found.build_id) // 2, 3) + b"GNU\0" + bytes.fromhex(found.build_id)
    (tmp_path / "sys/kernel/notes").write_bytes(notes)
    kernel = Kernel.live(file, tmp_path)
    (symbol,) = kernel.find("minix_count_free_blocks")
    assert symbol.modules == ("minix",) and kernel.find(symbol.address).modules == ("minix",)
    assert symbol.address == 0x200000 + Kernel.open(file).find("minix_count_free_blocks")[0].address
    (tmp_path / "sys/kernel/notes").write_bytes(notes[:-1] + b"\0")
    with pytest.raises(InputError, match="is not of the running kernel: its build id is"):
        Kernel.live(file, tmp_path)


def test_an_attribution_file_is_read_as_it_was_written(plain, tmp_path):
    content = plain["kallmodsyms.attribution"]
    assert attributed.text(attributed.parse(content, "file")).encode() == content


@pytest.mark.parametrize(
    "old, new, problem",
    [
        (b"\nbits 64", b"\nbits 65", "file:3: not a line of an attribution file"),
        (b"\nbits 64", b"", "file: has 0 lines bits; it should be one"),
        (b" dwarf ", b" ", "not a line of an attribution file"),
        (b"\n", b"", "cut off"),
    ],
)
def test_a_damaged_attribution_file(plain, old, new, problem):
    content = plain["kallmodsyms.attribution"]
    content = content[:-1] if not new and old == b"\n" else content.replace(old, new)
    with pytest.raises(InputError) as caught:
        attributed.parse(content, "file")
    assert problem in str(caught.value)


def test_names_in_order():
    """One source that two objects are made of, and a source of another name: the order says which is which."""
    objects = ["a/init", "a/core", "b/core", "b/relo_core", "c/last"]
    assert order.matched(["a/init", "lib/core", "lib/core", "tools/relo_core", "c/last"], objects) == [0, 1, 2, 3, 4]
    assert order.matched(["a/init", "lib/core", "c/last"], objects) == [0, None, 4]
    units = [dwarf.Unit(f"/src/{name}.c", "/obj", ()) for name in ("a/init", "lib/core", "lib/core", "b/relo_core")]
    paths = [f"{name}.o" for name in objects[:4]]
    assert dwarf.objects_of(units, paths) == paths


def test_order_of_symbols():
    """Two parts of a section, and one name that came from elsewhere."""
    known = [0, 0, 1, 2, 2, 7, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    stretches = order.chain(known)
    assert [stretches[index] for index in (0, 4, 5, 6, 12, 13, 22)] == [0, 0, -1, 0, 0, 1, 1]
    candidates = [[0], [], [0], [1, 3], [2], [], [4]]
    assert order.placed(candidates, [0] * 7) == [(0, 0), (0, 0), (0, 0), (1, 1), (2, 2), (2, 4), (4, 4)]
    assert order.placed([[0], [], [0]], [0, 0, 1])[1] is None


@pytest.mark.parametrize(
    "text, problem",
    [
        (".text 0-1", "file:1: not '.SECTION START-END MODULE ...'"),
        (".text 00000000-00000000 = nothing", "file:1: the kernel has no symbol nothing"),
        (".text 00000000-00000010 ext4", "file:1: no line above says where .text is"),
        (
            ".text 00000000-00000000 = _text\n.text 00000010-00000020 ext4\n.text 00000018-00000020 jbd2",
            "file:3: the range is not behind the last one, or not in the section",
        ),
    ],
)
def test_damaged_ranges(tmp_path, monkeypatch, text, problem):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text(text + "\n")
    with pytest.raises(InputError) as caught:
        builtin_ranges.claims("file", {b"_text": 0x1000})
    assert str(caught.value).startswith(problem)


def test_ranges_as_the_kernel_writes_them(tmp_path):
    file = tmp_path / "modules.builtin.ranges"
    file.write_text(
        ".text 00000000-00000000 = _text\n.text 00000010-00000020 ext4\n.text 00000020-00000030 liquidio liquidio_vf\n"
    )
    assert [claim[:3] for claim in builtin_ranges.claims(file, {b"_text": 0x1000})] == [
        (0x1000, 0x1010, "[]"),
        (0x1010, 0x1020, "[ext4]"),
        (0x1020, 0x1030, "[liquidio liquidio_vf]"),
    ]
    assert Claim(0, 1, "a.o", "x").path == "a.o"
