"""Kconfig files in, a parsed symbol tree out: kconfiglib taught the dialects of kernels newer than itself.

kconfiglib 14.1.0 knows the language of Linux 5.4. What came later, and what is done about it:

- `modules` as a line of its own (5.13, was `option modules`) and `transitional` (6.18, f9afce4f32e9): the text of a
  file is rewritten to older words as it is read, line for line, so that locations stay true.
- `depends on A if B` (7.0, 76df6815dab7): parsed here, as A || B = n.

`$(NAME)`, `$(shell,...)` and `source` behave as in the kernel's `conf`, run in `objdir` with the given environment.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import kconfiglib
from kconfiglib import AND, EQUAL, NOT, OR

from kallmodsyms import errors
from kallmodsyms.commands import Answer, ForbiddenError
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Files

Ask = Callable[[str], Answer]

TRANSITIONAL = "transitional"
"""The prompt that stands in for the attribute, so that a transitional symbol takes the value it is given."""

_NEW_ATTRIBUTE = re.compile(r"^([ \t]+)(modules|transitional)(?=[ \t]*(?:#.*)?$)", re.MULTILINE)
_LOCATED = re.compile(r"\s*(?:error: )?(?P<path>[^\s:][^:\n]*):(?P<line>\d+): (?:error: )?(?P<message>.*)", re.DOTALL)
_QUOTED = re.compile(r"couldn't parse '(?P<text>.*)': (?P<message>.*)", re.DOTALL)
_UNENDED = re.compile(r"error: (?P<message>expected '\w+' at end of '(?P<path>.*)')")

CURE = "correct the Kconfig file; the tree's own `make ARCH=... oldconfig` should accept it too"


class Kconfig(kconfiglib.Kconfig):  # type: ignore[misc]  # kconfiglib has no types
    """All symbols of one tree, architecture and environment. `parse` makes one.

    answers: what each command of $(shell) printed
    opened: the files that were read, with what stands for their content
    mentioned: the variables that $(NAME) looked for in the environment
    missing: the places where a sourced file would have been found first
    notices: what $(info), $(warning-if) and the commands of $(shell) had to say, `path:line: ...`
    """

    def __init__(self, tree: Path, objdir: Path, environment: Mapping[str, str], ask: Ask, files: Files) -> None:
        self.tree = tree
        self.objdir = objdir
        self.places = dict.fromkeys((os.path.realpath(objdir), os.path.realpath(tree)))
        self.environment = environment
        self.ask = ask
        self.answers: dict[str, Answer] = {}
        self.files = files
        self.opened: dict[str, bytes] = {}
        self.mentioned: set[str] = set()
        self.missing: list[str] = []
        self.notices: list[str] = []
        self.modules_seen = False

    def read(self) -> None:
        """Parse the files, which kconfiglib does on construction. After an error, this object knows where it was."""
        # There is no such module of extra functions; by default kconfiglib imports any `kconfigfunctions` it finds.
        settings = {"srctree": str(self.tree), "KCONFIG_FUNCTIONS": "kallmodsyms.kconfig.none"}
        with _environment({**self.environment, **settings}):
            super().__init__("Kconfig", warn_to_stderr=False)

    def _open(self, filename: str, mode: str) -> io.StringIO:
        data, self.opened[filename] = self.files.read(filename)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(
                "is not UTF-8",
                path=filename,
                line=line,
                text=ascii(data.split(b"\n")[line - 1])[2:-1],
                cure="convert the file to UTF-8",
            ) from None
        return io.StringIO(_NEW_ATTRIBUTE.sub(_older_attribute, text), newline=None)

    def _lookup_sym(self, name: str) -> kconfiglib.Symbol:
        # kconfiglib makes MODULES before it reads anything, but `build._ordered` needs `syms` in the order of first
        # mention.
        if name == "MODULES" and not self.modules_seen and "MODULES" in self.syms:
            self.modules_seen = True
            self.syms["MODULES"] = self.syms.pop("MODULES")
        return super()._lookup_sym(name)

    def _fn_val(self, args: list[str]) -> str:
        name = args[0]
        if name not in self.variables:
            if name not in self._functions:
                if len(args) > 1:
                    return ""
                self.mentioned.add(name)
                return self.environment.get(name, "")
            if name == "shell" and len(args) == 2:
                return self._shell(args[1])
            if (name == "info" and len(args) == 2) or (name == "warning-if" and len(args) == 3):
                if name == "info" or args[1] == "y":
                    self._notice(args[-1])
                return ""
        value: str = super()._fn_val(args)
        return value

    def _shell(self, command: str) -> str:
        # As popen(3) in do_shell() of scripts/kconfig/preprocess.c.
        with errors.placed(ForbiddenError, str(self.tree / self.filename), self.linenr):
            answer = self.answers[command] = self.ask(command)
        if answer.complaint.strip():
            self._notice(f"$(shell,{command}) says: {answer.complaint.strip()}")
        output = answer.output.encode("utf-8", "surrogateescape")[:4095].decode("utf-8", "surrogateescape")
        return output.rstrip("\n").replace("\n", " ")

    def _notice(self, text: str) -> None:
        self.notices.append(f"{self.tree / self.filename}:{self.linenr}: {text}")

    def _set_type(self, item: kconfiglib.Symbol | kconfiglib.Choice, type_: int) -> None:
        if not item.orig_type:  # of two types the first counts: menu_set_type() in scripts/kconfig/menu.c
            item.orig_type = type_

    def _expect_str_and_eol(self) -> str:
        name: str = super()._expect_str_and_eol()
        if self._tokens[0] is not kconfiglib._T_SOURCE:
            return name
        # The kernel's language has no patterns here, and `conf` looks for a file first where it runs, then in the tree.
        for directory in self.places:
            path = os.path.join(directory, name)
            if os.path.lexists(path):
                return glob.escape(path)
            self.missing.append(path)
        raise InputError(
            f"'{name}' is sourced but does not exist",
            path=self.tree / self.filename,
            line=self.linenr,
            text=self._line,
            cure="unset variables expand to nothing: is the architecture right, is the tree complete?",
        )

    def _expect_expr_and_eol(self) -> object:
        if self._tokens[0] is not kconfiglib._T_DEPENDS:
            return super()._expect_expr_and_eol()
        expression = self._parse_expr(True)
        if self._check_token(kconfiglib._T_IF):
            expression = (OR, expression, self._is_n(self._parse_expr(True)))
        if self._tokens[self._tokens_i] is not None:
            self._trailing_tokens_error()
        return expression

    def _is_n(self, expression: object) -> object:
        """`expression = n`, as expr_trans_compare() in scripts/kconfig/expr.c has it."""
        if not isinstance(expression, tuple):
            return (EQUAL, expression, self.n)
        if expression[0] in (AND, OR):
            return (OR if expression[0] is AND else AND, self._is_n(expression[1]), self._is_n(expression[2]))
        return (NOT, self._is_n(expression[1]) if expression[0] is NOT else expression)


def parse(tree: Path, objdir: Path, environment: Mapping[str, str], ask: Ask, files: Files) -> Kconfig:
    """Parse `tree`/Kconfig and all it sources. `tree` and `objdir` are absolute.

    ask: what a command of $(shell) prints
    files: learn what is read
    Raises InputError for whatever is wrong with the files: syntax, encoding, a missing one, a loop of sources or of
    dependencies.
    """
    kconfig = Kconfig(tree, objdir, environment, ask, files)
    try:
        kconfig.read()
    except kconfiglib.KconfigError as error:
        raise _translated(str(error), tree) from error
    except (AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        # kconfiglib trips over some malformed files, such as a help text below a menu.
        raise InputError(
            "is nested too deeply here" if isinstance(error, RecursionError) else "cannot be parsed here",
            path=tree / getattr(kconfig, "filename", "Kconfig"),
            line=getattr(kconfig, "linenr", None),
            text=getattr(kconfig, "_line", "")[:200],
            cure=CURE,
        ) from error
    return kconfig


def _translated(message: str, tree: Path) -> InputError:
    """kconfiglib's message as ours. It has three shapes: located, located with the line quoted, an unended block."""
    if match := _UNENDED.fullmatch(message):
        return InputError(match["message"], path=tree / match["path"], cure=CURE)
    match = _LOCATED.fullmatch(message)
    if not match:  # a dependency loop; each symbol on it carries its place
        place = re.search(r"defined at ([^\s:]+):(\d+)", message)
        return InputError(
            " ".join(message.split()),
            path=tree / (place[1] if place else "Kconfig"),
            line=int(place[2]) if place else None,
            cure=CURE,
        )
    quoted = _QUOTED.fullmatch(match["message"])
    return InputError(
        quoted["message"] if quoted else match["message"].strip(),
        path=tree / match["path"],
        line=int(match["line"]),
        text=quoted["text"] if quoted else None,
        cure=CURE,
    )


def _older_attribute(match: re.Match[str]) -> str:
    return f"{match[1]}option modules" if match[2] == "modules" else f'{match[1]}prompt "{TRANSITIONAL}"'


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The only place where the process environment changes: kconfiglib reads settings and $(NAME) from it."""
    saved = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
