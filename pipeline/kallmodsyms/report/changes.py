"""Two `Report`s enter; what differs leaves: a record for each symbol, of each object in each section, whose bytes do.

The differences sum to that of the two images. Symbols of one name in one object and section count together, and bytes
without a symbol are a record with an empty name.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from kallmodsyms.report import tables
from kallmodsyms.report.model import Report

KEYS = ("section", *tables.GROUPS, "symbol")
"""What names a record; its numbers are `before` and `after`, in bytes."""


def of(old: Report, new: Report) -> list[dict[str, Any]]:
    """The records that differ, the one that grew most first."""
    before, after = _sizes(old), _sizes(new)
    differing = [key for key in before.keys() | after.keys() if before[key] != after[key]]
    differing.sort(key=lambda key: (before[key] - after[key], key))
    return [{**dict(zip(KEYS, key, strict=True)), "before": before[key], "after": after[key]} for key in differing]


def _sizes(report: Report) -> Counter[tuple[str, ...]]:
    owners = list(zip(*(tables.labels(report, group) for group in tables.GROUPS), strict=True))
    found: Counter[tuple[str, ...]] = Counter()
    for section, _, span in tables.by_section(report):
        if span.bytes:
            found[section, *owners[span.owner], span.name] += span.bytes
    return found
