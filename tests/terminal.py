"""A terminal in a test: pexpect runs a command on one of its own, pyte shows what stands on it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pyte


class Terminal:
    """A command, and the terminal that it runs on.

    frames: the lower lines of what stood there, each time that something was printed
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        columns: int = 80,
        lines: int = 12,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=10000, ratio=0.001)
        self._stream = pyte.ByteStream(self.screen)
        self.frames: list[list[str]] = []
        self.raw = b""
        program, *words = map(os.fspath, command)
        given = {**os.environ, "TERM": "xterm", **(environment or {})}
        given.pop("NO_COLOR", None) if "NO_COLOR" not in (environment or {}) else None
        self.process = pexpect.spawn(
            program, words, dimensions=(lines, columns), cwd=directory, env=given, timeout=60, echo=False
        )

    def until(self, text: str) -> None:
        """Read until a text stands on the terminal."""
        while not any(text in line for line in self.screen.display):
            self._read()

    def end(self) -> int | None:
        """Read until the command has ended; its exit status."""
        try:
            while True:
                self._read()
        except pexpect.EOF:
            self.process.close()
        return self.process.exitstatus

    def _read(self) -> None:
        data = self.process.read_nonblocking(4096, timeout=60)
        self.raw += data
        self._stream.feed(data)
        self.frames.append([line.rstrip() for line in self.screen.display])

    @property
    def text(self) -> list[str]:
        """All lines, those that were scrolled away first."""
        above = [
            "".join(row[column].data for column in range(self.screen.columns)).rstrip()
            for row in self.screen.history.top
        ]
        return [*above, *(line.rstrip() for line in self.screen.display)]
