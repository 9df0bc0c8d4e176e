"""include/config/auto.conf of a build directory in; what make and the compiler were told of its configuration out."""

from __future__ import annotations

import os
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.errors import InputError


def read(objdir: str | os.PathLike[str]) -> dict[str, str]:
    """The value of each symbol, without CONFIG_ and quotes; a symbol that is n is absent. Raises InputError."""
    path = Path(objdir, "include/config/auto.conf")
    values = {}
    for number, line in enumerate(files.read_text(path).splitlines(), 1):
        name, equals, value = line.partition("=")
        if equals and name.startswith("CONFIG_"):
            values[name.removeprefix("CONFIG_")] = value.removeprefix('"').removesuffix('"')
        elif line.strip() and not line.startswith("#"):
            raise InputError(
                "does not assign a value to a CONFIG_ symbol",
                path=path,
                line=number,
                text=line,
                cure="delete the file, and let make write it again",
            )
    return values
