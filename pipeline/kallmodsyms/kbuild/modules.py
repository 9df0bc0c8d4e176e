"""A `KernelTree` in, the modules that are built in out; and modules_thick.builtin, which lists them.

    crypto/crypto.o: crypto/api.o crypto/cipher.o crypto/compress.o
    crypto/aead.o:

A line is an object that would be a .ko if its option were m, and the objects it is made of, sorted. Nothing after the
colon means that it is a single object itself. Order: a directory's own, then its subdirectories by name, the top ones
in link order.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import NamedTuple

from kallmodsyms.errors import InputError
from kallmodsyms.kbuild.directory import Context
from kallmodsyms.kbuild.tree import KernelTree
from kallmodsyms.make.lines import split_words
from kallmodsyms.names import module_name


class Module(NamedTuple):
    """A module that is built in: its object, and the objects that it is made of, sorted; none for a single object."""

    object: str
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the kernel calls it."""
        return module_name(self.object)

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects whose symbols belong to it."""
        return self.members or (self.object,)


def builtin_modules(kernel_tree: KernelTree) -> list[Module]:
    """The modules that are built in, in the order of modules_thick.builtin.

    Every directory of vmlinux is evaluated a second time with each tristate y turned into m. An object of the first
    run's obj-y is a module if the second run has it in obj-m and not in obj-y. So a line means the same as in the
    real build, whether it compares an option with y or m or turns one into the other; members are those of the first
    run. A directory that read no tristate y is not evaluated again: the result would be the same.
    """
    values = kernel_tree.configuration.values
    flipped = {name: "m" for name in kernel_tree.configuration.tristates if values.get(name) == "y"}
    names = {f"CONFIG_{name}" for name in flipped}
    context = Context(kernel_tree.top, flipped, like=kernel_tree.context)
    memory = kernel_tree.memory
    memory.begin_flipped(context)
    everywhere = not names.isdisjoint(kernel_tree.context.head_reads)
    modules: dict[Module, None] = {}
    kernel_tree.listed = {}
    for path in kernel_tree.entries():
        for below in _listing_order(kernel_tree, path):
            if everywhere or not names.isdisjoint(kernel_tree.directories[below].reads):
                found = memory.find_flipped(below, kernel_tree.inherited_forms(below))
                if found is None:
                    found = _of_directory(kernel_tree, below, context)
                kernel_tree.listed[below] = found
                modules.update((Module(*fields), None) for fields in found)
    memory.save()
    kernel_tree.top.promises.answers.save()
    return list(modules)


def _listing_order(kernel_tree: KernelTree, path: str) -> Iterable[str]:
    order: dict[str, None] = {}

    def visit(path: str) -> None:
        if path in order or not kernel_tree.directories[path].built_in:
            return
        order[path] = None
        below = [entry[:-1] for entry in kernel_tree.directories[path].objects if entry.endswith("/")]
        for name in below if path == "." else sorted(below):
            visit(name)

    visit(path)
    return order


def _of_directory(kernel_tree: KernelTree, path: str, context: Context) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The fields of each `Module` of a directory."""
    directory = kernel_tree.directories[path]
    with kernel_tree.top.promises.watched() as answers:
        evaluator = kernel_tree.evaluator(path, context)
        lists = [split_words(evaluator.get(name)) for name in ("obj-y", "obj-m")]
    prefix = "" if path == "." else path + "/"
    built_in, modular = ({posixpath.normpath(prefix + word) for word in words} for words in lists)
    candidates = [
        name for name in directory.objects if name.endswith(".o") and name in modular and name not in built_in
    ]
    found = [(name, directory.composites.get(name)) for name in candidates]
    result = tuple((name, tuple(sorted(set(members or ())))) for name, members in found if members is None or members)
    kernel_tree.memory.keep_flipped(directory, evaluator, answers, result)
    return result


def format_thick(modules: Iterable[Module]) -> str:
    """The text of modules_thick.builtin."""
    return "".join(f"{module.object}: {' '.join(module.members)}".rstrip() + "\n" for module in modules)


_THICK_LINE = re.compile(r"([^:\s]+\.o):((?: [^:\s]+\.o)*)[ \t]*")


def parse_thick(text: str, path: str) -> list[Module]:
    """The modules of a modules_thick.builtin; `path` names it in messages. Raises InputError."""
    modules = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _THICK_LINE.fullmatch(line)
        if not match:
            raise InputError("not a line of modules_thick.builtin", path=path, line=number, text=line,
                             cure="each line is `dir/module.o: dir/member.o …`; make the file again")  # fmt: skip
        members = sorted({posixpath.normpath(member) for member in match[2].split()})
        modules.append(Module(posixpath.normpath(match[1]), tuple(members)))
    return modules
