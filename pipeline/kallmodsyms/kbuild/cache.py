"""What the evaluation of each directory came to, from an earlier run; and why it does not hold any more.

One file (module `kallmodsyms.kept`). An evaluation is kept with what it depended on: the variables from outside
that it read, with their values; the files that it read or looked for, by content; what its wildcards matched; this
program. An evaluation that had to know what a command prints is not kept, for nobody can tell what that depends on; all
others see markers in place of outputs, and do not depend on these (see kallmodsyms.make.promises).

Values and contents are kept in one table for all directories. The next run compares the tables once, and each directory
asks whether it read any of what changed. What is kept of a directory is packed by itself, so that only what is new must be packed again.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kallmodsyms import kept, make
from kallmodsyms.errors import InputError
from kallmodsyms.files import differs, fingerprint
from kallmodsyms.make import Evaluator, Origin, Variable, anonymous, glob

if TYPE_CHECKING:
    from kallmodsyms.kbuild.directory import Context

_COMMAND = "it needs to know what a command prints"
_EMPTY: dict[str, Any] = {"variables": {}, "flipped": {}, "files": {}, "directories": {}}

Form = tuple[str, bool, int, Any]
"""What an evaluation can see of a variable."""

Conditions = tuple[frozenset[str], tuple[str, ...], dict[str, tuple[str, ...]]]
"""What an evaluation read: names of variables, absolute paths (there or not), wildcards with what they matched."""


class Cache:
    """What is known of the directories of one tree and build directory.

    reasons: for each directory that was, or is to be, evaluated: why
    warnings: about the file
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, place: Iterable[str] = ()) -> None:
        """`path` is the file, None keeps nothing; `place` is what its contents are about: a tree, a build directory."""
        self.path = None if path is None else Path(path)
        self.reasons: dict[str, str] = {}
        self.warnings: list[str] = []
        self._place = tuple(place)
        self._old, self._nothing = _EMPTY, "nothing is kept"
        if self.path is not None:
            record, reason, self.warnings = kept.read(self.path, self._place)
            self._old, self._nothing = (_EMPTY, reason) if record is None else (record, "it is new")
        self._directories: dict[str, Any] = {}
        self._packed: dict[str, bytes] = {}
        self._compared: set[str] = set()
        self._variables: dict[str, Form] = {}
        self._flipped: dict[str, Form] = {}
        self._changed: dict[str, str] = {}
        self._changed_flipped: dict[str, str] = {}
        self._files: dict[str, bool] = {}
        self._globs: dict[str, tuple[str, ...]] = {}

    def compare(self, context: Context) -> None:
        """Find out what changed of the variables that directories begin with."""
        self._context = context
        if self.path is not None:
            self._variables = {name: _form(variable) for name, variable in context.base.items()}
            self._changed = _differences(self._old["variables"], self._variables)

    def compare_flipped(self, context: Context) -> None:
        """The same for those of the second evaluation, which tells what is a module."""
        if self.path is not None:
            plain = self._context.base
            self._flipped = {name: _form(value) for name, value in context.base.items() if plain.get(name) is not value}
            self._changed_flipped = self._changed | _differences(self._old["flipped"], self._flipped)

    def find(
        self, path: str, flags: tuple[bool, bool], inherited: Mapping[str, Variable]
    ) -> tuple[tuple, dict[str, Variable]] | None:
        """The fields of a `Directory` and what it hands on (values with anonymous markers), if known; else None, and a reason.

        flags: whether it is built in, and whether obj-y or obj-m name it
        """
        packed = self._old["directories"].get(path)
        if not isinstance(packed, bytes):
            self.reasons[path] = packed or self._nothing
            return None
        entry = marshal.loads(packed)
        if entry["flags"] != flags:
            self.reasons[path] = "it is reached in another way than before"
        elif reason := self._why(entry["conditions"], self._changed, entry["inherited"], inherited):
            self.reasons[path] = reason
        else:
            self._directories[path], self._packed[path] = entry, packed
            texts = entry["handed on"].items()
            return entry["directory"], {name: Variable(text, True, Origin.ENVIRONMENT, True) for name, text in texts}
        return None

    def keep(
        self, path: str, flags: tuple[bool, bool], inherited: Mapping[str, Variable], evaluator: Evaluator, looked: int,
        directory: tuple, handed_on: Mapping[str, Variable],
    ) -> None:  # fmt: skip
        """Remember an evaluation. `looked` is what `promises.looked` was before it."""
        conditions = self._conditions(evaluator, looked)
        if conditions is None:
            self._directories[path] = _COMMAND
            return
        self._directories[path] = {
            "flags": flags,
            "inherited": {name: _form(variable) for name, variable in inherited.items()},
            "conditions": conditions,
            "directory": directory,
            "handed on": {name: anonymous(variable.value) for name, variable in handed_on.items()},
            "flipped": None,
        }

    def find_flipped(self, path: str, inherited: Mapping[str, Variable]) -> tuple | None:
        """The result of a directory's second evaluation, if known; else None, and a reason."""
        entry = self._directories.get(path)
        if path in self.reasons or not isinstance(entry, dict):
            return None
        if entry["flipped"] is None:
            reason = "nothing is kept of what tells its modules"
        else:
            conditions, result = entry["flipped"]
            reason = self._why(conditions, self._changed_flipped, entry["inherited"], inherited)
            if reason is None:
                self._compared.add(path)
                return result
        self.reasons[path] = reason
        return None

    def keep_flipped(self, path: str, evaluator: Evaluator, looked: int, result: tuple) -> None:
        """Remember a second evaluation."""
        entry, conditions = self._directories.get(path), self._conditions(evaluator, looked)
        if isinstance(entry, dict):
            self._change(path, _COMMAND if conditions is None else entry | {"flipped": (conditions, result)})
            self._compared.add(path)

    def save(self) -> None:
        """Write the file, if anything was evaluated."""
        self._context.top.promises.answers.save()
        if self.path is None or all(reason == _COMMAND for reason in self.reasons.values()):
            return
        for path in self._directories.keys() - self._compared:
            if isinstance(entry := self._directories[path], dict) and entry["flipped"]:
                self._change(path, entry | {"flipped": None})
        known = self._old["files"] | self._context.top.sources.fingerprints
        entries = [entry for entry in self._directories.values() if isinstance(entry, dict)]
        parts = [part for entry in entries for part in (entry["conditions"], (entry["flipped"] or [None])[0]) if part]
        record = {
            "variables": self._variables,
            "flipped": self._flipped,
            "files": {
                name: known[name] if name in known else fingerprint(name)
                for name in sorted({name for _, names, _ in parts for name in names})
            },
            "directories": {path: self._pack(path, entry) for path, entry in self._directories.items()},
        }
        try:
            kept.write(self.path, self._place, record)
        except InputError as error:
            self.warnings.append(f"{error}; every directory is evaluated each time")

    def _change(self, path: str, entry: dict[str, Any] | str) -> None:
        self._directories[path] = entry
        self._packed.pop(path, None)

    def _pack(self, path: str, entry: dict[str, Any] | str) -> bytes | str:
        return entry if isinstance(entry, str) else self._packed.get(path) or marshal.dumps(entry)

    def _conditions(self, evaluator: Evaluator, looked: int) -> Conditions | None:
        """What an evaluation depended on; None if that cannot be told."""
        if self.path is None or evaluator.promises.looked != looked or ".VARIABLES" in evaluator.base_reads:
            return None
        if evaluator.sources.virtual.keys() & evaluator.files.keys():
            return None
        return frozenset(evaluator.base_reads), tuple(evaluator.files), evaluator.globs

    def _why(
        self,
        conditions: Conditions,
        changed: Mapping[str, str],
        before: Mapping[str, Form],
        now: Mapping[str, Variable],
    ) -> str | None:
        """Why what was found under these conditions does not hold any more, or None.

        before, now: the variables that the directories above changed, which come before those that all begin with
        """
        reads, names, globs = conditions
        own = before.keys() | now.keys()
        if own:
            for name in sorted(reads & own):
                if name not in before or name not in now or before[name] != _form(now[name]):
                    return f"{name}, which directories above set, changed"
        for name in sorted(reads & changed.keys()):
            if name not in own:
                return changed[name]
        for name in names:
            if self._file_differs(name):
                return f"{name} {'changed' if self._old['files'][name] else 'appeared'}"
        for pattern, found in globs.items():
            if self._matches(pattern) != found:
                return f"{pattern} matches other files than before"
        return None

    def _file_differs(self, name: str) -> bool:
        if name not in self._files:
            self._files[name] = differs(name, self._old["files"][name])
        return self._files[name]

    def _matches(self, pattern: str) -> tuple[str, ...]:
        if pattern not in self._globs:
            self._globs[pattern] = glob(self._context.top.objdir, pattern)
        return self._globs[pattern]


def _form(variable: Variable) -> Form:
    return anonymous(variable.value), variable.recursive, int(variable.origin), variable.exported


def _differences(old: Mapping[str, Form], new: Mapping[str, Form]) -> dict[str, str]:
    """Each name whose form is not the same in both, with words for that."""
    names = {name for name, _ in old.items() ^ new.items()}
    return {name: f"{name} was {_words(old.get(name))} and is {_words(new.get(name))}" for name in names}


def _words(form: Form | None) -> str:
    if form is None:
        return "not set"
    return form[0] if 0 < len(form[0]) < 40 and make.MARK not in form[0] else "another"
