"""What the parsers of linker maps leave: the raw layout of one link, as the map tells it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import NamedTuple


class Output(NamedTuple):
    """An output section. `start` is its VMA, in bytes; `allocated` says whether it has a place in memory at all."""

    name: str
    start: int
    size: int
    allocated: bool


class Input(NamedTuple):
    """What one object contributed to the output section `Layout.outputs[output]`: `size` bytes from `start` on."""

    output: int
    section: str
    start: int
    size: int
    path: str


class Symbol(NamedTuple):
    """A symbol that the map lists, by the input it was defined in (an index of `Layout.inputs`)."""

    input: int
    address: int
    name: str


class Assignment(NamedTuple):
    """`name = expression` in a linker script, and the address that came of it."""

    address: int
    name: str
    expression: str


class Filler(NamedTuple):
    """Bytes that the linker or its script put there, not an object."""

    start: int
    size: int


@dataclass
class Layout:
    """One linker map. `outputs` and `inputs` are in the order of the map; `result` is the output's file name, if it says."""

    outputs: list[Output] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    fillers: list[Filler] = field(default_factory=list)
    result: str | None = None


_MEMBER = re.compile(r"(?P<archive>.*)\((?P<member>[^()]+)\)$")


def object_path(text: str) -> str:
    """The path of an object, as Kbuild names it, from what a map calls it.

    Both linkers write `archive(member)`. Kbuild's archives are thin or made with `ar P`: the member is a path from where
    the linker ran, and that is the object's. A bare member name is an object beside its archive, which is how `ar`
    stores `lib/foo.o` in `lib/lib.a`; in a thin archive it is one in the linker's own directory.

    >>> object_path("vmlinux.a(fs/ext4/super.o)"), object_path("lib/lib.a(argv_split.o)"), object_path("init/../mm/slab.o")
    ('fs/ext4/super.o', 'lib/argv_split.o', 'mm/slab.o')
    """
    member = _MEMBER.match(text)
    if member:
        text = member["member"]
        if "/" not in text:
            text = posixpath.join(posixpath.dirname(member["archive"]), text)
    return posixpath.normpath(text)
