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


def completed(fragment: str, required: Sequence[str]) -> str:
    """`fragment`, and y for each symbol of `required` (without CONFIG_) that it says nothing of."""
    said = {_assigned(line) for line in fragment.splitlines()}
    lines = [f"CONFIG_{name}=y\n" for name in required if f"CONFIG_{name}" not in said]
    return fragment + "".join(lines)


def check(path: str | os.PathLike[str], fragment: str, config: str, required: Sequence[str]) -> list[str]:
    """The lines of `fragment` that switch something on, and that the finished `.config` does not have so.

    path: who says what is required
    required: the symbols, without CONFIG_, whose lines must be there

    Raises InputError for the first of these that is not.
    """
    got = set(config.splitlines())
    wanted = (line.strip() for line in fragment.splitlines() if re.match(_SWITCHES_ON, line))
    lost = [line for line in wanted if line not in got]
    for line in lost:
        if (_assigned(line) or "").removeprefix("CONFIG_") in required:
            raise InputError(
                "requires what is not in the finished .config",
                path=path,
                text=line,
                cure="the tree's Kconfig has no such symbol, or something that it depends on is off",
            )
    return lost


def _assigned(line: str) -> str | None:
    found = re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line)
    return found[1] if found else None
