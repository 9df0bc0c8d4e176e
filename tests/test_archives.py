"""Thin archives, against `ar` with the flags of Kbuild (scripts/Makefile.build of Linux 6.1: `cDPrST`)."""

from __future__ import annotations

import subprocess

import pytest

from kallmodsyms import archives
from kallmodsyms.errors import InputError

NAMES = ["a.o", "fs/inode.o", "fs/a_name_that_is_longer_than_fifteen_bytes.o", "fs/other/x.o"]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """An archive of some members, one of them by way of another archive, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * number)
    make(NAMES[1:], "fs/built-in.a")
    make([NAMES[0], "fs/built-in.a"], "built-in.a")
    return tmp_path


def make(members: list[str], path: str, flags: str = "cDPrST") -> bytes:
    with open(path, "wb") as stream:
        stream.truncate()
    subprocess.run(["rm", "-f", path], check=True)
    subprocess.run(["ar", flags, path, *members], check=True)
    with open(path, "rb") as stream:
        return stream.read()


def test_members(built):
    assert archives.members("built-in.a") == NAMES
    assert archives.members("fs/built-in.a") == NAMES[1:]
    said = subprocess.run(["ar", "t", "built-in.a"], capture_output=True, text=True, check=True).stdout.split()
    assert archives.members(built / "built-in.a") == [str(built / name) for name in said]


def test_renewed(built):
    """Members of other sizes, from none to more digits than before: what `ar` makes of them."""
    before = (built / "built-in.a").read_bytes()
    assert archives.renewed("built-in.a", []) == before
    for sizes in ((0, 0, 0, 0), (12345, 1, 999999, 7), (1, 2, 3, 4)):
        for name, size in zip(NAMES, sizes, strict=True):
            (built / name).write_bytes(b"y" * size)
        ours = archives.renewed("built-in.a", []), archives.renewed("fs/built-in.a", [])
        make(NAMES[1:], "fs/built-in.a")
        theirs = make([NAMES[0], "fs/built-in.a"], "built-in.a"), (built / "fs/built-in.a").read_bytes()
        assert ours == theirs


SOURCES = (
    ".globl f, g\nf:\ng:\nlocal:\n.weak w\nw:\n.comm c, 4\n.globl outside\ncall outside\n",
    ".globl f, g\nf:\nnop\ng:\nother:\n.weak w\nw:\n.comm c, 8\n.globl another\ncall another\nnop\n",
    ".globl g, f\ng:\nf:\n.weak w\nw:\n.comm c, 4\n",
    ".globl f\nf:\n.weak w\nw:\n.comm c, 4\n",
    "",
)


@pytest.mark.parametrize("now", range(5))
@pytest.mark.parametrize("before", range(5))
def test_an_archive_with_an_index(built, before, now):
    """It can be renewed where `ar` would put the same symbols into the index."""

    def assemble(name: str, source: str) -> None:
        subprocess.run(["as", "-o", name, "-"], input=source, text=True, check=True)

    members = ["fs/a.o", "fs/b.o", "fs/none.o"]
    for name, source in zip(members, (SOURCES[before], ".globl b\nb:\n", ""), strict=True):
        assemble(name, source)
    make(members, "lib.a", "cDPrsT")
    assert archives.members("lib.a") == members
    assemble("fs/a.o", SOURCES[now])
    ours, theirs = archives.renewed("lib.a", ["fs/a.o"]), make(members, "lib.a", "cDPrsT")
    assert ours in (None, theirs)
    assert (ours is not None) == (before == now != 4 or (before, now) in {(0, 1), (1, 0)})


def test_what_only_ar_can_renew(built):
    (built / "fs/inode.o").unlink()
    assert archives.renewed("built-in.a", []) is None
    make([], "empty.a")
    for content in ((built / "empty.a").read_bytes(), b"!<thin>\n" + b"a.o/".ljust(60)):
        (built / "bad.a").write_bytes(content)
        with pytest.raises(InputError):
            archives.renewed("bad.a", [])
