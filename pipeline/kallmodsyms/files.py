"""How every stage writes its output and reads its text input.

An output is written to a temporary name beside it and renamed, so that a reader never sees half a file and a
failed step leaves the old one. What a build makes for itself (`write`) keeps its timestamp if its content did not
change, so that nothing downstream reruns; what a user asked for by name (`deliver`) is written each time.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from kallmodsyms.errors import InputError


def write(path: str | os.PathLike[str], content: str | bytes) -> bool:
    """Make `path` hold `content`; tell whether that changed it.

    Text is written as UTF-8. Bytes that UTF-8 could not decode survive (see `read_text`).
    Raises InputError if the place cannot be written.
    """
    path, data = Path(path), encoded(content)
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from error
    return True


def deliver(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write `content` to where a user said. A regular file is replaced by one of the same mode and owner; a device, a
    pipe and what a symbolic link leads to are written to. No directory is made. Text and errors as with `write`.
    """
    path, data = Path(path), encoded(content)
    try:
        there = os.lstat(path) if os.path.lexists(path) else None
        if there is None or stat.S_ISREG(there.st_mode):
            with contextlib.suppress(PermissionError):  # to make files here, or one of that owner: but maybe to write
                _replace(path, data, there)
                return
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from error


def _replace(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Put a new file in the place of `path`, of the mode and owner in `like`."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb") as stream:
            if like is not None:
                os.fchown(stream.fileno(), like.st_uid, like.st_gid)
                os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode))
            stream.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def encoded(content: str | bytes) -> bytes:
    """Text as UTF-8. Bytes that UTF-8 could not decode come out as they were."""
    return content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of `path`. Bytes that are not UTF-8 come as lone surrogates and are written back as they were.

    Raises InputError if the file cannot be read.
    """
    return read_bytes(path).decode("utf-8", "surrogateescape")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of `path`. Raises InputError if the file cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
