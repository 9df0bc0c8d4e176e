"""What the tree's make has built in: a build directory in; steps that make one object, the archives and the image anew,
without a walk through all directories of the tree, out.

The tree's own makefiles do the work, called for one thing at a time with the variables that the top Makefile exported
when it ran last. So the `.cmd` files stay Kbuild's, and whatever a release does around a compiler it does here too.

    directories  those whose lists or flags a symbol of `.config` changes, and the archives above them
    compile:X    an object: the files and symbols that its `.cmd` names, and the compiler
    archive      the archives that an object is in
    vmlinux      vmlinux.o, modpost and the link: what the top Makefile does when the directories are done
    times        make goes by times: what holds, although an object was made again, is made as new as that

The step `make` has built all this when it has run, and `adopt` puts that on record.
"""

from __future__ import annotations

import marshal
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType

from kallmodsyms import archives, code, depfile, files, names, provider, release
from kallmodsyms.configured import COMPILER_VARIABLES, Configured
from kallmodsyms.depfile import Recorded
from kallmodsyms.errors import InputError
from kallmodsyms.facts import CHANGED, Fact, Value
from kallmodsyms.ledger import Done
from kallmodsyms.link import exports, recipe, relocatable
from kallmodsyms.link.recipe import Recipe
from kallmodsyms.names import FOLDER, THICK
from kallmodsyms.plan import image, watched
from kallmodsyms.plan.lists import AUTO_CONF, CONFIG
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run
from kallmodsyms.release import LinkDialect
from kallmodsyms.step import Builder, Seen, Step

EXPORTS = f"{FOLDER}/exports"
"""The variables that the top Makefile exported to the link, NUL between them."""
_STAGES = ("Makefile.vmlinux_o", "Makefile.modpost", "Makefile.vmlinux")
"""What the top Makefile calls since Linux 6.1, when the directories are done."""
_AFTER_LINK = re.compile(r"include/generated/utsversion\.h|init/\.?version-timestamp\.o(\.cmd)?")
_FINAL = {"vmlinux", "System.map", "vmlinux.map", ".vmlinux.cmd", ".version"}
"""Files that the final link leaves."""
_RECORD = "built in"

_DIRECTORIES = "directories"
_READS_CONFIG = re.compile(r"KCONFIG_CONFIG|\bauto\.?conf|kheaders")
"""In the Kbuild file of a directory that makes something of all of `.config` (kernel/Makefile: IKCONFIG, IKHEADERS)."""
_SYMBOL = re.compile(r'"([A-Z][A-Z0-9_]+)"')

_BuiltIn = tuple[tuple[str, ...], tuple[str, ...]]
"""Objects and archives."""


class Replay:
    """The steps of one build directory.

    objects: what is built in, in link order, as far as it can be made alone
    archives: those that they are in, the deepest first
    made: the objects, and the linker script
    """

    def __init__(
        self,
        chosen: Profile,
        configured: Configured,
        link: LinkDialect,
        make: Callable[[str], None],
        everything: Callable[[], Step],
        hook: Callable[[], list[str]],
    ) -> None:
        """`make` reaches a goal of the tree's make, `everything` is the step that does so for all of vmlinux; `hook`
        gives the program that make runs for the link.
        """
        self.profile, self.configured, self.ledger = chosen, configured, configured.ledger
        self.link = link
        self.objdir = chosen.objdir
        self._make, self._everything, self._hook = make, everything, hook
        self.tree = os.path.realpath(chosen.tree)
        self._base = os.path.realpath(chosen.objdir)
        self.world = configured.world.under(lists=self._lists, order=self._late)
        self.watched = watched.Watched(configured)
        self._earlier = depfile.Earlier(self._base)
        self._words = (self.tree, "objects", "archives")
        reason, result = self.ledger.find(_RECORD, self._words, self.world)
        self._take(marshal.loads(result) if reason is None and result else ((), ()))
        self._planned = self.objects

    def _take(self, found: _BuiltIn) -> None:
        self.objects, self.archives = found
        script = self._exports().get("KBUILD_LDS", "")
        scripts = [script] if self.objects and (self.objdir / _command_file(script)).is_file() else []
        self.made = (*self.objects, *scripts)
        own = (*self.made, *self.archives)
        self._own = frozenset((*own, *map(_command_file, own)))

    # Steps

    def directories(self) -> Step:
        return Step(_DIRECTORIES, (), self._visit, sees=self._listed, follows=("auto_conf", "make"))

    def compilations(self) -> list[Step]:
        return [self._compilation(target) for target in sorted(self.objects)]

    def linker_script(self) -> list[Step]:
        return [self._compilation(target) for target in self.made[len(self.objects) :]]

    def _compilation(self, target: str) -> Step:
        return Step(
            f"compile:{target}" if target.endswith(".o") else "linker_script",
            (),
            partial(self._compile, target),
            writes=(target,),
            sees=self._compiler,
            follows=("make", _DIRECTORIES),
        )

    def archive(self) -> Step:
        compilations = tuple(f"compile:{target}" for target in self.objects)
        return Step(
            "archive",
            (),
            self._archive,
            sees=self._members,
            wrote=lambda: (("file", path) for path in self.archives),
            follows=("make", _DIRECTORIES, *compilations),
        )

    def final_link(
        self, words: tuple[str, ...], tools: Callable[[], Iterable[tuple[str, str]]]
    ) -> Iterator[tuple[str, Step]]:
        """The steps of the link: all of them, or, where a release or configuration links in a way that `image` does not
        know, one. `words` stand for what make is told, `tools` gives the programs that link.
        """
        if names.OBJECTS not in self._exports():
            # make links, the first time, and then it is known how.
            written = ("vmlinux", "System.map")
            yield "vmlinux", Step("vmlinux", (), self._link, writes=written, follows=("make",), once=True)
            return
        before = ("make", _DIRECTORIES, "linker_script", "archive", *(f"compile:{target}" for target in self.objects))

        def sees() -> Iterator[tuple[str, str]]:
            yield from self._members()
            yield from self._asked()
            yield from tools()
            yield "file", f"{self.tree}/scripts/link-vmlinux.sh"

        found = self._image()
        if found is None:
            yield (
                "vmlinux",
                Step(
                    "vmlinux",
                    words,
                    self._link,
                    reads=(THICK, "vmlinux.a"),
                    writes=("vmlinux", "System.map"),
                    sees=sees,
                    wrote=self._stages_wrote,
                    modules=("kallmodsyms.hook",),
                    follows=before,
                ),
            )
            return

        objects = {name for name in (*found.inputs, "vmlinux.o") if name.endswith(".o")}
        yield (
            "modpost",
            Step(
                "modpost",
                words,
                partial(
                    self._make_ready, [name for name in sorted(objects) if "/" not in name and name != "vmlinux.o"]
                ),
                reads=("vmlinux.a",),
                writes=tuple(sorted(objects)),
                sees=sees,
                wrote=lambda: (("file", name) for name in sorted(self.of_the_link() - _FINAL - objects)),
                modules=("kallmodsyms.hook",),
                follows=before,
            ),
        )
        yield from image.steps_of_a_tree(found, ("modpost",), sees, self._finish, self.final, self.say)

    def recipe(self) -> Recipe | None:
        """How the image is linked, where the steps of `image` can do that."""
        found = self._image() if names.OBJECTS in self._exports() else None
        return None if found is None else found.recipe

    def _image(self) -> image.Image | None:
        """What is linked, where the steps of `image` can do that."""
        exported, config = self._exports(), self.configured.configuration.values
        scripts = [Path(self.tree, "scripts", name) for name in _STAGES]
        if (
            not self.profile.modules
            or "KALLSYMS" not in config
            or not all(script.is_file() for script in scripts)
            or self.link.script_makes_objects
            or self.link.output != "vmlinux"
            or not {"DEBUG_INFO_BTF", "LTO_CLANG"}.isdisjoint(config)
        ):
            return None
        extra = shlex.split(exported[names.OBJECTS])
        plan = recipe.of(exported, config, self.link, extra)
        chosen, dialect = self.profile, release.kallsyms_dialect(self.tree)
        linked = (word for word in (*plan.inputs, *plan.libraries) if word[:1] != "-")
        inputs = (exported["KBUILD_LDS"], *linked)
        known = relocatable.of_map(self.objdir) if plan.relocatable else relocatable.NOTHING
        return image.Image(
            self.objdir, plan, inputs, config, dialect, chosen.sizes, chosen.objects, known,
            linked=lambda: () if "LD_DEAD_CODE_DATA_ELIMINATION" in config else tuple(self._members_of("vmlinux.a")),
            limit=chosen.unknown_text,
        )  # fmt: skip

    def times(self) -> Step:
        return Step("times", (), self._touch, follows=("vmlinux",))

    # What they do

    def _visit(self) -> None:
        """Let make look into the directories that changed, each alone, and renew the archives above them."""
        if not self.objects:  # then make sees .config
            return
        start = self.ledger.files.now()
        changed = self._changed()
        above = {folder for path in changed for folder in _above(path)}
        for path in sorted({*changed, *above}, key=_depth, reverse=True):
            if path in changed:
                try:
                    # Without subdir-ym make does not descend; what is below has been looked into before.
                    self._submake(
                        "scripts/Makefile.build", f"obj={path}", "need-builtin=1", "need-modorder=1", "subdir-ym="
                    )
                except InputError:
                    self.ledger.append((), forget=["make"])  # it may need something that make would have made before
                    raise
            elif (self.objdir / _command_file(f"{path}/built-in.a")).exists():
                self._replay(os.path.normpath(f"{path}/built-in.a"))
        if changed:
            self._replay("vmlinux.a")
            self._adopt_some(start, changed)

    def _changed(self) -> set[str]:
        """The directories that may build something else than when this was asked the last time."""
        before = {(fact.kind, fact.name): fact.value for fact in self.ledger.reads(_DIRECTORIES)}
        symbols = {
            name for (kind, name), value in before.items() if kind == "symbol" and value != self.world.look(kind, name)
        }
        found = set()
        for directory in self.configured.kernel.built_in():
            path = directory.path
            text = self._makefiles(directory.files)
            if (
                before.get(("lists", path)) != self._lists(path)
                or not symbols.isdisjoint(watched.SYMBOL.findall(text))
                or _READS_CONFIG.search(text)
            ):
                found.add(path)
        return found

    def _makefiles(self, paths: Mapping[str, bool]) -> str:
        """The text of a directory's own makefiles."""
        scripts = f"{self.configured.kernel.tree}/scripts/"
        return "".join(files.read_text(path) for path, there in paths.items() if there and not path.startswith(scripts))

    def _compile(self, target: str) -> Iterator[Seen]:
        if target not in self.made:  # make has just found out that it is built in no longer
            return
        directory = self.configured.kernel.directory_of(target)
        folder = directory.path if directory is not None else os.path.dirname(target)
        (self.objdir / target).unlink(missing_ok=True)  # make goes by times, and this is not only for these
        self._submake("scripts/Makefile.build", f"obj={folder}", target)
        yield from self._saw(depfile.recorded(files.read_text(self.objdir / _command_file(target))))

    def _compiler(self) -> Iterator[tuple[str, str]]:
        words = shlex.split(self.configured.environment.get("CC", ""))
        for program in takewhile(lambda word: word[:1] != "-", words or ["cc"]):  # a launcher, too
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

    def _make_ready(self, objects: list[str]) -> None:
        """All that is made before the link, by the tree's makefiles, which make `objects` last, and by the hook."""
        (self.objdir / _command_file("vmlinux.o")).unlink(missing_ok=True)
        for script in _STAGES[:-1]:
            self._submake(f"scripts/{script}")
        if objects:
            self._submake(f"scripts/{_STAGES[-1]}", *objects)
        run(self._hook(), self.objdir, environment={**self._environment(), names.STAGE: "objects"})

    def _finish(self, name: str) -> None:
        """Have the tree make vmlinux of an image, by the hook."""
        (self.objdir / _command_file("vmlinux")).unlink(missing_ok=True)
        self._submake(f"scripts/{_STAGES[-1]}", environment={names.STAGE: name})
        self.confirm()

    def _stages_wrote(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self.of_the_link() | self.final()):
            yield "file", name

    def of_the_link(self) -> set[str]:
        """The files in the build directory that the last stages leave, but for the images of passes."""
        with os.scandir(self.objdir) as entries:
            found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        made = {name for name in found if _command_file(name) in found}
        stages = {*made, *map(_command_file, made), "System.map", ".vmlinux.export.c", ".version", "vmlinux.map"}
        return {name for name in stages & found if not name.endswith(".a") and not name.endswith(".a.cmd")}

    def final(self) -> set[str]:
        """What the final link leaves, and what the architecture makes of it."""
        folder = f"arch/{self._exports().get('SRCARCH', '')}"
        postlink = Path(self.tree, folder, "Makefile.postlink")
        made = set(re.findall(r"/(\w+\.\w+)", files.read_text(postlink))) if postlink.is_file() else set()
        wanted = made | set(map(_command_file, made))
        after = (path for path in (self.objdir / folder).rglob("*") if path.name in wanted) if made else ()
        found = {*_FINAL, *(os.path.relpath(path, self.objdir) for path in after)}
        return {name for name in found if (self.objdir / name).is_file()}

    def made_again(self) -> Callable[[str], bool]:
        """What tells whether a file of the build directory is one that these steps write."""
        known = self._own | self.of_the_link() | self.final()
        return lambda path: path in known or _AFTER_LINK.fullmatch(path) is not None

    def _touch(self) -> Iterator[Seen]:
        """Make archives and what follows as new as what they are made of, if they are older."""
        last = self._make_newer(self.archives, (*self.made, *self.archives))
        last = self._make_newer(self._before_the_image(), (), last)
        self._make_newer(("vmlinux", "System.map"), (), last)
        yield Fact("order", "vmlinux", None)

    def _make_newer(self, paths: Collection[str], parts: Iterable[str], least: int = 0) -> int:
        """Make files at least as new as their parts and as `least`; the time of the newest."""
        newest = max([least, *map(self._time, parts)])
        for path in paths:
            if 0 < self._time(path) < newest:
                os.utime(self.objdir / path, ns=(newest, newest))
        return max([newest, *map(self._time, paths)])

    def _before_the_image(self) -> list[str]:
        """What the stages before the final link leave, but for commands."""
        return sorted(name for name in self.of_the_link() - _FINAL if not name.endswith(".cmd"))

    def _submake(self, makefile: str, *goals: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        found = {**self._environment(), **environment}
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
        verbosity = ("KBUILD_VERBOSE", "quiet", "Q")  # as it is now, not as it was then
        shown = {name: value for name, value in mine.items() if name in verbosity}
        own = {"MAKEFLAGS": flags, "MFLAGS": "", "KBUILD_BUILTIN": "1", "KBUILD_MODULES": ""}
        return {**mine, **found, **shown, **own}

    def _exports(self) -> Mapping[str, str]:
        path = self.objdir / EXPORTS
        return exports.unpacked(files.read_bytes(path)) if path.is_file() else {}

    def say(self, verb: str, what: str) -> None:
        print(f"  {verb:<7} {what}", flush=True)

    # What they see

    def _lists(self, path: str) -> Value:
        """What stands for what a directory builds into vmlinux; None for one that does not."""
        directory = self.configured.kernel.directories.get(path)
        return directory.digest if directory is not None and directory.built_in else None

    def _listed(self) -> Iterator[tuple[str, str]]:
        """What `directories` sees."""
        symbols, reads_config = set[str](), False
        for directory in self.configured.kernel.built_in():
            yield "lists", directory.path
            text = self._makefiles(directory.files)
            symbols.update(watched.SYMBOL.findall(text))
            reads_config = reads_config or _READS_CONFIG.search(text) is not None
        yield from (("symbol", symbol) for symbol in sorted(symbols))
        if reads_config:
            yield "file", CONFIG

    @staticmethod
    def _asked() -> Iterator[tuple[str, str]]:
        """The symbols that this package looks at where it links; of those that scripts name, make is asked."""
        texts = (files.read_text(code.PACKAGE / name) for name in code.files_of("kallmodsyms.hook").split())
        found = {symbol for text in texts for symbol in _SYMBOL.findall(text)}
        return (("symbol", symbol) for symbol in sorted(found))

    def _late(self, path: str) -> Value:
        """What is newer than a file that make compares with it; None if all is in order."""
        limit = self._time(path)
        others = (CONFIG,) if path == AUTO_CONF else (*self.made, *self.archives, *self._before_the_image())
        return next((name for name in others if self._time(name) > limit), None) if limit else None

    def _time(self, path: str) -> int:
        try:
            return os.stat(f"{self._base}/{path}").st_mtime_ns
        except OSError:
            return 0

    # After make

    def adopt(
        self, start: int | None, recorded: Mapping[str, Recorded], others: Iterable[tuple[str, Iterable[Step]]]
    ) -> None:
        """Put on record what make made. `start`: the time of `Files.now` when it began; `recorded`: all commands;
        `others`: further steps, each with a file that make wrote if it did them.
        """
        self.world.forget()
        self._record(start, recorded, {target for target, saw in recorded.items() if saw.files})
        builder = Builder(self.ledger, self.world)
        for witness, steps in others:
            done = self.is_new(witness, start)
            for step in steps:
                if done or self.ledger.record(step.name) is None:
                    builder.adopt(step)
        for step in (self.directories(), self.archive()):
            builder.adopt(step)

    def _adopt_some(self, start: int | None, paths: Iterable[str]) -> None:
        """The same after make looked into some directories: of what it made there besides objects `make` takes note."""
        self.world.forget()
        folders = set(paths)
        for path in paths:
            directory = self.configured.kernel.directories[path]
            entries = (*directory.library, *directory.link_entries())
            folders.update(os.path.dirname(name) or "." for name in entries if name.endswith(".o"))
        recorded = watched.commands(self._base, sorted(folders))
        self._record(start, recorded, {*self.objects, *(target for target, saw in recorded.items() if saw.files)})
        builder = Builder(self.ledger, self.world)
        builder.adopt(self.archive())
        builder.extend(self._everything(), start, self.watched.of(recorded, self.made, folders))

    def _record(self, start: int | None, recorded: Mapping[str, Recorded], made: Collection[str]) -> None:
        """Records of the objects. `made`: what has a command and prerequisites."""
        found = self._built_in(made)
        self._take(found)
        compiler = [Fact(*key, self.world.look(*key)) for key in self._compiler()]
        seen = _Seen(self, start)
        done = [Done(_RECORD, self._words, [], result=marshal.dumps(found))]
        for target in self.made:
            step = self._compilation(target)
            # make may have found nothing to do where there is: another compiler behind the same name, say.
            if target in recorded and (
                self.ledger.record(step.name) is None or self.is_new(_command_file(target), start)
            ):
                changed = self.world.files.changed(target)
                reads = [seen.by(changed, *key) for key in self._saw(recorded[target])]
                writes = [Fact("file", target, self.world.look("file", target))]
                done.append(Done(step.name, step.identity, [*compiler, *reads], writes))
        known = {*self.objects, *self._planned}  # of the others there are tasks as long as this process runs
        gone = [name for name in self.ledger.steps if name.startswith("compile:") and name[8:] not in known]
        self.ledger.append(done, forget=gone)

    def _saw(self, recorded: Recorded) -> Iterator[tuple[str, str]]:
        """What decided how an object came out; and what would have, if it had been there."""
        yield from (("file", path) for path in (*recorded.files, *self._earlier.than(recorded)))
        yield from (("symbol", symbol) for symbol in recorded.symbols)

    def is_new(self, path: str, start: int | None) -> bool:
        """Whether a file was written since `start`."""
        return start is None or self.world.files.changed(path) >= start

    def is_source(self, path: str) -> bool:
        """Whether a file is one of the tree, and none that make makes."""
        place = os.path.normpath(os.path.join(self._base, path))
        return place.startswith(f"{self.tree}/") and not place.startswith(f"{self._base}/")

    def _built_in(self, made: Collection[str]) -> _BuiltIn:
        """What there is to replay: objects and archives."""
        if not (self.objdir / _command_file("vmlinux.a")).exists():
            return (), ()
        libraries = exports.words(self._exports(), "KBUILD_VMLINUX_LIBS")
        linked = [name for path in ("vmlinux.a", *libraries) for name in self._members_of(path)]
        objects = tuple(dict.fromkeys(name for name in linked if name in made and name.endswith(".o")))
        folders = dict.fromkeys(folder for name in objects for folder in _above(name))
        places = (
            os.path.normpath(f"{folder}/{name}")
            for folder in sorted(folders, key=_depth, reverse=True)
            for name in ("lib.a", "built-in.a")
        )
        found = (*(name for name in places if (self.objdir / _command_file(name)).exists()), "vmlinux.a")
        return objects, found


class _Seen:
    """The files that objects saw: their values, unless they were written since make began, or since the object was."""

    def __init__(self, replay: Replay, start: int | None) -> None:
        self.replay, self.start = replay, start
        self._known: dict[tuple[str, str], tuple[Fact, int]] = {}

    def by(self, made: int, kind: str, name: str) -> Fact:
        """What an object that was made at `made` saw of a file or symbol."""
        known = self._known.get((kind, name))
        if known is None:
            fact, changed = Fact(kind, name, self.replay.world.look(kind, name)), 0
            if kind == "file":
                changed = self.replay.world.files.changed(name)
                if self.replay.is_source(name) and self.start is not None:
                    fact, changed = (fact if changed < self.start else fact._replace(value=CHANGED)), 0
            known = self._known[kind, name] = fact, changed
        fact, changed = known
        return fact if not changed or changed <= made else fact._replace(value=CHANGED)


def _above(path: str) -> Iterator[str]:
    """The directories above a path, `.` for the top."""
    while path not in (".", ""):
        path = os.path.dirname(path) or "."
        yield path


def _depth(path: str) -> tuple[int, str]:
    return (0 if path == "." else path.count("/") + 1), path


def _command_file(target: str) -> str:
    return depfile.beside(target, ".cmd")
