"""From a link to its tables: a link map enters, ranges leave; an image, ranges and thick list enter, tables leave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kallmodsyms import elf, files, kbuild, linkmap, symbols
from kallmodsyms.kallsyms import owners, select
from kallmodsyms.kallsyms import tables as kallsyms
from kallmodsyms.link.relocatable import NOTHING, Relocatable
from kallmodsyms.linkmap import LinkMap
from kallmodsyms.linkmap import image as link_image
from kallmodsyms.linkmap.ranges import Ranges
from kallmodsyms.release import KallsymsDialect

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class Contents:
    """What the tables of an image hold, and how.

    thick: modules_thick.builtin; None for tables without modules
    linked: objects that are in the image, as far as known
    limit: how many per cent of the bytes of text may be of no known object; None for any
    """

    options: select.Options
    dialect: KallsymsDialect
    thick: Path | None
    linked: tuple[str, ...] = ()
    limit: float | None = None

    def modules(self) -> list[kbuild.Module]:
        """The modules that are built in. Raises InputError."""
        return [] if self.thick is None else kbuild.parse_thick(files.read_text(self.thick), os.fspath(self.thick))


def options(config: Mapping[str, str], dialect: KallsymsDialect, sizes: str, objects: bool) -> select.Options:
    """The options that a configuration asks for, and those that it does not know (as in `Profile`)."""
    return select.Options(
        all_symbols="KALLSYMS_ALL" in config,
        absolute_percpu="KALLSYMS_ABSOLUTE_PERCPU" in config,
        base_relative="KALLSYMS_BASE_RELATIVE" in config or dialect.base_relative,
        place_relative=dialect.place_relative and ("64BIT" in config or "RELOCATABLE" in config),
        lto_clang="LTO_CLANG" in config,
        sizes=sizes,
        objects=objects,
    )


def ranges(
    map_file: Path,
    relocatable: Relocatable = NOTHING,
    image: Path | None = None,
    directory: Path = ".",
    fresh: bool = False,
) -> LinkMap:
    """What a link map says.

    image: what was linked. Then the map must be its own, and labels that only the objects below `directory` know are in
        there too
    fresh: that none of these was written since is known without a look at their times
    """
    found = linkmap.read(map_file, relocatable.object_map, functions=relocatable.functions)
    if image is not None:
        link_image.confirm(found, elf.Elf(image), map_file, None if fresh else directory)
        found = link_image.with_image_labels(found, symbols.read(image), directory)
    return found


def of_image(
    symbols_file: Path, found: LinkMap | Ranges, contents: Contents, previous: kallsyms.Tables | None = None
) -> kallsyms.Tables:
    """The tables of an image, or of what nm said of it. The ranges `found` matter only to those of modules.

    previous: those of an earlier pass, which save time
    Raises InputError.
    """
    table = symbols.read(symbols_file)
    whose = None
    if contents.thick is not None:
        boundary = {(label.address, label.name): label.path for label in found.labels}
        whose = owners.attribute(table, found.pieces, contents.modules(), boundary)
    return kallsyms.build(table, contents.options, contents.dialect, whose, previous)


def empty(contents: Contents, bits: int, byteorder: str) -> kallsyms.Tables:
    """Tables with every label and no symbol, for the first link of a kernel that will not link without them."""
    nothing = replace(symbols.from_text(b"", "nothing"), bits=bits, byteorder=byteorder)
    whose = None if contents.thick is None else owners.attribute(nothing, [], [], {})
    return kallsyms.build(nothing, contents.options, contents.dialect, whose)
