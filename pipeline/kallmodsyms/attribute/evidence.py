"""A subject and what it was made of enter; what each kind of evidence says, best first, leaves.

Debug data comes first. modules.builtin.ranges was made from the linker's own map, but knows of no objects. Files and
names reach what these leave, as far as the order of the link is unambiguous.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kallmodsyms import elf
from kallmodsyms.attribute import builtin_ranges, dwarf, filesymbols, names, subject
from kallmodsyms.attribute.claims import Claim
from kallmodsyms.attribute.recipe import Recipe
from kallmodsyms.attribute.subject import Subject
from kallmodsyms.errors import InputError

Path = str | os.PathLike[str]

_MATCHED = 0.9
"""The share of compile units whose source must be one of the tree and the configuration."""


class Found(NamedTuple):
    """claims: of each rung that there is, best first
    notes: which rungs there are not, and why
    """

    claims: dict[str, list[Claim]]
    notes: list[str]


def debug_file(path: Path, named: Path | None) -> elf.Elf | None:
    """The file with the debug data of an image: `named`, itself, or where debuggers look for it; None if there is none.

    Raises InputError if it is of another build.
    """
    if not subject.is_elf(path):
        if named is not None:
            raise InputError("is no ELF file: debug data cannot be compared with it", path=path)
        return None
    image = elf.Elf(path)
    other = named or (None if dwarf.has_debug_data(image) else dwarf.separate(image))
    if other is None:
        return image if dwarf.has_debug_data(image) else None
    debug = elf.Elf(other)
    dwarf.confirm_same_build(image, debug)
    if not dwarf.has_debug_data(debug):
        raise InputError("has no debug data", path=other)
    return debug


def gather(found: Subject, recipe: Recipe, debug: elf.Elf | None, ranges: Path | None) -> Found:
    """What there is.

    debug: of the image, as `debug_file` finds it
    ranges: modules.builtin.ranges of the same build
    Raises InputError.
    """
    if found.release is not None and found.release.split(".")[:2] != recipe.release.split(".")[:2]:
        raise InputError(
            f"is Linux {found.release}, and {recipe.tree} is Linux {recipe.release}",
            path=found.path,
            cure="take the source and the configuration of the very same version",
        )
    claims: dict[str, list[Claim]] = {}
    notes: list[str] = []
    if debug is not None:
        claims[dwarf.NAME] = _of_units(debug, found, recipe)
    else:
        notes.append(f"{found.path}: has no debug data; modules rest on what is left")
    if ranges is not None:
        claims[builtin_ranges.NAME] = builtin_ranges.claims(ranges, found.addresses, found.named)
    if found.named is not None and filesymbols.has_files(found.named):
        claims[filesymbols.NAME] = filesymbols.claims(found.named, found.symbols, recipe)
    else:
        notes.append(f"{found.path}: its symbols name no files; modules rest on what is left")
    claims[names.NAME] = names.claims(found.symbols, recipe)
    return Found(claims, notes)


def _of_units(debug: elf.Elf, found: Subject, recipe: Recipe) -> list[Claim]:
    units = dwarf.units(debug.path)
    # Link-time optimisation by gcc makes units of no source.
    sources = [unit for unit in units if unit.name != "<artificial>"]
    known = sum(path is not None for path in dwarf.objects_of(sources, recipe.objects))
    if known < _MATCHED * len(sources):
        raise InputError(
            f"of {len(sources)} compile units only {known} are of sources that {recipe.tree} has in this configuration",
            path=debug.path,
            cure="take the source and the configuration of the very same version",
        )
    return dwarf.claims(units, recipe.objects, found.symbols.executable or ())
