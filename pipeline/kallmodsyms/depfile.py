"""What a compiler says that it read in, and the files that are; their text in, the configuration symbols that it
mentions out. The same for what Kbuild keeps of a command.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def headers(dependency_file: str | os.PathLike[str]) -> list[str]:
    """The prerequisites in a dependency file as `gcc -MD` writes it, the source itself first; none if there is no
    such file.
    """
    try:
        text = Path(dependency_file).read_text(errors="surrogateescape")
    except OSError:
        return []
    words = re.findall(r"(?:[^\s\\]|\\.)+", text.replace("\\\n", " ").partition(": ")[2])
    return [word.replace("\\ ", " ").replace("$$", "$") for word in words]


def beside(target: str, suffix: str) -> str:
    """`fs/ext4/super.o` to `fs/ext4/.super.o.d`, where Kbuild keeps such files."""
    directory, name = os.path.split(target)
    return os.path.join(directory, f".{name}{suffix}")


def all_beside(target: str) -> tuple[str, ...]:
    """All that is kept beside a target, if it is there."""
    return beside(target, ".cmd"), beside(target, ".d")


class Recorded(NamedTuple):
    """What a `.cmd` file of Kbuild says.

    files: the prerequisites, as they are written there
    symbols: the configuration symbols that the sources mention, without CONFIG_
    includes: the directories that the compiler looks into for headers, in order
    modular: made for a loadable module
    """

    files: tuple[str, ...]
    symbols: tuple[str, ...]
    includes: tuple[str, ...]
    modular: bool


_INCLUDE = re.compile(r"(?<=\s)-(?:I|isystem)\s*(\S+)")
_RECORDED = re.compile(
    r"^(?:source_\S+ := (\S+)|  ([^\s$]\S*) \\|\S+: \$\(wildcard (\S+)\)|    \$\(wildcard include/config/(\S+)\) \\)$",
    re.MULTILINE,
)


def recorded(text: str) -> Recorded:
    r"""What a `.cmd` file says. Format: scripts/basic/fixdep.c, and gen_objtooldep in scripts/Makefile.lib, of Linux
    6.1; before 5.14 the symbol FOO_BAR is foo/bar.h.

    >>> recorded("source_a.o := a.c\n\ndeps_a.o := \\\n    $(wildcard include/config/X) \\\n  a.h \\\n\n")
    Recorded(files=('a.c', 'a.h'), symbols=('X',), includes=(), modular=False)
    """
    read: dict[str, None] = {}
    symbols: dict[str, None] = {}
    for source, listed, extra, symbol in _RECORDED.findall(text):
        if symbol:
            old = symbol[-2:] == ".h"
            symbols[symbol[:-2].replace("/", "_").upper() if old else symbol] = None
        else:
            read[source or listed or extra] = None
    command = text.partition("\n")[0]
    includes = dict.fromkeys(_INCLUDE.findall(command))
    return Recorded(tuple(read), tuple(symbols), tuple(includes), " -DMODULE " in command)


class Earlier:
    """What would have been read instead, had it been there: paths in which a compiler found no header."""

    def __init__(self, base: str | os.PathLike[str]) -> None:
        """Paths are relative to `base`."""
        self._base = os.fspath(base)
        self._known: dict[tuple[tuple[str, ...], str], tuple[str, ...]] = {}
        self._there = functools.cache(lambda path: os.path.exists(os.path.join(self._base, path)))

    def than(self, saw: Recorded) -> list[str]:
        """The files that do not exist, or the directories where there would be such files."""
        found: dict[str, None] = {}
        for path in saw.files:
            key = saw.includes, path
            if key not in self._known:
                self._known[key] = tuple(self._absent(*key))
            found.update(dict.fromkeys(self._known[key]))
        return list(found)

    def _absent(self, includes: tuple[str, ...], path: str) -> Iterator[str]:
        for number, place in enumerate(includes):
            if path.startswith(place + "/"):
                name = path[len(place) + 1 :]
                for earlier in includes[:number]:
                    folder, candidate = os.path.join(earlier, name.partition("/")[0]), os.path.join(earlier, name)
                    if not self._there(folder):
                        yield folder
                    elif not self._there(candidate):
                        yield candidate


_MENTION = re.compile(rb"\bCONFIG_([A-Za-z0-9_]+)")


def mentioned_symbols(path: str | os.PathLike[str]) -> frozenset[str]:
    """The configuration symbols that a source file mentions, as scripts/basic/fixdep.c of Linux finds them; none if
    there is no file.

    A name that ends in `_MODULE` stands for the symbol before it, which autoconf.h defines in that form when it is m.
    """
    try:
        status = os.stat(path)
    except OSError:
        return frozenset()
    return _mentioned(os.fspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.cache
def _mentioned(path: str, *identity: int) -> frozenset[str]:
    names = _MENTION.findall(Path(path).read_bytes())
    return frozenset(name.decode().removesuffix("_MODULE") for name in names)
