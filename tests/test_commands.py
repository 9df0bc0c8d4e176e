"""What shell commands printed, kept from one run to the next: as long as nothing changed that they could have looked
at, and never longer. The shell itself says what each prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kallmodsyms import commands, kbuild
from kallmodsyms.commands import Answers
from kallmodsyms.ledger import Ledger
from kallmodsyms.make import Evaluator, Promises


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run, in order."""
    found: list[str] = []
    run = commands.run

    def counted(command, *rest):
        found.append(command)
        return run(command, *rest)

    monkeypatch.setattr(commands, "run", counted)
    return found


class Place:
    """A directory where commands run, with programs of its own first on the PATH.

    asked: the commands that were run there
    """

    def __init__(self, directory: Path, asked: list[str]) -> None:
        self.directory = directory
        self.programs = directory / "programs"
        self.programs.mkdir()
        self.environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "LEVEL": "one"}
        self.environment |= {"CC": "x86_64-cc-12 -O2", "CLOCK": "date", "OWN": str(self.programs / "own")}
        self.asked = asked

    def program(self, name: str, text: str) -> None:
        """Make a program: a shell script beginning with `text`."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def answers(self, keep: bool = True, asker: str = "make") -> Answers:
        """What a run of its own knows."""
        ledger = Ledger(self.directory / "kept/ledger" if keep else None, self.directory, self.directory)
        assert ledger.warnings == []
        return Answers(ledger, asker, self.directory)

    def ask(self, command: str, keep: bool = True) -> str:
        """What a makefile gets from a command, in a run of its own."""
        answers = self.answers(keep)
        evaluator = Evaluator(
            self.directory, promises=Promises(answers), shell_environment=lambda command: self.environment
        )
        text = evaluator.force(evaluator.shell(command))
        answers.save()
        return text

    def shell(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.directory, env=self.environment, capture_output=True, text=True
        )
        return done.stdout.rstrip("\n").replace("\n", " ")


@pytest.fixture
def place(tmp_path, ran):
    place = Place(tmp_path, ran)
    place.program("x86_64-cc-12", 'echo version 1 $LEVEL "$@"')
    place.program("lister", "ls")
    place.program("own", "echo own")
    for name in ("file", "words"):
        (tmp_path / name).write_text("first\n")
    (tmp_path / "probe.sh").write_text("#!/bin/sh\nx86_64-cc-12 $LEVEL | cat - beside.sh\n")
    (tmp_path / "probe.sh").chmod(0o755)
    (tmp_path / "through.sh").write_text('#!/bin/sh\n"${CC%% *}" -v\n')
    (tmp_path / "through.sh").chmod(0o755)
    (tmp_path / "scratch.sh").write_text("#!/bin/sh\nset -e\ntmp=$(mktemp -d)\nrm -r $tmp\nenv A=b x86_64-cc-12\n")
    (tmp_path / "scratch.sh").chmod(0o755)
    (tmp_path / "beside.sh").write_text("beside\n")
    (tmp_path / "clock.sh").write_text("#!/bin/sh\ndate +%s\n")
    (tmp_path / "clock.sh").chmod(0o755)
    (tmp_path / "folder").mkdir()
    return place


KEPT = [
    "x86_64-cc-12 --version | head -n 1", "echo a; false", "cat ./file", "cat words absent 2>/dev/null", "./probe.sh",
    "echo 'int x; asm (\".long . - *x\");' | $CC -x c - -c -o /dev/null", "$CC -v | cat", "./through.sh",
    "./scratch.sh", "env A=b x86_64-cc-12", "getconf LONG_BIT", "x=$(mktemp -d); rm -r $x; echo y",
    "[ 3 -ge 2 ] && echo y", "test -e ./absent && echo there || echo not", 'echo "$LEVEL"', "echo 'f*'",
    'set -e; TMP=.tmp_$$/tmp; trap "rm -rf .tmp_$$" EXIT; mkdir -p .tmp_$$; '
    "if (x86_64-cc-12 -c) >/dev/null 2>&1; then echo y; else echo n; fi",
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
    "$CLOCK +%s",
    'sh -c "$CLOCK +%s"',
    "echo 'ls .' | sh",
    "echo 'a' .",
    "env",
    "echo a; (env)",
    "mktemp -u",
    "getconf _NPROCESSORS_ONLN",
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
    ("$CC -v", lambda place: place.program("x86_64-cc-12", "echo version 5")),
    ("$CC -v", lambda place: place.environment.update(CC="x86_64-cc-12 -O3")),
    ("./through.sh", lambda place: place.program("x86_64-cc-12", "echo version 6")),
    ("$OWN", lambda place: place.program("own", "echo other")),
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


def test_a_program_that_appears_although_nobody_knows_its_name(place):
    command = "frobnicate 2>/dev/null || echo no"
    assert [place.ask(command) for _ in range(2)] == ["no"] * 2
    assert place.asked == [command]
    place.program("frobnicate", "echo yes")
    assert place.ask(command) == place.shell(command) == "yes"


def test_without_a_file_nothing_is_kept(place):
    assert place.ask("echo a", keep=False) == place.ask("echo a", keep=False) == "a"
    assert place.asked == ["echo a"] * 2


def test_a_command_is_asked_once_in_a_run(place):
    answers = place.answers()
    for _ in range(3):
        assert answers.ask("date; echo no >&2", place.environment).complaint == "no\n"
    assert place.asked == ["date; echo no >&2"]


def test_both_outputs_are_kept_byte_for_byte(place):
    command = r"printf 'one\n\377\000\n\n'; printf ' two\r\n' >&2"
    for _ in range(2):
        answers = place.answers()
        found = answers.ask(command, place.environment)
        assert found == ("one\n\udcff\0\n\n", " two\r\n")
        answers.save()
    assert place.asked == [command]


def test_another_shell_is_another_command(place):
    place.program("shout", 'shift; echo "SHOUT $1"')
    shout = str(place.programs / "shout")
    for shell, output in (("/bin/sh", "a\n"), (shout, "SHOUT echo a\n"), (shout, "SHOUT echo a\n"), ("/bin/sh", "a\n")):
        answers = place.answers()
        assert answers.ask("echo a", place.environment, shell).output == output
        answers.save()
    assert place.asked == ["echo a"] * 3


def test_two_shells_in_one_run(place):
    place.program("shout", 'shift; echo "SHOUT $1"')
    answers = place.answers()
    found = [answers.ask("echo a", place.environment, shell).output for shell in ("/bin/sh", place.programs / "shout")]
    assert found == ["a\n", "SHOUT echo a\n"]


def test_who_asks_has_answers_of_its_own(place):
    """make and kconfig run a command with other variables, and neither may undo what the other keeps."""
    for turn in range(2):
        for asker, level in (("make", "one"), ("kconfig", "two")):
            answers = place.answers(asker=asker)
            found = answers.ask('echo "$LEVEL"', {**place.environment, "LEVEL": level})
            assert found.output == f"{level}\n", turn
            answers.save()
    assert place.asked == ['echo "$LEVEL"'] * 2


def test_a_program_that_changes_while_it_is_asked(place):
    """The answer is that of the old one, and must not be kept as that of the new one."""
    place.program(
        "x86_64-cc-12", f"echo version 1; printf '#!/bin/sh\\necho version 2\\n' >{place.programs}/x86_64-cc-12"
    )
    assert [place.ask("x86_64-cc-12") for _ in range(3)] == ["version 1", "version 2", "version 2"]
    assert place.asked == ["x86_64-cc-12"] * 2


def test_what_is_not_saved_is_asked_again(place):
    place.answers().ask("echo a", place.environment)
    assert place.ask("echo a") == "a"
    assert place.asked == ["echo a"] * 2


def test_a_real_tree_asks_its_compiler_once(linux, tmp_path, ran, monkeypatch):
    """What the environment of kconfig needs the compiler for: the second run starts no program at all."""
    gcc = subprocess.run(["gcc", "--version"], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    found = []
    for _ in range(2):
        place = kbuild.place(linux, tmp_path, "x86_64", ledger=Ledger(tmp_path / "kept/ledger", linux, tmp_path))
        top = kbuild.environment(place)
        found.append(top["CC_VERSION_TEXT"])
        top.top.promises.answers.save()
        assert ran
        monkeypatch.setattr(subprocess, "Popen", None)
    assert found == [gcc.splitlines()[0]] * 2
