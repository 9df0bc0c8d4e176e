"""The series' tables as assembler input: the kernel's own tables and an `Encoded` enter; their layout leaves.

Labels, order and rows are those of scripts/kallsyms.c of version 7 of the series: between the base and the number of
symbols stand the sizes (patch 7), the names of modules, and the entries. Lengths are `.long`, which the series' reader
in the kernel takes for words: right where the rest of a word is padding, and wrong on 64-bit big-endian machines.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kallmodsyms import symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly, tables
from kallmodsyms.kallsyms.tables import Table, Tables
from kallmodsyms.link.tables import Contents, Path, of_image
from kallmodsyms.linkmap.ranges import Ranges
from kallmodsyms.names import ModuleList
from kallmodsyms.series import encoding
from kallmodsyms.series.encoding import Encoded

_OURS = ("kallsyms_names_len", "kallsyms_token_table_len")


def build(image: Path, found: Ranges, contents: Contents, optimize: bool = True) -> tuple[Tables, Encoded]:
    """The tables of an image (or of what nm said of it) without modules, and the series' tables of modules.

    contents: its sizes are "dense" or "none", and it asks for no objects
    Raises InputError.
    """
    chosen = contents.options
    if chosen.sizes == "compact" or chosen.objects:
        raise InputError("the series has neither compact sizes nor objects", cure="ask for dense sizes, or for none")
    base = of_image(image, found, Contents(chosen, contents.dialect, None))
    ranges = encoding.text_ranges(symbols.read(image), contents.dialect)
    return base, encoding.encode(found.pieces, contents.modules(), ranges, optimize)


def layout(modules: Encoded) -> assembly.Layout:
    """The tables in the order of the series' output."""

    def laid_out(base: Tables) -> Iterator[Table]:
        own = {table.label: table for table in tables.layout(base)}
        sizes = own.pop("kallsyms_sizes", None)
        for label, table in own.items():
            if label == "kallsyms_num_syms":
                if sizes is not None:
                    yield sizes
                yield from of_modules(base, modules)
            if label not in _OURS:
                yield table

    return laid_out


def of_modules(base: Tables, modules: Encoded) -> Iterator[Table]:
    """What the series adds for modules."""
    rows = tuple(row for part in ((), *modules.parts) for row in _strings(part))
    yield Table("kallsyms_module_names", "byte", np.frombuffer(modules.names, np.uint8), rows=rows)
    yield tables.number_table("kallsyms_module_names_len", len(modules.names))
    relative = np.zeros(len(modules.starts), np.bool_)
    yield tables.address_table(base, "kallsyms_module", modules.starts, relative)
    values = tuple(b"\t.long\t%#x" % value if value else b"\t.long\t0x0" for value in modules.values.tolist())
    yield Table("kallsyms_modules", "long", modules.values, rows=values)
    yield tables.number_table("kallsyms_num_modules", len(modules.values))


def _strings(part: ModuleList) -> Iterator[bytes]:
    """The rows of one list of names; of the empty one, with which the table begins, a byte."""
    if len(part) != 1:
        yield b"\t.byte\t0"
    if len(part) > 1:
        yield b"\t.byte\t%d" % len(part)
    for name in part:
        yield b'\t.asciz\t"%b"' % name.encode()
