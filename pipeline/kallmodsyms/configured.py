"""A kernel tree and a build directory in; what its .config means, and what the tree builds under it, out.

What is worth keeping between runs is in the ledger, OBJ/.kallmodsyms/ledger, which may be deleted at any time.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path

from kallmodsyms import kbuild, kconfig, names, shipped
from kallmodsyms.commands import Answers
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Value, World
from kallmodsyms.ledger import Ledger
from kallmodsyms.names import FOLDER

SYMBOLS, TRISTATES, DIRECTORIES = "symbols", "tristate symbols", "directories"
"""Names of the fact `configuration`: which symbols are set, and of what types; which are tristate; which directories
may list modules.
"""

COMPILER_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SOURCE_DATE_EPOCH")
"""What gcc and clang look at in the environment, besides PATH (GCC 12, "Environment Variables Affecting GCC")."""


def host_arch() -> str:
    """ARCH of this machine, as a kernel's top Makefile finds it (scripts/subarch.include)."""
    machine = os.uname().machine
    rules = (
        (r"i.86|x86_64", "x86"),
        (r"sun4u", "sparc64"),
        (r"arm.*|sa110", "arm"),
        (r"s390x", "s390"),
        (r"ppc.*", "powerpc"),
        (r"mips.*", "mips"),
        (r"sh[234].*", "sh"),
        (r"aarch64.*", "arm64"),
        (r"riscv.*", "riscv"),
        (r"loongarch.*", "loongarch"),
    )
    return next((arch for pattern, arch in rules if re.fullmatch(pattern, machine)), machine)


class Configured:
    """A kernel tree, configured in a build directory. What it is asked for is found out once.

    tree, objdir: as they were named
    arch: ARCH; where nobody says it, $ARCH or this machine's
    variables: of make's command line
    config: the configuration; a path that is not OBJ/.config is of one that is yet to be
    ledger: what is known from earlier runs
    """

    def __init__(
        self,
        tree: str | os.PathLike[str],
        objdir: str | os.PathLike[str],
        arch: str | None = None,
        variables: Mapping[str, str] | None = None,
        config: Path | None = None,
        keep: bool = True,
    ) -> None:
        """`keep` is whether the ledger may be written. Raises InputError where one of the places is no directory,
        or a makefile could not name the tree.
        """
        self.tree, self.objdir = Path(tree), Path(objdir)
        for place, what in ((self.tree, "source tree"), (self.objdir, "build directory")):
            if not place.is_dir():
                raise InputError(f"is no directory; it should be the {what}", path=place)
        odd = names.beyond_makefiles(os.path.realpath(self.tree))
        if odd is not None:
            ours = self.tree == shipped.ROOT / "toy_kernel"
            raise InputError(
                f"the path of the source tree has {odd!r} in it, which makefiles take for something else",
                path=self.tree,
                cure="`kallmodsyms demo DIR` puts it elsewhere" if ours else "move the tree to a place without",
            )
        self.arch = arch or os.environ.get("ARCH") or host_arch()
        self.variables = dict(variables or {})
        self.config = config or self.objdir / ".config"
        self.ledger = Ledger(self.objdir / FOLDER / "ledger", tree, objdir, writable=keep)

    @functools.cached_property
    def place(self) -> kbuild.Place:
        return kbuild.place(self.tree, self.objdir, self.arch, self.variables, self.ledger)

    @functools.cached_property
    def environment(self) -> kbuild.Environment:
        """What the top Makefile exports."""
        return kbuild.environment(self.place)

    @functools.cached_property
    def configuration(self) -> kconfig.Configuration:
        """What the configuration means. Raises InputError."""
        return kconfig.load(self.tree, self.config, self.arch, self.environment, objdir=self.objdir, ledger=self.ledger)

    @functools.cached_property
    def kernel(self) -> kbuild.KernelTree:
        """What the tree builds. Raises InputError."""
        return kbuild.load(self.place, self.configuration, self.environment)

    @functools.cached_property
    def modules(self) -> list[kbuild.Module]:
        """The modules that are built in. Raises InputError."""
        return kbuild.builtin_modules(self.kernel)

    @functools.cached_property
    def world(self) -> World:
        """What the steps of a build see here: `symbol`, `kconfig`, `configuration` and `modules` besides what everybody
        sees.
        """
        return self.ledger.world.under(
            kconfig=lambda name: self.configuration and kconfig.known_model(self.ledger),
            symbol=lambda name: self.configuration.values.get(name),
            configuration=self._names,
            modules=self._listed,
        )

    def _names(self, what: str) -> Value:
        if what == DIRECTORIES:
            return tuple(self.kernel.listed) if self.modules is not None else None
        found = self.configuration
        wanted = [name for name, kind in found.types.items() if what == SYMBOLS or kind == "tristate"]
        return (found.title, str(found.quoted), *(f"CONFIG_{name} ({found.types[name]})" for name in wanted))

    def _listed(self, path: str) -> Value:
        return self.kernel.listed.get(path) if self.modules is not None else None

    def programs_behind(self, program: str, compiles: bool) -> tuple[tuple[str, str], ...]:
        """Kinds and names of what runs when `program` does: itself and, where it compiles, the compiler and assembler
        it starts.
        """
        found = [("program", program)]
        for part in ("cc1", "as") if compiles else ():
            name = self._answers.ask(f"{program} -print-prog-name={part}", os.environ).output.strip()
            if name:
                found.append(("file" if "/" in name else "program", name))
        return tuple(found)

    @functools.cached_property
    def _answers(self) -> Answers:
        return Answers(self.ledger, "programs", self.objdir)

    def save(self) -> None:
        """Put what was found out into the ledger, as far as that has not happened yet."""
        if "_answers" in self.__dict__:
            self._answers.save()
        self.ledger.save()

    @property
    def warnings(self) -> list[str]:
        """About the ledger; about the configuration and the makefiles, if they were read."""
        read = (self.__dict__.get(name) for name in ("configuration", "kernel"))
        return [*self.ledger.warnings, *(warning for found in read if found is not None for warning in found.warnings)]

    @property
    def messages(self) -> list[str]:
        """What the makefiles had to say, as far as they were read."""
        kernel = self.__dict__.get("kernel")
        return [] if kernel is None else kernel.messages
