"""An image and its tables in; the image with these tables, in the place of those that it was linked with, out."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kallmodsyms import elf, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly, reader
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.kallsyms.tables import Tables, layout


def fill(image: str | os.PathLike[str], tables: Tables) -> Kallsyms:
    """Write `tables`, which were made of the image's symbols, over those that it was linked with; what it holds then.

    Labels and sizes are the same (`Passes.fits`), and words that hold addresses are right: the linker wrote them.
    Raises InputError if the image's tables then do not decode to its symbols.
    """
    file = elf.Elf(image)
    table = symbols.read(image)
    places = {
        name.decode(): address
        for name, address in zip(table.names, table.addresses.tolist(), strict=True)
        if name.startswith(b"kallsyms_")
    }
    with open(image, "r+b") as stream:
        for entry in layout(tables):
            if entry.kind != "address":
                section = file.section_at(places[entry.label])
                assert section is not None  # It holds a label of the image.
                place = places[entry.label]
                stream.seek(section.offset + place - section.address)
                stream.write(assembly.as_bytes(entry, file.bits, file.byteorder, place))
    return check(image, tables)


def check(image: str | os.PathLike[str], tables: Tables) -> Kallsyms:
    """What the tables in `image` decode to. Raises InputError unless that is `tables`, made of its symbols."""
    found = reader.read(image)
    objects = tables.modules.objects if tables.modules is not None else None
    columns: tuple[tuple[str, Any, Any], ...] = (
        ("addresses", found.addresses, tables.addresses),
        ("types", found.types, tables.names.types),
        ("names", found.names, tables.names.plain),
        ("sizes", found.sizes, tables.sizes),
        ("objects", list(found.objects), objects[:, 0].tolist() if objects is not None else []),
    )
    for what, ours, wanted in columns:
        numbers = isinstance(ours, np.ndarray) or isinstance(wanted, np.ndarray)
        if not (np.array_equal(ours, wanted) if numbers else ours == wanted):
            raise InputError(f"the {what} in its kallsyms tables differ from those of its symbols", path=image)
    return found
