"""A shell command in, what its output depends on out; and the outputs themselves, kept between runs.

Makefiles and Kconfig files ask the compiler what it can do, some hundred times. The answers change when the compiler does, so
an answer is good as long as the command, the directory that it runs in, the programs and scripts that it names, by identity and
content, and the variables that these mention are the same. What goes unnoticed is a tool that neither a command nor a script of the
tree names: the toolchain behind a `rustc` that only chooses one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kallmodsyms import files, kept
from kallmodsyms.errors import InputError
from kallmodsyms.files import differs, fingerprint

_WORD = re.compile(r"""[^\s"'`;|&(){}<>=]+""")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|py|pl|awk)\b")
# Programs whose output follows from themselves, their arguments and the files that these name. Others may look at the time, at what
# is in a directory, at a repository.
_TOOL = re.compile(
    r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|ld|ld\.\w+|as|ar|nm|objcopy|objdump|readelf|strip|rustc|bindgen|pahole|"
    r"ccache|distcc)(?:-[\d.]+)?"
    r"|\[|basename|bash|cat|cut|dash|dirname|echo|expr|false|[efgm]?awk|[ef]?grep|head|mkdir|printf|rm|sed|sh|sort|tail|test|tr|true|"
    r"uniq|wc"
)
_MOST = 500
"""Answers in the file. Flags are a part of most commands, so that each change of the configuration asks some of them anew."""

Conditions = dict[str, dict[str, Any]]
"""What something depends on: variables, name to value or None; files, path to fingerprint or None; programs, name to [path, size, mtime
in ns, ctime in ns] or None."""


def conditions(
    environment: Mapping[str, str], variables: Iterable[str], names: Iterable[str], programs: Iterable[str] = ()
) -> Conditions:
    """These things as they are now."""
    return {
        "variables": {name: _variable(environment, name) for name in sorted(variables)},
        "programs": {name: _program(environment, name) for name in sorted(programs)},
        "files": {name: fingerprint(name) for name in dict.fromkeys(names)},
    }


def why(recorded: Conditions, environment: Mapping[str, str]) -> str | None:
    """Why what was found under these conditions does not hold any more, or None."""
    for name, value in recorded["variables"].items():
        if _variable(environment, name) != value:
            return f"{name} is {_variable(environment, name)!r}, it was {value!r}"
    for name, identity in recorded["programs"].items():
        if _program(environment, name) != identity:
            return f"{name} is another program than it was"
    for name, previous in recorded["files"].items():
        if differs(name, previous):
            return f"{name} {'changed' if previous else 'appeared'}"
    return None


def of(commands: Iterable[str], directory: str | os.PathLike[str], environment: Mapping[str, str]) -> Conditions:
    """What the outputs of commands depend on, as far as their text and that of the scripts they run tells."""
    variables, programs, paths = {"PATH"}, set(), set()
    for command in commands:
        variables.update(_VARIABLE.findall(command))
        for word in _words(command):
            if "/" not in word and (_TOOL.fullmatch(word) or (word[0].isalnum() and _program(environment, word))):
                programs.add(word)
            elif word[0] not in "-+" and not word.startswith("/dev/"):
                paths.add(os.path.join(directory, word))
    for path, text in _scripts(paths):
        paths.add(path)
        variables.update(_VARIABLE.findall(text))
        programs.update(word for word in _words(text) if _TOOL.fullmatch(word))
    return conditions(environment, variables, sorted(paths), programs)


def _scripts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The scripts among some files, and those beside them that they name, or would name if they were there: path and text, without
    lines of comment."""
    todo, seen = sorted(paths), set(paths)
    while todo:
        path = todo.pop()
        text = files.read_text(path) if os.path.isfile(path) else ""
        if text.startswith("#!"):
            text = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
            yield path, text
            beside = {os.path.join(os.path.dirname(path), name) for name in _SCRIPT.findall(text)} - seen
            seen |= beside
            todo += sorted(beside)
        elif path not in paths:
            yield path, ""


class Answers:
    """What shell commands printed: in this run, and, where that can be told to hold, in earlier ones.

    warnings: about the file
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, place: Iterable[str] = ()) -> None:
        """`path` is the file, None keeps nothing; `place` is what its contents are about."""
        self.path, self._place = path, tuple(place)
        self.warnings: list[str] = []
        self._now: dict[tuple[str, str], str] = {}
        self._kept: dict[tuple[str, str], tuple[str, Conditions]] = {}
        self._changed = False
        if path is not None:
            record, _, self.warnings = kept.read(path, self._place)
            self._kept = (record or {}).get("answers", {})

    def find(self, command: str, directory: str, environment: Mapping[str, str]) -> str | None:
        """What the command prints, if that is known."""
        key = (command, directory)
        if key not in self._now and key in self._kept:
            output, recorded = self._kept[key]
            if why(recorded, environment) is None:
                self._now[key] = output
        return self._now.get(key)

    def keep(self, command: str, directory: str, environment: Mapping[str, str], output: str) -> None:
        """Remember what the command printed."""
        self._now[command, directory] = output
        if self.path is not None and _repeatable(command, directory, environment):
            self._kept.pop((command, directory), None)
            self._kept[command, directory] = (output, of([command], directory, environment))
            self._changed = True

    def save(self) -> None:
        """Write the file, if anything is new."""
        if self._changed and self.path is not None:
            self._changed = False
            try:
                kept.write(self.path, self._place, {"answers": dict(list(self._kept.items())[-_MOST:])})
            except InputError as error:
                self.warnings.append(f"{error}; the compiler is asked the same questions each time")


def _repeatable(command: str, directory: str, environment: Mapping[str, str]) -> bool:
    """Whether what the command prints follows from what `of` finds in it."""
    if "*" in command:
        return False
    words = _words(command)
    places = [os.path.join(directory, word) for word in words]
    if any(os.path.isdir(place) for place in places):
        return False
    words += [word for _, text in _scripts(places) for word in _words(text)]
    return not any(_other_program(word, environment) for word in words)


def _other_program(word: str, environment: Mapping[str, str]) -> bool:
    return (
        "/" not in word and word[0].isalnum() and not _TOOL.fullmatch(word) and _program(environment, word) is not None
    )


def _words(command: str) -> list[str]:
    """The words of a command that mean themselves."""
    return [word for word in _WORD.findall(command) if "$" not in word]


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name, os.environ.get(name))


def _program(environment: Mapping[str, str], name: str) -> list | None:
    # shutil.which() is this, but importing it takes longer than all that is looked up here.
    for directory in (_variable(environment, "PATH") or os.defpath).split(os.pathsep):
        path = os.path.join(directory, name)
        try:
            status = os.stat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK):
            return [path, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return None
