"""What vmlinux.o does not tell: archives and libraries enter; where each object went, and its functions, leave."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.link.exports import Exports
from kallmodsyms.programs import run


@dataclass(frozen=True)
class Relocatable:
    """What is known of the objects in vmlinux.o; nothing, where the image is linked from the objects themselves.

    object_map: the map of the `ld -r` that made vmlinux.o
    functions: of each object that link-time optimisation compiled, as `linkmap.read` wants them
    """

    object_map: str | os.PathLike[str] | None = None
    functions: Mapping[str, frozenset[str]] | None = None


NOTHING = Relocatable()

_KEPT, _MADE = "vmlinux.o.map", ".tmp_vmlinux.o.map"


def require_evidence(config: Mapping[str, str]) -> None:
    """Raise InputError where nothing tells of which object a function is."""
    if "LTO_CLANG_FULL" in config:
        raise InputError(
            "CONFIG_LTO_CLANG_FULL makes one object of all, and no map tells which function came from which",
            cure="take CONFIG_LTO_CLANG_THIN, or leave module tables out (modules=false, --no-modules)",
        )


def read(exports: Exports, whole: Sequence[str] = ("vmlinux.a",)) -> Relocatable:
    """What there is to know of the vmlinux.o in the current directory. Raises InputError if a tool fails.

    whole: the archives and objects that were linked into it, besides libraries
    """
    functions = _functions(exports, whole) if "LTO_CLANG" in exports.config else None
    return Relocatable(_object_map(exports, whole), functions)


def of_map(directory: str | os.PathLike[str]) -> Relocatable:
    """What was known when `read` was asked in a build directory, of a kernel without link-time optimisation."""
    places = (os.path.join(directory, name) for name in (_MADE, _KEPT))
    return Relocatable(next((place for place in places if os.path.exists(place)), None))


def _object_map(exports: Exports, archives: Sequence[str]) -> str:
    """The map of the `ld -r` that made vmlinux.o.

    With CONFIG_BUILTIN_MODULE_RANGES the link that makes vmlinux.o leaves its map (Linux 6.12). Where it does not, the
    same link is done once more for the map; objtool, which ran after the first, adds sections and moves nothing.
    """
    thin = "LTO_CLANG_THIN" in exports.config
    if not thin and "BUILTIN_MODULE_RANGES" in exports.config and os.path.exists(_KEPT):
        Path(_MADE).unlink(missing_ok=True)
        return _KEPT
    made, output = _MADE, ".tmp_vmlinux.o"
    exports.say("LD", made)
    script = ["-T", ".tmp_initcalls.lds"] if "LTO_CLANG" in exports.config else []
    # With a cache LLD has a name for each object that it compiles, and not one for all of them.
    script += ["--thinlto-cache-dir=.tmp_vmlinux.lto"] if thin else []
    libraries = exports.words("KBUILD_VMLINUX_LIBS")
    whole = ["--whole-archive", *archives, "--no-whole-archive", "--start-group", *libraries, "--end-group"]
    run([*exports.tool("LD"), *exports.words("KBUILD_LDFLAGS"), "-r", f"-Map={made}", "-o", output, *script, *whole])
    os.unlink(output)
    return made


def _functions(exports: Exports, whole: Sequence[str]) -> dict[str, frozenset[str]]:
    """The functions of each object, by nm: the linker compiled the objects, and its map names files of its own."""
    objects: list[str] = []
    for archive in (*whole, *exports.words("KBUILD_VMLINUX_LIBS")):
        if not archive.endswith(".a"):
            objects.append(archive)
            continue
        run([*exports.tool("AR"), "t", archive], output=".tmp_vmlinux.objects")
        objects += files.read_text(".tmp_vmlinux.objects").split()
    run([*exports.tool("NM"), "-A", "--defined-only", *objects], output=".tmp_vmlinux.functions", quiet=True)
    found: dict[str, set[str]] = {}
    for line in files.read_text(".tmp_vmlinux.functions").splitlines():
        path, _, symbol = line.partition(": ")
        letter, name = symbol.split(" ")[-2:]
        if letter in "tTwW":
            found.setdefault(path, set()).add(name)
    return {path: frozenset(names) for path, names in found.items()}
