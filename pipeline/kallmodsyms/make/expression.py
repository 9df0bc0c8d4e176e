"""The text of a value in, something that can be expanded many times out.

`compile_text` turns a text into a *compiled* expression: a str where nothing is left to expand, otherwise a function from an
evaluator to a str. What GNU make complains about only when it expands (a function with too few arguments, a reference without
its closing bracket) is compiled into a function that complains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Union

from kallmodsyms.make.functions import PURE, patsubst_parts, percent
from kallmodsyms.make.lines import SPACES, matching, split_words
from kallmodsyms.make.promises import MARK

if TYPE_CHECKING:
    from kallmodsyms.make.evaluator import Evaluator

Compiled = Union[str, Callable[["Evaluator"], str]]

_FUNCTION_NAME = re.compile(r"([a-z-]+)(?=[ \t\n\v\f\r]|\Z)")
_cache: dict[str, Compiled] = {}


def compile_text(text: str) -> Compiled:
    """The compiled form of `text`."""
    if "$" not in text:
        return text
    compiled = _cache.get(text)
    if compiled is None:
        compiled = _cache[text] = _compile(text)
    return compiled


def _compile(text: str) -> Compiled:
    parts: list[Compiled] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        if dollar > position:
            parts.append(text[position:dollar])
        character = text[dollar + 1 : dollar + 2]
        if character in ("", "$"):
            parts.append("$")
            position = dollar + 2
        elif character in "({":
            part, position = _reference(text, dollar + 2, character)
            parts.append(part)
        else:
            # The name is one byte.
            first, *rest = character.encode("utf-8", "surrogateescape")
            parts.append(_variable(bytes([first]).decode("utf-8", "surrogateescape")))
            if rest:
                parts.append(bytes(rest).decode("utf-8", "surrogateescape"))
            position = dollar + 2
    if position < len(text):
        parts.append(text[position:])
    return _concatenation(parts)


def _concatenation(parts: list[Compiled]) -> Compiled:
    if all(isinstance(part, str) for part in parts):
        return "".join(parts)  # type: ignore[arg-type]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        if isinstance(first, str):
            return lambda evaluator: first + second(evaluator)  # type: ignore[operator]
        if isinstance(second, str):
            return lambda evaluator: first(evaluator) + second
    whole = tuple(parts)
    return lambda evaluator: "".join([part if isinstance(part, str) else part(evaluator) for part in whole])


def _variable(name: str) -> Compiled:
    return lambda evaluator: evaluator.value(name)


def _failure(message: str) -> Compiled:
    def fail(evaluator: Evaluator) -> str:
        raise evaluator.error(message)

    return fail


def _reference(text: str, start: int, opening: str) -> tuple[Compiled, int]:
    """Compile what follows `$(` or `${` at `start`; also tell where it ends."""
    closing = ")" if opening == "(" else "}"
    function = _FUNCTION_NAME.match(text, start)
    if function and (function[1] in PURE or function[1] in SPECIAL):
        return _call(text, start + len(function[1]), opening, function[1])
    end = text.find(closing, start)
    if end < 0:
        return _failure("unterminated variable reference"), len(text)
    if "$" not in text[start:end]:
        return _named(text[start:end]), end + 1
    end = matching(text, start, opening)
    if end == len(text):
        return _failure("unterminated variable reference"), len(text)
    name = _compile(text[start:end])

    def computed(evaluator: Evaluator) -> str:
        forced = evaluator.force(name if isinstance(name, str) else name(evaluator))
        if ":" not in forced:
            return evaluator.value(forced)
        reference = _named_cache.get(forced)
        if reference is None:
            reference = _named_cache[forced] = _named(forced)
        return reference(evaluator)

    return computed, end + 1


_named_cache: dict[str, Callable[[Evaluator], str]] = {}


def _named(name: str) -> Callable[[Evaluator], str]:
    """A reference whose name is known: `NAME` or `NAME:PATTERN=REPLACEMENT`."""
    colon = name.find(":")
    equals = name.find("=", colon)
    if colon < 0 or equals < 0:
        return lambda evaluator: evaluator.value(name)
    variable, pattern, replacement = name[:colon], name[colon + 1 : equals], name[equals + 1 :]
    prefix, suffix = percent(pattern)
    parts: tuple[str, str, str, str | None]
    if suffix is None:
        parts = ("", pattern, "", replacement)
    else:
        parts = (prefix, suffix, *percent(replacement))

    def substitute(value: str) -> str:
        return patsubst_parts(*parts, value)

    def substitution(evaluator: Evaluator) -> str:
        value = evaluator.value(variable)
        return evaluator.promises.apply(substitute, value) if MARK in value else substitute(value)

    return substitution


def _call(text: str, start: int, opening: str, name: str) -> tuple[Compiled, int]:
    """Compile a function call whose arguments begin at or after `start`."""
    end = matching(text, start, opening)
    if end == len(text):
        closing = ")" if opening == "(" else "}"
        return _failure(f"unterminated call to function '{name}': missing '{closing}'"), end
    while start < end and text[start] in SPACES:
        start += 1
    arguments = _split_arguments(text, start, end, opening, (PURE.get(name) or SPECIAL[name])[1])
    return build_call(name, arguments), end + 1


def build_call(name: str, arguments: list[str]) -> Compiled:
    """A call of the function `name` with unexpanded arguments."""
    fewest = (PURE.get(name) or SPECIAL[name])[0]
    if len(arguments) < fewest:
        return _failure(f"insufficient number of arguments ({len(arguments)}) to function '{name}'")
    if name in PURE:
        return _pure_call(name, [_compile(argument) if "$" in argument else argument for argument in arguments])
    return SPECIAL[name][2](*arguments)


def _split_arguments(text: str, start: int, end: int, opening: str, most: int) -> list[str]:
    closing = ")" if opening == "(" else "}"
    arguments = []
    depth = 0
    first = start
    for position in range(start, end):
        character = text[position]
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
        elif character == "," and not depth:
            if len(arguments) + 1 == most:
                break
            arguments.append(text[first:position])
            first = position + 1
    arguments.append(text[first:end])
    return arguments


def _pure_call(name: str, arguments: list[Compiled]) -> Compiled:
    function = PURE[name][2]

    def call(evaluator: Evaluator) -> str:
        values = [part if isinstance(part, str) else part(evaluator) for part in arguments]
        for value in values:
            if MARK in value:
                return evaluator.promises.apply(function, *values)
        return function(*values)

    return call


# The functions that look at variables, files or the world, or that expand only some of their arguments.


def _if(condition: str, yes: str, no: str = "") -> Compiled:
    test, then, otherwise = compile_text(condition.strip(SPACES)), compile_text(yes), compile_text(no)

    def choose(evaluator: Evaluator) -> str:
        taken = otherwise if evaluator.promises.is_empty(evaluator.expand(test)) else then
        return evaluator.expand(taken)

    return choose


def _or(*conditions: str) -> Compiled:
    tests = [compile_text(condition.strip(SPACES)) for condition in conditions]

    def first_true(evaluator: Evaluator) -> str:
        for test in tests:
            value = evaluator.expand(test)
            if not evaluator.promises.is_empty(value):
                return value
        return ""

    return first_true


def _and(*conditions: str) -> Compiled:
    tests = [compile_text(condition.strip(SPACES)) for condition in conditions]

    def last_true(evaluator: Evaluator) -> str:
        value = ""
        for test in tests:
            value = evaluator.expand(test)
            if evaluator.promises.is_empty(value):
                return ""
        return value

    return last_true


def _foreach(variable: str, words: str, body: str) -> Compiled:
    name, items, text = compile_text(variable), compile_text(words), compile_text(body)

    def loop(evaluator: Evaluator) -> str:
        forced_name = evaluator.force(evaluator.expand(name)).strip(SPACES)
        values = split_words(evaluator.force(evaluator.expand(items)))
        return evaluator.foreach(forced_name, values, text)

    return loop


def _user_call(*arguments: str) -> Compiled:
    parts = [compile_text(argument) for argument in arguments]
    return lambda evaluator: evaluator.call([evaluator.expand(part) for part in parts])


def _of_text(method: Callable[[Evaluator, str], str]) -> Callable[..., Compiled]:
    """A function of one argument, which it gets expanded and forced."""

    def build(argument: str = "") -> Compiled:
        text = compile_text(argument)
        return lambda evaluator: method(evaluator, evaluator.force(evaluator.expand(text)))

    return build


def _shell(command: str = "") -> Compiled:
    text = compile_text(command)
    return lambda evaluator: evaluator.shell(evaluator.expand(text))


def _file(operation: str, content: str | None = None) -> Compiled:
    text = compile_text(operation)
    return lambda evaluator: evaluator.file(evaluator.force(evaluator.expand(text)), content is not None)


# Name: (fewest arguments, most arguments or 0, what compiles a call of it).
SPECIAL: dict[str, tuple[int, int, Callable[..., Compiled]]] = {
    "abspath": (0, 1, _of_text(lambda evaluator, text: evaluator.abspath(text))),
    "and": (1, 0, _and),
    "call": (1, 0, _user_call),
    "error": (0, 1, _of_text(lambda evaluator, text: evaluator.stop(text))),
    "eval": (0, 1, _of_text(lambda evaluator, text: evaluator.eval(text))),
    "file": (1, 2, _file),
    "flavor": (0, 1, _of_text(lambda evaluator, text: evaluator.flavor(text))),
    "foreach": (3, 3, _foreach),
    "if": (2, 3, _if),
    "info": (0, 1, _of_text(lambda evaluator, text: evaluator.message(text))),
    "or": (1, 0, _or),
    "origin": (0, 1, _of_text(lambda evaluator, text: evaluator.origin(text))),
    "realpath": (0, 1, _of_text(lambda evaluator, text: evaluator.realpath(text))),
    "shell": (0, 1, _shell),
    "value": (0, 1, _of_text(lambda evaluator, text: evaluator.raw_value(text))),
    "warning": (0, 1, _of_text(lambda evaluator, text: evaluator.warning(text))),
    "wildcard": (0, 1, _of_text(lambda evaluator, text: evaluator.wildcard(text))),
}
