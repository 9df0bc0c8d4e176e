"""The task graph: steps in, doit tasks out. Nothing but this file, reporter.py and dodo.py knows doit.

doit orders the tasks and runs them; whether one must run the ledger alone decides (`step`), and doit keeps nothing of
its own.
"""

from __future__ import annotations

import gc
import inspect
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.exceptions import InvalidCommand, InvalidDodoFile, TaskFailed

from kallmodsyms import depfile, errors, files, profile, said, shipped, turn, why
from kallmodsyms.errors import InputError
from kallmodsyms.plan import Steps
from kallmodsyms.reporter import Reported, Reporter
from kallmodsyms.step import Plan, Step

_LOOKING = ("list", "info", "help", "tabcompletion", "graph")
"""Commands of doit that build nothing."""


def build(words: Sequence[str]) -> int:
    """What doit does when it is given these words and the dodo.py that comes with the package; its exit status."""
    from doit.doit_cmd import DoitMain

    sys.argv[1:] = words
    own = {"GLOBAL": {"dodoFile": str(shipped.DODO)}, "COMMAND": {"graph": f"{__name__}:Drawing"}}
    main = DoitMain(config_filenames=(), extra_config=own)
    main.BIN_NAME = "kallmodsyms build"
    return int(main.run(list(words)) or 0)


def graph(dodo: str) -> Graph:
    """The graph that doit's command line asks for. `dodo` is the dodo file."""
    from doit import doit_cmd, get_initial_workdir

    sys.excepthook = _without_traceback
    gc.set_threshold(100_000)  # tasks and records stay; to look for garbage among them again and again takes long
    # doit.get_var wants names; a word that nobody asks for must not pass in silence.
    words = dict(doit_cmd._CMDLINE_VARS or {})
    asked = [word for word in sys.argv[1:] if word[:1] != "-" and "=" not in word]
    try:
        shown = said.Shown.of(words)
        chosen = profile.chosen(words, Path(get_initial_workdir()), Path(dodo).resolve().parent)
        os.environ.update(shown.for_make())
        if asked[:1] in ([command] for command in _LOOKING):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads only the first lines is content
        else:
            turn.take(chosen.objdir)
        steps = Steps(chosen)
        if asked[:1] == ["info"]:
            for name in asked[1:]:  # doit itself would go on, and stumble
                why.known(name, [*steps.plan.steps, *steps.kinds])
        return Graph(steps, chosen, shown)
    except InputError as error:
        raise InvalidDodoFile(str(error)) from None
    except OSError as error:
        raise InvalidDodoFile(f"{error.filename}: {error.strerror}") from None


class Graph:
    """The tasks of one profile. `shown`: what somebody wants to see of them."""

    def __init__(self, steps: Steps, chosen: profile.Profile, shown: said.Shown) -> None:
        self.steps, self.shown = steps, shown
        self.asked: dict[str, Asked] = {}
        self.objdir = chosen.objdir
        self.default = [name for name in steps.default if name in steps.kinds]
        self._said: set[str] = set()
        self.warn()

    def warn(self) -> None:
        """Print what is odd, and what makefiles tell, each thing once."""
        found = self.steps.configured
        warnings, messages = (
            [text for text in texts if text not in self._said] for texts in (found.warnings, found.messages)
        )
        errors.warn(warnings, messages)
        self._said.update(warnings, messages)

    def config(self) -> dict[str, Any]:
        """DOIT_CONFIG."""
        Drawing.of = self
        Reporter.of = Reported(self.steps, self.shown, self.warn, lambda name: self.asked[name].reason)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # into a pipe, too: what ran is told although we are killed
        return {
            # doit keeps nothing: the ledger has the records, and would not agree with a second one.
            "dep_file": ":memory:",
            "backend": "sqlite3",
            "reporter": Reporter,
            "default_tasks": self.default,
            "verbosity": 2,
        }

    def tasks(self, kind: str, summary: str) -> Callable[[], Any] | None:
        """The creator of the tasks for a kind of step; None, which doit passes over, where there are none."""
        steps = self.steps.kinds.get(kind)
        if not steps:
            return None

        def create() -> Any:
            return self._task(steps[0]) if steps[0].name == kind else self._group(steps)

        create.__doc__ = summary
        return create

    def _group(self, steps: list[Step]) -> Iterator[dict[str, Any]]:
        for step in steps:
            yield self._task(step) | {"name": step.name.partition(":")[2]}

    def _task(self, step: Step) -> dict[str, Any]:
        plan = self.steps.plan
        asked = self.asked[step.name] = Asked(plan, step.name)
        return {
            "actions": [(_perform, [plan, step.name])],
            "targets": [str(self.objdir / path) for path in step.writes],
            "task_dep": [*plan.before(step), *(name for name in step.after if name in plan.steps)],
            "uptodate": [asked],
            "clean": [(Removal(self.objdir, step),)] if not step.kept else [],
        }


class Asked:
    """What doit asks: whether a step is up to date. How it looks is the reason, which `doit info` prints."""

    __signature__ = inspect.Signature()  # doit asks each callable for its own, which takes longer than the answer

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.name = plan, name
        self.reason: str | None = "nobody has asked yet"

    def __call__(self) -> bool:
        try:
            self.reason = self.plan.why(self.name)
        except InputError as error:
            self.reason = str(error)  # which its run says, too
        return self.reason is None

    def __repr__(self) -> str:
        return self.reason or "up to date"


class Drawing(DoitCmdBase):  # type: ignore[misc]
    """`doit graph`: the tasks, drawn. pyproject.toml tells doit of it."""

    name = "graph"
    doc_purpose = "draw the tasks as SVG, with times and the critical path"
    doc_usage = "[TASK]"
    doc_description = (
        "All of them, those of one kind in a directory as one box; or what leads to TASK, and why it must run."
    )
    cmd_options = (
        {"name": "output", "short": "o", "long": "output", "type": str, "default": "graph.svg",
         "help": "the file to write; - is standard output [default: %(default)s]"},
        {"name": "depth", "short": "", "long": "depth", "type": int, "default": 1,
         "help": "directories of which a box bears the name: 1 is fs/, 2 is fs/ext4/ [default: %(default)s]"},
    )  # fmt: skip
    of: Graph

    def _execute(self, output: str, depth: int, pos_args: list[str]) -> None:
        from doit import get_initial_workdir

        from kallmodsyms import graph, svg

        steps = self.of.steps
        if len(pos_args) > 1 or depth < 1:
            raise InvalidCommand(
                "`doit graph` draws all tasks, or what leads to one, which comes last; --depth is 1 or more"
            )
        try:
            if pos_args:
                why.known(pos_args[0], steps.plan.steps)
            tree = os.path.realpath(steps.configured.tree)
            found = (
                graph.leading_to(steps.plan, pos_args[0], depth, tree)
                if pos_args
                else graph.whole(steps.plan, depth, tree)
            )
            self.of.warn()
            files.deliver("/dev/stdout" if output == "-" else Path(get_initial_workdir(), output), svg.drawn(found))
        except InputError as error:
            raise InvalidCommand(str(error)) from None


class Removal:
    """Removes what a step leaves: what it writes, what is kept beside that, and after a link the images of passes."""

    __signature__ = inspect.Signature()

    def __init__(self, objdir: Path, step: Step) -> None:
        self.objdir, self.step = objdir, step

    def __call__(self) -> None:
        names = [path for name in self.step.writes for path in (name, *depfile.all_beside(name))]
        if self.step.name == "vmlinux":
            names += [path.name for path in self.objdir.glob(".tmp_vmlinux*")] + ["vmlinux.map"]
        for name in names:
            (self.objdir / name).unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f" remove {' '.join(self.step.writes)}"  # of which doit leaves the first character out


def _perform(plan: Plan, name: str) -> TaskFailed | None:
    try:
        plan.run(name)
    except InputError as error:
        return TaskFailed(str(error))
    except OSError as error:
        return TaskFailed(f"{error.filename or 'output'}: {error.strerror}")
    return None


def _without_traceback(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """sys.excepthook: who interrupts us knows where."""
    if issubclass(kind, KeyboardInterrupt):
        print("kallmodsyms: interrupted; what is done is kept", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, where)
