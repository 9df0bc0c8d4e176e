"""A kernel tree and a configuration in, a `KernelTree` out: every directory that make would descend into."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from kallmodsyms.errors import InputError
from kallmodsyms.kbuild.directory import Context, Directory, handed_on, summarize
from kallmodsyms.kbuild.memory import Memory
from kallmodsyms.kbuild.top import Environment, Place, Top
from kallmodsyms.kconfig.configuration import Configuration
from kallmodsyms.make import MARK, Evaluator, Variable
from kallmodsyms.make.lines import split_words
from kallmodsyms.ticks import ticks


class KernelTree:
    """All directories of a tree under one configuration.

    directories: in visiting order: those of vmlinux in link order, then those that only modules or subdir-y reach
    archives: what vmlinux is made of whole, in order: `built-in.a`, in some versions `lib/lib.a` …
    libraries: the archives of which only what is needed is linked
    listed: the fields of each `Module` of a directory, where there may be some; `builtin_modules` fills it
    memory: what is known from an earlier run
    messages, warnings: what `$(info)` and `$(warning)` said in the directories that had to be evaluated
    """

    def __init__(
        self, top: Top, configuration: Configuration, archives: tuple[str, ...], libraries: tuple[str, ...]
    ) -> None:
        self.top = top
        self.configuration = configuration
        self.directories: dict[str, Directory] = {}
        self.listed: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
        self.archives = archives
        self.libraries = libraries
        self.memory = Memory(top.place.ledger)
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self._parents: dict[str, str] = {}
        self._modular: dict[str, bool] = {}
        self._handed_on: dict[str, dict[str, Variable]] = {}
        self._known: set[str] = set()
        self._places: dict[str, os.stat_result | None] = {}
        self._context: Context | None = None
        self._owners: dict[str, Directory] | None = None

    @property
    def tree(self) -> str:
        return self.top.tree

    @property
    def context(self) -> Context:
        if self._context is None:
            self._context = Context(self.top)
        return self._context

    def evaluator(self, path: str, context: Context | None = None) -> Evaluator:
        """Evaluate a visited directory once more, to look at variables such as its flags."""
        built_in = self.directories[path].built_in
        return (context or self.context).evaluate(path, built_in, self._modular[path], self._inherited(path))

    def _inherited(self, path: str) -> dict[str, Variable]:
        """The exported variables that the directories above changed.

        Most of what is handed on are flags with markers, which the ledger cannot keep: a directory that it knew is
        evaluated for them.
        """
        parent = self._parents[path]
        if not parent:
            return {}
        if parent in self._known and any(MARK in variable.value for variable in self._handed_on[parent].values()):
            self._handed_on[parent] = handed_on(self.evaluator(parent))
            self._known.discard(parent)
        return self._inherited(parent) | self._handed_on[parent]

    def inherited_forms(self, path: str) -> dict[str, Variable]:
        """The same with whatever markers, which is all that the ledger compares."""
        parent = self._parents[path]
        return self.inherited_forms(parent) | self._handed_on[parent] if parent else {}

    def entries(self) -> list[str]:
        """The directories whose built-in.a vmlinux is made of."""
        return [os.path.dirname(archive) or "." for archive in self.archives if archive.endswith("built-in.a")]

    def visit(self) -> None:
        """Evaluate every directory."""
        self.memory.begin(self.context)
        for path in self.entries():
            self._visit(path, "", True)
        for path in list(self.directories):
            self._visit_others(path)

    def _visit(self, path: str, parent: str, built_in: bool, modular: bool = True) -> None:
        if path in self.directories:
            return
        ticks["directories"] += 1
        self._parents[path] = parent
        self._modular[path] = modular
        found = self.memory.find(path, built_in, modular, self.inherited_forms(path))
        if found:
            directory, self._handed_on[path] = found
            self.directories[path] = directory
            self._known.add(path)
        else:
            directory = self._evaluate(path, parent, built_in, modular)
        if built_in:
            for entry in directory.objects:
                if entry.endswith("/"):
                    self._visit(entry[:-1], path, True)

    def _evaluate(self, path: str, parent: str, built_in: bool, modular: bool) -> Directory:
        problem = self._problem(path)
        if problem:
            place, line = self._who_names(path, parent)
            raise InputError(f"names the directory '{path}', which {problem}", path=place, line=line,
                             cure="correct the Makefile, or unpack the tree again")  # fmt: skip
        promises = self.top.promises
        with promises.watched() as answers:
            evaluator = self.context.evaluate(path, built_in, modular, self._inherited(path))
            self.directories[path] = directory = summarize(evaluator, path, built_in)
            self._handed_on[path] = handed_on(evaluator) if directory.subdirectories else {}
        self.messages += [text for _, _, text in evaluator.messages]
        self.warnings += [f"{file}:{line}: {text}" for file, line, text in evaluator.warnings]
        self.memory.keep(directory, modular, evaluator, answers, self._handed_on[path])
        return directory

    def _visit_others(self, path: str) -> None:
        directory = self.directories[path]
        modular = {entry[:-1] for entry in directory.objects + directory.modules if entry.endswith("/")}
        for below in directory.subdirectories:
            if below not in self.directories:
                self._visit(below, path, False, modular=below in modular)
                self._visit_others(below)

    def _problem(self, path: str) -> str | None:
        """What keeps make from descending into a directory."""
        found = self._place(path)
        if found is None:
            return "does not exist"
        if not stat.S_ISDIR(found.st_mode):
            return "is not a directory"
        while path := os.path.dirname(path):
            above = self._place(path)
            if above is not None and os.path.samestat(found, above):
                return "is a link to one of those that contain it"
        return None

    def _place(self, path: str) -> os.stat_result | None:
        if path not in self._places:
            try:
                self._places[path] = os.stat(os.path.join(self.tree, path))
            except OSError:
                self._places[path] = None
        return self._places[path]

    def _who_names(self, path: str, parent: str) -> tuple[str, int | None]:
        """The file, and with luck the line, that names a directory."""
        wanted = os.path.relpath(path, parent or ".") + "/"
        files = [os.path.join(self.tree, "Makefile")]
        if parent in self.directories:
            files = [name for name, there in self.directories[parent].files.items() if there]
        for name in files:
            program = self.top.sources.program(name)
            for line in program.lines if program else ():
                if wanted in split_words(line.raw.replace("=", " ")):
                    return name, line.number
        return files[0], None

    def built_in(self) -> Iterator[Directory]:
        """The directories that vmlinux is made of, in link order."""
        return (directory for directory in self.directories.values() if directory.built_in)

    def link_order(self) -> list[str]:
        """Every object of `archives`, in the order in which vmlinux is linked, each once."""
        order: dict[str, None] = {}
        for archive in self.archives:
            path = os.path.dirname(archive) or "."
            if archive.endswith("built-in.a"):
                self._collect(path, order, set())
            elif path in self.directories:
                order.update(dict.fromkeys(self.directories[path].library))
        return _heads_first(list(order), os.path.join(self.tree, "scripts/head-object-list.txt"))

    def _collect(self, path: str, order: dict[str, None], seen: set[str]) -> None:
        if path in seen:
            return
        seen.add(path)
        for entry in self.directories[path].link_entries():
            if entry.endswith("/"):
                self._collect(entry[:-1], order, seen)
            else:
                order.setdefault(entry)

    def library_members(self) -> dict[str, tuple[str, ...]]:
        """Each of `libraries` that the tree itself builds, to its objects."""
        directories = {name: self.directories.get(os.path.dirname(name)) for name in self.libraries}
        return {name: directory.library for name, directory in directories.items() if directory is not None}

    def directory_of(self, path: str) -> Directory | None:
        """The directory whose Kbuild file lists an object, itself or as a member."""
        if self._owners is None:
            self._owners = {}
            for directory in self.directories.values():
                parts = [part for parts in directory.modular.values() for part in parts]
                for name in (*directory.link_entries(), *directory.library, *parts):
                    self._owners.setdefault(name, directory)
        return self._owners.get(path)

    def modules(self) -> dict[str, tuple[str, ...]]:
        """Each =m module, by its object, to what it is linked from, in visiting order."""
        return {name: parts for directory in self.directories.values() for name, parts in directory.modular.items()}


def load(where: Place, configuration: Configuration, environment: Environment | None = None) -> KernelTree:
    """Evaluate a whole tree; `builtin_modules` puts what was found into the ledger. Raises InputError.

    environment: of the same place; then its makefiles need not be read again
    """
    top = Top(where, configuration, "vmlinux", None if environment is None else environment.top)
    archives = [os.path.normpath(word) for word in split_words(top.evaluator.get("KBUILD_VMLINUX_OBJS"))]
    libraries = [os.path.normpath(word) for word in split_words(top.evaluator.get("KBUILD_VMLINUX_LIBS"))]
    if not any(archive.endswith("built-in.a") for archive in archives):
        archives.insert(0, "built-in.a")
    kernel_tree = KernelTree(top, configuration, tuple(archives), tuple(libraries))
    kernel_tree.visit()
    return kernel_tree


def _heads_first(objects: list[str], path: str) -> list[str]:
    """`objects` with those that scripts/head-object-list.txt names moved to the front (Linux 6.1 and later)."""
    if not os.path.isfile(path):
        return objects
    with open(path, encoding="utf-8") as stream:
        heads = [line.strip() for line in stream if line.strip() and not line.startswith("#")]
    first = [name for name in objects if any(head in name for head in heads)]
    chosen = set(first)
    return first + [name for name in objects if name not in chosen]
