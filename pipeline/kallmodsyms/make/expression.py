"""The text of a value in, something that can be expanded many times out; and the values of variables, which need that.

`compile_text` turns a text into an expansion, a function from a scope to a str; a text in which nothing expands stays a
str. What GNU make complains about only when it expands (a function with too few arguments, a reference without its
closing bracket) becomes an expansion that complains.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kallmodsyms.make.functions import PURE, patsubst_parts, percent
from kallmodsyms.make.lines import SPACES, matching, split_words
from kallmodsyms.make.promises import MARK, Shell
from kallmodsyms.make.scope import Compiled, Expansion, Origin, Scope, Variable
from kallmodsyms.make.special import CONDITIONS, SPECIAL

_FUNCTION_NAME = re.compile(r"([a-z-]+)(?=[ \t\n\v\f\r]|\Z)")
_cache: dict[str, Compiled] = {}
_named_cache: dict[str, Expansion] = {}


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
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return "".join(texts)
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        if isinstance(first, str) and not isinstance(second, str):
            return lambda scope: first + second(scope)
        if isinstance(second, str) and not isinstance(first, str):
            return lambda scope: first(scope) + second
    whole = tuple(parts)
    return lambda scope: "".join([part if isinstance(part, str) else part(scope) for part in whole])


def _variable(name: str) -> Compiled:
    return lambda scope: value_of(scope, name)


def _failure(message: str) -> Compiled:
    def fail(scope: Scope) -> str:
        raise scope.error(message)

    return fail


def _reference(text: str, start: int, opening: str) -> tuple[Compiled, int]:
    """Compile what follows `$(` or `${` at `start`; also tell where it ends."""
    closing = ")" if opening == "(" else "}"
    function = _FUNCTION_NAME.match(text, start)
    if function and function[1] in _ARITY:
        return _function_call(text, start + len(function[1]), opening, function[1])
    end = text.find(closing, start)
    if end < 0:
        return _failure("unterminated variable reference"), len(text)
    if "$" not in text[start:end]:
        return _named(text[start:end]), end + 1
    end = matching(text, start, opening)
    if end == len(text):
        return _failure("unterminated variable reference"), len(text)
    name = _compile(text[start:end])

    def computed(scope: Scope) -> str:
        forced = scope.force(name if isinstance(name, str) else name(scope))
        if ":" not in forced:
            return value_of(scope, forced)
        reference = _named_cache.get(forced)
        if reference is None:
            reference = _named_cache[forced] = _named(forced)
        return reference(scope)

    return computed, end + 1


def _named(name: str) -> Expansion:
    """A reference whose name is known: `NAME` or `NAME:PATTERN=REPLACEMENT`."""
    colon = name.find(":")
    equals = name.find("=", colon)
    if colon < 0 or equals < 0:
        return lambda scope: value_of(scope, name)
    variable, pattern, replacement = name[:colon], name[colon + 1 : equals], name[equals + 1 :]
    prefix, suffix = percent(pattern)
    # Without a % the pattern stands for the end of a word.
    parts: tuple[str, str, str, str | None] = (
        ("", pattern, "", replacement) if suffix is None else (prefix, suffix, *percent(replacement))
    )

    def substitute(value: str) -> str:
        return patsubst_parts(*parts, value)

    def substitution(scope: Scope) -> str:
        value = value_of(scope, variable)
        return scope.promises.apply(substitute, value) if MARK in value else substitute(value)

    return substitution


def _function_call(text: str, start: int, opening: str, name: str) -> tuple[Compiled, int]:
    """Compile a function call whose arguments begin at or after `start`."""
    end = matching(text, start, opening)
    if end == len(text):
        closing = ")" if opening == "(" else "}"
        return _failure(f"unterminated call to function '{name}': missing '{closing}'"), end
    while start < end and text[start] in SPACES:
        start += 1
    arguments = _split_arguments(text, start, end, opening, _ARITY[name][1])
    return _build_call(name, arguments), end + 1


def _split_arguments(text: str, start: int, end: int, opening: str, most: int) -> list[str]:
    """Cut the arguments between `start` and `end` apart; the last of `most` keeps its commas."""
    closing = ")" if opening == "(" else "}"
    arguments: list[str] = []
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


def _build_call(name: str, arguments: list[str]) -> Compiled:
    """A call of the function `name` with arguments that are not expanded yet."""
    fewest = _ARITY[name][0]
    if len(arguments) < fewest:
        return _failure(f"insufficient number of arguments ({len(arguments)}) to function '{name}'")
    conditions = CONDITIONS.get(name, slice(0))
    arguments[conditions] = [argument.strip(SPACES) for argument in arguments[conditions]]
    compiled = [_compile(argument) for argument in arguments]
    return _pure_call(name, compiled) if name in PURE else _SPECIAL[name][2](*compiled)


def _pure_call(name: str, arguments: list[Compiled]) -> Compiled:
    function = PURE[name][2]

    def call(scope: Scope) -> str:
        values = [part if isinstance(part, str) else part(scope) for part in arguments]
        for value in values:
            if MARK in value:
                return scope.promises.apply(function, *values)
        return function(*values)

    return call


# Variables, and the two functions that expand them.


def value_of(scope: Scope, name: str) -> str:
    """The expanded value of a variable, empty where it is undefined. It may hold markers (see promises)."""
    variable = scope.find(name)
    if variable is None:
        return " ".join(scope.variables()) if name == ".VARIABLES" else ""
    return expand_variable(scope, name, variable) if variable.recursive else variable.value


def expand_variable(scope: Scope, name: str, variable: Variable) -> str:
    """The expanded value of a recursive variable, which must not refer to itself."""
    compiled = variable.compiled
    if compiled is None:
        compiled = variable.compiled = compile_text(variable.value)
    if isinstance(compiled, str):
        return compiled
    if name in scope.expanding:
        raise scope.error(f"the recursive variable '{name}' refers to itself", text=f"{name} = {variable.value}")
    scope.expanding.add(name)
    try:
        return compiled(scope)
    finally:
        scope.expanding.discard(name)


def shell(scope: Scope, command: str) -> str:
    """A marker for what an expanded command prints."""
    program = "/bin/sh" if scope.find("SHELL") is None else scope.force(value_of(scope, "SHELL"))
    return scope.promises.shell(Shell(command, program, scope.shell_environment, scope.path, scope.line))


def _shell(command: Compiled = "") -> Expansion:
    return lambda scope: shell(scope, scope.expand(command))


def _call(*arguments: Compiled) -> Expansion:
    return lambda scope: _called(scope, [scope.expand(argument) for argument in arguments])


def _called(scope: Scope, arguments: list[str]) -> str:
    """What a call with expanded arguments comes to. The first one names a function or a variable."""
    name = "".join(split_words(scope.force(arguments[0]))[:1])
    if not name:
        return ""
    if name in _ARITY:
        return _call_function(scope, name, arguments[1:])
    variable = scope.find(name)
    if variable is None:
        return ""
    if not variable.recursive:
        return variable.value
    compiled = variable.compiled
    if compiled is None:
        compiled = variable.compiled = compile_text(variable.value)
    if isinstance(compiled, str):
        return compiled
    # An argument that only the enclosing call has must not be seen here.
    enclosing = next((len(frame) for frame in reversed(scope.frames) if "0" in frame), 0)
    values = [name, *arguments[1:], *[""] * (enclosing - len(arguments))]
    scope.frames.append({str(index): Variable(text, False, Origin.AUTOMATIC) for index, text in enumerate(values)})
    try:
        # Unlike other references, a call may refer to itself.
        return compiled(scope)
    finally:
        scope.frames.pop()


def _call_function(scope: Scope, name: str, arguments: list[str]) -> str:
    most = _ARITY[name][1]
    texts = [argument.replace("$", "$$") for argument in arguments] if name in PURE else arguments
    return scope.expand(_build_call(name, texts[:most] if most else texts))


_SPECIAL: dict[str, tuple[int, int, Callable[..., Expansion]]] = {
    **SPECIAL,
    "call": (1, 0, _call),
    "shell": (0, 1, _shell),
}

# Name of a function: (fewest arguments, most arguments or 0).
_ARITY = {name: function[:2] for name, function in {**PURE, **_SPECIAL}.items()}
