"""From objects to vmlinux: how an image is linked in, a step for each part of each pass out (docs/design.md, "The
passes").
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kallmodsyms import errors, files
from kallmodsyms.link.recipe import NAMES, Recipe
from kallmodsyms.names import THICK
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.step import Step

if TYPE_CHECKING:
    from kallmodsyms.link.passes import Passes

PASSES = 1
"""Links before the final one: its tables have the right size, and get their addresses in the final image."""
LISTING = "kallmodsyms"

_RANGES = ("kallmodsyms.linkmap.image", "kallmodsyms.linkmap.ranges")
_TABLES = ("kallmodsyms.kallsyms.assembly", "kallmodsyms.kallsyms.owners", "kallmodsyms.kallsyms.tables")


@dataclass(frozen=True)
class Image:
    """What is linked in a build directory, and what its tables are to hold.

    inputs: all that the linker reads, relative to the build directory
    config: the values of the configuration
    sizes, objects: as in `Profile`
    """

    objdir: Path
    recipe: Recipe
    inputs: tuple[str, ...]
    config: Mapping[str, str]
    dialect: KallsymsDialect
    sizes: str
    objects: bool

    @functools.cached_property
    def passes(self) -> Passes:
        """Who does the work. Not made before there is some: numpy takes longer to import than all that is looked at."""
        from kallmodsyms.link import tables
        from kallmodsyms.link.passes import Passes

        options = tables.options(self.config, self.dialect, self.sizes, self.objects)
        return Passes(self.recipe, self.objdir, tables.Contents(options, self.dialect, self.objdir / THICK))


def steps(image: Image) -> Iterator[tuple[str, Step]]:
    """The steps, each with the kind of its work."""
    plan = image.recipe
    wanted = (f"sizes={image.sizes}", f"objects={image.objects}", repr(image.dialect))
    options = ("KALLSYMS_ALL", "KALLSYMS_ABSOLUTE_PERCPU", "KALLSYMS_BASE_RELATIVE", "LTO_CLANG")
    sees = tuple(("symbol", name) for name in options)
    linker = (("program", plan.linker[0]),)
    bits = 64 if "64BIT" in image.config else 32
    for number in range(PASSES + 1):
        name, map_file, ranges = NAMES.image(number), NAMES.map(number), NAMES.ranges(number)
        source, made = NAMES.source(number), NAMES.tables(number)
        if number:
            before = NAMES.tables(number - 1)
            yield (
                "link",
                Step(
                    f"link:{number}",
                    tuple(plan.link_command(name, map_file, [before], draft=True)),
                    partial(_link, image, number),
                    reads=(*image.inputs, before),
                    writes=(name, map_file),
                    sees=linker,
                ),
            )
            yield (
                "ranges",
                Step(
                    f"ranges:{number}",
                    (),
                    partial(_ranges, image, number),
                    reads=(map_file, name),
                    writes=(ranges,),
                    modules=_RANGES,
                ),
            )
        yield (
            "tables",
            Step(
                f"tables:{number}",
                wanted if number else (*wanted, str(bits)),
                partial(_tables, image, number) if number else partial(_empty_tables, image, bits),
                reads=(name, ranges, THICK) if number else (),
                writes=(source,),
                sees=sees,
                modules=_TABLES,
            ),
        )
        yield (
            "assemble",
            Step(
                f"assemble:{number}",
                tuple(plan.assemble_command(source, made)),
                partial(_assemble, image, number),
                reads=(source,),
                writes=(made,),
                sees=(("program", plan.assembler[0]),),
            ),
        )
    last = (NAMES.source(PASSES), NAMES.tables(PASSES))
    yield (
        "vmlinux",
        Step(
            "vmlinux",
            (*plan.link_command("vmlinux", "vmlinux.map"), *wanted),
            partial(_final, image),
            reads=(*image.inputs, *last, THICK),
            writes=("vmlinux", "System.map"),
            sees=(*linker, *sees),
            modules=("kallmodsyms.link.passes", "kallmodsyms.link.after"),
        ),
    )


def _link(image: Image, number: int) -> None:
    image.passes.link(number, draft=True)


def _ranges(image: Image, number: int) -> None:
    image.passes.ranges(number, fresh=True)  # or the ledger would have had it linked again; a clock may have jumped


def _tables(image: Image, number: int) -> None:
    errors.warn(image.passes.tables(number).warnings)


def _empty_tables(image: Image, bits: int) -> None:
    image.passes.empty_tables(bits, sys.byteorder)


def _assemble(image: Image, number: int) -> None:
    image.passes.assemble(number)


def _final(image: Image) -> None:
    from kallmodsyms.link import after

    passes = image.passes
    linked = passes.path(NAMES.image(passes.settle(PASSES + 1, draft=False)))
    files.write(passes.path("System.map"), after.system_map(linked, image.dialect))
    os.replace(linked, passes.path("vmlinux"))


def listing(objdir: Path) -> Step:
    """The /proc/kallmodsyms listing, decoded from vmlinux."""
    modules = ("kallmodsyms.kallsyms.reader",)
    return Step("listing", (), partial(_listing, objdir), reads=("vmlinux",), writes=(LISTING,), modules=modules)


def _listing(objdir: Path) -> None:
    from kallmodsyms.kallsyms import reader

    files.write(objdir / LISTING, reader.read(objdir / "vmlinux").listing())
