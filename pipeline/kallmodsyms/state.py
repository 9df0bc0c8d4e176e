"""Whether a task must run again, and why: one function decides, and its answer is the reason.

A task graph compares the files that a task is declared to read. That misses what is found out only while running (headers,
Kconfig files, makefiles), what is no file (the command itself, the configuration symbols that a source mentions) and a target that
somebody damaged. `State` records all of these after a run and compares them before the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kallmodsyms.files import Fingerprint, differs, fingerprint


@dataclass
class State:
    """What one task depends on beyond its declared inputs. Its call is what a task graph asks; `why` is the decision.

    command: the words that define what the task does; any change of them is a reason
    targets: files that the task writes
    found: called after a run, gives the files that the run read (or looked for) besides the declared ones
    symbols: called after a run, gives the configuration symbols that decided its outcome
    config: the values of configuration symbols today, absent ones are n
    base: the directory that relative paths start from
    """

    command: Sequence[str]
    targets: Sequence[str]
    found: Callable[[], Iterable[str]] = tuple
    symbols: Callable[[], Iterable[str]] = tuple
    config: Mapping[str, str] = field(default_factory=dict)
    base: str = "."
    reason: str = "never asked"

    def record(self) -> dict:
        """What to remember after a successful run."""
        return {
            "command": list(self.command),
            "targets": {path: self._fingerprint(path) for path in self.targets},
            "found": {path: self._fingerprint(path) for path in sorted(set(self.found()))},
            "symbols": {name: self.config.get(name) for name in sorted(set(self.symbols()))},
        }

    def why(self, recorded: Mapping) -> str | None:
        """Why the task must run, or None if it need not. `recorded` is what `record` gave after the last run."""
        if not recorded.get("command"):
            return "it has not run here yet"
        if recorded["command"] != list(self.command):
            return f"its command changed: {_first_difference(recorded['command'], list(self.command))}"
        for path, previous in recorded["targets"].items():
            if differs(self._path(path), previous):
                return f"its target {path} is not what it wrote"
        for path, previous in recorded["found"].items():
            if differs(self._path(path), previous):
                return f"{path} {'changed' if previous else 'appeared'}"
        for name, value in recorded["symbols"].items():
            if self.config.get(name) != value:
                return f"CONFIG_{name} was {value or 'n'} and is {self.config.get(name) or 'n'}"
        return None

    def __call__(self, task, values) -> bool:
        self.reason = self.why(values) or "up to date"
        return self.reason == "up to date"

    def __repr__(self) -> str:
        return self.reason

    def _path(self, path: str) -> str:
        return os.path.join(self.base, path)

    def _fingerprint(self, path: str) -> Fingerprint | None:
        return fingerprint(self._path(path))


def headers(dependency_file: str | os.PathLike[str]) -> list[str]:
    """The prerequisites in a dependency file as `gcc -MD` writes it, the source itself first; empty if there is none."""
    try:
        text = Path(dependency_file).read_text(errors="surrogateescape")
    except OSError:
        return []
    words = re.findall(r"(?:[^\s\\]|\\.)+", text.replace("\\\n", " ").partition(": ")[2])
    return [word.replace("\\ ", " ").replace("$$", "$") for word in words]


_MENTION = re.compile(rb"\bCONFIG_([A-Za-z0-9_]+)")


def mentioned_symbols(paths: Iterable[str], base: str = ".") -> set[str]:
    """The configuration symbols that some source files mention, as scripts/basic/fixdep.c of Linux finds them.

    A name that ends in `_MODULE` stands for the symbol before it, which autoconf.h defines in that form when it is m.
    """
    names: set[str] = set()
    for path in paths:
        try:
            data = Path(base, path).read_bytes()
        except OSError:
            continue
        names.update(name.decode().removesuffix("_MODULE") for name in _MENTION.findall(data))
    return names


def _first_difference(old: list[str], new: list[str]) -> str:
    for before, after in zip(old, new):
        if before != after:
            return f"'{before}' became '{after}'"
    return f"it had {len(old)} words and has {len(new)}"
