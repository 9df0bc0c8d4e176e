"""The top Makefile of a tree in, what it exports to every directory out.

The tree's own Makefile, and with it arch/$(SRCARCH)/Makefile, is evaluated as `make -rR --no-print-directory -C
OBJDIR -f TREE/Makefile GOAL ARCH=… NAME=VALUE…` would read it. What it exports is what kconfig finds in its
environment, and what the make of each directory starts with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kallmodsyms.commands import Answers
from kallmodsyms.errors import InputError
from kallmodsyms.facts import digest
from kallmodsyms.kconfig.configuration import Configuration
from kallmodsyms.kconfig.output import auto_conf
from kallmodsyms.ledger import Ledger
from kallmodsyms.make import (
    Evaluator,
    Origin,
    Program,
    Promises,
    Sources,
    Variable,
    include_directories,
    process_environment,
)  # fmt: skip

# Left by a make that started this process, they would steer the evaluation away from the build directory it was asked
# about; handed on, they would steer a make that whoever uses the exports starts.
_FOREIGN = ("MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MAKEFILES", "MAKECMDGOALS",
            "KBUILD_OUTPUT", "sub_make_done")  # fmt: skip

_FLAGS = "rR --no-print-directory"


class Place(NamedTuple):
    """Which tree, and under which circumstances.

    tree, objdir: absolute
    overrides: variables of make's command line, ARCH among them
    ledger: what is known of this tree and build directory from earlier runs
    """

    tree: str
    objdir: str
    overrides: Mapping[str, str]
    ledger: Ledger


def place(
    tree: str | os.PathLike[str],
    objdir: str | os.PathLike[str],
    arch: str | None = None,
    overrides: Mapping[str, str] | None = None,
    ledger: Ledger | None = None,
) -> Place:
    """The place that these words name; without a ledger nothing is known, and nothing kept. Raises InputError where
    there is none.
    """
    if not os.path.isfile(os.path.join(tree, "Makefile")):
        raise InputError("this is no kernel tree: it has no Makefile", path=tree)
    if not os.path.isdir(objdir):
        raise InputError("the build directory does not exist", path=objdir)
    variables = {**({"ARCH": arch} if arch else {}), **(overrides or {})}
    return Place(os.path.realpath(tree), os.path.realpath(objdir), variables, ledger or Ledger(None, tree, objdir))


class Top:
    """The evaluated top Makefile of a tree.

    evaluator: holds its variables
    exports: name to the value that a program started by it would find; values may hold markers
    """

    sources: Sources
    promises: Promises

    def __init__(self, where: Place, configuration: Configuration | None, goal: str, like: Top | None = None) -> None:
        """Without a configuration, CONFIG_ variables are unset. `like` has read makefiles of the tree. Raises
        InputError.
        """
        self.place = where
        self.tree, self.objdir = where.tree, where.objdir
        automatic = Path(self.objdir, "include/config/auto.conf")
        text = "" if configuration is None else auto_conf(configuration)
        self._text = text
        self.auto_conf = None if configuration is None else Program.of_assignments(text, automatic)
        virtual = {str(automatic): self.auto_conf, f"{automatic}.cmd": Program("", f"{automatic}.cmd")}
        self.sources = Sources(virtual, None if like is None else like.sources, where.ledger.files)
        self.promises = Promises(Answers(where.ledger, "make", self.objdir) if like is None else like.promises.answers)
        self.process = {name: value for name, value in process_environment().items() if name not in _FOREIGN}
        self.evaluator = self._evaluated(goal, self.process)
        if self.evaluator.get("need-sub-make"):
            # Before Linux 5.14 a make whose build directory is not the tree starts itself once more.
            found = {name: self.evaluator.force(value) for name, value in self._exported().items()}
            handed = {name: value for name, value in found.items() if name not in ("MAKE", "MAKEFLAGS", "MAKELEVEL")}
            self.evaluator = self._evaluated(goal, handed, self._flags())
        self.exports = {name: value for name, value in self._exported().items() if name not in _FOREIGN}

    def _evaluated(self, goal: str, environment: Mapping[str, str], flags: str = _FLAGS) -> Evaluator:
        evaluator = Evaluator(
            self.objdir, sources=self.sources, promises=self.promises, shell_environment=lambda command: self.process
        )
        evaluator.set_defaults([goal], flags)
        evaluator.set_environment(environment)
        evaluator.set_command_line(self.place.overrides)
        evaluator.read(os.path.join(self.tree, "Makefile"))
        return evaluator

    def _exported(self) -> dict[str, str]:
        evaluator = self.evaluator
        return {name: evaluator.exported_text(name, variable) for name, variable in evaluator.exported().items()}

    def _flags(self) -> str:
        """The options of make that a make below gets."""
        directories = include_directories(self.evaluator.get("MAKEFLAGS"))
        return " ".join(["rR", *(f"-I{name}" for name in directories), "--no-print-directory"])

    @property
    def configuration(self) -> bytes:
        """What stands for all values of the configuration."""
        return digest(self._text.encode("utf-8", "surrogateescape"))

    def directory_variables(self) -> dict[str, Variable]:
        """What the make of a directory defines before it reads anything."""
        evaluator = Evaluator(self.objdir, sources=self.sources, promises=self.promises)
        evaluator.set_defaults(flags=self._flags())
        for name, value in self.exports.items():
            if name != "MAKE":
                evaluator.define(name, value, recursive=True, origin=Origin.ENVIRONMENT, exported=True)
        evaluator.define("MAKELEVEL", "1", recursive=True, origin=Origin.ENVIRONMENT, exported=True)
        evaluator.set_command_line(self.place.overrides)
        return {name: variable for name, variable in evaluator.local.items() if variable is not None}


class Environment(Mapping[str, str]):
    """Exported variables. A value that needs a program to be run is computed when it is asked for."""

    def __init__(self, top: Top) -> None:
        self.top = top

    def __getitem__(self, name: str) -> str:
        return self.top.evaluator.force(self.top.exports[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.top.exports)

    def __len__(self) -> int:
        return len(self.top.exports)


def environment(where: Place) -> Environment:
    """The environment that the tree's kconfig would run in: what the top Makefile exports, and the process environment.

    Needs no .config. Values are computed on access; `dict(…)` computes all, which runs the compiler a few times.
    Raises InputError.
    """
    return Environment(Top(where, None, "syncconfig"))
