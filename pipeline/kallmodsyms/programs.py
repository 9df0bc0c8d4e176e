"""Running a tool: a command enters; what it printed goes to a file, the user or, if it failed, into the error."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.errors import InputError


def run(
    command: Sequence[str],
    directory: str | os.PathLike[str] = ".",
    output: str | None = None,
    quiet: bool = False,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a tool in `directory`, its standard output into the file `output` there or on to our standard error.

    quiet: what it says does not matter unless it fails
    environment: its variables; None for those of this process
    Raises InputError with the tool's messages if it is absent, fails or is killed.
    """
    try:
        # close_fds: a make below must find the jobserver's descriptors.
        done = subprocess.run(command, cwd=directory, capture_output=True, close_fds=False, env=environment)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}", text=shlex.join(command)) from None
    if output is not None and not done.returncode:
        files.write(os.path.join(directory, output), done.stdout)
        done.stdout = b""
    said = (done.stdout + done.stderr).decode("utf-8", "replace").rstrip()
    if done.returncode:
        ending = f"exit status {done.returncode}" if done.returncode > 0 else f"killed by signal {-done.returncode}"
        raise InputError(f"{Path(command[0]).name} failed ({ending})\n{said}".rstrip(), text=shlex.join(command))
    if said and not quiet:
        print(said, file=sys.stderr, flush=True)
