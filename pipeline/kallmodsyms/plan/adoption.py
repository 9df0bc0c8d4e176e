"""What make made, put on record: the commands that it recorded in; which objects and archives there are to make again,
and what each object saw when it was made, out.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from kallmodsyms import depfile
from kallmodsyms.depfile import Recorded
from kallmodsyms.facts import CHANGED, Fact, World
from kallmodsyms.ledger import Done
from kallmodsyms.link import exports
from kallmodsyms.plan.submake import Submake, command_file
from kallmodsyms.step import Step


class BuiltIn(NamedTuple):
    """What is built in, in link order, as far as it can be made alone; and the archives of it, the deepest first."""

    objects: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()


def above(path: str) -> Iterator[str]:
    """The directories above a path, `.` for the top.

    >>> list(above("fs/ext4/inode.o"))
    ['fs/ext4', 'fs', '.']
    """
    while path not in (".", ""):
        path = os.path.dirname(path) or "."
        yield path


def depth(path: str) -> tuple[int, str]:
    """What sorts directories by how deep they are."""
    return (0 if path == "." else path.count("/") + 1), path


class Adoption:
    """Takes over what make made in one build directory. `world`: what the steps see there."""

    def __init__(self, submake: Submake, world: World) -> None:
        self.submake, self.world = submake, world
        self._earlier = depfile.Earlier(submake.base)

    def built_in(self, made: Collection[str]) -> BuiltIn:
        """What there is to make again; nothing before Linux 6.1, which has no vmlinux.a. `made`: what has a command."""
        if not self.submake.has_command("vmlinux.a"):
            return BuiltIn()
        libraries = exports.words(self.submake.exports(), "KBUILD_VMLINUX_LIBS")
        linked = [name for path in ("vmlinux.a", *libraries) for name in self.submake.members(path)]
        objects = tuple(dict.fromkeys(name for name in linked if name in made and name.endswith(".o")))
        folders = dict.fromkeys(folder for name in objects for folder in above(name))
        places = (
            os.path.normpath(f"{folder}/{name}")
            for folder in sorted(folders, key=depth, reverse=True)
            for name in ("lib.a", "built-in.a")
        )
        return BuiltIn(objects, (*(name for name in places if self.submake.has_command(name)), "vmlinux.a"))

    def records(
        self,
        steps: Iterable[tuple[str, Step]],
        recorded: Mapping[str, Recorded],
        start: int | None,
        compiler: Collection[tuple[str, str]],
    ) -> Iterator[Done]:
        """A record for each of these steps, given with what it makes.

        recorded: what their commands saw; start: the time of `Files.now` when make began
        compiler: what they see besides
        """
        seen = _Seen(self, start)
        common = [Fact(*key, self.world.look(*key)) for key in compiler]
        for target, step in steps:
            changed = self.world.files.changed(target)
            reads = [seen.by(changed, *key) for key in self.saw(recorded[target])]
            writes = [Fact("file", target, self.world.look("file", target))]
            yield Done(step.name, step.identity, [*common, *reads], writes)

    def saw(self, recorded: Recorded) -> Iterator[tuple[str, str]]:
        """What decided how an object came out; and what would have, if it had been there."""
        yield from (("file", path) for path in (*recorded.files, *self._earlier.than(recorded)))
        yield from (("symbol", symbol) for symbol in recorded.symbols)

    def is_new(self, target: str, start: int | None) -> bool:
        """Whether make has written the command of a target since `start`."""
        return self.is_written(command_file(target), start)

    def is_written(self, path: str, start: int | None) -> bool:
        """Whether a file was written since `start`."""
        return start is None or self.world.files.changed(path) >= start


class _Seen:
    """The files that objects saw: their values, unless they were written since make began, or since the object was."""

    def __init__(self, adoption: Adoption, start: int | None) -> None:
        self.adoption, self.start = adoption, start
        self._known: dict[tuple[str, str], tuple[Fact, int]] = {}

    def by(self, made: int, kind: str, name: str) -> Fact:
        """What an object that was made at `made` saw of a file or symbol."""
        known = self._known.get((kind, name))
        if known is None:
            world = self.adoption.world
            fact, changed = Fact(kind, name, world.look(kind, name)), 0
            if kind == "file":
                changed = world.files.changed(name)
                if self.adoption.submake.is_source(name) and self.start is not None:
                    fact, changed = (fact if changed < self.start else fact._replace(value=CHANGED)), 0
            known = self._known[kind, name] = fact, changed
        fact, changed = known
        return fact if not changed or changed <= made else fact._replace(value=CHANGED)
