"""A kernel tree enters; the names of the symbols that its linker script defines leave.

    __sched_text_start = .;

They belong to nobody, although a function may begin where they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from kallmodsyms import files

_LABEL = re.compile(r"\b(\w+)\s*=\s*(?:ABSOLUTE\()?\.")


def labels(tree: Path, architecture: str) -> frozenset[bytes]:
    """architecture: the folder's name in arch/, SRCARCH"""
    places = [tree / "include/asm-generic/vmlinux.lds.h", *sorted((tree / "arch" / architecture).rglob("*.lds.[Sh]"))]
    texts = [files.read_text(place) for place in places if place.is_file()]
    return frozenset(name.encode() for text in texts for name in _LABEL.findall(text))
