"""The same bytes, whoever builds, where, when and how: two builds that have nothing in common but their inputs.

`pytest -m long` does it with the small real kernel, beside what the tree's own link makes of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_kit import ROOT, Toy

ONE = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC", "USER": "root", "HOME": "/root"}
OTHER = {"PYTHONHASHSEED": "4711", "LC_ALL": "", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Auckland", "USER": "somebody",
         "LOGNAME": "somebody", "HOME": "/proc/nowhere", "HOSTNAME": "elsewhere", "TERM": "dumb"}  # fmt: skip
SOMEBODY = ("unshare", "--map-user=1000", "--map-group=1000", "sh", "-c", 'umask 077 && exec "$@"', "sh")
"""Runs a command as another user, who owns what we own, and whom nobody else may read."""


def different(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """The files that are not the same in both."""
    return sorted(name for name in one.keys() | other if one.get(name) != other.get(name))


def built(toy: Toy, *words: str, before: tuple[str, ...] = ()) -> dict[str, bytes]:
    command = [*before, *toy.command(*words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=toy.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return toy.outputs()


def test_the_toy(tmp_path):
    """All that a build leaves, the files of the series included, but for the time that one of these took."""
    one, other = Toy(tmp_path / "here"), Toy(tmp_path / "there with a longer name")
    one.environment |= ONE
    other.environment |= OTHER
    other.tree = other.tree.rename(tmp_path / "source-tree-of-another-name")
    for path in other.tree.rglob("*"):
        os.utime(path, (86400, 86400))
    first = built(one, "-n", "1", "listing", "modules", "series")
    second = built(other, "-n", "2", "series", "modules", "listing", before=SOMEBODY)
    assert different(first, second) == ["series/2-modules_thick/TIME.md"]
    assert {"vmlinux", "System.map", "kallmodsyms", "modules_thick.builtin", "series/PAGE.md"} < first.keys()
    assert first["vmlinux"] and b"here" not in first["vmlinux"] and os.fsencode(ROOT) not in first["vmlinux"]


def test_the_toy_built_again_is_the_toy_built_at_once(tmp_path):
    """After edits and their end, in any order."""
    toy = Toy(tmp_path)
    first = built(toy)
    for old, new in (("CONFIG_ROMFS_FS=m", "CONFIG_ROMFS_FS=y"), ("CONFIG_MINIX_FS=y", "CONFIG_MINIX_FS=m")):
        toy.configure(old, new)
    changed = built(toy, "-n", "2")
    assert different(first, changed)
    for old, new in (("CONFIG_MINIX_FS=m", "CONFIG_MINIX_FS=y"), ("CONFIG_ROMFS_FS=y", "CONFIG_ROMFS_FS=m")):
        toy.configure(old, new)
    toy.environment |= OTHER
    assert different(first, built(toy)) == []


REAL = ("vmlinux", "System.map", "kallmodsyms", "modules_thick.builtin", "vmlinux.o", "include/config/tristate.conf")
FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "Sat Jan  1 00:00:00 UTC 2022",
    "KBUILD_BUILD_USER": "kernel",
    "KBUILD_BUILD_HOST": "host",
}
"""What a build puts into the image of who built it and when (Documentation/kbuild/reproducible-builds.rst)."""


@pytest.mark.long
def test_a_real_kernel(linux_6_1, tmp_path):
    """Wherever the tree's own link of the same objects gives the same bytes, ours does; and here it does."""
    builds = (
        (tmp_path / "one", ONE, ("-n", "1"), ()),
        (tmp_path / "other with/a longer name".replace(" ", "-"), OTHER, ("-n", "2"), SOMEBODY),
    )
    made, own = [], []
    for objdir, environment, words, before in builds:
        words = (*words, "profile=config/linux-small.yaml", f"tree={linux_6_1}", f"objdir={objdir}", "launcher=ccache")
        cache = {"CCACHE_DIR": str(tmp_path / "cache"), "CCACHE_NOHASHDIR": "1"}
        variables = {**os.environ, **FIXED, **environment, **cache}
        command = [*before, sys.executable, "-m", "doit", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=variables)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        made.append({name: (objdir / name).read_bytes() for name in REAL})
        own.append(of_the_tree(linux_6_1, objdir, variables, before))
    assert different(*own) == []
    assert different(*made) == []


def of_the_tree(tree: Path, objdir: Path, variables: dict[str, str], before: tuple[str, ...]) -> dict[str, bytes]:
    """vmlinux and System.map as the tree's own script links them."""
    for name in ("vmlinux", ".vmlinux.cmd"):
        (objdir / name).unlink(missing_ok=True)
    command = [*before, "make", "-C", tree, f"O={objdir}", "ARCH=x86", "CC=ccache gcc", "HOSTCC=ccache gcc", "vmlinux"]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return {name: (objdir / name).read_bytes() for name in ("vmlinux", "System.map")}
