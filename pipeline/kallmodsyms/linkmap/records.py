"""What the parsers of linker maps make: the raw layout of one link, as its map describes it."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from kallmodsyms.errors import InputError


class Output(NamedTuple):
    """An output section. `start` is its VMA; `allocated` says whether it has a place in memory at all."""

    name: str
    start: int
    size: int
    allocated: bool


class Input(NamedTuple):
    """What one object contributed to the output section `Layout.outputs[output]`: `size` bytes from `start` on.

    path: as Kbuild names the object; None if none can be named, and then `why` says why
    """

    output: int
    section: str
    start: int
    size: int
    path: str | None
    why: str = ""


class EndLabel(NamedTuple):
    """A symbol at the very end of the input that defines it (an index of `Layout.inputs`)."""

    input: int
    address: int
    name: str


class Assignment(NamedTuple):
    """`name = expression` in a linker script, and the address that it gave: None if the map does not say."""

    address: int | None
    name: str
    expression: str


class Filler(NamedTuple):
    """Bytes of the output section `Layout.outputs[output]` that the linker or its script put there, not an object."""

    output: int
    start: int
    size: int


@dataclass
class Layout:
    """One linker map. `outputs` and `inputs` are in its order.

    anchors: for an output section (an index of `outputs`), the first symbol listed in it: a marker at its start, or an
        object's. Not one with a dot in its name: the compiler made that, and there may be several of the name
    compiled: for a file that link-time optimisation made, the functions that are in it
    compiled_inputs: the inputs (indices of `inputs`) that came from such a file
    """

    outputs: list[Output] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    ends: list[EndLabel] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    fillers: list[Filler] = field(default_factory=list)
    anchors: dict[int, tuple[int, str]] = field(default_factory=dict)
    compiled: dict[str, set[str]] = field(default_factory=dict)
    compiled_inputs: dict[int, str] = field(default_factory=dict)

    def symbol(self, address: int, name: str) -> None:
        """Note a symbol of the last input. Demangled names, which have blanks, are left out."""
        if not self.inputs or len(name.split()) != 1:
            return
        output, section, start, size, *_ = self.inputs[-1]
        if "text" in section and (file := self.compiled_inputs.get(len(self.inputs) - 1)):
            self.compiled[file].add(name)
        if output not in self.anchors and name.isidentifier():
            self.anchors[output] = address, name
        if address == start + size:
            self.ends.append(EndLabel(len(self.inputs) - 1, address, name))

    def assign(self, address: int | None, name: str, expression: str) -> None:
        """Note an assignment, which may mark the start of the last output section."""
        self.assignments.append(Assignment(address, name, expression))
        if expression == "." and self.outputs and address == self.outputs[-1].start:
            self.anchors.setdefault(len(self.outputs) - 1, (address, name))


LINKER_MADE = "made by the linker"

_ASSIGNMENT = re.compile(r"(?:(PROVIDE|HIDDEN|PROVIDE_HIDDEN) ?\( ?)?([^\s()=]+) = (.*)")


def assignment(text: str) -> tuple[str, str] | None:
    """The name and the expression of an assignment, as a linker prints it; None if `text` is not one.

    >>> assignment("PROVIDE (etext = .)"), assignment("_text = ."), assignment("ASSERT ((_end <= 1), x = y)")
    (('etext', '.'), ('_text', '.'), None)
    """
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        return None
    return match[2], match[3].removesuffix(")").rstrip() if match[1] else match[3]


_MEMBER = re.compile(r"(?P<archive>.*)\((?P<member>[^()]+)\)")


@cache
def object_path(text: str) -> str:
    """The path of an object, as Kbuild names it, from what a map calls it.

    Both linkers write `archive(member)`, GNU ld only if the archive is not thin. Kbuild's archives are thin or made
    with `ar P`: then the member is the object's path from where the linker ran. A bare member name is an object beside
    its archive: so `ar` stores `lib/foo.o` in `lib/lib.a`, and a thin `vmlinux.a` refers to an object of the top
    directory.

    >>> object_path("vmlinux.a(fs/ext4/super.o)"), object_path("lib/lib.a(argv_split.o)")
    ('fs/ext4/super.o', 'lib/argv_split.o')
    >>> object_path("init/../mm/slab.o")
    'mm/slab.o'
    """
    member = _MEMBER.fullmatch(text)
    if member:
        text = member["member"]
        if "/" not in text:
            text = posixpath.join(posixpath.dirname(member["archive"]), text)
    return posixpath.normpath(text)


def cut_off(path: str | os.PathLike[str], lines: list[str], cure: str) -> InputError:
    """The error of a map that lacks its end; `lines` is what there is of it."""
    problem = "the linker map stops in the middle"
    return InputError(problem, path=path, line=len(lines), text=lines[-1] or None, cure=cure)
