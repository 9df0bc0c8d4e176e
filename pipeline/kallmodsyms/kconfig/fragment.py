"""A fragment of a `.config`: merged into a whole one, and afterwards compared with what became of it."""

from __future__ import annotations

import os
import re

from kallmodsyms.errors import InputError


def merged(base: str, fragment: str) -> str:
    """The `.config` text `base` with the assignments of `fragment` in place of its own."""
    replaced = {name for line in fragment.splitlines() if (name := _assigned(line))}
    kept = [line for line in base.splitlines() if _assigned(line) not in replaced]
    return "\n".join([*kept, *fragment.splitlines()]) + "\n"


def check(path: str | os.PathLike[str], fragment: str, config: str) -> None:
    """Raise InputError for the first symbol that `fragment` switches on and the finished `.config` does not have so.

    path: where the fragment came from
    """
    got = set(config.splitlines())
    for number, line in enumerate(fragment.splitlines(), 1):
        if re.match(r"CONFIG_\w+=(?!n$)", line) and line.strip() not in got:
            raise InputError(
                "is not in the finished .config",
                path=path,
                line=number,
                text=line,
                cure="the tree's Kconfig has no such symbol, or something that it depends on is off",
            )


def _assigned(line: str) -> str | None:
    found = re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set)", line)
    return found[1] if found else None
