"""What shell commands printed, kept from one run to the next: as long as nothing changed that they could have looked at, and never
longer. The shell itself says what each prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kallmodsyms import kbuild
from kallmodsyms.commands import Answers
from kallmodsyms.make import Evaluator, Promises


class Place:
    """A directory where commands run, with programs of its own first on the PATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "LEVEL": "one"}
        self.asked: list[str] = []

    def program(self, name: str, text: str) -> None:
        """Make a program: a shell script beginning with `text`."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def ask(self, command: str, cache: bool = True) -> str:
        """What a makefile gets from a command, in a run of its own."""
        answers = Answers(self.directory / "answers" if cache else None, ("here",))
        assert answers.warnings == []
        evaluator = Evaluator(
            self.directory, promises=Promises(answers), shell_environment=lambda command: self.environment
        )
        keep = answers.keep
        answers.keep = lambda command, *rest: (self.asked.append(command), keep(command, *rest))
        text = evaluator.force(evaluator.shell(command))
        answers.save()
        return text

    def shell(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.directory, env=self.environment, capture_output=True, text=True
        )
        return done.stdout.rstrip("\n").replace("\n", " ")


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.program("x86_64-cc-12", 'echo version 1 $LEVEL "$@"')
    place.program("lister", "ls")
    for name in ("file", "words"):
        (tmp_path / name).write_text("first\n")
    (tmp_path / "probe.sh").write_text("#!/bin/sh\nx86_64-cc-12 $LEVEL | cat - beside.sh\n")
    (tmp_path / "probe.sh").chmod(0o755)
    (tmp_path / "beside.sh").write_text("beside\n")
    (tmp_path / "clock.sh").write_text("#!/bin/sh\ndate +%s\n")
    (tmp_path / "clock.sh").chmod(0o755)
    (tmp_path / "folder").mkdir()
    return place


KEPT = [
    "x86_64-cc-12 --version | head -n 1", "echo a; false", "cat ./file", "cat words absent 2>/dev/null", "./probe.sh", "[ 3 -ge 2 ] && echo y",
    'set -e; TMP=.tmp_$$/tmp; trap "rm -rf .tmp_$$" EXIT; mkdir -p .tmp_$$; if (x86_64-cc-12 -c) >/dev/null 2>&1; then echo y; else echo n; fi',
    "test -e ./absent && echo there || echo not", 'echo "$LEVEL"',
]  # fmt: skip
ASKED_AGAIN = [
    "ls",
    "lister",
    "./clock.sh",
    "cat file folder 2>/dev/null",
    "find . -name 'f*'",
    "cat f*",
    "date +%s",
    "cd folder/ && pwd",
    "git --version",
    "uname -r",
]


@pytest.mark.parametrize("command", KEPT)
def test_what_is_kept(place, command):
    assert [place.ask(command) for _ in range(3)] == [place.shell(command)] * 3
    assert place.asked == [command]


@pytest.mark.parametrize("command", ASKED_AGAIN)
def test_what_is_asked_in_every_run(place, command):
    for _ in range(2):
        place.ask(command)
    assert place.asked == [command] * 2


@pytest.mark.parametrize(("command", "change"), [
    ("x86_64-cc-12 --version", lambda place: place.program("x86_64-cc-12", "echo version 2")),
    ("absent-gcc --version 2>/dev/null || echo no", lambda place: place.program("absent-gcc", "echo version 3")),
    ("cat ./file", lambda place: (place.directory / "file").write_text("other\n")),
    ("cat words", lambda place: (place.directory / "words").write_text("other\n")),
    ("cat absent", lambda place: (place.directory / "absent").write_text("appeared\n")),
    ("cat ./absent", lambda place: (place.directory / "absent").write_text("appeared\n")),
    ("./probe.sh", lambda place: (place.directory / "beside.sh").write_text("changed\n")),
    ("./probe.sh", lambda place: place.program("x86_64-cc-12", "echo version 4")),
    ("./probe.sh", lambda place: place.environment.update(LEVEL="two")),
    ('echo "$LEVEL"', lambda place: place.environment.update(LEVEL="two")),
    ("x86_64-cc-12 --version", lambda place: place.environment.update(PATH=os.environ["PATH"])),
])  # fmt: skip
def test_what_changes_an_answer(place, command, change):
    before = place.ask(command)
    change(place)
    assert place.ask(command) == place.shell(command) != before
    assert place.ask(command) == place.shell(command)
    assert place.asked == [command] * 2


def test_without_a_file_nothing_is_kept(place):
    assert place.ask("echo a", cache=False) == place.ask("echo a", cache=False) == "a"
    assert place.asked == ["echo a"] * 2


def test_a_damaged_file(place):
    place.ask("echo a")
    (place.directory / "answers").write_bytes(b"garbage")
    answers = Answers(place.directory / "answers", ("here",))
    assert answers.warnings == [f"{place.directory}/answers: damaged, and ignored; it is written anew"]
    assert answers.find("echo a", str(place.directory), place.environment) is None


def test_a_real_tree_asks_its_compiler_once(linux, tmp_path, monkeypatch):
    """What the environment of kconfig needs the compiler for: the second run starts no program at all."""
    found = []
    for _ in range(2):
        answers = Answers(tmp_path / "answers", (str(linux), str(tmp_path)))
        found.append(kbuild.environment(linux, tmp_path, "x86_64", answers=answers)["CC_VERSION_TEXT"])
        answers.save()
        monkeypatch.setattr(answers, "keep", None)
        monkeypatch.setattr(subprocess, "run", None)
    gcc = subprocess.Popen(["gcc", "--version"], stdout=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"})
    assert found == [gcc.communicate()[0].splitlines()[0]] * 2
