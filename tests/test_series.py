"""`doit series` on the toy: each patch alone and all of them, against make, awk, the assembler and the toy itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from tables_kit import link
from toy_kit import Toy

from kallmodsyms import boot, kbuild
from kallmodsyms.kallsyms import reader
from kallmodsyms.series import sizes

NAMES = ["1-tristate", "2-modules_thick", "3-ranges", "4-modules", "5-optimize", "6-proc", "7-sizes"]
SEEN = [
    "arch/x86/crypto/crc32c-intel.o", "arch/x86/crypto/xor-x86_64.o", "crypto/crypto.o", "crypto/crypto_algapi.o",
    "crypto/crc32c_generic.o", "drivers/block/brd.o", "security/keys/trusted.o", "sound/soundcore.o",
]  # fmt: skip
"""The modules of the toy that do not stand behind a tristate directory."""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    toy.first = toy.ran("series")
    return toy


@pytest.fixture
def toy(replayed):
    with replayed.restored() as toy:
        yield toy


def page(toy, name=""):
    return toy.output(f"series/{name}/PAGE.md").decode()


def cells(text, row):
    """The figures in the row of a table."""
    found = re.search(rf"^\| {re.escape(row)} \|(.*)\|$", text, re.MULTILINE)
    assert found, f"{row}\n{text}"
    return [int(cell.replace(",", "")) for cell in found[1].split("|") if cell.strip().replace(",", "").isdigit()]


def test_all_in_the_order_of_the_letter(replayed):
    assert [name for name in replayed.first if name.startswith("series:")] == sorted(
        [*(f"series:{name}" for name in NAMES), "series:summary"]
    )
    assert replayed.ran("series") == []
    listed = [line.split(" ")[0] for line in replayed.doit("list", "--all", "-q").splitlines()]
    assert [name for name in listed if name.startswith("series:")] == [f"series:{n}" for n in [*NAMES, "summary"]]
    headings = [line for name in NAMES for line in page(replayed, name).splitlines() if line.startswith("# ")]
    assert [heading[:4] for heading in headings] == [f"# {number}. "[:4] for number in range(1, 8)]
    links = re.findall(r"\]\((.*?)\)", page(replayed))
    assert links == [f"{name}/PAGE.md" for name in NAMES]
    assert "{" not in "".join(page(replayed, name) for name in ["", *NAMES]).replace("{addresses", "")


@pytest.mark.parametrize("name", [*NAMES, "summary"])
def test_each_alone(toy, name):
    """From a built kernel, without the others, but for the list that the sixth compares."""
    before = toy.outputs()
    shutil.rmtree(toy.objdir / "series")
    ran = toy.ran(f"series:{name}")
    wanted = {f"series:{name}"} | ({"series:2-modules_thick"} if name in ("6-proc", "summary") else set())
    assert set(ran) == wanted
    made = {path: data for path, data in toy.outputs().items() if path.startswith("series/")}
    assert made and all(before[path] == data for path, data in made.items() if not path.endswith("TIME.md"))


def test_the_first_builds_nothing(tmp_path):
    toy = Toy(tmp_path)
    assert toy.ran("series:1-tristate") == ["config", "series:1-tristate", "tristate_conf"]
    assert not list(toy.objdir.rglob("*.o"))


def test_tristate_conf_comes_back_and_follows(toy):
    text = toy.output("include/config/tristate.conf")
    (toy.objdir / "include/config/tristate.conf").unlink()
    assert toy.ran("series:1-tristate") == ["tristate_conf"]
    assert toy.output("series/1-tristate/tristate.conf") == text == toy.output("include/config/tristate.conf")
    toy.configure("CONFIG_MINIX_FS=y", "CONFIG_MINIX_FS=m")
    assert {"tristate_conf", "series:1-tristate"} <= set(toy.ran("series:1-tristate"))
    assert toy.output("series/1-tristate/tristate.conf") == text.replace(b"MINIX_FS=Y", b"MINIX_FS=M")
    found = cells(page(toy, "1-tristate"), "Y") + cells(page(toy, "1-tristate"), "M")
    assert found == [text.count(b"=Y\n") - 1, text.count(b"=M\n") + 1]


def test_what_is_damaged_is_made_again(toy):
    (toy.objdir / "series/3-ranges/PAGE.md").write_text("x")
    assert "series/3-ranges/PAGE.md" in toy.doit("info", "series:3-ranges", status=1)
    assert toy.ran("series") == ["series:3-ranges"] and toy.ran("series") == []
    assert "up-to-date" in toy.doit("info", "series:3-ranges")


def test_the_list_is_what_make_says(replayed):
    ours = kbuild.parse_thick(replayed.output("modules_thick.builtin").decode(), "ours")
    theirs = kbuild.parse_thick(replayed.output("series/2-modules_thick/modules_thick.series").decode(), "theirs")
    assert [module.object for module in theirs] == SEEN
    assert {module.object: module for module in theirs} == {m.object: m for m in ours if m.object in SEEN}
    missing = replayed.output("series/2-modules_thick/missing").decode().split()
    assert missing == sorted(module.object for module in ours if module.object not in SEEN)
    text = page(replayed, "2-modules_thick")
    assert cells(text, "modules") == [len(theirs), len(ours)]
    assert f"- {len(missing)} modules are missing: `{missing[0]}`, " in text
    time = replayed.output("series/2-modules_thick/TIME.md").decode()
    assert len(re.findall(r"(?: \| \d+\.\d\d){2} \|$", time, re.MULTILINE)) == 3


def test_without_make(toy, tmp_path):
    """Only the second needs it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for path in os.listdir(directory) if os.path.isdir(directory) else []:
            if path not in ("make", "gmake") and not (programs / path).is_symlink():
                (programs / path).symlink_to(os.path.join(directory, path))
    toy.environment["PATH"] = str(programs)
    toy.doit("series:3-ranges", "series:7-sizes")
    shutil.rmtree(toy.objdir / "series")
    said = toy.doit("series:2-modules_thick", status=1)
    assert "the series goes through the tree with make, which is not on the PATH\n  apt-get install make\n" in said


def test_ranges_are_what_awk_takes(replayed):
    """The program that the series has in scripts/link-vmlinux.sh, in other words."""
    program = (
        "/^Linker script and memory map/ {on = 1; next} /^\\.brk/ {exit} on && /\\.o$/ {print $(NF-2), $(NF-1), $NF}"
    )
    done = subprocess.run(
        ["awk", program, replayed.objdir / "series/3-ranges/vmlinux.map"], capture_output=True, text=True, check=True
    )
    rows = [line.split(" ") for line in done.stdout.splitlines() if line.startswith("0x")]
    wanted = sorted((start, size, os.path.normpath(path)) for start, size, path in rows if int(size, 16))
    said = [tuple(line.split(" ")) for line in replayed.output("series/3-ranges/ranges.series").decode().splitlines()]
    assert sorted(said) == wanted
    assert replayed.output("series/3-ranges/ranges") == replayed.output(".tmp_vmlinux2.ranges")


@pytest.fixture(scope="module")
def decoded(replayed, tmp_path_factory):
    """What the tables of the fourth, fifth and seventh patch hold, by the assembler, the linker and our reader."""
    scratch = tmp_path_factory.mktemp("decoded")
    (scratch / "asm").mkdir()
    (scratch / "asm/bitsperlong.h").write_text("#define BITS_PER_LONG 64\n")
    ours = reader.read(replayed.objdir / "vmlinux")
    found = {}
    for name in ("4-modules", "5-optimize", "7-sizes"):
        source, made = replayed.objdir / f"series/{name}/kallsyms.S", scratch / f"{name}.o"
        subprocess.run(["gcc", f"-I{scratch}", "-c", "-o", made, source], check=True)
        text = int(ours.addresses[ours.names.index(b"_text")])
        found[name] = reader.read(link([made], scratch / name, text))
    return ours, found


def test_tables_hold_what_the_pages_say(replayed, decoded):
    ours, found = decoded
    own = {(row.name, row.address): row.modules for row in map(ours.symbol, range(len(ours)))}
    for name in ("4-modules", "5-optimize"):
        theirs = {
            (row.name, row.address): tuple(sorted(row.modules)) for row in map(found[name].symbol, range(len(ours)))
        }
        missed = sum(bool(mine) and not theirs[key] for key, mine in own.items())
        wrong = sum(bool(theirs[key]) and theirs[key] != mine for key, mine in own.items())
        if name == "4-modules":
            assert f": {missed} text symbols" in page(replayed, name)
            assert f"\n{wrong} symbols have a module" in page(replayed, name)
        else:
            text = page(replayed, "6-proc")
            assert cells(text, "missed: a module's text, and no module is shown")[1] == missed > 0
            invented = cells(text, "invented: a module is shown, and there is none")[1]
            assert invented + cells(text, "other modules than those that it has")[1] == wrong > 0
        assert cells(page(replayed, name), "entries")[name == "5-optimize"] == len(found[name].runs)
    before, after, saved, mine = cells(page(replayed, "5-optimize"), "entries")
    assert before - after == saved > 0 and mine == len(ours.runs)
    summary = page(replayed)
    assert cells(summary, "its encoding of our list and pieces")[:2] == [19, after]
    assert cells(summary, "ours") == [19, mine, int(np.count_nonzero(ours.of_symbols)), 0, 0, 0]


def test_what_root_and_nobody_read(replayed):
    listing = subprocess.run([replayed.objdir / "vmlinux", "kallmodsyms"], capture_output=True, text=True).stdout
    assert replayed.output("series/7-sizes/root").decode() == listing
    nobody = re.sub("^[0-9a-f]{16} [0-9a-f]+ ", f"{0:016x} 0 ", listing, flags=re.MULTILINE)
    assert replayed.output("series/7-sizes/nobody").decode() == nobody
    plain = re.sub("^([0-9a-f]{16}) [0-9a-f]+ ", r"\1 ", listing, flags=re.MULTILINE)
    assert replayed.output("series/6-proc/root").decode() == plain
    hidden = re.sub("^[0-9a-f]{16}", f"{0:016x}", plain, flags=re.MULTILINE)
    assert replayed.output("series/6-proc/nobody").decode() == hidden
    theirs = replayed.output("series/6-proc/root.series").decode()
    own, its = (
        {tuple(line.lower().split("\t")[0].split(" ")): line.partition("\t")[2] for line in text.splitlines()}
        for text in (plain, theirs)
    )
    assert own.keys() == its.keys()
    text = page(replayed, "6-proc")
    right = sum(bool(mine) and mine == its[key] for key, mine in own.items())
    missed = sum(bool(mine) and not its[key] for key, mine in own.items())
    assert cells(text, "right modules")[0] == right > 10
    assert cells(text, "missed: a module's text, and no module is shown")[0] == missed > 30
    assert cells(text, "with modules") == [sum(map(bool, own.values())), sum(map(bool, its.values()))]


def test_sizes_in_three_forms(replayed, decoded):
    ours, found = decoded
    dense = np.frombuffer(replayed.output("series/7-sizes/sizes.dense"), np.uint64)
    assert dense.tolist() == ours.sizes.tolist() == found["7-sizes"].sizes.tolist()
    sparse = np.frombuffer(replayed.output("series/7-sizes/sizes.sparse"), np.uint32).reshape(-1, 2)
    assert sizes.from_sparse(ours.addresses, sparse.astype(np.uint64)).tolist() == dense.tolist()
    text = page(replayed, "7-sizes")
    for form in ("dense", "sparse", "compact"):
        size = len(replayed.output(f"series/7-sizes/sizes.{form}"))
        assert re.search(rf"^\| {form}: .*? \| {size:,} \|", text, re.MULTILINE)
    image = replayed.objdir / "vmlinux"
    table = subprocess.run(["nm", "-n", image], capture_output=True, text=True, check=True).stdout
    places = {name: int(address, 16) for address, name in re.findall(r"^(\w+) . (kallsyms_size\w+)$", table, re.M)}
    codes = places["kallsyms_size_markers"] - places["kallsyms_size_codes"]
    assert codes - 8 < len(replayed.output("series/7-sizes/sizes.compact")) - 4 <= codes


def test_the_letters_table(replayed):
    """Images that are linked again are as large as the pages say, by what their tables add."""
    text = page(replayed)
    rows = {name: re.findall(r"([\d,]+) \(", re.search(rf"^\| {name} \|.*$", text, re.M)[0]) for name in (
        "`.S`", "vmlinux", "compressed")}  # fmt: skip
    assert [row[0] for row in rows.values()] == ["29,743", "10,824", "7,552"]
    source = [int(cell.replace(",", "")) for cell in rows["`.S`"][1:]]
    base = int(re.search(r"`\.S` has ([\d,]+) bytes", text)[1].replace(",", ""))
    added = re.findall(r"([\d,]+) \(", re.search(r"^\| the tables in it \|.*$", text, re.M)[0])
    entries, names = (cells(page(replayed, "5-optimize"), f"bytes of {what}")[1] for what in ("entries", "names"))
    assert int(added[0].replace(",", "")) == entries + names
    assert source[0] + base == len(replayed.output("series/5-optimize/kallsyms.S"))
    assert source[1] + base == len(replayed.output("series/7-sizes/kallsyms.S"))
    size = int(re.search(r"vmlinux\s+([\d,]+), and\s+compressed", text)[1].replace(",", ""))
    ours = int(rows["vmlinux"][4].replace(",", ""))
    assert abs(size + ours - len(replayed.output("vmlinux"))) < 64
    assert "[otter] [otter_vf]" in text and "has no liquidio; objects that otter and otter_vf share" in text


def test_a_kernel_without_sizes(toy):
    said = toy.doit("series:7-sizes", "sizes=none", status=1)
    assert f"{toy.objdir}/vmlinux: was linked without sizes\n  link it with sizes=compact\n" in said
    toy.doit("series:6-proc", "series:summary", "sizes=none")


@pytest.mark.parametrize("kind", ["map", "ranges"])
def test_a_link_file_that_is_gone(toy, kind):
    """Not that of another pass in its place."""
    (toy.objdir / f".tmp_vmlinux2.{kind}").unlink()
    assert toy.doit("series:3-ranges", status=1).count(
        f"{toy.objdir}/.tmp_vmlinux2.{kind}: does not exist, which the link of vmlinux leaves\n"
        f"  remove {toy.objdir}/vmlinux, and build it again\n"
    )
    (toy.objdir / "vmlinux").unlink()
    before = toy.output("series/3-ranges/ranges")
    toy.doit("series")
    assert toy.output("series/3-ranges/ranges") == before


@pytest.mark.long
def test_a_real_kernel(built, linux_6_1, make_linux):
    """What root and nobody read in the booted kernel; and the letter's excerpt, which is from objects that it has."""
    make_linux(built, linux_6_1, "series")
    as_nobody = f'{boot.BUSYBOX} su nobody -s /bin/sh -c "{boot.BUSYBOX} cat /proc/kallmodsyms" > /nobody'
    root, nobody = boot.run(built, ["/proc/kallmodsyms", "/nobody"], as_nobody).contents
    series = built / "series"
    assert (series / "7-sizes/root").read_bytes() == root
    assert (series / "7-sizes/nobody").read_bytes() == nobody
    plain = re.sub(rb"(?m)^([0-9a-f]{16}) [0-9a-f]+ ", rb"\1 ", root)
    assert (series / "6-proc/root").read_bytes() == plain
    summary = (series / "PAGE.md").read_text()
    assert " t lio_get_regs_len\t[liquidio] [liquidio_vf]" in root.decode()
    assert "[liquidio] [liquidio_vf]" in summary and "has no liquidio" not in summary and "has no rapl" in summary
    added = re.search(r"^\| vmlinux \|.*$", summary, re.MULTILINE)[0]
    assert len(re.findall(r"[\d,]+ \(", added)) == 5
