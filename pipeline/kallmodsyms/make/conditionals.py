"""Directives such as `ifeq`, `else` and `endif` in; out comes whether the lines between them count."""

from __future__ import annotations

from kallmodsyms.make.expression import compile_text
from kallmodsyms.make.lines import BLANKS, SPACES
from kallmodsyms.make.program import Line, first_word
from kallmodsyms.make.scope import Compiled, Scope

# The states of an open conditional: its present branch counts; no branch counted so far; an earlier one did.
_TAKEN, _WAITING, _DONE = range(3)


class _Conditional:
    """An open conditional.

    line: what opened it
    last: whether its present branch is that of an `else` without a condition, after which no other comes
    """

    __slots__ = ("last", "line", "state")

    def __init__(self, line: Line, state: int) -> None:
        self.line = line
        self.state = state
        self.last = False


class Conditionals:
    """The open conditionals of one makefile.

    ignoring: whether a line that comes now does not count
    """

    def __init__(self) -> None:
        self._open: list[_Conditional] = []
        self.ignoring = False

    def step(self, scope: Scope, line: Line) -> None:
        """Enter, change or leave a conditional."""
        if line.name == "endif":
            if not self._open:
                raise scope.error("extraneous 'endif'", text=line.raw)
            if line.text:
                scope.warning("extraneous text after 'endif' directive")
            self._open.pop()
        elif line.name == "else":
            self._else(scope, line)
        else:
            taken = not self.ignoring and _holds(scope, line, line.name, line.text)
            self._open.append(_Conditional(line, _TAKEN if taken else _WAITING))
        self.ignoring = any(conditional.state != _TAKEN for conditional in self._open)

    def _else(self, scope: Scope, line: Line) -> None:
        if not self._open:
            raise scope.error("extraneous 'else'", text=line.raw)
        *outer, innermost = self._open
        if innermost.last:
            raise scope.error("only one 'else' for each conditional", text=line.raw)
        innermost.state = _TAKEN if innermost.state == _WAITING else _DONE
        if not line.text:
            innermost.last = True
            return
        word, rest = first_word(line.text)
        if word not in ("ifeq", "ifneq", "ifdef", "ifndef"):
            scope.warning("extraneous text after 'else' directive")
            return
        if innermost.state == _TAKEN:
            ignored = any(conditional.state != _TAKEN for conditional in outer)
            innermost.state = _TAKEN if not ignored and _holds(scope, line, word, rest) else _WAITING

    def finish(self, scope: Scope) -> None:
        """Complain about a conditional that the end of the makefile leaves open."""
        if self._open:
            line = self._open[-1].line
            scope.line = line.number
            raise scope.error("missing 'endif'", text=line.raw)


def _holds(scope: Scope, line: Line, word: str, text: str) -> bool:
    """Whether the condition `text` of the directive `word` is true."""
    if word in ("ifdef", "ifndef"):
        name = scope.force(scope.expand(compile_text(text))).rstrip(SPACES)
        if any(character in SPACES for character in name):
            raise scope.error("invalid syntax in conditional", text=line.raw)
        variable = scope.find(name)
        return (variable is not None and not scope.promises.is_empty(variable.value)) == (word == "ifdef")
    if line.sides is None:
        line.sides = _sides(text)
        if line.sides is None:
            raise scope.error("invalid syntax in conditional", text=line.raw)
    left, right, after = line.sides
    equal = _equal(scope, scope.expand(left), scope.expand(right))
    if after:
        scope.warning(f"extraneous text after '{word}' directive")
    return equal == (word == "ifeq")


def _equal(scope: Scope, left: str, right: str) -> bool:
    if not right:
        return scope.promises.is_empty(left)
    if not left:
        return scope.promises.is_empty(right)
    return scope.force(left) == scope.force(right)


def _sides(text: str) -> tuple[Compiled, Compiled, str] | None:
    """The two sides of `(a,b)`, `"a" "b"` or any mixture that make takes, and what follows. None for bad syntax."""
    opening = text[:1]
    if opening == "(":
        comma = _closing(text, 1, ",")
        left, rest = text[1:comma].rstrip(BLANKS), text[comma + 1 :]
        end = _closing(rest, 0, ")")
        if comma < 0 or end < 0:
            return None
        right, after = rest[:end].lstrip(SPACES), rest[end + 1 :]
    elif opening in ("'", '"'):
        end = text.find(opening, 1)
        rest = text[end + 1 :].lstrip(SPACES)
        quote = rest[:1]
        if end < 0 or quote not in ("'", '"', ")"):
            return None
        left = text[1:end]
        end = _closing(rest, 0, ")") if quote == ")" else rest.find(quote, 1)
        if end < 0:
            return None
        right, after = rest[1:end], rest[end + 1 :]
    else:
        return None
    return compile_text(left), compile_text(right), after.strip(SPACES)


def _closing(text: str, start: int, stop: str) -> int:
    """The first `stop` outside parentheses, or -1."""
    depth = 0
    for position in range(start, len(text)):
        character = text[position]
        if character == stop and depth <= 0:
            return position
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
    return -1
