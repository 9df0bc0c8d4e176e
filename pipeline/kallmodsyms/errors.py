"""What a user is told when an input is wrong: one message, no traceback.

Every stage raises `InputError`; the command line and the task graph print it and stop. What is only odd is a warning.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator


class InputError(Exception):
    """Something outside this program is wrong: a file, a tool, a value.

    The message reads `path:line: what is wrong`, then the offending text in quotes, then what to do about it.

    path: the file it is about, or None where there is none (a missing tool, say)
    line: the line in that file, counted from 1, or None
    text: the offending piece of input, as it was read
    cure: what the user can do
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        text: str | None = None,
        cure: str | None = None,
    ) -> None:
        self.message = message
        self.path = None if path is None else os.fspath(path)
        self.line = line
        self.text = text
        self.cure = cure
        super().__init__(str(self))

    def __str__(self) -> str:
        place = "" if self.path is None else self.path if self.line is None else f"{self.path}:{self.line}"
        lines = [f"{place}: {self.message}" if place else self.message]
        if self.text is not None:
            lines.append(f"    {self.text.strip()}")
        if self.cure is not None:
            lines.append(f"  {self.cure}")
        return "\n".join(lines)


@contextlib.contextmanager
def placed(kind: type[InputError], path: str | None, line: int) -> Iterator[None]:
    """Say of an error of this kind, which is raised within and knows no place, where it is."""
    try:
        yield
    except kind as error:
        if error.path is not None:
            raise
        raise kind(error.message, path=path, line=line or None, text=error.text, cure=error.cure) from None


def warn(warnings: Iterable[str], messages: Iterable[str] = ()) -> None:
    """Print a line for each of the warnings on standard error; and before them, as they are, what makefiles told."""
    for message in messages:
        print(message, file=sys.stderr)
    for warning in warnings:
        print(f"kallmodsyms: warning: {warning}", file=sys.stderr, flush=True)
