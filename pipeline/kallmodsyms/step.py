"""Steps: what one does, reads and writes, in; whether it must run, and its run, out.

    Step        one step of a build, declared
    Builder     runs steps, or shows that they need not run; every run leaves a record in the ledger
    Plan        steps that depend on each other by the files that they write

**What a run is worth.** The values that a step saw are those before it ran. A file that was written since it began is
recorded as changed while it ran, so that the step runs again; so is one that it only found out about (a header). A
step that fails leaves no record: the last good one stays, and holds if everything is put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kallmodsyms import code, depfile
from kallmodsyms.facts import CHANGED, Fact, Value, World
from kallmodsyms.ledger import Done, Ledger

Seen = Fact | tuple[str, str]
"""What a step found out while it ran: a fact, or the kind and name of one, whose value is looked up. A fact counts in
place of what was seen before the step ran: the step has put that right.
"""


@dataclass(frozen=True)
class Step:
    """One step.

    name: what it is called, `compile:fs/ext4/inode.o`
    words: what it does, in words: those of its command, or its options
    run: does it; gives what it found out on the way, besides what is declared here
    reads, writes: files, relative to the build directory or absolute
    sees: kinds and names of other facts that decide what comes of it; or what gives them, before it runs
    wrote: gives kinds and names of what it made, after it ran, where that cannot be told before
    modules: of this package, that do the work; none for what an outside program does
    after: steps that come before, although it reads nothing of theirs
    follows: steps whose outputs it reads, or that decide whether it must run, besides the writers of `reads`
    once: it runs only where an output does not exist: another step makes that on its way
    kept: what it writes is the user's, too, and stays where the rest is removed
    always: why it runs each time, if it does
    """

    name: str
    words: tuple[str, ...]
    run: Callable[[], Iterable[Seen] | None]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sees: tuple[tuple[str, str], ...] | Callable[[], Iterable[tuple[str, str]]] = ()
    wrote: Callable[[], Iterable[tuple[str, str]]] | None = None
    modules: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    once: bool = False
    kept: bool = False
    always: str | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """All of its declaration: another one is another step."""
        return (*self.words, "<", *self.reads, ">", *self.writes)


class Builder:
    """Runs steps in one build directory. `world` is what they see, in place of the ledger's own."""

    def __init__(self, ledger: Ledger, world: World | None = None) -> None:
        self.ledger = ledger
        self.world = world or ledger.world

    def why(self, step: Step) -> str | None:
        """Why a step must run, or None."""
        if step.once:
            gone = [name for name in step.writes if self.world.look("file", name) is None]
            return f"{gone[0]} does not exist" if gone else None
        self.ledger.refresh()
        return step.always or self.ledger.why(step.name, step.identity, self.world)

    def run(self, step: Step) -> None:
        """Run a step and keep a record of it. What it raises is passed on."""
        files, world = self.world.files, self.world
        self.ledger.refresh()  # under `doit -n` another process decided that this runs
        start = files.start(step.reads)
        seen = self._declared(step)
        begun = time.monotonic()
        try:
            found = list(step.run() or ())
        finally:
            world.forget(*(() if step.always or step.wrote else step.writes))
        took = time.monotonic() - begun
        for one in found:
            key = (one[0], one[1])
            if isinstance(one, Fact):
                seen[key] = one.value
            elif key not in seen:
                seen[key] = world.look(*key)
        for kind, name in self._changed_since(start, seen, step.writes):
            seen[kind, name] = CHANGED
        self._keep(step, seen, took)

    def _changed_since(
        self, start: int | None, seen: Mapping[tuple[str, str], Value], written: Iterable[str] = ()
    ) -> list[tuple[str, str]]:
        """What may have changed since it was looked at. `start`: a time before that; `written`: by who looked."""
        own = set(written)

        def changed(kind: str, name: str) -> bool:
            if kind == "folder":
                return bool(self.world.look(kind, name) != seen[kind, name])
            dated = kind in ("file", "names") and name not in own
            return dated and start is not None and self.world.files.changed_since(name, start)

        return [key for key in seen if changed(*key)]

    def adopt(self, step: Step) -> None:
        """Put on record that somebody else has just done a step."""
        self._keep(step, self._declared(step))

    def extend(self, step: Step, start: int | None, found: Iterable[tuple[str, str]]) -> None:
        """Put on record that more belongs to a step that was done: kinds and names of what it saw, and what it wrote.

        start: a time before that
        """
        if self.ledger.record(step.name) is None:
            return
        known = {(fact.kind, fact.name): fact.value for fact in self.ledger.reads(step.name)}
        more = {key: self.world.look(*key) for key in found if key not in known}
        self._keep(step, {**known, **more, **dict.fromkeys(self._changed_since(start, more), CHANGED)})

    def _declared(self, step: Step) -> dict[tuple[str, str], Value]:
        """What a step is known to see before it runs."""
        declared: list[tuple[str, str]] = [("file", name) for name in step.reads]
        declared += step.sees() if callable(step.sees) else step.sees
        if step.modules:
            declared.append(("code", code.files_of(*step.modules)))
        return {key: self.world.look(*key) for key in declared}

    def _keep(self, step: Step, seen: Mapping[tuple[str, str], Value], took: float | None = None) -> None:
        reads = [Fact(*key, value) for key, value in seen.items()]
        made = [*(("file", name) for name in step.writes), *(step.wrote() if step.wrote else ())]
        writes = [Fact(*key, self.world.look(*key)) for key in dict.fromkeys(made)]
        self.ledger.append([Done(step.name, step.identity, reads, writes, took=took)])


@dataclass
class Plan:
    """Steps by name, in an order in which they can run, and who writes which file."""

    builder: Builder
    steps: dict[str, Step] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)
    _settled: set[str] = field(default_factory=set)

    def add(self, steps: Iterable[Step]) -> Sequence[Step]:
        """Take over steps."""
        added = list(steps)
        for step in added:
            self.steps[step.name] = step
            self.writers |= dict.fromkeys(step.writes, step.name)
        return added

    def before(self, step: Step) -> list[str]:
        """The steps whose outputs a step reads, in order."""
        declared = (self.writers[name] for name in step.reads if name in self.writers)
        return list(dict.fromkeys([*(name for name in step.follows if name in self.steps), *declared]))

    def why(self, name: str) -> str | None:
        """Why a step must run; or that this is not decided before another one ran; or None."""
        if name in self._settled:
            return None
        step = self.steps[name]
        reason = self.builder.why(step)
        if reason is None:
            for earlier in self.before(step):
                if (cause := self.why(earlier)) is not None:
                    return cause if cause.startswith("undecided") else f"undecided until {earlier} ran: {cause}"
            self._settled.add(name)
        return reason

    def tidy(self) -> list[str]:
        """Remove the files of steps that are gone, unless somebody else makes or changed them; their names."""
        ledger, world = self.builder.ledger, self.builder.world
        written = {name: ledger.writes(name) for name in ledger.steps if name not in self.steps}
        gone = {name: facts for name, facts in written.items() if any(fact.kind == "file" for fact in facts)}
        left = dict.fromkeys(fact for facts in gone.values() for fact in facts if fact.name not in self.writers)
        found = [
            fact.name for fact in left if fact.value is not None and world.look(fact.kind, fact.name) == fact.value
        ]
        for name in found:
            for path in (name, *depfile.all_beside(name)):
                Path(world.files.path(path)).unlink(missing_ok=True)
        if gone:
            world.forget(*found)
            ledger.append((), gone)
        return found

    def run(self, name: str) -> None:
        """Run a step."""
        self._settled.discard(name)
        self.builder.run(self.steps[name])
        self._settled.add(name)
