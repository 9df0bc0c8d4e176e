"""A linker map as the series reads it: the text of GNU ld's map in, pieces out.

What the awk program in scripts/link-vmlinux.sh of version 7 takes (patch 3) and scripts/kallsyms then reads: the last
three words of each line that ends in `.o`, from the heading up to the first line that begins with `.brk`. Archive
members, LLD's maps, what `ld -r` hides in vmlinux.o and padding are not known to it.
"""

from __future__ import annotations

import posixpath
import re

from kallmodsyms.linkmap import Piece

_HEADING = "Linker script and memory map"
_LAST_WORDS = re.compile(r"0x([0-9a-f]{16}) +0x([0-9a-f]+) (\S+\.o)$")


def of_map(text: str) -> list[Piece]:
    """The pieces, by address; none if it is not GNU ld's map. Paths are normalised, which those of the series are not.

    >>> of_map("Linker script and memory map\\n .text.unlikely\\n   0x0000000000001000  0x20 fs/ext4/inode.o\\n.brk\\n")
    [Piece(start=4096, end=4128, path='fs/ext4/inode.o')]
    """
    _, _, body = text.partition(f"\n{_HEADING}\n") if not text.startswith(_HEADING) else ("", "", text)
    pieces = []
    for line in body.splitlines():
        if line.startswith(".brk"):
            break
        if line.endswith(".o") and (match := _LAST_WORDS.search(line)):
            start, size = int(match[1], 16), int(match[2], 16)
            if size:
                pieces.append(Piece(start, start + size, posixpath.normpath(match[3])))
    return sorted(pieces)
