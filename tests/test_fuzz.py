"""Whatever a file says, its reader gives an answer or an InputError: no other exception, no hang, no more memory than
20 times the file.

The files are those of the toy kernel, what its build leaves, and `fuzz/READER/*`, which once broke something; then
changed at random. Each mutant follows from its number, which a failure names. A few of each reader in CI; as long as
KALLMODSYMS_FUZZ says (seconds for each reader, 600) behind the marker.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
import tracemalloc
from pathlib import Path

import pytest
from tables_kit import image, table
from toy_kit import ROOT, Toy

from kallmodsyms import archives, commands, depfile, kbuild, kconfig, linkmap, profile, release, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import owners, reader, tables
from kallmodsyms.kallsyms.select import Options
from kallmodsyms.ledger import Done, Ledger
from kallmodsyms.link import exports
from kallmodsyms.linkmap import Piece, ranges
from kallmodsyms.make import Evaluator

CORPUS = Path(__file__).parent / "fuzz"
TOY = ROOT / "toy_kernel"
SECONDS = 20
"""How long a reader may take for one file of some 100 KB, on a machine that does other things."""
ROOM = 1 << 24
"""Bytes that a reader may need beside those for the file: modules that it imports, tables of a fixed size."""


def make(path):
    evaluator = Evaluator(path.parent, shell_environment=lambda command: {})
    evaluator.set_defaults(["all"])
    evaluator.read(path.name)
    for name in ("obj-y", "obj-m", "lib-y", "subdir-y", "always-y"):
        evaluator.get(name)


def read_config(path):
    kconfig.load(TOY, path, "x86", {"SRCARCH": "x86", "KERNELVERSION": "6.1"})


def read_kconfig(path):
    path.rename(path.with_name("Kconfig"))
    (path.parent / ".config").touch()
    kconfig.load(path.parent, path.parent / ".config", "x86", {"SRCARCH": "x86", "KERNELVERSION": "6.1"})


def read_ledger(path):
    ledger = Ledger(path, TOY, path.parent)
    for name in list(ledger.steps):
        ledger.why(name, ("word",))
    ledger.append([Done("step", ("word",), [])])
    assert Ledger(path, TOY, path.parent).why("step", ("word",)) is None


READERS = {
    "map": linkmap.read,
    "image": lambda path: reader.read(path).listing(),
    "symbols": symbols.read,
    "ranges": ranges.parse,
    "thick": lambda path: kbuild.parse_thick(path.read_text("utf-8", "surrogateescape"), str(path)),
    "depfile": depfile.headers,
    "cmd": lambda path: depfile.recorded(path.read_text("utf-8", "surrogateescape")),
    "archive": archives.members,
    "exports": lambda path: exports.unpacked(path.read_bytes()),
    "profile": lambda path: profile.load(path, ROOT, {}),
    "config": read_config,
    "kconfig": read_kconfig,
    "makefile": make,
    "ledger": read_ledger,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The files to begin with, of each reader."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    toy.doit()
    small = tmp_path_factory.mktemp("image")
    text = 0xFFFFFFFF81000000
    rows = [(text + 16 * number, "t", f"function_{number}", 16) for number in range(300)]
    known = table([(text, "T", "_text", 0), (text, "T", "_stext", 0), *rows], executable=((text, text + 4800),))
    whose = owners.attribute(known, [Piece(text + 160, text + 1600, "fs/ext4/inode.o")],
                             [kbuild.Module("fs/ext4/ext4.o", ("fs/ext4/inode.o",))], {})  # fmt: skip
    options = Options(all_symbols=True, base_relative=True, sizes="compact")
    elf = image(tables.build(known, options, release.KallsymsDialect(), whose), small).read_bytes()
    nm = known.nm()
    lld = (
        b"             VMA              LMA     Size Align Out     In      Symbol\n"
        b"ffffffff81000000          1000000      200  4096 .text\n"
        b"ffffffff81000000          1000000      100    16         fs/ext4/super.o:(.text)\n"
        b"ffffffff81000010          1000010       20     1                 ext4_fill_super\n"
    )
    makefiles = [path.read_bytes() for path in sorted(TOY.rglob("Makefile"))]
    found = {
        "map": [toy.output(".tmp_vmlinux1.map"), lld],
        "image": [elf],
        "symbols": [elf, nm],
        "ranges": [toy.output(".tmp_vmlinux1.ranges")],
        "thick": [toy.output("modules_thick.builtin")],
        "depfile": [toy.output("fs/minix/.inode.o.d")],
        "cmd": [toy.output("fs/minix/.inode.o.cmd")],
        "archive": [toy.output("vmlinux.a")],
        "exports": [b"CC=gcc\0LD=ld\0KBUILD_VMLINUX_LIBS=lib/lib.a\0"],
        "profile": [path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml"))],
        "config": [toy.output(".config")],
        "kconfig": [path.read_bytes() for path in sorted(TOY.rglob("Kconfig"))],
        "makefile": makefiles,
        "ledger": [toy.output(".kallmodsyms/ledger")],
    }
    return {name: [*seeds, *(path.read_bytes() for path in kept(name))] for name, seeds in found.items()}


def kept(name):
    return sorted((CORPUS / name).glob("*")) if (CORPUS / name).is_dir() else []


ODD = [b"\0", b"\xff", b"\n", b"\r", b" ", b"\t", b"$", b"(", b")", b"$(", b'"', b"'", b"\\", b"#", b"%", b"=", b":",
       b"-", b"0", b"9" * 30, b"f" * 16, b"0x", b"\xed\xa0\x80", b"define x\n", b"endif\n", b"if y\n",
       b"source \"Kconfig\"\n",
       b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 8, b"a" * 3000, b"$(" * 300, b"(" * 300]  # fmt: skip


def mutant(seeds, number):
    """Bytes that follow from a number: pieces of one seed cut out, doubled, exchanged with those of another, or odd."""
    chance = random.Random(number)
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((0, 1, 2, 4, 8, 30, 300))
        other = chance.choice(seeds)
        start = chance.randrange(len(other) + 1)
        what = chance.randrange(6)
        if what == 0:
            del data[at:]
        elif what == 1:
            data[at : at + length] = other[start : start + chance.choice((1, 8, 100))]
        elif what == 2:
            data[at : at + length] = data[at : at + length] * 2
        elif what == 3 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif what == 4:
            data[at : at + length] = chance.randbytes(length)
        else:
            data[at:at] = chance.choice(ODD)
    return bytes(data)


def late(*arguments):
    raise TimeoutError(f"still reading after {SECONDS} s")


def feed(name, data, directory, what, measured):
    """Let a reader read; whatever is wrong says which file that was."""
    directory.mkdir()
    path = directory / "file"
    path.write_bytes(data)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS * (4 if measured else 1))
    if measured:
        tracemalloc.start()
    try:
        READERS[name](path)
    except InputError as error:
        assert str(error)
    except BaseException as error:
        raise AssertionError(f"{name}, {what}: {error!r}") from error
    finally:
        peak = tracemalloc.get_traced_memory()[1] if measured else 0
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert peak <= 20 * len(data) + ROOM, f"{name}, {what}: {peak} bytes for {len(data)}"
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def no_commands(monkeypatch):
    """What a mutant has in $(shell) must not run."""
    monkeypatch.setattr(commands, "_may_run", [False])


@pytest.mark.parametrize("name", READERS)
def test_a_reader(corpus, tmp_path, name):
    for number, data in enumerate(corpus[name]):
        feed(name, data, tmp_path / "x", f"seed {number}", True)
    for number in range(25):
        feed(name, mutant(corpus[name], number), tmp_path / "x", f"mutant {number}", number % 10 == 0)


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_a_reader_for_long(corpus, tmp_path, name):
    end = time.monotonic() + float(os.environ.get("KALLMODSYMS_FUZZ", "600"))
    for number in itertools.count(1000):
        if time.monotonic() > end:
            break
        feed(name, mutant(corpus[name], number), tmp_path / "x", f"mutant {number}", number % 100 == 0)
