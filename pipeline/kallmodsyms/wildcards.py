"""A pattern of `$(wildcard)` in, the names of the files that it matches out."""

from __future__ import annotations

import fnmatch
import os


def has_magic(pattern: str) -> bool:
    """Whether `pattern` may match other names than itself."""
    return any(character in pattern for character in "*?[")


def glob(directory: str, pattern: str) -> tuple[str, ...]:
    """The existing files that match `pattern`, sorted; relative names start at `directory`."""
    if not has_magic(pattern):
        path = os.path.join(directory, pattern)
        exists = os.path.isdir(path) if pattern.endswith("/") else os.path.lexists(path)
        return (pattern,) if exists else ()
    found = ["/"] if pattern.startswith("/") else [""]
    parts = [part for part in pattern.split("/") if part]
    for part in parts:
        found = [name for parent in found for name in _matches(directory, parent, part)]
    if pattern.endswith("/"):
        found = [name + "/" for name in found if os.path.isdir(os.path.join(directory, name))]
    return tuple(sorted(found, key=os.fsencode))


def _matches(directory: str, parent: str, part: str) -> list[str]:
    """The names below `parent` that match one part of a pattern, with `parent` before them."""
    if not has_magic(part):
        name = os.path.join(parent, part)
        return [name] if os.path.lexists(os.path.join(directory, name)) else []
    try:
        names = os.listdir(os.path.join(directory, parent))
    except OSError:
        return []
    return [
        os.path.join(parent, name)
        for name in names
        if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
    ]
