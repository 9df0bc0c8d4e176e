"""A thin archive in, its members out. Format: ar.h and bfd/archive.c of binutils, "thin archives"."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator

from kallmodsyms import files
from kallmodsyms.errors import InputError

_MAGIC = b"!<thin>\n"
_HEADER = 60
_INDEX = {b"/": 4, b"/SYM64/": 8}
"""The name of the index, to the bytes of each number in it."""


def is_thin(path: str | os.PathLike[str]) -> bool:
    """Whether `members` can be asked; an archive without members is not thin, whatever `ar` was told."""
    return files.read_bytes(path).startswith(_MAGIC)


def members(path: str | os.PathLike[str]) -> list[str]:
    """The members in their order, relative to where `path` is relative to.

    Raises InputError for what cannot be read and for what is no thin archive.
    """
    folder = os.path.dirname(path)
    return [os.path.normpath(os.path.join(folder, name)) for name, _ in _entries(files.read_bytes(path), path)]


def renewed(path: str | os.PathLike[str], changed: Collection[str]) -> bytes | None:
    """What `ar D` would make of the same members as they are now. `changed`: those that are not what they were, called
    as `members` calls them.

    Of a member a thin archive has the size; and, where there is an index, the global symbols. None, if a member is gone
    or has other symbols than the index says. Raises InputError as `members`.
    """
    data = files.read_bytes(path)
    folder, found = os.path.dirname(path), bytearray(data)
    index = _index(data)
    for name, place in _entries(data, path):
        member = os.path.normpath(os.path.join(folder, name))
        try:
            found[place + 48 : place + 58] = b"%-10d" % os.stat(member).st_size
        except OSError:
            return None
        if index is not None and member in changed and _symbols(member) != index.get(place, []):
            return None
    return bytes(found)


def _index(data: bytes) -> dict[int, list[bytes]] | None:
    """Where the header of a member is, to its symbols in the index; None if there is no index."""
    name, size = data[len(_MAGIC) :][:16].rstrip(), data[len(_MAGIC) + 48 :][:10].strip()
    if name not in _INDEX or not size.isdigit():
        return None
    start, word = len(_MAGIC) + _HEADER, _INDEX[name]
    count = int.from_bytes(data[start : start + word], "big")
    offsets = (
        int.from_bytes(data[place : place + word], "big")
        for place in range(start + word, start + word * (count + 1), word)
    )
    names = data[start + word * (count + 1) : start + int(size)].split(b"\0")
    found: dict[int, list[bytes]] = {}
    for place, symbol in zip(offsets, names, strict=False):
        found.setdefault(place, []).append(symbol)
    return found


def _symbols(path: str) -> list[bytes] | None:
    """The symbols of an object that an index names: defined, and not local. None if the object has no symbol table."""
    from kallmodsyms import elf  # Not before there is an index to check: numpy takes longer than all that is done here.

    try:
        table = elf.Elf(path).symbols()
    except InputError:
        return None
    known = (table.bindings != elf.STB_LOCAL) & (table.reserved | (table.sections != elf.SHN_UNDEF))
    return table.names(known.nonzero()[0])


def _entries(data: bytes, path: str | os.PathLike[str]) -> Iterator[tuple[str, int]]:
    """The names of the members, and where in the archive the header of each is."""
    if not data.startswith(_MAGIC):
        raise InputError("is no thin archive", path=path, cure="delete it, and let make write it again")
    names, place = b"", len(_MAGIC)
    while place + _HEADER <= len(data):
        name, size, header = data[place : place + 16].rstrip(), data[place + 48 : place + 58].strip(), place
        place += _HEADER
        if not size.isdigit():
            raise InputError("is damaged", path=path, cure="delete it, and let make write it again")
        if name in _INDEX or name == b"//":
            # The index and the long names are the only contents that are in the archive itself.
            if name == b"//":
                names = data[place : place + int(size)]
            place += int(size) + int(size) % 2
            continue
        if name[:1] == b"/":
            digits = re.match(rb"\d+", name[1:])
            start = int(digits[0]) if digits else len(names)
            name = names[start:].partition(b"\n")[0]
        yield os.fsdecode(name.removesuffix(b"/")), header
