"""Rung 4: a distribution's modules.builtin.ranges (Linux 6.12 and later) enters; claims leave.

    .text 00000000-00000000 = _text             where the section is: so far behind its start is _text
    .text 0000baf0-0000cb10 amd_uncore          bytes of one module, or of several

Objects are not known by it. What no range of a section has is nobody's. The kernel lists as modules also what cannot be
one (an option that is a bool, a source with a MODULE_LICENSE): whoever combines claims knows which there are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kallmodsyms import elf, files
from kallmodsyms.attribute.claims import Claim
from kallmodsyms.errors import InputError

NAME = "builtin-ranges"

_LINE = re.compile(r"(\S+) ([0-9a-f]{8,16})-([0-9a-f]{8,16}) (?:= (\S+)|(\w+(?: \w+)*))")


def claims(path: str | os.PathLike[str], addresses: Mapping[bytes, int], image: elf.Elf | None = None) -> list[Claim]:
    """What the file says, sorted.

    addresses: of the symbols
    image: says where sections end; without it, what is behind a section's last range is unknown

    Raises InputError for a line that is none of such a file, for an unknown symbol, and where ranges overlap.
    """
    sections = {section.name: section.end for section in image.sections} if image is not None else {}
    found: list[Claim] = []
    bases: dict[str, int] = {}
    reach: dict[str, int] = {}
    for number, line in enumerate(files.read_text(path).splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError("not '.SECTION START-END MODULE ...'", path=path, line=number, text=line)
        section, start, end, anchor, names = match[1], int(match[2], 16), int(match[3], 16), match[4], match[5]
        if anchor is not None:
            address = addresses.get(anchor.encode())
            if address is None:
                raise InputError(f"the kernel has no symbol {anchor}", path=path, line=number, text=line)
            bases[section] = reach[section] = address - start
            continue
        if section not in bases:
            raise InputError(f"no line above says where {section} is", path=path, line=number, text=line)
        start, end = bases[section] + start, bases[section] + end
        if not reach[section] <= start < end or end > sections.get(section, end):
            raise InputError("the range is not behind the last one, or not in the section", path=path, line=number,
                             text=line, cure="take the file of the very same version")  # fmt: skip
        if start > reach[section]:
            found.append(Claim(reach[section], start, "[]", NAME))
        found.append(Claim(start, end, f"[{names}]", NAME))
        reach[section] = end
    found += [Claim(end, sections[name], "[]", NAME) for name, end in reach.items() if sections.get(name, end) > end]
    return sorted(found)
