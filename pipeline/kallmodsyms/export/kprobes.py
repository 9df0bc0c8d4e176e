"""Kprobe events: a request enters; a line for kprobe_events for each function leaves.

    p:builtin_ext4/ext4_sync_file _text+2853120

A probe at an address, since the kernel refuses a name that several functions have (EADDRNOTAVAIL, since 6.7 and in
stable releases: "tracing/kprobes: Return EADDRNOTAVAIL when func matches several symbols"). The group is that of the
module, and not its name alone, under which its tracepoints are; the event is the function. Each has at most 63
characters: letters, digits and `_`.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from kallmodsyms.errors import InputError
from kallmodsyms.export.request import Export, Request

_NAME = 63
"""What an event's name may take: MAX_EVENT_NAME_LEN of kernel/trace/trace_probe.h, without the end."""


def events(request: Request) -> Export:
    """An event for each function of the modules. Raises InputError if the kernel has no _text to count from."""
    kernel = request.kernel
    base = kernel.address_of("_text")
    if base is None:
        raise InputError("does not say where _text is", path=kernel.path or None)
    chosen = np.flatnonzero(request.symbols & request.traceable.by_kprobes)
    # Aliases are one function; one probe is enough.
    _, first = np.unique(kernel.table.addresses[chosen], return_index=True)
    used: Counter[tuple[str, str]] = Counter()
    lines = []
    for index in chosen[first].tolist():
        symbol = kernel.table.symbol(index)
        group = _word("_".join(["builtin", *symbol.modules]))
        event = _word(symbol.name)
        used[group, event] += 1
        if (again := used[group, event]) > 1:
            event = f"{event[: _NAME - len(str(again)) - 1]}_{again}"
        lines.append(f"p:{group}/{event} _text+{symbol.address - base}\n")
    return Export("".join(lines))


def _word(name: str) -> str:
    """What an event or a group may be called.

    >>> _word("lio_get_regs_len.constprop.0"), _word("8250")
    ('lio_get_regs_len_constprop_0', '_8250')
    """
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return (f"_{word}" if word[:1].isdigit() else word)[:_NAME]
