"""The first steps of every build: a configured tree in; `.config`, tristate.conf, auto.conf and modules_thick.builtin
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from kallmodsyms import files, kbuild, kconfig
from kallmodsyms.configured import DIRECTORIES, SYMBOLS, TRISTATES, Configured
from kallmodsyms.names import THICK
from kallmodsyms.step import Seen, Step

CONFIG = ".config"
TRISTATE_CONF = "include/config/tristate.conf"
AUTO_CONF = "include/config/auto.conf"
AUTOCONF_H = "include/generated/autoconf.h"


class Lists:
    """These steps, for one configured tree."""

    def __init__(self, configured: Configured, seed: Callable[[Path], None] | None = None) -> None:
        """`seed` makes the first `.config`, where it is not the one that the configuration is read from."""
        self.configured, self.seed = configured, seed or (lambda made: None)

    def config(self) -> Step:
        """`.config`, as `conf --olddefconfig` leaves it: whole, and true, whatever was edited in it."""
        return Step("config", (), self._config, writes=(CONFIG,), modules=("kallmodsyms.kconfig.dotconfig",), kept=True)

    def _config(self) -> Iterator[Seen]:
        configured, made = self.configured, self.configured.objdir / CONFIG
        if not made.exists():
            self.seed(made)
        found = configured.configuration
        text = kconfig.dot_config(
            configured.tree, configured.config, configured.arch, configured.environment,
            objdir=configured.objdir, ledger=configured.ledger,
        )  # fmt: skip
        files.write(made, text)
        yield from (("symbol", name) for name in found.values)
        yield "kconfig", ""

    def tristate_conf(self) -> Step:
        def write() -> Iterator[Seen]:
            found = self.configured.configuration
            files.write(self.configured.objdir / TRISTATE_CONF, kconfig.tristate_conf(found))
            yield from (("symbol", name) for name, kind in found.types.items() if kind == "tristate")
            yield "configuration", TRISTATES

        return self._of_symbols("tristate_conf", (TRISTATE_CONF,), write)

    def auto_conf(self) -> Step:
        def write() -> Iterator[Seen]:
            found = self.configured.configuration
            files.write(self.configured.objdir / AUTO_CONF, kconfig.auto_conf(found))
            files.write(self.configured.objdir / AUTOCONF_H, kconfig.autoconf_h(found))
            yield from (("symbol", name) for name in found.values)
            yield "configuration", SYMBOLS

        return self._of_symbols("auto_conf", (AUTO_CONF, AUTOCONF_H), write)

    @staticmethod
    def _of_symbols(name: str, writes: tuple[str, ...], run: Callable[[], Iterator[Seen]]) -> Step:
        return Step(name, (), run, writes=writes, modules=("kallmodsyms.kconfig.output",), after=("config",))

    def modules_thick(self) -> Step:
        def write() -> Iterator[Seen]:
            files.write(self.configured.objdir / THICK, kbuild.format_thick(self.configured.modules))
            yield from (("modules", path) for path in self.configured.kernel.listed)
            yield "configuration", DIRECTORIES

        modules = ("kallmodsyms.kbuild.modules",)
        return Step("modules_thick", (), write, writes=(THICK,), modules=modules, after=("tristate_conf",))
