"""What a build says, in words: what somebody wants to hear of it, and its lines, as Kbuild has them.

Shown       V=1, V=2, quiet=true
short       a step: `  CC      fs/ext4/inode.o`
failing     of all that a make said, what belongs to the command that failed
closing     the end of a build: what ran, what did not, and why
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping, Sequence
from typing import NamedTuple

from kallmodsyms.errors import InputError

SHORT = re.compile(r"  [A-Z][A-Z0-9_+-]* +(?:\[[A-Z]+\] +)?(\S+)$")
"""What Kbuild says of a command: `  CC      fs/ext4/inode.o`, `  LD [M]  fs/ext4/ext4.ko`."""
_FAILED = re.compile(r"\S*make(?:\[\d+\])?: \*\*\* \[\S+: (\S+)\] (?:Error|[A-Z])")
_VERBS = {
    "compile": "CC",
    "linker_script": "LDS",
    "archive": "AR",
    "assemble": "AS",
    "link": "LD",
    "vmlinux": "LD",
    "make": "MAKE",
}
"""Kbuild's word for a kind of step, where it has one."""


class Shown(NamedTuple):
    """What somebody wants to see: `verbose` whole commands, `reasons`, or as little as can be (`quiet`)."""

    verbose: bool = False
    reasons: bool = False
    quiet: bool = False

    @classmethod
    def of(cls, words: MutableMapping[str, str]) -> Shown:
        """Take the words that are about this out of those of a command line. Raises InputError."""
        level, quiet = words.pop("V", "0"), words.pop("quiet", "false").lower()
        if level not in ("0", "1", "2", "12"):
            raise InputError(f"V={level} is none of V=0, V=1 (whole commands), V=2 (reasons) and V=12 (both)")
        if quiet not in ("true", "false"):
            raise InputError("quiet must be true or false", text=f"quiet={quiet}")
        return cls("1" in level, "2" in level, quiet == "true")

    def for_make(self) -> dict[str, str]:
        """The variables by which Kbuild's makefiles know (Linux 6.1, Makefile, "Beautify output")."""
        if self.quiet:
            return {"quiet": "silent_", "Q": "@"}
        return {"KBUILD_VERBOSE": "1", "quiet": "", "Q": ""} if self.verbose else {}


def short(kind: str, what: str) -> str:
    """A step as Kbuild says it: `  CC      fs/ext4/inode.o`."""
    return f"  {_VERBS.get(kind, 'GEN'):<7} {what}" if kind != "modules" else f"  LD [M]  {what}"


def duration(seconds: float) -> str:
    """`0.4 s`, `2:05`, `1:02:05`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return clock(seconds)


def clock(seconds: float) -> str:
    """`0:04`, `2:05`, `1:02:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def failing(lines: Iterable[str]) -> list[str]:
    """Of all that a make said, what belongs to the command that failed first: its output, and make's own words.

    A make that runs several at once mixes their lines; what Kbuild says of other commands is left out.
    """
    said = list(lines)
    failed = next((match[1] for line in said if (match := _FAILED.match(line))), None)
    if failed is None:
        return []
    begun = [at for at, line in enumerate(said) if (match := SHORT.match(line)) and match[1] == failed]
    rest = said[begun[-1] :] if begun else said[-40:]
    return [line for line in rest if not (match := SHORT.match(line)) or match[1] == failed]


def closing(
    ran: Sequence[tuple[str, str, tuple[str, ...]]], others: int, failed: int, undone: int, seconds: float
) -> str:
    """What a build says at its end: what ran, what did not, and why.

    ran: name, reason and outputs of what ran, in order; others: how many were up to date; undone: how many did not get
    so far
    """
    counts = ((others, "up to date"), (failed, "failed"), (undone, "not done"))
    total = len(ran) + others + failed + undone
    first = ", ".join(
        [f"{len(ran)} of {total} tasks in {duration(seconds)}", *(f"{n} {what}" for n, what in counts if n)]
    )
    lines = [f"ran          {first}"]
    made = {path for _, _, outputs in ran for path in outputs}
    groups: dict[str, list[str]] = {}
    follows = 0
    for name, reason, _ in ran:
        if reason.rpartition(" ")[0] in made:
            follows += 1
        else:
            groups.setdefault(reason, []).append(name)
    shown = sorted(groups.items(), key=lambda item: -len(item[1]))[:3]
    for reason, names in shown:
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        lines.append(f"{len(names):>8}     {reason}: {', '.join(names[:2])}{more}")
    if len(groups) > len(shown):
        rest = sum(map(len, groups.values())) - sum(len(names) for _, names in shown)
        lines.append(f"{rest:>8}     for {len(groups) - len(shown)} other reasons, which V=2 tells")
    if follows:
        lines.append(f"{follows:>8}     since one of these made something new")
    return "".join(f"{line}\n" for line in lines)
