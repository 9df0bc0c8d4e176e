"""The README's commands, as they stand there: those of the toy kernel run in a copy of the repository, in their
order. Those of a real kernel are what tests/test_linux.py and tests/test_boot.py do; here they only must be commands
that exist.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_kit import ROOT

README = (ROOT / "README.md").read_text()
PROGRAMS = Path(sys.executable).parent


def commands(heading: str) -> list[str]:
    """The indented lines of a section, without what is said of them."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in section.splitlines() if line.startswith("    ")]


def environment(repository: Path) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return found | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "PYTHONPATH": str(repository / "pipeline")}


def test_the_toy_kernel(tmp_path):
    copy = tmp_path / "repository"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", "*.egg-info", ".hypothesis", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
    said = {}
    for command in commands("The toy kernel"):
        done = subprocess.run(command, shell=True, cwd=copy, env=environment(copy), capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", (command, done.stdout + done.stderr)
        said[command] = done.stdout
    assert said["build/toy/vmlinux kallmodsyms"] == said["kallmodsyms show build/toy/vmlinux"] != ""
    assert len(said) == 6


@pytest.mark.parametrize("command", re.findall(r"^\| `kallmodsyms (\S+)", README, re.MULTILINE))
def test_a_subcommand(command):
    help_text = subprocess.run(
        [sys.executable, "-m", "kallmodsyms", command, "--help"], capture_output=True, text=True, env=environment(ROOT)
    )
    assert help_text.returncode == 0 and "example:" in help_text.stdout


def test_every_subcommand_is_listed():
    listed = subprocess.run([sys.executable, "-m", "kallmodsyms", "--help"], capture_output=True, text=True).stdout
    names = re.findall(r"^    ([a-z-]+)(?: |$)", listed.split("commands:")[1], re.MULTILINE)
    assert sorted(names) == sorted(re.findall(r"^\| `kallmodsyms (\S+)", README, re.MULTILINE))


@pytest.mark.parametrize("word", re.findall(r"(?<![\w/])`?((?:config|docs|benchmarks|tests)/[\w./-]+)", README))
def test_a_file_that_is_named(word):
    assert (ROOT / word.rstrip(".")).exists()
