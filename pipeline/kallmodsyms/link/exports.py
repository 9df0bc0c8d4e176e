"""The variables that make exports to the recipe of vmlinux, and auto.conf, in; a build to ask and to tell out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import autoconf
from kallmodsyms.programs import run

_NEEDED = ("srctree", "LD", "CC", "KBUILD_LDS", "SRCARCH", "MAKE")


def words(environment: Mapping[str, str], *names: str) -> list[str]:
    """The words of some exported variables, one variable after the other."""
    return [word for name in names for word in shlex.split(environment.get(name, ""))]


def packed(environment: Mapping[str, str]) -> bytes:
    """Variables as bytes, NUL behind each."""
    return "".join(f"{name}={value}\0" for name, value in sorted(environment.items())).encode(
        "utf-8", "surrogateescape"
    )


def unpacked(data: bytes) -> dict[str, str]:
    """What `packed` packed."""
    pairs = (row.partition("=") for row in data.decode("utf-8", "surrogateescape").split("\0") if row)
    return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class Exports:
    """The build in the current directory, as make describes it to the program that it calls for the final link.

    environment: the variables
    config: the values of auto.conf
    """

    environment: Mapping[str, str]
    config: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Exports:
        """The build that `environment` and auto.conf describe. Raises InputError."""
        for name in _NEEDED:
            _known(environment, name)
        return cls(environment, autoconf.read("."))

    @property
    def tree(self) -> Path:
        """The source tree."""
        return Path(self.environment["srctree"])

    @property
    def objtree(self) -> Path:
        """The build directory, as make calls it."""
        return Path(self.environment.get("objtree", "."))

    @property
    def silent(self) -> bool:
        """Whether make runs with -s, which Kbuild turns into quiet=silent_."""
        return self.environment.get("quiet") == "silent_"

    def words(self, *names: str) -> list[str]:
        """The words of some variables."""
        return words(self.environment, *names)

    def tool(self, name: str) -> list[str]:
        """The words that a program is called by. Raises InputError if make did not say them."""
        return shlex.split(_known(self.environment, name))

    def say(self, verb: str, what: str) -> None:
        """Tell the user of a step, as Kbuild does; nothing under make -s."""
        if not self.silent:
            print(f"  {verb:<7} {what}", flush=True)

    def make(self, makefile: str, *goals: str) -> None:
        """Run a makefile of the tree."""
        run([*self.tool("MAKE"), "-f", str(self.tree / makefile), *goals])


def _known(environment: Mapping[str, str], name: str) -> str:
    """The value of a variable that make always exports."""
    value = environment.get(name)
    if not value:
        raise InputError(
            f"{name} is not set: this command is for make to run, as its cmd_link_vmlinux",
            cure="run: make vmlinux cmd_link_vmlinux='kallmodsyms link'",
        )
    return value
