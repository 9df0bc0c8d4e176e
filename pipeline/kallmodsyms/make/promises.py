"""What `$(shell …)` yields before anybody has looked at it.

Most shell commands of a kernel's makefiles probe the compiler for an option that ends up in a variable of flags, which
the lists of objects never look at. So `$(shell …)` yields a *marker*, a short text that stands for the output.
Concatenation and assignment carry markers along; a function of text that meets one yields a marker for its own result;
and whoever must know the characters forces them: only then does the command run, once.

A marker is a lone surrogate, a number, and another lone surrogate. Decoding UTF-8 never yields these two, so that no
input holds a marker. Running a command late is as good as running it at once, unless it depends on what another one
leaves behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from kallmodsyms import errors
from kallmodsyms.commands import Answers, ForbiddenError

MARK = "\ud800"
_END = "\ud801"
_MARKER = re.compile(f"{MARK}([0-9]+){_END}")


class Shell(NamedTuple):
    """A command, which may hold markers, what it runs with, and the place where it stands.

    environment: called with the command when it runs
    """

    command: str
    shell: str
    environment: Callable[[str], Mapping[str, str]]
    path: str | None
    line: int


class Application(NamedTuple):
    """A function and its arguments, of which at least one holds a marker."""

    function: Callable[..., str]
    arguments: tuple[str, ...]


class Promises:
    """The promises of one evaluation, or of several that exchange values.

    answers: what commands print
    """

    def __init__(self, answers: Answers) -> None:
        self._promises: list[Shell | Application] = []
        self._markers: dict[tuple[object, ...], str] = {}
        self._values: dict[int, str] = {}
        self._asked: dict[int, dict[str, str]] = {}
        self._watchers: list[dict[str, str]] = []
        self.answers = answers

    def shell(self, promise: Shell) -> str:
        """A marker for what the command prints, newlines turned into blanks and the last ones dropped."""
        return self._marker((promise.command, promise.shell), promise)

    def apply(self, function: Callable[..., str], *arguments: str) -> str:
        """A marker for what `function` makes of the forced arguments."""
        return self._marker((function, arguments), Application(function, arguments))

    def force(self, text: str) -> str:
        """`text` with every marker replaced by what it stands for."""
        if MARK not in text:
            return text
        forced = _MARKER.sub(lambda match: self._value(int(match[1])), text)
        for watcher in self._watchers:
            watcher.update(self._behind(text))
        return forced

    @contextmanager
    def watched(self) -> Iterator[dict[str, str]]:
        """Within the block, what is forced is noted: command to output."""
        found: dict[str, str] = {}
        self._watchers.append(found)
        try:
            yield found
        finally:
            self._watchers.remove(found)

    def ask(self, command: str, environment: Mapping[str, str], shell: str = "/bin/sh") -> str:
        """What a command prints, as `$(shell …)` has it: on one line."""
        return self.answers.ask(command, environment, shell).output.rstrip("\n").replace("\n", " ")

    def is_empty(self, text: str) -> bool:
        """Whether the forced text would be empty. Nothing runs where characters beside the markers decide."""
        if MARK not in text:
            return not text
        return not _MARKER.sub("", text) and not self.force(text)

    def only_markers(self, text: str) -> bool:
        """Whether `text` is made of markers alone, so that it may turn out empty."""
        return MARK in text and not _MARKER.sub("", text)

    def _marker(self, key: tuple[object, ...], promise: Shell | Application) -> str:
        marker = self._markers.get(key)
        if marker is None:
            marker = f"{MARK}{len(self._promises)}{_END}"
            self._promises.append(promise)
            self._markers[key] = marker
        return marker

    def _value(self, index: int) -> str:
        value = self._values.get(index)
        if value is None:
            promise = self._promises[index]
            if isinstance(promise, Shell):
                value = self._run(promise, index)
            else:
                value = promise.function(*[self.force(argument) for argument in promise.arguments])
            self._values[index] = value
        return value

    def _run(self, promise: Shell, index: int) -> str:
        command = self.force(promise.command)
        with errors.placed(ForbiddenError, promise.path, promise.line):
            output = self.ask(command, promise.environment(command), promise.shell)
        self._asked[index] = {command: output, **self._behind(promise.command)}
        return output

    def _behind(self, text: str) -> dict[str, str]:
        """The commands whose output the forced `text` follows from, with that."""
        found: dict[str, str] = {}
        for match in _MARKER.finditer(text):
            index = int(match[1])
            if index not in self._asked:
                promise = self._promises[index]
                assert isinstance(promise, Application)
                self._asked[index] = self._behind("".join(promise.arguments))
            found |= self._asked[index]
        return found


def anonymous(text: str) -> str:
    """`text` with each marker made anonymous: all that an evaluation sees of it unless it forces the marker."""
    return _MARKER.sub(MARK, text) if MARK in text else text


def process_environment() -> dict[str, str]:
    """The environment of this process, as makefiles see it."""
    return dict(os.environ)
