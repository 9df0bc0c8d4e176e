"""What steps saw and made, kept between runs: records in, and the one answer to "must this run again, and why".

The file is a journal (OBJ/.kallmodsyms/ledger; see `journal`). Facts, words and files are interned: a step names them
by number.

    ("facts", (kind, name, value), ...)     numbered as they come
    ("words", word, ...)                    likewise
    ("files", (name, identity), ...)        stat data of files that need not be read again
    ("steps", (name, sum of the words, words, reads, writes, result), ...)
    ("times", (name, seconds), ...)         how long a step ran, the last time; nothing follows from it
    ("forget", name, ...)                   steps
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from kallmodsyms import facts
from kallmodsyms.facts import Fact, Value, World
from kallmodsyms.journal import Body, Journal
from kallmodsyms.numbers import packed, unpacked
from kallmodsyms.reasons import Seen, difference, written

_COMPACT_ABOVE = 1 << 20
"""Bytes. A smaller file is never written anew, whatever is in it."""
_COMPACT_AT = 1.5
"""How often larger than what still counts a file may be."""
_OVERHEAD = 70
"""Bytes of a record of a step beside those of its parts, about."""

T = TypeVar("T")

OTHER_WORDS = "its command changed"


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
    full; `took` the seconds that it ran, where somebody looked at a clock.
    """

    name: str
    words: Sequence[str]
    reads: Iterable[Fact]
    writes: Iterable[Fact] = ()
    result: bytes | None = None
    took: float | None = None


class Numbers(dict[T, int]):
    """The numbers of items, as they came; one that is new gets the next when it is looked up."""

    def __init__(self, items: Iterable[T]) -> None:
        super().__init__((item, number) for number, item in enumerate(items))
        self._new: list[T] = []

    def __missing__(self, item: T) -> int:
        number = self[item] = len(self)
        self._new.append(item)
        return number

    def of(self, items: Iterable[T]) -> list[int]:
        """The number of each."""
        return list(map(self.__getitem__, items))

    def taken(self) -> list[T]:
        """The items that are new since this was asked the last time."""
        new, self._new = self._new, []
        return new


class Ledger(Journal):
    """The ledger of one tree and build directory. Without a path it keeps what this process does, and nothing longer.

    files: the files that were looked at
    world: what steps see, unless they say otherwise
    steps: the last record of each step, as `record` reads it
    times: the seconds that a step ran, the last time
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        tree: str | os.PathLike[str],
        objdir: str | os.PathLike[str],
        writable: bool = True,
    ) -> None:
        """Read the file, if there is one. `tree` and `objdir` are the place that it must be about."""
        super().__init__(path, (os.path.realpath(tree), os.path.realpath(objdir)), writable)
        clock = None if self.path is None or not writable else self.path.with_name("clock")
        self.files = facts.Files(objdir, clock)
        self.world = World(self.files)
        self.steps: dict[str, tuple[Any, ...]] = {}
        self.times: dict[str, float] = {}
        self._facts: list[Seen] = []
        self._words: list[str] = []
        self._fact_numbers: Numbers[Seen] | None = None
        self._word_numbers: Numbers[str] | None = None
        self._log: list[str] = []
        self._others: list[str] = []  # steps that other processes did, and whose outputs we may have looked at before
        self._dead = self._begun = 0
        self.open()
        if self.end > _COMPACT_ABOVE and self.end > _COMPACT_AT * (self.end - self._dead) and writable:
            self._compact()

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
        return self._changed(record.writes, world, written) or self._changed(record.reads, world, difference)

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

    def spoiled(self, name: str, world: World) -> list[str]:
        """The files that a step wrote and that are other ones now, although everything that it saw still holds."""
        record = self.record(name)
        if record is None or self._changed(record.reads, world, difference) is not None:
            return []
        wrote = ((fact, world.look(fact.kind, fact.name)) for fact in self.writes(name))
        return [fact.name for fact, now in wrote if now is not None and now != fact.value]

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
            kept, forgotten = list(done), [name for name in forget if name in self.steps]
            before = len(self._log)
            self.write(lambda: self._bodies(kept, forgotten))
            own = {one.name for one in kept}
            self._others += [name for name in self._log[before:] if name not in own]

    def refresh(self) -> None:
        """Read what other processes appended, and forget looks at what they wrote. Who runs steps does this first."""
        with self._lock:
            if self.behind():
                before = len(self._log)
                self.catch_up()
                self._others += self._log[before:]
            names = [fact.name for name in self._others for fact in self.writes(name)]
            self._others.clear()
            if names:
                self.world.forget(*names)

    def save(self) -> None:
        """Keep what was learned of files although no step was done."""
        if self.files.learned:
            self.append(())

    def begin(self) -> None:
        self._facts, self._words, self._log = [], [], []
        self._fact_numbers = self._word_numbers = None
        self._dead = 0
        self._begun += 1
        self.steps.clear()
        self.times.clear()
        self.files.writes += 1  # so that nobody goes by the old numbers

    def keep(self, bodies: Iterable[Body]) -> None:
        for kind, *rest in bodies:
            if kind == "steps":
                for step in rest:
                    name = step[0]
                    if (old := self.steps.get(name)) is not None:
                        self._dead += _OVERHEAD + len(name) + sum(map(len, old[2:5])) + len(old[5] or b"")
                    self.steps[name] = step
                self._log += [step[0] for step in rest]
            elif kind == "facts":
                _numbered(rest, len(self._facts), self._fact_numbers)
                self._facts += rest
            elif kind == "words":
                _numbered(rest, len(self._words), self._word_numbers)
                self._words += rest
            elif kind == "files":
                self.files.identities.update(rest)
            elif kind == "times":
                self.times.update(rest)
            elif kind == "forget":
                for name in rest:
                    self.steps.pop(name, None)
                    self.times.pop(name, None)

    def _bodies(self, done: Sequence[Done], forgotten: Sequence[str]) -> list[Body]:
        """The records that say all this, numbered to come next."""
        if self._fact_numbers is None or self._word_numbers is None:
            self._fact_numbers, self._word_numbers = Numbers(self._facts), Numbers(self._words)
        steps: list[tuple[Any, ...]] = []
        for one in done:
            words = array("I", self._word_numbers.of(one.words)).tobytes()
            reads = packed(self._fact_numbers.of(one.reads))
            writes = packed(self._fact_numbers.of(one.writes))
            steps.append((one.name, _sum(one.words), words, reads, writes, one.result))
        learned = sorted(self.files.learned & self.files.identities.keys())
        self.files.learned.clear()
        bodies: list[Body] = [
            ("facts", *map(tuple, self._fact_numbers.taken())),
            ("words", *self._word_numbers.taken()),
            ("files", *((name, tuple(self.files.identities[name])) for name in learned)),
            ("forget", *forgotten),
            ("steps", *steps),
            ("times", *((one.name, round(one.took, 3)) for one in done if one.took is not None)),
        ]
        return [body for body in bodies if len(body) > 1]

    def _compact(self) -> None:
        """Write a file of what still counts, and go on with that."""
        assert self.path is not None
        done = []
        for name, *_, result in self.steps.values():
            record = self.record(name)
            assert record is not None
            words = [self._words[number] for number in array("I", record.words)]
            done.append(Done(name, words, self.reads(name), self.writes(name), result, self.times.get(name)))
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        tree, objdir = self._place
        fresh = Ledger(temporary, tree, objdir)
        fresh.files.identities.update(self.files.identities)
        fresh.files.learned.update(self.files.identities)
        fresh.append(done)
        if fresh.warnings:
            with contextlib.suppress(OSError):
                temporary.unlink()
            return
        os.replace(temporary, self.path)
        self.open()


def _numbered(items: Sequence[Any], first: int, numbers: Numbers[Any] | None) -> None:
    """Take over the numbers that another process gave."""
    if numbers is not None:
        numbers.update(zip(items, range(first, first + len(items)), strict=True))


def _sum(words: Sequence[str]) -> bytes:
    """What stands for words: a digest, or themselves where they are shorter."""
    text = "\0".join(words).encode("utf-8", "surrogateescape")
    return text if len(text) < facts.DIGEST else facts.digest(text)
