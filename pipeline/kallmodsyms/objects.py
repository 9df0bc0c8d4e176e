"""How the objects of a tree without make scripts of its own (the toy kernel) are built: a KernelTree in, commands out.

What scripts/Makefile.build of Linux 6.1 does, as far as the toy needs it: one compiler run an object, thin archives of what is built in,
`ld -r` for what is not. Paths in commands are relative to the build directory, except those into the source tree.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import kbuild
from kallmodsyms.errors import InputError
from kallmodsyms.kbuild import KernelTree
from kallmodsyms.kbuild.top import Environment


@dataclass(frozen=True)
class Step:
    """One command of the build.

    target: the file it makes
    command: its words, run in the build directory
    inputs: the files it reads, in the order in which they stand in `command`
    depfile: where the compiler lists the headers it read, or None
    """

    target: str
    command: tuple[str, ...]
    inputs: tuple[str, ...]
    depfile: str | None = None


class Plan:
    """All steps that lead to the final link, and to the modules, of one configured tree."""

    def __init__(self, kernel: KernelTree) -> None:
        self.kernel = kernel
        self.environment = Environment(kernel.top)
        self.libraries = kernel.library_members()
        self.linked = list(
            dict.fromkeys([*kernel.link_order(), *(o for members in self.libraries.values() for o in members)])
        )
        """Every object that the final link may take, in link order."""

    def compilations(self) -> list[Step]:
        """One step an object, sorted by target; an object that two modules share is compiled once."""
        modular = {part for parts in self.kernel.modules().values() for part in parts}
        return [self._compile(target) for target in sorted({*self.linked, *modular})]

    def linker_script(self) -> Step:
        """The linker script, which the C preprocessor makes of its `.lds.S`."""
        target = self.environment["KBUILD_LDS"]
        source = posixpath.join(self.kernel.tree, f"{target}.S")
        depfile = beside(target, ".d")
        flags = self._words("NOSTDINC_FLAGS", "LINUXINCLUDE", "KBUILD_CPPFLAGS")
        flags += [f"-U{self.environment['SRCARCH']}", "-D__ASSEMBLY__", "-DLINKER_SCRIPT"]
        command = (*self._words("CC"), "-E", "-P", f"-Wp,-MMD,{depfile}", *flags, "-o", target, source)
        return Step(target, command, (source,), depfile)

    def archives(self) -> list[Step]:
        """`vmlinux.a` of everything built in, in link order, and the libraries; all thin."""
        return [
            self._archive("vmlinux.a", self.kernel.link_order(), "cDPrST"),
            *(self._archive(target, members, "cDPrsT") for target, members in self.libraries.items()),
        ]

    def modules(self) -> list[Step]:
        """One step a loadable module: its objects, linked into one relocatable file."""
        steps = []
        for module, parts in self.kernel.modules().items():
            target = module.removesuffix(".o") + ".ko"
            steps.append(Step(target, (*self._words("LD", "KBUILD_LDFLAGS"), "-r", "-o", target, *parts), parts))
        return steps

    def _archive(self, target: str, members: Iterable[str], operation: str) -> Step:
        return Step(target, (*self._words("AR"), operation, target, *members), tuple(members))

    def _compile(self, target: str) -> Step:
        stem = posixpath.join(self.kernel.tree, target.removesuffix(".o"))
        source = next((stem + suffix for suffix in (".c", ".S") if Path(stem + suffix).is_file()), None)
        if source is None:
            directory = self.kernel.directory_of(target)
            named = next((name for name, there in directory.files.items() if there), None)
            raise InputError(f"{target} is to be built, but there is neither {stem}.c nor {stem}.S", path=named)
        depfile = beside(target, ".d")
        flags = shlex.split(kbuild.compile_flags(self.kernel, target, assembler=source.endswith(".S")))
        command = (*self._words("CC"), f"-Wp,-MMD,{depfile}", *flags, "-c", "-o", target, source)
        return Step(target, command, (source,), depfile)

    def _words(self, *names: str) -> list[str]:
        return [word for name in names for word in shlex.split(self.environment.get(name, ""))]


def command_file(step: Step) -> tuple[str, str]:
    """The `.foo.o.cmd` of a step, path and text, as Kbuild leaves it behind for tools that want to know the command."""
    return beside(
        step.target, ".cmd"
    ), f"savedcmd_{step.target} := {shlex.join(step.command)}\n\nsource_{step.target} := {step.inputs[0]}\n"


def beside(target: str, suffix: str) -> str:
    """`fs/ext4/super.o` to `fs/ext4/.super.o.d`, where Kbuild keeps such files."""
    directory, name = posixpath.split(target)
    return posixpath.join(directory, f".{name}{suffix}")
