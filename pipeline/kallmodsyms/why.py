"""What somebody calls a part of a build in; why it must be made again out: the answer of the ledger, looked up and
not worked out.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

from kallmodsyms.errors import InputError
from kallmodsyms.plan import Steps


def answer(steps: Steps, what: str) -> str | None:
    """Why `what` must be made again; None if it need not.

    what: a step (`compile:fs/minix/inode.o`), a directory of the tree (`fs/minix`), or a file that a step writes
    Raises InputError for what is none of these, with names that are near.
    """
    plan = steps.plan
    path = os.path.relpath(what, steps.configured.objdir) if os.path.exists(what) else os.path.normpath(what)
    name = next((step for step in (what, plan.writers.get(what), plan.writers.get(path)) if step in plan.steps), None)
    if name is not None:
        return plan.why(name)
    kernel = steps.configured.kernel
    if os.path.normpath(what) in kernel.directories:
        return kernel.memory.reasons.get(os.path.normpath(what))
    if kernel.directory_of(path) is not None:
        return plan.why("make" if "make" in plan.steps else "vmlinux")  # of a real tree: nothing makes it alone
    raise _unknown(
        f"{what} is no task, no directory that is built, and no file that a task makes",
        what,
        [*plan.steps, *plan.writers, *kernel.directories],
    )


def known(name: str, tasks: Iterable[str]) -> None:
    """Raise InputError, with names that are near, unless `name` is one of the tasks."""
    found = list(tasks)
    if name not in found:
        raise _unknown(f"{name} is no task", name, found)


def _unknown(problem: str, name: str, names: Iterable[str]) -> InputError:
    near = difflib.get_close_matches(name, names, 3, 0.6)
    return InputError(problem, cure=f"did you mean {' or '.join(near)}?" if near else "doit list --all names the tasks")
