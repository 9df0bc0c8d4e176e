"""One directory of a tree in, what Kbuild would build there out.

The Kbuild file is evaluated between what the tree's own scripts/Makefile.build does before it and what
scripts/Makefile.lib makes of the lists after it. The first part is evaluated from the tree, so that each kernel
version gets the variables, and the meaning of `src`, that its files were written for. The second part is written
here: `multi-search`, `real-search` and `modname-multi` of Makefile.lib have meant the same since Linux 4.20.
"""

from __future__ import annotations

import marshal
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kallmodsyms import facts
from kallmodsyms.errors import InputError
from kallmodsyms.kbuild.top import Top
from kallmodsyms.make import MARK, Evaluator, Origin, Program, Variable
from kallmodsyms.make.lines import split_words
from kallmodsyms.make.program import Kind

MODULE_SUFFIXES = ("-objs", "-y", "-m")
BUILT_IN_SUFFIXES = ("-objs", "-y")

# For a tree without scripts/Makefile.build: the lists a Kbuild file may add to, and where its sources are.
_OWN_HEAD = """\
src := $(if $(building_out_of_srctree),$(srctree)/)$(obj)
obj-y :=
obj-m :=
lib-y :=
lib-m :=
subdir-y :=
subdir-m :=
asflags-y :=
ccflags-y :=
cppflags-y :=
ldflags-y :=
subdir-asflags-y :=
subdir-ccflags-y :=
-include $(srctree)/scripts/Kbuild.include
-include $(srctree)/scripts/Makefile.compiler
include $(or $(wildcard $(srctree)/$(obj)/Kbuild),$(srctree)/$(obj)/Makefile)
"""

# scripts/Makefile.lib: flags for a directory and everything below, which sub-makes find in their environment.
SUBDIRECTORY_FLAGS = Program(
    "KBUILD_AFLAGS += $(subdir-asflags-y)\nKBUILD_CFLAGS += $(subdir-ccflags-y)\n"
    "KBUILD_RUSTFLAGS += $(subdir-rustflags-y)\n",
    "scripts/Makefile.lib",
)
_SUBDIRECTORY_LISTS = ("subdir-asflags-y", "subdir-ccflags-y", "subdir-rustflags-y")


class Directory(NamedTuple):
    """What one directory builds. Paths are normalised and relative to the build directory.

    path: the directory, `.` for the top
    built_in: reached from the top through obj-y alone, so that its objects are part of vmlinux
    objects: obj-y in order: objects, and directories with a slash at their end
    modules: obj-m without what is in obj-y: objects, and directories with a slash at their end
    library: the objects of lib.a, sorted
    subdirectories: all that make descends into, sorted
    composites: each composite object of `objects` to its members in order, each once; possibly none
    modular: each object of `modules` to what it is linked from; a single object has itself
    owners: each member of a composite object to the composites it is part of, sorted, without .o, as KBUILD_MODFILE
        has them
    files: absolute path of each file that was included or looked for, with whether it existed
    reads: the variables from outside the directory that were looked up
    """

    path: str
    built_in: bool
    objects: tuple[str, ...]
    modules: tuple[str, ...]
    library: tuple[str, ...]
    subdirectories: tuple[str, ...]
    composites: Mapping[str, tuple[str, ...]]
    modular: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, tuple[str, ...]]
    files: Mapping[str, bool]
    reads: frozenset[str]

    @property
    def digest(self) -> bytes:
        """What stands for all that it builds."""
        # Version 2 of marshal writes equal values as equal bytes; later ones refer to what they wrote before.
        fields: Any = self[:-2]
        return facts.digest(marshal.dumps(fields, 2))

    def link_entries(self) -> tuple[str, ...]:
        """What goes into the directory's built-in.a, in order, each once: objects, and directories with a slash."""
        entries: list[str] = []
        for entry in self.objects:
            entries.extend(self.composites.get(entry, (entry,)))
        return tuple(dict.fromkeys(entries))

    def owners_of(self, path: str) -> tuple[str, ...]:
        """KBUILD_MODFILE of an object of this directory: its composites, else itself; without .o."""
        return self.owners.get(path) or (_join(self.path, posixpath.basename(path).removesuffix(".o")),)


class Context:
    """What all directories of a tree have in common: the variables that each begins with.

    base: these variables
    head, whole_head: what each directory evaluates, and the same for one that inherits a variable of `preset`
    head_reads: the variables that preparing this looked up
    """

    base: dict[str, Variable]
    head: Program
    whole_head: Program
    preset: set[str]
    head_reads: frozenset[str]
    shell_environment: Callable[[str], Mapping[str, str]]

    def __init__(self, top: Top, values: Mapping[str, str] | None = None, like: Context | None = None) -> None:
        """`values` are CONFIG_ variables that differ from those of `top`.

        `like` is a context of the same tree whose preparation may be reused where it read none of `values`.
        """
        self.top = top
        self.build = os.path.join(top.tree, "scripts/Makefile.build")
        changed = {f"CONFIG_{name}": Variable(value, True, Origin.FILE) for name, value in (values or {}).items()}
        if like is not None and not changed.keys() & like.head_reads:
            self.base = {**like.base, **changed}
            self.head, self.whole_head, self.preset = like.head, like.whole_head, like.preset
            self.head_reads, self.shell_environment = like.head_reads, like.shell_environment
            return
        base = top.directory_variables()
        if top.auto_conf is not None:
            evaluator = Evaluator(top.objdir, base=base, sources=top.sources, promises=top.promises)
            evaluator.evaluate(top.auto_conf)
            base |= {name: variable for name, variable in evaluator.local.items() if variable is not None}
        base |= changed
        program = top.sources.program(self.build) or Program(_OWN_HEAD, self.build)
        shared, self.head, self.whole_head = _split_head(program)
        self.preset = {line.name for line in self.whole_head.lines} - {line.name for line in self.head.lines}
        evaluator = Evaluator(
            top.objdir, base=base, sources=top.sources, promises=top.promises, shell_environment=self._shell_environment
        )
        evaluator.evaluate(shared)
        self.head_reads = frozenset(evaluator.base_reads)
        self.base = base | {name: variable for name, variable in evaluator.local.items() if variable is not None}
        self.shell_environment = self._shell_environment

    def _shell_environment(self, command: str) -> Mapping[str, str]:
        """What a `$(shell)` of a directory finds in its environment.

        A value that itself needs a program to be run is computed only for a command that names the variable, or that
        runs or reads a file of the tree; compilers and shell built-ins look at none of them.
        """
        words = command.split()
        everything = any("/" in word and os.path.isfile(os.path.join(self.top.objdir, word)) for word in words)
        environment = {}
        for name, value in self.top.exports.items():
            forced = self.top.evaluator.force(value) if everything or name in command else value
            if MARK not in forced:
                environment[name] = forced
        return environment

    def answer(self, command: str) -> str:
        """What a command prints that a directory asked for in `$(shell)`: the value of the fact `answer`."""
        return self.top.promises.ask(command, self.shell_environment(command))

    def evaluate(self, path: str, built_in: bool, modular: bool, inherited: Mapping[str, Variable]) -> Evaluator:
        """Evaluate the Kbuild file of a directory; `inherited` are exported variables that its parents changed."""
        evaluator = Evaluator(
            self.top.objdir,
            base={**self.base, **inherited} if inherited else self.base,
            sources=self.top.sources,
            promises=self.top.promises,
            shell_environment=self.shell_environment,
        )
        flags = {"need-builtin": "1" if built_in else "", "need-modorder": "1" if built_in or modular else ""}
        evaluator.set_command_line({"obj": path, **flags})
        evaluator.evaluate(self.head if self.preset.isdisjoint(inherited) else self.whole_head)
        evaluator.files[self.build] = self.top.sources.program(self.build) is not None
        return evaluator


def _split_head(program: Program) -> tuple[Program, Program, Program]:
    """Cut scripts/Makefile.build before its include of Makefile.lib: (what directories share, what each evaluates,
    the same with the variables that it gives a value that never changes, for a directory that inherits one of them).
    """
    head = program.lines
    for index, line in enumerate(program.lines):
        if (line.kind or line.classify()) is Kind.INCLUDE and "Makefile.lib" in line.text:
            head = program.lines[:index]
            break
    includes = [line for line in head if (line.kind or line.classify()) is Kind.INCLUDE]
    if not includes:
        raise InputError("nowhere includes the Kbuild file of a directory", path=program.path)
    shared, own, whole = (Program("", program.path) for _ in range(3))
    shared.lines = [line for line in head if line is not includes[-1]]
    whole.lines = [line for line in head if line not in includes[:-1]]
    conditional = any(line.kind is Kind.CONDITIONAL for line in head)
    names = [line.name for line in head if line.kind in (Kind.ASSIGNMENT, Kind.DEFINE)]
    own.lines = [
        line for line in whole.lines
        if conditional or line.kind is not Kind.ASSIGNMENT or line.operator != ":=" or names.count(line.name) > 1
        or "$" in line.name + line.text
    ]  # fmt: skip
    return shared, own, whole


def summarize(evaluator: Evaluator, path: str, built_in: bool) -> Directory:
    """What the lists of an evaluated directory mean."""

    def words(name: str) -> list[str]:
        return split_words(evaluator.get(name))

    def search(target: str, suffixes: Iterable[str]) -> list[str]:
        stem = target.removesuffix(".o")
        return [word for suffix in suffixes for word in words(stem + suffix)]

    obj_y = words("obj-y")
    chosen = set(obj_y)
    obj_m = [word for word in words("obj-m") if word not in chosen]
    library = sorted(word for word in {*words("lib-y"), *words("lib-m")} if word not in chosen)
    composites, modular, owners = {}, {}, {}
    for target in dict.fromkeys(obj_y):
        if target.endswith(".o") and search(target, (*BUILT_IN_SUFFIXES, "-")):
            composites[target] = search(target, BUILT_IN_SUFFIXES)
            owners[target] = search(target, MODULE_SUFFIXES)
    for target in dict.fromkeys(obj_m):
        if target.endswith(".o"):
            composite = bool(search(target, (*MODULE_SUFFIXES, "-")))
            modular[target] = search(target, MODULE_SUFFIXES) if composite else [target]
            if composite:
                owners[target] = modular[target]
    directories = [word.removesuffix("/") for word in obj_y + obj_m if word.endswith("/")]
    directories += words("subdir-y") + words("subdir-m")
    members: dict[str, set[str]] = {}
    for target, parts in owners.items():
        for part in parts:
            members.setdefault(_join(path, part), set()).add(_unnormalised(path, target.removesuffix(".o")))
    return Directory(
        path=path,
        built_in=built_in,
        objects=_paths(path, obj_y),
        modules=_paths(path, obj_m),
        library=tuple(_join(path, word) for word in library),
        subdirectories=tuple(sorted({_join(path, word) for word in directories})),
        composites={_join(path, target): _paths(path, dict.fromkeys(parts)) for target, parts in composites.items()},
        modular={_join(path, target): _paths(path, dict.fromkeys(parts)) for target, parts in modular.items()},
        owners={member: tuple(sorted(targets)) for member, targets in members.items()},
        files=dict(evaluator.files),
        reads=frozenset(evaluator.base_reads),
    )


def handed_on(evaluator: Evaluator) -> dict[str, Variable]:
    """The exported variables that the directories below an evaluated one find changed by it."""
    if any(evaluator.value(name) for name in _SUBDIRECTORY_LISTS):
        evaluator.evaluate(SUBDIRECTORY_FLAGS)
    return {
        name: Variable(evaluator.exported_text(name, variable), True, Origin.ENVIRONMENT, True)
        for name, variable in evaluator.local.items()
        if variable is not None and variable.exported and variable.origin is not Origin.COMMAND_LINE
    }  # fmt: skip


def _paths(directory: str, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(_join(directory, word) + ("/" if word.endswith("/") else "") for word in words)


_PLAIN = re.compile(r"(?!\.)(?:(?!/\.|//).)*[^/]")


def _join(directory: str, word: str) -> str:
    """The normalised path of a word of a list."""
    if directory == ".":
        return word if _PLAIN.fullmatch(word) else posixpath.normpath(word)
    path = f"{directory}/{word}"
    return path if _PLAIN.fullmatch(word) else posixpath.normpath(path)


def _unnormalised(directory: str, word: str) -> str:
    return word if directory == "." else f"{directory}/{word}"
