"""Records enter, mappings of the same keys to plain values; JSON, a line of JSON each, or CSV leaves.

document    {"symbols": [{"address": "0xffffffff812f3a40", "size": 466, "modules": ["ext4"], …}, …]}
lines       {"address": "0xffffffff812f3a40", "size": 466, "modules": ["ext4"], …}
table       address,size,modules
            0xffffffff812f3a40,466,ext4
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

Value = str | int | Sequence[str] | None
Record = Mapping[str, Value]

_encode = json.JSONEncoder().encode


def document(name: str, records: Iterable[Record]) -> str:
    """One JSON document, an object with a list of the name `name`; a line for each record."""
    return f'{{"{name}": [\n' + ",\n".join(map(_encode, records)) + "\n]}\n"


def lines(records: Iterable[Record]) -> str:
    """A JSON object for each record, on a line of its own."""
    return "".join(f"{_encode(record)}\n" for record in records)


def table(keys: Sequence[str], records: Iterable[Record]) -> str:
    """CSV (RFC 4180, but for line feeds alone): the keys, and a line for each record. A list has blanks between its
    words; None is an empty field.

    >>> table(["name", "modules"], [{"name": "x", "modules": ("a", "b")}, {"name": "a,b", "modules": ()}])
    'name,modules\\nx,a b\\n"a,b",\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([_cell(record[key]) for key in keys] for record in records)
    return text.getvalue()


def _cell(value: Value) -> str | int | None:
    return value if value is None or isinstance(value, str | int) else " ".join(value)
