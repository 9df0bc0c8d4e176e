"""Names, letters and words that several parts of the pipeline must agree on."""

from __future__ import annotations

import os
import re
from typing import Protocol

FOLDER = ".kallmodsyms"
"""Our folder in a build directory. What is kept there between runs may be deleted at any time."""

THICK = "modules_thick.builtin"

SERIES = "series"
"""The folder in a build directory that has the patches of the series, one by one."""

SIZES = ("compact", "dense", "none")
"""How symbol sizes are stored in an image (docs/design.md, "Sizes")."""

ModuleList = tuple[str, ...]
"""The names of the modules that something belongs to, sorted."""

EXPORTS = "KALLMODSYMS_EXPORTS"
"""Names, in the environment of the hook, a file that it is to write the variables into that make gave it."""

STAGE = "KALLMODSYMS_STAGE"
"""Names, in the environment of the hook, what a graph of tasks wants of it: `objects` alone, before they are linked; or
what comes after the link, of the image that is named.
"""

OBJECTS = "KALLMODSYMS_OBJECTS"
"""Names, among the variables that the hook keeps, the objects that only the link takes."""

TEXT_LETTERS = b"tTwW"
"""nm's letters for symbols of the text, the only ones that belong to modules."""


class Module(Protocol):
    """A line of modules_thick.builtin: a module's object, and the objects it is made of (kallmodsyms.kbuild.Module)."""

    @property
    def object(self) -> str: ...

    @property
    def members(self) -> tuple[str, ...]: ...


def module_name(path: str) -> str:
    """What the kernel calls the module whose object is `path`, which may be given without its suffix.

    >>> module_name("sound/pci/snd-hda-intel.o"), module_name("fs/ext4/ext4")
    ('snd_hda_intel', 'ext4')
    """
    return path.rpartition("/")[2].removesuffix(".o").replace("-", "_")


def beyond_makefiles(path: str | os.PathLike[str]) -> str | None:
    """The first character of a path that makefiles take for something else; None if they can name it.

    >>> beyond_makefiles("/home/me/linux 6.1"), beyond_makefiles("/usr/src/linux-6.1")
    (' ', None)
    """
    odd = re.search(r"""[\s'"$\\]""", os.fspath(path))
    return odd[0] if odd else None
