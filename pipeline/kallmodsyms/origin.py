"""A kernel and the build directory that its image is in enter; where an address comes from leaves.

object      fs/ext4/fsync.o     .tmp_vmlinux2.ranges, which the link left
source      fs/ext4/fsync.c     .fsync.o.cmd, which Kbuild left
option      CONFIG_EXT4_FS      the line of the directory's makefile that names the object
maintainers EXT4 FILE SYSTEM    MAINTAINERS of the tree
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import depfile, elf, files, kbuild, maintainers
from kallmodsyms.errors import InputError
from kallmodsyms.kernel import Kernel
from kallmodsyms.linkmap import ranges
from kallmodsyms.names import THICK, ModuleList

_BORDERS = ("_text", "_stext", "_etext", "_sinittext", "_edata", "_end")
"""Labels that tell two links apart. A map may have others where they were before the linker aligned them."""


class Origin(NamedTuple):
    """source: empty where it is not known
    option: without CONFIG_; empty where it is not known, or the object is built whatever the configuration says
    maintainers: titles of sections
    """

    object: str
    source: str
    option: str
    maintainers: tuple[str, ...]

    def __str__(self) -> str:
        words = [self.object, self.source, f"CONFIG_{self.option}" * bool(self.option), ", ".join(self.maintainers)]
        return "; ".join(word for word in words if word)


class Origins:
    """What a build directory knows of its image.

    ranges: the file that says which bytes are which object's; pieces, labels: what it says
    """

    def __init__(self, kernel: Kernel, tree: str | os.PathLike[str] | None = None) -> None:
        """tree: default: where the build directory's `source` leads, or the build directory itself

        Raises InputError if the link left no ranges, or those that are there are of another link.
        """
        self.objdir = Path(kernel.path).parent
        source = self.objdir / "source"
        self.tree = Path(tree) if tree is not None else source.resolve() if source.is_dir() else self.objdir
        left = ranges_of(kernel)
        if left is None:
            cure = "give the vmlinux in the directory where `kallmodsyms link` made it"
            problem = "no .tmp_vmlinux2.ranges is beside it: its objects are not known"
            raise InputError(problem, path=kernel.path, cure=cure)
        self._kernel = kernel
        self.ranges = left
        self.pieces, self.labels = ranges.parse(left)
        self._starts = [piece.start for piece in self.pieces]
        for label in self.labels:
            there = kernel.address_of(label.name)
            if label.name in _BORDERS and there is not None and there - kernel.distance != label.address:
                problem = f"is of another link than {kernel.path}: {label.name} is at {label.address:#x} there"
                raise InputError(problem, path=left, cure="build again")
        thick = self.objdir / THICK
        self._modules: dict[str, list[kbuild.Module]] = {}
        for module in kbuild.parse_thick(files.read_text(thick), str(thick)) if thick.is_file() else []:
            for path in module.objects:
                self._modules.setdefault(path, []).append(module)

    def of(self, address: int) -> Origin | None:
        """Where a link-time address comes from; None if no object has it."""
        piece = self.pieces[at] if (at := bisect_right(self._starts, address) - 1) >= 0 else None
        return self.of_object(piece.path) if piece is not None and address < piece.end else None

    @functools.cache  # noqa: B019 - as long as a command runs
    def of_object(self, path: str) -> Origin:
        """Where an object comes from."""
        source = self._source(path)
        titles = maintainers.sections(self.tree, source) if source and (self.tree / "MAINTAINERS").is_file() else []
        return Origin(path, source, self.option(path), tuple(titles))

    def option(self, path: str) -> str:
        """The option, without CONFIG_, that the object `path` is built for, or the first module that it is part of.

        Empty if there is none, or it is not plain from the makefiles of the directory and of those above.
        """
        modules = self._modules.get(path)
        directory, name = posixpath.split(modules[0].object if modules else path)
        while directory:
            option = _option(self.tree, directory, name)
            if option is not None:
                return option
            directory, name = posixpath.dirname(directory), posixpath.basename(directory) + "/"
        return ""

    def modules_of(self, path: str) -> ModuleList:
        """The modules that the object `path` is part of, sorted."""
        return tuple(sorted({module.name for module in self._modules.get(path, ())}))

    def modules(self) -> dict[str, kbuild.Module]:
        """The modules that are built in, by name."""
        return {module.name: module for modules in self._modules.values() for module in modules}

    def data(self) -> Counter[str]:
        """Bytes of each module outside of the image's sections of code, by what the linker took from its objects."""
        image = self._kernel.image
        flags = elf.SHF_ALLOC | elf.SHF_EXECINSTR
        code = sorted((one.address, one.end) for one in image.sections if one.flags & flags == flags) if image else []
        starts = [start for start, _ in code]
        found: Counter[str] = Counter()
        for start, end, path in self.pieces:
            at = bisect_right(starts, start) - 1
            if at < 0 or start >= code[at][1]:
                found.update({module.name: end - start for module in self._modules.get(path, ())})
        return found

    def _source(self, path: str) -> str:
        recorded = self.objdir / depfile.beside(path, ".cmd")
        if not recorded.is_file():
            return ""
        found = next(iter(depfile.recorded(files.read_text(recorded)).files), "")
        below = os.path.relpath(self.objdir / found, self.tree)
        return found if below.startswith("..") else below


def ranges_of(kernel: Kernel) -> Path | None:
    """The ranges that the last pass of the link left beside an image; None if there are none."""
    left = Path(kernel.path).parent.glob(".tmp_vmlinux*.ranges") if kernel.image is not None else []
    return max(left, key=lambda path: (len(path.name), path.name), default=None)


_ASSIGNMENT = re.compile(r"^[ \t]*([\w.-]+?)-(?:objs|[ym]|\$\(CONFIG_(\w+)\))[ \t]*[:+]?=(.*)$", re.MULTILINE)


def _option(tree: Path, directory: str, name: str) -> str | None:
    """The option for `name` (`x.o`, `dir/`) in a directory's makefile; None if it is always built there."""
    makefile = next((path for kind in ("Kbuild", "Makefile") if (path := tree / directory / kind).is_file()), None)
    if makefile is None:
        return None
    text = re.sub(r"(?<!\\)#.*", "", files.read_text(makefile).replace("\\\n", " "))
    assigned = [(composite, option, set(words.split())) for composite, option, words in _ASSIGNMENT.findall(text)]
    waiting, seen = [name], {name}
    while waiting:
        wanted = waiting.pop(0)
        for composite, option, words in assigned:
            if wanted not in words:
                continue
            if option:
                return str(option)
            if composite != "obj" and f"{composite}.o" not in seen:
                seen.add(f"{composite}.o")
                waiting.append(f"{composite}.o")
    return None
