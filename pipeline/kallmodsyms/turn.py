"""A build directory in; the right to build there, which one process at a time has, out.

OBJ/.kallmodsyms/lock is locked (flock(2)) as long as the process lives, however it ends, and says who it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
from pathlib import Path
from typing import TextIO

from kallmodsyms import errors
from kallmodsyms.names import FOLDER

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
        _held[path] = stream
