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
from kallmodsyms.linkmap import Unattributed
from kallmodsyms.linkmap import image as link_image
from kallmodsyms.origin import Origins
from kallmodsyms.report.account import OBJECT, Account, Owner, account, sections_of

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
    made = account(
        sections_of(kernel.image),
        symbols.from_elf(kernel.image),
        [piece._replace(path=_TABLES.sub(r"\1\2", piece.path)) for piece in origins.pieces],
        origins.labels,
        _told(kernel, origins),
        origins.modules_of,
    )
    facts = [_facts(origins, owner) for owner in made.owners]
    return Report(os.fspath(path), kernel.build_id or "", kernel.bits, len(kernel.symbols), made, facts)


def _told(kernel: Kernel, origins: Origins) -> list[Unattributed] | None:
    """What the linker's map says of bytes that are in no range; None if it is gone. Raises if it is of another link."""
    path = origins.ranges.with_suffix(".map")
    if kernel.image is None or not path.is_file():
        return None
    found = linkmap.read(path, relocatable.of_map(origins.objdir).object_map)
    link_image.confirm(found, kernel.image, path, None)
    return found.unattributed


def _facts(origins: Origins, owner: Owner) -> Facts:
    if owner.kind != OBJECT:
        return Facts()
    found = origins.of_object(owner.name)
    option = f"CONFIG_{found.option}" if found.option else ""
    return Facts(found.source, option, found.maintainers[0] if found.maintainers else "")
