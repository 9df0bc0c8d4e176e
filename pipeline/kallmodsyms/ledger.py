"""What steps saw and made, kept between runs: records in, and the one answer to "must this run again, and why".

The file is a journal (OBJ/.kallmodsyms/ledger): a record is appended when its step is done, so that nothing that
happens later takes it back. Facts, words and files are interned: a record names them by number.

    header      magic, format, length and checksum of what follows (written again after each append)
    record      length, CRC-32, body: marshal of (kind, ...)
                    ("place", tree, build directory)        first of all
                    ("facts", (kind, name, value), ...)     numbered as they come
                    ("words", word, ...)                    likewise
                    ("files", (name, identity), ...)        stat data of files that need not be read again
                    ("steps", (name, sum of the words, words, reads, writes, result), ...)
                    ("forget", name, ...)                   steps

Writers may nest: `doit` runs make, which runs `kallmodsyms link`. Whoever appends holds a lock while it first reads
what others appended, so that numbers mean the same to all. Nobody holds it while a step runs.

What is damaged is cut off at the first record that is not whole, and said once. A file of another place, or of a
program that writes another format, is begun anew. Nothing in the file is believed without its checksum (marshal
trusts its input).
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import struct
import sys
import zlib
from _thread import RLock  # which threading has from there; the rest of that is not needed
from array import array
from collections.abc import Callable, Iterable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from kallmodsyms import facts
from kallmodsyms.facts import CHANGED, Fact, Value, World
from kallmodsyms.numbers import packed, unpacked

MAGIC = b"kallmodsyms ledger\n"
FORMAT = f"1 {sys.implementation.cache_tag} {marshal.version}".encode()
_HEADER = struct.Struct(f"<{len(MAGIC)}s29sQI")
_RECORD = struct.Struct("<II")

_SHORT = 16
"""Bytes of a digest."""

_OVERHEAD = 70
"""Bytes of a record of a step beside those of its parts, about."""

OTHER_WORDS = "its command changed"
_DAMAGED = "is damaged; it is begun anew"

_COMPACT_ABOVE = 1 << 20
"""Bytes. A smaller file is never written anew, whatever is in it."""
_COMPACT_AT = 1.5
"""How often larger than what still counts a file may be."""


Seen = tuple[str, str, Value]
"""A `Fact`, as it is read."""


class Record(NamedTuple):
    """A step that was done; kept as a plain tuple, since there are thousands.

    sum, words: what stands for the words that say what it does; their numbers, 32 bits each
    reads, writes: numbers of facts (see `numbers`), of writes the files as they were left
    result: what it came to, if that is no file
    """

    name: str
    sum: bytes
    words: bytes
    reads: bytes
    writes: bytes
    result: bytes | None


class Done(NamedTuple):
    """A step that is done, on its way into the ledger. `words`, `reads`, `writes` and `result` as in `Record`, in
    full.
    """

    name: str
    words: Sequence[str]
    reads: Iterable[Fact]
    writes: Iterable[Fact] = ()
    result: bytes | None = None


class Ledger:
    """The ledger of one tree and build directory. Without a path it keeps what this process does, and nothing longer.

    path: the file, or None
    warnings: what was wrong with the file, a line each
    files: the files that were looked at
    world: what steps see, unless they say otherwise
    steps: the last record of each step, as `record` reads it
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        tree: str | os.PathLike[str],
        objdir: str | os.PathLike[str],
        keep: bool = True,
    ) -> None:
        """Read the file, if there is one. `tree` and `objdir` are the place that it must be about.

        keep: whether the file may be written
        """
        self.path = None if path is None else Path(path)
        self.warnings: list[str] = []
        self.files = facts.Files(objdir, None if self.path is None else self.path.with_name("clock"))
        self.world = World(self.files)
        self.steps: dict[str, tuple[Any, ...]] = {}
        self.reason = "nothing is kept"
        self._place = (os.path.realpath(tree), os.path.realpath(objdir))
        self._lock = RLock()
        self._stream: FileIO | None = None
        self._process = os.getpid()
        self._facts: list[Seen] = []
        self._words: list[str] = []
        self._numbered_facts: dict[Seen, int] | None = None
        self._numbered_words: dict[str, int] | None = None
        self._log: list[str] = []
        self._end = self._dead = self._begun = 0
        self._placed = False
        if self.path is not None and (keep or self.path.exists()):
            self._guarded(self._open)
        if not keep:
            self._stream = None

    # Deciding

    def why(self, name: str, words: Sequence[str], world: World | None = None) -> str | None:
        """Why a step must run, in words; None if what it saw still holds, and what it wrote is still there."""
        return self.find(name, words, world)[0]

    def find(self, name: str, words: Sequence[str], world: World | None = None) -> tuple[str | None, bytes | None]:
        """Why a step must run, in words; or None, and what it came to the last time.

        This is the only place that decides, and so the only one that explains. To look at a fact may mean to ask a
        command, and so to read what another process appended; only what was found to hold is given.
        """
        world = world or self.world
        while True:
            begun, record = self._begun, self.record(name)
            reason = self._why(record, words, world)
            if begun == self._begun:
                return reason, None if reason is not None or record is None else record.result

    def _why(self, record: Record | None, words: Sequence[str], world: World) -> str | None:
        if record is None:
            return "it has not run here yet" if self.steps else self.reason
        if record.sum != _sum(words):
            return f"{OTHER_WORDS}: {self._difference(record, words)}"
        return self._changed(record.writes, world, _written) or self._changed(record.reads, world, difference)

    def record(self, name: str) -> Record | None:
        """What is kept of a step."""
        step = self.steps.get(name)
        return None if step is None else Record(*step)

    def reads(self, name: str) -> list[Fact]:
        """What a step saw, the last time."""
        record = self.record(name)
        return [] if record is None else [Fact(*self._facts[number]) for number in unpacked(record.reads)]

    def writes(self, name: str) -> list[Fact]:
        """What a step wrote, the last time."""
        record = self.record(name)
        return [] if record is None else [Fact(*self._facts[number]) for number in unpacked(record.writes)]

    def _changed(self, numbers: bytes, world: World, words: Callable[[Seen, Value], str]) -> str | None:
        good, known, lookers = world.good, self._facts, dict[str, facts.Look]()
        missing = good.lacks(numbers)
        for number in missing:
            kind, name, value = fact = known[number]
            look = lookers.get(kind)
            if look is None:
                look = lookers[kind] = world.looker(kind)
            now = look(name)
            if now != value:
                return words(fact, now)
        if missing:
            good.update(missing)
        return None

    def _difference(self, record: Record, words: Sequence[str]) -> str:
        before = [self._words[number] for number in array("I", record.words)]
        for old, new in zip(before, words, strict=False):
            if old != new:
                return f"'{old}' became '{new}'"
        return f"it had {len(before)} words and has {len(words)}"

    # Keeping

    def append(self, done: Iterable[Done], forget: Iterable[str] = ()) -> None:
        """Keep that steps are done. A place that cannot be written is warned of once; then this process alone knows."""
        with self._lock:
            done, forgotten = list(done), [name for name in forget if name in self.steps]
            if self._stream is None or not self._guarded(self._locked, self._append, done, forgotten):
                self._keep(self._bodies(done, forgotten))

    def refresh(self) -> None:
        """Read what other processes appended, and forget looks at what they wrote. Who runs steps does this first."""
        with self._lock:
            if self._stream is not None and self._behind():
                before = len(self._log)
                self._guarded(self._locked, self._catch_up)
                names = [fact.name for name in self._log[before:] for fact in self.writes(name)]
                if names:
                    self.world.forget(*names)

    def save(self) -> None:
        """Keep what was learned of files although no step was done."""
        if self.files.learned:
            self.append(())

    def _bodies(self, done: Sequence[Done], forgotten: Sequence[str]) -> list[tuple[Any, ...]]:
        """The records that say all this, numbered to come next."""
        new_facts: list[Fact] = []
        new_words: list[str] = []
        steps: list[tuple[Any, ...]] = []
        for one in done:
            words = array("I", _interned(one.words, self._word_numbers, new_words)).tobytes()
            reads = packed(_interned(one.reads, self._fact_numbers, new_facts))
            writes = packed(_interned(one.writes, self._fact_numbers, new_facts))
            steps.append((one.name, _sum(one.words), words, reads, writes, one.result))
        learned = sorted(self.files.learned & self.files.identities.keys())
        self.files.learned.clear()
        bodies: list[tuple[Any, ...]] = [
            ("facts", *map(tuple, new_facts)),
            ("words", *new_words),
            ("files", *((name, tuple(self.files.identities[name])) for name in learned)),
            ("forget", *forgotten),
            ("steps", *steps),
        ]
        return [body for body in bodies if len(body) > 1]

    def _keep(self, bodies: Iterable[tuple[Any, ...]]) -> None:
        """Take over records, of this process or of another."""
        for kind, *rest in bodies:
            if kind == "steps":
                for step in rest:
                    name = step[0]
                    if (old := self.steps.get(name)) is not None:
                        self._dead += _OVERHEAD + len(name) + sum(map(len, old[2:5])) + len(old[5] or b"")
                    self.steps[name] = step
                self._log += [step[0] for step in rest]
            elif kind == "facts":
                _numbered(rest, len(self._facts), self._numbered_facts)
                self._facts += rest
            elif kind == "words":
                _numbered(rest, len(self._words), self._numbered_words)
                self._words += rest
            elif kind == "files":
                self.files.identities.update(rest)
            elif kind == "forget":
                for name in rest:
                    self.steps.pop(name, None)

    @property
    def _fact_numbers(self) -> dict[Seen, int]:
        if self._numbered_facts is None:
            self._numbered_facts = {fact: number for number, fact in enumerate(self._facts)}
        return self._numbered_facts

    @property
    def _word_numbers(self) -> dict[str, int]:
        if self._numbered_words is None:
            self._numbered_words = {word: number for number, word in enumerate(self._words)}
        return self._numbered_words

    # The file

    def _begin(self) -> None:
        """Know nothing."""
        self._facts, self._words, self._log = [], [], []
        self._numbered_facts = self._numbered_words = None
        self._end = self._dead = 0
        self._begun += 1
        self.steps.clear()
        self.files.writes += 1  # so that nobody goes by the old numbers

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Do something with the file; if that fails, say so and go on without it."""
        try:
            action(*arguments)
        except OSError as error:
            self.warnings.append(f"{self.path}: {error.strerror}; nothing is remembered of this run")
            self._stream = None
            return False
        return True

    def _open(self) -> None:
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._begin()
        self._process = os.getpid()
        self.reason = f"{self.path} does not exist yet"
        self._stream = FileIO(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")
        self._locked(self._load)

    def _locked(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something while no other process appends."""
        assert self._stream is not None and self.path is not None
        if self._process != os.getpid():
            # After a fork parent and child share the open file, and a lock on it would keep neither out.
            self._process = os.getpid()
            self._stream = FileIO(self.path, "r+")
        fcntl.flock(self._stream, fcntl.LOCK_EX)
        try:
            action(*arguments)
        finally:
            if self._stream is not None and not self._stream.closed:
                fcntl.flock(self._stream, fcntl.LOCK_UN)

    def _behind(self) -> bool:
        """Whether another process appended something, wrote the file anew or removed it."""
        assert self._stream is not None and self.path is not None
        try:
            there = os.stat(self.path)
        except OSError:
            return True
        return there.st_size != self._end or there.st_ino != os.fstat(self._stream.fileno()).st_ino

    def _catch_up(self) -> None:
        if not self._behind():
            return
        assert self._stream is not None and self.path is not None
        there = os.stat(self.path).st_ino if self.path.exists() else None
        if there != os.fstat(self._stream.fileno()).st_ino or there is None:
            self._open()
            return
        self._read(self._stream.seek(self._end))

    def _load(self) -> None:
        """Read the whole file, and begin it anew where it cannot be believed."""
        assert self._stream is not None
        size = os.fstat(self._stream.fileno()).st_size
        header = self._stream.read(_HEADER.size)
        self._end = _HEADER.size
        if not header:
            self._anew()
            return
        magic, form, length, checksum = _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", b"", 0, 0)
        if magic != MAGIC or checksum != zlib.crc32(header[:-4]):
            self._anew(_DAMAGED)
        elif form.rstrip(b"\0") != FORMAT:
            self._anew("was written by another version of this program; it is begun anew")
        else:
            self._read(self._end, size < _HEADER.size + length)
            if not self._placed:
                whole = self._end > _HEADER.size
                self._anew("is about another tree or build directory; it is begun anew" if whole else _DAMAGED)
            elif self._end > _COMPACT_ABOVE and self._end > _COMPACT_AT * (self._end - self._dead):
                self._compact()

    def _anew(self, problem: str | None = None) -> None:
        assert self._stream is not None
        if problem is not None:
            self.reason = f"{self.path} {problem.split(';')[0]}"
            self.warnings.append(f"{self.path}: {problem}")
        reason = self.reason
        self._begin()
        self.reason = reason
        self._stream.truncate(0)
        self._end = _HEADER.size
        self._write([("place", *self._place)])

    def _read(self, start: int, short: bool = False) -> None:
        """Take over the records from offset `start` on; cut off what is not whole. `short`: the file is shorter than
        it was.
        """
        assert self._stream is not None
        self._stream.seek(start)
        data = memoryview(self._stream.readall())
        position, bodies = 0, []
        while position + _RECORD.size <= len(data):
            length, checksum = _RECORD.unpack_from(data, position)
            body = data[position + _RECORD.size : position + _RECORD.size + length]
            if len(body) != length or zlib.crc32(body) != checksum:
                break
            bodies.append(marshal.loads(body))
            position += _RECORD.size + length
        self._placed = start > _HEADER.size or bodies[:1] == [("place", *self._place)]
        self._keep(bodies)
        self._end = start + position
        if self._placed and (position < len(data) or short):
            self.warnings.append(
                f"{self.path}: is damaged at byte {self._end}; what it said from there on is forgotten"
            )
            self._stream.truncate(self._end)
            self._write_header()

    def _append(self, done: Sequence[Done], forgotten: Sequence[str]) -> None:
        self._catch_up()
        bodies = self._bodies(done, forgotten)
        self._write(bodies)
        self._keep(bodies)

    def _write(self, bodies: Iterable[tuple[Any, ...]]) -> None:
        assert self._stream is not None
        data = b"".join(map(_packed, bodies))
        self._stream.seek(self._end)
        written = 0
        try:
            while written < len(data):
                written += self._stream.write(data[written:]) or 0
        except OSError:
            with contextlib.suppress(OSError):
                self._stream.truncate(self._end)  # half a record would be damage to the next who reads
            raise
        self._end += len(data)
        self._write_header()

    def _write_header(self) -> None:
        assert self._stream is not None
        header = _HEADER.pack(MAGIC, FORMAT, self._end - _HEADER.size, 0)[:-4]
        os.pwrite(self._stream.fileno(), header + struct.pack("<I", zlib.crc32(header)), 0)

    def _compact(self) -> None:
        """Write a file of what still counts, and go on with that."""
        assert self._stream is not None and self.path is not None
        done = []
        for name, *_, result in self.steps.values():
            record = self.record(name)
            assert record is not None
            words = [self._words[number] for number in array("I", record.words)]
            done.append(Done(name, words, self.reads(name), self.writes(name), result))
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        fresh = Ledger(temporary, *self._place)
        fresh.files.identities.update(self.files.identities)
        fresh.files.learned.update(self.files.identities)
        fresh.append(done)
        if fresh.warnings:
            with contextlib.suppress(OSError):
                temporary.unlink()
            return
        os.replace(temporary, self.path)
        self._open()


def difference(fact: Seen, now: Value) -> str:
    """What became of something that a step saw, in words; `now` is its value today."""
    kind, name, old = fact
    if kind == "file":
        what = "appeared" if old is None else CHANGED if old == CHANGED else "vanished" if now is None else "changed"
        return f"{name} {what}"
    if kind == "code":
        files = zip(name.split(), old, now, strict=True)
        return f"{next(file for file, one, other in files if one != other)} of kallmodsyms, which does this, changed"
    if kind == "symbol":
        return f"CONFIG_{name} was {old or 'n'} and is {now or 'n'}"
    if kind == "wildcard":
        came, went = _compared(old, now)
        return f"{name} now matches {came[0]}" if came else f"{name} does not match {went[0]} any more"
    if kind == "program":
        if old is None or now is None:
            return f"the program {name} {'appeared' if old is None else 'vanished'}"
        return f"{name} is {now[0]} and was {old[0]}" if now[0] != old[0] else f"the program {now[0]} changed"
    if kind in ("variable", "environment"):
        return f"{name} was {_shown(old)} and is {_shown(now)}"
    if kind in ("modules", "configuration"):
        came, went = _compared(old, now)
        one = (came or went or [None])[0]
        text = " ".join([one[0], *one[1]]) if isinstance(one, tuple) else one
        of = f"in {name}, " if kind == "modules" else ""
        return f"{of}{text} {'is new' if came else 'is gone'}" if one else f"the order of the {kind} {name} changed"
    if kind == "answer":
        return f"`{name}` prints something else"
    return f"the {kind} {name} changed"


def _written(fact: Seen, now: Value) -> str:
    return f"its output {fact[1]} is gone" if now is None else f"its output {fact[1]} is not what it wrote"


def _compared(old: Value, now: Value) -> tuple[list[Any], list[Any]]:
    """What is new and what is gone, sorted."""
    return sorted(set(now or ()) - set(old or ())), sorted(set(old or ()) - set(now or ()))


def _shown(value: Value) -> str:
    text = value[0] if isinstance(value, tuple) else value
    return "not set" if text is None else text if 0 < len(text) < 40 and text.isprintable() else "another"


def _packed(body: tuple[Any, ...]) -> bytes:
    data = marshal.dumps(body)
    return _RECORD.pack(len(data), zlib.crc32(data)) + data


def _interned(items: Iterable[Any], numbers: dict[Any, int], new: list[Any]) -> list[int]:
    """The numbers of items; what has none yet gets one, and is added to `new`."""
    found = []
    for item in items:
        number = numbers.get(item)
        if number is None:
            number = numbers[item] = len(numbers)
            new.append(item)
        found.append(number)
    return found


def _numbered(items: Sequence[Any], first: int, numbers: dict[Any, int] | None) -> None:
    """Take over the numbers that another process gave."""
    if numbers is not None:
        numbers.update(zip(items, range(first, first + len(items)), strict=True))


def _sum(words: Sequence[str]) -> bytes:
    """What stands for words: a digest, or themselves where they are shorter."""
    text = "\0".join(words).encode("utf-8", "surrogateescape")
    return text if len(text) < _SHORT else facts.digest(text)
