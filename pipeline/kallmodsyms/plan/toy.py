"""How a tree without make scripts of its own (the toy kernel) is built: a configured tree in, a step for every
command out.

What scripts/Makefile.build of Linux 6.1 does, as far as the toy needs it: one compiler run an object, thin archives
of what is built in, `ld -r` for what is not. Paths in commands are relative to the build directory, except those into
the source tree.
"""

from __future__ import annotations

import functools
import os
import posixpath
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from kallmodsyms import depfile, files, kbuild, release
from kallmodsyms.configured import COMPILER_VARIABLES, Configured
from kallmodsyms.depfile import beside
from kallmodsyms.errors import InputError
from kallmodsyms.link import exports, recipe
from kallmodsyms.plan import image
from kallmodsyms.plan.lists import AUTOCONF_H, CONFIG, Lists
from kallmodsyms.plan.series import Series
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run
from kallmodsyms.release import LinkDialect
from kallmodsyms.step import Seen, Step


class Toy:
    """The steps that lead to the image and the modules of one configured tree."""

    def __init__(self, chosen: Profile, configured: Configured) -> None:
        self.profile = chosen
        self.configured = configured
        self.objdir = chosen.objdir
        self.lists = Lists(configured)
        self.world = configured.world
        self._refuse_inner_build()

    def _refuse_inner_build(self) -> None:
        """As the top Makefile of Linux does (outputmakefile): headers that a build inside the tree left would be found
        before our own.
        """
        tree = self.profile.tree
        if tree.resolve() == self.objdir.resolve():
            return
        for name in (CONFIG, "include/config", "include/generated"):
            if (tree / name).exists():
                raise InputError(
                    f"the source tree is not clean: a build inside of it left {name}",
                    path=tree,
                    cure=f"say `doit clean tree={tree} objdir={tree}`, and delete .config, include/config and "
                    "include/generated there",
                )

    @functools.cached_property
    def kernel(self) -> kbuild.KernelTree:
        return self.configured.kernel

    @functools.cached_property
    def environment(self) -> kbuild.Environment:
        return kbuild.Environment(self.kernel.top)

    @functools.cached_property
    def linked(self) -> list[str]:
        """Every object that the final link may take, in link order."""
        members = (name for names in self.kernel.library_members().values() for name in names)
        return list(dict.fromkeys([*self.kernel.link_order(), *members]))

    def steps(self) -> Iterator[tuple[str, list[Step]]]:
        """All steps, by the kind of work they do, in an order in which they can run."""
        yield "config", [self.lists.config()]
        yield "tristate_conf", [self.lists.tristate_conf()]
        yield "auto_conf", [self.lists.auto_conf()]
        yield "modules_thick", [self.lists.modules_thick()]
        yield "compile", list(self._compilations())
        yield "linker_script", [self._linker_script()]
        archives = list(self._archives())
        yield "archive", archives
        yield "modules", list(self._modules())
        inputs = (self.environment["KBUILD_LDS"], *(step.writes[0] for step in archives), *self.linked)
        linked = self._image(inputs)
        for kind, step in image.steps(linked):
            yield kind, [step]
        yield "listing", [image.listing(self.objdir)]
        yield "series", Series(self.configured, lambda: linked.recipe).steps()

    def _image(self, inputs: tuple[str, ...]) -> image.Image:
        values, chosen = self.configured.configuration.values, self.profile
        dialect = release.kallsyms_dialect(chosen.tree)
        plan = recipe.of(self.environment, values, LinkDialect())
        return image.Image(self.objdir, plan, inputs, values, dialect, chosen.sizes, chosen.objects)

    def _compilations(self) -> Iterator[Step]:
        """One step an object, sorted by target; an object that two modules share is compiled once."""
        modular = {part for parts in self.kernel.modules().values() for part in parts}
        for target in sorted({*self.linked, *modular}):
            yield self._compile(target)

    def _compile(self, target: str) -> Step:
        stem = posixpath.join(self.kernel.tree, target.removesuffix(".o"))
        source = next((stem + suffix for suffix in (".c", ".S") if Path(stem + suffix).is_file()), None)
        if source is None:
            directory = self.kernel.directory_of(target)
            named = next((name for name, there in directory.files.items() if there), None) if directory else None
            raise InputError(f"{target} is to be built, but there is neither {stem}.c nor {stem}.S", path=named)
        flags = shlex.split(kbuild.compile_flags(self.kernel, target, assembler=source.endswith(".S")))
        compiler = (*self.profile.launcher, *self._words("CC"))
        command = (*compiler, f"-Wp,-MMD,{beside(target, '.d')}", *flags, "-c", "-o", target, source)
        return self._command(f"compile:{target}", command, (source,), target)

    def _linker_script(self) -> Step:
        """The linker script, which the C preprocessor makes of its `.lds.S`."""
        target = self.environment["KBUILD_LDS"]
        source = posixpath.join(self.kernel.tree, f"{target}.S")
        flags = self._words("NOSTDINC_FLAGS", "LINUXINCLUDE", "KBUILD_CPPFLAGS")
        flags += [f"-U{self.environment['SRCARCH']}", "-D__ASSEMBLY__", "-DLINKER_SCRIPT"]
        command = (*self._words("CC"), "-E", "-P", f"-Wp,-MMD,{beside(target, '.d')}", *flags, "-o", target, source)
        return self._command("linker_script", command, (source,), target)

    def _archives(self) -> Iterator[Step]:
        """`vmlinux.a` of everything built in, in link order, and the libraries; all thin."""
        yield self._archive("vmlinux.a", self.kernel.link_order(), "cDPrST")
        for target, members in self.kernel.library_members().items():
            yield self._archive(target, members, "cDPrsT")

    def _archive(self, target: str, members: Iterable[str], operation: str) -> Step:
        return self._command(
            f"archive:{target}", (*self._words("AR"), operation, target, *members), tuple(members), target
        )

    def _modules(self) -> Iterator[Step]:
        """One step a loadable module: its objects, linked into one relocatable file."""
        for module, parts in self.kernel.modules().items():
            target = module.removesuffix(".o") + ".ko"
            command = (*self._words("LD", "KBUILD_LDFLAGS"), "-r", "-o", target, *parts)
            yield self._command(f"modules:{target}", command, parts, target)

    def _command(self, name: str, command: tuple[str, ...], inputs: tuple[str, ...], target: str) -> Step:
        """A step that runs a command, which makes `target` of `inputs`."""
        compiles = beside(target, ".d") in "".join(command)
        launcher = self.profile.launcher if command[: len(self.profile.launcher)] == self.profile.launcher else ()
        return Step(
            name,
            command,
            lambda: self._run(command, inputs, target),
            reads=inputs,
            writes=(target,),
            sees=(
                *(("program", name) for name in launcher[:1]),
                *self.configured.programs_behind(command[len(launcher)], compiles),
                *(("environment", variable) for variable in ("PATH", *COMPILER_VARIABLES) if compiles),
            ),
            after=("auto_conf",) if compiles else (),
        )

    def _run(self, command: tuple[str, ...], inputs: tuple[str, ...], target: str) -> Iterator[Seen]:
        """Run a command; what it found out, by its dependency file."""
        path = self.objdir / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".a":
            path.unlink(missing_ok=True)  # ar adds to an archive that is there
        run(command, self.objdir)
        if path.suffix == ".o":
            text = f"savedcmd_{target} := {shlex.join(command)}\n\nsource_{target} := {inputs[0]}\n"
            files.write(self.objdir / beside(target, ".cmd"), text)
        # autoconf.h changes with every symbol: the symbols that the sources mention stand for it.
        read = [name for name in depfile.headers(self.objdir / beside(target, ".d")) if not name.endswith(AUTOCONF_H)]
        symbols = {symbol for name in read for symbol in depfile.mentioned_symbols(os.path.join(self.objdir, name))}
        yield from (("file", name) for name in read)
        yield from (("symbol", symbol) for symbol in sorted(symbols))

    def _words(self, *names: str) -> list[str]:
        return exports.words(self.environment, *names)
