"""What a build survives: signals at any moment, a second build beside it, a ledger or a disk that fails at any call.

The oracle is a build from nothing, which nothing disturbed.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time

import pytest
from toy_kit import ROOT, Toy


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
    """The same tree, and a build directory with nothing in it."""
    toy = Toy.__new__(Toy)
    toy.directory, toy.tree, toy.objdir = tmp_path, whole.tree, tmp_path / "objdir"
    toy.environment = dict(whole.environment)
    return toy


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


def test_interrupted_with_two_processes(whole, toy):
    started, _ = interrupted(toy, signal.SIGINT, whole.seconds / 2, "-n", "2")
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
