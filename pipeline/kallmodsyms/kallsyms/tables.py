"""The tables of a kernel: a `SymbolTable`, what the configuration decides and the owners enter; `Tables` leave.

The base tables are those of the tree's scripts/kallsyms; docs/design.md describes the module tables and the sizes.
`layout` yields them in the order of the output, ready to be written by `assembly` in either form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import strings
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import sizes as compact
from kallmodsyms.kallsyms.compress import Compressed, compress
from kallmodsyms.kallsyms.owners import Owners, suffixes
from kallmodsyms.kallsyms.select import Options, Selection, select
from kallmodsyms.kallsyms.sizes import MARKER_SPAN
from kallmodsyms.names import TEXT_LETTERS, ModuleList
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.symbols import SymbolTable


@dataclass(frozen=True)
class Names:
    """The letters and names in table order, and what follows from them alone.

    From one link pass to the next symbols move but keep their names, so this part is used again.

    coded: `kallsyms_names`
    starts: where each name begins in `coded`, and where the last one ends
    sequence: `kallsyms_seqs_of_names`: the numbers of the symbols in the order of their names
    """

    types: bytes = field(repr=False)
    plain: list[bytes] = field(repr=False)
    compressed: Compressed = field(repr=False)
    coded: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sequence: NDArray[np.int64]


@dataclass(frozen=True)
class ModuleTables:
    """starts, values: the address of each run, and the offset in `names` of its list
    exceptions: (symbol, value) rows
    objects: (symbol, offset in `object_names`) rows, None if they are not kept
    """

    starts: NDArray[np.uint64]
    values: NDArray[np.uint32]
    names: bytes
    exceptions: NDArray[np.uint32]
    objects: NDArray[np.uint32] | None
    object_names: bytes


@dataclass(frozen=True)
class Tables:
    """The tables as values, not yet in a word size and byte order.

    addresses, absolute: of each symbol in table order; whether it is a per-CPU symbol kept absolute
    relative_base: the lowest address that is not absolute; None where addresses are written whole
    text: the address of `_text`
    sizes: of each symbol, None if they are not kept
    compact: the short form of the sizes, None if they are kept dense or not at all
    modules: None if modules are not kept
    too_long: the names that are left out because of the dialect's limit
    """

    options: Options
    dialect: KallsymsDialect = field(repr=False)
    bits: int
    byteorder: str | None
    text: int
    addresses: NDArray[np.uint64]
    absolute: NDArray[np.bool_]
    relative_base: int | None
    names: Names
    sizes: NDArray[np.uint64] | None
    compact: compact.Sizes | None
    modules: ModuleTables | None
    too_long: tuple[bytes, ...]

    @property
    def warnings(self) -> list[str]:
        """What a user should be told of these tables: at most one line."""
        if not self.too_long:
            return []
        first = self.too_long[0][:60].decode("utf-8", "backslashreplace")
        limit = self.dialect.name_limit
        return [f"symbols left out, for names of {limit} bytes or more: {len(self.too_long)}; the first is {first}…"]


@dataclass(frozen=True)
class Table:
    """A label and what stands behind it.

    kind: of the unsigned integers in `values`: "byte", "short", "long" (1, 2, 4 bytes), "word" (a machine word),
        "address" (a word that is a link-time address, and is written relative to `_text`), or "distance" (a link-time
        address too, but what is written, in 4 bytes, is how far it is from the entry itself)
    absolute: which addresses are not written in that way
    rows: the lines of the text form, where they are not what the kind says
    """

    label: str
    kind: str
    values: NDArray[np.unsignedinteger]
    absolute: NDArray[np.bool_] | None = None
    rows: tuple[bytes, ...] | None = None


def build(
    symbols: SymbolTable,
    options: Options,
    dialect: KallsymsDialect,
    owners: Owners | None = None,
    previous: Tables | None = None,
) -> Tables:
    """The tables of an image.

    owners: whose each symbol is, from `owners.attribute` with the same `symbols`; None for tables without modules
    previous: the tables of an earlier link pass: if the names are the same, their compression is used again
    From an empty `symbols` come empty tables with every label, for a first link.
    Raises InputError if an address is too far from the others for the encoding.
    """
    chosen = select(symbols, options, dialect)
    addresses = symbols.addresses[chosen.index]
    types = chosen.types.tobytes()
    if (
        previous is not None
        and (previous.names.types, previous.names.plain) == (types, chosen.names)
        and previous.options.lto_clang == options.lto_clang
    ):
        names = previous.names
    else:
        names = _names(types, chosen.names, options.lto_clang and dialect.cut_llvm)
    relative_base = None
    if options.base_relative or dialect.base_relative:
        relative = addresses[~chosen.absolute]
        relative_base = int(relative[0]) if len(relative) else 0
    kept = None
    if options.sizes != "none":
        known = symbols.sizes if len(symbols) else np.zeros(0, np.uint64)
        kept = known[chosen.index] if known is not None else None
    modules = None
    if owners is not None:
        modules = _module_tables(owners, addresses, chosen, relative_base, options.objects)
    return Tables(
        options=options,
        dialect=dialect,
        bits=symbols.bits,
        byteorder=symbols.byteorder,
        text=chosen.text,
        addresses=addresses,
        absolute=chosen.absolute,
        relative_base=relative_base,
        names=names,
        sizes=kept,
        compact=compact.encode(addresses, chosen.absolute, kept)
        if kept is not None and options.sizes == "compact"
        else None,
        modules=modules,
        too_long=chosen.too_long,
    )


def _names(types: bytes, plain: list[bytes], cut_llvm: bool) -> Names:
    letters = [bytes([letter]) for letter in range(256)]
    entries = [letters[letter] + name for letter, name in zip(types, plain, strict=True)]
    compressed = compress(entries)
    if len(compressed.lengths) and int(compressed.lengths.max()) > 0x3FFF:
        raise InputError(f"the name of symbol {int(compressed.lengths.argmax())} is too long for two bytes of length")
    long = compressed.lengths > 0x7F
    widths = compressed.lengths + 1 + long
    ends = np.cumsum(widths)
    starts = ends - widths
    coded = np.zeros(int(widths.sum()), np.uint8)
    body = np.ones(len(coded), np.bool_)
    body[starts] = False
    body[starts[long] + 1] = False
    coded[starts] = compressed.lengths & 0x7F | np.where(long, 0x80, 0)
    coded[starts[long] + 1] = compressed.lengths[long] >> 7
    coded[body] = compressed.codes
    # Symbols of one name go by address, which is the order that they have already.
    sequence = strings.argsort([name.partition(b".llvm.")[0] for name in plain] if cut_llvm else plain)
    return Names(types, plain, compressed, coded, np.append(starts, len(coded)), sequence)


def _module_tables(
    owners: Owners, addresses: NDArray[np.uint64], chosen: Selection, relative_base: int | None, with_objects: bool
) -> ModuleTables:
    text = np.isin(chosen.types, np.frombuffer(TEXT_LETTERS, np.uint8))
    of_symbols = np.where(text, owners.of_symbols[chosen.index], 0)
    starts, of_runs = owners.starts, owners.of_runs
    if relative_base is not None:
        # An offset cannot be negative, so what lies below every symbol is cut off.
        below = int(np.searchsorted(starts, np.uint64(relative_base), side="right"))
        starts = np.maximum(starts[max(below - 1, 0) :], np.uint64(relative_base))
        of_runs = of_runs[max(below - 1, 0) :]
    names, offsets = module_names(
        [owners.lists[number] for number in sorted({*of_runs.tolist(), *of_symbols.tolist()})]
    )
    values = np.array([offsets.get(modules, 0) for modules in owners.lists], np.uint32)
    run = np.searchsorted(starts, addresses, side="right") - 1
    by_run = np.where(run >= 0, of_runs[run], 0) if len(of_runs) else np.zeros(len(addresses), np.int64)
    odd = np.flatnonzero(text & (by_run != of_symbols))
    exceptions = np.column_stack([odd.astype(np.uint32), values[of_symbols[odd]]])
    objects, object_names = None, b""
    if with_objects:
        places = np.flatnonzero(text)
        suffixed = suffixes(owners, [chosen.names[place] for place in places.tolist()], chosen.index[places])
        object_names, offsets = module_names([(suffix,) for suffix in suffixed.values()])
        rows = [(places[place], offsets[suffix,]) for place, suffix in suffixed.items()]
        objects = np.array(rows, np.uint32).reshape(-1, 2)
    return ModuleTables(starts, values[of_runs], names, exceptions, objects, object_names)


def module_names(lists: Sequence[ModuleList]) -> tuple[bytes, dict[ModuleList, int]]:
    """`kallsyms_module_names` for the `lists`, and the offset of each list: 0 for the empty one.

    Lists of several modules come first, as `0, count, names`; a single name that is in one of them points into it.
    Raises InputError for a list of more than 255 modules.
    """
    out = bytearray(1)
    offsets: dict[ModuleList, int] = {(): 0}
    for modules in sorted(lists, key=lambda one: (len(one) < 2, one)):
        if modules in offsets:
            continue
        if len(modules) > 255:
            raise InputError(
                f"an object is part of {len(modules)} modules, the tables hold at most 255", text=" ".join(modules)
            )
        offsets[modules] = len(out)
        if len(modules) > 1:
            out += bytes([0, len(modules)])
        for name in modules:
            offsets.setdefault((name,), len(out))
            out += name.encode("utf-8", "surrogateescape") + b"\0"
    return bytes(out), offsets


def layout(tables: Tables) -> Iterator[Table]:
    """The tables in the order of the output: the kernel's own in its order, then ours."""
    names, count = tables.names, len(tables.addresses)
    tokens = names.compressed.tokens
    token_table = b"".join(token + b"\0" for token in tokens)
    token_index = strings.starts(np.array([len(token) + 1 for token in tokens], np.int64))
    sequence = np.empty((count, 3), np.uint8)
    for column, shift in enumerate((16, 8, 0)):
        sequence[:, column] = names.sequence >> shift & 0xFF
    base = {
        "kallsyms_addresses": [address_table(tables, "kallsyms", tables.addresses, tables.absolute)],
        "kallsyms_relative_base": [],
        "kallsyms_num_syms": [number_table("kallsyms_num_syms", count)],
        "kallsyms_names": [Table("kallsyms_names", "byte", names.coded)],
        "kallsyms_markers": [Table("kallsyms_markers", "long", names.starts[:count:MARKER_SPAN].astype(np.uint32))],
        "kallsyms_seqs_of_names": [Table("kallsyms_seqs_of_names", "byte", sequence.ravel())],
        "kallsyms_token_table": [Table("kallsyms_token_table", "byte", np.frombuffer(token_table, np.uint8))],
        "kallsyms_token_index": [Table("kallsyms_token_index", "short", token_index.astype(np.uint16))],
    }
    if tables.relative_base is not None:
        base["kallsyms_relative_base"] = [
            Table("kallsyms_relative_base", "address", np.array([tables.relative_base], np.uint64))
        ]
    for label in tables.dialect.labels:
        yield from base[label]
    if tables.sizes is not None or tables.modules is not None:
        yield number_table("kallsyms_names_len", len(names.coded))
        yield number_table("kallsyms_token_table_len", len(token_table))
    if tables.compact is not None:
        yield Table("kallsyms_size_codes", "byte", tables.compact.codes)
        yield Table("kallsyms_size_markers", "long", tables.compact.markers)
        yield number_table("kallsyms_size_codes_len", len(tables.compact.codes))
    elif tables.sizes is not None:
        yield Table("kallsyms_sizes", "word", tables.sizes)
    if tables.modules is not None:
        modules = tables.modules
        yield address_table(tables, "kallsyms_module", modules.starts, np.zeros(len(modules.starts), np.bool_))
        yield Table("kallsyms_modules", "long", modules.values)
        yield number_table("kallsyms_num_modules", len(modules.values))
        yield Table("kallsyms_module_names", "byte", np.frombuffer(modules.names, np.uint8))
        yield number_table("kallsyms_module_names_len", len(modules.names))
        yield Table("kallsyms_module_exceptions", "long", modules.exceptions.ravel())
        yield number_table("kallsyms_num_module_exceptions", len(modules.exceptions))
        if modules.objects is not None:
            yield Table("kallsyms_objects", "long", modules.objects.ravel())
            yield number_table("kallsyms_num_objects", len(modules.objects))
            yield Table("kallsyms_object_names", "byte", np.frombuffer(modules.object_names, np.uint8))
            yield number_table("kallsyms_object_names_len", len(modules.object_names))


def number_table(label: str, value: int) -> Table:
    """A table of one 32-bit number."""
    return Table(label, "long", np.array([value], np.uint32))


def address_table(tables: Tables, prefix: str, addresses: NDArray[np.uint64], absolute: NDArray[np.bool_]) -> Table:
    """Addresses as the configuration wants them.

    Offsets from the base are unsigned. But where per-CPU symbols stay absolute, these are positive and the others count
    down from -1 (kallsyms_sym_address in kernel/kallsyms.c). Offsets from their own place are signed.
    """
    if tables.options.place_relative:
        return _distances(tables, f"{prefix}_offsets", addresses)
    if tables.dialect.place_relative:  # the addresses themselves, on 32 bits
        return Table(f"{prefix}_offsets", "long", addresses.astype(np.uint32))
    if tables.relative_base is None:
        return Table(f"{prefix}_addresses", "address", addresses, absolute)
    base = np.uint64(tables.relative_base)
    if tables.options.absolute_percpu:
        offsets = np.where(absolute, addresses, base - addresses - np.uint64(1))
        lost = np.where(absolute, addresses > 2**31 - 1, offsets < 2**64 - 2**31)
    else:
        offsets = addresses - base
        lost = offsets > 2**32 - 1
    if lost.any():
        at = int(np.argmax(lost))
        raise InputError(
            f"{prefix}_offsets: address {int(addresses[at]):#x} is out of reach of the base {int(base):#x}",
            cure="the kernel cannot be built with base-relative tables",
        )
    return Table(f"{prefix}_offsets", "long", offsets.astype(np.uint32))


def _distances(tables: Tables, label: str, addresses: NDArray[np.uint64]) -> Table:
    far = (addresses - np.uint64(tables.text)).astype(np.int64)
    lost = (far < -(2**31)) | (far > 2**31 - 1)
    if lost.any():
        address = int(addresses[np.argmax(lost)])
        raise InputError(f"{label}: address {address:#x} is out of reach of _text at {tables.text:#x}")
    return Table(label, "distance", addresses)
