"""How every stage writes its output and reads its text input.

An output is written to a temporary name beside it and renamed, so that a reader never sees half a file and a
failed step leaves the old one. Content that did not change keeps its timestamp, so that nothing downstream reruns.
"""

from __future__ import annotations

import os
from pathlib import Path

from kallmodsyms.errors import InputError


def write(path: str | os.PathLike[str], content: str | bytes) -> bool:
    """Make `path` hold `content`; tell whether that changed it.

    Text is written as UTF-8. Bytes that UTF-8 could not decode survive (see `read_text`).
    Raises InputError if the place cannot be written.
    """
    path = Path(path)
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        try:
            with open(temporary, "xb") as stream:
                stream.write(data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from error
    return True


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
