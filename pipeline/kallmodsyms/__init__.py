"""Which module does a kernel symbol belong to, built in or not.

    from kallmodsyms import Kernel

    kernel = Kernel.open("build/vmlinux")
    kernel.find(0xffffffff812f3a48)     # Found(symbol, offset, modules)
    kernel.find("ext4_fill_super")      # [Symbol(address, size, type, name, modules, object)]
    kernel.modules["ext4"].symbols      # [Symbol(...), ...]

`kallmodsyms.kernel` says what each of these is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallmodsyms.kernel import Found as Found
    from kallmodsyms.kernel import Kernel as Kernel
    from kallmodsyms.kernel import Module as Module
    from kallmodsyms.kernel import Symbol as Symbol

__all__ = ["Found", "Kernel", "Module", "Symbol"]


def __getattr__(name: str) -> object:
    # On demand: what is behind it imports numpy, which takes longer than a build with nothing to do.
    if name in __all__:
        from kallmodsyms import kernel

        return getattr(kernel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
