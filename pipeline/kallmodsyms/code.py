"""A module of this package in, the files of it that its work depends on out: itself and what it imports, however far
down.

A step that one of these files does is not up to date any more when the file changes.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

PACKAGE = Path(__file__).parent
_NAME = PACKAGE.name
_IMPORT = re.compile(rf"^[ \t]*(?:from ({_NAME}[\w.]*) import (\([^)]*\)|[^\n]*)|import ({_NAME}[\w.]*))", re.MULTILINE)


@functools.cache
def files_of(*modules: str) -> str:
    """The files behind some modules: the name of the fact `code`. Sorted, relative to the package, blanks between them.

    >>> files_of("kallmodsyms.wildcards", "kallmodsyms.linkmap.records")
    'errors.py linkmap/records.py wildcards.py'
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        file = _file(waiting.pop())
        if file is not None and file not in found:
            found.add(file)
            waiting += _imported(file)
    return " ".join(sorted(found))


@functools.cache
def _imported(file: str) -> list[str]:
    """What a file imports; the names in a module, too."""
    modules = []
    for origin, names, whole in _IMPORT.findall((PACKAGE / file).read_text(encoding="utf-8")):
        modules.append(origin or whole)
        # `from package import module` names a file.
        modules += [f"{origin}.{name}" for name in re.findall(r"\w+", names)]
    return modules


def _file(module: str) -> str | None:
    """The file of a module; None for what is none, such as a function of one."""
    path = "/".join(module.split(".")[1:])
    return next((file for file in (f"{path}/__init__.py", f"{path}.py") if file in _files()), None)


@functools.cache
def _files() -> frozenset[str]:
    return frozenset(
        os.path.relpath(os.path.join(folder, name), PACKAGE) for folder, _, names in os.walk(PACKAGE) for name in names
    )
