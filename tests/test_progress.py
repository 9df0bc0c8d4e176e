"""What a user sees of a build: on a terminal (pyte's, of 80 and of 40 columns), in a pipe, of what fails, of what is
interrupted.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal
from toy_kit import ROOT, Toy

from kallmodsyms import progress, said
from kallmodsyms.errors import InputError

BAR = re.compile(r" (\d+)/(\d+) +(\d+) %")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """One with nothing built."""
    return Toy(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """One for all tests, built by the first that wants it, in a pipe: each leaves it up to date."""
    toy = Toy(tmp_path_factory.mktemp("built"))
    piped(toy)
    return toy


def piped(toy: Toy) -> list[str]:
    """Build in a pipe, where what is said is as ever; the lines of tasks."""
    done = subprocess.run(toy.command(), cwd=ROOT, capture_output=True, text=True, env=toy.environment)
    *tasks, image, symbols, listing = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert all(re.fullmatch(r"\.  [a-z_]+(:\S+)?", line) for line in tasks)
    assert (image, listing) == (f"vmlinux      {toy.objdir}/vmlinux", f"listing      {toy.objdir}/kallmodsyms")
    assert re.fullmatch(r"             \d+ symbols, \d+ of them in \d+ built-in modules", symbols)
    return tasks


def on_terminal(toy: Toy, *words: str, columns: int = 80, **environment: str) -> Terminal:
    return Terminal(toy.command(*words), columns, 12, ROOT, {**toy.environment, **environment})


def bars(terminal: Terminal) -> list[list[re.Match[str]]]:
    """The bars of each frame."""
    return [[match for line in frame if (match := BAR.search(line))] for frame in terminal.frames]


@pytest.mark.parametrize(("columns", "words"), [(80, ()), (40, ("-n", "3"))])
def test_a_build_on_a_terminal(toy, columns, words):
    shown = on_terminal(toy, *words, columns=columns)
    assert shown.end() == 0
    seen = bars(shown)
    assert max(map(len, seen)) == 1, "a bar that is drawn anew leaves nothing of the one before"
    counts = [(int(found[0][1]), int(found[0][2])) for found in seen if found]
    assert len(counts) > 1 and counts == sorted(counts) and len({total for _, total in counts}) == 1
    # A line for each that runs, with its time; of what is too long the end is left.
    running = [[line for line in frame if re.search(r" \d:\d\d$", line)] for frame in shown.frames]
    assert 1 <= max(map(len, running)) <= (3 if words else 1)
    assert all(len(line) < columns for frame in running for line in frame)
    # What is left at the end is Kbuild's lines, one for each task, and what was built.
    text = "\n".join(shown.text)
    total = counts[0][1]
    assert not BAR.search(text) and "…" not in text
    assert len(re.findall(r"^  (?:CC|LDS|AR|AS|LD|GEN|LD \[M\]) +\S", text, re.MULTILINE)) == total
    assert "  CC      fs/romfs/super.o\n" in text and "  LD [M]  fs/romfs/romfs.ko\n" in text
    joined = "".join(line.ljust(columns) if len(line) == columns else f"{line}\n" for line in shown.text)
    assert re.search(
        rf"^ran          {total} of {total} tasks in \d+\.\d s\n +{total}     it has not run", joined, re.M
    )
    assert b"\x1b[?25l" not in shown.raw, "a cursor that was never hidden need not be shown again"


def test_what_ran_and_why(built):
    built.edit("fs/minix/minix.h", "struct", "/* another */ struct", 1)
    reason = built.why("compile:fs/minix/inode.o")
    assert reason == f"{built.tree}/fs/minix/minix.h changed"
    shown = on_terminal(built, columns=200)
    assert shown.end() == 0
    text = "\n".join(line for line in shown.text if line)
    compiled = re.findall(r"^  CC      (\S+)$", text, re.MULTILINE)
    assert set(compiled) == {"fs/minix/inode.o", "fs/minix/bitmap.o"}
    assert re.search(
        rf"^ran          2 of (\d+) tasks in .*, \d+ up to date\n       2     {re.escape(reason)}: ", text, re.M
    )
    again = on_terminal(built)
    assert again.end() == 0 and not any(map(len, bars(again)))
    assert re.search(r"^ran          0 of (\d+) tasks in .*, \1 up to date$", "\n".join(again.text), re.MULTILINE)


def test_in_a_pipe_it_is_as_ever(built):
    assert piped(built) == []
    (built.objdir / "vmlinux").unlink()
    assert piped(built) == [".  vmlinux"]


def test_terminals_that_cannot_and_users_that_do_not_want_to(built):
    (built.objdir / "fs/minix/inode.o").unlink()
    dumb = on_terminal(built, TERM="dumb")
    assert dumb.end() == 0 and b"\x1b" not in dumb.raw and b".  compile:fs/minix/inode.o\r\n" in dumb.raw
    (built.objdir / "vmlinux").unlink()
    grey = on_terminal(built, NO_COLOR="1")
    assert grey.end() == 0 and b"\x1b[2K" in grey.raw and not re.search(rb"\x1b\[[0-9;]*[1-9][0-9;]*m", grey.raw)


@pytest.mark.parametrize("words", [(), ("-n", "3", "-c"), ("quiet=true",)])
def test_what_failed_is_shown_whole_and_last(built, words):
    built.edit("fs/romfs/super.c", "static", "statc", 1)
    shown = on_terminal(built, *words, columns=1000)
    status = shown.end()
    built.edit("fs/romfs/super.c", "statc", "static", 1)
    built.doit()
    assert status == (2 if "-c" in words else 1)
    text = "\n".join(line for line in shown.text if line)
    assert re.search(
        r"^TaskFailed - taskid:compile:fs/romfs/super.o\ngcc failed \(exit status 1\)\n"
        r"\S+/fs/romfs/super\.c:\d+:\d+: error: (?:.*\n)+    gcc .* -c -o fs/romfs/super\.o \S+/super\.c\Z",
        text,
        re.MULTILINE,
    )
    assert text.count("error: ") == text[text.index("TaskFailed") :].count("error: ")
    if words[:1] == ("quiet=true",):
        assert text.startswith("TaskFailed")
    else:
        failed, undone = re.search(r"^ran .* (\d+) failed, (\d+) not done$", text, re.MULTILINE).groups()
        assert failed == "1" and (undone == "1" if words else int(undone) > 1)


@pytest.mark.parametrize("words", [(), ("-n", "2")])
def test_interrupted_it_leaves_the_terminal_as_it_was(toy, words):
    script = 'trap : INT; stty -g; "$@"; echo "status $?"; stty -g'
    command = [
        "env",
        "--default-signal=INT",
        "sh",
        "-c",
        script,
        "sh",
        *toy.command(*words),
    ]  # who runs us may ignore it
    shown = Terminal(command, 120, 12, ROOT, toy.environment)
    shown.until(" left")
    shown.process.sendintr()
    assert shown.end() == 0
    text = "\n".join(line for line in shown.text if line)
    before, *_, status, after = text.splitlines()
    assert (before, status) == (after, "status 130")
    assert "kallmodsyms: interrupted; what is done is kept" in text and not BAR.search(text)
    assert re.search(r"^ran          (\d+) of \d+ tasks in .*, \d+ not done$", text, re.MULTILINE)
    assert b"Traceback" not in shown.raw and b"\x1b[?25l" not in shown.raw


def test_how_much_somebody_wants_to_hear(built):
    (built.objdir / "vmlinux").unlink()
    assert built.doit("quiet=true") == ""
    built.edit("fs/romfs/super.c", "static", "/* */ static", 1)
    out = built.doit("V=12")
    command = (built.objdir / "fs/romfs/.super.o.cmd").read_text().splitlines()[0].partition(" := ")[2]
    assert f".  compile:fs/romfs/super.o - {built.tree}/fs/romfs/super.c changed\n  {command}\n" in out
    assert re.search(r"\nran          1 of \d+ tasks in ", out)
    assert built.ran("V=1") == built.ran("V=2") == built.ran("quiet=true") == built.ran() == []
    assert "V=3 is none of V=0, V=1 (whole commands), V=2 (reasons) and V=12 (both)" in built.doit("V=3", status=3)
    assert "quiet must be true or false\n    quiet=perhaps" in built.doit("quiet=perhaps", status=3)


def test_nobody_waits_for_what_is_left_behind(tmp_path):
    program = (
        "import subprocess, time\n"
        "from kallmodsyms.progress import Screen, Work\n"
        "screen = Screen(Work([('a', None)])); screen.start(); screen.begin('  CC      a.o')\n"
        "left = subprocess.Popen(['sleep', '30'])\n"
        "print('half a', end='')\n"
        "input(); screen.end('  CC      a.o', 'a', True); screen.finish(); print(' line'); left.kill()\n"
    )
    shown = Terminal([sys.executable, "-c", program])
    shown.until("  CC      a.o")
    shown.process.sendline()
    assert shown.end() == 0
    assert [line for line in shown.text if line] == ["half a line"]
    assert any("  CC      a.o" in line for frame in shown.frames for line in frame)


def test_more_run_than_there_are_lines(tmp_path):
    program = (
        "import time\n"
        "from kallmodsyms.progress import Screen, Work\n"
        "screen = Screen(Work()); screen.start()\n"
        "for number in range(40): screen.begin(f'  CC      {number}.o')\n"
        "time.sleep(2); screen.finish(); print('done')\n"
    )
    shown = Terminal([sys.executable, "-c", program], lines=12)
    assert shown.end() == 0
    assert any("  and 31 more" in frame for frame in shown.frames)
    assert [line for line in shown.text if line] == ["done"]


MAKEFILE = """\
all: a.o b.o c.o
%.o:
	@echo '  CC      $@'; if [ $@ = b.o ]; then echo 'b.c:1: error: no' >&2; false; else echo "$@: fine" >&2; fi
"""


def test_of_a_make_that_failed_what_belongs_to_it(tmp_path):
    (tmp_path / "Makefile").write_text(MAKEFILE)
    done = subprocess.run(["make", "-C", tmp_path, "--no-print-directory"], stdout=-1, stderr=-2, text=True)
    assert said.failing(done.stdout.splitlines()) == [
        "  CC      b.o",
        "b.c:1: error: no",
        "make: *** [Makefile:3: b.o] Error 1",
    ]
    assert said.failing(["  CC      a.o", "a.o: fine"]) == []


def test_time_left_goes_by_what_each_took_before():
    work = progress.Work([("quick", 1.0), ("slow", 9.0), ("never ran", None)])
    assert work.left(0) is None
    work.begin(0)
    work.finish("quick")
    assert (work.done, work.total, work.left(2)) == (
        1,
        3,
        2 * (9 + 5) / 1,
    )  # half as fast; who never ran is as the mean
    work.finish("never ran", ran=False)
    assert work.left(2) == 18
    work.add([("new", 3.0), ("slow", 200.0)])  # of which the second is known
    assert (work.done, work.total, work.left(2)) == (2, 4, 24)
    work.add([("long", 100.0)])
    assert work.left(2) is None  # too little of it ran


def test_long_work_of_ours():
    program = (
        "import sys, time\n"
        "from kallmodsyms.progress import ticking\n"
        "from kallmodsyms.ticks import ticks\n"
        "with ticking('directories', {}):\n"
        "    for number in range(4): time.sleep(0.3); ticks['directories'] += 1\n"
        "with ticking('directories', {}): pass\n"
        "print('done')\n"
    )
    for total, expected in (
        (4, r"^  directories ━* +[123]/4 +[257][05] %  \d:\d\d left$"),
        (None, r"^  directories [━ ]* [1-4]$"),
    ):
        shown = Terminal([sys.executable, "-c", program.format(total, total)], columns=60)
        assert shown.end() == 0
        lines = {re.sub("[╸╺]", "━", line) for frame in shown.frames for line in frame}
        assert any(re.search(expected, line) for line in lines), lines
        assert [line for line in shown.text if line] == ["done"]
    piped = subprocess.run([sys.executable, "-c", program.format(4, 4)], capture_output=True, text=True)
    assert (piped.stdout, piped.stderr) == ("done\n", "")


def test_words():
    assert said.Shown.of({"V": "2", "quiet": "TRUE"}) == said.Shown(False, True, True)
    with pytest.raises(InputError):
        said.Shown.of({"V": ""})
    assert [said.duration(seconds) for seconds in (0.04, 59.94, 125, 3725)] == ["0.0 s", "59.9 s", "2:05", "1:02:05"]
    reasons = [
        ("a", "x.h changed", ("a.o",)),
        ("link", "a.o changed", ("vmlinux",)),
        *((f"b{n}", f"{n}", ()) for n in range(5)),
    ]
    assert said.closing(reasons, 3, 0, 0, 61) == (
        "ran          7 of 10 tasks in 1:01, 3 up to date\n"
        "       1     x.h changed: a\n       1     0: b0\n       1     1: b1\n"
        "       3     for 3 other reasons, which V=2 tells\n"
        "       1     since one of these made something new\n"
    )
