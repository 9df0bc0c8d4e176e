"""A thin archive in, its members out. Format: ar.h and bfd/archive.c of binutils, "thin archives"."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from kallmodsyms import files
from kallmodsyms.errors import InputError

_MAGIC = b"!<thin>\n"
_HEADER = 60


def is_thin(path: str | os.PathLike[str]) -> bool:
    """Whether `members` can be asked; an archive without members is not thin, whatever `ar` was told."""
    return files.read_bytes(path).startswith(_MAGIC)


def members(path: str | os.PathLike[str]) -> list[str]:
    """The members in their order, relative to where `path` is relative to.

    Raises InputError for what cannot be read and for what is no thin archive.
    """
    folder = os.path.dirname(path)
    return [os.path.normpath(os.path.join(folder, name)) for name, _ in _entries(files.read_bytes(path), path)]


def renewed(path: str | os.PathLike[str]) -> bytes | None:
    """What `ar D` would make of the same members as they are now. Of a member a thin archive without an index knows
    the size alone.

    None, if it has an index, or a member is gone. Raises InputError as `members`.
    """
    data = files.read_bytes(path)
    folder, found = os.path.dirname(path), bytearray(data)
    try:
        for name, place in _entries(data, path):
            size = os.stat(os.path.join(folder, name)).st_size
            found[place : place + 10] = b"%-10d" % size
    except OSError:
        return None
    return None if _has_index(data) else bytes(found)


def _has_index(data: bytes) -> bool:
    return data[len(_MAGIC) : len(_MAGIC) + 16].rstrip() in (b"/", b"/SYM64/")


def _entries(data: bytes, path: str | os.PathLike[str]) -> Iterator[tuple[str, int]]:
    """The names of the members, and where in the archive the size of each is."""
    if not data.startswith(_MAGIC):
        raise InputError("is no thin archive", path=path, cure="delete it, and let make write it again")
    names, place = b"", len(_MAGIC)
    while place + _HEADER <= len(data):
        name, size, sized = data[place : place + 16].rstrip(), data[place + 48 : place + 58].strip(), place + 48
        place += _HEADER
        if not size.isdigit():
            raise InputError("is damaged", path=path, cure="delete it, and let make write it again")
        if name in (b"/", b"//", b"/SYM64/"):
            # The index and the long names are the only contents that are in the archive itself.
            if name == b"//":
                names = data[place : place + int(size)]
            place += int(size) + int(size) % 2
            continue
        if name[:1] == b"/":
            digits = re.match(rb"\d+", name[1:])
            start = int(digits[0]) if digits else len(names)
            name = names[start:].partition(b"\n")[0]
        yield os.fsdecode(name.removesuffix(b"/")), sized
