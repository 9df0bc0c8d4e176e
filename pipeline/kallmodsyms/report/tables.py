"""A `Report` enters; tables leave: bytes by section, module, object, directory, option and maintainer, and all symbols.

Each table but those of symbols and of shared objects sums to the bytes of the image. What is of no object is a line of
its own in each of them: padding, made by the linker, linker script, unattributed.
"""

from __future__ import annotations

import json
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kallmodsyms.report.account import LINKER, OBJECT, PADDING, SCRIPT, UNKNOWN, Owner, Span
from kallmodsyms.report.model import Facts, Report

NO_OBJECT = {
    PADDING: "padding",
    LINKER: "made by the linker",
    SCRIPT: "linker script",
    UNKNOWN: "unattributed",
}

KINDS = ("code", "rodata", "data", "bss")


def _of_object(label: Callable[[Owner, Facts], str]) -> Callable[[Owner, Facts], str]:
    return lambda owner, facts: label(owner, facts) if owner.kind == OBJECT else NO_OBJECT[owner.kind]


GROUPS: Mapping[str, Callable[[Owner, Facts], str]] = {
    "module": _of_object(lambda owner, _: " ".join(owner.modules) or "no module"),
    "directory": _of_object(lambda owner, _: posixpath.dirname(owner.name) or "."),
    "option": _of_object(lambda _, facts: facts.option or "no option"),
    "maintainer": _of_object(lambda _, facts: facts.maintainer or "no maintainer"),
    "object": lambda owner, _: owner.name,
}
"""What to call the group that an owner is in."""


def by_section(report: Report) -> Iterator[tuple[str, str, Span]]:
    """Name and kind of the section, and each span."""
    for section, spans in zip(report.account.sections, report.account.spans, strict=True):
        for span in spans:
            yield section.name, section.kind, span


def labels(report: Report, group: str) -> list[str]:
    """What each owner is called in a group."""
    return [GROUPS[group](owner, facts) for owner, facts in zip(report.account.owners, report.facts, strict=True)]


def table(report: Report, group: str) -> list[dict[str, str | int]]:
    """The bytes of a group, the largest first."""
    of_owners = labels(report, group)
    return _sums(group, ((of_owners[span.owner], kind, span) for _, kind, span in by_section(report)))


def _sums(group: str, spans: Iterator[tuple[str, str, Span]]) -> list[dict[str, str | int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("bytes", *KINDS, "symbols"), 0))
    for label, kind, span in spans:
        sums = found[label]
        sums["symbols"] += span.name != ""
        if span.bytes:
            sums["bytes"] += span.bytes
            sums[kind] += span.bytes
    ordered = sorted(found.items(), key=lambda item: (-item[1]["bytes"], item[0]))
    return [{group: label, **sums} for label, sums in ordered]


def document(report: Report, changes: list[dict[str, Any]] | None) -> str:
    """All numbers of a report, and of what changed if that was asked, as one JSON document."""
    account = report.account
    of_section = {line["section"]: line for line in _sums("section", by_section(report))}
    modules = labels(report, "module")
    tables: dict[str, list[Any]] = {
        "sections": [
            {"section": one.name, "address": f"{one.address:#x}", "kind": one.kind}
            | {key: value for key, value in of_section[one.name].items() if key in ("bytes", "symbols")}
            for one in account.sections
        ],
        **{f"{group}s": table(report, group) for group in GROUPS if group != "directory"},
        "directories": table(report, "directory"),
        "shared": [line for line in table(report, "object") if line["object"] in _shared(report)],
        "symbols": [
            {
                "address": f"{span.address:#x}",
                "size": span.size,
                "bytes": span.bytes,
                "type": span.letter,
                "symbol": span.name,
                "section": section,
                "module": modules[span.owner],
                "object": account.owners[span.owner].name,
            }
            for section, _, span in by_section(report)
            if span.name
        ],
    }
    if changes is not None:
        tables["changes"] = changes
    head = {"image": report.path, "build_id": report.build_id, "bytes": report.bytes, "listed": report.listed}
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    parts += [f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, lines)) + "\n]" for name, lines in tables.items()]
    return "{" + ",\n".join(parts) + "}\n"


def _shared(report: Report) -> set[str]:
    """The objects that are part of several modules."""
    return {owner.name for owner in report.account.owners if len(owner.modules) > 1}
