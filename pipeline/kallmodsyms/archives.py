"""A thin archive in, its members out. Format: ar.h and bfd/archive.c of binutils, "thin archives"."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kallmodsyms import files
from kallmodsyms.errors import InputError

_MAGIC = b"!<thin>\n"
_HEADER = 60


def is_thin(path: str | os.PathLike[str]) -> bool:
    """Whether `members` can be asked; an archive without members is not thin, whatever `ar` was told."""
    return files.read_bytes(path).startswith(_MAGIC)


class Member(NamedTuple):
    """path: relative to where the archive's is relative to; size: in bytes, when the archive was made"""

    path: str
    size: int


def members(path: str | os.PathLike[str]) -> list[str]:
    """The paths of the members, in order. Raises InputError as `read`."""
    return [member.path for member in read(path)[0]]


def stands(path: str | os.PathLike[str]) -> bool:
    """Whether `ar` would make the same archive of its members as they are now: it has no index, and knows only their
    sizes (`ar D` leaves the times out). Raises InputError as `read`.
    """
    found, indexed = read(path)
    try:
        return not indexed and all(os.stat(member.path).st_size == member.size for member in found)
    except OSError:
        return False


def read(path: str | os.PathLike[str]) -> tuple[list[Member], bool]:
    """The members in their order, and whether there is an index of their symbols.

    Raises InputError for what cannot be read and for what is no thin archive.
    """
    data = files.read_bytes(path)
    if not data.startswith(_MAGIC):
        raise InputError("is no thin archive", path=path, cure="delete it, and let make write it again")
    folder, found, names, place, indexed = os.path.dirname(path), list[Member](), b"", len(_MAGIC), False
    while place + _HEADER <= len(data):
        name, size = data[place : place + 16].rstrip(), data[place + 48 : place + 58].strip()
        place += _HEADER
        if not size.isdigit():
            raise InputError("is damaged", path=path, cure="delete it, and let make write it again")
        if name in (b"/", b"//", b"/SYM64/"):
            # The index and the long names are the only contents that are in the archive itself.
            if name == b"//":
                names = data[place : place + int(size)]
            indexed = indexed or name != b"//"
            place += int(size) + int(size) % 2
            continue
        if name[:1] == b"/":
            digits = re.match(rb"\d+", name[1:])
            start = int(digits[0]) if digits else len(names)
            name = names[start:].partition(b"\n")[0]
        member = os.path.normpath(os.path.join(folder, os.fsdecode(name.removesuffix(b"/"))))
        found.append(Member(member, int(size)))
    return found, indexed
