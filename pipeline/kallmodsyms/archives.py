"""A thin archive in, the paths of its members out. Format: ar.h and bfd/archive.c of binutils, "thin archives"."""

from __future__ import annotations

import os
import re

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
    data = files.read_bytes(path)
    if not data.startswith(_MAGIC):
        raise InputError("is no thin archive", path=path, cure="delete it, and let make write it again")
    folder, found, names, place = os.path.dirname(path), [], b"", len(_MAGIC)
    while place + _HEADER <= len(data):
        name, size = data[place : place + 16].rstrip(), data[place + 48 : place + 58].strip()
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
        found.append(os.path.normpath(os.path.join(folder, os.fsdecode(name.removesuffix(b"/")))))
    return found
