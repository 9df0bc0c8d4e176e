"""Tables as assembler input: `Tables` enter; text as the kernel writes it, labels and one binary file, or room leave.

The text form is that of scripts/kallsyms, line for line, with our tables at the end; it goes through the C preprocessor
with the kernel's headers. The binary form says the same in a few lines of `.incbin`: for a big kernel the assembler
takes 0.7 s to read the text, and a few milliseconds to copy the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms.tables import Table, Tables, layout
from kallmodsyms.release import KALLSYMS_LABELS

_HEADER = """\
#include <asm/bitsperlong.h>
#if BITS_PER_LONG == 64
#define PTR .quad
#define ALGN .balign 8
#else
#define PTR .long
#define ALGN .balign 4
#endif
\t.section .rodata, "a"
"""
Layout = Callable[[Tables], Iterator[Table]]
"""Gives the tables in the order of the output: `tables.layout`, or the series' (kallmodsyms.series.source)."""

_BYTES = {"byte": 1, "short": 2, "long": 4, "distance": 4}


def text(tables: Tables, laid_out: Layout = layout) -> bytes:
    """The tables as scripts/kallsyms writes them (assembler with preprocessor directives), ours after the kernel's."""
    out = [_HEADER.encode()] if tables.dialect.alignment is None else [b'\t.section .rodata, "a"\n']
    comments = (
        [b"\t/* %c%b */" % entry for entry in zip(tables.names.types, tables.names.plain, strict=True)]
        if tables.dialect.comments
        else None
    )
    for table in laid_out(tables):
        align = b"ALGN" if tables.dialect.alignment is None else b".balign %d" % _alignment(tables, table)
        out.append(b".globl %b\n\t%b\n%b:\n" % (table.label.encode(), align, table.label.encode()))
        rows = _rows(tables, table)
        if tables.dialect.alignment is not None:
            rows = [_without_macros(tables, row) for row in rows]
        if comments is not None and table.label in ("kallsyms_names", "kallsyms_offsets", "kallsyms_seqs_of_names"):
            order = tables.names.sequence.tolist() if table.label == "kallsyms_seqs_of_names" else range(len(comments))
            rows = [row + comments[index] for row, index in zip(rows, order, strict=True)]
        out.extend(row + b"\n" for row in rows)
        out.append(b"\n")
    return b"".join(out)


def _rows(tables: Tables, table: Table) -> Iterable[bytes]:
    if table.rows is not None:
        return table.rows
    values = table.values.tolist()
    match table.label:
        case "kallsyms_names":
            rendered = [b"0x%02x" % byte for byte in range(256)]
            starts = tables.names.starts.tolist()
            return [b"\t.byte " + b", ".join(map(rendered.__getitem__, values[a:b])) for a, b in pairwise(starts)]
        case "kallsyms_seqs_of_names":
            return [b"\t.byte 0x%02x, 0x%02x, 0x%02x" % tuple(values[at : at + 3]) for at in range(0, len(values), 3)]
        case "kallsyms_token_table":
            return [b'\t.asciz\t"%b"' % token for token in tables.names.compressed.tokens]
        case "kallsyms_offsets" | "kallsyms_module_offsets" if table.kind == "long":
            return [b"\t.long\t" + _hex(value) for value in values]
    match table.kind:
        case "distance":
            far = (table.values - np.uint64(tables.text)).astype(np.int64).tolist()
            return [b"\t.long\t_text - . + (%d)" % distance for distance in far]
        case "address":
            absolute = table.absolute.tolist() if table.absolute is not None else [False] * len(values)
            return [
                b"\tPTR\t" + (_hex(a) if fixed else _from_text(a, tables.text))
                for a, fixed in zip(values, absolute, strict=True)
            ]
        case "word":
            return [b"\tPTR\t" + _hex(value) for value in values]
        case "byte":
            return [
                b"\t.byte\t" + b", ".join(b"%d" % v for v in values[at : at + 16]) for at in range(0, len(values), 16)
            ]
        case kind:
            return [b"\t.%b\t%d" % (kind.encode(), value) for value in values]


def _alignment(tables: Tables, table: Table) -> int:
    """In bytes. The dialect decides for the kernel's own tables; ours may hold words."""
    word = tables.bits // 8
    return tables.dialect.alignment or word if table.label in KALLSYMS_LABELS else word


def _without_macros(tables: Tables, row: bytes) -> bytes:
    return row.replace(b"PTR", b".quad" if tables.bits == 64 else b".long", 1)


def _hex(value: int) -> bytes:
    return b"%#x" % value if value else b"0"


def _from_text(address: int, text_address: int) -> bytes:
    sign = b"+" if text_address <= address else b"-"
    return b"_text %b %b" % (sign, _hex(abs(address - text_address)))


def room(tables: Tables, laid_out: Layout = layout) -> str:
    """Labels and space for the tables, as assembler text without preprocessor directives: an image is linked with it,
    and the tables are filled in where it lies. The only numbers are sizes, and addresses, which the linker fills in.
    """
    word = tables.bits // 8
    lines = ['\t.section .rodata, "a"']
    for table in laid_out(tables):
        lines += [f".globl {table.label}", f"\t.balign {_alignment(tables, table)}", f"{table.label}:"]
        if table.kind == "address":
            lines += [_without_macros(tables, row).decode() for row in _rows(tables, table)]
        elif len(table.values):
            lines.append(f"\t.skip {len(table.values) * _BYTES.get(table.kind, word)}")
    return "\n".join(lines) + "\n"


def blob(tables: Tables, path: str, laid_out: Layout = layout) -> tuple[str, bytes]:
    """The tables as assembler text without preprocessor directives, and the contents of the file that it includes.

    path: what the text calls that file
    The only numbers in the text are addresses, which the linker must fill in.
    Raises InputError if the symbols did not say the byte order of the image.
    """
    if tables.byteorder is None:
        raise InputError(
            "the byte order of the image is not known from the text of nm", cure="take the symbols from the ELF file"
        )
    lines, parts, size = ['\t.section .rodata, "a"'], [], 0
    for table in laid_out(tables):
        lines += [f".globl {table.label}", f"\t.balign {_alignment(tables, table)}", f"{table.label}:"]
        if table.kind in ("address", "distance"):
            lines += [_without_macros(tables, row).decode() for row in _rows(tables, table)]
        elif len(table.values):
            data = as_bytes(table, tables.bits, tables.byteorder)
            lines.append(f'\t.incbin "{path}", {size}, {len(data)}')
            parts.append(data)
            size += len(data)
    return "\n".join(lines) + "\n", b"".join(parts)


def as_bytes(table: Table, bits: int, byteorder: str, place: int = 0) -> bytes:
    """The contents of a table in an image's word size and byte order; addresses as the linker would fill them in.

    place: the address of the table, from which distances count
    """
    size = _BYTES.get(table.kind, bits // 8)
    values = table.values
    if table.kind == "distance":
        values = (values - np.uint64(place) - np.uint64(size) * np.arange(len(values), dtype=np.uint64)).astype(
            np.uint32
        )
    return values.astype(f"{'<' if byteorder == 'little' else '>'}u{size}").tobytes()
