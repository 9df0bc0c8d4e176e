"""What the evaluation of each directory came to, from an earlier run; and why it does not hold any more.

One file, which may be deleted at any time. An evaluation is kept with what it depended on: the variables from outside
that it read, with their values; the files that it read or looked for, by content; what its wildcards matched; this
program. An evaluation that had to know what a command prints is not kept, for nobody can tell what that depends on; all
others see markers in place of outputs, and do not depend on these (see pipeline.make.promises).

Values and contents are kept in one table for all directories. The next run compares the tables once, and each directory
asks whether it read any of what changed. Two runs at once write a whole file each, under a name of its own; the later
rename stays.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Mapping

from pipeline import files, make
from pipeline.errors import InputError
from pipeline.make import Evaluator, Origin, Variable, anonymous, glob
from pipeline.state import Fingerprint, differs, fingerprint

if TYPE_CHECKING:
    from pipeline.kbuild.directory import Context

_MAGIC = b"kallmodsyms kbuild cache\n"
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
            self._read(self.path)
        self._directories: dict[str, Any] = {}
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
        entry = self._old["directories"].get(path)
        if entry is None:
            self.reasons[path] = self._nothing
        elif isinstance(entry, str):
            self.reasons[path] = entry
        elif entry["flags"] != flags:
            self.reasons[path] = "it is reached in another way than before"
        elif reason := self._why(entry["conditions"], self._changed, entry["inherited"], inherited):
            self.reasons[path] = reason
        else:
            self._directories[path] = entry
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
            self._directories[path] = _COMMAND if conditions is None else entry | {"flipped": (conditions, result)}
            self._compared.add(path)

    def save(self) -> None:
        """Write the file, if anything was evaluated."""
        if self.path is None or all(reason == _COMMAND for reason in self.reasons.values()):
            return
        for path in self._directories.keys() - self._compared:
            if isinstance(entry := self._directories[path], dict):
                self._directories[path] = entry | {"flipped": None}
        known = self._old["files"] | self._context.top.sources.fingerprints
        kept = [entry for entry in self._directories.values() if isinstance(entry, dict)]
        parts = [part for entry in kept for part in (entry["conditions"], (entry["flipped"] or [None])[0]) if part]
        record = {
            "place": self._place,
            "variables": self._variables,
            "flipped": self._flipped,
            "files": {
                name: known[name] if name in known else fingerprint(name)
                for name in sorted({name for _, names, _ in parts for name in names})
            },
            "directories": self._directories,
        }
        payload = _this_program() + marshal.dumps(record)
        try:
            files.write(self.path, _MAGIC + hashlib.blake2b(payload, digest_size=32).digest() + payload)
        except InputError as error:
            self.warnings.append(f"{error}; every directory is evaluated each time")

    def _conditions(self, evaluator: Evaluator, looked: int) -> Conditions | None:
        """What an evaluation depended on; None if that cannot be told."""
        if self.path is None or evaluator.promises.looked != looked or ".VARIABLES" in evaluator.base_reads:
            return None
        if evaluator.sources.virtual.keys() & evaluator.files.keys():
            return None
        return frozenset(evaluator.base_reads), tuple(evaluator.files), evaluator.globs

    def _why(
        self, conditions: Conditions, changed: Mapping[str, str], before: Mapping[str, Form], now: Mapping[str, Variable]
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

    def _read(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            self._nothing = f"{path} does not exist yet"
            return
        except OSError as error:
            self._nothing = f"{path} cannot be read"
            self.warnings.append(f"{path}: cannot be read: {error.strerror}; going on without it")
            return
        head, payload = data[: len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
        # marshal trusts its input, so nothing but what was written here reaches it.
        if head != _MAGIC + hashlib.blake2b(payload, digest_size=32).digest():
            self._nothing = f"{path} is damaged"
            self.warnings.append(f"{path}: damaged, and ignored; it is written anew")
        elif payload[:32] != _this_program():
            self._nothing = "this program is another version"
        else:
            record = marshal.loads(payload[32:])
            if record["place"] != self._place:
                self._nothing = f"{path} is of another tree or build directory"
            else:
                self._old, self._nothing = record, "it is new"


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


@functools.cache
def _this_program() -> bytes:
    digest = hashlib.blake2b(sys.version.encode(), digest_size=32)
    for directory in (Path(__file__).parent, Path(make.__file__).parent):
        for source in sorted(directory.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.digest()
