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
    assert archives.renewed("built-in.a") == before
    for sizes in ((0, 0, 0, 0), (12345, 1, 999999, 7), (1, 2, 3, 4)):
        for name, size in zip(NAMES, sizes, strict=True):
            (built / name).write_bytes(b"y" * size)
        ours = archives.renewed("built-in.a"), archives.renewed("fs/built-in.a")
        make(NAMES[1:], "fs/built-in.a")
        theirs = make([NAMES[0], "fs/built-in.a"], "built-in.a"), (built / "fs/built-in.a").read_bytes()
        assert ours == theirs


def test_what_only_ar_can_renew(built):
    subprocess.run(["as", "-o", "a.o", "-"], input=b".globl f\nf:\n", check=True)
    make(["a.o"], "lib.a", "cDPrsT")
    assert archives.members("lib.a") == ["a.o"] and archives.renewed("lib.a") is None  # it has an index
    (built / "fs/inode.o").unlink()
    assert archives.renewed("built-in.a") is None
    make([], "empty.a")
    for content in ((built / "empty.a").read_bytes(), b"!<thin>\n" + b"a.o/".ljust(60)):
        (built / "bad.a").write_bytes(content)
        with pytest.raises(InputError):
            archives.renewed("bad.a")
