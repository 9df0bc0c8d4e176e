"""What every writer is given, and what it gives back."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError
from kallmodsyms.kernel import Kernel
from kallmodsyms.traceable import Traceable


class Export(NamedTuple):
    """text: what the tool reads; warnings: what is not in it, and why"""

    text: str
    warnings: Sequence[str] = ()


class Named(NamedTuple):
    """Functions that a tool can be told by name, and those it cannot.

    names: sorted, each once
    ambiguous: those whose name somebody else has, too: numbers of symbols
    """

    names: list[str]
    ambiguous: list[int]


@dataclass(frozen=True)
class Request:
    """modules: names, as `--module` gave them; none for all built-in ones
    root: where the running kernel's /proc and /sys are; None if the kernel is not the running one
    """

    kernel: Kernel
    traceable: Traceable
    modules: Sequence[str] = ()
    root: Path | None = field(default=None)

    @functools.cached_property
    def names(self) -> list[str]:
        """The modules, sorted. Raises InputError for one that is not built in."""
        kernel = self.kernel
        if not self.modules:
            return [module.name for module in kernel.modules.values() if not module.loaded]
        chosen = kernel.choose(self.modules)
        for module in chosen:
            if module.loaded:
                cure = "tracers know it by its name; nothing needs to be exported"
                raise InputError(f"{module.name} is not built in, but was loaded", path=kernel.path or None, cure=cure)
        return sorted({module.name for module in chosen})

    @functools.cached_property
    def symbols(self) -> NDArray[np.bool_]:
        """Which symbols belong to the modules."""
        table = self.kernel.table
        wanted = np.array([not set(names).isdisjoint(self.names) for names in table.lists], np.bool_)
        chosen: NDArray[np.bool_] = wanted[table.of_symbols] & self.kernel.inside
        return chosen

    def named(self, can: NDArray[np.bool_], all_of_a_name: bool) -> Named:
        """The functions of the modules among those that a tool `can` trace.

        all_of_a_name: whether the tool takes a name for all functions that are called so; else for any one of them
        """
        names = self.kernel.table.names
        mine = np.flatnonzero(self.symbols & can).tolist()
        count = Counter(names[index] for index in mine)
        # A name counts wherever kallsyms has it: a tool does not know that some of them cannot be traced.
        others = Counter(name for name in names if name in count)
        limit = count if all_of_a_name else dict.fromkeys(count, 1)
        good = sorted(name for name in count if others[name] == limit[name])
        bad = sorted(index for index in mine if others[names[index]] != limit[names[index]])
        return Named([name.decode("utf-8", "surrogateescape") for name in good], bad)

    def name(self, index: int) -> str:
        """The name of a symbol of the table."""
        return self.kernel.table.names[index].decode("utf-8", "surrogateescape")

    def left_out(self, ambiguous: Sequence[int]) -> list[str]:
        """The warning about functions that cannot be told by name."""
        if not ambiguous:
            return []
        return [
            f"left out, since other functions have the same name: {len(ambiguous)}; the first is "
            f"{self.name(ambiguous[0])}. `--for kprobes` has them all, by address"
        ]
