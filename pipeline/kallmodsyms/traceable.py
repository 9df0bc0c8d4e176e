"""A kernel enters; which of its functions ftrace can trace and kprobes can probe leaves.

The image has both in tables of its own, which its start-up code reads:

    __start_mcount_loc .. __stop_mcount_loc      the places that ftrace patches (kernel/trace/ftrace.c), since 2.6.28
    __start_kprobe_blacklist .. __stop_…         functions marked NOKPROBE_SYMBOL (kernel/kprobes.c), since 3.15
    __kprobes_text, __noinstr_text, __entry_text whole sections that kprobes refuse, each from _start to _end

A running kernel says it in available_filter_functions and in kprobes/blacklist.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import elf, running
from kallmodsyms.kernel import Kernel
from kallmodsyms.names import TEXT_LETTERS

_REFUSED = ("__kprobes_text", "__noinstr_text", "__entry_text")


@dataclass(frozen=True)
class Traceable:
    """Which symbols of a kernel can be traced: columns of booleans, one a symbol of the table.

    functions: functions of the image that are there after boot
    traced: those that ftrace patches; None if that is not known (a kernel without it, or a listing alone)
    refused: those that kprobes refuse, as far as that is known
    """

    functions: NDArray[np.bool_]
    traced: NDArray[np.bool_] | None
    refused: NDArray[np.bool_]

    @property
    def by_ftrace(self) -> NDArray[np.bool_]:
        """What a filter of ftrace can name."""
        return self.functions if self.traced is None else self.functions & self.traced

    @property
    def by_kprobes(self) -> NDArray[np.bool_]:
        """Where a kprobe event can be: kernels with ftrace refuse functions that it does not patch (since 4.20)."""
        return self.by_ftrace & ~self.refused


def of(kernel: Kernel) -> Traceable:
    """What the kernel's image says; of a kernel that is a listing, only what its symbols say. Raises InputError."""
    image = kernel.image
    traced = None
    refused = _within(
        kernel, [bounds for name in _REFUSED if (bounds := _bounds(kernel, f"{name}_start", f"{name}_end"))]
    )
    if image is not None:
        sites = _words(kernel, image, "__start_mcount_loc", "__stop_mcount_loc")
        if len(sites):
            found = kernel.locate(sites)
            symbols = found.symbols
            if kernel.table.sizes is not None:
                # Behind a function are the places of a weak one that another replaced, which ftrace leaves alone.
                symbols = symbols[found.offsets < kernel.table.sizes[symbols]]
            traced = _marked(kernel, symbols)
        refused |= _marked(
            kernel, kernel.locate(_words(kernel, image, "__start_kprobe_blacklist", "__stop_kprobe_blacklist")).symbols
        )
    return Traceable(_functions(kernel), traced, refused)


def live(kernel: Kernel, root: str | os.PathLike[str] = "/") -> Traceable:
    """What the running kernel says; where it does not, or not to us, what the image says."""
    known = of(kernel)
    listed = running.tracing("available_filter_functions", root)
    if listed is not None:
        names = set(re.findall(rb"^(\S+)$", listed, re.MULTILINE))
        known = Traceable(
            known.functions, np.array([name in names for name in kernel.table.names], np.bool_), known.refused
        )
    blacklist = running.kprobes_blacklist(root)
    return known if blacklist is None else Traceable(known.functions, known.traced, _within(kernel, blacklist))


def _functions(kernel: Kernel) -> NDArray[np.bool_]:
    table = kernel.table
    text = np.isin(np.frombuffer(table.types, np.uint8), np.frombuffer(TEXT_LETTERS, np.uint8))
    init = _within(kernel, [bounds] if (bounds := _bounds(kernel, "__init_begin", "__init_end")) else [])
    sized = np.ones(len(table), np.bool_) if table.sizes is None else table.sizes > 0
    return text & sized & ~init & kernel.inside


def _bounds(kernel: Kernel, first: str, last: str) -> tuple[int, int] | None:
    start, end = kernel.address_of(first), kernel.address_of(last)
    return None if start is None or end is None else (start, end)


def _words(kernel: Kernel, image: elf.Elf, first: str, last: str) -> NDArray[np.uint64]:
    """The addresses in a table of the image. A word of 0 was a weak function that another one replaced."""
    bounds = _bounds(kernel, first, last)
    if bounds is None or bounds[0] == bounds[1]:
        return np.zeros(0, np.uint64)
    size = image.bits // 8
    start = bounds[0] - kernel.distance
    words = image.words_at(start, (bounds[1] - bounds[0]) // size, size)
    return words[words > 0] + np.uint64(kernel.distance % 2**64)


def _within(kernel: Kernel, ranges: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which symbols begin in one of `ranges`, which are (start, end)."""
    found = np.zeros(len(kernel.table), np.bool_)
    for start, end in ranges:
        first, last = np.searchsorted(kernel.table.addresses, np.array([start, end], np.uint64))
        found[first:last] = True
    return found


def _marked(kernel: Kernel, symbols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which symbols begin where one of `symbols` does: a function and its aliases."""
    wanted = kernel.table.addresses[symbols[symbols >= 0]]
    return np.isin(kernel.table.addresses, wanted)
