"""A `KernelTree`, its built-in modules and the objects in its build directory in; every disagreement, in words, out.

Kbuild leaves the command that made DIR/NAME.o in DIR/.NAME.o.cmd. Since Linux 5.4 (scripts/Makefile.lib) a C object
that goes into vmlinux is compiled with -DKBUILD_MODFILE='"DIR/MODULE …"', which names every composite that it is a
member of, or itself; one that goes into a loadable module is compiled with -DMODULE.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence

from kallmodsyms import files
from kallmodsyms.kbuild.modules import Module
from kallmodsyms.kbuild.tree import KernelTree

_MODFILE = re.compile(r"""-DKBUILD_MODFILE='?"([^"]*)"'""")
_LOADABLE = re.compile(r"\s-DMODULE\s")


def check(kernel_tree: KernelTree, modules: Sequence[Module]) -> list[str]:
    """Where the objects that were built disagree with `modules`, one line each, sorted; none if they agree.

    One that a loadable module shares is compiled for that (scripts/Makefile.lib, part-of-module), and names nobody. An
    object that no C compiler made (assembly, a blob) names no module in its command, and is only looked for.
    """
    objdir = kernel_tree.top.objdir
    members = {module.object: module.objects for module in modules}
    directories = {
        posixpath.dirname(name) for objects in members.values() for name in objects
    } | kernel_tree.directories.keys()
    commands = {name: files.read_text(path) for directory in directories for name, path in _commands(objdir, directory)}
    compiled = {name: _modules(command) for name, command in commands.items()}
    shared = {part for parts in kernel_tree.modules().values() for part in parts}
    found = []
    for module, objects in members.items():
        directory = posixpath.dirname(module) or "."
        if not os.path.isdir(os.path.join(objdir, directory)):
            found.append(f"{module}: the directory {directory} was not built")
            continue
        found += [
            f"{module}: {problem}"
            for name in objects
            if (problem := _problem(objdir, module, name, commands, compiled, name in shared))
        ]
    for name, named in compiled.items():
        for module in named:
            if module in members and name not in members[module]:
                why = (
                    "which now is a part of something else"
                    if kernel_tree.directory_of(name)
                    else "which nothing builds any more"
                )
                found.append(f"{module}: the build tree has {name} in it, {why}")
    return sorted(found)


def _problem(
    objdir: str, module: str, name: str, commands: dict[str, str], compiled: dict[str, tuple[str, ...]], shared: bool
) -> str | None:
    """What is wrong with an object that should be part of a module."""
    there = os.path.isfile(os.path.join(objdir, name))
    if name not in commands:
        return f"{name} has no .cmd file, so make did not build it as it is now" if there else f"{name} was not built"
    if not there:
        return f"{name} is gone, but its .cmd file is still there"
    if module in compiled[name]:
        return None
    if compiled[name]:
        return f"{name} was compiled for {' '.join(compiled[name])}"
    loadable = _LOADABLE.search(commands[name]) and not shared
    return f"{name} was compiled for a loadable module" if loadable else None


def _commands(objdir: str, directory: str) -> Iterator[tuple[str, str]]:
    """The objects of a directory that have a .cmd file: (object, path of that file)."""
    try:
        names = os.listdir(os.path.join(objdir, directory))
    except OSError:
        return
    for name in names:
        if name.startswith(".") and name.endswith(".o.cmd"):
            yield posixpath.normpath(f"{directory}/{name[1:-4]}"), os.path.join(objdir, directory, name)


def _modules(command: str) -> tuple[str, ...]:
    match = _MODFILE.search(command)
    return tuple(posixpath.normpath(name) + ".o" for name in match[1].split()) if match else ()
