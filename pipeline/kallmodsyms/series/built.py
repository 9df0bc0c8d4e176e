"""A kernel that is built: its place and configuration enter; what the replay of the series reads there leaves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import files, kbuild, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.kallsyms.tables import Tables
from kallmodsyms.link import tables
from kallmodsyms.link.passes import MAXIMUM_LINKS
from kallmodsyms.link.recipe import NAMES
from kallmodsyms.linkmap import ranges
from kallmodsyms.linkmap.ranges import Ranges
from kallmodsyms.names import THICK
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.series import encoding, verdict
from kallmodsyms.series import ranges as map_of_the_series
from kallmodsyms.series.encoding import Encoded
from kallmodsyms.series.verdict import Verdict
from kallmodsyms.symbols import SymbolTable

FOLDERS = (
    "1-tristate",
    "2-modules_thick",
    "3-ranges",
    "4-modules",
    "5-optimize",
    "6-proc",
    "7-sizes",
)
"""A patch each, in the letter's order."""
PAGE = "PAGE.md"
SERIES_THICK = f"{FOLDERS[1]}/modules_thick.series"


@dataclass(frozen=True)
class Built:
    """One kernel.

    objdir: where it was built, by our link
    config: the values of its configuration
    dialect: of the tree
    output: the directory that gets a folder for each patch
    """

    objdir: Path
    config: Mapping[str, str]
    dialect: KallsymsDialect
    output: Path

    @property
    def image(self) -> Path:
        return self.objdir / "vmlinux"

    @property
    def map(self) -> Path:
        """The linker's map of the image. Raises InputError if it is gone."""
        return self._last(NAMES.map)

    @property
    def ranges_file(self) -> Path:
        """The ranges of the image. Raises InputError if they are gone."""
        return self._last(NAMES.ranges)

    def _last(self, name: Callable[[int], str]) -> Path:
        """A file of the last pass, which is the second or a later one."""
        found = [self.objdir / name(number) for number in range(MAXIMUM_LINKS, 1, -1)]
        path = next((path for path in found if path.exists()), None)
        if path is None:
            raise InputError(
                "does not exist, which the link of vmlinux leaves",
                path=found[-1],
                cure=f"remove {self.image}, and build it again",
            )
        return path

    @functools.cached_property
    def table(self) -> SymbolTable:
        return symbols.read(self.image)

    @functools.cached_property
    def ranges(self) -> Ranges:
        return ranges.parse(self.ranges_file)

    @functools.cached_property
    def modules(self) -> list[kbuild.Module]:
        return kbuild.parse_thick(files.read_text(self.objdir / THICK), THICK)

    @functools.cached_property
    def text_ranges(self) -> list[tuple[int, int]]:
        return encoding.text_ranges(self.table, self.dialect)

    @functools.cached_property
    def ours(self) -> Kallsyms:
        """What the image's own tables say. Raises InputError if it has none of modules."""
        found = reader.read(self.image)
        if not found.has_modules:
            raise InputError("was linked without module tables", path=self.image, cure="link it with modules=true")
        return found

    def tables(self, sizes: str, modules: bool = False, previous: Tables | None = None) -> Tables:
        """The kernel's own tables, with sizes and our tables of modules. `previous`: others of these, to save time."""
        options = tables.options(self.config, self.dialect, sizes, False)
        contents = tables.Contents(options, self.dialect, self.objdir / THICK if modules else None)
        return tables.of_image(self.image, self.ranges, contents, previous)

    def encoded(self, optimize: bool = True) -> Encoded:
        """The series' tables, of the thick list and ranges of this project."""
        return encoding.encode(self.ranges.pieces, self.modules, self.text_ranges, optimize)

    @functools.cached_property
    def series_modules(self) -> list[kbuild.Module]:
        """The series' own list, as the replay of patch 2 left it in `output`."""
        return kbuild.parse_thick(files.read_text(self.output / SERIES_THICK), SERIES_THICK)

    def as_it_was(self) -> Encoded:
        """The series' tables, of its own list and ranges."""
        pieces = map_of_the_series.of_map(files.read_text(self.map))
        return encoding.encode(pieces, self.series_modules, self.text_ranges)

    def verdict(self, encoded: Encoded, as_it_was: bool = False) -> Verdict:
        """What is wrong in such tables."""
        theirs = verdict.shown(self.ours, encoded)
        known = self.series_modules if as_it_was else self.modules
        return verdict.judge(self.ours, theirs, self.ranges.pieces, self.modules, known, self.text_ranges)
