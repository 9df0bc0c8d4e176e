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

from kallmodsyms import depfile, files
from kallmodsyms.configured import COMPILER_VARIABLES, Configured
from kallmodsyms.depfile import Recorded
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Fact, Value
from kallmodsyms.ledger import Done
from kallmodsyms.plan import watched
from kallmodsyms.plan.adoption import Adoption, BuiltIn, above, depth
from kallmodsyms.plan.lists import AUTO_CONF, CONFIG
from kallmodsyms.plan.stages import Stages
from kallmodsyms.plan.submake import Submake, command_file
from kallmodsyms.step import Builder, Seen, Step

_AFTER_LINK = re.compile(r"include/generated/utsversion\.h|init/\.?version-timestamp\.o(\.cmd)?")
_RECORD = "built in"
_DIRECTORIES = "directories"
_READS_CONFIG = re.compile(r"KCONFIG_CONFIG|\bauto\.?conf|kheaders")
"""In the Kbuild file of a directory that makes something of all of `.config` (kernel/Makefile: IKCONFIG, IKHEADERS)."""


class Replay:
    """The steps of one build directory.

    objects: what is built in, in link order, as far as it can be made alone
    archives: those that they are in, the deepest first
    made: the objects, and the linker script
    """

    def __init__(
        self, configured: Configured, submake: Submake, stages: Stages, everything: Callable[[], Step]
    ) -> None:
        """`stages`: what comes after these steps; `everything` the step in which make makes all."""
        self.configured, self.ledger, self.objdir = configured, configured.ledger, submake.objdir
        self.submake, self.stages, self._everything = submake, stages, everything
        self.world = configured.world.under(lists=self._lists, order=self._late)
        self.adoption = Adoption(self.submake, self.world)
        self.watched = watched.Watched(configured)
        self._words = (self.submake.tree, "objects", "archives")
        reason, result = self.ledger.find(_RECORD, self._words, self.world)
        self._take(BuiltIn(*marshal.loads(result)) if reason is None and result else BuiltIn())
        self._planned = self.objects

    def _take(self, found: BuiltIn) -> None:
        self.objects, self.archives = found
        script = self.submake.exports().get("KBUILD_LDS", "")
        self.made = (*self.objects, *([script] if self.objects and self.submake.has_command(script) else []))
        own = (*self.made, *self.archives)
        self._own = frozenset((*own, *map(command_file, own)))

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
        """The steps of the link, each with the kind of its work. `words` stand for what make is told, `tools` gives the
        programs that link.
        """
        before = ("make", _DIRECTORIES, "linker_script", "archive", *(f"compile:{target}" for target in self.objects))
        return self.stages.steps(words, before, self._members, tools)

    def times(self) -> Step:
        return Step("times", (), self._touch, follows=("vmlinux",))

    # What they do

    def _visit(self) -> None:
        """Let make look into the directories that changed, each alone, and renew the archives above them."""
        if not self.objects:  # then make sees .config
            return
        start = self.ledger.files.now()
        changed = self._changed()
        over = {folder for path in changed for folder in above(path)}
        before = {path: self.world.files.look(path) for path in self.archives}
        others = set[str]()  # the directories with another archive now, and those above them
        for path in sorted({*changed, *over}, key=depth, reverse=True):
            made = [os.path.normpath(f"{path}/{name}") for name in ("built-in.a", "lib.a")]
            if path in changed:
                try:
                    # Without subdir-ym make does not descend; what is below has been looked into before.
                    self.submake.run(
                        "scripts/Makefile.build", f"obj={path}", "need-builtin=1", "need-modorder=1", "subdir-ym="
                    )
                except InputError:
                    self.ledger.append((), forget=["make"])  # it may need something that make would have made before
                    raise
            elif path in others and self.submake.has_command(made[0]):
                self.submake.again(made[0])
            if any(self.world.files.look(name) != before.get(name) for name in made):
                others.update((path, *above(path)))
        if others:
            self.submake.again("vmlinux.a")
        if changed:
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
        self.submake.run("scripts/Makefile.build", f"obj={folder}", target)
        yield from self.adoption.saw(depfile.recorded(files.read_text(self.objdir / command_file(target))))

    def _compiler(self) -> Iterator[tuple[str, str]]:
        words = shlex.split(self.configured.environment.get("CC", ""))
        for program in takewhile(lambda word: word[:1] != "-", words or ["cc"]):  # a launcher, too
            yield from self.configured.programs_behind(program, compiles=True)
        yield from (("environment", name) for name in COMPILER_VARIABLES)

    def _members(self) -> Iterator[tuple[str, str]]:
        return (("file", target) for target in self.objects)

    def _archive(self) -> None:
        """Make the archives of the members that they have; those anew that are not what they were."""
        look, ledger = self.world.files.look, self.ledger
        kept = {fact.name: fact.value for fact in ledger.writes("archive")}
        members = {fact.name: fact.value for fact in ledger.reads("archive") if fact.kind == "file"}
        changed = {name for name in self.objects if look(name) != members.get(name)}
        for path in self.archives:
            if look(path) != kept.get(path):
                self.submake.again(path)
            else:
                self.submake.renew(path, changed)

    def made_again(self) -> Callable[[str], bool]:
        """What tells whether a file of the build directory is one that these steps write."""
        known = self._own | self.stages.all_left()
        return lambda path: path in known or _AFTER_LINK.fullmatch(path) is not None

    def _touch(self) -> Iterator[Seen]:
        """Make archives and what follows as new as what they are made of, if they are older."""
        last = self.date_archives()
        last = self._make_newer(self.stages.before_the_image(), (), last)
        self._make_newer(("vmlinux", "System.map"), (), last)
        yield Fact("order", "vmlinux", None)

    def date_archives(self) -> int:
        """Make the archives as new as what they are made of; the time of the newest, in ns."""
        return self._make_newer(self.archives, (*self.made, *self.archives))

    def _make_newer(self, paths: Collection[str], parts: Iterable[str], least: int = 0) -> int:
        """Make files at least as new as their parts and as `least`; the time of the newest."""
        newest = max([least, *map(self.submake.time, parts)])
        for path in paths:
            if 0 < self.submake.time(path) < newest:
                os.utime(self.objdir / path, ns=(newest, newest))
        return max([newest, *map(self.submake.time, paths)])

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

    def _late(self, path: str) -> Value:
        """What is newer than a file that make compares with it; None if all is in order."""
        limit = self.submake.time(path)
        others = (CONFIG,) if path == AUTO_CONF else (*self.made, *self.archives, *self.stages.before_the_image())
        return next((name for name in others if self.submake.time(name) > limit), None) if limit else None

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
            done = self.adoption.is_written(witness, start)
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
        recorded = watched.commands(self.submake.base, sorted(folders))
        self._record(start, recorded, {*self.objects, *(target for target, saw in recorded.items() if saw.files)})
        builder = Builder(self.ledger, self.world)
        builder.adopt(self.archive())
        builder.extend(self._everything(), start, self.watched.of(recorded, self.made, folders))

    def _record(self, start: int | None, recorded: Mapping[str, Recorded], made: Collection[str]) -> None:
        """Records of the objects. `made`: what has a command and prerequisites."""
        found = self.adoption.built_in(made)
        self._take(found)
        steps = ((target, self._compilation(target)) for target in self.made if target in recorded)
        # make may have found nothing to do where there is: another compiler behind the same name, say.
        new = [
            (target, step)
            for target, step in steps
            if self.ledger.record(step.name) is None or self.adoption.is_new(target, start)
        ]
        done = [Done(_RECORD, self._words, [], result=marshal.dumps(tuple(found)))]
        done += self.adoption.records(new, recorded, start, list(self._compiler()))
        known = {*self.objects, *self._planned}  # of the others there are tasks as long as this process runs
        gone = [name for name in self.ledger.steps if name.startswith("compile:") and name[8:] not in known]
        self.ledger.append(done, forget=gone)
