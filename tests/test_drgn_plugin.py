"""The plugin in drgn itself; what it says in a running kernel is in test_tracers.py."""

import os

import drgn
import pytest

from kallmodsyms import Kernel, drgn_plugin

LISTING = (
    "ffffffff81000000 10 T _text\n"
    "ffffffff81000010 20 t ext4_one\t[ext4]\n"
    "ffffffff81000030 0 t label\n"
    "ffffffff81000050 20 t twice\t[ext4]\n"
    "ffffffff81000070 20 t twice\t[jbd2]\n"
    "ffffffff81000100 8 D variable\n"
)


@pytest.fixture
def prog():
    """A program whose symbols are those of the listing."""
    prog = drgn.Program()
    prog.cache[drgn_plugin.__name__] = Kernel.parse(LISTING.encode())
    prog.register_symbol_finder("kallmodsyms", drgn_plugin._symbols, enable_index=0)
    return prog


def test_drgn_loads_it_and_an_ordinary_process_is_left_alone(caplog):
    prog = drgn.Program()
    with caplog.at_level("DEBUG", "drgn.plugins"):
        prog.set_pid(os.getpid())
    assert "kallmodsyms" not in prog.registered_symbol_finders()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_symbols(prog):
    found = prog.symbol("ext4_one")
    assert (found.address, found.size, found.kind) == (0xFFFFFFFF81000010, 0x20, drgn.SymbolKind.FUNC)
    assert prog.symbol(0xFFFFFFFF8100002F) == found
    assert prog.symbol("variable").kind == drgn.SymbolKind.OBJECT
    assert [symbol.address & 0xFF for symbol in prog.symbols("twice")] == [0x50, 0x70]
    assert len(prog.symbols()) == 6
    for nothing in ("absent", 0xFFFFFFFF81000030, 0x10):
        with pytest.raises(LookupError):
            prog.symbol(nothing)


def test_whose(prog):
    found = drgn_plugin.whose(prog, 0xFFFFFFFF81000074)
    assert (found.symbol.name, found.offset, found.modules) == ("twice", 4, ("jbd2",))
    assert drgn_plugin.whose(prog, 0x10) is None
