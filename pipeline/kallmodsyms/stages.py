"""Looking symbols up in an image: addresses or names enter, a line for each symbol found leaves."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from kallmodsyms.kallsyms import reader


def lookup(vmlinux: str | os.PathLike[str], queries: Sequence[str]) -> tuple[str, list[str]]:
    """One line for each symbol found, and the queries that nothing was found for.

    A query is an address in hexadecimal or a name; what the image has a symbol of that name for is a name. The line for a name is that
    of the listing, the line for an address `address symbol+offset/size`, behind a tab the modules that own the byte.
    """
    kallsyms = reader.read(vmlinux)
    digits = kallsyms.bits // 4
    lines: list[str] = []
    missing = []
    for query in queries:
        found = kallsyms.lookup(query)
        if not found and re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", query):
            address = int(query, 16)
            found = kallsyms.lookup(address)
            lines += [f"{address:0{digits}x} {_place(*one)}" for one in found]
        else:
            lines += [f"{one.symbol.address:0{digits}x} {_listed(one.symbol)}" for one in found]
        if not found:
            missing.append(query)
    return "".join(lines), missing


def _place(symbol: reader.Symbol, offset: int, modules: Sequence[str]) -> str:
    size = "" if symbol.size is None else f"/{symbol.size:#x}"
    return f"{symbol.name}+{offset:#x}{size}{_tail(modules)}\n"


def _listed(symbol: reader.Symbol) -> str:
    size = "" if symbol.size is None else f"{symbol.size:x} "
    letter = symbol.type.lower() if symbol.modules else symbol.type
    return f"{size}{letter} {symbol.name}{_tail(symbol.modules, symbol.object)}\n"


def _tail(modules: Sequence[str], path: str = "") -> str:
    parts = [f"[{name}]" for name in modules] + [f"{{{path}}}"] * bool(path)
    return "\t" + " ".join(parts) if parts else ""
