"""What doit does in; what a user sees of it out.

Plain lines, each as it happens, into a pipe. On a terminal `progress` below Kbuild's lines; in both what was built at
the end, and on a terminal, or with V=1 and V=2, what ran, what did not, and why.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from doit.exceptions import UnmetDependency
from doit.reporter import ConsoleReporter

from kallmodsyms import files, progress, said
from kallmodsyms.plan import Steps
from kallmodsyms.plan.image import LISTING

_BEGUN = time.monotonic()


@dataclass(frozen=True)
class Reported:
    """What is reported: the steps, `shown` as somebody wants it; `warn` prints what is odd in the tree, `why` gives the
    reason for which a task runs.
    """

    steps: Steps
    shown: said.Shown
    warn: Callable[[], None]
    why: Callable[[str], str | None]


class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
    """doit's own console output without what is up to date, and at the end of a run that succeeded what was built and
    where. On a terminal also how far it is (`progress`), and failures last.
    """

    of: Reported

    def __init__(self, outstream: Any, options: Any) -> None:
        super().__init__(outstream, options)
        self.ran: list[str] = []
        self.others: set[str] = set()
        self.wanted: set[str] = set()
        self.screen: progress.Screen | None = None
        self.shield: progress.Screen | progress.Silence | None = None

    def initialize(self, tasks: Any, selected: Any) -> None:
        for name in self.of.steps.tidy():
            self.write(f"   {name}: removed, since nothing makes it any more\n")
        waiting = list(selected)
        while waiting:
            if (name := waiting.pop()) not in self.wanted:
                self.wanted.add(name)
                waiting += tasks[name].task_dep
        self.wanted = {name for name in self.wanted if tasks[name].actions}
        if self.of.shown.quiet:
            self.shield = progress.Silence()
        elif self.outstream is sys.stdout and progress.is_live(sys.stdout):
            work = progress.Work((name, self._took(name)) for name in self.wanted)
            self.shield = self.screen = progress.Screen(work)
        if self.shield is not None:
            self.shield.start()

    def _took(self, name: str) -> float | None:
        return self.of.steps.configured.ledger.times.get(name)

    def execute_task(self, task: Any) -> None:
        if not task.actions:
            return
        if self.screen is not None:
            if task.name == "make" and (objects := self._expected()):
                each = (self._took("make") or 0) / len(objects)
                self.screen.expect((name, each or None) for name in objects)
            self.screen.begin(self._short(task.name))
        elif not self.of.shown.quiet:
            self.write(f".  {task.title()}{self._reason(task.name)}\n")
            self._tell_command(task.name)

    def _reason(self, name: str) -> str:
        return f" - {self.of.why(name)}" if self.of.shown.reasons else ""

    def _tell_command(self, name: str) -> None:
        if self.of.shown.verbose and (command := self._command(name)) is not None:
            self.write(f"{command}\n")

    def _finished(self, name: str, ran: bool) -> None:
        if self.screen is not None:
            self.screen.end(self._short(name), name, ran)

    def add_success(self, task: Any) -> None:
        if not task.actions:
            return
        self.ran.append(task.name)
        self._finished(task.name, True)
        if self.screen is not None:
            self.write(f"{self._short(task.name)}{self._reason(task.name)}\n")
            self._tell_command(task.name)

    def skip_uptodate(self, task: Any) -> None:
        if task.actions:
            self.others.add(task.name)
            self._finished(task.name, False)

    def add_failure(self, task: Any, fail: Any) -> None:
        if task.actions:
            self._finished(task.name, False)
        if self.shield is None:
            super().add_failure(task, fail)
        elif getattr(fail, "report", True) and not isinstance(fail, UnmetDependency):  # the closing words count those
            self.failures.append({"task": task, "exception": fail})

    def complete_run(self) -> None:
        shown, screen = self.of.shown, self.screen
        if self.shield is not None:
            self.shield.finish()
        super().complete_run()
        self.of.warn()
        self.of.steps.configured.save()
        if not shown.quiet:
            if not self.failures and not self.runtime_errors and sys.exc_info()[0] is None:
                self.write(self._summary())
            if screen is not None or shown.verbose or shown.reasons:
                self.write(self._closing())
        for failure in self.failures if self.shield is not None else ():
            self._write_failure(failure)
            if screen is not None and (words := screen.failing()):
                self.write("\n".join([*words, "  V=1 shows the commands of make whole", ""]))

    def _closing(self) -> str:
        plan = self.of.steps.plan
        failed = sum(not isinstance(found["exception"], UnmetDependency) for found in self.failures)
        ran = [(name, self.of.why(name) or "", plan.steps[name].writes) for name in self.ran]
        undone = len(self.wanted) - len(ran) - len(self.others) - failed
        return said.closing(ran, len(self.others), failed, undone, time.monotonic() - _BEGUN)

    def _expected(self) -> list[str]:
        """The objects that the tree's make makes for vmlinux."""
        kernel = self.of.steps.configured.kernel
        members = (name for parts in kernel.library_members().values() for name in parts)
        return [*kernel.link_order(), *members]

    def _short(self, name: str) -> str:
        """A task as Kbuild would say it."""
        step = self.of.steps.plan.steps[name]
        what = step.writes[0] if step.writes else "vmlinux" if name == "make" else name
        return said.short(name.partition(":")[0], what)

    def _command(self, name: str) -> str | None:
        """The command of a task, where it is one."""
        step = self.of.steps.plan.steps[name]
        programs = {what for kind, what in step.sees if kind == "program"} if isinstance(step.sees, tuple) else ()
        return f"  {shlex.join(step.words)}" if programs and step.words[0] in programs else None

    def _summary(self) -> str:
        """What was built, and where."""
        objdir = self.of.steps.configured.objdir
        listing = objdir / LISTING
        if not listing.is_file():
            return ""
        text = files.read_text(listing)
        # Behind the modules in brackets there may be an object in braces.
        owned = Counter(re.findall(r"\t(\[.*)", text))
        modules = {name for names in owned for name in re.findall(r"\[(\S+)\]", names)}
        return (
            f"vmlinux      {objdir / 'vmlinux'}\n"
            f"             {text.count(chr(10))} symbols, {owned.total()} of them in {len(modules)} built-in modules\n"
            f"listing      {listing}\n"
        )
