"""What a change makes run, and why, on the toy kernel: one row a kind of fact. After each row everything that the
build made is, byte for byte, what a build from nothing makes; and a second doit runs nothing. Then the faults that
one ledger is there to prevent.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from toy_kit import ROOT, Toy

LINKS = ["assemble:1", "link:1", "listing", "ranges:1", "tables:1", "vmlinux"]
COMPILERS = ["linker_script"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    # A list that is a wildcard, a variable from above, and files that may be there.
    write(toy, "fs/minix/Makefile", WILD)
    write(toy, "fs/minix/there.mk", "ccflags-y += -DTHERE\n")
    write(toy, "Makefile", toy_text(toy, "Makefile") + "export EXTRA := n\n")
    toy.doit()
    toy.doit()
    return toy


WILD = """\
obj-$(CONFIG_MINIX_FS) += minix.o
minix-y := $(patsubst $(srctree)/$(obj)/%.c,%.o,$(wildcard $(srctree)/$(obj)/*.c))
ccflags-$(EXTRA) += -DEXTRA
-include $(srctree)/$(obj)/own.mk
-include $(srctree)/$(obj)/there.mk
"""


def toy_text(toy: Toy, name: str) -> str:
    return (toy.tree / name).read_text()


def write(toy: Toy, name: str, text: str) -> None:
    (toy.tree / name).write_text(text)


def put_back(path: Path, text: str) -> None:
    """Write a file, and give it the time that it had."""
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def compiler(toy: Toy, text: str) -> None:
    """Put a compiler of our own before the others on the PATH."""
    programs = toy.directory / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "gcc").write_text(f"#!/bin/sh\n{text}\n")
    (programs / "gcc").chmod(0o755)
    toy.environment["PATH"] = f"{programs}:{os.environ['PATH']}"


def package(toy: Toy, name: str) -> None:
    """Run a copy of this package in which a file ends in one more comment."""
    copy = toy.directory / "pipeline"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "pipeline", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with open(copy / "kallmodsyms" / name, "a") as stream:
        stream.write("# edited\n")
    toy.environment["PYTHONPATH"] = str(copy)


def header(toy: Toy) -> list[str]:
    """The objects that read include/linux/fs.h, by their dependency files."""
    found = []
    for path in toy.objdir.rglob(".*.o.d"):
        if "include/linux/fs.h" in path.read_text():
            found.append(f"compile:{(path.parent / path.name[1:-2]).relative_to(toy.objdir)}")
    return sorted(found)


def every(toy: Toy) -> list[str]:
    return sorted(
        f"compile:{path.relative_to(toy.objdir)}" for path in toy.objdir.rglob("*.o") if ".tmp" not in path.name
    )


def assembled(toy: Toy, name: str) -> bool:
    return (toy.tree / name.removeprefix("compile:")).with_suffix(".S").exists()


MINIX = "compile:fs/minix/inode.o"
NEW = "int toy_extra(void);\nint toy_extra(void) { return 1; }\n"
RELINK = ["archive:vmlinux.a", *LINKS]

ROWS = {
    # what: (change, a task or directory, why it must run, the tasks that run)
    "nothing": (lambda toy: None, MINIX, None, []),
    "touch": (lambda toy: os.utime(toy.tree / "fs/minix/inode.c", (1, 1)), MINIX, None, []),
    "a comment in a source": (
        lambda toy: toy.edit("fs/minix/inode.c", "\n#include", "\n/* x */\n#include"),
        MINIX,
        "{tree}/fs/minix/inode.c changed",
        [MINIX],
    ),
    "a function in a source": (
        lambda toy: write(toy, "fs/minix/inode.c", toy_text(toy, "fs/minix/inode.c") + NEW),
        "vmlinux",
        "undecided until compile:fs/minix/inode.o ran: {tree}/fs/minix/inode.c changed",
        [MINIX, *RELINK],
    ),
    "a header": (
        lambda toy: toy.edit("include/linux/fs.h", "\n#", "\n/* x */\n#"),
        MINIX,
        "{tree}/include/linux/fs.h changed",
        header,
    ),
    "a file that appeared": (
        lambda toy: write(toy, "fs/minix/own.mk", "ccflags-y += -DOWN\n"),
        "fs/minix",
        "{tree}/fs/minix/own.mk appeared",
        ["compile:fs/minix/bitmap.o", MINIX],
    ),
    "a file that appeared beside another": (
        lambda toy: write(toy, "fs/romfs/Kbuild", toy_text(toy, "fs/romfs/Makefile")),
        "fs/romfs",
        "{tree}/fs/romfs/Kbuild now matches {tree}/fs/romfs/Kbuild",
        [],
    ),
    "a file that vanished": (
        lambda toy: (toy.tree / "fs/minix/there.mk").unlink(),
        "fs/minix",
        "{tree}/fs/minix/there.mk vanished",
        ["compile:fs/minix/bitmap.o", MINIX],
    ),
    "a variable": (
        lambda toy: toy.edit("Makefile", "export EXTRA := n", "export EXTRA := y"),
        "fs/minix",
        "EXTRA was n and is y",
        ["compile:fs/minix/bitmap.o", MINIX],
    ),
    "a wildcard": (
        lambda toy: write(toy, "fs/minix/extra.c", NEW),
        "modules_thick",
        "in fs/minix, fs/minix/minix.o fs/minix/bitmap.o fs/minix/extra.o fs/minix/inode.o is new",
        ["compile:fs/minix/extra.o", "modules_thick", *RELINK],
    ),
    "a directory's wildcard": (
        lambda toy: write(toy, "fs/minix/extra.c", NEW),
        "fs/minix",
        "{tree}/fs/minix/*.c now matches {tree}/fs/minix/extra.c",
        ["compile:fs/minix/extra.o", "modules_thick", *RELINK],
    ),
    "the order of a list": (
        lambda toy: toy.edit(
            "lib/Makefile",
            toy_text(toy, "lib/Makefile").splitlines()[0],
            toy_text(toy, "lib/Makefile").splitlines()[0] + " #",
        ),
        "lib",
        "{tree}/lib/Makefile changed",
        [],
    ),
    "a symbol, m to y": (
        lambda toy: toy.configure("CONFIG_BLK_DEV_LOOP=m", "CONFIG_BLK_DEV_LOOP=y"),
        "tristate_conf",
        "CONFIG_BLK_DEV_LOOP was m and is y",
        [
            "auto_conf",
            "config",
            "compile:drivers/block/loop_main.o",
            "compile:drivers/block/sector.o",
            "modules_thick",
            "tristate_conf",
            *RELINK,
        ],
    ),
    "a symbol, m to n": (
        lambda toy: toy.configure("CONFIG_BLK_DEV_LOOP=m", "# CONFIG_BLK_DEV_LOOP is not set"),
        "tristate_conf",
        "CONFIG_BLK_DEV_LOOP was m and is n",
        [
            "auto_conf",
            "compile:drivers/block/sector.o",
            "config",
            "tristate_conf",
        ],  # its command names the modules that share it
    ),
    "a string": (
        lambda toy: toy.configure('CONFIG_DEFAULT_HOSTNAME="toy"', 'CONFIG_DEFAULT_HOSTNAME="a longer name"'),
        "compile:init/version.o",
        "CONFIG_DEFAULT_HOSTNAME was toy and is a longer name",
        # Addresses move, names and sizes stay: the room for the tables is what it was.
        ["auto_conf", "compile:init/version.o", "config", *(task for task in RELINK if task != "assemble:1")],
    ),
    "a program": (
        lambda toy: compiler(toy, 'exec /usr/bin/gcc "$@"'),
        MINIX,
        "gcc is {directory}/programs/gcc and was /usr/bin/gcc",
        lambda toy: sorted([*every(toy), "assemble:0", "assemble:1", "linker_script"]),
    ),
    "the environment": (
        lambda toy: toy.environment.update(CPATH="/nowhere"),
        MINIX,
        "CPATH was not set and is /nowhere",
        lambda toy: sorted([*every(toy), "linker_script"]),
    ),
    "the words of a command": (
        lambda toy: toy.edit("Makefile", "KBUILD_CFLAGS := ", "KBUILD_CFLAGS := -DNOBODY "),
        MINIX,
        "its command changed: '-Wall' became '-DNOBODY'",
        lambda toy: [name for name in every(toy) if not assembled(toy, name)],
    ),
    "the code of a stage": (
        lambda toy: package(toy, "kallsyms/owners.py"),
        "tables:1",
        "kallsyms/owners.py of kallmodsyms, which does this, changed",
        ["tables:0", "tables:1", "vmlinux"],
    ),
    "the code of the listing": (
        lambda toy: package(toy, "kallsyms/listing.py"),
        "listing",
        "kallsyms/listing.py of kallmodsyms, which does this, changed",
        ["listing", "vmlinux"],  # which checks by it
    ),
    "a damaged output": (
        lambda toy: (toy.objdir / "fs/minix/inode.o").write_bytes(b"rubbish"),
        MINIX,
        "its output fs/minix/inode.o is not what it wrote",
        [MINIX],
    ),
    "an output that is gone": (
        lambda toy: (toy.objdir / "vmlinux").unlink(),
        "vmlinux",
        "its output vmlinux is gone",
        ["vmlinux"],
    ),
    "an output with its timestamp put back": (
        lambda toy: put_back(toy.objdir / "System.map", toy.output("System.map").decode().replace(" T ", " t ")),
        "System.map",
        "its output System.map is not what it wrote",
        ["vmlinux"],
    ),
    "an edit with its timestamp put back": (
        lambda toy: put_back(
            toy.tree / "fs/minix/inode.c", toy_text(toy, "fs/minix/inode.c").replace("\n#inc", "\n\n#inc", 1)
        ),
        MINIX,
        "{tree}/fs/minix/inode.c changed",
        [MINIX],
    ),
}


@pytest.fixture
def toy(built):
    with built.restored() as toy:
        yield toy


@pytest.mark.parametrize("row", ROWS)
def test_what_runs_and_why(toy, row):
    change, what, reason, expected = ROWS[row]
    change(toy)
    wanted = reason and reason.format(tree=toy.tree, directory=toy.directory)
    assert toy.why(what) == wanted
    if wanted is not None and what in toy.doit("list", "--all", "-q").split():
        assert wanted in toy.doit("info", what, status=1)
    assert toy.ran() == sorted(expected(toy) if callable(expected) else expected)
    assert toy.ran() == []
    assert missing(toy) == []


def missing(toy: Toy) -> list[str]:
    """What a build from nothing makes, and this one has not, or not so."""
    ours = toy.outputs()
    return [name for name, content in toy.from_nothing().items() if ours.get(name) != content]


# What a single ledger is there to prevent; each was so before.


def test_a_source_that_changes_while_it_compiles(toy):
    compiler(
        toy,
        'case "$*" in *minix/inode.c*) [ -e "$FLAG" ] && echo "int late;" >>"$SOURCE";; esac\nexec /usr/bin/gcc "$@"',
    )
    source = toy.tree / "fs/minix/inode.c"
    text = source.read_text()
    toy.environment |= {"FLAG": str(toy.directory / "flag"), "SOURCE": str(source)}
    toy.doit()
    (toy.directory / "flag").touch()
    toy.edit("fs/minix/inode.c", "\n#include", "\n/* x */\n#include")
    assert MINIX in toy.ran()
    (toy.directory / "flag").unlink()
    assert source.read_text() != text
    assert toy.why(MINIX) == f"{source} changed while it ran"
    assert MINIX in toy.ran()
    assert toy.ran() == []
    assert missing(toy) == []


@pytest.mark.parametrize("words", [(), ("-n", "2"), ("-n", "2", "-P", "thread")])
def test_finished_steps_are_remembered_after_kill_9(toy, words):
    compiler(toy, '[ -e "$FLAG" ] && sleep 0.05\nexec /usr/bin/gcc "$@"')
    flag = toy.directory / "flag"
    flag.touch()
    toy.environment["FLAG"] = str(flag)
    with subprocess.Popen(
        toy.command(*words), cwd=ROOT, env=toy.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:  # fmt: skip
        time.sleep(2)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    flag.unlink()
    ran = toy.ran()
    done = [name for name in every(toy) if name not in ran]
    assert len(done) > 5, ran
    assert toy.ran() == []
    assert missing(toy) == []


@pytest.mark.parametrize("length", [0, 1, 100, 5000])
def test_a_ledger_that_is_cut_short(toy, length):
    kept = toy.objdir / ".kallmodsyms/ledger"
    kept.write_bytes(kept.read_bytes()[:length])
    said = toy.doit()
    lines = [line for line in said.splitlines() if "warning" in line]
    assert len(lines) == (length > 0) and all(line.startswith(f"kallmodsyms: warning: {kept}: ") for line in lines)
    assert toy.ran() == []
    assert missing(toy) == []
