"""The patch series of 2021, a step a patch: a configured tree and how it is linked in, steps out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kallmodsyms import files, names, release
from kallmodsyms.configured import TRISTATES, Configured
from kallmodsyms.link import exports
from kallmodsyms.link.recipe import Recipe
from kallmodsyms.names import THICK
from kallmodsyms.plan.lists import AUTO_CONF, TRISTATE_CONF
from kallmodsyms.step import Seen, Step

if TYPE_CHECKING:
    from kallmodsyms.series.built import Built

_FOLDERS = {
    "1-tristate": ("tristate.conf", "compared"),
    "2-modules_thick": ("modules_thick.builtin", "modules_thick.series", "missing", "invented", "otherwise", "TIME.md"),
    "3-ranges": ("vmlinux.map", "ranges", "ranges.series"),
    "4-modules": ("kallsyms.S",),
    "5-optimize": ("kallsyms.S",),
    "6-proc": ("root", "nobody", "root.series", "nobody.series"),
    "7-sizes": ("kallsyms.S", "root", "nobody", "sizes.dense", "sizes.sparse", "sizes.compact"),
}
"""The files of each patch, in the letter's order; besides its page."""
_THICK = f"{names.SERIES}/2-modules_thick/modules_thick.series"


class Series:
    """These steps. `recipe` gives, when vmlinux is there, how it is linked; None where only its make knows."""

    def __init__(self, configured: Configured, recipe: Callable[[], Recipe | None]) -> None:
        self.configured, self.recipe = configured, recipe
        self.output = configured.objdir / names.SERIES

    def steps(self) -> list[Step]:
        """A step a patch, and the summary."""
        first, second, *others = _FOLDERS
        listing, tables = "kallmodsyms.series.listing_pages", "kallmodsyms.series.table_pages"
        return [
            self._step(first, self._tristate, (TRISTATE_CONF,), listing),
            self._step(second, self._thick, (TRISTATE_CONF, AUTO_CONF, THICK), listing),
            self._step(others[0], self._ranges, ("vmlinux", THICK), listing),
            self._step(others[1], self._modules, ("vmlinux", THICK), tables),
            self._step(others[2], self._optimize, ("vmlinux", THICK), tables),
            self._step(others[3], self._proc, ("vmlinux", THICK, _THICK), tables),
            self._step(others[4], self._sizes, ("vmlinux", THICK), tables),
            self._step("summary", self._summary, ("vmlinux", THICK, _THICK), "kallmodsyms.series.summary"),
        ]

    def _step(self, name: str, run: Callable[[], Iterator[Seen]], reads: tuple[str, ...], module: str) -> Step:
        folder = f"{names.SERIES}/{name}" if name in _FOLDERS else names.SERIES
        writes = (f"{folder}/PAGE.md", *(f"{folder}/{file}" for file in _FOLDERS.get(name, ())))
        return Step(f"series:{name}", (), run, reads=reads, writes=writes, modules=(module,))

    def _built(self) -> Built:
        from kallmodsyms.series.built import Built

        found = self.configured
        dialect = release.kallsyms_dialect(found.tree)
        return Built(found.objdir, found.configuration.values, dialect, self.output)

    @staticmethod
    def _text(name: str) -> Seen:
        """The text of a page, which is no module."""
        from kallmodsyms.series import page

        return "file", str(page.TEXTS / f"{name}.md")

    def _tristate(self) -> Iterator[Seen]:
        from kallmodsyms.series import listing_pages

        found = self.configured
        makefiles = [
            path
            for directory in found.kernel.directories.values()
            for path, there in directory.files.items()
            if there and Path(path).name in ("Kbuild", "Makefile")
        ]
        text = files.read_text(found.objdir / TRISTATE_CONF)
        listing_pages.tristate(self.output, text, found.configuration, found.tree, sorted(makefiles))
        yield "configuration", TRISTATES
        yield from (("file", path) for path in makefiles)
        yield self._text("1-tristate")

    def _thick(self) -> Iterator[Seen]:
        from kallmodsyms.series import listing_pages

        listing_pages.thick(self.output, self.configured)
        yield from (("modules", path) for path in self.configured.kernel.listed)
        yield from map(self._text, ("2-modules_thick", "TIME"))

    def _ranges(self) -> Iterator[Seen]:
        from kallmodsyms.series import listing_pages

        built = self._built()
        listing_pages.ranges(built)
        yield from self._link_files(built, "3-ranges")

    def _modules(self) -> Iterator[Seen]:
        from kallmodsyms.series import table_pages

        built = self._built()
        table_pages.modules(built)
        yield from self._link_files(built, "4-modules")

    def _optimize(self) -> Iterator[Seen]:
        from kallmodsyms.series import table_pages

        built = self._built()
        table_pages.optimize(built)
        yield from self._link_files(built, "5-optimize")

    def _proc(self) -> Iterator[Seen]:
        from kallmodsyms.series import table_pages

        built = self._built()
        table_pages.proc(built)
        yield from self._link_files(built, "6-proc")

    def _sizes(self) -> Iterator[Seen]:
        from kallmodsyms.series import table_pages

        built = self._built()
        table_pages.sizes_of_symbols(built)
        yield from self._link_files(built, "7-sizes")

    def _summary(self) -> Iterator[Seen]:
        from kallmodsyms.series import summary
        from kallmodsyms.series.growth import Linking

        built, recipe = self._built(), self.recipe()
        objcopy = exports.words(self.configured.environment, "OBJCOPY")
        summary.write(built, Linking(recipe, built.objdir, objcopy) if recipe else None)
        yield from self._link_files(built, "summary")
        yield from map(self._text, _FOLDERS)

    def _link_files(self, built: Built, text: str) -> Iterator[Seen]:
        """What was read that the link left besides vmlinux."""
        for path in (built.map, built.ranges_file):
            yield "file", path.name
        yield from (("symbol", name) for name in ("KALLSYMS_ALL", "KALLSYMS_ABSOLUTE_PERCPU", "KALLSYMS_BASE_RELATIVE"))
        yield self._text(text)
