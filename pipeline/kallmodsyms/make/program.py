"""Makefile text in, a `Program` out: its logical lines, each classified once.

What a line is does not depend on any variable, with one exception that only the evaluator can decide: a line that
starts with a tab belongs to a recipe if a rule is open. It is classified only when the evaluator finds that none is.
"""

from __future__ import annotations

import os
import re
from enum import Enum, auto

from kallmodsyms.errors import InputError
from kallmodsyms.make.lines import (
    BLANKS,
    SPACES,
    collapse,
    find_unquoted,
    logical_lines,
    plain_assignment,
    remove_comment,
    skip_reference,
    split_assignment,
)
from kallmodsyms.make.scope import Compiled


class Kind(Enum):
    """What a line is. ANYTHING is a rule, a target-specific variable or a bare expansion: only expanding it tells."""

    EMPTY = auto()
    ASSIGNMENT = auto()
    DEFINE = auto()
    UNDEFINE = auto()
    CONDITIONAL = auto()
    EXPORT = auto()
    UNEXPORT = auto()
    INCLUDE = auto()
    VPATH = auto()
    LOAD = auto()
    RULE = auto()
    TARGET_VARIABLE = auto()
    ANYTHING = auto()


class Line:
    """One logical line.

    number: of its first physical line
    raw: its text, with inner backslash-newlines
    recipe: whether it starts with a tab
    kind: None until `classify` found it out

    The rest depends on the kind:
    name, operator, text: of an assignment, or a definition; `text` is what follows a keyword, or a rule's text
    override, export: whether these words come before an assignment
    optional: whether an included file may be missing
    compiled_name, compiled: `name` and `text` as the evaluator compiled them, for the next time
    sides: the two sides of an `ifeq`, compiled, and what follows them
    body: of a `define`, and the index of the line after it
    """

    __slots__ = (
        "body",
        "compiled",
        "compiled_name",
        "export",
        "kind",
        "name",
        "number",
        "operator",
        "optional",
        "override",
        "raw",
        "recipe",
        "sides",
        "text",
    )

    def __init__(self, number: int, raw: str) -> None:
        self.number = number
        self.raw = raw
        self.recipe = raw.startswith("\t")
        self.kind: Kind | None = None
        self.name = self.operator = self.text = ""
        self.override = self.export = self.optional = False
        self.compiled_name: Compiled | None = None
        self.compiled: Compiled | None = None
        self.sides: tuple[Compiled, Compiled, str] | None = None
        self.body: tuple[str, int] | None = None

    def classify(self) -> Kind:
        """Find out what the line is."""
        if "#" not in self.raw and "\n" not in self.raw:
            assignment = plain_assignment(self.raw)
            if assignment:
                self.name, self.operator, self.text = assignment
                self.kind = Kind.ASSIGNMENT
                return self.kind
        text = remove_comment(collapse(self.raw)).lstrip(SPACES)
        self.kind = self._assignment(text) or self._directive(text)
        return self.kind

    def _assignment(self, text: str) -> Kind | None:
        rest = text
        while rest:
            assignment = split_assignment(rest)
            if assignment:
                self.name, self.operator, self.text = assignment
                return Kind.ASSIGNMENT
            word, rest = first_word(rest)
            if word == "export":
                self.export = True
            elif word == "override":
                self.override = True
            elif word == "define":
                self.text = rest
                return Kind.DEFINE
            elif word == "undefine":
                self.text = rest
                return Kind.UNDEFINE
            elif word != "private":
                break
        self.export = self.override = False
        return None

    def _directive(self, text: str) -> Kind:
        word, rest = first_word(text)
        if not word:
            return Kind.EMPTY
        self.text = rest
        if word in ("ifdef", "ifndef", "ifeq", "ifneq", "else", "endif"):
            self.name = word
            return Kind.CONDITIONAL
        if word in ("include", "-include", "sinclude"):
            self.optional = word != "include"
            return Kind.INCLUDE
        if word in ("load", "-load"):
            return Kind.LOAD
        kind = {"export": Kind.EXPORT, "unexport": Kind.UNEXPORT, "vpath": Kind.VPATH}.get(word)
        return kind or self._rule()

    def _rule(self) -> Kind:
        text, cut = find_unquoted(self.raw, ";#", skip_references=True)
        self.text = collapse(text if cut < 0 else text[:cut]).lstrip(SPACES)
        colon = self.text.find(":")
        if colon > 0 and "$" not in self.text[:colon] and "\\" not in self.text[:colon]:
            rest = self.text[colon + 1 :].removeprefix(":")
            self.name, self.text = self.text[:colon], rest
            return Kind.TARGET_VARIABLE if is_target_variable(rest) else Kind.RULE
        return Kind.ANYTHING


def first_word(text: str) -> tuple[str, str]:
    """The first word of `text`, which starts with it, and the rest without the blanks between them."""
    for index, character in enumerate(text):
        if character in SPACES:
            return text[:index], text[index:].lstrip(SPACES)
    return text, ""


def is_target_variable(text: str) -> bool:
    """Whether what follows the colon of a rule assigns a variable."""
    rest = text.lstrip(SPACES)
    while rest:
        if split_assignment(rest):
            return True
        word, rest = first_word(rest)
        if word not in ("export", "override", "private"):
            return False
    return False


def make_words(text: str) -> list[str]:
    """Cut a rule's text where make does: at blanks and before colons and equal signs, never inside a reference."""
    words: list[str] = []
    position = 0
    while position < len(text):
        if text[position] in BLANKS:
            position += 1
            continue
        start = position
        while position < len(text) and text[position] not in BLANKS:
            if text[position] == "$":
                position = min(skip_reference(text, position), len(text))
            elif text[position] == "\\" and text[position + 1 : position + 2] in tuple(":;=\\"):
                position += 2
            elif text[position] in ":=" and position > start:
                break
            else:
                position += 1
                if text[position - 1] in ":=":
                    break
        words.append(text[start:position])
    return words


_SPECIAL = re.compile(r"[#\\]|^\s")
"""What make reads in another way than it stands there."""


class Program:
    """The lines of one makefile. `path` is what messages call it.

    assignments: name to value, of a program that is made of nothing but recursive ones
    """

    __slots__ = ("assignments", "lines", "path")

    def __init__(self, text: str, path: str | os.PathLike[str], first: int = 1) -> None:
        """`first` is the number that messages give the first line."""
        self.path = os.fspath(path)
        self.assignments: dict[str, str] = {}
        self.lines = [Line(number + first - 1, raw) for number, raw in logical_lines(text, self.path)]

    @classmethod
    def of_assignments(cls, text: str, path: str | os.PathLike[str]) -> Program:
        """The program of a text like auto.conf: comments, and `NAME=value` a line that make takes as it stands.

        Where a value is one that make would look into, this is an ordinary program.
        """
        pairs = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
        if not all(equals and name.isidentifier() and not _SPECIAL.search(value) for name, equals, value in pairs):
            return cls(text, path)
        program = cls("", path)
        program.assignments = {name: value for name, _, value in pairs}
        return program

    def definition(self, index: int) -> tuple[str, int]:
        """The body of the `define` at `index`, and the index of the line after its `endef`."""
        line = self.lines[index]
        if line.body is None:
            line.body = self._definition(index)
        return line.body

    def _definition(self, index: int) -> tuple[str, int]:
        body: list[str] = []
        depth = 1
        for after, line in enumerate(self.lines[index + 1 :], start=index + 2):
            text = collapse(line.raw)
            if not line.recipe:
                word, _ = first_word(text.lstrip(SPACES))
                if word == "define":
                    depth += 1
                elif word == "endef":
                    depth -= 1
                    if not depth:
                        return "\n".join(body), after
            body.append(text)
        raise InputError(
            "a 'define' without its 'endef'", path=self.path, line=self.lines[index].number, text=self.lines[index].raw
        )
