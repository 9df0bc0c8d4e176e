"""A build directory in; the right to build there, which one process at a time has, out.

OBJ/.kallmodsyms/lock is locked (flock(2)) as long as the process lives, however it ends, and says who it is.

The processes that doit forks (-n) share the lock. Of a doit that is killed they would be left, waiting for ever for
something to do; so they end with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TextIO

from kallmodsyms import errors
from kallmodsyms.names import FOLDER

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_held: dict[Path, TextIO] = {}


def take(objdir: Path) -> None:
    """Wait until nobody else builds in `objdir`, saying for whom.

    Where nothing can be written there is no turn to take, and whatever is tried will say so.
    """
    path = objdir.resolve() / FOLDER / "lock"
    if path in _held:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # No link is followed: who may write here could have put one, and this is written to.
        there = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        stream = open(there, "r+", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 (held to the end)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            errors.warn([f"{objdir} is being built by {stream.read().strip() or 'another process'}; waiting for it"])
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(f"process {os.getpid()}: {shlex.join(sys.orig_argv)}\n")
        stream.flush()
        if not _held:
            os.register_at_fork(after_in_child=partial(_end_with, os.getpid()))
        _held[path] = stream


def _end_with(parent: int) -> None:
    """Let this process be killed when its parent ends."""
    import ctypes  # needed in these processes alone, and takes long to import

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before
