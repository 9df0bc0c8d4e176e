"""Listings in the form of /proc/kallsyms, for tools that take a file in its place: a request enters, text leaves.

All symbols are there, since a tool takes the nearest one below an address; those of the modules asked for say so:

    behind      ffffffff812f3a40 t ext4_fill_super [ext4]
    before      ffffffff812f3a40 t ext4`ext4_fill_super
    kallsyms    ffffffff812f3a40 t ext4_fill_super<TAB>[ext4]

The last is what /proc/kallsyms has for loaded modules. perf drops such a symbol unless it also knows where the module
was loaded, and behind a blank takes the bracket for a part of the name; but from a symbol with a bracket to one without
it sees the end of a module, and gives the first of them the rest of its page (tools/perf/util/symbol.c of Linux 6.1,
symbols__fixup_end), so that `before` is the more exact form.

A trace of trace-cmd has the symbols that /proc/kallsyms had when it was made. Those of --kallsyms are added, and which
of two at one address is shown is up to a search (3.1.6).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kallmodsyms.export.request import Export, Request
from kallmodsyms.kallsyms import listing
from kallmodsyms.names import ModuleList


def behind(request: Request) -> Export:
    """`name [module]`, of several modules each in brackets of its own."""
    return _listing(request, lambda name, modules: " ".join([name, *(f"[{module}]" for module in modules)]))


def before(request: Request) -> Export:
    """module`name, as DTrace writes it; of several modules module+module`name."""
    return _listing(request, lambda name, modules: f"{'+'.join(modules)}`{name}")


def kallsyms(request: Request) -> Export:
    """A tab and [module], the first one of several: no reader takes a second."""
    return _listing(request, lambda name, modules: f"{name}\t[{modules[0]}]")


def _listing(request: Request, form: Callable[[str, ModuleList], str]) -> Export:
    kernel = request.kernel
    owned = np.flatnonzero(request.symbols).tolist()
    rows = list(kernel.table.kallsyms_rows())
    for index in owned:
        address, size, letter, name, _, suffix = rows[index]
        rows[index] = (address, size, letter, form(name, kernel.table.symbol(index).modules), (), suffix)
    for index in np.flatnonzero(~kernel.inside).tolist():
        rows[index] = (*rows[index][:4], kernel.table.symbol(index).modules, "")
    return Export(listing.text(rows, kernel.bits).decode("utf-8", "surrogateescape"))
