"""SystemTap: a request enters; a tapset leaves, with an alias of probes for each module.

    probe builtin.ext4 = kernel.function("ext4_sync_file"), kernel.function("ext4_fill_super") {}

`probe builtin.ext4 { println(ppfunc()) }` then is what `probe module("ext4").function("*")` is for a loaded module. `?`
lets a function go by that the compiler left no trace of.
"""

from __future__ import annotations

import re

from kallmodsyms.export.request import Export, Request


def aliases(request: Request) -> Export:
    """A tapset."""
    can = request.traceable.by_kprobes
    text = []
    warnings: list[str] = []
    for module in request.names:
        found = Request(request.kernel, request.traceable, [module], request.root).named(can, all_of_a_name=True)
        # A part that the compiler split off is under its function's name in the debug data.
        names = sorted({name.partition(".")[0] for name in found.names})
        warnings += [f"{module}: {line}" for line in request.left_out(found.ambiguous)]
        if names:
            probes = ",\n".join(f'\tkernel.function("{name}")?' for name in names)
            text.append(f"probe builtin.{re.sub('^(?=[0-9])', '_', module)} =\n{probes}\n{{\n}}\n")
    return Export("\n".join(text), warnings)
