"""A `Report` and its changes enter; what the page's script reads leaves: compact JSON, deflated, in base64.

    strings     all texts, each once, separated by NUL; elsewhere a text is its number
    sections    a row each: name, address (hexadecimal), size, kind, how many spans it has
    groups      of each group of `tables.GROUPS`: the texts of the groups, and which of them each owner is in
    owners      columns: kind, source, whether the object is shared
    spans       columns, of all sections in turn: bytes; owner, as the distance from the last one's; name, 0 for none,
                or the distance from the last one's, and 1 more if that is not negative. Of those with a name also
                letters, ahead (how far behind the symbol's address its bytes begin), more (its size less its bytes)
    nowhere     the addresses, in hexadecimal, of the symbols in no section, whose `ahead` is 0
    changes     columns, if two images are compared: a text for each of `changes.KEYS`, before, after

`page/data.js` is the other side.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from kallmodsyms.report import changes as differences
from kallmodsyms.report import tables
from kallmodsyms.report.model import Report


class _Strings:
    """Texts and their numbers; the empty text is 0."""

    def __init__(self) -> None:
        self.numbers = {"": 0}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def pack(report: Report, changes: list[dict[str, Any]] | None, other: Report | None) -> str:
    """The data of a page. other: the image that `changes` are against"""
    strings = _Strings()
    account = report.account
    document: dict[str, Any] = {
        "path": report.path,
        "buildId": report.build_id,
        "bits": report.bits,
        "listed": report.listed,
        "bytes": report.bytes,
        "sections": [
            [strings.number(one.name), f"{one.address:x}", one.size, one.kind, len(spans)]
            for one, spans in zip(account.sections, account.spans, strict=True)
        ],
        "groups": {group: _group(tables.labels(report, group)) for group in tables.GROUPS},
        "owners": {
            "kind": [owner.kind for owner in account.owners],
            "source": [strings.number(facts.source) for facts in report.facts],
            "shared": [int(len(owner.modules) > 1) for owner in account.owners],
        },
        "spans": _spans(report, strings),
        "nowhere": [
            f"{span.address:x}"
            for one, spans in zip(account.sections, account.spans, strict=True)
            for span in spans
            if not one.size
        ],
    }
    if changes is not None and other is not None:
        document["other"] = {"path": other.path, "buildId": other.build_id, "bytes": other.bytes}
        document["changes"] = {
            **{key: [strings.number(change[key]) for change in changes] for key in differences.KEYS},
            **{key: [change[key] for change in changes] for key in ("before", "after")},
        }
    document["strings"] = "\0".join(strings.numbers)
    text = json.dumps(document, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _group(labels: list[str]) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    of_owners = [numbers.setdefault(label, len(numbers)) for label in labels]
    return {"labels": list(numbers), "owners": of_owners}


def _spans(report: Report, strings: _Strings) -> dict[str, Any]:
    columns: dict[str, list[int]] = {key: [] for key in ("bytes", "owner", "name", "ahead", "more")}
    letters: list[str] = []
    owner = name = 0
    for section, spans in zip(report.account.sections, report.account.spans, strict=True):
        position = section.address
        for span in spans:
            columns["bytes"].append(span.bytes)
            columns["owner"].append(span.owner - owner)
            owner = span.owner
            if span.name:
                number = strings.number(span.name)
                columns["name"].append(number - name + (number >= name))
                name = number
                letters.append(span.letter)
                columns["ahead"].append(position - span.address if section.size else 0)
                columns["more"].append(span.size - span.bytes)
            else:
                columns["name"].append(0)
            position += span.bytes
    return {**columns, "letters": "".join(letters)}
