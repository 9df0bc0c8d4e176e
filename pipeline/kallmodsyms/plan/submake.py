"""The tree's own makefiles, called for one thing at a time: what the top Makefile exported when it ran last, in; files
that are made as make would make them, out. `.cmd` files stay Kbuild's, and whatever a release does around a compiler
is done here, too.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Mapping
from types import MappingProxyType

from kallmodsyms import archives, depfile, files
from kallmodsyms.errors import InputError
from kallmodsyms.link import exports
from kallmodsyms.names import FOLDER
from kallmodsyms.profile import Profile
from kallmodsyms.programs import run

EXPORTS = f"{FOLDER}/exports"
"""The variables that the top Makefile exported to the link, NUL between them."""


class Submake:
    """The makefiles of one tree, for one build directory.

    tree, base: both, without symbolic links
    """

    def __init__(self, chosen: Profile) -> None:
        self.objdir = chosen.objdir
        self.tree, self.base = os.path.realpath(chosen.tree), os.path.realpath(chosen.objdir)
        self._jobs = chosen.jobs or os.cpu_count()

    def exports(self) -> Mapping[str, str]:
        """What the top Makefile exported; nothing, if it never came to the link."""
        path = self.objdir / EXPORTS
        return exports.unpacked(files.read_bytes(path)) if path.is_file() else {}

    def environment(self) -> dict[str, str]:
        """What a makefile finds in the environment. Raises InputError if nobody knows."""
        found = self.exports()
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

    def run(self, makefile: str, *goals: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        """Have make make these goals of a makefile of the tree. Raises InputError if it fails."""
        found = {**self.environment(), **environment}
        program = shlex.split(found.get("MAKE", "make"))
        command = [*program, f"-j{self._jobs}", "-f", f"{found.get('srctree', self.tree)}/{makefile}", *goals]
        run(command, self.objdir, environment=found)

    def again(self, target: str) -> None:
        """Run the command that make recorded for an archive, which is gone if that fails. Raises InputError."""
        text = files.read_text(self.objdir / command_file(target))
        found = re.search(r"^(?:saved)?cmd_\S+ := (.*)$", text, re.MULTILINE)
        if found is None:
            raise InputError("has no command", path=self.objdir / command_file(target), cure="delete it, and run make")
        command = found[1].replace("$(pound)", "#").replace("$$", "$")
        say("AR", target)
        try:
            # -e: of several commands, none may fail in silence.
            run(["sh", "-e", "-c", command], self.objdir, environment=self.environment())
        except InputError:
            (self.objdir / target).unlink(missing_ok=True)
            raise

    def has_command(self, target: str) -> bool:
        """Whether make has a command on record for a target."""
        return (self.objdir / command_file(target)).is_file()

    def members(self, path: str) -> list[str]:
        """The members of a thin archive; none, if it is no archive."""
        try:
            return [os.path.relpath(member, self.base) for member in archives.members(f"{self.base}/{path}")]
        except InputError:
            return []

    def renew(self, path: str, changed: Collection[str]) -> None:
        """Make an archive of the members that it has, of which some `changed`. Raises InputError where the command that
        does so fails.
        """
        try:
            content = archives.renewed(f"{self.base}/{path}", {f"{self.base}/{name}" for name in changed})
        except InputError:
            return  # of no members there is an archive of the other kind
        if content is None:
            self.again(path)
        else:
            files.write(f"{self.base}/{path}", content)

    def time(self, path: str) -> int:
        """When a file was written, in ns, as make sees it; 0 if there is none."""
        try:
            return os.stat(f"{self.base}/{path}").st_mtime_ns
        except OSError:
            return 0

    def is_source(self, path: str) -> bool:
        """Whether a file is one of the tree, and none that make makes."""
        place = os.path.normpath(os.path.join(self.base, path))
        return place.startswith(f"{self.tree}/") and not place.startswith(f"{self.base}/")


def command_file(target: str) -> str:
    return depfile.beside(target, ".cmd")


def say(verb: str, what: str) -> None:
    """What is being made, as Kbuild says it."""
    print(f"  {verb:<7} {what}", flush=True)
