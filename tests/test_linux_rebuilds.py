"""A real tree, built again after a change: whether the tree's make is asked, why, and what comes of it.

The tree is the one that other tests read, so a file is written back with the content that it had.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_kit import ROOT

INODE = "fs/isofs/inode"


class Small:
    """The small kernel, and the environment of each doit."""

    def __init__(self, tree: Path, objdir: Path) -> None:
        self.tree, self.objdir = tree, objdir
        self.words = ["profile=config/linux-small.yaml", f"tree={tree}", f"objdir={objdir}"]
        # Otherwise each link has its own number and time in the image.
        fixed = {"KBUILD_BUILD_TIMESTAMP": "2026-01-01", "KBUILD_BUILD_VERSION": "1", "KBUILD_BUILD_USER": "u"}
        self.environment = {**os.environ, **fixed, "KBUILD_BUILD_HOST": "h"}

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", program, *words, *self.words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self.environment)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def ran(self) -> list[str]:
        """The tasks that doit runs now."""
        done = self.run("doit")
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return [line[3:] for line in done.stdout.splitlines() if line.startswith(".  ")]

    def why(self, what: str) -> str | None:
        done = self.run("kallmodsyms", "why", what)
        assert done.stderr == "", done.stderr
        return None if done.returncode == 0 else done.stdout.removeprefix(f"{what}: ").rstrip("\n")

    def output(self, name: str) -> bytes:
        return (self.objdir / name).read_bytes()


@pytest.fixture(scope="module")
def state(built, linux_6_1, make_linux):
    """The small kernel, built in this environment; for the tests that follow it is built in theirs again."""
    yield Small(linux_6_1, built)
    make_linux(built, linux_6_1)


@pytest.fixture
def small(state):
    small = Small(state.tree, state.objdir)
    small.ran()
    assert small.ran() == []
    return small


@pytest.fixture
def source(small):
    """A source file, whose content is put back. Its time is not: make must see that it is another one than was
    compiled.
    """
    path = small.tree / f"{INODE}.c"
    content = path.read_bytes()
    yield path
    if path.read_bytes() != content:
        path.write_bytes(content)
        small.ran()


def test_nothing_to_do(small):
    assert [small.why(what) for what in ("vmlinux", "System.map", "fs/isofs", f"{INODE}.o", "listing")] == [None] * 5


def test_both_programs_say_the_same(small):
    """`doit` and `kallmodsyms` as they are installed, whose first lines may name the interpreter in two ways."""
    programs, said = Path(sys.executable).parent, []
    for command in ([programs / "kallmodsyms", "why", "vmlinux"], [programs / "doit", "info", "vmlinux"]):
        done = subprocess.run([*command, *small.words], cwd=ROOT, capture_output=True, text=True, env=small.environment)
        said.append(done.stdout)
    assert said[0] == "vmlinux: up to date\n" and "status     : up-to-date" in said[1]


def test_a_comment(small, source):
    """make compiles and links, and the image comes out as it was: the listing is not made again."""
    before = small.output("vmlinux")
    source.write_bytes(source.read_bytes() + b"/* edited */\n")
    assert small.why("vmlinux") == f"something in {small.tree}/fs/isofs changed"
    assert small.why("listing") == f"undecided until vmlinux ran: {small.why('vmlinux')}"
    assert small.ran() == ["vmlinux"]
    assert small.output("vmlinux") == before
    assert small.ran() == []


def test_a_new_function_belongs_to_the_module(small, source):
    text = b"int isofs_extra(void);\nint isofs_extra(void) { return 1; }\n"
    source.write_bytes(source.read_bytes() + text)
    assert small.ran() == ["vmlinux", "listing"]
    assert b"t isofs_extra\t[isofs]\n" in small.output("kallmodsyms")


def test_a_file_that_appears_and_vanishes(small):
    """A Kbuild file takes the place of the Makefile beside it."""
    path = small.tree / "fs/isofs/Kbuild"
    before = small.output("vmlinux")
    path.write_bytes((small.tree / "fs/isofs/Makefile").read_bytes())
    try:
        assert small.why("fs/isofs") == f"{path} now matches {path}"
        assert small.why("vmlinux") == f"something in {small.tree}/fs/isofs changed"
        assert small.ran() == ["vmlinux"]
    finally:
        path.unlink()
    assert small.ran() == ["vmlinux"]
    assert small.output("vmlinux") == before


def test_a_symbol(small):
    """VFAT from y to m and back: what is a module in the image follows."""
    config, before = small.objdir / ".config", small.output("kallmodsyms")
    text = config.read_text()
    config.write_text(text.replace("CONFIG_VFAT_FS=y", "CONFIG_VFAT_FS=m"))
    try:
        assert small.why("tristate_conf") == "CONFIG_FAT_FS was y and is m"
        assert small.ran() == ["tristate_conf", "modules_thick", "vmlinux", "listing"]
        assert b"[fat]" in before and b"[vfat]" in before and b"[vfat]" not in small.output("kallmodsyms")
    finally:
        config.write_text(text)
    assert small.ran() == ["tristate_conf", "modules_thick", "vmlinux", "listing"]
    assert small.output("kallmodsyms") == before
    assert small.ran() == []


@pytest.mark.parametrize("damage", ["gone", "cut", "changed", "with its time put back"])
def test_a_damaged_object(small, damage):
    """make goes by times, and would link what was damaged."""
    path, content, image = small.objdir / f"{INODE}.o", small.output(f"{INODE}.o"), small.output("vmlinux")
    times = path.stat()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:1000] if damage == "cut" else content.replace(b"isofs", b"isoXX"))
    if damage == "with its time put back":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    state = "gone" if damage == "gone" else "not what it wrote"
    assert small.why(f"{INODE}.o") == f"its output {INODE}.o is {state}"
    assert small.ran() == ["vmlinux"]
    assert (path.read_bytes(), small.output("vmlinux")) == (content, image)
    assert small.ran() == []


def test_what_would_build_everything_again(small, tmp_path):
    """Only asked, not done: a variable of the environment, another compiler behind the same name, another program of
    the build.
    """
    small.environment["KCFLAGS"] = "-DNOTHING"
    assert small.why("vmlinux") == "KCFLAGS=-DNOTHING is set"
    del small.environment["KCFLAGS"]
    (tmp_path / "gcc").write_text('#!/bin/sh\nexec /usr/bin/gcc "$@"\n')
    (tmp_path / "gcc").chmod(0o755)
    small.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    assert small.why("vmlinux") == f"gcc is {tmp_path}/gcc and was /usr/bin/gcc"
    small.environment["PATH"] = os.environ["PATH"]
    (small.objdir / "localversion-test").write_text("-test")
    try:
        assert small.why("vmlinux") == "localversion* now matches localversion-test"
    finally:
        (small.objdir / "localversion-test").unlink()
    assert small.why("vmlinux") is None
