"""The running kernel: its files in /proc and /sys enter; what it says of itself leaves.

`root` is where /proc and /sys are; a copy of the files from another machine serves as well.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from kallmodsyms import elf, files
from kallmodsyms.errors import InputError

KALLMODSYMS, KALLSYMS, NOTES = "proc/kallmodsyms", "proc/kallsyms", "sys/kernel/notes"
TRACING = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
KPROBES_BLACKLIST = "sys/kernel/debug/kprobes/blacklist"


def build_id(root: str | os.PathLike[str] = "/") -> str | None:
    """The running kernel's build id, in hexadecimal. Raises InputError if it does not tell."""
    return elf.build_id(files.read_bytes(Path(root, NOTES)), sys.byteorder)


def address_of(name: str, root: str | os.PathLike[str] = "/") -> int:
    """The address of a symbol of the image. Raises InputError where /proc/kallsyms does not show it to us."""
    path = Path(root, KALLSYMS)
    found = re.search(rb"^([0-9a-f]+) \S %b$" % re.escape(name.encode()), files.read_bytes(path), re.MULTILINE)
    if found is None or not int(found[1], 16):
        raise InputError(
            f"does not say where {name} is", path=path, cure="read it as root, or take a copy made as root"
        )
    return int(found[1], 16)


def tracing(name: str, root: str | os.PathLike[str] = "/") -> bytes | None:
    """A file of the kernel's tracing directory; None where there is none, or it is not for us."""
    for place in TRACING:
        path = Path(root, place, name)
        if os.access(path, os.R_OK):
            return files.read_bytes(path)
    return None


def kprobes_blacklist(root: str | os.PathLike[str] = "/") -> list[tuple[int, int]] | None:
    """(start, end) of code that kprobes refuse; None where the kernel does not list it, or not for us."""
    path = Path(root, KPROBES_BLACKLIST)
    if not os.access(path, os.R_OK):
        return None
    pairs = re.findall(rb"^0x([0-9a-f]+)-0x([0-9a-f]+)\t", files.read_bytes(path), re.MULTILINE)
    return [(int(start, 16), int(end, 16)) for start, end in pairs]
