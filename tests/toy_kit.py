"""A copy of the toy kernel and its build directory, driven as a user does: by doit, as a process of its own."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Toy:
    """A copy of the toy kernel and its build directory.

    environment: of every doit
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tree = directory / "tree"
        self.objdir = directory / "objdir"
        self.environment = dict(os.environ)
        shutil.copytree(ROOT / "toy_kernel", self.tree)

    def elsewhere(self, directory: Path) -> Toy:
        """The same tree, and a build directory with nothing in it."""
        other = copy.copy(self)
        other.directory, other.objdir, other.environment = directory, directory / "objdir", dict(self.environment)
        return other

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "doit", *words, f"tree={self.tree}", f"objdir={self.objdir}"]

    def doit(self, *words: str, status: int = 0) -> str:
        """Run doit; its output. Asserts its exit status, and that nobody sees a traceback."""
        done = subprocess.run(self.command(*words), cwd=ROOT, capture_output=True, text=True, env=self.environment)
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said

    def ran(self, *words: str) -> list[str]:
        """The tasks that doit runs now, sorted."""
        return sorted(line[3:] for line in self.doit(*words).splitlines() if line.startswith(".  "))

    def why(self, what: str, *words: str) -> str | None:
        """What `kallmodsyms why` answers."""
        command = [
            sys.executable,
            "-m",
            "kallmodsyms",
            "why",
            what,
            *words,
            f"tree={self.tree}",
            f"objdir={self.objdir}",
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self.environment)
        assert done.stderr == "" and done.stdout.startswith(f"{what}: "), done.stdout + done.stderr
        answer = done.stdout.removeprefix(f"{what}: ").removesuffix("\n")
        assert done.returncode == (answer != "up to date")
        return None if answer == "up to date" else answer

    def edit(self, name: str, old: str, new: str, times: int = -1) -> None:
        self._replace(self.tree / name, old, new, times)

    def configure(self, old: str, new: str) -> None:
        self._replace(self.objdir / ".config", old, new)

    @staticmethod
    def _replace(path: Path, old: str, new: str, times: int = -1) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, times))

    def output(self, name: str) -> bytes:
        return (self.objdir / name).read_bytes()

    def outputs(self) -> dict[str, bytes]:
        """Everything that the build made, but for our own folder and what only the passes leave."""
        return {
            str(path.relative_to(self.objdir)): path.read_bytes()
            for path in sorted(self.objdir.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and ".kallmodsyms" not in path.parts
        }

    def from_nothing(self, *words: str) -> dict[str, bytes]:
        """What the same tree and `.config` give in a build directory of its own."""
        fresh = Toy.__new__(Toy)
        fresh.tree, fresh.environment = self.tree, self.environment
        fresh.objdir = self.directory / "fresh"
        shutil.rmtree(fresh.objdir, ignore_errors=True)
        fresh.objdir.mkdir()
        shutil.copy(self.objdir / ".config", fresh.objdir)
        fresh.doit(*words)
        return fresh.outputs()

    @contextmanager
    def restored(self) -> Iterator[Toy]:
        """Whatever is done within the block is undone behind it, so that nothing is out of date again."""
        kept = self.directory / "kept"
        for place in (self.tree, self.objdir):
            shutil.copytree(place, kept / place.name, symlinks=True, copy_function=shutil.copy2)
        environment = dict(self.environment)
        try:
            yield self
        finally:
            self.environment = environment
            for place in (self.tree, self.objdir):
                shutil.rmtree(place)
                shutil.move(kept / place.name, place)
