"""Claims, best evidence first, enter; the modules of each symbol, and what they rest on, leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kallmodsyms.attribute import claims as _claims
from kallmodsyms.attribute.claims import Claim
from kallmodsyms.attribute.recipe import Recipe
from kallmodsyms.attribute.subject import Subject
from kallmodsyms.kallsyms import owners
from kallmodsyms.kallsyms.attributed import Attributed
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.names import TEXT_LETTERS, Module, ModuleList

SCRIPT, UNKNOWN, DATA = "script", "unknown", "-"
"""What a symbol rests on besides the names of rungs: the linker script defines it; nothing; it is no code, so that
nobody asks.
"""
OTHERS = (SCRIPT, UNKNOWN)


class _Named(NamedTuple):
    """A module of which a claim knows the name alone."""

    object: str
    members: tuple[str, ...]


def attribute(subject: Subject, recipe: Recipe, rungs: Iterable[Sequence[Claim]]) -> Attributed:
    """Whose the symbols of `subject` are. rungs: what each kind of evidence says, best first

    A symbol of the linker script is nobody's. A label without a size, where the bytes of one list of modules end and
    those of another begin, may be of either, and is unknown.
    """
    symbols, chosen = subject.symbols, subject.chosen
    claims = _claims.combined(rungs)
    modules: list[Module] = [*recipe.modules, *_named(claims, recipe)]
    borders = _borders(claims, owners.lists_of_objects(modules))
    apart: dict[_Key, str] = {}
    sizes = [0] * len(symbols) if symbols.sizes is None else symbols.sizes.tolist()
    for address, name, size in zip(symbols.addresses.tolist(), symbols.names, sizes, strict=True):
        if not size and name in recipe.labels:
            apart[_key(address, name)] = SCRIPT
        elif not size and symbols.sizes is not None and address in borders:
            apart[_key(address, name)] = UNKNOWN
    whose = owners.attribute(symbols, claims, modules, dict.fromkeys(apart))

    addresses = symbols.addresses[chosen.index]
    at = _claims.positions(claims, addresses).tolist()
    kinds = [UNKNOWN if place < 0 else claims[place].evidence for place in at]
    is_text = np.isin(chosen.types, np.frombuffer(TEXT_LETTERS, np.uint8)).tolist()
    table = Kallsyms(
        bits=symbols.bits,
        addresses=addresses,
        absolute=chosen.absolute,
        sizes=None if symbols.sizes is None else symbols.sizes[chosen.index],
        types=chosen.types.tobytes(),
        names=chosen.names,
        lists=whose.lists,
        of_symbols=whose.of_symbols[chosen.index],
        runs=whose.starts,
        of_runs=whose.of_runs,
        has_modules=True,
        sections=subject.sections,
        objects={},
    )
    paths = ["" if path.startswith("[") else path for path in whose.paths]
    return Attributed(
        table=table,
        build_id=subject.build_id,
        evidence=[
            apart.get(_key(address, name), kind) if text else DATA
            for text, address, name, kind in zip(is_text, addresses.tolist(), chosen.names, kinds, strict=True)
        ],
        objects=[paths[number] for number in whose.path_of_symbols[chosen.index].tolist()],
    )


_Key = tuple[int, str]


def _key(address: int, name: bytes) -> _Key:
    return address, name.decode("utf-8", "surrogateescape")


def _named(claims: Iterable[Claim], recipe: Recipe) -> list[_Named]:
    """Of each claim that knows modules alone, those that are modules in this configuration."""
    known = {name for names in recipe.lists.values() for name in names}
    paths = dict.fromkeys(claim.path for claim in claims if claim.path.startswith("["))
    return [_Named(f"{name}.o", (path,)) for path in paths for name in path[1:-1].split() if name in known]


def _borders(claims: Sequence[Claim], lists: Mapping[str, ModuleList]) -> set[int]:
    """Where one claim ends and another begins, of objects of other modules."""
    return {
        one.end
        for one, other in pairwise(claims)
        if one.end == other.start and lists.get(one.path) != lists.get(other.path)
    }
