"""Rung 2: the names of files in a symbol table enter; claims leave.

    FILE    fsync.c                     or fsync.o, where GNU ld found no such symbol in the object
    t       ext4_sync_parent            local symbols of that object, up to the next FILE
    FILE    hash.c
    ...
    T       ext4_sync_file              global symbols of all objects, behind the last local one

Files are in the order of the link, as are the objects of Kbuild, so that the two rows say which `core.c` is which. A
global symbol belongs to the object of the local ones around it, if that is one, or to the modules that all objects from
the one to the other belong to.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

import numpy as np

from kallmodsyms import elf
from kallmodsyms.attribute import order
from kallmodsyms.attribute.claims import Claim, of_symbols, paths
from kallmodsyms.attribute.recipe import Recipe
from kallmodsyms.attribute.text import Text
from kallmodsyms.symbols import SymbolTable

NAME = "file-symbols"


def has_files(image: elf.Elf) -> bool:
    """Whether the symbol table names files."""
    return bool((image.symbols().types == elf.STT_FILE).any())


def claims(image: elf.Elf, symbols: SymbolTable, recipe: Recipe) -> list[Claim]:
    """What the local symbols of the image say. symbols: those of the image, too"""
    text = Text.of(symbols, recipe.labels)
    positions = _positions(image.symbols(), recipe.objects)
    candidates = [
        sorted(positions.get((address, name), ())) if letter == "t" else []
        for address, letter, name in text.symbols(symbols)
    ]
    found = paths(order.placed(candidates, text.sections), recipe.objects, recipe.lists)
    return of_symbols(symbols, text.which, found, NAME)


def _positions(table: elf.Symbols, objects: Sequence[str]) -> dict[tuple[int, bytes], set[int]]:
    """Address and name of each local symbol, to the positions of the objects that have it."""
    files = np.flatnonzero(table.types == elf.STT_FILE)
    stems = [posixpath.splitext(name.decode("utf-8", "replace"))[0] for name in table.names(files)]
    matched = order.matched(stems, [posixpath.basename(path).removesuffix(".o") for path in objects])
    unnamed = np.isin(table.types, (elf.STT_FILE, elf.STT_SECTION))
    local = np.flatnonzero((table.bindings == elf.STB_LOCAL) & ~unnamed)
    of_file = np.searchsorted(files, local) - 1
    positions: dict[tuple[int, bytes], set[int]] = {}
    for name, value, file in zip(table.names(local), table.values[local].tolist(), of_file.tolist(), strict=True):
        position = matched[file] if file >= 0 else None
        if position is not None:
            positions.setdefault((value, name), set()).add(position)
    return positions
