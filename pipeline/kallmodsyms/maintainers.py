"""A tree's MAINTAINERS and a file of the tree enter; the titles of the sections that the file belongs to leave.

    EXT4 FILE SYSTEM
    M:  ...
    F:  fs/ext4/            all below a directory
    F:  include/*/ext4*.h   as many slashes as the pattern has; `*` and `?` as in names of files
    X:  fs/ext4/inline.c    not this, whatever F and N say
    N:  [^a-z]ext4          a regular expression that some part of the path matches

The words are explained at the top of MAINTAINERS; what they match is what scripts/get_maintainer.pl of Linux 6.1 takes.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

from kallmodsyms import files

_EVERYTHING = "THE REST"
_Wanted = tuple[Callable[[str], object], int, str]
"""What matches, how deep it is, and how each path that it matches begins."""
_Section = tuple[str, tuple[_Wanted, ...], tuple[Callable[[str], object], ...]]


def sections(tree: str | os.PathLike[str], path: str) -> list[str]:
    """The sections for `path`, the one with the deepest pattern first. Raises InputError without a MAINTAINERS file."""
    found = []
    for title, wanted, excluded in _nearby(os.fspath(tree), path[: path.rfind("/") + 1]):
        depths = [depth for matches, depth, _ in wanted if matches(path)]
        if depths and not any(matches(path) for matches in excluded):
            found.append((-max(depths), title))
    return [title for _, title in sorted(found)]


@functools.lru_cache(maxsize=1024)
def _nearby(tree: str, directory: str) -> list[_Section]:
    """The sections with what can match a file in a directory: to ask all of them of each file takes long."""
    found = []
    for title, wanted, excluded in _read(tree):
        near = tuple(one for one in wanted if directory.startswith(one[2]) or one[2].startswith(directory))
        if near:
            found.append((title, near, excluded))
    return found


@functools.lru_cache(maxsize=1)
def _read(tree: str) -> list[_Section]:
    text = files.read_text(Path(tree, "MAINTAINERS"))
    found = []
    for block in re.split(r"\n\s*\n", text):
        title, _, rest = block.strip("\n").partition("\n")
        words = re.findall(r"^([FXN]):[ \t]*(\S.*?)\s*$", rest, re.MULTILINE)
        wanted = tuple(
            (re.compile(word).search, 0, "")
            if kind == "N"
            else (_pattern(tree, word), word.strip("/").count("/") + 1, re.split(r"[*?]", word)[0])
            for kind, word in words
            if kind in "FN"
        )
        if wanted and title != _EVERYTHING:
            found.append((title, wanted, tuple(_pattern(tree, word) for kind, word in words if kind == "X")))
    return found


def _pattern(tree: str, word: str) -> Callable[[str], object]:
    if not word.endswith("/") and Path(tree, word).is_dir():
        word += "/"
    matches = re.compile(re.escape(word).replace(r"\*", ".*").replace(r"\?", ".")).match
    slashes = word.count("/")
    return matches if word.endswith("/") else lambda path: path.count("/") == slashes and matches(path)
