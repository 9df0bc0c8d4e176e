"""The ranges file: a link map as text, and back.

One line for each piece, sorted by address, as in the patch series; and one line, of size 0, for each label:

    0xffffffff81000000 0x26c arch/x86/kernel/head_64.o
    0xffffffff81000690 0x0 _stext
    0xffffffff81277f40 0x0 crypto/aes_asm.o aes_end

The second line says that the linker script defines `_stext`: it belongs to no object, although a piece begins there.
The third says that `aes_end` belongs to `crypto/aes_asm.o`, although that piece ends there. Symbol names have no
blanks; paths may.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.linkmap import Label, LinkMap, Piece

_LINE = re.compile(r"0x([0-9a-f]{16}) 0x([0-9a-f]{1,16}) (\S.*)")


class Ranges(NamedTuple):
    """What a ranges file holds; see `LinkMap`."""

    pieces: list[Piece]
    labels: list[Label]


def text(linkmap: LinkMap | Ranges) -> str:
    """The ranges file of `linkmap`."""
    lines = [(start, end - start, path) for start, end, path in linkmap.pieces]
    lines += [(address, 0, name if path is None else f"{path} {name}") for address, name, path in linkmap.labels]
    return "".join(f"0x{address:016x} {size:#x} {rest}\n" for address, size, rest in sorted(lines))


def report(linkmap: LinkMap) -> str:
    """What the ranges of `linkmap` leave out: a line `0xADDRESS 0xSIZE why` for each run of bytes without an object."""
    return "".join(f"0x{address:016x} {size:#x} {why}\n" for address, size, why in linkmap.unattributed)


def parse(path: str | os.PathLike[str]) -> Ranges:
    """The pieces and labels of the ranges file `path`, each sorted by address.

    Raises InputError at a line that is not of this format, or whose piece begins before the last one's end.
    """
    pieces: list[Piece] = []
    labels: list[Label] = []
    lines = files.read_text(path).split("\n")
    for number, line in enumerate(lines[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError("not '0xADDRESS 0xSIZE OBJECT'", path=path, line=number, text=line)
        start, size, rest = int(match[1], 16), int(match[2], 16), match[3]
        if size:
            if pieces and start < pieces[-1].end:
                raise InputError("begins before the piece above ends", path=path, line=number, text=line)
            pieces.append(Piece(start, start + size, rest))
        else:
            owner, _, name = rest.rpartition(" ")
            labels.append(Label(start, name, owner or None))
    if lines[-1]:
        raise InputError("the last line is cut off", path=path, line=len(lines), text=lines[-1])
    return Ranges(pieces, labels)
