"""The ledger and what it is asked: each kind of fact with every change, in the words that the user reads; damage of
every byte; writers that nest, compete or are killed; clocks that are coarse.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kallmodsyms import facts, journal, ledger
from kallmodsyms.facts import CHANGED, Fact
from kallmodsyms.ledger import Done, Ledger
from kallmodsyms.step import Builder, Plan, Step


def opened(place: Path) -> Ledger:
    """The ledger of a directory that is tree and build directory in one."""
    return Ledger(place / "kept/ledger", place, place)


def settle(place: Path) -> None:
    """Let the file system's clock go on, so that files written before are old."""
    files = facts.Files(place, place / "kept/clock")
    (place / "kept").mkdir(exist_ok=True)
    newest = max(path.stat().st_ctime_ns for path in place.rglob("*"))
    while (files.now() or 0) <= newest:
        time.sleep(0.001)


class Bench:
    """A directory with a step in it that reads a.c and b.h, looks for absent.h, matches *.c, and depends on one fact
    of each other kind.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.symbols = {"A": "y"}
        self.environment = {"PATH": str(place / "bin"), "LEVEL": "one"}
        self.words: tuple[str, ...] = ("cc", "-c")
        (place / "bin").mkdir()
        for name, text in {"a.c": "source", "b.h": "header", "bin/cc": "compiler"}.items():
            (place / name).write_text(text)
        (place / "bin/cc").chmod(0o755)
        settle(place)

    def builder(self) -> Builder:
        kept = opened(self.place)
        assert kept.warnings == []
        return Builder(kept, kept.world.under(symbol=self.symbols.get, environment=self.environment.get))

    def step(self, during=lambda: None) -> Step:
        def run():
            during()
            (self.place / "out").write_text("object")
            found = [("file", "b.h"), ("file", "absent.h"), ("wildcard", "*.c"), ("symbol", "A"), ("symbol", "B")]
            return [*found, ("environment", "LEVEL")]

        return Step("compile:out", self.words, run, reads=("a.c",), writes=("out",), sees=(("program", "cc"),))

    def run(self, during=lambda: None) -> None:
        self.builder().run(self.step(during))
        settle(self.place)

    def why(self) -> str | None:
        return self.builder().why(self.step())

    def rewrite(self, name: str, text: str) -> None:
        """Write a file so that its time is what it was before."""
        path = self.place / name
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        path.write_text(text)
        os.utime(path, ns=times)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.run()
    return bench


def test_nothing_changed(bench):
    assert bench.why() is None


def test_it_never_ran(tmp_path):
    bench = Bench(tmp_path)
    assert bench.why() == f"{tmp_path}/kept/ledger does not exist yet"
    other = Step("other", (), lambda: None)
    bench.builder().run(other)
    assert bench.why() == "it has not run here yet"


CHANGES = [
    ("touch", lambda bench: os.utime(bench.place / "b.h", (1, 1)), None),
    ("touch of the output", lambda bench: os.utime(bench.place / "out", (1, 1)), None),
    ("file changed", lambda bench: (bench.place / "a.c").write_text("other"), "a.c changed"),
    ("file found out about", lambda bench: (bench.place / "b.h").write_text("other"), "b.h changed"),
    ("file vanished", lambda bench: (bench.place / "b.h").unlink(), "b.h vanished"),
    ("file appeared", lambda bench: (bench.place / "absent.h").write_text(""), "absent.h appeared"),
    ("same time, same size", lambda bench: bench.rewrite("b.h", "HEADER"), "b.h changed"),
    (
        "a directory in its place",
        lambda bench: ((bench.place / "b.h").unlink(), (bench.place / "b.h").mkdir()),
        "b.h changed",
    ),
    ("wildcard gains", lambda bench: (bench.place / "z.c").write_text(""), "*.c now matches z.c"),
    ("wildcard loses", lambda bench: (bench.place / "a.c").rename(bench.place / "a"), "a.c vanished"),
    ("symbol changed", lambda bench: bench.symbols.update(A="m"), "CONFIG_A was y and is m"),
    ("symbol vanished", lambda bench: bench.symbols.clear(), "CONFIG_A was y and is n"),
    ("symbol appeared", lambda bench: bench.symbols.update(B="y"), "CONFIG_B was n and is y"),
    ("symbol nobody mentions", lambda bench: bench.symbols.update(C="y"), None),
    ("variable changed", lambda bench: bench.environment.update(LEVEL="two"), "LEVEL was one and is two"),
    ("variable vanished", lambda bench: bench.environment.pop("LEVEL"), "LEVEL was one and is not set"),
    ("words changed", lambda bench: setattr(bench, "words", ("cc", "-g")), "its command changed: '-c' became '-g'"),
    ("words fewer", lambda bench: setattr(bench, "words", ("cc",)), "its command changed: '-c' became '<'"),
    ("output damaged", lambda bench: (bench.place / "out").write_text("OBJECT"), "its output out is not what it wrote"),
    ("output damaged, same time", lambda bench: bench.rewrite("out", "OBJECT"), "its output out is not what it wrote"),
    ("output gone", lambda bench: (bench.place / "out").unlink(), "its output out is gone"),
]


@pytest.mark.parametrize(("change", "reason"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_each_change(bench, change, reason):
    change(bench)
    assert bench.why() == reason
    settle(bench.place)
    bench.run()
    assert bench.why() is None


def test_another_program_behind_the_same_name(bench):
    (bench.place / "bin/cc").write_text("another")
    assert bench.why() == f"the program {bench.place}/bin/cc changed"
    (bench.place / "bin/cc").unlink()
    assert bench.why() == "the program cc vanished"
    (bench.place / "earlier").mkdir()
    (bench.place / "earlier/cc").write_text("compiler")
    (bench.place / "earlier/cc").chmod(0o755)
    bench.environment["PATH"] = f"{bench.place}/earlier:{bench.place}/bin"
    assert bench.why() == f"cc is {bench.place}/earlier/cc and was {bench.place}/bin/cc"


@pytest.mark.parametrize("name", ["a.c", "b.h"])
def test_a_file_that_changes_while_the_step_runs(bench, name):
    path = bench.place / name
    text = path.read_text()

    def there_and_back():
        path.write_text("another content")
        path.write_text(text)

    bench.run(there_and_back)
    assert bench.why() == f"{name} {CHANGED}"
    bench.run()
    assert bench.why() is None


def test_a_step_that_fails_keeps_its_last_good_record(bench):
    def fail():
        raise RuntimeError("on purpose")

    (bench.place / "a.c").write_text("broken")
    with pytest.raises(RuntimeError):
        bench.run(fail)
    assert bench.why() == "a.c changed"
    (bench.place / "a.c").write_text("source")
    assert bench.why() is None


def test_undecided_until_who_writes_its_input_ran(bench):
    def link():
        (bench.place / "image").write_bytes((bench.place / "out").read_bytes())

    def plan():
        plan = Plan(bench.builder())
        plan.add([bench.step(), Step("link", (), link, reads=("out",), writes=("image",))])
        return plan

    first = plan()
    first.run("link")
    settle(bench.place)
    assert plan().why("link") is None
    (bench.place / "a.c").write_text("other")
    asked = plan()
    assert asked.why("link") == "undecided until compile:out ran: a.c changed"
    asked.run("compile:out")
    assert asked.why("link") is None  # the object came out as it was before


# The file


def filled(place: Path, count: int = 12) -> bytes:
    """The bytes of a ledger with some records in it."""
    kept = opened(place)
    for number in range(count):
        reads = [Fact("file", f"f{number % 3}", bytes([number])), Fact("symbol", "A", "y")]
        kept.append([Done(f"step:{number % 5}", ("words", str(number)), reads, result=b"r" * number)])
    assert kept.warnings == []
    return (place / "kept/ledger").read_bytes()


def known(kept: Ledger) -> dict[str, tuple[bytes | None, tuple[Fact, ...]]]:
    return {name: (kept.record(name).result, tuple(sorted(kept.reads(name)))) for name in sorted(kept.steps)}


def test_what_is_read_back(tmp_path):
    filled(tmp_path)
    kept = opened(tmp_path)
    assert known(kept) == {
        f"step:{number % 5}": (
            b"r" * number,
            (Fact("file", f"f{number % 3}", bytes([number])), Fact("symbol", "A", "y")),
        )
        for number in (10, 11, 7, 8, 9)
    }
    assert kept.warnings == []


def every_prefix(place: Path) -> list[dict]:
    """What was known after each record of `filled`."""
    states, kept = [], opened(place)
    for number in range(12):
        reads = [Fact("file", f"f{number % 3}", bytes([number])), Fact("symbol", "A", "y")]
        states.append(known(kept))
        kept.append([Done(f"step:{number % 5}", ("words", str(number)), reads, result=b"r" * number)])
    return [*states, known(kept)]


def test_cut_short_at_every_byte(tmp_path):
    whole, path = filled(tmp_path), tmp_path / "kept/ledger"
    (tmp_path / "other").mkdir()
    states = every_prefix(tmp_path / "other")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        kept = opened(tmp_path)
        assert known(kept) in states, length
        # A file of no bytes is as good as none: there is nothing to tell.
        assert len(kept.warnings) == (length > 0), (length, kept.warnings)
        assert all(line.startswith(f"{path}: ") and "\n" not in line for line in kept.warnings)
        assert opened(tmp_path).warnings == []  # it was mended
        kept.append([Done("step:new", (), [])])
        assert "step:new" in opened(tmp_path).steps


def test_a_flipped_bit_in_every_byte(tmp_path):
    whole, path = filled(tmp_path), tmp_path / "kept/ledger"
    (tmp_path / "other").mkdir()
    states = every_prefix(tmp_path / "other")
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        kept = opened(tmp_path)
        assert known(kept) in states, place
        assert len(kept.warnings) == 1, place
        assert opened(tmp_path).warnings == []


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400), behind=st.booleans())
def test_any_bytes(tmp_path_factory, data, behind):
    place = tmp_path_factory.mktemp("any")
    whole = filled(place)
    (place / "kept/ledger").write_bytes(whole + data if behind else data)
    kept = opened(place)
    assert len(kept.steps) == (5 if behind else 0)
    assert len(kept.warnings) == (len(data) > 0)


def test_another_tree_and_another_version(tmp_path):
    filled(tmp_path)
    (tmp_path / "tree").mkdir()
    path = tmp_path / "kept/ledger"
    kept = Ledger(path, tmp_path / "tree", tmp_path)
    assert kept.warnings == [f"{path}: is about another tree or build directory; it is begun anew"]
    assert kept.steps == {} and Ledger(path, tmp_path / "tree", tmp_path).warnings == []
    data = path.read_bytes()
    form = data.index(journal.FORMAT)
    header = data[:form] + b"9" + data[form + 1 : journal._HEADER.size - 4]
    path.write_bytes(header + journal.zlib.crc32(header).to_bytes(4, "little") + data[journal._HEADER.size :])
    assert Ledger(path, tmp_path / "tree", tmp_path).warnings == [
        f"{path}: was written by another version of this program; it is begun anew"
    ]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "kept").write_text("no directory")
    kept = opened(tmp_path)
    kept.append([Done("a", (), [Fact("symbol", "A", "y")])])
    kept.append([Done("b", (), [])])
    assert known(kept) == {"a": (None, (Fact("symbol", "A", "y"),)), "b": (None, ())}
    assert len(kept.warnings) == 1 and kept.warnings[0].startswith(f"{tmp_path}/kept/ledger: ")


@pytest.mark.parametrize("room", [0, 1, 20, 200])
def test_a_full_disk(tmp_path, monkeypatch, room):
    """What fits is written, and taken back: the next who reads finds whole records. This process still knows all."""
    kept = opened(tmp_path)
    kept.append([Done("a", (), [Fact("symbol", "A", "y")])])

    class Full(journal.FileIO):
        def write(self, data):
            super().write(bytes(data)[:room])
            raise OSError(errno.ENOSPC, "No space left on device")

    kept._stream = Full(tmp_path / "kept/ledger", "r+")
    kept.append([Done("b", ("x",), [Fact("symbol", "B", "y")], result=bytes(300))])
    kept.append([Done("c", ("x", "y"), [Fact("symbol", "C", "y"), Fact("symbol", "B", "y")])])
    assert known(kept) == {
        "a": (None, (Fact("symbol", "A", "y"),)),
        "b": (bytes(300), (Fact("symbol", "B", "y"),)),
        "c": (None, (Fact("symbol", "B", "y"), Fact("symbol", "C", "y"))),
    }
    world = kept.world.under(symbol=lambda name: "y")
    assert kept.find("c", ("x", "y"), world) == (None, None)
    assert kept.find("b", ("z",), world)[0] == "its command changed: 'x' became 'z'"
    assert kept.warnings == [f"{tmp_path}/kept/ledger: No space left on device; nothing is remembered of this run"]
    after = opened(tmp_path)
    assert after.warnings == [] and sorted(after.steps) == ["a"]
    after.append([Done("c", (), [Fact("symbol", "C", "y")])])
    assert sorted(opened(tmp_path).steps) == ["a", "c"]


def test_writers_that_nest(tmp_path):
    outer, inner = opened(tmp_path), opened(tmp_path)
    outer.append([Done("a", (), [Fact("symbol", "A", "y")])])
    inner.append([Done("b", ("x",), [Fact("symbol", "B", "y"), Fact("symbol", "A", "y")])])
    outer.append([Done("c", ("x",), [Fact("symbol", "B", "y")])])
    inner.refresh()
    for kept in (outer, inner, opened(tmp_path)):
        assert known(kept) == {
            "a": (None, (Fact("symbol", "A", "y"),)),
            "b": (None, (Fact("symbol", "A", "y"), Fact("symbol", "B", "y"))),
            "c": (None, (Fact("symbol", "B", "y"),)),
        }


_RIVAL = """
import sys
from pathlib import Path
from kallmodsyms.facts import Fact
from kallmodsyms.ledger import Done, Ledger
place, me = Path(sys.argv[1]), sys.argv[2]
kept = Ledger(place / "kept/ledger", place, place)
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    reads = [Fact("symbol", f"S{number % 50}", me), Fact("symbol", "SHARED", str(number))]
    kept.append([Done(f"{me}:{number}", (str(number),), reads)])
    assert kept.warnings == []
"""


def rival(place: Path, name: str, count: int = 300) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _RIVAL, str(place), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once(tmp_path):
    rivals = [rival(tmp_path, name) for name in ("a", "b", "c")]
    assert [process.wait() for process in rivals] == [0, 0, 0]
    kept = opened(tmp_path)
    assert kept.warnings == []
    expected = {
        f"{me}:{number}": (None, (Fact("symbol", f"S{number % 50}", me), Fact("symbol", "SHARED", str(number))))
        for me in "abc"
        for number in range(300)
    }
    assert known(kept) == dict(sorted(expected.items()))


@pytest.mark.parametrize("moment", range(6))
def test_killed_while_it_writes(tmp_path, moment):
    process = rival(tmp_path, "a", 1_000_000)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.01 + 0.013 * moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = opened(tmp_path)
    numbers = sorted(int(name.partition(":")[2]) for name in kept.steps)
    assert numbers == list(range(len(numbers))) and numbers
    assert len(kept.warnings) <= 1
    assert rival(tmp_path, "b").wait() == 0


def test_a_file_that_was_removed_meanwhile(tmp_path):
    kept = opened(tmp_path)
    kept.append([Done("a", (), [])])
    (tmp_path / "kept/ledger").unlink()
    kept.append([Done("b", (), [Fact("symbol", "A", "y")])])
    assert known(opened(tmp_path)) == {"b": (None, (Fact("symbol", "A", "y"),))}


def test_what_is_superseded_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "_COMPACT_ABOVE", 10_000)
    kept = opened(tmp_path)
    for number in range(400):
        kept.append([Done(f"step:{number % 4}", (), [Fact("symbol", "A", str(number))], result=bytes(100))])
    size, before = (tmp_path / "kept/ledger").stat().st_size, known(kept)
    again = opened(tmp_path)
    assert known(again) == before and again.warnings == []
    assert (tmp_path / "kept/ledger").stat().st_size < size / 10
    kept.append([Done("step:more", (), [Fact("symbol", "B", "y")])])  # by one that had the old file open
    assert known(opened(tmp_path)) == before | {"step:more": (None, (Fact("symbol", "B", "y"),))}
    assert os.listdir(tmp_path / "kept") == ["ledger"]


# Files


def test_a_file_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    settle(tmp_path)
    files = facts.Files(tmp_path, tmp_path / "kept/clock")
    world = facts.World(files)
    read = []
    monkeypatch.setattr(facts, "digest", lambda data, digest=facts.digest: (read.append(data), digest(data))[1])
    for _ in range(3):
        world.look("file", "a")
    world.forget("a")
    world.look("file", "a")
    assert read == [b"a"]


@pytest.fixture
def coarse(tmp_path):
    """A directory on a file system whose clock goes by ticks. Without the right to mount one, one whose times are set
    back to a tick.
    """
    place = tmp_path / "coarse"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "ramfs", "coarse", place], capture_output=True).returncode == 0
    yield place
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_edits_of_one_tick_are_seen(coarse):
    """Of the same size, and right after the file was looked at: stat tells nothing."""
    kept = Ledger(coarse / "kept/ledger", coarse, coarse)
    path, missed = coarse / "file", 0
    for number in range(1000):
        path.write_text(f"{number:04}")
        kept.world.forget("file")
        before = kept.world.look("file", "file")
        path.write_text(f"{number + 1:04}")
        kept.world.forget("file")
        missed += kept.world.look("file", "file") == before
    assert missed == 0


def test_an_output_of_another_process_is_looked_at_again(tmp_path):
    """Also if the news of it came while this process kept a step of its own."""
    (tmp_path / "x").write_text("old")
    ours, theirs = opened(tmp_path), opened(tmp_path)
    before = ours.world.look("file", "x")
    (tmp_path / "x").write_text("new")
    theirs.append([Done("writer", (), [], [Fact("file", "x", theirs.world.look("file", "x"))])])
    ours.append([Done("another", (), [])])
    ours.refresh()
    assert ours.world.look("file", "x") == theirs.world.look("file", "x") != before


def strangers(path):
    """What somebody else could have done to a place in which a ledger is: (what, what is said of it)."""
    objdir, folder = path.parent.parent, path.parent
    yield folder.chmod, 0o777, f"{folder} may be written by everybody"
    yield objdir.chmod, 0o777, f"{objdir} may be written by everybody"
    yield path.chmod, 0o666, f"{path} may be written by everybody"
    if os.getuid() == 0:
        for place in (objdir, folder, path):
            yield lambda uid, place=place: os.chown(place, uid, uid), 1234, f"{place} belongs to another user"


@pytest.mark.parametrize("number", range(6 if os.getuid() == 0 else 3))
def test_a_ledger_that_somebody_else_may_have_written(tmp_path, number):
    path = tmp_path / "objdir/.kallmodsyms/ledger"
    kept = Ledger(path, tmp_path, tmp_path)
    kept.append([Done("step", ("word",), [])])
    before = path.read_bytes()
    change, value, problem = list(strangers(path))[number]
    change(value)
    ledger = Ledger(path, tmp_path, tmp_path)
    assert ledger.warnings == [f"{problem}: what is kept there is not trusted, and nothing is remembered of this run"]
    assert ledger.why("step", ("word",)) == problem
    ledger.append([Done("step", ("word",), [])])
    assert ledger.why("step", ("word",)) is None and path.read_bytes() == before


@pytest.mark.parametrize("name", [".kallmodsyms", ".kallmodsyms/ledger"])
def test_a_ledger_behind_a_link_is_not_followed(tmp_path, name):
    """Neither read nor written: it leads out of the build directory."""
    elsewhere = tmp_path / "elsewhere/.kallmodsyms/ledger"
    Ledger(elsewhere, tmp_path, tmp_path).append([Done("step", ("word",), [])])
    before = elsewhere.read_bytes()
    link = tmp_path / "objdir" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere" / name)
    ledger = Ledger(tmp_path / "objdir/.kallmodsyms/ledger", tmp_path, tmp_path)
    ledger.append([Done("other", ("word",), [])])
    assert ledger.warnings[0].startswith(f"{link} is a symbolic link: ") and elsewhere.read_bytes() == before


def test_a_directory_like_tmp_is_trusted(tmp_path):
    """In which nobody moves the files of others."""
    (tmp_path / "objdir").mkdir()
    (tmp_path / "objdir").chmod(0o1777)
    assert Ledger(tmp_path / "objdir/.kallmodsyms/ledger", tmp_path, tmp_path).warnings == []
