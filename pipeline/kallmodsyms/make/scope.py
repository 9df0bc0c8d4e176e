"""What the text of a makefile is expanded in: variables, a place in the file, and a record of what is looked at."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import TypeAlias

from kallmodsyms.commands import unkept
from kallmodsyms.errors import InputError
from kallmodsyms.make.functions import ArgumentError
from kallmodsyms.make.promises import MARK, Promises, process_environment
from kallmodsyms.wildcards import glob

VERSION = "4.3"
FEATURES = (
    "target-specific order-only second-expansion else-if shortest-stem undefine oneshell nocomment grouped-target "
    "extra-prereqs archives jobserver output-sync check-symlink load"
)
# Their values depend on what this program does not do: run recipes, choose goals, look at the exit status of a shell.
UNSUPPORTED = frozenset([".DEFAULT_GOAL", ".SHELLSTATUS", ".LOADED"])
_EXPORTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Expansion: TypeAlias = "Callable[[Scope], str]"
Compiled: TypeAlias = "str | Expansion"
"""A text made ready for expansion: itself where nothing in it expands, otherwise what expands it."""


class Origin(IntEnum):
    """Where a variable comes from. A weaker (smaller) origin never replaces a stronger one."""

    DEFAULT = 0
    ENVIRONMENT = 1
    FILE = 2
    COMMAND_LINE = 3
    OVERRIDE = 4
    AUTOMATIC = 5

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


class Variable:
    """A variable's value. Never changed once made, so that evaluators may share it.

    value: the text; that of a recursive variable is not expanded yet
    exported: True or False where a makefile or the environment said so, None where nobody did
    compiled: `value`, compiled when it is first expanded
    """

    __slots__ = ("compiled", "exported", "origin", "recursive", "value")

    def __init__(self, value: str, recursive: bool, origin: Origin, exported: bool | None = None) -> None:
        self.value = value
        self.recursive = recursive
        self.origin = origin
        self.exported = exported
        self.compiled: Compiled | None = None


class Scope(ABC):
    """The variables of one make process, and all else that expanding a text looks at or leaves behind.

    directory: the current directory, absolute
    base: variables that can be read and replaced here but are never changed; shared with others
    local: the variables assigned here; None stands for one that was undefined
    frames: the variables of each `$(foreach)` and `$(call)` that is being expanded, the innermost last
    expanding: the names of the recursive variables that are being expanded
    base_reads: the names looked up in `base`, found or not
    files: absolute paths of the files included, read or looked for, with whether they existed
    globs: each `$(wildcard)` pattern with what it matched; a plain name matches itself if it exists
    messages: (path, line, text) of each `$(info)`
    warnings: the same of each `$(warning)`, and of what make itself complains about without stopping
    path, line: the place that is being read
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        base: Mapping[str, Variable] | None = None,
        promises: Promises | None = None,
        shell_environment: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        """`shell_environment` gives the environment of a `$(shell)` command, from the command's text."""
        self.directory = os.path.abspath(directory)
        self.base: Mapping[str, Variable] = {} if base is None else base
        self.local: dict[str, Variable | None] = {}
        self.frames: list[dict[str, Variable]] = []
        self.expanding: set[str] = set()
        self.promises = promises or Promises(unkept(directory))
        self.shell_environment = shell_environment or (lambda command: process_environment())
        self.export_all = False
        self.base_reads: set[str] = set()
        self.files: dict[str, bool] = {}
        self.globs: dict[str, tuple[str, ...]] = {}
        self.messages: list[tuple[str, int, str]] = []
        self.warnings: list[tuple[str, int, str]] = []
        self.path: str | None = None
        self.line = 0

    @abstractmethod
    def eval(self, text: str) -> None:
        """Read `text` as lines of a makefile that stand at the present place."""

    # Looking variables up

    def find(self, name: str) -> Variable | None:
        """The variable that a reference to `name` means now."""
        if self.frames:
            for frame in reversed(self.frames):
                if name in frame:
                    return frame[name]
        if name in self.local:
            return self.local[name]
        self.base_reads.add(name)
        variable = self.base.get(name)
        if variable is None and name in UNSUPPORTED:
            raise self.error(f"the variable {name} is not supported")
        return variable

    def _assigned(self, name: str) -> Variable | None:
        """The variable that an assignment to `name` replaces. That is no reference, so `base_reads` stays as it is."""
        return self.local[name] if name in self.local else self.base.get(name)

    def variables(self) -> dict[str, Variable]:
        """All variables but those of `frames`."""
        return {name: value for name, value in {**self.base, **self.local}.items() if value is not None}

    def exported(self) -> dict[str, Variable]:
        """The variables that a program started by a recipe would find in its environment."""
        return {
            name: variable
            for name, variable in self.variables().items()
            if name != "SHELL"
            and (self._by_default(name, variable) if variable.exported is None else variable.exported)
        }

    def _by_default(self, name: str, variable: Variable) -> bool:
        """Whether a variable is exported that neither a directive nor the environment mentions."""
        return self.export_all and variable.origin > Origin.ENVIRONMENT and bool(_EXPORTABLE.fullmatch(name))

    # Changing them

    def define(
        self,
        name: str,
        value: str,
        *,
        recursive: bool = False,
        origin: Origin = Origin.FILE,
        exported: bool | None = None,
    ) -> None:
        """Give a variable a value, unless something stronger gave it one."""
        old = self._assigned(name)
        if old is not None:
            if origin < old.origin:
                return
            if exported is None:
                exported = old.exported
        self.local[name] = Variable(value, recursive, origin, exported)

    def undefine(self, name: str, origin: Origin) -> None:
        """Forget a variable, unless something stronger than `origin` defined it."""
        old = self._assigned(name)
        if old is not None and origin >= old.origin:
            self.local[name] = None

    def set_export(self, name: str, exported: bool) -> None:
        """Do what a directive `export` or `unexport` says of a variable, which may be undefined."""
        old = self._assigned(name) or Variable("", False, Origin.FILE)
        self.local[name] = Variable(old.value, old.recursive, old.origin, exported)

    def set_environment(self, environment: Mapping[str, str]) -> None:
        """Take over the environment that make was started with."""
        for name, value in environment.items():
            if name != "SHELL":
                self.define(name, value, recursive=True, origin=Origin.ENVIRONMENT, exported=True)

    def set_command_line(self, variables: Mapping[str, str]) -> None:
        """Take variables given as arguments, NAME=VALUE."""
        for name, value in variables.items():
            self.define(name, value, recursive=True, origin=Origin.COMMAND_LINE, exported=True)

    def set_defaults(self, goals: Iterable[str] = (), flags: str = "rR --no-print-directory") -> None:
        """Define what make defines by itself when started with the options of a kernel build."""
        defaults = {
            "MAKE_COMMAND": "make",
            "MAKE_VERSION": VERSION,
            "MAKE_HOST": f"{os.uname().machine}-pc-linux-gnu",
            "SHELL": "/bin/sh",
            ".SHELLFLAGS": "-c",
            ".FEATURES": FEATURES,
            ".INCLUDE_DIRS": "",
            "SUFFIXES": "",
            "MAKEFILE_LIST": "",
            ".RECIPEPREFIX": "",
        }
        for name, value in defaults.items():
            self.define(name, value, origin=Origin.DEFAULT)
        self.define("MAKE", "$(MAKE_COMMAND)", recursive=True, origin=Origin.DEFAULT, exported=True)
        self.define("CURDIR", self.directory)
        self.define("MAKEFLAGS", flags, recursive=True, exported=True)
        self.define("MAKELEVEL", "0", recursive=True, origin=Origin.ENVIRONMENT, exported=True)
        if goals:
            self.define("MAKECMDGOALS", " ".join(goals), origin=Origin.DEFAULT)

    # What functions and directives use

    def expand(self, compiled: Compiled) -> str:
        """The expansion of a compiled text. It may hold markers (see promises)."""
        return compiled if isinstance(compiled, str) else compiled(self)

    def force(self, text: str) -> str:
        """`text` without markers."""
        if MARK not in text:
            return text
        try:
            return self.promises.force(text)
        except ArgumentError as error:
            raise self.error(str(error)) from None

    def glob(self, pattern: str) -> tuple[str, ...]:
        """The files that match `pattern`, looked for once."""
        found = self.globs.get(pattern)
        if found is None:
            found = self.globs[pattern] = glob(self.directory, pattern)
        return found

    def message(self, text: str) -> None:
        self.messages.append((self.path or "-", self.line, text))

    def warning(self, text: str) -> None:
        self.warnings.append((self.path or "-", self.line, text))

    def error(self, message: str, text: str | None = None) -> InputError:
        """An InputError that names the place being read."""
        return InputError(message, path=self.path, line=self.line or None, text=text)
