"""A kernel tree and a build directory in; what its .config means, and what the tree builds under it, out.

What is worth keeping between runs is in the folder .kallmodsyms of the build directory, which may be deleted at any time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from kallmodsyms import kbuild, kconfig
from kallmodsyms.commands import Answers
from kallmodsyms.errors import InputError
from kallmodsyms.names import FOLDER

Variables = Mapping[str, str]
"""Variables of make's command line."""

Place = str | os.PathLike[str]


def host_arch() -> str:
    """ARCH of this machine, as a kernel's top Makefile finds it (scripts/subarch.include)."""
    machine = os.uname().machine
    rules = (
        (r"i.86|x86_64", "x86"), (r"sun4u", "sparc64"), (r"arm.*", "arm"), (r"sa110", "arm"), (r"s390x", "s390"),
        (r"ppc.*", "powerpc"), (r"mips.*", "mips"), (r"sh[234].*", "sh"), (r"aarch64.*", "arm64"), (r"riscv.*", "riscv"),
        (r"loongarch.*", "loongarch"),
    )  # fmt: skip
    return next((arch for pattern, arch in rules if re.fullmatch(pattern, machine)), machine)


def configuration(tree: Place, objdir: Place, arch: str | None, variables: Variables = {}) -> kconfig.Configuration:
    """What `.config` in the build directory means. Raises InputError."""
    return _load(tree, objdir, arch, variables)[0]


def kernel_tree(tree: Place, objdir: Place, arch: str | None, variables: Variables = {}) -> kbuild.KernelTree:
    """The evaluated tree that `.config` in the build directory asks for. Raises InputError."""
    found, environment = _load(tree, objdir, arch, variables)
    return kbuild.load(
        tree, objdir, _arch(arch), found, variables, cache=Path(objdir, FOLDER, "kbuild.cache"), environment=environment
    )


def _load(
    tree: Place, objdir: Place, arch: str | None, variables: Variables
) -> tuple[kconfig.Configuration, kbuild.Environment]:
    tree, objdir = Path(tree), Path(objdir)
    for place, what in ((tree, "source tree"), (objdir, "build directory")):
        if not place.is_dir():
            raise InputError(f"is no directory; it should be the {what}", path=place)
    answers = Answers(objdir / FOLDER / "commands.cache", (os.path.realpath(tree), os.path.realpath(objdir)))
    environment = kbuild.environment(tree, objdir, _arch(arch), variables, answers)
    cache = objdir / FOLDER / "kconfig.cache"
    found = kconfig.load(tree, objdir / ".config", _arch(arch), environment, objdir=objdir, cache=cache)
    answers.save()
    return found._replace(warnings=(*found.warnings, *answers.warnings)), environment


def _arch(arch: str | None) -> str:
    return arch or os.environ.get("ARCH") or host_arch()
