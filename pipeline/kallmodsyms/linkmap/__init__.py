"""What the linker put where: a linker map in, the pieces of the image and their objects out.

    linkmap = read("vmlinux.map")
    linkmap.pieces[0]       Piece(start=0xffffffff81000000, end=0xffffffff8100026c, path="arch/x86/kernel/head_64.o")

Knows nothing of modules or kallsyms. `gnu` and `ranges` explain the two text formats.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from kallmodsyms import files
from kallmodsyms.linkmap import gnu, lld, optimized
from kallmodsyms.linkmap.expand import expand
from kallmodsyms.linkmap.records import Assignment, Layout, cut_off

__all__ = ["Label", "LinkMap", "OutputSection", "Piece", "Unattributed", "read"]


class Piece(NamedTuple):
    """The bytes from `start` up to, but not including, `end` came from the object `path`. Never empty."""

    start: int
    end: int
    path: str


class Label(NamedTuple):
    """A symbol for which the pieces alone would give the wrong owner.

    path: the object that defines it, just past the end of its own bytes; None if the linker script defines it
    """

    address: int
    name: str
    path: str | None


class OutputSection(NamedTuple):
    """An allocated section of the image, `end` exclusive.

    anchor: address and name of the first symbol that the map lists in it, if any: a marker of the linker script at its
        very start, or a symbol of an object
    """

    name: str
    start: int
    end: int
    anchor: tuple[int, str] | None = None


class Unattributed(NamedTuple):
    """`size` bytes of the image from `address` on for which no object can be named, and why."""

    address: int
    size: int
    why: str


@dataclass(frozen=True)
class LinkMap:
    """An image as its linker map describes it. Every list is sorted; addresses are the virtual ones of the link.

    pieces: disjoint
    labels: symbols of the linker script, and global symbols at the very end of the object that defines them
    unplaced: symbols of the linker script whose address the map does not tell
    output_sections: the allocated ones, without empty ones
    unattributed: bytes that are neither in a piece nor padding
    named: the objects that the map names, whether they have a piece or not
    """

    pieces: list[Piece]
    labels: list[Label]
    unplaced: list[str]
    output_sections: list[OutputSection]
    unattributed: list[Unattributed]
    named: frozenset[str] = frozenset()


def read(
    map_path: str | os.PathLike[str],
    object_map: str | os.PathLike[str] | None = None,
    object_name: str = "vmlinux.o",
    functions: Mapping[str, frozenset[str]] | None = None,
) -> LinkMap:
    """The linker map of a whole image.

    object_map: the map of the `ld -r` that made `object_name`, the one object from which most of the image was linked
    functions: for objects that the linker compiled itself: object to the functions that it defines
    Raises InputError if a map cannot be read, stops short, or is no linker map, or if the image holds nothing of what
    the object map describes.
    """
    layout = _layout(map_path)
    if object_map is not None:
        inner = _layout(object_map)
        optimized.name_objects(inner, functions or {})
        layout = expand(layout, inner, object_name, map_path, object_map)
    else:
        why = f"from {object_name}, whose own map is needed to say more"
        layout.inputs = [
            entry._replace(path=None, why=why) if entry.path == object_name else entry for entry in layout.inputs
        ]
    return _resolve(layout)


def confirm_whole(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless a map has its end, without a look at the rest."""
    lines = files.read_text(path).split("\n")
    form = lld if lld.HEADING.fullmatch(lines[0]) else gnu
    if not form.has_end(lines):
        raise cut_off(path, lines, form.CURE)


def _layout(path: str | os.PathLike[str]) -> Layout:
    lines = files.read_text(path).split("\n")
    return lld.parse(lines, path) if lld.HEADING.fullmatch(lines[0]) else gnu.parse(lines, path)


_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w.$]*")


def _resolve(layout: Layout) -> LinkMap:
    sections = [
        OutputSection(output.name, output.start, output.start + output.size, layout.anchors.get(index))
        for index, output in enumerate(layout.outputs)
        if output.allocated and output.size
    ]
    sections.sort(key=lambda section: (section.start, section.end, section.name))
    candidates: list[Piece] = []
    told: list[tuple[int, int]] = [(start, start + size) for _, start, size in layout.fillers]
    unattributed: list[Unattributed] = []
    for entry in layout.inputs:
        if not entry.size or not layout.outputs[entry.output].allocated:
            continue
        told.append((entry.start, entry.start + entry.size))
        if entry.path is None:
            unattributed.append(Unattributed(entry.start, entry.size, f"{entry.section}: {entry.why}"))
        else:
            candidates.append(Piece(entry.start, entry.start + entry.size, entry.path))
    unattributed += _untold(sections, told)
    pieces, clashes = _disjoint(candidates)
    labels, unplaced = _labels(layout)
    named = frozenset(entry.path for entry in layout.inputs if entry.path is not None)
    return LinkMap(pieces, labels, unplaced, sections, _joined(sorted(unattributed + clashes)), named)


def _untold(sections: list[OutputSection], told: list[tuple[int, int]]) -> list[Unattributed]:
    """The bytes of `sections` that lie in none of the runs (start, end) `told`."""
    result: list[Unattributed] = []
    told = sorted(told)
    for name, start, end, _ in sections:
        position = start
        for begin, stop in told[max(0, bisect_left(told, (start,)) - 1) :]:
            if begin >= end:
                break
            if begin > position:
                result.append(Unattributed(position, begin - position, f"the map does not say what is here in {name}"))
            position = max(position, stop)
        if position < end:
            result.append(Unattributed(position, end - position, f"the map does not say what is here in {name}"))
    return result


def _disjoint(candidates: list[Piece]) -> tuple[list[Piece], list[Unattributed]]:
    """`candidates` without the bytes that several objects share (overlays, say), and the latter."""
    pieces: list[Piece] = []
    clashes: list[Unattributed] = []
    for cluster in _clusters(sorted(candidates)):
        if len(cluster) == 1:
            pieces += cluster
            continue
        bounds = sorted({address for start, end, _ in cluster for address in (start, end)})
        for start, end in pairwise(bounds):
            owners = sorted({piece.path for piece in cluster if piece.start <= start and end <= piece.end})
            if len(owners) == 1:
                pieces.append(Piece(start, end, owners[0]))
            else:
                clashes.append(Unattributed(start, end - start, "shared by " + " and ".join(owners)))
    return pieces, clashes


def _clusters(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Runs of sorted `pieces` that overlap one another."""
    cluster: list[Piece] = []
    reach = 0
    for piece in pieces:
        if cluster and piece.start >= reach:
            yield cluster
            cluster = []
        reach = max(reach, piece.end) if cluster else piece.end
        cluster.append(piece)
    if cluster:
        yield cluster


def _joined(entries: list[Unattributed]) -> list[Unattributed]:
    """The sorted `entries`, with neighbours that have the same reason joined into one."""
    result: list[Unattributed] = []
    for entry in entries:
        last = result[-1] if result else None
        if last and last.why == entry.why and entry.address <= last.address + last.size:
            size = max(last.size, entry.address + entry.size - last.address)
            result[-1] = last._replace(size=size)
        else:
            result.append(entry)
    return result


def _labels(layout: Layout) -> tuple[list[Label], list[str]]:
    """The labels, and the names of those without an address."""
    last = {assignment.name: assignment for assignment in layout.assignments}
    labels: set[Label] = set()
    unplaced: set[str] = set()
    for assignment in layout.assignments:
        origin = _origin(assignment, last)
        if _PLAIN_NAME.fullmatch(origin.expression):
            continue  # `alias = function` belongs to the function's object; only `marker = .` belongs to nobody.
        address = assignment.address if assignment.address is not None else origin.address
        if address is None:
            unplaced.add(assignment.name)
        else:
            labels.add(Label(address, assignment.name, None))
    labels.update(Label(address, name, layout.inputs[index].path) for index, address, name in layout.ends)
    return sorted(labels, key=label_order), sorted(unplaced)


def _origin(assignment: Assignment, last: dict[str, Assignment]) -> Assignment:
    """The assignment at the end of a chain `a = b`, `b = c`."""
    seen: set[str] = set()
    while assignment.expression in last and assignment.expression not in seen:
        seen.add(assignment.expression)
        assignment = last[assignment.expression]
    return assignment


def label_order(label: Label) -> tuple[int, str, str]:
    """The key by which labels are sorted."""
    return label.address, label.name, label.path or ""
