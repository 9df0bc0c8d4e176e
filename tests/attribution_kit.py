"""How right an attribution is: what was made of a kernel that we linked, against the kernel's own exact tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kallmodsyms import Kernel
from kallmodsyms.attribute import evidence, recipe, subject, whose
from kallmodsyms.kallsyms.attributed import Attributed
from kallmodsyms.names import ModuleList


@dataclass
class Score:
    """Text symbols, and those of them that belong to a module.

    right, wrong: names of symbols that were attributed
    unknown: names of those that were not; `unknown_of_modules` of those of a module
    """

    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unknown_of_modules: list[str] = field(default_factory=list)
    of_modules: int = 0

    @property
    def total(self) -> int:
        return len(self.right) + len(self.wrong) + len(self.unknown)


def truth(kernel: Kernel) -> dict[tuple[int, str], ModuleList]:
    """Distance from _text and name of each text symbol, to its modules."""
    base = kernel.address_of("_text")
    return {
        (symbol.address - base, symbol.name): symbol.modules for symbol in kernel.symbols if symbol.type.lower() in "tw"
    }


def score(found: Attributed, exact: dict[tuple[int, str], ModuleList]) -> Score:
    """Every symbol of the attribution must be one of the kernel's."""
    result = Score()
    kernel = Kernel(found.table)
    base = kernel.address_of("_text")
    for symbol, kind in zip(kernel.symbols, found.evidence, strict=True):
        if symbol.type.lower() not in "tw":
            assert kind == "-"
            continue
        modules = exact[symbol.address - base, symbol.name]
        result.of_modules += bool(modules)
        if kind == whose.UNKNOWN:
            assert symbol.modules == ()
            result.unknown.append(symbol.name)
            result.unknown_of_modules += [symbol.name] * bool(modules)
        else:
            (result.right if symbol.modules == modules else result.wrong).append(symbol.name)
    return result


def by_rungs(
    image: object, tree: object, config: object, ranges: object = None, variables: dict[str, str] | None = None
) -> dict[str, Attributed]:
    """The attribution by each rung that there is alone, and by `all` of them."""
    debug = evidence.debug_file(image, None)
    made_of = recipe.read(tree, config, "x86", variables)
    what = subject.of(image, made_of.options, made_of.dialect, debug)
    claims = evidence.gather(what, made_of, debug, ranges).claims
    rungs: dict[str, Sequence[object]] = {name: [claims[name]] for name in claims} | {"all": list(claims.values())}
    return {name: whose.attribute(what, made_of, chosen) for name, chosen in rungs.items()}
