"""What a compiler says that it read in, and the files that are; their text in, the configuration symbols that it
mentions out. The same for what Kbuild keeps of a command.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path


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


_RECORDED = re.compile(r"^(?:source_\S+ := (\S+)|  ([^\s$]\S*) \\|\S+: \$\(wildcard (\S+)\))$", re.MULTILINE)


def recorded(text: str) -> list[str]:
    r"""The files that a `.cmd` file of Kbuild names as prerequisites of its target; those that stand for configuration
    symbols left out. Format: scripts/basic/fixdep.c, and gen_objtooldep in scripts/Makefile.lib, of Linux 6.1.

    >>> recorded("source_a.o := a.c\n\ndeps_a.o := \\\n    $(wildcard include/config/X) \\\n  a.h \\\n\n")
    ['a.c', 'a.h']
    """
    return list(dict.fromkeys(source or listed or extra for source, listed, extra in _RECORDED.findall(text)))


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
