"""Patches 1 to 3, what tells objects and modules apart: a configured and built kernel in; files and pages out."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import files, kbuild
from kallmodsyms.configured import Configured
from kallmodsyms.errors import InputError
from kallmodsyms.kbuild import Module
from kallmodsyms.kconfig.configuration import Configuration
from kallmodsyms.names import THICK
from kallmodsyms.series import page, recursion
from kallmodsyms.series import ranges as map_of_the_series
from kallmodsyms.series.built import FOLDERS, PAGE, SERIES_THICK, Built

_COMPARED = re.compile(
    r"\$\(CONFIG_(\w+)\)\s*,\s*[ym]\b|subst [ym],[ym],\$\(CONFIG_(\w+)\)|[ym]\s*,\s*\$\(CONFIG_(\w+)\)"
)


def tristate(output: Path, text: str, found: Configuration, tree: Path, makefiles: Iterable[str]) -> None:
    """Patch 1. `text`: tristate.conf; `makefiles`: those of the directories that are built."""
    values = re.findall(r"^CONFIG_(\w+)=([YM])$", text, re.MULTILINE)
    is_set = {name for name, _ in values}
    compared = [
        f"{os.path.relpath(path, tree)}:{number}: {line.strip()}"
        for path in makefiles
        for number, line in enumerate(files.read_text(path).splitlines(), 1)
        if line.strip()[:1] != "#" and any(name in is_set for match in _COMPARED.findall(line) for name in match)
    ]
    folder = output / FOLDERS[0]
    files.write(folder / "tristate.conf", text)
    files.write(folder / "compared", "".join(f"{line}\n" for line in compared))
    built_in = sum(value == "Y" for _, value in values)
    page.write(
        folder / PAGE,
        FOLDERS[0],
        tristates=len(found.tristates),
        built_in=built_in,
        modular=len(values) - built_in,
        bytes=len(text.encode()),
        compared=len(compared),
    )


def thick(output: Path, configured: Configured) -> None:
    """Patch 2. Raises InputError where there is no make, or it fails."""
    objdir, folder = configured.objdir, output / FOLDERS[1]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        text, of_make = _recursion(configured, scratch)
        from_nothing, again = _ours(configured, scratch / "objdir")
    costs = {"make": of_make, "nothing": from_nothing, "kept": again}
    ours = kbuild.parse_thick(files.read_text(objdir / THICK), str(objdir / THICK))
    theirs = list(dict.fromkeys(map(_module, text.splitlines())))
    mine, its = ({module.object: module.members for module in some} for some in (ours, theirs))
    missing, invented = (sorted(a.keys() - b.keys()) for a, b in ((mine, its), (its, mine)))
    otherwise = sorted(name for name in mine.keys() & its.keys() if mine[name] != its[name])
    files.write(folder / "modules_thick.builtin", kbuild.format_thick(ours))
    files.write(output / SERIES_THICK, kbuild.format_thick(theirs))
    for what, names in (("missing", missing), ("invented", invented), ("otherwise", otherwise)):
        files.write(folder / what, "".join(f"{name}\n" for name in names))
    page.write(folder / "TIME.md", "TIME", **{name: cost._asdict() for name, cost in costs.items()})
    page.write(
        folder / PAGE,
        FOLDERS[1],
        its_modules=len(its),
        modules=len(mine),
        its_objects=len(_objects(theirs)),
        objects=len(_objects(ours)),
        its_shared=len(_shared(theirs)),
        shared=len(_shared(ours)),
        missing=len(missing),
        missing_names=page.some(missing),
        invented=len(invented),
        invented_names=page.some(invented),
        otherwise=len(otherwise),
        otherwise_names=page.some(otherwise),
    )


class _Cost(NamedTuple):
    """Seconds on the clock, and of processors, children included."""

    clock: float
    processors: float

    @classmethod
    def since(cls, start: os.times_result) -> _Cost:
        now = os.times()
        return cls(now.elapsed - start.elapsed, sum(now[:4]) - sum(start[:4]))


def _recursion(configured: Configured, scratch: Path) -> tuple[str, _Cost]:
    """What make prints in the way of the series, in a copy of the configuration, and what that took."""
    objdir = scratch / "objdir"
    shutil.copytree(configured.objdir / "include", objdir / "include", symlinks=True)
    shutil.copy2(configured.objdir / ".config", objdir)
    command = recursion.command(
        Path(os.path.realpath(configured.tree)), objdir, configured.arch, configured.variables, scratch
    )
    unset = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {"LC_ALL": "C"}
    start = os.times()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="surrogateescape",
            env=environment,
        )
    except FileNotFoundError:
        raise InputError(
            "the series goes through the tree with make, which is not on the PATH", cure="apt-get install make"
        ) from None
    if done.returncode:
        raise InputError(f"make failed, where it goes through the tree as in the series\n{done.stderr.rstrip()}")
    return done.stdout, _Cost.since(start)


def _ours(configured: Configured, objdir: Path) -> tuple[_Cost, _Cost]:
    """What our list takes in a build directory of which nothing is kept, and in the end."""
    costs = []
    for _ in range(3):  # the second reads what was written so lately that its time says nothing yet
        found = Configured(configured.tree, objdir, configured.arch, configured.variables)
        assert found.configuration is not None  # the Kconfig files are read before the clock runs
        start = os.times()
        assert found.modules is not None
        costs.append(_Cost.since(start))
        found.save()
    return costs[0], costs[-1]


def _module(line: str) -> Module:
    """A line of the series' list."""
    name, _, members = line.partition(":")
    return Module(posixpath.normpath(name), tuple(sorted(map(posixpath.normpath, members.split()))))


def _objects(modules: list[Module]) -> set[str]:
    return {path for module in modules for path in module.objects}


def _shared(modules: list[Module]) -> list[str]:
    """The objects of several modules."""
    names: dict[str, set[str]] = {}
    for module in modules:
        for path in module.objects:
            names.setdefault(path, set()).add(module.name)
    return [path for path, found in names.items() if len(found) > 1]


def ranges(built: Built) -> None:
    """Patch 3."""
    folder = built.output / FOLDERS[2]
    whole = files.read_text(built.map)
    theirs, ours = map_of_the_series.of_map(whole), built.ranges.pieces
    files.write(folder / "vmlinux.map", whole)
    files.write(folder / "ranges", files.read_text(built.ranges_file))
    files.write(
        folder / "ranges.series", "".join(f"0x{start:016x} {end - start:#x} {path}\n" for start, end, path in theirs)
    )
    spans = built.text_ranges
    sections = built.table.executable or ()
    text = [piece for piece in ours if any(start <= piece.start < end for start, end in sections)]
    outside = [piece for piece in text if not any(first <= piece.start <= last for first, last in spans)]
    padding = sum(end - start for start, end in sections) - sum(piece.end - piece.start for piece in text)
    page.write(
        folder / PAGE,
        FOLDERS[2],
        its_lines=len(theirs),
        its_objects=len({piece.path for piece in theirs}),
        lines=len(ours),
        objects=len({piece.path for piece in ours}),
        labels=len(built.ranges.labels),
        padding=padding,
        text=len(text),
        outside=len(outside),
        outside_bytes=sum(piece.end - piece.start for piece in outside),
    )
