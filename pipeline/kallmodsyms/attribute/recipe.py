"""What a kernel was made of: a source tree and a configuration enter; a `Recipe` leaves."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import files, kbuild
from kallmodsyms.attribute import script
from kallmodsyms.configured import Configured
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import owners, select
from kallmodsyms.link import tables
from kallmodsyms.names import ModuleList
from kallmodsyms.release import KallsymsDialect, kallsyms_dialect

_HEADING = re.compile(r"^# \S.*? (\d+\.\d+\.\d+\S*) (?:Kernel )?Configuration$", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """objects: in link order
    modules: those that are built in
    labels: names of symbols of the linker script
    options, dialect: which symbols the kernel's tables have
    release: the tree's version, 6.1.192
    warnings: what is odd in the configuration or the makefiles
    """

    tree: Path
    objects: list[str]
    modules: list[kbuild.Module]
    labels: frozenset[bytes]
    options: select.Options
    dialect: KallsymsDialect
    release: str
    warnings: list[str]

    @property
    def lists(self) -> dict[str, ModuleList]:
        """The modules of each object that has some."""
        return owners.lists_of_objects(self.modules)


def read(
    tree: str | os.PathLike[str],
    config: str | os.PathLike[str],
    arch: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Recipe:
    """What `tree` builds into vmlinux under `config`.

    arch, variables: ARCH, and variables of make's command line
    Raises InputError, also where the configuration says that it is of another release.
    """
    with tempfile.TemporaryDirectory(prefix="kallmodsyms-") as nothing:
        found = Configured(tree, nothing, arch, variables, Path(config), keep=False)
        release = found.environment["KERNELVERSION"]
        said = _HEADING.search(files.read_text(config))
        if said is not None and said[1] != release:
            raise InputError(
                f"is a configuration of Linux {said[1]}, and {tree} is Linux {release}",
                path=config,
                cure="take the source and the configuration of the very same version",
            )
        kernel = found.kernel
        libraries = [path for members in kernel.library_members().values() for path in members]
        dialect = kallsyms_dialect(tree)
        return Recipe(
            tree=Path(tree),
            objects=list(dict.fromkeys([*kernel.link_order(), *libraries])),
            modules=found.modules,
            labels=script.labels(Path(tree), found.environment["SRCARCH"]),
            options=tables.options(found.configuration.values, dialect, "compact", False),
            dialect=dialect,
            release=release,
            warnings=found.warnings,
        )
