"""What a link accounts for: its map, its image and what the tables say enter; how many bytes of text nobody owns
leaves, or an error where a module or an object was lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from kallmodsyms import elf
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.linkmap import LinkMap
from kallmodsyms.names import Module, module_name


class Coverage(NamedTuple):
    """text: bytes in executable sections; unknown: those of them that are neither an object's, as far as known, nor
    padding
    """

    text: int
    unknown: int

    @property
    def percent(self) -> float:
        return 100 * self.unknown / self.text if self.text else 0.0

    def __str__(self) -> str:
        return f"{self.unknown} of {self.text} bytes of text are of no known object ({self.percent:.3f} %)"


def check(
    found: LinkMap,
    image: str | os.PathLike[str],
    decoded: Kallsyms,
    modules: Iterable[Module],
    linked: Iterable[str],
    limit: float | None,
    directory: str | os.PathLike[str] = ".",
) -> Coverage:
    """Raise InputError unless everything that was linked is accounted for.

    found, decoded: the image's map, and its tables
    modules: those that are built in: each that has text must own a symbol
    linked: objects, relative to `directory`, that are in the image: each that has text must be in the map
    limit: how many per cent of the bytes of text may be of no known object; None for any
    """
    sections = [s for s in elf.Elf(image).sections if s.flags & elf.SHF_EXECINSTR and s.flags & elf.SHF_ALLOC]
    spans = [(section.address, section.end) for section in sections if section.size]
    with_text = {piece.path for piece in found.pieces if _inside(spans, piece.start, piece.end)}
    owners = {name for number in set(decoded.of_symbols.tolist()) for name in decoded.lists[number]}
    for module in modules:
        own = sorted(with_text.intersection((module.object, *module.members)))
        if own and module_name(module.object) not in owners:
            name = module_name(module.object)
            raise InputError(f"{name} is built in and has text, but no symbol is its own", path=image, text=own[0])
    for path in linked:
        if path not in found.named and _has_text(os.path.join(directory, path)):
            raise InputError("was linked and has text, but the map does not name it", path=path)
    unknown = sum(_inside(spans, run.address, run.address + run.size) for run in found.unattributed)
    coverage = Coverage(sum(end - start for start, end in spans), unknown)
    if limit is not None and coverage.percent > limit:
        raise InputError(f"{coverage}, and the limit is {limit:g} %", path=image)
    return coverage


def _inside(spans: list[tuple[int, int]], start: int, end: int) -> int:
    """How many bytes from `start` to `end` lie in the disjoint `spans`."""
    return sum(max(0, min(end, stop) - max(start, begin)) for begin, stop in spans)


def _has_text(path: str) -> bool:
    """Whether an object has instructions; one of intermediate code, for link-time optimisation, has none yet."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return False
    return any(section.flags & elf.SHF_EXECINSTR and section.size for section in elf.Elf(path).sections)
