"""A link map beside the other files of a link: is it this image's map, and which labels does it leave out?"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np

from kallmodsyms import elf
from kallmodsyms.errors import InputError
from kallmodsyms.linkmap import Label, LinkMap, label_order
from kallmodsyms.names import TEXT_LETTERS
from kallmodsyms.symbols import SymbolTable


def confirm(
    linkmap: LinkMap, image: elf.Elf, map_path: str | os.PathLike[str], directory: str | os.PathLike[str] | None
) -> None:
    """Raise InputError unless `linkmap` has the allocated sections of `image`, each at its place, and is up to date.

    It is not if an object was written since; they are looked for below `directory`, where the linker ran. None: they
    are known by content, and times say nothing.
    """
    told = {(section.name, section.start, section.end) for section in linkmap.output_sections}
    real = {
        (section.name, section.address, section.end)
        for section in image.sections
        if section.flags & elf.SHF_ALLOC and section.size
    }
    for name, start, end in sorted(told ^ real, key=lambda section: section[1:]):
        where = "the map only" if (name, start, end) in told else "the image only"
        raise InputError(
            f"is the map of another link than {image.path}: {name} from {start:#x} to {end:#x} is in {where}",
            path=map_path,
            cure="link again with -Map, and take both files from that link",
        )
    if directory is None:
        return
    linked, now = os.stat(map_path).st_mtime_ns, time.time_ns()
    for path in sorted({piece.path for piece in linkmap.pieces}):
        file = os.path.join(directory, path)
        if os.path.exists(file) and linked < os.stat(file).st_mtime_ns <= now:  # what is from the future says nothing
            raise InputError(
                f"is newer than {os.fspath(map_path)}, which says what was linked", path=file, cure="link again"
            )


def with_image_labels(linkmap: LinkMap, table: SymbolTable, directory: str | os.PathLike[str]) -> LinkMap:
    """`linkmap` with the labels that its map leaves out, taken from the image's symbols `table` and from the objects.

    LLD's map does not say where the linker script put a symbol that is not simply at the location counter; the table
    does. GNU ld's map has no local symbols. A text symbol of size 0 where a piece ends may be the last one of this
    piece or the first one of the next. The symbol table of the piece's object tells; it is looked for below
    `directory`, where the linker ran. An object that is not there (a member of an ordinary archive) adds nothing.
    """
    labels = set(linkmap.labels)
    if linkmap.unplaced:
        places = dict(zip(table.names, table.addresses.tolist(), strict=True))
        names = (name.encode("utf-8", "surrogateescape") for name in linkmap.unplaced)
        labels.update(
            Label(places[name], name.decode("utf-8", "surrogateescape"), None) for name in names if name in places
        )
    known = {(label.address, label.name) for label in labels}

    owners = {piece.end: piece.path for piece in linkmap.pieces}
    chosen = np.isin(table.addresses, np.fromiter(owners, np.uint64, len(owners)))
    # Only text belongs to modules, and a kernel has thousands of such symbols in its data.
    chosen &= np.isin(np.frombuffer(table.types, np.uint8), np.frombuffer(TEXT_LETTERS, np.uint8))
    if table.sizes is not None:
        chosen &= table.sizes == 0
    questions: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for index in np.flatnonzero(chosen).tolist():
        symbol = int(table.addresses[index]), table.names[index].decode("utf-8", "surrogateescape")
        if symbol not in known:
            questions[owners[symbol[0]]].add(symbol)
    for path, symbols in questions.items():
        file = os.path.join(directory, path)
        if os.path.isfile(file):
            names_at_end = _last_names(file, os.stat(file).st_mtime_ns)
            labels.update(Label(address, name, path) for address, name in symbols if name in names_at_end)
    return replace(linkmap, labels=sorted(labels, key=label_order))


@cache
def _last_names(path: str, written: int) -> set[str]:
    """The symbols at the end of a section, not an empty one, of a relocatable object.

    An object that has no sections yet (intermediate code for link-time optimisation) or no symbols at all (BTF) has
    none. The answers are kept, since every pass of a link asks about the same objects; `written` is when the object
    was.
    """
    with open(path, "rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return set()
    image = elf.Elf(path)
    if not any(section.type == elf.SHT_SYMTAB for section in image.sections):
        return set()
    table = image.symbols()
    ends = np.array([section.size for section in image.sections], np.uint64)
    here = np.flatnonzero(~table.reserved & (table.types != elf.STT_SECTION))
    here = here[(table.values[here] == ends[table.sections[here]]) & (ends[table.sections[here]] > 0)]
    return {name.decode("utf-8", "surrogateescape") for name in table.names(here)}
