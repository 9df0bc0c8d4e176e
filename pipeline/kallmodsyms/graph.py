"""The steps of a build in; what somebody would draw of them out: boxes and lines, without places (`svg` gives them).

    whole       all steps, those of one kind in one directory as one box
    leading_to  what must be done before one step, and what that saw, with the reasons

The times are those of the ledger: what each step took when it ran last. The critical path is the chain of steps, each
needing the one before, that takes longest: no number of processors makes a build shorter. Steps that make did together
(the objects of a real tree, the first time) have no time of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from kallmodsyms.reasons import difference
from kallmodsyms.step import Plan

_NAMES = 12
"""So many files are named."""
_LONGEST = 200
"""Letters of a reason, where each of many has one."""


@dataclass(frozen=True)
class Box:
    """One box. `lines` of text; `reason`: why it must run, if it must; `critical`: it is on the critical path; `seen`:
    no step, but what one saw; `more`: what there is to say besides.
    """

    name: str
    lines: tuple[str, ...]
    reason: str = ""
    critical: bool = False
    seen: bool = False
    more: str = ""


@dataclass(frozen=True)
class Picture:
    """Boxes by name, and lines between them: from, to, and whether both ends are next to each other on the critical
    path.
    """

    title: str
    boxes: dict[str, Box]
    lines: list[tuple[str, str, bool]]
    notes: tuple[str, ...] = ()


def whole(plan: Plan, depth: int, tree: str) -> Picture:
    """All steps; `depth`: of how many directories a box bears the name; `tree`: what paths are shortened by."""
    return _folded("the task graph", plan, list(plan.steps), depth, tree)


def leading_to(plan: Plan, name: str, depth: int, tree: str) -> Picture:
    """What must be done before a step, itself, and the files and symbols that it saw."""
    wanted, waiting = {name}, [name]
    while waiting:
        for earlier in _before(plan, waiting.pop()):
            if earlier not in wanted:
                wanted.add(earlier)
                waiting.append(earlier)
    picture = _folded(f"what leads to {name}", plan, [step for step in plan.steps if step in wanted], depth, tree, name)
    seen = _seen(plan, name, tree)
    if seen is None:
        return picture
    return Picture(
        picture.title,
        {**picture.boxes, seen.name: seen},
        [*picture.lines, (seen.name, name, False)],
        picture.notes,
    )


def _before(plan: Plan, name: str) -> list[str]:
    step = plan.steps[name]
    return list(dict.fromkeys([*plan.before(step), *(one for one in step.after if one in plan.steps)]))


def _folded(title: str, plan: Plan, names: list[str], depth: int, tree: str, alone: str = "") -> Picture:
    chosen = set(names)
    before = {name: [one for one in _before(plan, name) if one in chosen] for name in names}
    times = {name: plan.builder.ledger.times[name] for name in names if name in plan.builder.ledger.times}
    path = critical_path(before, times)
    group = {name: name if name == alone else _group(name, depth) for name in names}
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(group[name], []).append(name)
    on_path = {group[name] for name in path}
    reasons = {name: _short(reason, tree) for name in names if (reason := plan.why(name)) is not None}
    boxes = {
        name: _box(name, found, times, {one: reasons[one] for one in found if one in reasons}, name in on_path)
        for name, found in members.items()
    }
    steps_of_path = {(group[one], group[other]) for one, other in pairwise(path)}
    lines = {(group[one], group[name]) for name, earlier in before.items() for one in earlier}
    drawn = _reduced({line for line in lines if line[0] != line[1]}) | {
        line for line in steps_of_path if line[0] != line[1]
    }
    return Picture(
        title, boxes, [(*line, line in steps_of_path) for line in sorted(drawn)], _notes(names, times, path, reasons)
    )


def _notes(
    names: list[str], times: Mapping[str, float], path: list[str], reasons: Mapping[str, str]
) -> tuple[str, ...]:
    total, longest = sum(times.values()), sum(times[name] for name in path if name in times)
    known = "" if len(times) == len(names) else f", {len(names) - len(times)} of unknown time"
    first = f"{len(names)} tasks, {total:.2f} s{known}; {f'{len(reasons)} must run' if reasons else 'all up to date'}"
    return (first, f"critical path: {longest:.2f} s") if path else (first,)


def critical_path(before: Mapping[str, Iterable[str]], times: Mapping[str, float]) -> list[str]:
    """The chain that takes longest, first to last; none where no time is known.

    before: what each needs; what is of unknown time takes none
    """
    ends: dict[str, tuple[float, str | None]] = {}
    waiting = sorted(before, reverse=True)
    while waiting:
        name = waiting[-1]
        missing = [one for one in before[name] if one not in ends]
        if missing and name not in ends:
            waiting += missing
            continue
        waiting.pop()
        last = max(((ends[one][0], one) for one in before[name]), default=(0.0, None))
        ends[name] = (last[0] + times.get(name, 0.0), last[1])
    at = max(((took, name) for name, (took, _) in ends.items()), default=(0.0, None))
    path, name_or_none = [], at[1] if at[0] else None
    while name_or_none is not None:
        path.append(name_or_none)
        name_or_none = ends[name_or_none][1]
    return path[::-1]


def _group(name: str, depth: int) -> str:
    kind, colon, path = name.partition(":")
    folder = os.path.dirname(path)
    return f"{kind}:{'/'.join(folder.split('/')[:depth])}/" if colon and folder else name


def _box(name: str, members: list[str], times: Mapping[str, float], reasons: Mapping[str, str], critical: bool) -> Box:
    took = [times[one] for one in members if one in times]
    count = f"{len(members)} task{'s' * (len(members) > 1)}" if members != [name] else ""
    lines = [name, ", ".join(word for word in (count, f"{sum(took):.2f} s" if took else "") if word)]
    reason = next(iter(reasons.values()), "")
    if reason and len(members) > 1:
        reason = f"{len(reasons)} must run: {reason}"
    more = "\n".join(f"{one}: {reasons.get(one, 'up to date')[:_LONGEST]}" for one in members)
    return Box(name, tuple(line for line in lines if line), reason, critical, more=more)


def _seen(plan: Plan, name: str, tree: str) -> Box | None:
    """What a step saw when it ran last, what is another today first."""
    ledger, world = plan.builder.ledger, plan.builder.world
    facts = ledger.reads(name)
    if not facts:
        return None
    changed = {fact: difference(fact, now) for fact in facts if (now := world.look(*fact[:2])) != fact.value}
    files = sorted(_short(fact.name, tree) for fact in facts if fact.kind == "file" and fact.value is not None)
    symbols = sorted(f"CONFIG_{fact.name}" for fact in facts if fact.kind == "symbol")
    own = [path for path in files if not path.startswith("/")]
    others = len(facts) - len(own) - len(symbols)
    lines = own[:_NAMES]
    lines += [f"and {len(own) - _NAMES} more files"] if len(own) > _NAMES else []
    lines += symbols[:_NAMES] + ([f"and {len(symbols) - _NAMES} more symbols"] if len(symbols) > _NAMES else [])
    lines += ["and programs, the environment, what is not there"] if others else []
    reason = "; ".join(sorted(_short(text, tree) for text in changed.values()))
    return Box(f"seen by {name}", ("what it saw:", *lines), reason, seen=True, more="\n".join([*own, *symbols]))


def _short(text: str, tree: str) -> str:
    return text.replace(f"{tree}/", "")


def _reduced(lines: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without the lines that say no more than others do: from a box to what is behind another that it leads to."""
    after: dict[str, set[str]] = {}
    for one, other in lines:
        after.setdefault(one, set()).add(other)
    reached: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in reached:
            reached[name] = set()
            reached[name] = set().union(*(({one} | reach(one)) for one in sorted(after.get(name, ()))))
        return reached[name]

    return {
        (one, other) for one, other in lines if not any(other in reach(step) for step in after[one] if step != other)
    }
