"""Where what is no Python comes from: dodo.py, config/ and toy_kernel/. In a wheel they are in a folder of the package,
and in a checkout above it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from kallmodsyms.errors import InputError
from kallmodsyms.names import beyond_makefiles

_PACKAGE = Path(__file__).parent
_CARRIED = _PACKAGE / "shipped_files"

ROOT = _CARRIED if _CARRIED.is_dir() else _PACKAGE.parents[1]

DODO = ROOT / "dodo.py"

_DEMO = ("dodo.py", "config", "toy_kernel")


def unpack(directory: Path) -> None:
    """Put the toy kernel and what it is built with into `directory`, as they are in the repository.

    Raises InputError if any of that is there already, or makefiles could not name the place.
    """
    odd = beyond_makefiles(directory.resolve())
    if odd is not None:
        raise InputError(
            f"{directory.resolve()} has {odd!r} in it, which makefiles take for something else",
            cure="name another directory",
        )
    for name in _DEMO:
        if (directory / name).exists():
            raise InputError(
                f"{directory / name} is there already", cure="name another directory, or run `kallmodsyms build` there"
            )
    directory.mkdir(parents=True, exist_ok=True)
    for name in _DEMO:
        source, copy = ROOT / name, directory / name
        # Contents alone: the files are the user's, whoever owns the package, and whatever its modes are.
        if source.is_dir():
            shutil.copytree(source, copy, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, copy)
