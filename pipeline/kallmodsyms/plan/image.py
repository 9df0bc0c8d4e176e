"""From objects to vmlinux: how an image is linked in, a step for each part of each pass out (docs/design.md, "The
passes").
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kallmodsyms import errors, files
from kallmodsyms.link.recipe import NAMES, Recipe
from kallmodsyms.link.relocatable import NOTHING, Relocatable
from kallmodsyms.names import THICK
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.step import Step

if TYPE_CHECKING:
    from kallmodsyms.kallsyms.tables import Tables
    from kallmodsyms.link.passes import Passes
    from kallmodsyms.linkmap import LinkMap

LISTING = "kallmodsyms"

_RANGES = ("kallmodsyms.linkmap.image", "kallmodsyms.linkmap.ranges")
_SEES = tuple(
    ("symbol", name) for name in ("KALLSYMS_ALL", "KALLSYMS_ABSOLUTE_PERCPU", "KALLSYMS_BASE_RELATIVE", "LTO_CLANG")
)
_TABLES = ("kallmodsyms.kallsyms.assembly", "kallmodsyms.kallsyms.owners", "kallmodsyms.kallsyms.tables")


@dataclass(frozen=True)
class Image:
    """What is linked in a build directory, and what its tables are to hold.

    inputs: all that the linker reads, relative to the build directory
    config: the values of the configuration
    sizes, objects: as in `Profile`
    known: what vmlinux.o does not tell of the objects in it
    linked, limit: as in `tables.Contents`, the first asked for when it is needed
    """

    objdir: Path
    recipe: Recipe
    inputs: tuple[str, ...]
    config: Mapping[str, str]
    dialect: KallsymsDialect
    sizes: str
    objects: bool
    known: Relocatable = NOTHING
    linked: Callable[[], tuple[str, ...]] = tuple
    limit: float | None = None
    made: dict[int, Tables] = field(default_factory=dict, compare=False)
    """Tables of passes that this process made."""
    found: dict[int, LinkMap] = field(default_factory=dict, compare=False)
    """What their maps say."""

    @functools.cached_property
    def passes(self) -> Passes:
        """Who does the work. Not made before there is some: numpy takes longer to import than all that is looked at."""
        from kallmodsyms.link import tables
        from kallmodsyms.link.passes import Passes

        options = tables.options(self.config, self.dialect, self.sizes, self.objects)
        contents = tables.Contents(options, self.dialect, self.objdir / THICK, self.linked(), self.limit)
        return Passes(self.recipe, self.objdir, contents, self.known)

    @property
    def wanted(self) -> tuple[str, ...]:
        """What is asked of the tables, in words."""
        return f"sizes={self.sizes}", f"objects={self.objects}", repr(self.dialect)


def steps(image: Image) -> Iterator[tuple[str, Step]]:
    """The steps from objects to vmlinux, each with the kind of its work."""
    plan = image.recipe
    bits = 64 if "64BIT" in image.config else 32
    yield "tables", _tables_step(image, 0, (*image.wanted, str(bits)), partial(_empty_tables, image, bits))
    yield _assembly(image, 0)
    before = NAMES.tables(0)
    command = tuple(plan.link_command(NAMES.image(1), NAMES.map(1), [before], draft=True))
    yield (
        "link",
        Step(
            "link:1",
            command,
            partial(_link, image),
            reads=(*image.inputs, before),
            writes=(NAMES.image(1), NAMES.map(1)),
            sees=(("program", plan.linker[0]),),
        ),
    )
    yield from _tables_of_a_pass(image)
    yield (
        "vmlinux",
        Step(
            "vmlinux",
            (*plan.link_command("vmlinux", "vmlinux.map"), *image.wanted),
            partial(_final, image),
            reads=(*image.inputs, NAMES.source(1), NAMES.tables(1), THICK),
            writes=("vmlinux", "System.map"),
            sees=(("program", plan.linker[0]), *_SEES),
            modules=("kallmodsyms.link.passes", "kallmodsyms.link.after"),
        ),
    )


def steps_of_a_tree(
    image: Image,
    before: tuple[str, ...],
    sees: Callable[[], Iterable[tuple[str, str]]],
    finish: Callable[[str], None],
    leaves: Callable[[], Iterable[str]],
    say: Callable[[str, str], None],
) -> Iterator[tuple[str, Step]]:
    """The same for a tree whose make has linked before.

    The first pass begins with room for the tables of the last build, which may be all that there is to link. That
    room decides how often is linked, and nothing else, and so it is no input.

    before: the steps that make the inputs; sees: what decides besides these what the linker makes
    finish: gives an image its name, after what the tree does to it; leaves: the files that are there then
    """
    plan = image.recipe
    yield (
        "link",
        Step(
            "link:1",
            tuple(plan.link_command(NAMES.image(1), NAMES.map(1), [NAMES.tables(0)])),
            partial(_link_again, image, say),
            reads=image.inputs,
            writes=(NAMES.image(1), NAMES.map(1)),
            sees=sees,
            follows=before,
        ),
    )
    yield from _tables_of_a_pass(image)
    yield (
        "vmlinux",
        Step(
            "vmlinux",
            image.wanted,
            partial(_finish, image, finish, say),
            reads=(*image.inputs, NAMES.image(1), NAMES.source(1), THICK),
            writes=("vmlinux", "System.map"),
            sees=sees,
            wrote=lambda: (("file", name) for name in sorted(leaves())),
            modules=("kallmodsyms.link.passes", "kallmodsyms.hook"),
            follows=("assemble:1",),
        ),
    )


def _tables_of_a_pass(image: Image) -> Iterator[tuple[str, Step]]:
    """From the first image to the object with room for its tables."""
    name, map_file, ranges = NAMES.image(1), NAMES.map(1), NAMES.ranges(1)
    yield (
        "ranges",
        Step("ranges:1", (), partial(_ranges, image), reads=(map_file, name), writes=(ranges,), modules=_RANGES),
    )
    yield "tables", _tables_step(image, 1, image.wanted, partial(_tables, image), (name, ranges, THICK))
    yield _assembly(image, 1)


def _tables_step(
    image: Image, number: int, words: tuple[str, ...], run: Callable[[], None], reads: tuple[str, ...] = ()
) -> Step:
    return Step(
        f"tables:{number}", words, run, reads=reads, writes=(NAMES.source(number),), sees=_SEES, modules=_TABLES
    )


def _assembly(image: Image, number: int) -> tuple[str, Step]:
    source, made = NAMES.source(number), NAMES.tables(number)
    command = tuple(image.recipe.assemble_command(source, made))
    run, sees = partial(_assemble, image, number), (("program", image.recipe.assembler[0]),)
    return "assemble", Step(f"assemble:{number}", command, run, reads=(source,), writes=(made,), sees=sees)


def _assemble(image: Image, number: int) -> None:
    image.passes.assemble(number)


def _empty_tables(image: Image, bits: int) -> None:
    image.passes.empty_tables(bits, sys.byteorder)


def _link(image: Image) -> None:
    image.passes.link(1, draft=True)


def _link_again(image: Image, say: Callable[[str, str], None]) -> None:
    known = image.passes.begin(next(name for name in image.inputs if name.endswith(".o")))
    say("LD", NAMES.image(1))
    image.passes.link(1, draft=not known)


def _ranges(image: Image) -> None:
    # fresh: or the ledger would have had it linked again; a clock may have jumped
    image.found[1] = image.passes.ranges(1, fresh=True)


def _tables(image: Image) -> None:
    image.made[1] = image.passes.tables(1)
    errors.warn(image.made[1].warnings)


def _final(image: Image) -> None:
    from kallmodsyms.link import after

    passes = image.passes
    linked = passes.path(NAMES.image(passes.settle(2, draft=False)))
    files.write(passes.path("System.map"), after.system_map(linked, image.dialect))
    os.replace(linked, passes.path("vmlinux"))


def _finish(image: Image, finish: Callable[[str], None], say: Callable[[str, str], None]) -> None:
    passes = image.passes
    number = 1 if passes.fits(1) else passes.settle(2, draft=False, say=say)
    last = passes.last(number)
    if number == 1:
        found = image.found.get(1) or passes.ranges(1, fresh=True)
        passes.fill_in(last, found, image.made.get(1), say)
    finish(last)
    passes.keep(number)


def listing(objdir: Path) -> Step:
    """The /proc/kallmodsyms listing, decoded from vmlinux."""
    modules = ("kallmodsyms.kallsyms.reader",)
    return Step("listing", (), partial(_listing, objdir), reads=("vmlinux",), writes=(LISTING,), modules=modules)


def _listing(objdir: Path) -> None:
    from kallmodsyms.kallsyms import reader

    files.write(objdir / LISTING, reader.read(objdir / "vmlinux").listing())
