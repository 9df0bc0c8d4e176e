"""The attribution file: what is known of a kernel that somebody else built, as text, and back.

    kallmodsyms attribution 1
    build-id 6a2b4ac77585b8cf102cba771300e573c8489b69
    bits 64
    text ffffffff81000000
    section 0 e01d32
    run 396d10 ext4
    run 397560
    symbol 396d10 115 t ext4_sync_parent dwarf fs/ext4/fsync.o ext4
    symbol 2a40 - T vfs_read unknown -
    absolute 1a000 0 A __per_cpu_end - -

Numbers are hexadecimal, but for `bits`. Those of a section (start and end), a run and a symbol are distances from
_text, modulo 2 to the power of `bits`, so that the file serves wherever KASLR puts the kernel; those of `absolute`
symbols, per-CPU offsets, are not. `text` is where _text was linked, or _stext without it; `build-id` may be
`unknown`. A run of bytes goes to where the next one begins, and the last one is nobody's. A symbol has its size (`-`
where none is known), letter and name, what its modules rest on, its object (`-` where none is known), and its modules.
Symbols are in the order of the kernel's own tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.names import ModuleList

MAGIC = b"kallmodsyms attribution 1\n"
_UNKNOWN = "unknown"

_LINE = {
    "build-id": re.compile(r"([0-9a-f]+|unknown)"),
    "bits": re.compile(r"(32|64)"),
    "text": re.compile(r"([0-9a-f]{1,16})"),
    "section": re.compile(r"([0-9a-f]{1,16}) ([0-9a-f]{1,16})"),
    "run": re.compile(r"([0-9a-f]{1,16})((?: \S+)*)"),
    "symbol": re.compile(r"([0-9a-f]{1,16}) ([0-9a-f]{1,16}|-) (\S) (\S+) (\S+) (\S+)((?: \S+)*)"),
}
_LINE["absolute"] = _LINE["symbol"]


class Attributed(NamedTuple):
    """build_id: in hexadecimal; None where it is not known
    evidence, objects: of each symbol of the table; an object that is not known is empty
    """

    table: Kallsyms
    build_id: str | None
    evidence: Sequence[str]
    objects: Sequence[str]


def text(found: Attributed) -> str:
    """The file. Raises InputError for a table without _text."""
    table = found.table
    at = table.numbers(b"_text") or table.numbers(b"_stext")
    if not at:
        raise InputError("the symbols do not say where _text or _stext is", cure="take all symbols, those of data too")
    base = int(table.addresses[at[0]])
    mask = 2**table.bits - 1
    lines = [MAGIC.decode(), f"build-id {found.build_id or _UNKNOWN}\n", f"bits {table.bits}\n", f"text {base:x}\n"]
    lines += [f"section {start - base & mask:x} {end - base & mask:x}\n" for start, end in table.sections]
    lines += [
        " ".join(("run", f"{start - base & mask:x}", *table.lists[number])) + "\n"
        for start, number in zip(table.runs.tolist(), table.of_runs.tolist(), strict=True)
    ]
    sizes = ["-"] * len(table) if table.sizes is None else [f"{size:x}" for size in table.sizes.tolist()]
    columns = (table.addresses.tolist(), table.absolute.tolist(), sizes, table.types.decode("latin-1"), table.names)
    rest = (found.evidence, found.objects, table.of_symbols.tolist())
    for address, absolute, size, letter, name, evidence, path, number in zip(*columns, *rest, strict=True):
        kind, value = ("absolute", address) if absolute else ("symbol", address - base & mask)
        words = (kind, f"{value:x}", size, letter, name.decode("utf-8", "surrogateescape"), evidence, path or "-")
        lines.append(" ".join((*words, *table.lists[number])) + "\n")
    return "".join(lines)


def listing(found: Attributed) -> bytes:
    """The listing, as /proc/kallmodsyms has it, with what each symbol rests on in parentheses at the end of its line:

    ffffffff81396d10 115 t ext4_sync_parent<TAB>[ext4] (dwarf)
    """
    lines = found.table.listing().removesuffix(b"\n").split(b"\n")
    ends = {kind: b"" if kind == "-" else f"({kind})".encode() for kind in set(found.evidence)}
    return b"".join(
        b"%b%b%b\n" % (line, (b" " if b"\t" in line else b"\t") if ends[kind] else b"", ends[kind])
        for line, kind in zip(lines, found.evidence, strict=True)
    )


def parse(content: bytes, path: str | os.PathLike[str]) -> Attributed:
    """What the file says; `path` is for messages. Raises InputError for a line that is not of this format."""
    values: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in _LINE}
    ordered: list[tuple[bool, tuple[str, ...]]] = []
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines[1:], 2):
        if not line and number == len(lines):
            break
        kind, _, rest = line.partition(" ")
        match = _LINE[kind].fullmatch(rest) if kind in _LINE else None
        if match is None or (number == len(lines)):
            problem = "not a line of an attribution file" if match is None else "the last line is cut off"
            raise InputError(problem, path=path, line=number, text=line[:100], cure="make it again")
        if kind in ("symbol", "absolute"):
            ordered.append((kind == "absolute", match.groups()))
        else:
            values[kind].append(match.groups())
    for kind in ("build-id", "bits", "text"):
        if len(values[kind]) != 1:
            raise InputError(f"has {len(values[kind])} lines {kind}; it should be one", path=path, cure="make it again")
    bits, base = int(values["bits"][0][0]), int(values["text"][0][0], 16)
    lists: dict[ModuleList, int] = {(): 0}

    def placed(words: list[str]) -> NDArray[np.uint64]:
        return np.array([int(word, 16) for word in words], np.uint64) + np.uint64(base) & np.uint64(2**bits - 1)

    def numbers(tails: list[str]) -> NDArray[np.int64]:
        return np.array([lists.setdefault(tuple(tail.split()), len(lists)) for tail in tails], np.int64)

    absolute = np.array([kind for kind, _ in ordered], np.bool_)
    columns: list[list[str]] = [list(column) for column in zip(*(groups for _, groups in ordered), strict=True)]
    if not columns:
        raise InputError("has no symbols", path=path, cure="make it again")
    fixed = np.array([int(word, 16) for word in columns[0]], np.uint64)
    known = columns[1][0] != "-"
    sections = [placed([words[index] for words in values["section"]]).tolist() for index in (0, 1)]
    table = Kallsyms(
        bits=bits,
        addresses=np.where(absolute, fixed, placed(columns[0])),
        absolute=absolute,
        sizes=np.array([int(word, 16) for word in columns[1]], np.uint64) if known else None,
        types="".join(columns[2]).encode("latin-1"),
        names=[name.encode("utf-8", "surrogateescape") for name in columns[3]],
        of_symbols=numbers(columns[6]),
        runs=placed([start for start, _ in values["run"]]),
        of_runs=numbers([names for _, names in values["run"]]),
        lists=tuple(lists),
        has_modules=True,
        sections=tuple(zip(*sections, strict=True)),
        objects={},
    )
    identity = values["build-id"][0][0]
    objects = ["" if path == "-" else path for path in columns[5]]
    return Attributed(table, None if identity == _UNKNOWN else identity, columns[4], objects)
