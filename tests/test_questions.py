"""What a kernel is asked on the command line: show, lookup, modules and diff. The oracles are nm, readelf and size, awk
and Python's own csv and json, on the small real kernel and on the toy.
"""

import csv
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kallmodsyms import Kernel

ROOT = Path(__file__).parent.parent


def run(*words, status=0, text=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", *map(str, words)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment)
    assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def image(built):
    return built / "vmlinux"


@pytest.fixture(scope="module")
def lines(image):
    return run("show", image).splitlines()


def sections(image):
    said = subprocess.run(["readelf", "-SW", image], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"\] (\S+) +\w+ +([0-9a-f]{16}) [0-9a-f]+ ([0-9a-f]+) ", said)
    return {name: range(int(address, 16), int(address, 16) + int(size, 16)) for name, address, size in found}


def name(line):
    return line.split(" ")[3].partition("\t")[0]


FILTERS = {
    "--module ext4": lambda line, there: "[ext4]" in line,
    "--module ext4 --module liquidio-vf": lambda line, there: "[ext4]" in line or "[liquidio_vf]" in line,
    "--type tT": lambda line, there: line.split(" ")[2] in "tT",
    "--match *_write*": lambda line, there: "_write" in name(line),
    "--match ext4_?et_[a-f]*": lambda line, there: re.match(r"ext4_.et_[a-f]", name(line)),
    "--section .init.text": lambda line, there: int(line[:16], 16) in there[".init.text"],
    "--range 0xffffffff81001000-0xffffffff81002000": lambda line, there: line.startswith("ffffffff81001"),
    "--type t --module vfat --match v*": lambda line, there: "[vfat]" in line and name(line)[0] == "v",
}


@pytest.mark.parametrize("words", FILTERS)
def test_filters(image, lines, words):
    there = sections(image)
    expected = [line for line in lines if FILTERS[words](line, there)]
    assert expected and run("show", image, *words.split(" ")).splitlines() == expected


def test_forms_say_the_same(image):
    words = ["show", image, "--module", "isofs"]
    document = json.loads(run(*words, "--json"))["symbols"]
    assert len(document) > 30
    assert [json.loads(line) for line in run(*words, "--jsonl").splitlines()] == document
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv"))))
    assert [{**row, "size": int(row["size"]), "modules": row["modules"].split(" ")} for row in rows] == document
    assert run("show", image, "--match", "no_such_*", "--json") == '{"symbols": [\n\n]}\n'


def test_questions_of_all_kinds(image, lines):
    line = next(line for line in lines if " ext4_sync_file\t" in line)
    address, size = (int(word, 16) for word in line.split(" ")[:2])
    inside = f"{address + 16:x} ext4_sync_file+0x10/{size:#x}\t[ext4]\n"
    for query in (
        "ext4_sync_file+16",
        "ext4_sync_file+0x10",
        "ext4:ext4_sync_file+16",
        f"{address + 16:#x}",
        f"{address + 16:X}",
    ):
        assert run("lookup", image, query) == inside, query
    for query in ("ext4_sync_file", "ext4:ext4_sync_file"):
        assert run("lookup", image, query) == line + "\n"
    end = address + 0x2000
    within = [one for one in lines if address <= int(one[:16], 16) < end]
    assert run("lookup", image, f"{address:x}-{end:#x}").splitlines() == within and len(within) > 3
    for query in (
        "jbd2:ext4_sync_file",
        "nothing+1",
        "ext4:nothing",
        "0x10000000000",
        "0x1-0x2x",
        "+",
        ":",
        "ext4:",
        "add",
    ):
        assert run("lookup", image, query, status=1) == f"kallmodsyms: {image}: no symbol for {query}\n"


def test_repeated_names_by_module(image, lines):
    """liquidio and liquidio_vf have functions of one name each."""
    both = [line for line in lines if line.split(" ")[3].split("\t")[0] == "liquidio_get_stats64"]
    assert len(both) == 2 and run("lookup", image, "liquidio_get_stats64").splitlines() == both
    for module in ("liquidio", "liquidio-vf"):
        found = run("lookup", image, f"{module}:liquidio_get_stats64")
        assert found.endswith(f"\t[{module.replace('-', '_')}]\n") and found.strip() in both


def test_questions_from_a_file_and_a_pipe(image, tmp_path):
    words = ["ext4_sync_file", "vfs_read", "ext4_sync_file+0x10"]
    said = run("lookup", image, *words)
    assert run("lookup", image, "-", text="ext4_sync_file vfs_read\n\next4_sync_file+0x10\n") == said
    (tmp_path / "questions").write_text("\n".join(words))
    assert run("lookup", "--from", image, "-", "--file", tmp_path / "questions", text="") == said
    answers = json.loads(run("lookup", "--json", image, *words))["answers"]
    assert [answer["query"] for answer in answers] == words and answers[2]["offset"] == 16
    assert [row["symbol"] for row in csv.DictReader(io.StringIO(run("lookup", "--csv", image, *words)))] == [
        answer["symbol"] for answer in answers
    ]


def test_many_addresses(image, lines, tmp_path):
    """100,000 in under two seconds of a processor, each answered as alone."""
    addresses = [f"{int(line[:16], 16) + 1:016x}" for line in lines if line.split(" ")[1] not in ("0", "1")]
    path = tmp_path / "addresses"
    path.write_text("\n".join((addresses * 8)[:100_000]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = run("lookup", "--from", image, "--file", path, "-", text="").splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert len(said) == 100_000
    kernel = Kernel.open(image)
    for at in range(0, 100_000, 997):
        found = kernel.find(int(said[at].split(" ")[0], 16))
        assert (
            found.offset
            and said[at].split(" ")[1].split("\t")[0] == f"{found.symbol.name}+{found.offset:#x}/{found.symbol.size:#x}"
        )


def test_modules(image, built):
    """Objects and options against the thick list, tristate.conf and the objects' own headers."""
    rows = {row["module"]: row for row in csv.DictReader(io.StringIO(run("modules", image, "--csv")))}
    tristates = (built / "include/config/tristate.conf").read_text()
    for line in (built / "modules_thick.builtin").read_text().splitlines():
        path, _, members = line.partition(":")
        name = Path(path).stem.replace("-", "_")
        if name not in rows:
            continue
        objects = members.split() or [path]
        row = rows[name]
        assert int(row["objects"]) == len(objects) and row["loaded"] == "no"
        assert f"{row['option']}=Y\n" in tristates, row
        said = subprocess.run(["size", "-A", *objects], capture_output=True, text=True, check=True, cwd=built).stdout
        # What the linker merges (strings) or throws away is not there; the rest is.
        sizes = re.findall(r"^(\.(?:data|bss)\S*) +(\d+)", said, re.MULTILINE)
        assert int(row["data"]) >= sum(int(size) for _, size in sizes if not _.startswith(".data..percpu"))
    assert {name: row["option"] for name, row in rows.items() if name in ("ext4", "liquidio_vf", "vfat")} == {
        "ext4": "CONFIG_EXT4_FS", "liquidio_vf": "CONFIG_LIQUIDIO_VF", "vfat": "CONFIG_VFAT_FS"
    }  # fmt: skip
    kernel = Kernel.open(image)
    assert all(int(row["text"]) == kernel.modules[name].text for name, row in rows.items())
    said = run("modules", image).splitlines()
    assert said[0].split() == ["module", "text", "init", "data", "symbols", "objects", "option", "loaded"]
    assert [line.split() for line in said[1:]] == [[value or "-" for value in row.values()] for row in rows.values()]
    assert run("modules", image, "--module", "nothing", status=1) == (
        f"kallmodsyms: {image}: has no module nothing\n  `kallmodsyms modules {image}` lists them\n"
    )


def test_a_saved_listing_does_as_well(image, lines, tmp_path):
    saved = tmp_path / "listing"
    run("show", image, "-o", saved)
    assert run("show", saved).splitlines() == lines
    assert run("lookup", saved, "ext4_sync_file+16") == run("lookup", image, "ext4_sync_file+16")
    assert run("modules", saved, "--module", "ext4").split()[11] == "-"  # No build, no data.
    assert "has no section .text with addresses" in run("show", saved, "--section", ".text", status=1)


OLD = (
    "ffffffff81000000 10 T _text\n"
    "ffffffff81000010 20 t ext4_one\t[ext4]\n"
    "ffffffff81000030 20 t ext4_two\t[ext4]\n"
    "ffffffff81000050 20 t minix_one\t[minix]\n"
    "ffffffff81000070 20 T vfs_read\n"
    "ffffffff81000400 0 T _end\n"
)
NEW = (
    "ffffffff81000000 10 T _text\n"
    "ffffffff81000010 28 t ext4_one\t[ext4]\n"
    "ffffffff81000050 20 t ext4_new\t[ext4]\n"
    "ffffffff81000070 20 t ext4_new\t[ext4]\n"
    "ffffffff81000090 20 t crc7_be\t[crc7]\n"
    "ffffffff810000b0 20 T vfs_write\n"
    "ffffffff81000400 0 T _end\n"
)


def test_differences(tmp_path):
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(NEW)
    assert run("diff", tmp_path / "old", tmp_path / "new").splitlines() == [
        "crc7: came, 1 symbols, 32 bytes of text",
        "ext4: text +64, init +0, symbols +2 -1: +ext4_new +ext4_new -ext4_two".replace(
            "+64", f"{0x90 - 0x10 - 0x40:+}"
        ),
        "minix: went, 1 symbols, 32 bytes of text",
        "no module: symbols +1 -1: +vfs_write -vfs_read",
    ]
    assert run("diff", tmp_path / "old", tmp_path / "old") == ""
    changes = json.loads(run("diff", tmp_path / "old", tmp_path / "new", "--json"))["changes"]
    assert changes[0] == {
        "module": "crc7",
        "change": "came",
        "text": 32,
        "init": 0,
        "added": ["crc7_be"],
        "removed": [],
    }


def test_a_module_that_became_loadable(tmp_path):
    """minix of the toy kernel, built in, and the same with m: the .ko has the same functions."""
    for name in ("y", "m"):
        command = [sys.executable, "-m", "doit", f"objdir={tmp_path / name}"]
        subprocess.run([*command, "config"], cwd=ROOT, check=True, capture_output=True)
        if name == "m":
            config = tmp_path / "m/.config"
            config.write_text(config.read_text().replace("CONFIG_MINIX_FS=y", "CONFIG_MINIX_FS=m"))
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    said = run("diff", tmp_path / "y/vmlinux", tmp_path / "m/vmlinux").splitlines()
    objects = next(
        line for line in (tmp_path / "y/modules_thick.builtin").open() if line.startswith("fs/minix/minix.o:")
    )
    nm = ["nm", *objects.split(":")[1].split()]
    functions = re.findall(r" [tTwW] ", subprocess.run(nm, cwd=tmp_path / "y", capture_output=True, text=True).stdout)
    assert f"minix: from built in to loadable, with the same {len(functions)} functions" in said
