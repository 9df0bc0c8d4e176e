"""in-env, as root and as an ordinary user: what it installs, and what it can do without."""

import os
import shutil
import subprocess

import pytest
from toy_kit import ROOT

SHIMS = {
    "id": "echo {uid}",
    "dpkg-query": 'for last; do :; done; case $last in {there}) printf installed;; *) exit 1;; esac',
    "sudo": 'exec "$@"',
    "apt-get": 'echo "$@" >> {log}',
    "pytest": 'echo "ran: $@"',
}  # fmt: skip


@pytest.mark.parametrize(
    "uid, there, sudo, installs, status",
    [
        (0, "gcc", False, True, 0),
        (1000, "gcc", True, True, 0),
        (1000, "gcc|libc6-dev|python3-venv", False, False, 0),
        (1000, "gcc", False, False, 1),
        (1000, "*", False, False, 0),
    ],
)
def test_what_is_missing(tmp_path, uid, there, sudo, installs, status):
    tools, log = tmp_path / "tools", tmp_path / "log"
    tools.mkdir()
    for name in ("sh", "dirname", "grep", "touch"):
        (tools / name).symlink_to(shutil.which(name))
    for name, script in SHIMS.items():
        if name != "sudo" or sudo:
            text = script.replace("{uid}", str(uid)).replace("{there}", there).replace("{log}", str(log))
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
    shutil.copy(ROOT / "in-env", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.installed").touch()
    os.utime(tmp_path / "pyproject.toml", (1, 1))
    command = [tmp_path / "in-env", "pytest", "tests/test_symbols.py"]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    if status:
        assert done.stdout == "" and done.stderr == "in-env: as root, run: apt-get install libc6-dev python3-venv\n"
    else:
        assert done.stdout == "ran: tests/test_symbols.py\n"
        told = "in-env: tests that need them will fail without: make flex"
        assert done.stderr.startswith(told) == (not installs and there != "*") and bool(done.stderr) <= (not installs)
    asked = log.read_text() if log.exists() else ""
    assert (" qemu-system-x86 " in asked and "update" in asked and " gcc " not in asked) == installs
    assert bool(asked) == installs
