"""Every byte of an image, accounted for. The oracles are size, readelf, nm and `kallmodsyms show`, on the toy kernel;
and by `-m long` on a whole x86_64 defconfig, whose build directory KALLMODSYMS_DEFCONFIG names.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from report_kit import report
from toy_kit import ROOT

from kallmodsyms import Kernel
from kallmodsyms.linkmap import Label, Piece, Unattributed
from kallmodsyms.report.account import Section, account
from kallmodsyms.symbols import SymbolTable

GROUPS = ("modules", "objects", "directories", "options", "maintainers")


def said_by(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def builds(toy_builds):
    return toy_builds


def sizes(path):
    """Of the sections that are allocated: size -A has the sizes and addresses, readelf the flags."""
    headers = re.findall(r"\] (\S+) .* [0-9a-f]+ +([A-Za-z]+) +\d+ +\d+ +\d+$", said_by("readelf", "-SW", path), re.M)
    allocated = {name for name, flags in headers if "A" in flags}
    lines = re.findall(r"^(\S+) +(\d+) +(\d+)$", said_by("size", "-A", path), re.MULTILINE)
    return {name: (int(size), int(address)) for name, size, address in lines if name in allocated and int(size)}


def check_sums(document, image):
    real = sizes(image)
    sections = {one["section"]: one for one in document["sections"] if one["bytes"]}
    assert {name: (one["bytes"], int(one["address"], 16)) for name, one in sections.items()} == real
    total = sum(size for size, _ in real.values())
    assert document["bytes"] == total
    for group in GROUPS:
        assert sum(line["bytes"] for line in document[group]) == total, group
        for line in document[group]:
            assert line["bytes"] == sum(line[kind] for kind in ("code", "rodata", "data", "bss"))
    by_kind = Counter()
    for one in sections.values():
        by_kind[one["kind"]] += one["bytes"]
    for kind, expected in by_kind.items():
        assert sum(line[kind] for line in document["modules"]) == expected


def check_symbols(document, image):
    """All that nm lists are there, with its sizes; and the modules of all that `show` lists are its."""
    lines = re.findall(r"^([0-9a-f]+)(?: ([0-9a-f]+))? ([^Uwv]) (\S+)$", said_by("nm", "-S", image), re.MULTILINE)
    theirs = Counter((int(address, 16), int(size or "0", 16), letter, name) for address, size, letter, name in lines)
    ours = Counter((int(o["address"], 16), o["size"], o["type"], o["symbol"]) for o in document["symbols"])
    assert ours == theirs
    modules = defaultdict(set)
    for one in document["symbols"]:
        modules[int(one["address"], 16), one["symbol"]].add(one["module"])
    kernel = Kernel.open(image)
    code = {one["section"]: one for one in document["sections"] if one["kind"] == "code"}
    spans = [range(int(one["address"], 16), int(one["address"], 16) + one["bytes"]) for one in code.values()]
    owned = 0
    for row in kernel.symbols:
        if row.type not in "tTwW" or not any(row.address in span for span in spans):
            continue
        expected = " ".join(row.modules)
        there = {"" if name in ("no module", "linker script", "padding") else name for name in
                 modules[row.address, row.name]}  # fmt: skip
        assert expected in there, row
        owned += expected != ""
    assert owned == sum(1 for row in kernel.symbols if row.modules)


def check_objects(document, image, least):
    """The code of each object is as much as its own sections have."""
    checked = 0
    for line in document["objects"]:
        path = image.parent / line["object"]
        if not path.is_file() or not line["code"] or ".tmp_" in path.name:
            continue
        table = said_by("readelf", "-SW", path)
        code = re.findall(r"\] \S+ +\w+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) +[0-9a-f]+ +[A-Z]*AX", table)
        assert line["code"] <= sum(int(size, 16) for size in code), line
        checked += line["code"] == sum(int(size, 16) for size in code)
    assert checked >= least


def test_sections_and_every_table_sum_to_what_size_says(builds):
    check_sums(builds.document, builds.new)


def test_symbols_are_those_of_nm_and_modules_those_of_show(builds):
    check_symbols(builds.document, builds.new)


def test_objects_have_what_their_own_sections_have(builds):
    check_objects(builds.document, builds.new, 60)


def test_what_is_of_no_object_is_named(builds):
    names = {one["object"]: one for one in builds.document["objects"]}
    assert names[".note.gnu.build-id: made by the linker"]["bytes"] == sizes(builds.new)[".notes"][0]
    assert names[".rodata.str1.1: constants shared by several objects"]["bytes"] > 100
    modules = {one["module"]: one["bytes"] for one in builds.document["modules"]}
    assert {"padding", "made by the linker", "linker script", "unattributed", "no module"} <= modules.keys()


def test_origin_of_objects(builds):
    options = {one["option"]: one for one in builds.document["options"]}
    minix = sum(one["bytes"] for one in builds.document["objects"] if one["object"].startswith("fs/minix/"))
    assert options["CONFIG_MINIX_FS"]["bytes"] == minix > 0
    maintainers = {one["maintainer"]: one for one in builds.document["maintainers"]}
    assert maintainers["MINIX FILE SYSTEM"]["bytes"] == minix
    assert maintainers["FILE SYSTEMS"]["bytes"] > 0 and "THE REST" not in maintainers
    assert [one["object"] for one in builds.document["shared"]] == [
        f"drivers/net/otter/otter_{name}.o" for name in ("mailbox", "device")
    ]


def test_changes_sum_to_the_difference(builds):
    document = builds.document
    old = json.loads(report(builds.old, "--tree", builds.tree, "--json"))
    changes = document["changes"]
    assert sum(one["after"] - one["before"] for one in changes) == document["bytes"] - old["bytes"]
    for key, group in {"module": "modules", "object": "objects", "directory": "directories"}.items():
        grown = Counter()
        for one in changes:
            grown[one[key]] += one["after"] - one["before"]
        for side, sign in ((document, -1), (old, 1)):
            for line in side[group]:
                grown[line[key]] += sign * line["bytes"]
        assert not any(grown.values()), {name: more for name, more in grown.items() if more}
    more = [one for one in changes if one["symbol"] == "minix_more"]
    size = int(
        next(line.split()[1] for line in said_by("nm", "-S", builds.new).splitlines() if "minix_more" in line), 16
    )
    assert [(one["before"], one["after"], one["module"], one["section"]) for one in more] == [
        (0, size, "minix", ".text")
    ]
    assert all(one["after"] == 0 for one in changes if one["module"] == "brd")


def test_the_same_bytes_each_time(builds, tmp_path):
    for name in ("one.html", "two.html"):
        report(builds.new, "--tree", builds.tree, "--against", builds.old, "-o", tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_configuration_for_bloaty(builds, tmp_path):
    """Its patterns name the module of each source; the first that matches counts, as in bloaty."""
    report(builds.new, "--tree", builds.tree, "--bloaty", tmp_path / "kernel.bloaty", "-o", tmp_path / "page.html")
    text = (tmp_path / "kernel.bloaty").read_text()
    assert text.startswith('custom_data_source {\n  name: "module"\n  base_data_source: "compileunits"\n')
    rules = [
        (re.compile(json.loads(pattern)), json.loads(replacement))
        for pattern, replacement in re.findall(r'rewrite { pattern: (".*") replacement: (".*") }', text)
    ]

    def module(path):
        return next(name for pattern, name in rules if pattern.search(path))

    for unit, expected in {
        "fs/minix/inode.c": "minix", "/somewhere/tree/fs/minix/bitmap.c": "minix", "kernel/panic.c": "no module",
        "drivers/net/otter/otter_device.c": "otter otter_vf", "arch/x86/crypto/crc32c-intel-asm.S": "crc32c_intel",
    }.items():  # fmt: skip
        assert module(unit) == expected


def test_an_image_from_which_a_section_was_taken(builds, tmp_path):
    """As Kbuild takes .modinfo out of vmlinux since 6.16."""
    for name in (".tmp_vmlinux2.ranges", ".tmp_vmlinux2.map"):
        shutil.copy(builds.new.parent / name, tmp_path)
    subprocess.run(["objcopy", "-R", ".exit.text", builds.new, tmp_path / "vmlinux"], check=True)
    document = json.loads(report(tmp_path / "vmlinux", "--json"))
    check_sums(document, tmp_path / "vmlinux")
    assert ".exit.text" not in {one["section"] for one in document["sections"]}


# What is wrong is said in one line, and what to do in the next.


def test_not_a_kernel(tmp_path):
    (tmp_path / "text").write_bytes(b"\0 no kernel")
    assert "is not an ELF file" in report(tmp_path / "text", status=1)
    assert "cannot be read" in report(tmp_path / "gone", status=1)


def test_a_listing(builds):
    assert "is a listing, which says nothing of data" in report(builds.new.parent / "kallmodsyms", status=1)


def test_an_image_without_tables(builds):
    said = report(builds.new.parent / "fs/minix/inode.o", status=1)
    assert "kallsyms" in said and said.count("\n") <= 2


def test_an_image_alone(builds, tmp_path):
    shutil.copy(builds.new, tmp_path / "vmlinux")
    assert "no .tmp_vmlinux2.ranges is beside it" in report(tmp_path / "vmlinux", status=1)


def test_not_a_tree(builds, tmp_path):
    assert "is no source tree" in report(builds.new, "--tree", tmp_path, status=1)
    assert "cannot be read" in report(builds.new, "--against", tmp_path / "gone", status=1)


def test_ranges_of_another_image(builds, tmp_path):
    shutil.copy(builds.new, tmp_path / "vmlinux")
    shutil.copy(builds.old.parent / ".tmp_vmlinux2.ranges", tmp_path)
    assert "is of another link than" in report(tmp_path / "vmlinux", status=1)
    (tmp_path / ".tmp_vmlinux2.ranges").write_text("0x0000000000f00000 0x10 fs/minix/inode.o\n")
    said = report(tmp_path / "vmlinux", status=1)
    assert "fs/minix/inode.o has 16 bytes at 0xf00000, where there is no section" in said


def test_a_map_of_another_link(builds, tmp_path):
    for name in ("vmlinux", ".tmp_vmlinux2.ranges"):
        shutil.copy(builds.new.parent / name, tmp_path)
    shutil.copy(builds.old.parent / ".tmp_vmlinux2.map", tmp_path)
    assert "is the map of another link" in report(tmp_path / "vmlinux", status=1)


def test_without_the_map_padding_is_still_told_from_what_is_not_known(builds, tmp_path):
    for name in ("vmlinux", ".tmp_vmlinux2.ranges"):
        shutil.copy(builds.new.parent / name, tmp_path)
    document = json.loads(report(tmp_path / "vmlinux", "--json"))
    check_sums(document, builds.new)
    assert {one["object"] for one in document["objects"]} >= {"padding", "not known without the linker's map"}


def test_where_nothing_can_be_written(builds, tmp_path):
    said = report(builds.new, "-o", tmp_path / "no" / "such" / "report.html", status=1)
    assert said.count("\n") == 1 and "cannot be written: No such file or directory" in said
    assert "cannot be written" in report(builds.new, "-o", tmp_path, status=1)


# The rules of account.py, each by itself.


def accounted(symbols, pieces=(), labels=(), told=(), section=("s", 0x1000, 0x100)):
    """The spans of one section: (bytes, owner, symbol)."""
    symbols = sorted(symbols)
    table = SymbolTable(
        addresses=np.array([address for address, _, _ in symbols], np.uint64),
        sizes=np.array([size for _, size, _ in symbols], np.uint64),
        types=b"t" * len(symbols),
        names=[name.encode() for _, _, name in symbols],
        bits=64,
    )
    name, address, size = section
    found = account([Section(name, address, size, "code")], table, pieces, labels, told, lambda path: ())
    return [(span.bytes, found.owners[span.owner].name, span.name) for span in found.spans[0]]


WHOLE = [Piece(0x1000, 0x1100, "a.o")]


def test_bytes_without_a_symbol():
    assert accounted([(0x1010, 0x20, "f")], WHOLE) == [(16, "a.o", ""), (32, "a.o", "f"), (208, "a.o", "")]


def test_symbols_in_one_place_and_within_one_another():
    symbols = [(0x1000, 0, "label"), (0x1000, 0x10, "small"), (0x1000, 0x80, "large"), (0x1070, 0x20, "behind")]
    assert accounted(symbols, WHOLE) == [
        (0x80, "a.o", "large"), (0, "a.o", "small"), (0, "a.o", "label"), (0x10, "a.o", "behind"), (0x70, "a.o", ""),
    ]  # fmt: skip


def test_a_symbol_ends_with_its_object():
    pieces = [Piece(0x1000, 0x1080, "a.o"), Piece(0x1080, 0x1100, "b.o")]
    assert accounted([(0x1070, 0x40, "f")], pieces) == [(0x70, "a.o", ""), (0x10, "a.o", "f"), (0x80, "b.o", "")]


def test_markers_belong_to_the_linker_script_and_end_labels_to_their_object():
    pieces = [Piece(0x1000, 0x1080, "a.o"), Piece(0x1080, 0x1100, "b.o")]
    labels = [Label(0x1080, "a_end", "a.o"), Label(0x1080, "marker", None)]
    spans = accounted([(0x1080, 0, "a_end"), (0x1080, 0, "marker"), (0x1080, 0x80, "g")], pieces, labels)
    assert spans == [
        (0x80, "a.o", ""), (0x80, "b.o", "g"), (0, "a.o", "a_end"), (0, "the linker script", "marker"),
    ]  # fmt: skip


def test_gaps():
    pieces = [Piece(0x1000, 0x1034, "a.o"), Piece(0x1040, 0x1050, "b.o"), Piece(0x1083, 0x10F0, "c.o")]
    told = [Unattributed(0x1060, 0x10, "stubs: made by the linker"), Unattributed(0x10F0, 4, "shared by a.o and b.o")]
    assert [span[:2] for span in accounted([], pieces, told=told)] == [
        (0x34, "a.o"), (0xC, "padding"), (0x10, "b.o"), (0x10, "padding"), (0x10, "stubs: made by the linker"),
        (0x13, "room left by the linker script"), (0x6D, "c.o"), (4, "shared by a.o and b.o"), (0xC, "padding"),
    ]  # fmt: skip
    assert accounted([], pieces, told=None)[3:5] == [
        (0x33, "not known without the linker's map", ""),
        (0x6D, "c.o", ""),
    ]


def test_the_commands_of_the_documentation(builds, tmp_path):
    """In docs/report.md, on a copy of the toy kernel's build directory, whose place they name."""
    commands = re.findall(r"^    (kallmodsyms report .*)$", (ROOT / "docs/report.md").read_text(), re.MULTILINE)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/toy").symlink_to(builds.old.parent)
    (tmp_path / "toy_kernel").symlink_to(builds.tree)
    for command in commands:
        words = [sys.executable, "-m", *command.split()]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout + done.stderr == "", (command, done.stderr)
    assert len(commands) == 4
    assert {path.name for path in tmp_path.iterdir()} >= {"report.html", "changes.html", "report.json", "kernel.bloaty"}


@pytest.mark.long
def test_a_whole_defconfig():
    """With KALLMODSYMS_DEFCONFIG=OBJDIR: a minute."""
    image = Path(os.environ["KALLMODSYMS_DEFCONFIG"]) / "vmlinux"
    document = json.loads(report(image, "--json"))
    check_sums(document, image)
    check_symbols(document, image)
