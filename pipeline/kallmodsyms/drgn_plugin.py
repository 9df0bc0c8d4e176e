"""A plugin of drgn: a program that is a kernel enters, running or a vmcore; whose an address is leaves.

    from kallmodsyms.drgn_plugin import whose
    whose(prog, 0xffffffff812f3a48)         # Found(symbol, offset, modules), as Kernel.find has it

drgn loads this by itself (the entry point `drgn.plugins`), and then has a symbol finder `kallmodsyms`, with the sizes
that /proc/kallsyms lacks; `prog.set_enabled_symbol_finders(["kallmodsyms"])` turns it on. The kernel is the image that
$KALLMODSYMS names, or that drgn loaded for debugging, or, of a running one, its own /proc/kallmodsyms.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import drgn

from kallmodsyms.errors import InputError
from kallmodsyms.kernel import Found, Kernel, Symbol

IMAGE = "KALLMODSYMS"


def kernel(prog: drgn.Program) -> Kernel:
    """The kernel that `prog` is, where it is in memory; opened once a program.

    Raises InputError if there is none with module tables, or it is of another build.
    """
    known: Kernel | None = prog.cache.get(__name__)
    if known is None:
        prog.cache[__name__] = known = _open(prog)
    return known


def whose(prog: drgn.Program, address: int) -> Found | None:
    """The symbol that an address lies in or behind, how far, and the modules of the byte; None for no symbol."""
    return kernel(prog).find(address)


def drgn_prog_set(prog: drgn.Program) -> None:
    """Called by drgn when it knows what it debugs."""
    if prog.flags & drgn.ProgramFlags.IS_LINUX_KERNEL:
        prog.register_symbol_finder("kallmodsyms", _symbols)


def _open(prog: drgn.Program) -> Kernel:
    path = os.environ.get(IMAGE) or _debugged(prog)
    if prog.flags & drgn.ProgramFlags.IS_LIVE:
        return Kernel.live(path)
    if path is None:
        raise InputError(
            "which image is this vmcore of?", cure=f"set {IMAGE}=VMLINUX, or load the vmlinux: drgn -s VMLINUX"
        )
    found = Kernel.open(path)
    build_id = prog.main_module().build_id
    if build_id is None or found.build_id != build_id.hex():
        raise InputError("is not the image of this vmcore: the build ids differ", path=path)
    return found.moved(prog.symbol("_text").address - (found.address_of("_text") or 0))


def _debugged(prog: drgn.Program) -> str | None:
    try:
        path: str | None = prog.main_module().debug_file_path
    except LookupError:
        return None
    return path


def _symbols(prog: drgn.Program, name: str | None, address: int | None, one: bool) -> Sequence[drgn.Symbol]:
    """What a symbol finder of drgn is asked."""
    known = kernel(prog)
    found: Sequence[Symbol] = known.symbols if name is None else known.find(name)
    if address is not None:
        place = known.find(address)
        inside = place is not None and place.symbol.size is not None and place.offset < place.symbol.size
        found = [place.symbol] if place is not None and inside and name in (None, place.symbol.name) else []
    return [_symbol(symbol) for symbol in (found[:1] if one else found)]


def _symbol(symbol: Symbol) -> drgn.Symbol:
    kind = drgn.SymbolKind.FUNC if symbol.type in "tTwW" else drgn.SymbolKind.OBJECT
    # A module's symbols are in lower case whatever their binding; who asks for one by name means any.
    binding = drgn.SymbolBinding.GLOBAL if symbol.type.isupper() else drgn.SymbolBinding.LOCAL
    return drgn.Symbol(symbol.name, symbol.address, symbol.size or 0, binding, kind)
