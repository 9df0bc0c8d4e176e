"""Link-time optimisation: a layout in which LLD compiled the objects itself, and what nm says of these enter; a layout with their names leaves.

With -flto=thin LLD makes one file of each object, and the map names it by its place in a cache. Which object that was follows from the
functions: the map lists those of each file, llvm-nm those of each object.

    .thinlto-cache/llvmcache-D741…:(.text.ext4_fill_super)        fs/ext4/super.o: t ext4_fill_super
                ext4_fill_super

An object whose functions are all those of the file, and no other object's are, is the one. Functions that were taken over into another
file do not stay there as symbols; names that the compiler makes (.cold, .llvm.1234) go back to what they were made of. Full
optimisation puts all objects into one file: then none has all of its functions, and nobody is named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from kallmodsyms.linkmap.records import Layout


def name_objects(layout: Layout, functions: Mapping[str, frozenset[str]]) -> None:
    """Name in `layout` the objects of the inputs that LLD compiled, where that is certain.

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
        # An object is of one file only: who is certain leaves fewer for the others.
        found |= certain
        candidates = {file: paths - set(certain.values()) for file, paths in candidates.items() if file not in certain}
    for index, file in layout.compiled_inputs.items():
        if file in found:
            layout.inputs[index] = layout.inputs[index]._replace(path=found[file], why="")


def _source(name: str, holders: Mapping[str, set[str]]) -> str | None:
    """The function that `name` was made of, None if no object has one."""
    while name not in holders:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name
