"""What a build survives: signals at any moment, a second build beside it, a ledger or a disk that fails at any call.

The oracle is a build from nothing, which nothing disturbed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import shlex
import signal
import subprocess
import time
from io import FileIO

import pytest
from toy_kit import ROOT, Toy

from kallmodsyms import files, journal
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Fact
from kallmodsyms.ledger import Done, Ledger


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A build that nothing disturbs, how long it takes, and the tasks that it runs."""
    toy = Toy(tmp_path_factory.mktemp("whole"))
    start = time.monotonic()
    toy.tasks = toy.ran()
    toy.seconds = time.monotonic() - start
    return toy


@pytest.fixture
def toy(whole, tmp_path):
    return whole.elsewhere(tmp_path)


def start(toy, *words):
    """A doit in a session of its own, so that what a terminal sends to all of it can be sent."""
    return subprocess.Popen(
        toy.command(*words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=toy.environment, start_new_session=True,
    )  # fmt: skip


def interrupted(toy, number, seconds, *words):
    """Run doit, and send it a signal after a while; what it said, and whether it was still there."""
    doit = start(toy, *words)
    try:
        doit.wait(seconds)
    except subprocess.TimeoutExpired:
        if number == signal.SIGKILL:
            doit.kill()
        else:
            os.killpg(doit.pid, number)
    out, err = doit.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    assert doit.returncode in (0, -number, 1, 3), (doit.returncode, err)
    return re.findall(r"^\.  (\S+)$", out, re.MULTILINE), err


def settle(toy, whole, started, processes):
    """What was interrupted goes on: what was done is not done again, and the result is that of a clean build."""
    again = toy.ran()
    # Of what was begun only the last may be undone, one for each process.
    assert len(set(started) & set(again)) <= processes, (started, again)
    assert set(started) | set(again) == set(whole.tasks)
    assert toy.outputs() == whole.outputs()
    assert toy.ran() == []


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal(whole, toy, number):
    started, said = interrupted(toy, number, whole.seconds * random.Random(number).uniform(0.3, 0.8))
    if number == signal.SIGINT and len(started) not in (0, len(whole.tasks)):
        assert said == "kallmodsyms: interrupted; what is done is kept\n"
    settle(toy, whole, started, 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_signals_again_and_again(whole, toy, seed):
    """Up to four in a row, with one process or two, until a build is left alone."""
    chance = random.Random(seed)
    started, processes = [], 0
    for _ in range(chance.randint(1, 4)):
        count = chance.choice((1, 2))
        number = chance.choice(SIGNALS)
        began, _ = interrupted(toy, number, whole.seconds * chance.random(), *(["-n", "2"] if count == 2 else []))
        started += began
        processes += count
    settle(toy, whole, started, processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_with_two_processes(whole, toy, number):
    """Those that doit forked end with it; they would keep the lock."""
    started, _ = interrupted(toy, number, whole.seconds / 2, "-n", "2")
    settle(toy, whole, started, 2)


def test_two_builds_at_once(whole, toy):
    """The second waits, says for whom, and finds everything done."""
    first = start(toy)
    while not (toy.objdir / ".kallmodsyms/lock").exists() or not (toy.objdir / ".kallmodsyms/lock").read_text():
        assert first.poll() is None
        time.sleep(0.001)
    second = start(toy)
    out, err = second.communicate(timeout=60)
    assert first.communicate(timeout=60)[1] == ""
    command = re.escape(" ".join(toy.command()))
    assert re.fullmatch(
        rf"kallmodsyms: warning: {toy.objdir} is being built by process {first.pid}: {command}; waiting for it\n", err
    ), err
    assert (first.returncode, second.returncode) == (0, 0) and ".  " not in out
    assert toy.outputs() == whole.outputs()


def test_who_only_looks_does_not_wait(whole, toy):
    first = start(toy)
    while not (toy.objdir / ".kallmodsyms/lock").exists():
        time.sleep(0.001)
    assert "compile:init/main.o" in toy.doit("list", "--all")
    assert first.poll() is None
    assert first.wait(60) == 0


FULL = """
mount -t tmpfs -o size={size}k none {objdir} || exit 99
{doit}; echo status $?
mount -o remount,size=100m {objdir} || exit 99
{doit} || exit 98
cp -a {objdir} {kept}
"""


FULL_WORDS = "No space left on device|memory exhausted|the disk may be full"


def full_disk(whole, toy, size):
    """Build on a disk of so many KiB, then make room and go on; what was said while it was full."""
    toy.objdir.mkdir()
    kept = toy.directory / "kept"
    script = FULL.format(size=size, objdir=toy.objdir, kept=kept, doit=shlex.join(toy.command()))
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    failed, _, _ = done.stdout.partition("\nstatus ")
    if "status 0\n" not in done.stdout:
        assert "status 1\n" in done.stdout and re.search(FULL_WORDS, failed), failed
    again = Toy.__new__(Toy)
    again.objdir = kept
    assert again.outputs() == whole.outputs()
    return failed


@pytest.mark.parametrize("size", [60, 400, 1208])
def test_a_disk_that_is_full(whole, toy, size):
    assert re.search(FULL_WORDS, full_disk(whole, toy, size))


@pytest.mark.long
@pytest.mark.parametrize("size", range(8, 2400, 80))
def test_a_disk_of_any_size(whole, toy, size):
    full_disk(whole, toy, size)


class Killed(BaseException):
    """The process ends here."""


class Faults:
    """Counts the calls of the system that write, read or rename, and lets number `at` go wrong.

    how: "fails": with an error; "full": all that write fail from then on, the first after half of its bytes; "killed":
        after half of the bytes, or before anything else happens
    """

    def __init__(self, how, at):
        self.how, self.at, self.count = how, at, -1

    def call(self, function, *arguments, writes=False, half=None):
        self.count += 1
        if self.count == self.at or (self.how == "full" and writes and self.count > self.at >= 0):
            if half is not None and self.how != "fails" and self.count == self.at:
                half()
            if self.how == "killed":
                raise Killed
            raise OSError(errno.EIO if self.how == "fails" else errno.ENOSPC, "it is broken")
        return function(*arguments)


@contextlib.contextmanager
def faulty(monkeypatch, faults):
    class Stream(FileIO):
        def write(self, data):
            write = super().write
            return faults.call(write, data, writes=True, half=lambda: write(data[: len(data) // 2]))

        def truncate(self, size=None):
            return faults.call(super().truncate, size, writes=bool(size))

        def read(self, size=-1):
            return faults.call(super().read, size)

        def readall(self):
            return faults.call(super().readall)

    def opened(path, mode="r", *more, **others):
        if mode == "xb":
            return Stream(path, "x")
        return real_open(path, mode, *more, **others)

    real_open, pwrite, replace, os_open = open, os.pwrite, os.replace, os.open
    with monkeypatch.context() as patch:
        patch.setattr(journal, "FileIO", Stream)
        patch.setattr(files, "open", opened, raising=False)
        patch.setattr(
            os,
            "pwrite",
            lambda stream, data, at: faults.call(
                pwrite, stream, data, at, writes=True, half=lambda: pwrite(stream, data[: len(data) // 2], at)
            ),
        )
        patch.setattr(os, "replace", lambda *names: faults.call(replace, *names))
        patch.setattr(os, "open", lambda *arguments: faults.call(os_open, *arguments))
        yield


RESULTS = {name: bytes([number]) * 5000 for number, name in enumerate("abcd")}


def remembers(path):
    """Two processes that keep steps in one ledger."""

    def keep(ledger, name):
        ledger.append([Done(name, (name, "word"), [Fact("file", f"/nowhere/{name}", None)], result=RESULTS[name])])

    ledgers = [Ledger(path, path.parent, path.parent) for _ in range(2)]
    for number, name in enumerate("abc"):
        keep(ledgers[number % 2], name)
        ledgers[1 - number % 2].refresh()
    return ledgers


def calls(action, monkeypatch):
    """How many calls there are to go wrong."""
    faults = Faults("fails", -1)
    with faulty(monkeypatch, faults):
        action()
    return faults.count + 1


@pytest.mark.parametrize("how", ["fails", "full", "killed"])
def test_a_ledger_whose_calls_go_wrong(tmp_path, monkeypatch, how):
    """Every one of them in turn. Nobody sees an error, what is believed is true, and all that was written before is
    there; a ledger that could not be written is the memory of its process alone.
    """
    count = calls(lambda: remembers(tmp_path / "whole/ledger"), monkeypatch)
    assert count > 12
    for at in range(count):
        path = tmp_path / f"{at}/ledger"
        ledgers = []
        with faulty(monkeypatch, Faults(how, at)), contextlib.suppress(Killed):
            ledgers = remembers(path)
        for ledger in ledgers:
            assert len(ledger.warnings) <= 2, ledger.warnings
            assert all(ledger.steps[name][5] == RESULTS[name] for name in ledger.steps)
        known = Ledger(path, path.parent, path.parent)
        assert len(known.warnings) <= 1
        assert all(known.record(name).result == RESULTS[name] for name in known.steps)
        known.append([Done("d", ("d",), [], result=RESULTS["d"])])
        again = Ledger(path, path.parent, path.parent)
        assert again.warnings == [] and again.steps.keys() == known.steps.keys()
        assert again.find("d", ("d",)) == (None, RESULTS["d"])


@pytest.mark.parametrize("how", ["fails", "full", "killed"])
@pytest.mark.parametrize("write", [files.write, files.deliver])
def test_an_output_whose_calls_go_wrong(tmp_path, monkeypatch, how, write):
    """The old content is there, or the new one, never half; and no file of another name, unless the process ends."""
    path = tmp_path / "whole"
    path.write_text("old")
    count = calls(lambda: write(path, "new" * 1000), monkeypatch)
    assert count >= 2
    for at in range(count):
        (tmp_path / str(at)).mkdir()
        path = tmp_path / str(at) / "output"
        path.write_text("old")
        with faulty(monkeypatch, Faults(how, at)), pytest.raises((InputError, Killed)) as caught:
            write(path, "new" * 1000)
        assert how == "killed" or str(caught.value) == f"{path}: cannot be written: it is broken"
        assert path.read_text() == "old"
        assert how == "killed" or os.listdir(path.parent) == ["output"]
        write(path, "new" * 1000)
        assert path.read_text() == "new" * 1000
