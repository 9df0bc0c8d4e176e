"""A fact that does not hold any more in, and its value today; what a user is told of it out."""

from __future__ import annotations

from typing import Any

from kallmodsyms.facts import CHANGED, Value

Seen = tuple[str, str, Value]
"""A `Fact`, as a ledger has it."""


def difference(fact: Seen, now: Value) -> str:
    """What became of something that a step saw, in words; `now` is its value today."""
    kind, name, old = fact
    if kind == "file":
        what = "appeared" if old is None else CHANGED if old == CHANGED else "vanished" if now is None else "changed"
        return f"{name} {what}"
    if kind == "order":
        return f"{now} is newer than {name}"
    if kind == "names":
        return f"the names of the files in {name} changed"
    if kind == "edited":
        return f"git finds files of {name} edited" if now else f"git finds no file of {name} edited any more"
    if kind == "folder":
        return f"something in {name} {'vanished' if now is None else CHANGED if old == CHANGED else 'changed'}"
    if kind == "kconfig":
        return "what the Kconfig files say changed"
    if kind == "code":
        files = zip(name.split(), old, now, strict=True)
        return f"{next(file for file, one, other in files if one != other)} of kallmodsyms, which does this, changed"
    if kind == "symbol":
        return f"CONFIG_{name} was {old or 'n'} and is {now or 'n'}"
    if kind == "wildcard":
        came, went = _compared(old, now)
        return f"{name} now matches {came[0]}" if came else f"{name} does not match {went[0]} any more"
    if kind == "program":
        if old is None or now is None:
            return f"the program {name} {'appeared' if old is None else 'vanished'}"
        return f"{name} is {now[0]} and was {old[0]}" if now[0] != old[0] else f"the program {now[0]} changed"
    if kind in ("variable", "environment"):
        return f"{name} was {_shown(old)} and is {_shown(now)}"
    if kind == "settings":
        came, went = _compared(old, now)
        return f"{(came or went)[0]} {'is set' if came else 'is not set any more'}"
    if kind in ("modules", "configuration"):
        came, went = _compared(old, now)
        one = (came or went or [None])[0]
        text = " ".join([one[0], *one[1]]) if isinstance(one, tuple) else one
        of = f"in {name}, " if kind == "modules" else ""
        return f"{of}{text} {'is new' if came else 'is gone'}" if one else f"the order of the {kind} {name} changed"
    if kind == "answer":
        return f"`{name}` prints something else"
    return f"the {kind} {name} changed"


def written(fact: Seen, now: Value) -> str:
    return f"its output {fact[1]} is gone" if now is None else f"its output {fact[1]} is not what it wrote"


def _compared(old: Value, now: Value) -> tuple[list[Any], list[Any]]:
    """What is new and what is gone, sorted."""
    return sorted(set(now or ()) - set(old or ())), sorted(set(old or ()) - set(now or ()))


def _shown(value: Value) -> str:
    text = value[0] if isinstance(value, tuple) else value
    return "not set" if text is None else text if 0 < len(text) < 40 and text.isprintable() else "another"
