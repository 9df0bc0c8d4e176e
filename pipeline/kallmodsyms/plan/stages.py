"""What the top Makefile does when all directories are done, since Linux 6.1: vmlinux.o, modpost and the link. What goes
into the link in; its steps, and the files that they leave, out.

Where a release or a configuration links in a way that `image` knows, these are modpost, link:1, ranges:1, tables:1,
assemble:1 and vmlinux, as of the toy kernel; where it does not, one step, in which the tree's makefiles do it all.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from kallmodsyms import code, files, names, provider
from kallmodsyms.configured import Configured
from kallmodsyms.link import recipe, relocatable
from kallmodsyms.link.recipe import Recipe
from kallmodsyms.names import THICK
from kallmodsyms.plan import image
from kallmodsyms.plan.submake import Submake, command_file, say
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run
from kallmodsyms.release import KallsymsDialect, LinkDialect
from kallmodsyms.step import Step

MAKEFILES = ("scripts/Makefile.vmlinux_o", "scripts/Makefile.modpost", "scripts/Makefile.vmlinux")
_FINAL = {"vmlinux", "System.map", "vmlinux.map", ".vmlinux.cmd", ".version"}
"""Files that the final link leaves."""
_SYMBOL = re.compile(r'"([A-Z][A-Z0-9_]+)"')

Facts = Callable[[], Iterable[tuple[str, str]]]
"""Gives kinds and names of facts."""


class Stages:
    """The last stages for one build directory.

    dialect: how the release links
    """

    def __init__(
        self,
        chosen: Profile,
        configured: Configured,
        submake: Submake,
        dialect: LinkDialect,
        tables: KallsymsDialect,
        make: Callable[[str], None],
        hook: Callable[[], list[str]],
    ) -> None:
        """`tables`: how the release writes its tables; `make` reaches a goal of the tree's make; `hook` gives the
        program that make runs for the link.
        """
        self.profile, self.configured = chosen, configured
        self.submake, self.objdir = submake, chosen.objdir
        self.dialect, self._tables = dialect, tables
        self._make, self._hook = make, hook

    def steps(
        self, words: tuple[str, ...], before: tuple[str, ...], members: Facts, tools: Facts
    ) -> Iterator[tuple[str, Step]]:
        """The steps of the link, each with the kind of its work.

        words: stand for what make is told; before: the steps that make what is linked
        members: the objects; tools: the programs that link
        """
        if names.OBJECTS not in self.submake.exports():
            # make links, the first time, and then it is known how.
            written = ("vmlinux", "System.map")
            yield "vmlinux", Step("vmlinux", (), self._link, writes=written, follows=("make",), once=True)
            return

        def sees() -> Iterator[tuple[str, str]]:
            yield from members()
            yield from self._asked()
            yield from tools()
            yield "file", f"{self.submake.tree}/scripts/link-vmlinux.sh"

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
                    wrote=lambda: (("file", name) for name in sorted(self.all_left())),
                    modules=("kallmodsyms.hook",),
                    follows=before,
                ),
            )
            return

        objects = {name for name in (*found.inputs, "vmlinux.o") if name.endswith(".o")}
        only_linked = [name for name in sorted(objects) if "/" not in name and name != "vmlinux.o"]
        yield (
            "modpost",
            Step(
                "modpost",
                words,
                partial(self._make_ready, only_linked),
                reads=("vmlinux.a",),
                writes=tuple(sorted(objects)),
                sees=sees,
                wrote=lambda: (("file", name) for name in sorted(self.left() - _FINAL - objects)),
                modules=("kallmodsyms.hook",),
                follows=before,
            ),
        )
        yield from image.steps_of_a_tree(found, ("modpost",), sees, self._finish, self._final, say)

    def recipe(self) -> Recipe | None:
        """How the image is linked, where the steps of `image` can do that."""
        found = self._image() if names.OBJECTS in self.submake.exports() else None
        return None if found is None else found.recipe

    def _image(self) -> image.Image | None:
        """What is linked, where the steps of `image` can do that."""
        exported, config = self.submake.exports(), self.configured.configuration.values
        if (
            not self.profile.modules
            or "KALLSYMS" not in config
            or not self.are_known()
            or self.dialect.output != "vmlinux"
            or not {"DEBUG_INFO_BTF", "LTO_CLANG"}.isdisjoint(config)
        ):
            return None
        extra = shlex.split(exported[names.OBJECTS])
        plan = recipe.of(exported, config, self.dialect, extra)
        chosen = self.profile
        linked = (word for word in (*plan.inputs, *plan.libraries) if word[:1] != "-")
        inputs = (exported["KBUILD_LDS"], *linked)
        known = relocatable.of_map(self.objdir) if plan.relocatable else relocatable.NOTHING
        dropped = "LD_DEAD_CODE_DATA_ELIMINATION" in config
        return image.Image(
            self.objdir, plan, inputs, config, self._tables, chosen.sizes, chosen.objects, known,
            linked=lambda: () if dropped else tuple(self.submake.members("vmlinux.a")),
            limit=chosen.unknown_text,
        )  # fmt: skip

    def are_known(self) -> bool:
        """Whether the tree has these stages."""
        there = all(Path(self.submake.tree, makefile).is_file() for makefile in MAKEFILES)
        return there and not self.dialect.script_makes_objects

    @staticmethod
    def _asked() -> Iterator[tuple[str, str]]:
        """The symbols that this package looks at where it links; of those that scripts name, make is asked."""
        texts = (files.read_text(code.PACKAGE / name) for name in code.files_of("kallmodsyms.hook").split())
        found = {symbol for text in texts for symbol in _SYMBOL.findall(text)}
        return (("symbol", symbol) for symbol in sorted(found))

    # What they do

    def _link(self) -> None:
        """Have the tree's makefiles do it all."""
        ledger = self.configured.ledger
        for path in ledger.spoiled("vmlinux", ledger.world):
            (self.objdir / path).unlink(missing_ok=True)
        if self.submake.exports() and self.are_known():
            # Without its command make takes neither for done: what is linked may be the same, the linker another one.
            for target in ("vmlinux.o", self.dialect.output):
                (self.objdir / command_file(target)).unlink(missing_ok=True)
            for makefile in MAKEFILES:
                self.submake.run(makefile)
        else:
            self._make("vmlinux")
        self.confirm()

    def _make_ready(self, objects: list[str]) -> None:
        """All that is made before the link, by the tree's makefiles, which make `objects` last, and by the hook."""
        (self.objdir / command_file("vmlinux.o")).unlink(missing_ok=True)
        for makefile in MAKEFILES[:-1]:
            self.submake.run(makefile)
        if objects:
            self.submake.run(MAKEFILES[-1], *objects)
        run(self._hook(), self.objdir, environment={**self.submake.environment(), names.STAGE: "objects"})

    def _finish(self, name: str) -> None:
        """Have the tree make vmlinux of an image, by the hook."""
        (self.objdir / command_file("vmlinux")).unlink(missing_ok=True)
        self.submake.run(MAKEFILES[-1], environment={names.STAGE: name})

    def confirm(self) -> None:
        """Raise InputError unless the image that make left is ours, with all that the profile asks for."""
        values = self.configured.configuration.values
        if self.profile.modules and "KALLSYMS" in values:
            # Not before there is work: numpy takes longer to import than all that is looked at.
            from kallmodsyms.link import carried

            with_provider = self.profile.provider and provider.possible(values)
            carried.confirm(self.objdir / "vmlinux", self.dialect.variable, with_provider)

    # What they leave

    def left(self) -> set[str]:
        """The files in the build directory itself that these stages leave, but for the images of passes."""
        with os.scandir(self.objdir) as entries:
            found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        made = {name for name in found if command_file(name) in found}
        stages = {*made, *map(command_file, made), "System.map", ".vmlinux.export.c", ".version", "vmlinux.map"}
        return {name for name in stages & found if not name.endswith((".a", ".a.cmd"))}

    def all_left(self) -> set[str]:
        """The same, and what the architecture makes of the final image."""
        return self.left() | self._final()

    def before_the_image(self) -> list[str]:
        """What the stages before the final link leave, but for commands."""
        return sorted(name for name in self.left() - _FINAL if not name.endswith(".cmd"))

    def _final(self) -> set[str]:
        """What the final link leaves, and what the architecture makes of it."""
        folder = f"arch/{self.submake.exports().get('SRCARCH', '')}"
        postlink = Path(self.submake.tree, folder, "Makefile.postlink")
        made = set(re.findall(r"/(\w+\.\w+)", files.read_text(postlink))) if postlink.is_file() else set()
        wanted = made | set(map(command_file, made))
        after = (path for path in (self.objdir / folder).rglob("*") if path.name in wanted) if made else ()
        found = {*_FINAL, *(os.path.relpath(path, self.objdir) for path in after)}
        return {name for name in found if (self.objdir / name).is_file()}
