"""What a user sees of work that takes a while: what tasks, make and compilers print in; on a terminal the same lines
out, and below them one for each running task and a bar.

    Screen      the terminal while a build runs; Silence, with quiet=true
    ticking     the same for long work of our own, on standard error

A file, a pipe and a terminal that cannot move its cursor (TERM=dumb) get the lines alone. The cursor is never hidden,
so that there is nothing to put back however we end.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from kallmodsyms import said
from kallmodsyms.ticks import ticks

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_KEPT = 4000
"""Lines that are kept until it is known whether make failed."""
_TELLING = 0.05
"""Which part must have run before the time left is told."""
_TICK, _MOMENT = 0.1, 0.5
"""Seconds."""


def is_live(stream: object) -> bool:
    """Whether a stream is a terminal on which lines can be drawn anew."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.isatty(stream.fileno()) and os.environ.get("TERM", "dumb") != "dumb"  # type: ignore[attr-defined]
    return False


class Work:
    """How much is done of what. `todo`: what is to come, with the seconds that it took the last time, or None."""

    def __init__(self, todo: Iterable[tuple[str, float | None]] = ()) -> None:
        self.total = 0
        self._todo: dict[str, float | None] = {}
        self._worked = 0.0
        self._typical = 1.0
        self._since: float | None = None
        self.add(todo)

    @property
    def done(self) -> int:
        return self.total - len(self._todo)

    def add(self, todo: Iterable[tuple[str, float | None]]) -> None:
        new = {name: seconds for name, seconds in todo if name not in self._todo}
        self._todo |= new
        self.total += len(new)
        known = [seconds for seconds in self._todo.values() if seconds is not None]
        self._typical = sum(known) / len(known) if known else 1.0

    def begin(self, now: float) -> None:
        """Something begins to run."""
        self._since = now if self._since is None else self._since

    def finish(self, name: str, ran: bool = True) -> None:
        """Something is done, or need not be."""
        if name in self._todo and ran:
            self._worked += self._weight(self._todo[name])
        self._todo.pop(name, None)

    def left(self, now: float) -> float | None:
        """Seconds until all is done, if the rest goes as what ran did; None while too little ran to tell."""
        rest = sum(map(self._weight, self._todo.values()))
        if self._since is None or not self._worked or self._worked < _TELLING * (self._worked + rest):
            return None
        return (now - self._since) * rest / self._worked

    def _weight(self, seconds: float | None) -> float:
        return max(self._typical if seconds is None else seconds, 0.001)


class Screen:
    """The terminal, from `start` to `finish`: what this process and those that it starts print goes through a pipe, and
    from there to the terminal, above what is drawn.

    work: how far it is; running: what runs, with the time when that began
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.running: dict[str, float] = {}
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept: dict[int, int] = {}

    def start(self) -> None:
        reads, writes = os.pipe()
        for number in (1, 2):
            if number == 1 or os.isatty(number):
                self._kept[number] = os.dup(number)
                os.dup2(writes, number)
        os.close(writes)
        # doit puts something else in the place of sys.stdout while a task runs.
        terminal = open(self._kept[1], "w", encoding=sys.stdout.encoding, errors="replace", closefd=False)  # noqa: SIM115
        self._thread = threading.Thread(target=self._pass_on, args=(reads, terminal), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Show what was printed so far; what is printed from now on goes to the terminal again."""
        if self._thread is None:
            return
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, kept in self._kept.items():
            os.dup2(kept, number)
        self._ended.set()  # a process that is left behind may hold the pipe, so that it has no end
        self._thread.join()
        self._thread = None

    def begin(self, name: str) -> None:
        """Something runs now."""
        with self._lock:
            self.running[name] = time.monotonic()
            self.work.begin(self.running[name])

    def end(self, name: str, work: str, ran: bool) -> None:
        """It runs no longer, and `work` is done. `ran`: whether it was."""
        with self._lock:
            self.running.pop(name, None)
            self.work.finish(work, ran)

    def expect(self, todo: Iterable[tuple[str, float | None]]) -> None:
        """There is more to come."""
        with self._lock:
            self.work.add(todo)

    def failing(self) -> list[str]:
        """What was said of the command of a make that failed."""
        return said.failing(self._lines)

    def _pass_on(self, reads: int, terminal: IO[str]) -> None:
        try:
            self._show(reads, terminal)
        except OSError:  # the terminal is gone; what runs must not wait for it
            while os.read(reads, 1 << 16):
                pass

    def _show(self, reads: int, terminal: IO[str]) -> None:
        """Until the pipe ends: lines to the terminal, and what runs below them."""
        live: Live | None = None
        waiting: list[str] = []
        rest, drawn, ended = b"", 0.0, False
        while not ended:
            last = self._ended.is_set()
            ready, _, _ = select.select([reads], [], [], 0 if last else _TICK)
            data = os.read(reads, 1 << 16) if ready else b""
            ended = not data and (bool(ready) or last)
            *lines, rest = (rest + data).split(b"\n")
            waiting += (line.decode("utf-8", "replace") for line in lines)
            # Not for each line: to draw takes longer than to compile the smallest of files.
            if ended or time.monotonic() - drawn > _TICK:
                drawn = time.monotonic()
                if live is None and (waiting or self.running):
                    live = _drawn_on(terminal)
                if live is not None:
                    _print(live.console, [line for line in waiting if self._is_new(line)])
                    waiting.clear()
                    live.update("" if ended else self._region(live.console, drawn), refresh=True)
        if live is not None:
            live.stop()
        terminal.write(rest.decode("utf-8", "replace"))
        terminal.flush()

    def _is_new(self, line: str) -> bool:
        """Take note of a line. The same is said of one command by the tree's make and by us."""
        self._lines.append(line)
        match = said.SHORT.match(line)
        if match is None:
            return True
        with self._lock:
            self.work.finish(match[1])
        new = line not in self._seen
        self._seen.add(line)
        return new

    def _region(self, console: Console, now: float) -> RenderableType:
        from rich.console import Group

        with self._lock:
            running = list(self.running.items())
            done, total, left = self.work.done, self.work.total, self.work.left(now)
        width, room = console.width, max(console.height - 3, 1)
        lines = [_fitted(name, said.clock(now - since), width - 1) for name, since in running[:room]]
        if len(running) > room:
            lines.append(f"  and {len(running) - room} more")
        return Group(*map(_plain, lines), _bar(done, total, left)) if running else ""


class Silence:
    """Nowhere: what this process and those that it starts print on standard output, from `start` to `finish`."""

    def start(self) -> None:
        self._kept = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)

    def finish(self) -> None:
        sys.stdout.flush()
        os.dup2(self._kept, 1)


@contextlib.contextmanager
def ticking(what: str, total: int | None = None, stream: IO[str] | None = None) -> Iterator[None]:
    """While something runs that adds to `ticks[what]`: a bar on standard error, if that is a terminal and it takes
    longer than a moment.

    total: how many there will be; None where nobody knows
    """
    stream, begun, before = stream or sys.stderr, time.monotonic(), ticks[what]
    if not is_live(stream):
        yield
        return
    ended = threading.Event()

    def show() -> None:
        if ended.wait(_MOMENT):
            return
        live = _drawn_on(stream)
        while not ended.wait(_TICK):
            done = ticks[what] - before
            left = (time.monotonic() - begun) / done * (total - done) if done and total and total > done else None
            live.update(_bar(done, total, left, f"  {what} "), refresh=True)
        live.update("", refresh=True)
        live.stop()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _drawn_on(terminal: IO[str]) -> Live:
    """What is drawn on a terminal."""
    from rich.console import Console
    from rich.live import Live

    class Steady(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    console = Steady(file=terminal, force_terminal=True, highlight=False, markup=False, emoji=False)
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    live.start()
    return live


def _print(console: Console, lines: Sequence[str]) -> None:
    from rich.text import Text

    if lines:
        console.print(Text("\n").join(Text.from_ansi(line.rstrip("\r")) for line in lines), soft_wrap=True)


def _plain(line: str) -> RenderableType:
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="crop")


def _fitted(text: str, right: str, width: int) -> str:
    """Text on the left and on the right. Of what is too long the end of the name counts."""
    room = width - len(right) - 1
    if len(text) > room:
        head = text[:10] if text[:2] == "  " else ""
        text = head + "…" + text[len(text) - max(room - len(head) - 1, 0) :]
    return f"{text:<{room}} {right}"


def _bar(done: int, total: int | None, left: float | None, before: str = "  ") -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    words = f" {done}/{total} {100 * done // (total or 1):>3} %" if total else f" {done}"
    if left is not None:
        words += f"  {said.clock(left)} left"
    row = Table.grid(expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(Text(before), ProgressBar(total=total or 1, completed=done, pulse=not total), Text(f"{words} "))
    return row
