"""Programs and variables in, variables out: GNU make 4.3's reading of makefiles, without the rules.

Rules, recipes and target-specific variables are recognised and passed over; what they expand while make reads them is
expanded. Built-in rules and variables are off, as with `make -rR`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from kallmodsyms.errors import InputError
from kallmodsyms.files import Fingerprint, read_bytes, read_text
from kallmodsyms.make.expression import SPECIAL, Compiled, build_call, compile_text
from kallmodsyms.make.functions import PURE, BadArgument
from kallmodsyms.make.lines import BLANKS, SPACES, find_unquoted, split_assignment, split_words
from kallmodsyms.make.program import Kind, Line, Program, first_word, is_target_variable, make_words
from kallmodsyms.make.promises import MARK, Promises, Shell, process_environment

VERSION = "4.3"
FEATURES = (
    "target-specific order-only second-expansion else-if shortest-stem undefine oneshell nocomment grouped-target "
    "extra-prereqs archives jobserver output-sync check-symlink load"
)
# Variables whose value depends on what this program does not do: run recipes, choose goals, or look at shell statuses.
UNSUPPORTED = frozenset([".DEFAULT_GOAL", ".SHELLSTATUS", ".LOADED"])
DEEPEST_INCLUDE = 100
_EXPORTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Origin(IntEnum):
    """Where a variable comes from. A weaker (smaller) origin never replaces a stronger one."""

    DEFAULT = 0
    ENVIRONMENT = 1
    FILE = 2
    COMMAND_LINE = 3
    OVERRIDE = 4
    AUTOMATIC = 5

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


class Variable:
    """A variable's value. Never changed once made, so that evaluators may share it.

    value: the text; of a recursive one, before expansion
    exported: True or False where a makefile or the environment said so, None where nobody did
    """

    __slots__ = ("compiled", "exported", "origin", "recursive", "value")

    def __init__(self, value: str, recursive: bool, origin: Origin, exported: bool | None = None) -> None:
        self.value = value
        self.recursive = recursive
        self.origin = origin
        self.exported = exported
        self.compiled: Compiled | None = None


class Sources:
    """Makefiles, read and cut into lines once. `virtual` gives files that need not exist; None says a file is absent.

    fingerprints: of each other file that was read; None where there was none
    """

    def __init__(self, virtual: Mapping[str, Program | None] | None = None, like: Sources | None = None) -> None:
        """`like` has read files that need not be read again."""
        self.virtual = dict(virtual or {})
        self.fingerprints: dict[str, Fingerprint | None] = {} if like is None else like.fingerprints
        self._programs: dict[str, Program | None] = {} if like is None else like._programs

    def program(self, path: str) -> Program | None:
        """The program at an absolute path, or None where there is no such file. Raises InputError on a bad one."""
        if path in self.virtual:
            return self.virtual[path]
        if path not in self._programs:
            self._programs[path] = self.fingerprints[path] = None
            if os.path.isfile(path):
                # The fingerprint is of what was read, even if somebody is writing: stat comes first, and nothing is read twice.
                stat = os.stat(path)
                data = read_bytes(path)
                digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
                self.fingerprints[path] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest]
                self._programs[path] = Program(data.decode("utf-8", "surrogateescape"), path)
        return self._programs[path]


class Evaluator:
    """Reads makefiles one after the other, as one make process does.

    directory: the current directory, absolute
    base: variables that this evaluator may read and replace, but that it never changes; shared with others
    local: the variables that it assigned
    base_reads: the names that it looked up in `base`, found or not
    files: absolute paths that it included or read, with whether they existed
    globs: each `$(wildcard)` pattern with what matched, and for a pattern without wildcards whether it existed
    messages: (path, line, text) of each `$(info)`
    warnings: the same for each `$(warning)`, and for what make itself complains about without stopping
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
        self.directory = os.path.abspath(directory)
        self.base: Mapping[str, Variable] = {} if base is None else base
        self.local: dict[str, Variable | None] = {}
        self.sources = sources or Sources()
        self.promises = promises or Promises()
        self.shell_environment = shell_environment or (lambda command: process_environment())
        self.base_reads: set[str] = set()
        self.files: dict[str, bool] = {}
        self.globs: dict[str, tuple[str, ...]] = {}
        self.messages: list[tuple[str, int, str]] = []
        self.warnings: list[tuple[str, int, str]] = []
        self.export_all = False
        self.path: str | None = None
        self.line = 0
        self._scopes: list[dict[str, Variable]] = []
        self._expanding: set[str] = set()
        self._reading: list[str] = []

    # Variables

    def find(self, name: str) -> Variable | None:
        """The variable that a reference to `name` means now."""
        if self._scopes:
            for scope in reversed(self._scopes):
                if name in scope:
                    return scope[name]
        if name in self.local:
            return self.local[name]
        self.base_reads.add(name)
        variable = self.base.get(name)
        if variable is None and name in UNSUPPORTED:
            raise self.error(f"the variable {name} is not supported")
        return variable

    def value(self, name: str) -> str:
        """The expanded value of a variable, empty where it is undefined. It may hold markers (see promises)."""
        variable = self.find(name)
        if variable is None:
            return " ".join(self._names()) if name == ".VARIABLES" else ""
        return self._expand_variable(name, variable) if variable.recursive else variable.value

    def _expand_variable(self, name: str, variable: Variable) -> str:
        compiled = variable.compiled
        if compiled is None:
            compiled = variable.compiled = compile_text(variable.value)
        if isinstance(compiled, str):
            return compiled
        if name in self._expanding:
            raise self.error(f"the recursive variable '{name}' refers to itself", text=f"{name} = {variable.value}")
        self._expanding.add(name)
        try:
            return compiled(self)
        finally:
            self._expanding.discard(name)

    def get(self, name: str) -> str:
        """The final value of a variable, as a recipe would see it."""
        return self.force(self.value(name))

    def expand(self, compiled: Compiled) -> str:
        return compiled if isinstance(compiled, str) else compiled(self)

    def force(self, text: str) -> str:
        """`text` without markers."""
        if MARK not in text:
            return text
        try:
            return self.promises.force(text)
        except BadArgument as error:
            raise self.error(str(error)) from None

    def define(self, name: str, value: str, *, recursive: bool = False, origin: Origin = Origin.FILE,
               exported: bool | None = None) -> None:  # fmt: skip
        """Give a variable a value, if nothing stronger gave it one."""
        old = self.local[name] if name in self.local else self.base.get(name)
        if old is not None:
            if origin < old.origin:
                return
            if exported is None:
                exported = old.exported
        self.local[name] = Variable(value, recursive, origin, exported)

    def set_environment(self, environment: Mapping[str, str]) -> None:
        """Take over the environment that make was started with."""
        for name, value in environment.items():
            if name != "SHELL":
                self.define(name, value, recursive=True, origin=Origin.ENVIRONMENT, exported=True)

    def set_command_line(self, variables: Mapping[str, str]) -> None:
        """Variables given as arguments, NAME=VALUE."""
        for name, value in variables.items():
            self.define(name, value, recursive=True, origin=Origin.COMMAND_LINE, exported=True)

    def set_defaults(self, goals: Iterable[str] = (), flags: str = "rR --no-print-directory") -> None:
        """What make defines by itself when started with the options of a kernel build."""
        machine = f"{os.uname().machine}-pc-linux-gnu"
        for name, value in {"MAKE_COMMAND": "make", "MAKE_VERSION": VERSION, "MAKE_HOST": machine,
                            "SHELL": "/bin/sh", ".SHELLFLAGS": "-c", ".FEATURES": FEATURES, ".INCLUDE_DIRS": "",
                            "SUFFIXES": "", "MAKEFILE_LIST": "", ".RECIPEPREFIX": ""}.items():  # fmt: skip
            self.define(name, value, origin=Origin.DEFAULT)
        self.define("MAKE", "$(MAKE_COMMAND)", recursive=True, origin=Origin.DEFAULT, exported=True)
        self.define("CURDIR", self.directory)
        self.define("MAKEFLAGS", flags, recursive=True, exported=True)
        self.define("MAKELEVEL", "0", recursive=True, origin=Origin.ENVIRONMENT, exported=True)
        if goals:
            self.define("MAKECMDGOALS", " ".join(goals), origin=Origin.DEFAULT)

    def exported(self) -> dict[str, Variable]:
        """The variables that a program started by a recipe would find in its environment."""
        result = {}
        for name in self._names():
            variable = self.local[name] if name in self.local else self.base[name]
            if variable is None or name == "SHELL":
                continue
            if variable.exported is None:
                exported = self.export_all and variable.origin > Origin.ENVIRONMENT and _EXPORTABLE.fullmatch(name)
            else:
                exported = variable.exported
            if exported:
                result[name] = variable
        return result

    def exported_text(self, name: str, variable: Variable) -> str:
        """The value that make would put into the environment for an exported variable. It may hold markers."""
        if variable.recursive and variable.origin is not Origin.ENVIRONMENT:
            return self._expand_variable(name, variable)
        return variable.value

    def _names(self) -> list[str]:
        return [name for name in {**self.base, **self.local} if self.local.get(name, True) is not None]

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
        except BadArgument as error:
            raise self.error(str(error)) from None
        except RecursionError:
            raise self.error("the expansion of this line nests too deeply") from None

    def eval(self, text: str) -> str:
        place = (self.path, self.line)
        program = Program(text, self.path or "-")
        for line in program.lines:
            line.number = self.line
        self._run(program)
        self.path, self.line = place
        return ""

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
            cycle = self._reading[len(self._reading) - self._reading[::-1].index(absolute) - 1 :] if (
                absolute in self._reading) else self._reading[-3:]  # fmt: skip
            raise self.error(f"includes go round: {' -> '.join([*cycle, absolute])}")
        listed = self.find("MAKEFILE_LIST")
        before = listed.value + " " if listed and listed.value else ""
        self.define("MAKEFILE_LIST", before + candidate)
        place = (self.path, self.line)
        self._reading.append(absolute)
        self._run(program)
        self._reading.pop()
        self.path, self.line = place

    def _candidates(self, name: str) -> list[str]:
        """Where an included file may be: as named, then below each directory that MAKEFLAGS adds.

        make heeds an option that a makefile adds to MAKEFLAGS in the makes that it starts. Kernels before 6.2 add
        their source directory so before they start the make that does the work; here one evaluation does both.
        """
        if name.startswith("/"):
            return [name]
        return [name, *(os.path.join(directory, name) for directory in include_directories(self.value("MAKEFLAGS")))]

    def _run(self, program: Program) -> None:
        lines = program.lines
        self.path = program.path
        conditionals = _Conditionals()
        in_rule = no_targets = in_ignored_define = False
        index = 0
        while index < len(lines):
            line = lines[index]
            index += 1
            if line.recipe and (in_rule or no_targets):
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
                in_rule, no_targets = True, False
                self._expand_text(line)
            else:
                in_rule, no_targets = self._anything(line, no_targets)
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
            self.define(name, self.shell(self._expand_text(line)), recursive=True, origin=self._origin(line))
        if line.export:
            self._set_export(name, True)

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
            output = self.shell(self.expand(compile_text(body)))
            self.define(name, output, recursive=True, origin=self._origin(line))
        if line.export:
            self._set_export(name, True)

    def _undefine(self, line: Line) -> None:
        name = self._name(line, line.text.rstrip(SPACES)).strip(SPACES)
        old = self.local[name] if name in self.local else self.base.get(name)
        if old is not None and self._origin(line) >= old.origin:
            self.local[name] = None

    def _export(self, line: Line, exporting: bool) -> None:
        if not line.text:
            self.export_all = exporting
            return
        for name in split_words(self.force(self._expand_text(line))):
            self._set_export(name, exporting)

    def _set_export(self, name: str, exporting: bool) -> None:
        old = self.local[name] if name in self.local else self.base.get(name)
        if old is None:
            old = Variable("", False, Origin.FILE)
        self.local[name] = Variable(old.value, old.recursive, old.origin, exporting)

    def _include_line(self, line: Line) -> None:
        for word in split_words(self.force(self._expand_text(line))):
            for name in self._glob(word) if _has_magic(word) else [word]:
                self._include(name, line.optional)

    def _anything(self, line: Line, no_targets: bool) -> tuple[bool, bool]:
        """A line whose expansion tells what it is. Returns whether a rule is open, and whether it has no targets."""
        words = make_words(line.text)
        if words and words[0] == ":":
            return False, True
        expanded = ""
        for position, word in enumerate(words):
            expanded += (" " if expanded else "") + self.force(self.expand(compile_text(word)))
            expanded, colon = find_unquoted(expanded, ":")
            if colon >= 0:
                break
        else:
            if expanded.strip(SPACES):
                raise self.error("missing separator", text=line.raw)
            return False, no_targets
        if not expanded[:colon].strip(SPACES):
            return False, True
        start = sum(len(word) for word in words[: position + 1])
        rest = _after_words(line.text, words[: position + 1]) if start else ""
        after = expanded[colon + 1 :].removeprefix(":")
        if is_target_variable(after + rest):
            return False, no_targets
        self.expand(compile_text(rest))
        return True, False

    # Functions that need to know the evaluator

    def foreach(self, name: str, words: list[str], body: Compiled) -> str:
        if isinstance(body, str):
            return " ".join([body] * len(words))
        scope: dict[str, Variable] = {}
        self._scopes.append(scope)
        try:
            result = []
            for word in words:
                scope[name] = Variable(word, False, Origin.AUTOMATIC)
                result.append(body(self))
            return " ".join(result)
        finally:
            self._scopes.pop()

    def call(self, arguments: list[str]) -> str:
        name = "".join(split_words(self.force(arguments[0]))[:1])
        if not name:
            return ""
        if name in PURE or name in SPECIAL:
            return self._call_builtin(name, arguments[1:])
        variable = self.find(name)
        if variable is None or not variable.value:
            return ""
        count = max(len(arguments), self._call_depth_arguments())
        scope = {str(index): Variable("", False, Origin.AUTOMATIC) for index in range(len(arguments), count)}
        scope["0"] = Variable(name, False, Origin.AUTOMATIC)
        for index, argument in enumerate(arguments[1:], start=1):
            scope[str(index)] = Variable(argument, False, Origin.AUTOMATIC)
        if not variable.recursive:
            return variable.value
        compiled = variable.compiled
        if compiled is None:
            compiled = variable.compiled = compile_text(variable.value)
        if isinstance(compiled, str):
            return compiled
        self._scopes.append(scope)
        try:
            # a function may call itself
            return compiled(self)
        finally:
            self._scopes.pop()

    def _call_depth_arguments(self) -> int:
        """How many arguments the innermost enclosing call has: a call inside must not see those that it lacks itself."""
        for scope in reversed(self._scopes):
            if "0" in scope:
                return len(scope)
        return 0

    def _call_builtin(self, name: str, arguments: list[str]) -> str:
        most = (PURE.get(name) or SPECIAL[name])[1]
        if name in PURE:
            arguments = [argument.replace("$", "$$") for argument in arguments]
        return self.expand(build_call(name, arguments[:most] if most else arguments))

    def shell(self, command: str) -> str:
        shell = self.find("SHELL")
        program = self.force(self.value("SHELL")) if shell is not None else "/bin/sh"
        return self.promises.shell(Shell(command, program, self.directory, self.shell_environment))

    def file(self, operation: str, has_content: bool) -> str:
        operation = operation.strip(SPACES)
        if not operation.startswith("<") or has_content:
            raise self.error("$(file) is supported for reading only", text=operation)
        path = os.path.normpath(os.path.join(self.directory, operation[1:].strip(SPACES)))
        self.files[path] = os.path.isfile(path)
        return read_text(path).removesuffix("\n") if self.files[path] else ""

    def abspath(self, text: str) -> str:
        return " ".join([_absolute(self.directory, name) for name in split_words(text)])

    def realpath(self, text: str) -> str:
        paths = [os.path.join(self.directory, name) for name in split_words(text)]
        found = [path for path in paths if os.path.exists(path)]
        for path in paths:
            self.globs.setdefault(path, (path,) if path in found else ())
        return " ".join([os.path.realpath(path) for path in found])

    def wildcard(self, text: str) -> str:
        return " ".join([name for pattern in split_words(text) for name in self._glob(pattern)])

    def _glob(self, pattern: str) -> tuple[str, ...]:
        found = self.globs.get(pattern)
        if found is None:
            found = self.globs[pattern] = glob(self.directory, pattern)
        return found

    def origin(self, name: str) -> str:
        variable = self.find(name)
        return "undefined" if variable is None else variable.origin.words

    def flavor(self, name: str) -> str:
        variable = self.find(name)
        return "undefined" if variable is None else "recursive" if variable.recursive else "simple"

    def raw_value(self, name: str) -> str:
        variable = self.find(name)
        return "" if variable is None else variable.value

    def message(self, text: str) -> str:
        self.messages.append((self.path or "-", self.line, text))
        return ""

    def warning(self, text: str) -> str:
        self.warnings.append((self.path or "-", self.line, text))
        return ""

    def stop(self, text: str) -> str:
        raise self.error(text)

    def error(self, message: str, text: str | None = None) -> InputError:
        """An InputError that names the line being evaluated."""
        return InputError(message, path=self.path, line=self.line or None, text=text)


class _Conditionals:
    """The open conditionals of one makefile.

    Each is [state, whether its else was seen, the line that opened it]. A state is 0 for the branch that counts, 1 as long
    as none counted, 2 once one did.
    """

    def __init__(self) -> None:
        self._open: list[list] = []
        self.ignoring = False

    def step(self, evaluator: Evaluator, line: Line) -> None:
        """Enter, change or leave a conditional."""
        if line.name == "endif":
            if not self._open:
                raise evaluator.error("extraneous 'endif'", text=line.raw)
            if line.text:
                evaluator.warning("extraneous text after 'endif' directive")
            self._open.pop()
        elif line.name == "else":
            self._else(evaluator, line)
        else:
            state = 1 if self.ignoring else int(not _holds(evaluator, line, line.name, line.text))
            self._open.append([state, False, line])
        self.ignoring = any(state for state, _, _ in self._open)

    def _else(self, evaluator: Evaluator, line: Line) -> None:
        if not self._open:
            raise evaluator.error("extraneous 'else'", text=line.raw)
        innermost = self._open[-1]
        if innermost[1]:
            raise evaluator.error("only one 'else' for each conditional", text=line.raw)
        innermost[0] = 2 if innermost[0] != 1 else 0
        if not line.text:
            innermost[1] = True
            return
        word, rest = first_word(line.text)
        if word not in ("ifeq", "ifneq", "ifdef", "ifndef"):
            evaluator.warning("extraneous text after 'else' directive")
            return
        outer = any(state for state, _, _ in self._open[:-1])
        if innermost[0] == 0:
            innermost[0] = 1 if outer else int(not _holds(evaluator, line, word, rest))

    def finish(self, evaluator: Evaluator) -> None:
        if self._open:
            line = self._open[-1][2]
            evaluator.line = line.number
            raise evaluator.error("missing 'endif'", text=line.raw)


def _holds(evaluator: Evaluator, line: Line, word: str, text: str) -> bool:
    if word in ("ifdef", "ifndef"):
        name = evaluator.force(evaluator.expand(compile_text(text))).rstrip(SPACES)
        if any(character in SPACES for character in name):
            raise evaluator.error("invalid syntax in conditional", text=line.raw)
        variable = evaluator.find(name)
        return (variable is not None and not evaluator.promises.is_empty(variable.value)) == (word == "ifdef")
    if line.compiled is None:
        line.compiled = _sides(text)
        if line.compiled is None:
            raise evaluator.error("invalid syntax in conditional", text=line.raw)
    left, right, after = line.compiled
    left, right = evaluator.expand(left), evaluator.expand(right)
    if after:
        evaluator.warning(f"extraneous text after '{word}' directive")
    return _equal(evaluator, left, right) == (word == "ifeq")


def _equal(evaluator: Evaluator, left: str, right: str) -> bool:
    if not right:
        return evaluator.promises.is_empty(left)
    if not left:
        return evaluator.promises.is_empty(right)
    return evaluator.force(left) == evaluator.force(right)


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
    elif opening in ("'", '"') and opening:
        end = text.find(opening, 1)
        rest = text[end + 1 :].lstrip(SPACES)
        quote = rest[:1]
        if end < 0 or quote not in ("'", '"', ")") or not quote:
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


def include_directories(flags: str) -> list[str]:
    """The directories of the -I and --include-dir options in a MAKEFLAGS, each once."""
    found = (re.fullmatch(r"(?:-I|--include-dir=)(.+)", flag) for flag in split_words(flags))
    return list(dict.fromkeys(match[1] for match in found if match))


def _blank_between(old: str, text: str) -> str:
    return " " if old and text else ""


def _after_words(text: str, words: list[str]) -> str:
    """What follows the first words of `text`, as `make_words` cut them."""
    position = 0
    for word in words:
        position = text.index(word, position) + len(word)
    return text[position:]


def _absolute(directory: str, name: str) -> str:
    path = os.path.normpath(os.path.join(directory, name))
    return "/" + path.lstrip("/") if path.startswith("//") else path


def _has_magic(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def glob(directory: str, pattern: str) -> tuple[str, ...]:
    """The existing files that a pattern of `$(wildcard)` names, sorted; relative ones start at `directory`."""
    if not _has_magic(pattern):
        path = os.path.join(directory, pattern)
        exists = os.path.isdir(path) if pattern.endswith("/") else os.path.lexists(path)
        return (pattern,) if exists else ()
    found = ["/"] if pattern.startswith("/") else [""]
    parts = [part for part in pattern.split("/") if part]
    for part in parts:
        found = [name for parent in found for name in _matches(directory, parent, part)]
    if pattern.endswith("/"):
        found = [name + "/" for name in found if os.path.isdir(os.path.join(directory, name))]
    return tuple(sorted(found, key=os.fsencode))


def _matches(directory: str, parent: str, part: str) -> list[str]:
    if not _has_magic(part):
        name = os.path.join(parent, part)
        return [name] if os.path.lexists(os.path.join(directory, name)) else []
    try:
        names = os.listdir(os.path.join(directory, parent))
    except OSError:
        return []
    return [
        os.path.join(parent, name)
        for name in names
        if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
    ]
