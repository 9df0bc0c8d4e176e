"""A shell command in, what it printed out; asked once, and again only when something that it looks at has changed.

Makefiles and Kconfig files ask the compiler what it can do, some hundred times. An answer is a step of the ledger,
`ask:COMMAND`: it holds as long as the programs, files and scripts that the command names, and the variables that
these mention, are what they were. What goes unnoticed is a tool that neither a command nor a script of the tree
names, nor a variable that they mention: the toolchain behind a `rustc` that only chooses one.
"""

from __future__ import annotations

import marshal
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Fact, World
from kallmodsyms.ledger import Done, Ledger

# As text: most runs ask no command, and need none of them compiled.
_WORD = r"""[^\s"'`;|&(){}<>=]+"""
_QUOTED = r"""'[^']*'|"(?:[^"\\]|\\.)*\""""
# What is printed names nothing, unless a shell reads it.
_PRINTED = r"\b(?:echo|printf) +'[^']*'"
_SHELL = r"\b(?:ba|da)?sh\b(?!\.)"
_VARIABLE = r"\$\{?([A-Za-z_]\w*)"
# Which machine or language a compiler is to have in mind: the `kernel` of -mcmodel=kernel is no directory.
_SETTING = r"""(?<![^\s"'])-(?:m|f(?!plugin|profile))[\w-]+=\S+"""
_SCRIPT = r"[\w.-]+\.(?:sh|py|pl|awk)\b"
# Programs whose output follows from themselves, their arguments and the files that these name. Others may look at the
# time, at what is in a directory, at a repository.
_TOOL = (
    r"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|ld|ld\.\w+|as|ar|nm|"
    r"objcopy|objdump|readelf|strip|rustc|bindgen|pahole|ccache|distcc|gold)(?:-[\d.]+)?"
    r"|\[|basename|bash|cat|cmp|cut|dash|dirname|echo|env|expr|false|[efgm]?awk|"
    r"getconf|[ef]?grep|head|mkdir|mktemp|printf|rm|sed|sh|sort|tail|test|tr|true|uniq|wc"
)

# Of these the output follows from more: all variables, chance, the machine.
_ODD_USE = r"(?m)(?:^|[;&|(`])\s*(?:env\s*(?:$|[;&|)`>])|getconf\s+_)|(?:^|[;&|])\s*mktemp\b"


_CURE = "if you trust this tree, leave --no-shell out"


class ForbiddenError(InputError):
    """A command would have to run, and none may."""


_may_run = [True]


def forbid() -> None:
    """Run no command in this process from now on; what is asked and not known is an error."""
    _may_run[0] = False


class Answer(NamedTuple):
    """What a command printed on standard output and on standard error."""

    output: str
    complaint: str


class Answers:
    """The commands that one asker asks, `make` or `kconfig`: each is run at most once a process."""

    def __init__(self, ledger: Ledger, asker: str, directory: str | os.PathLike[str]) -> None:
        """Commands run in `directory`."""
        self.directory = os.fspath(directory)
        self._ledger, self._asker = ledger, asker
        self._known: dict[tuple[str, str], Answer] = {}
        self._done: list[Done] = []
        self._environment: Mapping[str, str] | None = None
        self._copy: dict[str, str] | None = None
        self._world = ledger.world

    def ask(self, command: str, environment: Mapping[str, str], shell: str = "/bin/sh") -> Answer:
        """What a command prints in an environment."""
        answer = self._known.get((command, shell))
        if answer is None:
            answer = self._known[command, shell] = self._kept(command, environment, shell)
        return answer

    def save(self) -> None:
        """Put what is new into the ledger."""
        if self._done:
            self._ledger.append(self._done)
            self._done.clear()

    def _kept(self, command: str, environment: Mapping[str, str], shell: str) -> Answer:
        name, words = f"ask:{self._asker}:{command}", (shell,)
        world = self._world_of(environment)
        reason, result = self._ledger.find(name, words, world)
        if reason is None:
            return Answer(*marshal.loads(result or b""))
        repeatable = self._repeatable(command, world)
        # Before it runs: an answer must not be kept as that of a compiler which replaced the one that was asked.
        reads = (
            [Fact(kind, what, world.look(kind, what)) for kind, what in self._looks(command, world)]
            if repeatable
            else []
        )
        if not _may_run[0]:
            raise ForbiddenError("needs what a shell command prints, and none may run", text=command, cure=_CURE)
        answer = run(command, shell, self.directory, self._whole(environment))
        if repeatable:
            self._done.append(Done(name, words, reads, result=marshal.dumps(tuple(answer))))
        return answer

    def _world_of(self, environment: Mapping[str, str]) -> World:
        """What commands see. Most askers have one environment for all of them."""
        if self._environment is not environment:
            self._environment, self._copy = environment, None
            self._world = self._ledger.world.under(environment=environment.get)
        return self._world

    def _whole(self, environment: Mapping[str, str]) -> dict[str, str]:
        """All variables. Their values may be computed only when they are looked at."""
        if self._copy is None:
            self._copy = dict(environment)
        return self._copy

    def _looks(self, command: str, world: World) -> list[tuple[str, str]]:
        """Kinds and names of what the output depends on, as far as the command and the scripts that it runs tell."""
        variables, programs, paths = {"PATH", *re.findall(_VARIABLE, command)}, set(), set()
        for word in _words(command):
            if _tool(word) or _other_program(word, world):
                programs.add(word)
            elif word[0] not in "-+" and not word.startswith("/dev/"):
                paths.add(self._place(word))
                if word[0].isalnum() and "/" not in word:
                    programs.add(word)  # there is none of that name, but there may be one day
        for path, text in _scripts(paths):
            paths.add(path)
            variables.update(re.findall(_VARIABLE, text))
            programs.update(filter(_tool, _words(text)))
        for word in _values(variables, world):
            if _tool(word) or _other_program(word, world):
                programs.add(word)
            elif "/" in word and os.path.isfile(self._place(word)):
                paths.add(self._place(word))
        named = (("environment", variables), ("program", programs), ("file", paths))
        return [(kind, name) for kind, names in named for name in sorted(names)]

    def _repeatable(self, command: str, world: World) -> bool:
        """Whether what the command prints follows from what `_looks` finds in it."""
        if "*" in re.sub(_QUOTED, "", command):
            return False
        plain = re.sub(_SETTING, "", command)
        words = _words(plain if re.search(_SHELL, plain) else re.sub(_PRINTED, "", plain))
        places = [self._place(word) for word in words]
        if any(os.path.isdir(place) for place in places):
            return False
        texts = [text for _, text in _scripts(places)]
        if any(re.search(_ODD_USE, text) for text in (command, *texts)):
            return False
        words += [word for text in texts for word in _words(text)]
        words += _values(re.findall(_VARIABLE, command), world)
        return not any(_other_program(word, world) for word in words)

    def _place(self, word: str) -> str:
        return os.path.join(self.directory, word)


def unkept(directory: str | os.PathLike[str]) -> Answers:
    """Answers that are those of one process."""
    return Answers(Ledger(None, directory, directory), "make", directory)


def run(command: str, shell: str, directory: str, environment: Mapping[str, str]) -> Answer:
    """Run a command. What cannot be run prints nothing, as with make."""
    import subprocess  # not needed by most runs, and takes long to import

    if not command.strip():
        return Answer("", "")
    words: list[str | bytes] = [shell, "-c", command.encode("utf-8", "surrogateescape")]
    try:
        done = subprocess.run(words, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:
        return Answer("", "")
    return Answer(*(text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr)))


def _tool(word: str) -> bool:
    return re.fullmatch(_TOOL, word) is not None


def _other_program(word: str, world: World) -> bool:
    named = "/" not in word and word[0].isalnum() and not _tool(word)
    return named and world.look("program", word) is not None


def _values(variables: Iterable[str], world: World) -> list[str]:
    """The words in the values of variables: one may be a compiler."""
    values = (world.look("environment", name) for name in variables if name != "PATH")
    return [word for value in values if value for word in _words(value)]


def _words(command: str) -> list[str]:
    """The words of a command that mean themselves."""
    return [word for word in re.findall(_WORD, command) if "$" not in word]


def _scripts(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The scripts among some files, and those beside them that they name, or would name if they were there.

    Path and text of each, without lines of comment.
    """
    todo, seen = sorted(paths), set(paths)
    while todo:
        path = todo.pop()
        text = files.read_text(path) if os.path.isfile(path) else ""
        if text.startswith("#!"):
            text = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
            yield path, text
            beside = {os.path.join(os.path.dirname(path), name) for name in re.findall(_SCRIPT, text)} - seen
            seen |= beside
            todo += sorted(beside)
        elif path not in paths:
            yield path, ""
