"""The links of one image: a recipe and what its tables are to hold enter, images leave, the last with tables that fit.

Each step of pass n reads files of the build directory and writes others: `assemble` room for the tables of pass n -
1, `link` image n with it, find its `ranges`, make its `tables`. `settle` takes the steps in turn. An image is linked
with room alone, so that it does not depend on what an earlier build had in its tables: the build id is over all that
is there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import elf, errors, files, linkmap
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly
from kallmodsyms.kallsyms.tables import Tables
from kallmodsyms.link import coverage, tables
from kallmodsyms.link.fill import fill
from kallmodsyms.link.recipe import NAMES, Recipe
from kallmodsyms.link.relocatable import NOTHING, Relocatable
from kallmodsyms.link.tables import Contents
from kallmodsyms.linkmap import LinkMap
from kallmodsyms.linkmap import ranges as ranges_file
from kallmodsyms.linkmap.ranges import Ranges
from kallmodsyms.programs import run

MAXIMUM_LINKS = 6
"""Two are enough unless the tables' size made the linker add stubs; symbols that still move after six never rest."""


def _silent(verb: str, what: str) -> None:
    pass


@dataclass(frozen=True)
class Passes:
    """The passes of one image. All files are in `directory`, the build directory, where the linker runs."""

    recipe: Recipe
    directory: str | os.PathLike[str]
    contents: Contents
    relocatable: Relocatable = NOTHING

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def empty_tables(self, bits: int, byteorder: str) -> None:
        """The source of pass 0: every label and no symbol."""
        files.write(self.path(NAMES.source(0)), assembly.room(tables.empty(self.contents, bits, byteorder)))

    def begin(self, sample: str) -> bool:
        """The source of pass 0, and its object: room as the last build left it, if that linked the same names; whether
        it did.

        If not, there is room for nothing: the first image only tells what the tables will be, and is linked as a draft
        in a third of the time. `sample`: an object of the image, for word size and byte order
        """
        kept = self.path(NAMES.kept)
        mark, _, room = files.read_text(kept).partition("\n") if os.path.exists(kept) else ("", "", "")
        if known := mark == self._mark():
            files.write(self.path(NAMES.source(0)), room)
        else:
            found = elf.Elf(self.path(sample))
            self.empty_tables(found.bits, found.byteorder)
        self.assemble(0)
        return known

    def keep(self, number: int) -> None:
        """Let the next build begin with the source of a pass."""
        files.write(self.path(NAMES.kept), f"{self._mark()}\n{files.read_text(self.path(NAMES.source(number)))}")

    def _mark(self) -> str:
        """A comment that stands for the names in vmlinux.o, which a tree's make makes of all that is linked."""
        path = self.path("vmlinux.o")
        names = elf.Elf(path).symbols().strings if os.path.exists(path) else b""
        return f"/* {hashlib.sha256(names).hexdigest()} */"

    def last(self, number: int) -> str:
        """The image that is to be vmlinux: that of pass `number`, of pass 1 a copy, which counts as pass 2, since the
        steps of a graph go by what pass 1 left. Nothing stays of later passes of earlier builds.
        """
        final = max(number, 2)
        for name in (NAMES.image, NAMES.map, NAMES.ranges):
            if number < final and os.path.exists(self.path(name(number))):
                shutil.copy(self.path(name(number)), self.path(name(final)))
            for later in range(final + 1, MAXIMUM_LINKS + 1):
                Path(self.path(name(later))).unlink(missing_ok=True)
        return NAMES.image(final)

    def assemble(self, number: int) -> None:
        """The object with room for the tables of a pass, from its source."""
        run(self.recipe.assemble_command(NAMES.source(number), NAMES.tables(number)), self.directory)

    def link(self, number: int, draft: bool = False, debug: bool = False, extra: Sequence[str] = ()) -> None:
        """Image and map of a pass, from the tables of the pass before and the objects `extra`.

        draft, debug: as in `Recipe.link_command`
        """
        map_file = Path(self.path(NAMES.map(number)))
        map_file.unlink(missing_ok=True)  # So that a linker that writes none does not leave us that of the last build.
        objects = [NAMES.tables(number - 1), *extra]
        command = self.recipe.link_command(NAMES.image(number), NAMES.map(number), objects, draft, debug)
        run(command, self.directory)
        if not map_file.exists():
            raise InputError(
                "the linker wrote no map",
                path=map_file,
                cure="LD must be a linker with the option -Map: GNU ld or LLD",
            )
        linkmap.confirm_whole(self.path(NAMES.map(number)))  # or half of one counts as linked, once there is room

    def ranges(self, number: int, fresh: bool = False) -> LinkMap:
        """The ranges of a pass, from its map and image; what the map says. `fresh` as in `tables.ranges`."""
        found = tables.ranges(
            self.path(NAMES.map(number)), self.relocatable, self.path(NAMES.image(number)), self.directory, fresh
        )
        files.write(self.path(NAMES.ranges(number)), ranges_file.text(found))
        return found

    def tables(self, number: int, found: LinkMap | Ranges | None = None, previous: Tables | None = None) -> Tables:
        """The tables of a pass, from its image and ranges and from the thick list; and the source with room for them.

        found, previous: the ranges, and the tables of an earlier pass, if at hand: they save time and change nothing
        """
        if found is None:
            found = self._found(number)
        made = tables.of_image(self.path(NAMES.image(number)), found, self.contents, previous)
        files.write(self.path(NAMES.source(number)), assembly.room(made))
        return made

    def fill_in(self, image: str, found: LinkMap, made: Tables | None, say: Callable[[str, str], None]) -> None:
        """Fill the tables of pass 1, if at hand those `made`, into a copy of its image, which has room for them.

        found: what its map says. Raises InputError as `settle`
        """
        if made is None:
            made = tables.of_image(self.path(NAMES.image(1)), self._found(1), self.contents)
        self._fill(image, found, made, say)

    def _fill(self, image: str, found: LinkMap | None, made: Tables, say: Callable[[str, str], None]) -> None:
        decoded = fill(self.path(image), made)
        if found is not None:
            modules, linked, limit = self.contents.modules(), self.contents.linked, self.contents.limit
            say("TEXT", str(coverage.check(found, self.path(image), decoded, modules, linked, limit, self.directory)))

    def _found(self, number: int) -> Ranges:
        return ranges_file.parse(self.path(NAMES.ranges(number)))

    def fits(self, number: int) -> bool:
        """Whether the tables of an image have the labels, sizes and relocated words of those that it was linked with.

        Then there is as much room for them as they need, and at the same places.
        """
        before, now = (files.read_bytes(self.path(NAMES.source(n))) for n in (number - 1, number))
        return before == now

    def settle(
        self,
        first: int,
        draft: bool,
        describe: Callable[[str], list[str]] | None = None,
        say: Callable[[str, str], None] = _silent,
    ) -> int:
        """Link from pass `first` on, with the tables of the pass before, until the tables fit; the number of that pass.

        The tables of the pass before `first` are assembled already.

        Addresses do not change the size of the tables, so those of any image with the same names have the size that
        they will have in the final one: link with them, and fill in the addresses afterwards. From empty tables that
        takes two links; from those of an earlier build, one, unless a symbol came or went. Where the debug data of an
        image must be described first, always two.

        draft: the first image cannot be the last
        describe: makes objects to link in (BTF) of the debug data of the first image, whose name it is given
        say: tells the user of a step, a verb and a file
        Raises InputError if a tool fails, the tables never fit, the filled image does not decode to its own symbols, or
        `coverage.check` misses something.
        """
        draft = draft or describe is not None
        made: Tables | None = None
        described: list[str] = []
        for number in range(first, MAXIMUM_LINKS + 1):
            drafted = draft and number == first
            if number > first:
                self.assemble(number - 1)
            say("LD", NAMES.image(number))
            self.link(number, drafted, describe is not None, described)
            say("KSYMS", NAMES.source(number))
            found = None if self.contents.thick is None else self.ranges(number)
            previous, made = made, self.tables(number, found or Ranges([], []), made)
            if previous is None:
                errors.warn(made.warnings)
            if not drafted and self.fits(number):
                self._fill(NAMES.image(number), found, made, say)
                return number
            if number == first and describe is not None:
                described = describe(NAMES.image(number))
        raise InputError(
            f"the tables still change size after {MAXIMUM_LINKS} links",
            path=self.path(NAMES.image(MAXIMUM_LINKS)),
            cure="compare the .tmp_vmlinux images with nm -n to see which symbols come and go",
        )
