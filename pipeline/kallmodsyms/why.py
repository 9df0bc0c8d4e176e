"""What somebody calls a part of a build in; why it must be made again out: the answer of the ledger, looked up and
not worked out.
"""

from __future__ import annotations

import difflib
import os

from kallmodsyms.errors import InputError
from kallmodsyms.plan import Steps


def answer(steps: Steps, what: str) -> str | None:
    """Why `what` must be made again; None if it need not.

    what: a step (`compile:fs/minix/inode.o`), a directory of the tree (`fs/minix`), or a file that a step writes
    Raises InputError for what is none of these, with names that are near.
    """
    plan = steps.plan
    name = what if what in plan.steps else plan.writers.get(what)
    if name is not None:
        return plan.why(name)
    path = os.path.normpath(what)
    kernel = steps.configured.kernel
    if path in kernel.directories:
        return kernel.memory.reasons.get(path)
    near = difflib.get_close_matches(what, [*plan.steps, *plan.writers, *kernel.directories], 3, 0.6)
    cure = f"did you mean {' or '.join(near)}?" if near else "doit list --all names the tasks"
    raise InputError(f"{what} is no task, no directory that is built, and no file that a task makes", cure=cure)
