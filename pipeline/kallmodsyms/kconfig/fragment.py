"""A fragment of a `.config`: merged into a whole one, and afterwards compared with what became of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from kallmodsyms.errors import InputError

_SWITCHES_ON = r"CONFIG_\w+=(?!n$)"


def merged(base: str, fragment: str) -> str:
    """The `.config` text `base` with the assignments of `fragment` in place of its own."""
    replaced = {name for line in fragment.splitlines() if (name := _assigned(line))}
    kept = [line for line in base.splitlines() if _assigned(line) not in replaced]
    return "\n".join([*kept, *fragment.splitlines()]) + "\n"


def check(path: str | os.PathLike[str], fragment: str, config: str, required: Sequence[str]) -> list[str]:
    """The lines of `fragment` that switch something on, and that the finished `.config` does not have so.

    path: where the fragment came from
    required: the symbols, without CONFIG_, whose lines must be there

    Raises InputError for the first of these that is not.
    """
    got = set(config.splitlines())
    lines = {number: line for number, line in enumerate(fragment.splitlines(), 1) if re.match(_SWITCHES_ON, line)}
    lost = {number: line for number, line in lines.items() if line.strip() not in got}
    for number, line in lost.items():
        if (_assigned(line) or "").removeprefix("CONFIG_") in required:
            raise InputError(
                "is not in the finished .config",
                path=path,
                line=number,
                text=line,
                cure="the tree's Kconfig has no such symbol, or something that it depends on is off",
            )
    return [line.strip() for line in lost.values()]


def _assigned(line: str) -> str | None:
    found = re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line)
    return found[1] if found else None
