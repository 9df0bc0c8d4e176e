"""Rung 1: the debug data of an image enters; claims, from the ranges of its compile units, leave.

    DW_TAG_compile_unit
        DW_AT_name      fs/ext4/fsync.c, relative to DW_AT_comp_dir, or to wherever -fdebug-prefix-map says
        DW_AT_ranges    [ffffffff81396d10, ffffffff81397085) [ffffffff81a1b20e, ffffffff81a1b238)

Read with pyelftools: a unit's header and its first entry, which takes 20 s for the 2,352 units of Debian's 6.1 (174 MB
of .debug_info). Partial units (dwz) have no code of their own. The object of a unit is the one that Kbuild makes of its
source; where the source has another name or place, the order of the units says it, which is that of the link.
"""

from __future__ import annotations

import os
import posixpath
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from elftools.elf.elffile import ELFFile

from kallmodsyms import elf
from kallmodsyms.attribute import order
from kallmodsyms.attribute.claims import Claim
from kallmodsyms.errors import InputError

NAME = "dwarf"

_DEBUG_DIRECTORY = Path("/usr/lib/debug/.build-id")
_SHARE = 0.02
"""A directory that is the top of this share of the units' paths is the top of a tree, and no chance."""


class Unit(NamedTuple):
    """A compile unit. ranges: (start, end) of its code"""

    name: str
    directory: str
    ranges: tuple[tuple[int, int], ...]


def has_debug_data(image: elf.Elf) -> bool:
    """Whether the image has it itself, compressed or not."""
    return any(section.name in (".debug_info", ".zdebug_info") and section.size for section in image.sections)


def separate(image: elf.Elf, directory: Path = _DEBUG_DIRECTORY) -> Path | None:
    """Where debuggers would find the debug data of an image that has none: by its build id, or by the name in its
    .gnu_debuglink; None where there is nothing.
    """
    identity = image.build_id()
    found = [] if identity is None else [directory / identity[:2] / f"{identity[2:]}.debug"]
    link = next((section for section in image.sections if section.name == ".gnu_debuglink"), None)
    if link is not None:
        name = os.fsdecode(image.contents(link).partition(b"\0")[0])
        found += [image.path.parent / name, image.path.parent / ".debug" / name]
    return next((path for path in found if path.is_file()), None)


def confirm_same_build(image: elf.Elf, debug: elf.Elf) -> None:
    """Raise InputError unless the build ids are equal."""
    ours, theirs = image.build_id(), debug.build_id()
    if ours is None or ours != theirs:
        problem = f"its build id is {theirs or 'unknown'}, that of {image.path} is {ours or 'unknown'}"
        raise InputError(
            f"is debug data of another build: {problem}",
            path=debug.path,
            cure="take the debug package of the very same version",
        )


def units(path: str | os.PathLike[str]) -> list[Unit]:
    """The compile units of an ELF file with debug data, in the order of .debug_info. Raises InputError."""
    try:
        with ELFFile.load_from_path(os.fspath(path)) as file:
            return _units(file.get_dwarf_info(relocate_dwarf_sections=file.header.e_type == "ET_REL"))
    except Exception as error:
        # Damaged data makes pyelftools fail in every way that Python knows.
        raise InputError(
            f"the debug data cannot be read: {error or type(error).__name__}",
            path=path,
            cure="the file is truncated or damaged: get it again, or give an image without debug data",
        ) from error


def _units(info: Any) -> list[Unit]:
    lists = info.range_lists()
    size = info.debug_info_sec.size
    result = []
    end = 0
    for unit in info.iter_CUs():
        end = unit.cu_offset + unit.size
        if end > size:
            raise ValueError(f"the unit at {unit.cu_offset:#x} goes up to {end:#x}, and .debug_info to {size:#x}")
        top = unit.get_top_DIE()
        if top.tag != "DW_TAG_compile_unit":
            continue
        attributes = top.attributes
        name, directory = (
            os.fsdecode(attributes[key].value) if key in attributes else "" for key in ("DW_AT_name", "DW_AT_comp_dir")
        )
        result.append(Unit(name, directory, tuple(_ranges(unit, attributes, lists))))
    if end != size:
        raise ValueError(f"behind the last unit are {size - end} bytes")
    return result


def _ranges(unit: Any, attributes: Any, lists: Any) -> list[tuple[int, int]]:
    low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
    if "DW_AT_ranges" not in attributes:
        if "DW_AT_high_pc" not in attributes:
            return []
        high = attributes["DW_AT_high_pc"]
        end = high.value if high.form == "DW_FORM_addr" else low + high.value
        return [(low, end)] if end > low else []
    found = []
    base = low
    for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
        if hasattr(entry, "base_address"):
            base = entry.base_address
        elif entry.end_offset > entry.begin_offset:
            start = 0 if entry.is_absolute else base
            found.append((start + entry.begin_offset, start + entry.end_offset))
    return found


def objects_of(found: Sequence[Unit], objects: Sequence[str]) -> list[str | None]:
    """The object of each unit; None where it is not known.

    objects: in link order
    """
    stems = [path.removesuffix(".o") for path in objects]
    tops = _tops(found, set(stems))
    names = [_below(unit, tops) for unit in found]
    return [None if at is None else objects[at] for at in order.matched(names, stems)]


def _paths(unit: Unit) -> list[str]:
    """What the unit's source may be called, without its suffix: as it stands, and from its directory on."""
    joined = posixpath.normpath(posixpath.join(unit.directory, unit.name))
    return [posixpath.splitext(path)[0] for path in dict.fromkeys((posixpath.normpath(unit.name), joined))]


def _tops(found: Sequence[Unit], stems: set[str]) -> list[str]:
    """The directories, with a slash at the end, below which the sources are: the tree, the build directory, or nothing
    where the names are relative to these already. Those of most units come first.
    """
    votes: Counter[str] = Counter()
    for unit in found:
        for path in _paths(unit):
            at = 0
            while at >= 0 and path[at:] not in stems:
                at = path.find("/", at) + 1 or -1
            if at >= 0:
                votes[path[:at]] += 1
    tops = [top for top, count in votes.most_common() if count >= _SHARE * len(found)]
    return [*tops, *(f"{unit.directory}/" for unit in found[:1])]


def _below(unit: Unit, tops: Sequence[str]) -> str:
    """The path of the unit's source below the first of `tops` that it is below, without its suffix."""
    paths = _paths(unit)
    return next((path.removeprefix(top) for top in tops for path in paths if path.startswith(top)), paths[0])


def claims(found: Sequence[Unit], objects: Sequence[str], sections: Sequence[tuple[int, int]]) -> list[Claim]:
    """The claims of the units whose object is known, sorted.

    objects: in link order
    sections: (start, end) of those with code, ascending. A range in none of them is of code that was not linked

    What lies between two ranges of one unit, in one section and with no other unit's between them, is claimed too:
    padding, and what inline assembler made.
    """
    starts = [start for start, _ in sections]
    result: list[Claim] = []
    last = (-1, "")
    paths = objects_of(found, objects)
    for start, end, path in sorted(
        (start, end, path or "") for unit, path in zip(found, paths, strict=True) for start, end in unit.ranges
    ):
        section = bisect_right(starts, start) - 1
        if section < 0 or end > sections[section][1]:
            continue
        if path and last == (section, path):
            result[-1] = result[-1]._replace(end=max(end, result[-1].end))
        elif path:
            result.append(Claim(start, end, path, NAME))
        last = (section, path)
    return result
