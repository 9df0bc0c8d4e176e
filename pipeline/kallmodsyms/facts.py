"""What can be seen of the world: a kind and a name in, a value out, looked at once a process.

    kind          name                        value
    file          a path                      digest of the content; None where there is none; DIRECTORY
    wildcard      a pattern of $(wildcard)    what it matches, sorted
    program       a name, as a shell has it   (path, digest) of what is behind it; None where the PATH has none
    folder        a directory                 digest of its names, sizes and times; None where there is none
    names         a directory                 digest of its names alone, without what editors leave
    environment   a variable's name           its value; None where it is not set
    settings      "environment"               all of these, but for those that say where a user sits or what to show
    code          files of this package       digest of the content of each, in order

Who knows more adds kinds in a world of its own (a `variable` of a makefile, a `symbol` of a configuration). Relative
paths and patterns start at the build directory. A value is hashable and made of what marshal can keep; None is
"absent" for every kind, so that appearing and vanishing are changes like any other.

When a file need not be read again: its stat data are remembered with the digest, but only if it was last changed
before the look, by the clock of the file system itself (the time of a file just touched). On a clock of coarse grain
a later edit of the same size could leave the same stat data. ctime counts, since nobody can set it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kallmodsyms.errors import InputError
from kallmodsyms.numbers import Known
from kallmodsyms.wildcards import glob

try:
    from _blake2 import blake2b  # what hashlib has; hashlib itself loads OpenSSL, which takes as long as 30 imports
except ImportError:
    from hashlib import blake2b

DIGEST = 16
"""Bytes of a digest."""
DIRECTORY = "a directory"
CHANGED = "changed while it ran"
"""The value of a file that changed while a step ran that read it: no file has it, so the step runs again."""

_COARSE = 2_000_000_000
"""Nanoseconds. Where the times of files are whole seconds, the file system may count in steps of two (FAT)."""

_FREE = ("variable", "symbol", "environment", "configuration")
"""Kinds that are looked up in a table anyway."""

_PACKAGE = os.path.dirname(__file__)
NOISE = re.compile(r"\..*|.*~|.*\.(?:orig|rej)")
"""Names of files that editors and patch leave beside others."""
_SEAT = re.compile(
    r"_|PWD|OLDPWD|SHLVL|TERM.*|COLUMNS|LINES|LS_COLORS|DISPLAY|(SSH|XDG|DBUS|TMUX|PYTEST)_?.*|WINDOWID"
    r"|NO_COLOR|KBUILD_VERBOSE|quiet|Q"
)
_PATIENCE = 30
"""Milliseconds, more than a tick of any kernel takes."""

Value = Any
Look = Callable[[str], Value]


class Fact(NamedTuple):
    """Something that somebody saw."""

    kind: str
    name: str
    value: Value


Identity = tuple[int, int, int, int, bytes]
"""A file as stat tells it: inode, size, mtime and ctime in ns; and the digest that its content has while these last."""


def digest(data: bytes) -> bytes:
    """What stands for a content."""
    return blake2b(data, digest_size=DIGEST).digest()


class Files:
    """The files that anybody looked at.

    base: where relative paths start
    identities: of files that need not be read while stat says the same, by name
    learned: the names in `identities` that were added by this process
    writes: how often files were written since the beginning
    """

    def __init__(self, base: str | os.PathLike[str], clock: Path | None = None) -> None:
        """`clock` is a file that is touched to learn the file system's time; None: no file is remembered."""
        self.base = os.fspath(base)
        self.identities: dict[str, Identity] = {}
        self.learned: set[str] = set()
        self.writes = 0
        self._clock = clock
        self._time = 0
        self._searched: dict[tuple[str, str | None], str | None] = {}
        self._searched_at = 0

    def path(self, name: str) -> str:
        return os.path.join(self.base, name)

    def now(self) -> int | None:
        """The time by the file system's clock, in ns: what changes from now on is not older. None if it cannot tell."""
        if self._clock is None:
            return None
        try:
            self._clock.touch()
            self._time = self._clock.stat().st_mtime_ns
        except OSError:
            return None
        return self._time

    def start(self, names: Iterable[str]) -> int | None:
        """A time of `now` later than the last change of these files; that may take until a coarse clock's next tick."""
        newest = max(map(self.changed, names), default=0)
        now = self.now()
        for _ in range(_PATIENCE):
            if now is None or not newest - 1_000_000_000 < now <= newest:
                break
            time.sleep(0.001)
            now = self.now()
        return now

    def look(self, name: str) -> Value:
        """The value of the fact `file`."""
        # A run that finds nothing to do is made of this, so it goes the straightest way.
        try:
            status = os.stat(name if name[:1] == "/" else f"{self.base}/{name}")
        except (OSError, ValueError):
            return None
        known = self.identities.get(name)
        if (
            known is not None
            and known[3] == status.st_ctime_ns
            and known[2] == status.st_mtime_ns
            and known[1] == status.st_size
            and known[0] == status.st_ino
        ):
            return known[4]
        if not stat.S_ISREG(status.st_mode):
            return DIRECTORY if stat.S_ISDIR(status.st_mode) else None
        try:
            return self.read(name)[1]
        except InputError:
            return None

    def read(self, name: str) -> tuple[bytes, bytes]:
        """The content of a file, and its digest. Raises InputError if it cannot be read."""
        try:
            with open(self.path(name), "rb") as stream:
                status = os.fstat(stream.fileno())
                known = self.identities.get(name)
                if known is not None and known[:4] == _identity(status):
                    return stream.read(), known[4]
                changed = status.st_ctime_ns + _grain(status.st_ctime_ns)
                # Any time before this look will do, so that most looks need not ask for one of their own.
                now = self._time if changed < self._time else self.now()
                content = stream.read()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=self.path(name)) from error
        value = digest(content)
        if now is not None and changed < now:
            self.identities[name] = (*_identity(status), value)
            self.learned.add(name)
        else:
            self.identities.pop(name, None)
        return content, value

    def changed_since(self, name: str, start: int) -> bool:
        """Whether a file may have changed since `start`, by `now`. One from the future did not: the clock did."""
        changed = self.changed(name)
        return changed + _grain(changed) >= start and changed <= (self.now() or start)

    def folder(self, name: str) -> Value:
        """The value of the fact `folder`: any change of a file in it changes this, and most touches do. Of directories
        below it tells only that they are there.
        """
        return self._listed(name, lambda entry: not entry.is_dir(follow_symlinks=False) and _times(entry))

    def names(self, name: str) -> Value:
        """The value of the fact `names`."""
        return self._listed(name, lambda entry: entry.is_dir(follow_symlinks=False), NOISE)

    def _listed(
        self, name: str, tell: Callable[[os.DirEntry[str]], Any], without: re.Pattern[str] | None = None
    ) -> Value:
        try:
            with os.scandir(self.path(name)) as entries:
                wanted = (entry for entry in entries if without is None or not without.fullmatch(entry.name))
                rows = sorted((entry.name, tell(entry)) for entry in wanted)
        except OSError:
            return None
        return digest(repr(rows).encode("utf-8", "surrogateescape"))

    def which(self, name: str, search: str | None) -> str | None:
        """The path of the program that a shell would start."""
        # shutil.which() is this, but takes longer to import than all that is looked up here.
        if self._searched_at != self.writes:
            self._searched_at = self.writes
            self._searched.clear()
        if (name, search) not in self._searched:
            places = [""] if "/" in name else (search or os.defpath).split(os.pathsep)
            paths = (os.path.join(self.base, place, name) for place in places)
            self._searched[name, search] = next(filter(_can_run, paths), None)
        return self._searched[name, search]

    def changed(self, name: str) -> int:
        """When a file changed last, its ctime in ns; 0 where there is none."""
        try:
            return os.stat(self.path(name)).st_ctime_ns
        except OSError:
            return 0


class World:
    """What is there now. Looks that cost something are remembered; who writes files says so with `forget`."""

    def __init__(self, files: Files, looks: Mapping[str, Look] | None = None, parent: World | None = None) -> None:
        """`looks` gives the kinds that this world knows itself; it knows the others from `parent`."""
        self.files = files
        self._parent = parent
        self._memory: dict[str, dict[str, Value]] = {}
        self._good = Known()
        self._writes = files.writes
        own: dict[str, Look] = dict(looks or {})
        if parent is None:
            basic: dict[str, Look] = {
                "file": files.look,
                "wildcard": lambda name: glob(files.base, name),
                "folder": files.folder,
                "names": files.names,
                "environment": os.environ.get,
                "settings": lambda name: tuple(
                    f"{name}={value}" for name, value in sorted(os.environ.items()) if not _SEAT.fullmatch(name)
                ),
                "code": lambda names: tuple(files.look(f"{_PACKAGE}/{name}") for name in names.split()),
            }
            own = basic | own
        if "environment" in own:
            own["program"] = self._program
        self._looks = {kind: look if kind in _FREE else self._remembered(kind, look) for kind, look in own.items()}

    def under(self, **looks: Look) -> World:
        """This world with other kinds, or other values of some."""
        return World(self.files, looks, self)

    @property
    def good(self) -> Known:
        """Numbers of facts that a ledger found to hold here, since files were last written; it adds to them."""
        self._catch_up()
        return self._good

    def look(self, kind: str, name: str) -> Value:
        """The value of what is called `name`."""
        self._catch_up()
        return self.looker(kind)(name)

    def looker(self, kind: str) -> Look:
        """What gives the values of a kind, to be used at once."""
        look = self._looks.get(kind)
        if look is None:
            if self._parent is None:
                raise LookupError(f"nobody here knows what a {kind} is")
            look = self._looks[kind] = self._parent.looker(kind)
        return look

    def forget(self, *names: str) -> None:
        """These files were written, or nobody knows which: look at them again."""
        self.files.writes += 1
        root = self
        while root._parent is not None:
            root = root._parent
        known = root._memory["file"]
        if not names:
            known.clear()
        for name in names:
            known.pop(name, None)

    def _catch_up(self) -> None:
        if self._writes != self.files.writes:
            self._writes = self.files.writes
            self._good.clear()
            for kind in ("wildcard", "program", "folder", "names", "order", "edited"):
                self._memory.get(kind, {}).clear()
            if self._parent is not None:
                self._parent._catch_up()

    def _remembered(self, kind: str, look: Look) -> Look:
        known = self._memory[kind] = {}

        def remembered(name: str) -> Value:
            if name not in known:
                known[name] = look(name)
            return known[name]

        return remembered

    def _program(self, name: str) -> Value:
        path = self.files.which(name, self.look("environment", "PATH"))
        return None if path is None else (path, self.look("file", os.path.realpath(path)))


def _can_run(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False


def _times(entry: os.DirEntry[str]) -> tuple[int, int]:
    status = entry.stat(follow_symlinks=False)
    return status.st_ctime_ns, status.st_size


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _grain(time: int) -> int:
    return 0 if time % 1_000_000_000 else _COARSE
