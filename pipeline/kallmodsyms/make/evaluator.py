"""Makefiles and variables in, variables out: GNU make 4.3's reading of makefiles, without the rules.

Rules, recipes and target-specific variables are recognised and passed over; what make expands of them while it reads is
expanded. Built-in rules and variables are off, as with `make -rR`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from kallmodsyms.make.conditionals import Conditionals
from kallmodsyms.make.expression import compile_text, expand_variable, shell, value_of
from kallmodsyms.make.functions import ArgumentError
from kallmodsyms.make.lines import SPACES, find_unquoted, split_assignment, split_words
from kallmodsyms.make.program import Kind, Line, Program, first_word, is_target_variable, make_words
from kallmodsyms.make.promises import Promises
from kallmodsyms.make.scope import Origin, Scope, Variable
from kallmodsyms.make.sources import Sources, include_directories
from kallmodsyms.wildcards import has_magic

DEEPEST_INCLUDE = 100


class Evaluator(Scope):
    """Reads makefiles one after the other, as one make process does.

    sources: where it finds them
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        base: Mapping[str, Variable] | None = None,
        sources: Sources | None = None,
        promises: Promises | None = None,
        shell_environment: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        """`shell_environment` gives the environment of a `$(shell)` command, from the command's text."""
        super().__init__(directory, base, promises, shell_environment)
        self.sources = sources or Sources()
        self._reading: list[str] = []

    # Values

    def value(self, name: str) -> str:
        """The expanded value of a variable, empty where it is undefined. It may hold markers (see promises)."""
        return value_of(self, name)

    def get(self, name: str) -> str:
        """The final value of a variable, as a recipe would see it."""
        return self.force(value_of(self, name))

    def exported_text(self, name: str, variable: Variable) -> str:
        """The value that make would put into the environment for an exported variable. It may hold markers."""
        if variable.recursive and variable.origin is not Origin.ENVIRONMENT:
            return expand_variable(self, name, variable)
        return variable.value

    def shell(self, command: str) -> str:
        """A marker for what an expanded command prints."""
        return shell(self, command)

    # Reading

    def read(self, path: str) -> None:
        """Evaluate a makefile. Relative paths start at the current directory. Raises InputError."""
        self._guarded(lambda: self._include(path, optional=False))

    def evaluate(self, program: Program) -> None:
        """Evaluate a program as if it were included here, without adding it to MAKEFILE_LIST. Raises InputError."""
        self._guarded(lambda: self._run(program))

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except ArgumentError as error:
            raise self.error(str(error)) from None
        except RecursionError:
            raise self.error("the expansion of this line nests too deeply") from None

    def eval(self, text: str) -> None:
        place = (self.path, self.line)
        program = Program(text, self.path or "-")
        for line in program.lines:
            line.number = self.line
        self._run(program)
        self.path, self.line = place

    def _include(self, name: str, optional: bool) -> None:
        for candidate in self._candidates(name):
            absolute = os.path.normpath(os.path.join(self.directory, candidate))
            program = self.sources.program(absolute)
            self.files[absolute] = program is not None
            if program is not None:
                break
        else:
            if optional:
                return
            raise self.error(f"the included file '{name}' does not exist")
        if len(self._reading) >= DEEPEST_INCLUDE:
            raise self.error(f"includes go round: {' -> '.join(self._cycle(absolute))}")
        listed = self.find("MAKEFILE_LIST")
        before = listed.value + " " if listed and listed.value else ""
        self.define("MAKEFILE_LIST", before + candidate)
        place = (self.path, self.line)
        self._reading.append(absolute)
        self._run(program)
        self._reading.pop()
        self.path, self.line = place

    def _cycle(self, path: str) -> list[str]:
        """The files that lead from `path` back to it, or just the last ones where it is not being read."""
        length = self._reading[::-1].index(path) + 1 if path in self._reading else 3
        return [*self._reading[-length:], path]

    def _candidates(self, name: str) -> list[str]:
        """Where an included file may be: as named, then below each directory that MAKEFLAGS adds.

        An option that a makefile adds to MAKEFLAGS takes effect in the makes that this make starts. That is how kernels
        before 6.2 add their source directory for the make that does the work; here one evaluation stands for both.
        """
        directories = [] if name.startswith("/") else include_directories(value_of(self, "MAKEFLAGS"))
        return [name, *(os.path.join(directory, name) for directory in directories)]

    def _run(self, program: Program) -> None:
        lines = program.lines
        self.path = program.path
        for name, value in program.assignments.items():
            self.define(name, value, recursive=True)
        conditionals = Conditionals()
        in_rule = in_ignored_define = (
            False  # in_rule: a line with a tab belongs to a recipe, if only to one of no target
        )
        index = 0
        while index < len(lines):
            line = lines[index]
            index += 1
            if line.recipe and in_rule:
                continue
            self.line = line.number
            kind = line.kind or line.classify()
            if kind is Kind.ASSIGNMENT:
                if not conditionals.ignoring:
                    in_rule = False
                    self._assign(line)
            elif kind is Kind.DEFINE or kind is Kind.UNDEFINE:
                if conditionals.ignoring:
                    in_ignored_define = in_ignored_define or kind is Kind.DEFINE
                    continue
                in_rule = False
                if kind is Kind.DEFINE:
                    body, index = program.definition(index - 1)
                    self._define(line, body)
                else:
                    self._undefine(line)
            elif kind is Kind.EMPTY:
                pass
            elif in_ignored_define:
                word, rest = first_word(line.raw.lstrip(SPACES))
                if word == "endef" and (not rest or rest.startswith("#")):
                    in_ignored_define = False
            elif kind is Kind.CONDITIONAL:
                conditionals.step(self, line)
            elif conditionals.ignoring:
                pass
            elif kind is Kind.EXPORT or kind is Kind.UNEXPORT:
                in_rule = False
                self._export(line, kind is Kind.EXPORT)
            elif kind is Kind.VPATH:
                in_rule = False
            elif kind is Kind.INCLUDE:
                in_rule = False
                self._include_line(line)
                self.path = program.path
            elif kind is Kind.LOAD:
                raise self.error("the directive 'load' is not supported", text=line.raw)
            elif line.recipe:
                raise self.error("recipe commences before first target", text=line.raw)
            elif kind is Kind.TARGET_VARIABLE:
                in_rule = False
            elif kind is Kind.RULE:
                in_rule = True
                self._expand_text(line)
            else:
                in_rule = self._anything(line)
        conditionals.finish(self)

    def _assign(self, line: Line) -> None:
        name = self._name(line, line.name)
        operator = line.operator
        if operator == "+=":
            self._append(line, name)
        elif operator == ":=" or operator == "::=":
            self.define(name, self._expand_text(line), origin=self._origin(line))
        elif operator == "=":
            self.define(name, line.text, recursive=True, origin=self._origin(line))
        elif operator == "?=":
            if self.find(name) is None:
                self.define(name, line.text, recursive=True, origin=self._origin(line))
        else:
            self._define_by_shell(line, name, self._expand_text(line))
        if line.export:
            self.set_export(name, True)

    @staticmethod
    def _origin(line: Line) -> Origin:
        return Origin.OVERRIDE if line.override else Origin.FILE

    def _name(self, line: Line, text: str) -> str:
        compiled = line.compiled_name
        if compiled is None:
            compiled = line.compiled_name = compile_text(text)
        name = compiled if isinstance(compiled, str) else self.force(compiled(self))
        if not name:
            raise self.error("empty variable name", text=line.raw)
        return name

    def _expand_text(self, line: Line) -> str:
        compiled = line.compiled
        if compiled is None:
            compiled = line.compiled = compile_text(line.text)
        return compiled if isinstance(compiled, str) else compiled(self)

    def _append(self, line: Line, name: str, text: str | None = None) -> None:
        old = self.find(name)
        if text is None:
            text = line.text if old is None or old.recursive else self._expand_text(line)
        if old is None:
            self.define(name, text, recursive=True, origin=self._origin(line))
        elif text:
            blank = " " if old.value else ""
            if self.promises.only_markers(old.value) or self.promises.only_markers(text):
                blank = self.promises.apply(_blank_between, old.value, text)
            self.define(name, old.value + blank + text, recursive=old.recursive, origin=self._origin(line))

    def _define(self, line: Line, body: str) -> None:
        assignment = split_assignment(line.text)
        text, operator, rest = assignment or (line.text, "=", "")
        if rest:
            self.warning("extraneous text after 'define' directive")
        name = self._name(line, text).strip(SPACES)
        if not name:
            raise self.error("empty variable name", text=line.raw)
        if operator == "=" or (operator == "?=" and self.find(name) is None):
            self.define(name, body, recursive=True, origin=self._origin(line))
        elif operator in (":=", "::="):
            self.define(name, self.expand(compile_text(body)), origin=self._origin(line))
        elif operator == "+=":
            old = self.find(name)
            simple = old is not None and not old.recursive
            self._append(line, name, self.expand(compile_text(body)) if simple else body)
        elif operator == "!=":
            self._define_by_shell(line, name, self.expand(compile_text(body)))
        if line.export:
            self.set_export(name, True)

    def _define_by_shell(self, line: Line, name: str, command: str) -> None:
        """`!=`: what a command prints is text to expand, so that it runs at once.

        Of several newlines at the end make keeps all but one, as blanks; here they go.
        """
        self.define(name, self.force(self.shell(command)), recursive=True, origin=self._origin(line))

    def _undefine(self, line: Line) -> None:
        name = self._name(line, line.text.rstrip(SPACES)).strip(SPACES)
        self.undefine(name, self._origin(line))

    def _export(self, line: Line, exporting: bool) -> None:
        if not line.text:
            self.export_all = exporting
            return
        for name in split_words(self.force(self._expand_text(line))):
            self.set_export(name, exporting)

    def _include_line(self, line: Line) -> None:
        for word in split_words(self.force(self._expand_text(line))):
            for name in self.glob(word) if has_magic(word) else [word]:
                self._include(name, line.optional)

    def _anything(self, line: Line) -> bool:
        """A line whose expansion tells what it is. Returns whether a rule is open, of targets or of none."""
        words = make_words(line.text)
        if words and words[0] == ":":
            return True
        expanded, colon = "", -1
        taken: list[str] = []
        for word in words:
            taken.append(word)
            expanded += (" " if expanded else "") + self.force(self.expand(compile_text(word)))
            expanded, colon = find_unquoted(expanded, ":")
            if colon >= 0:
                break
        if colon < 0:
            if expanded.strip(SPACES):
                raise self.error("missing separator", text=line.raw)
            return False
        if not expanded[:colon].strip(SPACES):
            return True
        rest = _after_words(line.text, taken)
        after = expanded[colon + 1 :].removeprefix(":")
        if is_target_variable(after + rest):
            return False
        self.expand(compile_text(rest))
        return True


def _blank_between(old: str, text: str) -> str:
    return " " if old and text else ""


def _after_words(text: str, words: list[str]) -> str:
    """What follows the first words of `text`, as `make_words` cut them."""
    position = 0
    for word in words:
        position = text.index(word, position) + len(word)
    return text[position:]
