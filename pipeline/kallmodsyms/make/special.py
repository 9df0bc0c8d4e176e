"""The functions of GNU make 4.3 that look at variables, at files or at the world, or expand only some arguments.

Each takes its arguments compiled and returns an expansion. Two are missing: `call` and `shell` expand a variable, which
is the business of kallmodsyms.make.expression.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from kallmodsyms.files import read_text
from kallmodsyms.make.lines import SPACES, split_words
from kallmodsyms.make.scope import Compiled, Expansion, Origin, Scope, Variable


def _if(condition: Compiled, then: Compiled, otherwise: Compiled = "") -> Expansion:
    def choose(scope: Scope) -> str:
        return scope.expand(otherwise if scope.promises.is_empty(scope.expand(condition)) else then)

    return choose


def _or(*conditions: Compiled) -> Expansion:
    def first_true(scope: Scope) -> str:
        for condition in conditions:
            value = scope.expand(condition)
            if not scope.promises.is_empty(value):
                return value
        return ""

    return first_true


def _and(*conditions: Compiled) -> Expansion:
    def last_true(scope: Scope) -> str:
        value = ""
        for condition in conditions:
            value = scope.expand(condition)
            if scope.promises.is_empty(value):
                return ""
        return value

    return last_true


def _foreach(variable: Compiled, words: Compiled, body: Compiled) -> Expansion:
    def loop(scope: Scope) -> str:
        name = scope.force(scope.expand(variable)).strip(SPACES)
        values = split_words(scope.force(scope.expand(words)))
        if isinstance(body, str):
            return " ".join([body] * len(values))
        frame: dict[str, Variable] = {}
        scope.frames.append(frame)
        try:
            result = []
            for value in values:
                frame[name] = Variable(value, False, Origin.AUTOMATIC)
                result.append(body(scope))
            return " ".join(result)
        finally:
            scope.frames.pop()

    return loop


def _file(operation: Compiled, content: Compiled | None = None) -> Expansion:
    def read(scope: Scope) -> str:
        text = scope.force(scope.expand(operation)).strip(SPACES)
        if not text.startswith("<") or content is not None:
            raise scope.error("$(file) is supported for reading only", text=text)
        path = os.path.normpath(os.path.join(scope.directory, text[1:].strip(SPACES)))
        scope.files[path] = os.path.isfile(path)
        return read_text(path).removesuffix("\n") if scope.files[path] else ""

    return read


# Functions of one argument, which they get expanded and without markers.


def _of_text(function: Callable[[Scope, str], str]) -> Callable[..., Expansion]:
    def build(argument: Compiled = "") -> Expansion:
        return lambda scope: function(scope, scope.force(scope.expand(argument)))

    return build


def _abspath(scope: Scope, text: str) -> str:
    paths = [os.path.normpath(os.path.join(scope.directory, name)) for name in split_words(text)]
    # normpath() keeps two slashes at the beginning.
    return " ".join(["/" + path.lstrip("/") for path in paths])


def _realpath(scope: Scope, text: str) -> str:
    paths = [os.path.join(scope.directory, name) for name in split_words(text)]
    found = [path for path in paths if os.path.exists(path)]
    for path in paths:
        scope.globs.setdefault(path, (path,) if path in found else ())
    return " ".join([os.path.realpath(path) for path in found])


def _wildcard(scope: Scope, text: str) -> str:
    return " ".join([name for pattern in split_words(text) for name in scope.glob(pattern)])


def _origin(scope: Scope, name: str) -> str:
    variable = scope.find(name)
    return "undefined" if variable is None else variable.origin.words


def _flavor(scope: Scope, name: str) -> str:
    variable = scope.find(name)
    return "undefined" if variable is None else "recursive" if variable.recursive else "simple"


def _value(scope: Scope, name: str) -> str:
    variable = scope.find(name)
    return "" if variable is None else variable.value


def _eval(scope: Scope, text: str) -> str:
    scope.eval(text)
    return ""


def _info(scope: Scope, text: str) -> str:
    scope.message(text)
    return ""


def _warning(scope: Scope, text: str) -> str:
    scope.warning(text)
    return ""


def _error(scope: Scope, text: str) -> str:
    raise scope.error(text)


# Name: (fewest arguments, most arguments or 0, what makes an expansion of the arguments).
SPECIAL: dict[str, tuple[int, int, Callable[..., Expansion]]] = {
    "abspath": (0, 1, _of_text(_abspath)),
    "and": (1, 0, _and),
    "error": (0, 1, _of_text(_error)),
    "eval": (0, 1, _of_text(_eval)),
    "file": (1, 2, _file),
    "flavor": (0, 1, _of_text(_flavor)),
    "foreach": (3, 3, _foreach),
    "if": (2, 3, _if),
    "info": (0, 1, _of_text(_info)),
    "or": (1, 0, _or),
    "origin": (0, 1, _of_text(_origin)),
    "realpath": (0, 1, _of_text(_realpath)),
    "value": (0, 1, _of_text(_value)),
    "warning": (0, 1, _of_text(_warning)),
    "wildcard": (0, 1, _of_text(_wildcard)),
}

# The arguments that are conditions: blanks around them are no part of them.
CONDITIONS = {"and": slice(None), "if": slice(1), "or": slice(None)}
