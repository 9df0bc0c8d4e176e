"""Link-time optimisation: a layout, and what nm says of the objects, in; their names, where LLD's map lost them, out.

With -flto=thin LLD makes one file of each object, and the map names the file by its place in a cache. Which object it
was made of follows from the functions: the map lists those of each file, llvm-nm those of each object.

    .thinlto-cache/llvmcache-D741…:(.text.ext4_fill_super)        fs/ext4/super.o: t ext4_fill_super
                ext4_fill_super

A file was made of the one object that defines all of its functions. Functions that were inlined into another file leave
no symbols there, and names that the compiler makes (.cold, .llvm.1234) are traced back to the functions they were made
from. Full optimisation puts all objects into one file: then no object defines all of its functions, and none is named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from kallmodsyms.linkmap.records import Layout


def name_objects(layout: Layout, functions: Mapping[str, frozenset[str]]) -> None:
    """Name, in `layout`, the objects of the inputs that LLD compiled, as far as that is certain.

    functions: object to the functions that it defines, static ones included
    """
    holders: dict[str, set[str]] = defaultdict(set)
    for path, names in functions.items():
        for name in names:
            holders[name].add(path)
    candidates: dict[str, set[str]] = {}
    for file, compiled in layout.compiled.items():
        known = [holders[source] for name in compiled if (source := _source(name, holders))]
        if known:
            candidates[file] = set.intersection(*known)
    found: dict[str, str] = {}
    while True:
        claims = Counter(path for paths in candidates.values() if len(paths) == 1 for path in paths)
        certain = {
            file: path for file, paths in candidates.items() if len(paths) == 1 for path in paths if claims[path] == 1
        }
        if not certain:
            break
        # An object goes into one file only, so each certain one leaves fewer candidates for the others.
        found |= certain
        candidates = {file: paths - set(certain.values()) for file, paths in candidates.items() if file not in certain}
    for index, file in layout.compiled_inputs.items():
        if file in found:
            layout.inputs[index] = layout.inputs[index]._replace(path=found[file], why="")


def _source(name: str, holders: Mapping[str, set[str]]) -> str | None:
    """The function that `name` was made from, None if no object has one."""
    while name not in holders:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name
