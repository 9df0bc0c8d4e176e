"""A link in two steps: the layouts of the image and of its one big object in; a layout by original objects out.

With X86_KERNEL_IBT or clang's LTO the kernel is first linked into `vmlinux.o` by `ld -r`, and the map of the image says
only that things come from there. The map of the first step says what is where in each section of `vmlinux.o`. The image
holds such a section in one run of bytes, so everything in it is moved by the same distance.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from kallmodsyms.errors import InputError
from kallmodsyms.linkmap.records import EndLabel, Filler, Layout

T = TypeVar("T")


def expand(
    image: Layout, inner: Layout, name: str, image_map: str | os.PathLike[str], inner_map: str | os.PathLike[str]
) -> Layout:
    """`image` with every input from the object `name` replaced by what that object's layout, `inner`, has there.

    A section that `inner` does not have, or has in another size, was made or rewritten later: no object is named for
    it. The paths of the maps are for messages. Raises InputError if `image` has nothing from `name`.
    """
    if not any(entry.path == name for entry in image.inputs):
        raise InputError(
            f"the image holds nothing from {name}, so that {os.fspath(inner_map)} tells nothing about it",
            path=image_map,
            cure="give the map of the object that was linked, or none",
        )
    sections: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, output in enumerate(inner.outputs):
        sections[output.name, output.size].append(index)
    inputs = _grouped(range(len(inner.inputs)), lambda index: inner.inputs[index].output)
    ends = _grouped(inner.ends, lambda end: end.input)
    fillers = _grouped(inner.fillers, lambda filler: filler.output)
    image_ends = _grouped(image.ends, lambda end: end.input)

    result = Layout(image.outputs, assignments=image.assignments, fillers=list(image.fillers), anchors=image.anchors)
    for number, entry in enumerate(image.inputs):
        known = sections[entry.section, entry.size]
        if entry.path != name or not known:
            result.ends += [end._replace(input=len(result.inputs)) for end in image_ends[number] if entry.path != name]
            why = f"not in the map of {name}, or not of this size there"
            result.inputs.append(entry if entry.path != name else entry._replace(path=None, why=why))
            continue
        section = known.pop(0)
        distance = entry.start - inner.outputs[section].start
        for index in inputs[section]:
            part = inner.inputs[index]
            result.ends += [EndLabel(len(result.inputs), end.address + distance, end.name) for end in ends[index]]
            result.inputs.append(part._replace(output=entry.output, start=part.start + distance))
        result.fillers += [Filler(entry.output, start + distance, size) for _, start, size in fillers[section]]
    return result


def _grouped(items: Iterable[T], key: Callable[[T], int]) -> dict[int, list[T]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
