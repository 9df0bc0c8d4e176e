"""A file of records that several processes append to: records in, and out of it again, of whoever wrote them.

    header      magic, format, length and checksum of what follows (written again after each append)
    record      length, CRC-32, body: marshal of (kind, ...)
                    ("place", tree, build directory)        first of all; what others there are, the owner knows

A record is written when what it says is done, so that nothing that happens later takes it back. Writers may nest:
`doit` runs make, which runs `kallmodsyms link`. Whoever appends holds a lock, and first reads what others appended;
nobody holds it for longer.

What is damaged is cut off at the first record that is not whole, and said once. A file of another place, or of a
program that writes another format, is begun anew. Nothing is believed without its checksum (marshal trusts its
input); and nothing at all where somebody else could have written it, checksum and all.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import stat
import struct
import sys
import zlib
from _thread import RLock  # which threading has from there; the rest of that is not needed
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from io import FileIO
from pathlib import Path
from typing import Any

MAGIC = b"kallmodsyms ledger\n"
FORMAT = f"2 {sys.implementation.cache_tag} {marshal.version}".encode()
_HEADER = struct.Struct(f"<{len(MAGIC)}s29sQI")
_RECORD = struct.Struct("<II")
_DAMAGED = "is damaged; it is begun anew"

Body = tuple[Any, ...]


class Journal(ABC):
    """The file, and what its owner makes of the records. Without a path there is none.

    path: where the file is, or None
    warnings: what was wrong with it, a line each
    reason: why nothing is known, where nothing is
    end: its length in bytes, as far as it was read
    """

    def __init__(self, path: str | os.PathLike[str] | None, place: tuple[str, ...], writable: bool = True) -> None:
        """`place` is what the file must be about. If it is not writable, it is only read."""
        self.path = None if path is None else Path(path)
        self.warnings: list[str] = []
        self.reason = "nothing is kept"
        if self.path is not None and (problem := _mistrust(self.path)) is not None:
            self.reason = problem
            self.warnings.append(f"{problem}: what is kept there is not trusted, and nothing is remembered of this run")
            self.path = None
        self.end = 0
        self._place, self._writable = place, writable
        self._lock = RLock()
        self._stream: FileIO | None = None
        self._process = os.getpid()
        self._placed = False

    @abstractmethod
    def begin(self) -> None:
        """Know nothing: the file is read from its beginning."""

    @abstractmethod
    def keep(self, bodies: Iterable[Body]) -> None:
        """Take over records, of this process or of another."""

    def open(self) -> None:
        """Read the file, and make it where there is none."""
        if self.path is not None and (self._writable or self.path.exists()):
            self._guarded(self._open)
        if not self._writable:
            self._stream = None

    def behind(self) -> bool:
        """Whether another process appended something, wrote the file anew or removed it."""
        if self._stream is None or self.path is None:
            return False
        try:
            there = os.stat(self.path)
        except OSError:
            return True
        return there.st_size != self.end or there.st_ino != os.fstat(self._stream.fileno()).st_ino

    def catch_up(self) -> None:
        """Take over what others appended."""
        if self.behind():
            self._guarded(self._locked, self._catch_up)

    def write(self, bodies: Callable[[], list[Body]]) -> None:
        """Write what `bodies` gives once all is known that others wrote, and keep it. If that fails, only keep it."""
        made: list[Body] = []

        def together() -> None:
            self._catch_up()
            made.extend(bodies())
            self._put(made)

        if self._stream is not None:
            self._guarded(self._locked, together)
        self.keep(made or bodies())

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Do something with the file; if that fails, say so and go on without it."""
        try:
            action(*arguments)
        except OSError as error:
            self.warnings.append(f"{self.path}: {error.strerror}; nothing is remembered of this run")
            self._stream = None
            return False
        return True

    def _open(self) -> None:
        assert self.path is not None
        self.begin()
        self._process = os.getpid()
        self.reason = f"{self.path} does not exist yet"
        if self._writable:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = FileIO(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")
        else:
            self._stream = FileIO(self.path)
        self._locked(self._load)

    def _locked(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something while no other process appends."""
        assert self._stream is not None and self.path is not None
        if self._process != os.getpid():
            # After a fork parent and child share the open file, and a lock on it would keep neither out.
            self._process = os.getpid()
            self._stream = FileIO(self.path, "r+")
        fcntl.flock(self._stream, fcntl.LOCK_EX if self._writable else fcntl.LOCK_SH)
        try:
            action(*arguments)
        finally:
            if self._stream is not None and not self._stream.closed:
                fcntl.flock(self._stream, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        if not self.behind():
            return
        assert self._stream is not None and self.path is not None
        if not self.path.exists() or os.stat(self.path).st_ino != os.fstat(self._stream.fileno()).st_ino:
            self._open()
        else:
            self._read(self.end)

    def _load(self) -> None:
        """Read the whole file, and begin it anew where it cannot be believed."""
        assert self._stream is not None
        size = os.fstat(self._stream.fileno()).st_size
        header = self._stream.read(_HEADER.size)
        self.end = _HEADER.size
        if not header:
            self._anew()
            return
        magic, form, length, checksum = _HEADER.unpack(header) if len(header) == _HEADER.size else (b"", b"", 0, 0)
        if magic != MAGIC or checksum != zlib.crc32(header[:-4]):
            self._anew(_DAMAGED)
        elif form.rstrip(b"\0") != FORMAT:
            self._anew("was written by another version of this program; it is begun anew")
        else:
            self._read(self.end, size < _HEADER.size + length)
            if not self._placed:
                whole = self.end > _HEADER.size
                self._anew("is about another tree or build directory; it is begun anew" if whole else _DAMAGED)

    def _anew(self, problem: str | None = None) -> None:
        assert self._stream is not None
        if problem is not None:
            self.reason = f"{self.path} {problem.split(';')[0]}"
            self.warnings.append(f"{self.path}: {problem}")
        self.begin()
        self.end = _HEADER.size
        if self._writable:
            self._stream.truncate(0)
            self._put([("place", *self._place)])

    def _read(self, start: int, short: bool = False) -> None:
        """Take over the records from offset `start` on; cut off what is not whole.

        short: the file is shorter than it was
        """
        assert self._stream is not None
        self._stream.seek(start)
        data = memoryview(self._stream.readall())
        position, bodies = 0, []
        while position + _RECORD.size <= len(data):
            length, checksum = _RECORD.unpack_from(data, position)
            body = data[position + _RECORD.size : position + _RECORD.size + length]
            if len(body) != length or zlib.crc32(body) != checksum:
                break
            bodies.append(marshal.loads(body))
            position += _RECORD.size + length
        self._placed = start > _HEADER.size or bodies[:1] == [("place", *self._place)]
        self.keep(bodies)
        self.end = start + position
        if self._placed and (position < len(data) or short):
            self.warnings.append(f"{self.path}: is damaged at byte {self.end}; what it said from there on is forgotten")
            if self._writable:
                self._stream.truncate(self.end)
                self._write_header()

    def _put(self, bodies: Iterable[Body]) -> None:
        assert self._stream is not None
        data = b"".join(map(_packed, bodies))
        self._stream.seek(self.end)
        written = 0
        try:
            while written < len(data):
                written += self._stream.write(data[written:]) or 0
        except OSError:
            with contextlib.suppress(OSError):
                self._stream.truncate(self.end)  # half a record would be damage to the next who reads
            raise
        self.end += len(data)
        self._write_header()

    def _write_header(self) -> None:
        assert self._stream is not None
        header = _HEADER.pack(MAGIC, FORMAT, self.end - _HEADER.size, 0)[:-4]
        os.pwrite(self._stream.fileno(), header + struct.pack("<I", zlib.crc32(header)), 0)


def _mistrust(path: Path) -> str | None:
    """Why somebody else may have written what is in a file: it, or one of the two directories that it is in, is another
    user's, may be written by everybody, or only leads to another place. root is trusted, and a directory like /tmp, in
    which nobody moves the files of others.
    """
    for place in (path.parent.parent, path.parent, path):
        try:
            found = os.stat(place) if place == path.parent.parent else os.lstat(place)
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode):
            return f"{place} is a symbolic link"
        if found.st_uid not in (0, os.geteuid()):
            return f"{place} belongs to another user"
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            return f"{place} may be written by everybody"
    return None


def _packed(body: Body) -> bytes:
    data = marshal.dumps(body)
    return _RECORD.pack(len(data), zlib.crc32(data)) + data
