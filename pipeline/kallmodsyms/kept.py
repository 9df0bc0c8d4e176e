"""A record in, a file that a later run may trust out; and back.

What is kept between runs may be deleted at any time. The file begins with a digest of the rest, so that a damaged one is told apart,
and says which version of this program wrote it and what place it is about. Two runs at once write a whole file each, under a name of
its own; the later rename stays.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kallmodsyms import files

_MAGIC = b"kallmodsyms kept between runs\n"
_DIGEST = 32

Place = Sequence[str]
"""What the contents are about: a tree, a build directory."""


def read(path: str | os.PathLike[str], place: Place) -> tuple[dict[str, Any] | None, str, list[str]]:
    """The record in a file, or None and why there is none; and warnings about the file."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None, f"{path} does not exist yet", []
    except OSError as error:
        return None, f"{path} cannot be read", [f"{path}: cannot be read: {error.strerror}; going on without it"]
    head, payload = data[: len(_MAGIC) + _DIGEST], data[len(_MAGIC) + _DIGEST :]
    # marshal trusts its input, so nothing but what was written here reaches it.
    if head != _MAGIC + _digest(payload):
        return None, f"{path} is damaged", [f"{path}: damaged, and ignored; it is written anew"]
    if payload[:_DIGEST] != _this_program():
        return None, "this program is another version", []
    about, record = marshal.loads(payload[_DIGEST:])
    if about != list(place):
        return None, f"{path} is of another tree or build directory", []
    return record, "", []


def write(path: str | os.PathLike[str], place: Place, record: dict[str, Any]) -> None:
    """Keep a record of plain values. Raises InputError if the place cannot be written."""
    payload = _this_program() + marshal.dumps((list(place), record))
    files.write(path, _MAGIC + _digest(payload) + payload)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


@functools.cache
def _this_program() -> bytes:
    digest = hashlib.blake2b(sys.version.encode(), digest_size=_DIGEST)
    here = Path(__file__).parent
    for package in (here, here / "kconfig", here / "make", here / "kbuild"):
        for source in sorted(package.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.digest()
