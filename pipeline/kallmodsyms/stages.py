"""The steps of the pipeline, each from files to a text: what the subcommands, the tasks and the link hook have in common.

Nothing is decided here; each step is a few calls of the packages that know how.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kallmodsyms import elf, files, kbuild, linkmap, symbols
from kallmodsyms.kallsyms import owners, reader, select, tables
from kallmodsyms.linkmap import image as link_image
from kallmodsyms.linkmap import ranges as ranges_file
from kallmodsyms.release import KallsymsDialect


def ranges(
    map_file: str | os.PathLike[str],
    object_map: str | os.PathLike[str] | None = None,
    image: str | os.PathLike[str] | None = None,
    directory: str | os.PathLike[str] = ".",
    functions: Mapping[str, frozenset[str]] | None = None,
) -> ranges_file.Ranges:
    """What the ranges file of a link map holds.

    functions: as `linkmap.read` wants them
    image: what was linked; then the map must be its own, and labels that only the objects below `directory` know are found too
    """
    found = linkmap.read(map_file, object_map, functions=functions)
    if image is not None:
        file = elf.Elf(image)
        link_image.confirm(found, file, map_file, directory)
        found = link_image.with_image_labels(found, symbols.read(image), directory)
    return ranges_file.Ranges(found.pieces, found.labels)


def kallsyms_tables(
    symbols_file: str | os.PathLike[str],
    found: ranges_file.Ranges,
    thick: str | os.PathLike[str] | None,
    options: select.Options,
    rules: KallsymsDialect,
    previous: tables.Tables | None = None,
) -> tables.Tables:
    """The tables of an image, or of what nm said of it; without those of modules if `thick` is None, and nobody needs the ranges.

    previous: those of an earlier pass
    Raises InputError.
    """
    table = symbols.read(symbols_file)
    if thick is None:
        return tables.build(table, options, rules, None, previous)
    boundary = {(label.address, label.name): label.path for label in found.labels}
    modules = kbuild.parse_thick(files.read_text(thick), os.fspath(thick))
    return tables.build(table, options, rules, owners.attribute(table, found.pieces, modules, boundary), previous)


def empty_tables(
    options: select.Options, rules: KallsymsDialect, bits: int, byteorder: str, modules: bool
) -> tables.Tables:
    """Tables with every label and no symbol, for the first link of a kernel that will not link without them.

    modules: with those of modules
    """
    nothing = replace(symbols.from_text(b"", "nothing"), bits=bits, byteorder=byteorder)
    return tables.build(nothing, options, rules, owners.attribute(nothing, [], [], {}) if modules else None)


def system_map(image: str | os.PathLike[str], rules: KallsymsDialect) -> bytes:
    """System.map of an image: what `nm -n` says, as the tree's scripts/mksysmap filters it."""
    return select.system_map(symbols.read(image), rules)


def table_options(config: Mapping[str, str], rules: KallsymsDialect, sizes: str, objects: bool) -> select.Options:
    """The options that a configuration asks for, and those that it does not know (as in `Profile`)."""
    return select.Options(
        all_symbols="KALLSYMS_ALL" in config,
        absolute_percpu="KALLSYMS_ABSOLUTE_PERCPU" in config,
        base_relative="KALLSYMS_BASE_RELATIVE" in config or rules.base_relative,
        lto_clang="LTO_CLANG" in config,
        sizes=sizes,
        objects=objects,
    )


def lookup(vmlinux: str | os.PathLike[str], queries: Sequence[str]) -> tuple[str, list[str]]:
    """One line for each symbol found, and the queries that nothing was found for.

    A query is an address in hexadecimal or a name; what the image has a symbol of that name for is a name. The line for a name is that
    of the listing, the line for an address `address symbol+offset/size`, behind a tab the modules that own the byte.
    """
    kallsyms = reader.read(vmlinux)
    digits = kallsyms.bits // 4
    lines: list[str] = []
    missing = []
    for query in queries:
        found = kallsyms.lookup(query)
        if not found and re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", query):
            address = int(query, 16)
            found = kallsyms.lookup(address)
            lines += [f"{address:0{digits}x} {_place(*one)}" for one in found]
        else:
            lines += [f"{one.symbol.address:0{digits}x} {_listed(one.symbol)}" for one in found]
        if not found:
            missing.append(query)
    return "".join(lines), missing


def _place(symbol: reader.Symbol, offset: int, modules: Sequence[str]) -> str:
    size = "" if symbol.size is None else f"/{symbol.size:#x}"
    return f"{symbol.name}+{offset:#x}{size}{_tail(modules)}\n"


def _listed(symbol: reader.Symbol) -> str:
    size = "" if symbol.size is None else f"{symbol.size:x} "
    letter = symbol.type.lower() if symbol.modules else symbol.type
    return f"{size}{letter} {symbol.name}{_tail(symbol.modules, symbol.object)}\n"


def _tail(modules: Sequence[str], path: str = "") -> str:
    parts = [f"[{name}]" for name in modules] + [f"{{{path}}}"] * bool(path)
    return "\t" + " ".join(parts) if parts else ""
