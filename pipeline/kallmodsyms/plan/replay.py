"""What the tree's make has built in: a build directory in; steps that make one object, the archives and the image anew,
without a walk through all directories of the tree, out.

The tree's own makefiles do the work, called for one thing at a time with the variables that the top Makefile exported
when it ran last. So the `.cmd` files stay Kbuild's, and whatever a release does around a compiler it does here too.

    compile:X    an object: the files that its `.cmd` names, by content, and the compiler
    archive      the archives that an object is in
    vmlinux      vmlinux.o, modpost and the link: what the top Makefile does when the directories are done
    times        make goes by times: what holds, although an object was made again, is made as new as that

The step `make` has built all this when it has run, and `adopt` puts that on record. What it covers are the files of the
tree that nothing but such an object was made of: when one of them changes, make is not asked.
"""

from __future__ import annotations

import marshal
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from kallmodsyms import archives, depfile, facts, files, provider
from kallmodsyms.configured import COMPILER_VARIABLES, Configured
from kallmodsyms.errors import InputError
from kallmodsyms.facts import CHANGED, Fact, Row, Value
from kallmodsyms.ledger import Done
from kallmodsyms.link import exports
from kallmodsyms.names import FOLDER, THICK
from kallmodsyms.plan.lists import CONFIG
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run
from kallmodsyms.release import LinkDialect
from kallmodsyms.step import Builder, Seen, Step

EXPORTS = f"{FOLDER}/exports"
"""The variables that the top Makefile exported to the link, NUL between them."""
_STAGES = ("Makefile.vmlinux_o", "Makefile.modpost", "Makefile.vmlinux")
"""What the top Makefile calls since Linux 6.1, when the directories are done."""
_AFTER_LINK = re.compile(r"include/generated/utsversion\.h|init/\.?version-timestamp\.o(\.cmd)?")
_RECORD = "built in"

_BuiltIn = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Objects, archives, and the files of the tree that are covered."""


class Replay:
    """The steps of one build directory.

    objects: what is built in, in link order, as far as it can be made alone
    archives: those that they are in, the deepest first
    """

    def __init__(self, chosen: Profile, configured: Configured, link: LinkDialect, make: Callable[[str], None]) -> None:
        """`make` reaches a goal of the tree's make."""
        self.profile, self.configured, self.ledger = chosen, configured, configured.ledger
        self.link = link
        self.objdir = chosen.objdir
        self._make = make
        self.tree = os.path.realpath(chosen.tree)
        self._base = os.path.realpath(chosen.objdir)
        self.world = configured.world.under(rest=self._rest, order=self._late)
        self._words = (self.tree,)
        reason, result = self.ledger.find(_RECORD, self._words, self.world)
        self._take(marshal.loads(result) if reason is None and result else ((), (), ()))

    def _take(self, found: _BuiltIn) -> None:
        self.objects, self.archives, covered = found
        own = (*self.objects, *self.archives)
        self._own = frozenset((*own, *map(_command_file, own)))
        folders: dict[str, set[str]] = {}
        for path in covered:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, set()).add(name)
        self._covered = {folder: frozenset(names) for folder, names in folders.items()}

    # Steps

    def compilations(self) -> list[Step]:
        return [self._compilation(target) for target in sorted(self.objects)]

    def _compilation(self, target: str) -> Step:
        return Step(
            f"compile:{target}",
            (),
            partial(self._compile, target),
            writes=(target,),
            sees=self._compiler,
            follows=("make",),
        )

    def archive(self) -> Step:
        compilations = tuple(f"compile:{target}" for target in self.objects)
        return Step(
            "archive",
            (),
            self._archive,
            sees=self._members,
            wrote=lambda: (("file", path) for path in self.archives),
            follows=("make", *compilations),
        )

    def vmlinux(self, words: tuple[str, ...], tools: Callable[[], Iterable[tuple[str, str]]]) -> Step:
        """`words` stand for what make is told, `tools` gives the programs that link."""
        return Step(
            "vmlinux",
            words,
            self._link,
            reads=(CONFIG, THICK),
            writes=("vmlinux", "System.map"),
            sees=lambda: (*self._members(), *tools(), ("file", f"{self.tree}/scripts/link-vmlinux.sh")),
            wrote=self._stages_wrote,
            modules=("kallmodsyms.hook",),
            follows=("make", "archive", *(f"compile:{target}" for target in self.objects)),
        )

    def times(self) -> Step:
        return Step("times", (), self._touch, follows=("vmlinux",))

    # What they do

    def _compile(self, target: str) -> Iterator[Seen]:
        if target not in self.objects:  # make has just found out that it is built in no longer
            return
        directory = self.configured.kernel.directory_of(target)
        folder = directory.path if directory is not None else os.path.dirname(target)
        (self.objdir / target).unlink(missing_ok=True)  # make goes by times, and this is not only for these
        self._submake("scripts/Makefile.build", f"obj={folder}", target)
        for path in depfile.recorded(files.read_text(self.objdir / _command_file(target))):
            yield "file", path

    def _compiler(self) -> Iterator[tuple[str, str]]:
        words = shlex.split(self.configured.environment.get("CC", ""))
        program = next((word for word in words if word[:1] != "-"), "cc")
        yield from self.configured.programs_behind(program, compiles=True)
        yield from (("environment", name) for name in COMPILER_VARIABLES)

    def _members(self) -> Iterator[tuple[str, str]]:
        return (("file", target) for target in self.objects)

    def _archive(self) -> None:
        """Make those archives anew that are not what they were, or older than a member."""
        kept = {fact.name: fact.value for fact in self.ledger.writes("archive")}
        remade = False
        for path in self.archives:
            time = self._time(path)
            if (
                time < max((self._time(member) for member in self._members_of(path)), default=0)
                or self.world.files.look(path) != kept.get(path)
                or (remade and path == "vmlinux.a")
            ):
                self._replay(path)
                remade = True

    def _members_of(self, path: str) -> list[str]:
        try:
            return [os.path.relpath(member, self._base) for member in archives.members(f"{self._base}/{path}")]
        except InputError:
            return []

    def _replay(self, target: str) -> None:
        """Run the command that make recorded for a file; it is gone if that fails."""
        text = files.read_text(self.objdir / _command_file(target))
        found = re.search(r"^(?:saved)?cmd_\S+ := (.*)$", text, re.MULTILINE)
        if found is None:
            raise InputError("has no command", path=self.objdir / _command_file(target), cure="delete it, and run make")
        command = found[1].replace("$(pound)", "#").replace("$$", "$")
        self.say("AR", target)
        try:
            # -e: of several commands, none may fail in silence.
            run(["sh", "-e", "-c", command], self.objdir, environment=self._environment())
        except InputError:
            (self.objdir / target).unlink(missing_ok=True)
            raise

    def _link(self) -> None:
        for path in self.ledger.spoiled("vmlinux", self.world):
            (self.objdir / path).unlink(missing_ok=True)
        scripts = [f"scripts/{name}" for name in _STAGES]
        known = not self.link.script_makes_objects and all(Path(self.tree, script).is_file() for script in scripts)
        if not self._exports() or not known:
            self._make("vmlinux")
            self.confirm()
            return
        # Without its command make takes neither for done: what is linked may be the same, and the linker another one.
        for target in ("vmlinux.o", self.link.output):
            (self.objdir / _command_file(target)).unlink(missing_ok=True)
        for script in scripts:
            self._submake(script)
        self.confirm()

    def confirm(self) -> None:
        """Raise InputError unless the image that make left is ours, with all that the profile asks for."""
        values = self.configured.configuration.values
        if self.profile.modules and "KALLSYMS" in values:
            from kallmodsyms.link import (
                carried,
            )  # not before there is work: numpy takes longer than all that is looked at

            with_provider = self.profile.provider and provider.possible(values)
            carried.confirm(self.objdir / "vmlinux", self.link.variable, with_provider)

    def _stages_wrote(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self.of_the_link()):
            yield "file", name

    def of_the_link(self) -> set[str]:
        """The files in the build directory that the last stages leave, but for the images of passes."""
        with os.scandir(self.objdir) as entries:
            names = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        made = {name for name in names if _command_file(name) in names}
        stages = {*made, *map(_command_file, made), "System.map", ".vmlinux.export.c", ".version", "vmlinux.map"}
        return {name for name in stages & names if not name.endswith(".a") and not name.endswith(".a.cmd")}

    def made_again(self) -> Callable[[str], bool]:
        """What tells whether a file of the build directory is one that these steps write."""
        known = self._own | self.of_the_link()
        return lambda path: path in known or _AFTER_LINK.fullmatch(path) is not None

    def _touch(self) -> Iterator[Seen]:
        """Make archives and images as new as the newest object, if they are older."""
        newest = max(map(self._time, (*self.objects, *self.archives)), default=0)
        above = (name for name in self.of_the_link() if not name.endswith(".cmd"))
        for path in (*self.archives, *sorted(above)):
            if 0 < self._time(path) < newest:
                os.utime(self.objdir / path, ns=(newest, newest))
        yield Fact("order", "vmlinux", None)

    def _submake(self, makefile: str, *goals: str) -> None:
        found = self._environment()
        jobs = self.profile.jobs or os.cpu_count()
        program = shlex.split(found.get("MAKE", "make"))
        command = [*program, f"-j{jobs}", "-f", f"{found.get('srctree', self.tree)}/{makefile}", *goals]
        run(command, self.objdir, environment=found)

    def _environment(self) -> dict[str, str]:
        found = self._exports()
        if not found:
            raise InputError(
                "nobody knows what the tree's make exports", path=self.objdir / EXPORTS, cure="run `doit make`"
            )
        # The jobserver that make had then is gone.
        flags = re.sub(r"(?<!\S)(?:-j\d*|--jobserver-\S+)(?!\S) ?", "", found.get("MAKEFLAGS", ""))
        mine = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "GREP_OPTIONS")}
        return {**mine, **found, "MAKEFLAGS": flags, "MFLAGS": "", "KBUILD_BUILTIN": "1", "KBUILD_MODULES": ""}

    def _exports(self) -> Mapping[str, str]:
        path = self.objdir / EXPORTS
        return exports.unpacked(files.read_bytes(path)) if path.is_file() else {}

    def say(self, verb: str, what: str) -> None:
        print(f"  {verb:<7} {what}", flush=True)

    # What they see

    def rest(self, path: str, rows: list[Row] | None) -> Value:
        """What stands for a directory: all that is in there, but of files that are covered the names alone."""
        if rows is None:
            return None
        covered = self._covered.get(path, frozenset())
        told = [(name, 1, 0) if name in covered else (name, time, size) for name, time, size in rows]
        return facts.of_rows(told)

    def _rest(self, path: str) -> Value:
        return self.rest(path, self.world.files.rows(path))

    def _late(self, path: str) -> Value:
        """The first object or archive that is newer than the image; None if all is in order."""
        limit = self._time(path)
        return next((name for name in (*self.objects, *self.archives) if self._time(name) > limit), None)

    def _time(self, path: str) -> int:
        try:
            return os.stat(f"{self._base}/{path}").st_mtime_ns
        except OSError:
            return 0

    # After make

    def adopt(self, start: int | None, vmlinux: Step) -> None:
        """Put on record what make made. `start`: the time of `Files.now` when it began."""
        self.world.forget()
        commands = self._commands()
        found = self._built_in(commands)
        self._take(found)
        compiler = [Fact(*key, self.world.look(*key)) for key in self._compiler()]
        seen = _Seen(self, start)
        done = [Done(_RECORD, self._words, [], result=marshal.dumps(found))]
        for target in self.objects:
            step = self._compilation(target)
            # make may have found nothing to do where there is: another compiler behind the same name, say.
            if self.ledger.record(step.name) is None or self.is_new(_command_file(target), start):
                made = self.world.files.changed(target)
                reads = [seen.by(made, name) for name in commands[target]]
                writes = [Fact("file", target, self.world.look("file", target))]
                done.append(Done(step.name, step.identity, [*compiler, *reads], writes))
        gone = [name for name in self.ledger.steps if name.startswith("compile:") and name[8:] not in commands]
        self.ledger.append(done, forget=gone)
        builder = Builder(self.ledger, self.world)
        builder.adopt(self.archive())
        if self.ledger.record(vmlinux.name) is None or self.is_new("vmlinux", start):
            builder.adopt(vmlinux)

    def is_new(self, path: str, start: int | None) -> bool:
        """Whether a file was written since `start`."""
        return start is None or self.world.files.changed(path) >= start

    def is_source(self, path: str) -> bool:
        """Whether a file is one of the tree, and none that make makes."""
        place = os.path.normpath(os.path.join(self._base, path))
        return place.startswith(f"{self.tree}/") and not place.startswith(f"{self._base}/")

    def _commands(self) -> dict[str, list[str]]:
        """The prerequisites of everything that make has recorded a command for."""
        found = {}
        for folder, below, names in os.walk(self._base):
            below[:] = sorted(name for name in below if name != FOLDER)
            place = os.path.relpath(folder, self._base)
            for name in names:
                if name.startswith(".") and name.endswith(".cmd"):
                    target = os.path.normpath(os.path.join(place, name[1:-4]))
                    found[target] = depfile.recorded(files.read_text(os.path.join(folder, name)))
        return found

    def _built_in(self, commands: Mapping[str, list[str]]) -> _BuiltIn:
        """What there is to replay: objects, archives, and the files of the tree that nothing else depends on."""
        if "vmlinux.a" not in commands:
            return (), (), ()
        libraries = exports.words(self._exports(), "KBUILD_VMLINUX_LIBS")
        linked = [name for path in ("vmlinux.a", *libraries) for name in self._members_of(path)]
        objects = tuple(dict.fromkeys(name for name in linked if commands.get(name) and name.endswith(".o")))
        folders: dict[str, None] = {}
        for name in objects:
            while name := os.path.dirname(name):
                folders[name] = None
        deepest = sorted([*folders, ""], key=lambda folder: -len(folder.split("/")) * bool(folder))
        made = [os.path.join(folder, name) for folder in deepest for name in ("lib.a", "built-in.a")]
        found = (*(name for name in made if name in commands), "vmlinux.a")
        mine = set(objects)
        others = {name for target, names in commands.items() if target not in mine for name in names}
        mentioned = self._mentioned()
        headers = "IKHEADERS" in self.configured.configuration.values  # an archive of all headers is built in
        covered = {
            os.path.normpath(os.path.join(self._base, name))
            for name in {name for target in objects for name in commands[target]} - others
            if self.is_source(name) and os.path.basename(name) not in mentioned and not (headers and name[-2:] == ".h")
        }
        return objects, found, tuple(sorted(covered))

    def _mentioned(self) -> set[str]:
        """The names of sources in makefiles: something may be made of one that no command records."""
        makefiles = {path for directory in self.configured.kernel.directories.values() for path in directory.files}
        texts = (files.read_text(os.path.join(self._base, path)) for path in makefiles if os.path.isfile(path))
        return {name for text in texts for name in re.findall(r"[\w+-]+\.[hcS]\b", text)}


class _Seen:
    """The files that objects saw: their values, unless they were written since make began, or since the object was."""

    def __init__(self, replay: Replay, start: int | None) -> None:
        self.replay, self.start = replay, start
        self._known: dict[str, tuple[Fact, int]] = {}

    def by(self, made: int, name: str) -> Fact:
        """What an object that was made at `made` saw of a file."""
        known = self._known.get(name)
        if known is None:
            fact, changed = (
                Fact("file", name, self.replay.world.look("file", name)),
                self.replay.world.files.changed(name),
            )
            if self.replay.is_source(name) and self.start is not None:
                fact, changed = (fact if changed < self.start else fact._replace(value=CHANGED)), 0
            known = self._known[name] = fact, changed
        fact, changed = known
        return fact if not changed or changed <= made else fact._replace(value=CHANGED)


def _command_file(target: str) -> str:
    return depfile.beside(target, ".cmd")
