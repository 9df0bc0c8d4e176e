"""The task graph: a Profile in, doit tasks out. Nothing but this file and dodo.py knows doit.

`ToyBuild` has a task for every command, since the toy kernel has no make; `LinuxBuild` leaves objects and link to the tree's own make,
which calls `kallmodsyms link` through its cmd_link_vmlinux hook.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from doit.dependency import FileChangedChecker
from doit.exceptions import InvalidDodoFile, TaskFailed
from doit.reporter import ConsoleReporter

from kallmodsyms import configured, files, kbuild, kconfig, objects, profile, release
from kallmodsyms.errors import InputError
from kallmodsyms.files import differs, fingerprint
from kallmodsyms.kallsyms import reader
from kallmodsyms.kconfig import fragment
from kallmodsyms.link import after, recipe, tables
from kallmodsyms.link.passes import NAMES, Passes
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run
from kallmodsyms.state import State, headers, mentioned_symbols

CONFIG = ".config"
TRISTATE_CONF = "include/config/tristate.conf"
AUTO_CONF = "include/config/auto.conf"
AUTOCONF_H = "include/generated/autoconf.h"
THICK = "modules_thick.builtin"
LISTING = "kallmodsyms"
PASSES = 1
"""Links before the final one: its tables have the right size, and get their addresses in the final image."""


def build(dodo: str, get_var: Callable) -> Build:
    """The build that doit's command line asks for. `dodo` is the dodo file, `get_var` doit's own."""
    from doit import doit_cmd

    words = dict(
        doit_cmd._CMDLINE_VARS or {}
    )  # get_var wants names; a word that nobody asks for must not pass in silence
    try:
        chosen = profile.load(words.pop("profile", "config/toy.yaml"), Path(dodo).resolve().parent, words)
        chosen.objdir.mkdir(parents=True, exist_ok=True)
        return LinuxBuild(chosen) if chosen.has_make else ToyBuild(chosen)
    except InputError as error:
        raise InvalidDodoFile(str(error)) from None
    except OSError as error:
        raise InvalidDodoFile(f"{error.filename}: {error.strerror}") from None


class Checker(FileChangedChecker):
    """How doit tells that a file changed: by content, and without trusting mtimes (see `state.Fingerprint`)."""

    def check_modified(self, file_path, file_stat, state) -> bool:
        return differs(file_path, state)

    def get_state(self, dep, current_state):
        return fingerprint(dep, current_state)


class Reporter(ConsoleReporter):
    """doit's own console output, and at the end of a run that succeeded what was built and where."""

    summary: Callable[[], str] = staticmethod(str)

    def complete_run(self) -> None:
        super().complete_run()
        if not self.failures and not self.runtime_errors:
            self.write(type(self).summary())


class Build:
    """What both kinds of tree share. Every public method without arguments is the creator of the tasks of its name."""

    # Tasks that only one kind of tree has; doit passes over what is no function.
    auto_conf = compile = linker_script = archive = link = ranges = tables = assemble = modules = bzimage = None

    def __init__(self, chosen: Profile) -> None:
        self.profile = chosen
        self.objdir = chosen.objdir

    def doit_config(self) -> dict:
        Reporter.summary = staticmethod(self.summary)
        return {
            "dep_file": str(self.objdir / ".doit.json"),
            "backend": "json",
            "check_file_uptodate": Checker,
            "reporter": Reporter,
            "default_tasks": self.default_tasks,
            "verbosity": 2,
        }

    def path(self, name: str) -> str:
        return str(self.objdir / name)

    def summary(self) -> str:
        listing = Path(self.path(LISTING))
        if not listing.is_file():
            return ""
        lines = files.read_text(listing).splitlines()
        owned = [line for line in lines if "\t" in line]
        modules = {name for line in owned for name in line.split("\t")[1].split()}
        return (
            f"vmlinux      {self.path('vmlinux')}\n"
            f"             {len(lines)} symbols, {len(owned)} of them in {len(modules)} built-in modules\n"
            f"listing      {listing}\n"
        )

    def _task(
        self,
        function: Callable[..., object],
        *arguments: object,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        after: Iterable[str] = (),
        state: State | None = None,
        name: str | None = None,
    ) -> dict:
        """A doit task that calls `function(*arguments)`.

        reads, writes: files relative to the build directory (or absolute); after: tasks whose outcome it does not read
        state: what else decides whether it is up to date
        """
        state = state or State([], [])
        state.base = str(self.objdir)
        state.command = [function.__name__, *map(str, state.command)]
        state.targets = list(writes)
        task = {
            "actions": [(_perform, [state, function, arguments])],
            "file_dep": sorted({self.path(read) for read in reads}),
            "targets": [self.path(write) for write in writes],
            "task_dep": list(after),
            "uptodate": [state],
            "clean": True,
        }
        return task if name is None else task | {"name": name}

    def listing(self) -> dict:
        """kallmodsyms: the /proc/kallmodsyms listing, decoded from vmlinux"""
        return self._task(self._listing, reads=["vmlinux"], writes=[LISTING])

    def _listing(self) -> None:
        files.write(self.path(LISTING), reader.read(self.path("vmlinux")).listing())


def _loaded(function: Callable):
    """doit loads all tasks before it runs one: an input error then is one of the dodo file."""
    try:
        return function()
    except InputError as error:
        raise InvalidDodoFile(str(error)) from None


def _perform(state: State, function: Callable[..., object], arguments: Iterable[object]) -> dict | TaskFailed:
    """Run a task. What it returns on success is what doit keeps for the next `State.why`."""
    try:
        function(*arguments)
    except InputError as error:
        return TaskFailed(str(error))
    except OSError as error:
        return TaskFailed(f"{error.filename or 'output'}: {error.strerror}")
    return state.record()


class ToyBuild(Build):
    """A tree without make scripts of its own: every command is a task."""

    default_tasks = ["listing", "modules"]

    @functools.cached_property
    def configuration(self) -> kconfig.Configuration:
        """What `.config` says; before there is one, what it will say."""
        return _loaded(
            lambda: kconfig.load(self.profile.tree, self._config_source, self.profile.arch, self._environment)
        )

    @property
    def _config_source(self) -> Path:
        existing = self.objdir / CONFIG
        return existing if existing.is_file() else self.profile.config

    @functools.cached_property
    def _environment(self) -> Mapping[str, str]:
        return kbuild.environment(self.profile.tree, self.objdir, self.profile.arch, self.profile.make)

    @functools.cached_property
    def kernel(self) -> kbuild.KernelTree:
        return _loaded(
            lambda: kbuild.load(
                self.profile.tree, self.objdir, self.profile.arch, self.configuration, self.profile.make
            )
        )

    @functools.cached_property
    def plan(self) -> objects.Plan:
        return objects.Plan(self.kernel)

    @functools.cached_property
    def compilations(self) -> list[objects.Step]:
        return _loaded(self.plan.compilations)

    @functools.cached_property
    def passes(self) -> Passes:
        values = self.configuration.values
        dialect = release.kallsyms_dialect(self.profile.tree)
        options = tables.options(values, dialect, self.profile.sizes, self.profile.objects)
        contents = tables.Contents(options, dialect, self.path(THICK))
        return Passes(recipe.of(self.plan.environment, values), self.objdir, contents)

    def config(self) -> dict:
        """.config: made of the profile's configuration, where there is none yet"""
        return self._task(self._write_config, writes=[CONFIG]) | {
            "uptodate": [os.path.exists(self.path(CONFIG))],
            "clean": [],
        }

    def _write_config(self) -> None:
        text = kconfig.dot_config(self.profile.tree, self.profile.config, self.profile.arch, self._environment)
        files.write(self.path(CONFIG), text)

    def _kconfig_files(self) -> list[str]:
        return [str(self.profile.tree / name) for name in self.configuration.files]

    def tristate_conf(self) -> dict:
        """include/config/tristate.conf: the tristate symbols that are not n"""
        return self._task(self._tristate_conf, reads=[CONFIG, *self._kconfig_files()], writes=[TRISTATE_CONF])

    def _tristate_conf(self) -> None:
        files.write(self.path(TRISTATE_CONF), kconfig.tristate_conf(self.configuration))

    def auto_conf(self) -> dict:
        """include/config/auto.conf and include/generated/autoconf.h: the configuration for makefiles and for C"""
        return self._task(self._auto_conf, reads=[CONFIG, *self._kconfig_files()], writes=[AUTO_CONF, AUTOCONF_H])

    def _auto_conf(self) -> None:
        files.write(self.path(AUTO_CONF), kconfig.auto_conf(self.configuration))
        files.write(self.path(AUTOCONF_H), kconfig.autoconf_h(self.configuration))

    def modules_thick(self) -> dict:
        """modules_thick.builtin: the would-be modules that are built in, and their objects"""
        state = State([], [], lambda: self.kernel.makefiles())
        return self._task(self._modules_thick, reads=[TRISTATE_CONF, AUTO_CONF], writes=[THICK], state=state)

    def _modules_thick(self) -> None:
        files.write(self.path(THICK), kbuild.format_thick(kbuild.builtin_modules(self.kernel)))

    def compile(self) -> Iterator[dict]:
        """one task an object, which runs again when a header or a CONFIG_ symbol that it mentions changes"""
        for step in self.compilations:
            yield self._command(step, after=["auto_conf"], name=step.target)

    def linker_script(self) -> dict:
        """the linker script, through the C preprocessor"""
        return self._command(self.plan.linker_script(), after=["auto_conf"])

    def archive(self) -> Iterator[dict]:
        """vmlinux.a, a thin archive of everything built in, and each lib.a"""
        for step in self.plan.archives():
            yield self._command(step, name=step.target)

    def modules(self) -> Iterator[dict]:
        """the loadable modules, each `ld -r` of its objects"""
        for step in self.plan.modules():
            yield self._command(step, name=step.target)

    def _command(self, step: objects.Step, after: Iterable[str] = (), name: str | None = None) -> dict:
        """A task for one command; with a dependency file it also depends on what that lists, and on the symbols mentioned there."""

        def found() -> list[str]:
            # autoconf.h changes with every symbol: the symbols that the sources mention stand for it.
            return (
                [path for path in headers(self.path(step.depfile)) if not path.endswith(AUTOCONF_H)]
                if step.depfile
                else []
            )

        state = State(
            step.command, [], found, lambda: mentioned_symbols(found(), str(self.objdir)), self.configuration.values
        )
        return self._task(self._run, step, reads=step.inputs, writes=[step.target], after=after, state=state, name=name)

    def _run(self, step: objects.Step) -> None:
        target = Path(self.path(step.target))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".a":
            target.unlink(missing_ok=True)  # ar adds to an archive that is there
        run(step.command, self.objdir)
        if target.suffix == ".o":
            path, text = objects.command_file(step)
            files.write(self.path(path), text)

    @property
    def _link_inputs(self) -> list[str]:
        return [self.plan.environment["KBUILD_LDS"], *(step.target for step in self.plan.archives()), *self.plan.linked]

    def _pass(self, function: Callable, number: int, reads: Iterable[str], writes: Iterable[str], **more) -> dict:
        return self._task(function, number, reads=reads, writes=writes, name=str(number), **more)

    def link(self) -> Iterator[dict]:
        """the images before the final one, each linked with the tables of the one before"""
        for number in range(1, PASSES + 1):
            command = self.passes.recipe.link_command(
                NAMES.image(number), NAMES.map(number), [NAMES.tables(number - 1)], draft=True
            )
            reads = [*self._link_inputs, NAMES.tables(number - 1)]
            yield self._pass(
                self._link, number, reads, [NAMES.image(number), NAMES.map(number)], state=State(command, [])
            )

    def _link(self, number: int) -> None:
        self.passes.link(number, draft=True)

    def ranges(self) -> Iterator[dict]:
        """which object each address range of an image came from"""
        for number in range(1, PASSES + 1):
            yield self._pass(self._ranges, number, [NAMES.map(number), NAMES.image(number)], [NAMES.ranges(number)])

    def _ranges(self, number: int) -> None:
        self.passes.ranges(number)

    def tables(self) -> Iterator[dict]:
        """the kallsyms tables of each image, as assembler source; those of image 0 are empty"""
        for number in range(PASSES + 1):
            reads = [NAMES.image(number), NAMES.ranges(number), THICK] if number else []
            writes = [NAMES.source(number), NAMES.blob(number)]
            yield self._pass(self._tables, number, reads, writes, state=State([repr(self.passes.contents.options)], []))

    def _tables(self, number: int) -> None:
        if number:
            self.passes.tables(number)
        else:
            self.passes.empty_tables(64 if "64BIT" in self.configuration.values else 32, sys.byteorder)

    def assemble(self) -> Iterator[dict]:
        """the tables as objects to link in"""
        for number in range(PASSES + 1):
            state = State(self.passes.recipe.assemble_command(NAMES.source(number), NAMES.tables(number)), [])
            reads = [NAMES.source(number), NAMES.blob(number)]
            yield self._pass(self._assemble, number, reads, [NAMES.tables(number)], state=state)

    def _assemble(self, number: int) -> None:
        self.passes.assemble(number)

    def vmlinux(self) -> dict:
        """the final image, its tables filled in and checked against its own symbols, and System.map"""
        state = State(self.passes.recipe.link_command("vmlinux", "vmlinux.map"), [])
        reads = [*self._link_inputs, NAMES.source(PASSES), NAMES.blob(PASSES), NAMES.tables(PASSES), THICK]
        return self._task(self._vmlinux, reads=reads, writes=["vmlinux", "System.map"], state=state)

    def _vmlinux(self) -> None:
        image = self.path(NAMES.image(self.passes.settle(PASSES + 1, draft=False)))
        files.write(self.path("System.map"), after.system_map(image, self.passes.contents.dialect))
        os.replace(image, self.path("vmlinux"))


class LinuxBuild(Build):
    """A tree with make scripts: they build the objects and, with our program in the place of link-vmlinux.sh, the image."""

    default_tasks = ["listing"]

    def config(self) -> dict:
        """.config: the profile's configuration merged into the tree's own base configuration, where there is none yet"""
        return self._task(self._write_config, writes=[CONFIG]) | {
            "uptodate": [os.path.exists(self.path(CONFIG))],
            "clean": [],
        }

    def _write_config(self) -> None:
        wanted = files.read_text(self.profile.config)
        made = Path(self.path(CONFIG))
        try:
            self._make(self.profile.base, quiet=True)
            files.write(made, fragment.merged(files.read_text(made), wanted))
            self._make("olddefconfig", quiet=True)
            fragment.check(self.profile.config, wanted, files.read_text(made))
        except InputError:
            made.unlink(missing_ok=True)  # a half-made one would count as the user's own
            raise

    def tristate_conf(self) -> dict:
        """include/config/tristate.conf: the tristate symbols that are not n"""
        found: list[str] = []
        state = State(self._identity, [], lambda: found)
        return self._task(self._tristate_conf, found, reads=[CONFIG], writes=[TRISTATE_CONF], state=state)

    def _tristate_conf(self, found: list[str]) -> None:
        configuration = configured.configuration(self.profile.tree, self.objdir, self.profile.arch, self.profile.make)
        files.write(self.path(TRISTATE_CONF), kconfig.tristate_conf(configuration))
        found[:] = [str(self.profile.tree / name) for name in configuration.files]

    def modules_thick(self) -> dict:
        """modules_thick.builtin: the would-be modules that are built in, and their objects"""
        found: list[str] = []
        state = State(self._identity, [], lambda: found)
        return self._task(self._modules_thick, found, reads=[CONFIG, TRISTATE_CONF], writes=[THICK], state=state)

    def _modules_thick(self, found: list[str]) -> None:
        kernel = configured.kernel_tree(self.profile.tree, self.objdir, self.profile.arch, self.profile.make)
        files.write(self.path(THICK), kbuild.format_thick(kbuild.builtin_modules(kernel)))
        found[:] = kernel.makefiles()

    def vmlinux(self) -> dict:
        """vmlinux with module tables: the tree's own make, with our program as its final link. Make decides what is out of date"""
        return self._task(self._make, "vmlinux", reads=[CONFIG, THICK], writes=["vmlinux"]) | {"uptodate": [False]}

    def bzimage(self) -> dict:
        """the compressed kernel, which the tree's make goes on to from vmlinux"""
        return self._task(self._make, "bzImage", reads=["vmlinux"]) | {"uptodate": [False]}

    def modules(self) -> dict:
        """the loadable modules, by the tree's make"""
        return self._task(self._make, "modules", reads=["vmlinux"]) | {"uptodate": [False]}

    @property
    def _identity(self) -> list[str]:
        return [
            str(self.profile.tree),
            self.profile.arch,
            *(f"{name}={value}" for name, value in sorted(self.profile.make.items())),
        ]

    def _make(self, goal: str, quiet: bool = False) -> None:
        """Run the tree's make; `quiet`: without its words, unless it fails. The hook is on its command line for every goal: without it make would link vmlinux anew."""
        options = ["--sizes", self.profile.sizes, "--thick", THICK]
        options += ["--objects"] * self.profile.objects
        options += ["--no-modules"] * (not self.profile.modules) + ["--no-provider"] * (not self.profile.provider)
        program = shlex.join([sys.executable, "-m", "kallmodsyms", "link", *options])
        same = self.objdir.resolve() == self.profile.tree.resolve()
        command = [
            "make", "-C", str(self.profile.tree), *([] if same else [f"O={self.objdir}"]), f"ARCH={self.profile.arch}",
            *(f"{name}={value}" for name, value in sorted(self.profile.make.items())),
            f"-j{self.profile.jobs or os.cpu_count()}", "--no-print-directory", goal,
            f'cmd_link_vmlinux={program} -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"',
        ]  # fmt: skip
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} if quiet else {}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, **output)
        if done.returncode:
            said = f"\n{done.stdout.rstrip()}" if quiet else "; its own words are above"
            raise InputError(f"make {goal} failed{said}", path=self.objdir)
