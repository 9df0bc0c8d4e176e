"""A kernel and its build directory enter; a `Report` leaves: whose each byte is, and where its object comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import linkmap, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kernel import Kernel
from kallmodsyms.link import relocatable
from kallmodsyms.linkmap import Piece, Unattributed
from kallmodsyms.origin import Origins
from kallmodsyms.report.account import OBJECT, Account, Owner, Section, account, sections_of

_TABLES = re.compile(r"^(\.tmp_vmlinux)\d+(\.kallsyms\.o)$")
"""The object with the tables, which has the number of a pass: not that of the same pass in each build."""


class Facts(NamedTuple):
    """Where an object comes from. source: as Kbuild recorded it; option: with CONFIG_
    maintainer: the section of MAINTAINERS with the nearest pattern

    Empty is what is not known.
    """

    source: str = ""
    option: str = ""
    maintainer: str = ""


@dataclass(frozen=True)
class Report:
    """path: of the image; build_id: in hexadecimal, or empty; bits: word size
    listed: how many symbols are in its kallsyms tables
    facts: of each owner of the account
    """

    path: str
    build_id: str
    bits: int
    listed: int
    account: Account
    facts: Sequence[Facts]

    @property
    def bytes(self) -> int:
        """Of all allocated sections."""
        return sum(section.size for section in self.account.sections)


def of(path: str | os.PathLike[str], tree: str | os.PathLike[str] | None = None) -> Report:
    """The report of an image that is where `kallmodsyms link` made it.

    tree: the source tree; default as with `Origins`
    Raises InputError if `path` is no image with tables, or what the link left beside it is gone or of another link, or
    `tree` is none.
    """
    if tree is not None and not Path(tree, "Makefile").is_file():
        raise InputError("is no source tree: it has no Makefile", path=tree)
    kernel = Kernel.open(path)
    if kernel.image is None:
        raise InputError("is a listing, which says nothing of data", path=path, cure="give the vmlinux")
    origins = Origins(kernel, tree)
    sections = sections_of(kernel.image)
    pieces, told = _mapped(sections, origins)
    pieces = [piece._replace(path=_TABLES.sub(r"\1\2", piece.path)) for piece in pieces]
    made = account(sections, symbols.from_elf(kernel.image), pieces, origins.labels, told, origins.modules_of)
    facts = [_facts(origins, owner) for owner in made.owners]
    return Report(os.fspath(path), kernel.build_id or "", kernel.bits, len(kernel.symbols), made, facts)


def _mapped(sections: Sequence[Section], origins: Origins) -> tuple[list[Piece], list[Unattributed] | None]:
    """The pieces that are in the image, and what the linker's map says of other bytes; None if there is no map.

    objcopy may have taken sections out of the image since (.modinfo, from 6.16 on). Raises InputError if the map has
    not all of `sections`.
    """
    path = origins.ranges.with_suffix(".map")
    if not path.is_file():
        return origins.pieces, None
    found = linkmap.read(path, relocatable.of_map(origins.objdir).object_map)
    linked = {(one.name, one.start, one.end) for one in found.output_sections}
    there = {(one.name, one.address, one.end) for one in sections}
    for name, start, end in sorted(there - linked, key=lambda one: one[1]):
        problem = f"is the map of another link: it has no {name} from {start:#x} to {end:#x}"
        raise InputError(problem, path=path, cure="build again")
    taken = [range(start, end) for _, start, end in linked - there]
    return [one for one in origins.pieces if not any(one.start in span for span in taken)], found.unattributed


def _facts(origins: Origins, owner: Owner) -> Facts:
    if owner.kind != OBJECT:
        return Facts()
    found = origins.of_object(owner.name)
    option = f"CONFIG_{found.option}" if found.option else ""
    return Facts(found.source, option, found.maintainers[0] if found.maintainers else "")
