"""The way back: the ELF file of a kernel enters, its decoded kallsyms tables leave.

Reads what `tables` writes and what the kernel's own builds have written since 4.6, in any word size and byte order,
with or without module tables and sizes. The file needs its symbol table, which says where the tables are.

Module tables without exceptions are the patch series' of 2021, and are read as its kernel reads them
(get_builtin_module_idx in kernel/kallsyms.c of version 7): whatever kind of symbol lies behind the start of an entry
has its modules, and the last entry is the end.

How the addresses are encoded is not recorded anywhere, but follows from the labels and the numbers:

    kallsyms_addresses                      each address as a word
    kallsyms_offsets, no relative base      (since 7.0)
        32 bits, never descending           the address, where the kernel cannot move
        otherwise                           signed, relative to the place of the entry
    kallsyms_offsets, kallsyms_relative_base
        never descending, read unsigned     base + offset
        otherwise                           CONFIG_KALLSYMS_ABSOLUTE_PERCPU: an offset of 0 or more is the address, a
                                            negative one means base - 1 - offset

Two symbols at one address, of which there are some in every kernel, make places descend. The last two cannot be
mistaken for each other either: the table is sorted by address, the symbol at the base itself has the
offset 0 in one form and -1 in the other, and the offsets of the symbols above it ascend or descend from there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import elf
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import sizes
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.kallsyms.sizes import MARKER_SPAN
from kallmodsyms.names import TEXT_LETTERS, ModuleList


def read(path: str | os.PathLike[str]) -> Kallsyms:
    """The tables in the ELF file `path`.

    Raises InputError, naming table and offset, if they are missing or damaged.
    """
    return decode(elf.Elf(path))


def decode(image: elf.Elf) -> Kallsyms:
    """The tables in an image. Raises InputError as `read` does."""
    return _Decoder(image).decode()


class _Decoder:
    """The labels of one image; reads what is behind a label, and never past the end of its section."""

    def __init__(self, image: elf.Elf) -> None:
        self.image = image
        self.percpu = self.from_places = False  # As `addresses` finds the offsets; the module runs' are the same.
        table = image.symbols()
        defined = np.flatnonzero(
            (table.sections != elf.SHN_UNDEF) & (table.types != elf.STT_SECTION) & (table.types != elf.STT_FILE)
        )
        if b"kallsyms_" not in table.strings:
            defined = defined[:0]  # Do not go through the names of an image without tables.
        self.labels = {
            name.decode(): int(table.values[index])
            for name, index in zip(table.names(defined), defined.tolist(), strict=True)
            if name.startswith(b"kallsyms_") and name.isascii()
        }

    def fail(self, table: str, offset: int, problem: str) -> InputError:
        """The error about the byte `offset` of `table`."""
        return InputError(
            f"{table}: {problem} (offset {offset:#x})", path=self.image.path, cure="the tables are damaged"
        )

    def address(self, label: str) -> int:
        """Where a table is. Raises InputError if the image does not have it."""
        if label not in self.labels:
            raise InputError(
                f"has no kallsyms tables: {label} is missing",
                path=self.image.path,
                cure="the kernel was built without CONFIG_KALLSYMS, or the file is no vmlinux",
            )
        return self.labels[label]

    def array(self, label: str, count: int, size: int) -> NDArray[np.uint64]:
        """A table of `count` integers."""
        address = self.address(label)
        section = self.image.section_at(address)
        room = section.end - address if section is not None else 0
        if count and count * size > room:
            raise self.fail(
                label, room, f"{count} entries of {size} bytes are expected, the section ends after {room} bytes"
            )
        return self.image.words_at(address, count, size) if count else np.zeros(0, np.uint64)

    def number(self, label: str) -> int:
        """A table of one 32-bit integer."""
        return int(self.array(label, 1, 4)[0])

    def contents(self, label: str, length: str) -> bytes:
        """A table of bytes: as many as the table `length` says, or else up to the next label or the section's end."""
        address = self.address(label)
        if length in self.labels:
            return self.array(label, self.number(length), 1).astype(np.uint8).tobytes()
        section = self.image.section_at(address)
        if section is None:
            raise self.fail(label, 0, f"is at {address:#x}, outside of every section")
        end = min([other for other in self.labels.values() if address < other <= section.end], default=section.end)
        return self.image.bytes_at(address, end - address)

    def decode(self) -> Kallsyms:
        count = self.number("kallsyms_num_syms")
        addresses, absolute = self.addresses(count)
        entries = self.names(count)
        types = bytes([entry[0] for entry in entries])
        self.check_sequence(count)
        symbol_sizes = self.sizes(count, addresses, absolute)
        lists, of_symbols, runs, of_runs = self.modules(addresses, types)
        return Kallsyms(
            bits=self.image.bits,
            addresses=addresses,
            absolute=absolute,
            sizes=symbol_sizes,
            types=types,
            names=[entry[1:] for entry in entries],
            lists=lists,
            of_symbols=of_symbols,
            runs=runs,
            of_runs=of_runs,
            has_modules="kallsyms_modules" in self.labels,
            objects=self.objects(count),
            sections=tuple((s.address, s.end) for s in self.image.sections if s.flags & elf.SHF_ALLOC and s.size),
        )

    def addresses(self, count: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """The address of each symbol, and whether it is a per-CPU one kept absolute."""
        absolute = np.zeros(count, np.bool_)
        if "kallsyms_offsets" not in self.labels:
            label, size = "kallsyms_addresses", self.image.bits // 8
            addresses = self.array(label, count, size)
        else:
            label, size = "kallsyms_offsets", 4
            offsets = self.array(label, count, size)
            descending = bool(np.any(offsets[1:] < offsets[:-1]))
            if "kallsyms_relative_base" in self.labels:
                self.percpu = bool(count and (descending or int(offsets[-1]) == 2**32 - 1))
                absolute = (offsets < 2**31) & self.percpu
            else:
                self.from_places = self.image.bits == 64 or descending
            addresses = self.located(label, offsets)
        if np.any(addresses[1:] < addresses[:-1]):
            at = int(np.argmax(addresses[1:] < addresses[:-1])) + 1
            raise self.fail(label, at * size, f"symbol {at} has a lower address than the one before it")
        return addresses, absolute

    def base(self) -> np.uint64:
        return np.uint64(self.array("kallsyms_relative_base", 1, self.image.bits // 8)[0])

    def located(self, label: str, offsets: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The addresses that the `offsets` in the table `label` stand for."""
        signed = offsets.astype(np.uint32).astype(np.int32).astype(np.int64).astype(np.uint64)
        if self.from_places:
            return self.wrap(self.address(label) + 4 * np.arange(len(offsets), dtype=np.uint64) + signed)
        base = self.base() if "kallsyms_relative_base" in self.labels else np.uint64(0)
        if not self.percpu:
            return self.wrap(base + offsets)
        return np.where(signed < 2**63, signed, self.wrap(base - np.uint64(1) - signed))

    def wrap(self, addresses: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return addresses & np.uint64(2**self.image.bits - 1)

    def tokens(self) -> list[bytes]:
        table = self.contents("kallsyms_token_table", "kallsyms_token_table_len")
        tokens = []
        for code, start in enumerate(self.array("kallsyms_token_index", 256, 2).tolist()):
            end = table.find(b"\0", start)
            if end < 0:
                raise self.fail(
                    "kallsyms_token_index", 2 * code, f"token {code} at {start:#x} is outside kallsyms_token_table"
                )
            tokens.append(table[start:end])
        return tokens

    def names(self, count: int) -> list[bytes]:
        """Each symbol's letter and name."""
        token = self.tokens().__getitem__
        # Behind the end a length of 0, which no name has.
        table = self.contents("kallsyms_names", "kallsyms_names_len") + b"\0"
        limit = len(table) - 1
        markers = self.array("kallsyms_markers", -(-count // MARKER_SPAN), 4).tolist()
        names: list[bytes] = []
        position = 0
        for index in range(count):
            if index % MARKER_SPAN == 0 and markers[index // MARKER_SPAN] != position:
                raise self.fail(
                    "kallsyms_markers",
                    4 * (index // MARKER_SPAN),
                    f"says {markers[index // MARKER_SPAN]:#x} for symbol {index}, whose name is at {position:#x}",
                )
            # Lengths from 128 on have two bytes, the lower seven bits first.
            start = position + 1
            length = table[position]
            if length >= 0x80:
                length = length & 0x7F | table[start] << 7
                start += 1
            end = start + length
            if end > limit or not length:
                raise self.fail("kallsyms_names", position, f"the name of symbol {index} has no end in the table")
            name = b"".join(map(token, table[start:end]))
            if not name:
                raise self.fail("kallsyms_names", position, f"symbol {index} has no name")
            names.append(name)
            position = end
        return names

    def check_sequence(self, count: int) -> None:
        """Check that kallsyms_seqs_of_names, if there is one, lists every symbol once."""
        if "kallsyms_seqs_of_names" not in self.labels:
            return
        rows = self.array("kallsyms_seqs_of_names", 3 * count, 1).reshape(-1, 3).astype(np.int64)
        numbers = rows[:, 0] << 16 | rows[:, 1] << 8 | rows[:, 2]
        seen = np.bincount(numbers[numbers < count], minlength=count)
        if (seen != 1).any():
            wrong = (numbers >= count) | (seen[np.minimum(numbers, count - 1)] != 1)
            at = int(np.argmax(wrong))
            raise self.fail(
                "kallsyms_seqs_of_names", 3 * at, f"symbol {int(numbers[at])} is out of range or named twice"
            )

    def sizes(
        self, count: int, addresses: NDArray[np.uint64], absolute: NDArray[np.bool_]
    ) -> NDArray[np.uint64] | None:
        if "kallsyms_size_codes" in self.labels:
            codes = self.contents("kallsyms_size_codes", "kallsyms_size_codes_len")
            markers = self.array("kallsyms_size_markers", -(-count // MARKER_SPAN), 4).astype(np.uint32)
            try:
                return sizes.decode(addresses, absolute, codes, markers)
            except ValueError as error:
                raise InputError(
                    f"kallsyms_size_codes: {error}", path=self.image.path, cure="the tables are damaged"
                ) from error
        if "kallsyms_sizes" in self.labels:
            return self.array("kallsyms_sizes", count, self.image.bits // 8)
        return None

    def modules(
        self, addresses: NDArray[np.uint64], types: bytes
    ) -> tuple[tuple[ModuleList, ...], NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
        """The lists of modules, the list of each symbol, the runs, and the list of each run."""
        of_symbols = np.zeros(len(addresses), np.int64)
        if "kallsyms_modules" not in self.labels:
            return ((),), of_symbols, np.zeros(0, np.uint64), np.zeros(0, np.int64)
        runs = self.number("kallsyms_num_modules")
        values = self.array("kallsyms_modules", runs, 4)
        if "kallsyms_module_offsets" in self.labels:
            label, size = "kallsyms_module_offsets", 4
            starts = self.located(label, self.array(label, runs, size))
        else:
            label, size = "kallsyms_module_addresses", self.image.bits // 8
            starts = self.array(label, runs, size)
        series = "kallsyms_num_module_exceptions" not in self.labels
        late = starts[1:] < starts[:-1] if series else starts[1:] <= starts[:-1]
        if np.any(late):
            at = int(np.argmax(late)) + 1
            raise self.fail(label, at * size, f"run {at} begins no later than the one before it")
        if series:
            values[-1:] = 0  # its reader takes the last one for the end, whatever it says
        elif runs and int(values[-1]):
            raise self.fail("kallsyms_modules", 4 * (runs - 1), "the last run has modules, where the end should be")
        exceptions = self.pairs("kallsyms_module_exceptions", "kallsyms_num_module_exceptions", len(addresses))
        lists, numbers = self.module_lists(values.tolist(), "kallsyms_modules", 4)
        text = np.isin(np.frombuffer(types, np.uint8), np.frombuffer(TEXT_LETTERS, np.uint8)) | series
        run = np.searchsorted(starts, addresses, side="right") - 1
        owned = np.flatnonzero(text & (run >= 0))
        of_runs = np.array(numbers, np.int64)
        of_symbols[owned] = of_runs[run[owned]]
        lists, numbers = self.module_lists(exceptions[:, 1].tolist(), "kallsyms_module_exceptions", 8, lists)
        of_symbols[exceptions[:, 0].astype(np.int64)] = np.array(numbers, np.int64)
        return tuple(lists), of_symbols, starts, of_runs

    def pairs(self, label: str, length: str, count: int) -> NDArray[np.uint64]:
        """A table of (symbol, value) rows, ascending by symbol; no rows if the image has no such table."""
        rows = self.number(length) if length in self.labels else 0
        pairs = self.array(label, 2 * rows, 4).reshape(-1, 2) if rows else np.zeros((0, 2), np.uint64)
        symbols = pairs[:, 0]
        wrong = symbols >= count
        wrong[1:] |= symbols[1:] <= symbols[:-1]
        if wrong.any():
            at = int(np.argmax(wrong))
            raise self.fail(label, 8 * at, f"symbol {symbols[at]} is out of range or out of order")
        return pairs

    def objects(self, count: int) -> dict[int, str]:
        """The ends of the paths of objects, by symbol."""
        found = {}
        pairs = self.pairs("kallsyms_objects", "kallsyms_num_objects", count).tolist()
        names = self.contents("kallsyms_object_names", "kallsyms_object_names_len") if pairs else b""
        for at, (index, offset) in enumerate(pairs):
            end = names.find(b"\0", offset)
            if end <= offset:
                raise self.fail("kallsyms_objects", 8 * at, f"no name at {offset:#x} of kallsyms_object_names")
            found[index] = names[offset:end].decode("utf-8", "surrogateescape")
        return found

    def module_lists(
        self, values: Sequence[int], table: str, stride: int, lists: Sequence[ModuleList] = ((),)
    ) -> tuple[list[ModuleList], list[int]]:
        """What the offsets `values` stand for: `lists` with new ones appended, and the number of each value's list."""
        names = self.contents("kallsyms_module_names", "kallsyms_module_names_len")
        numbers = {one: index for index, one in enumerate(lists)}
        known: dict[int, int] = {0: 0}
        for at, value in enumerate(values):
            if value not in known:
                position, count = value, 1
                if names[value : value + 1] == b"\0":
                    position, count = value + 2, names[value + 1] if value + 1 < len(names) else 0
                found = []
                for _ in range(count):
                    end = names.find(b"\0", position)
                    found.append(names[position:end].decode("utf-8", "surrogateescape"))
                    if end <= position:
                        count = 0
                        break
                    position = end + 1
                if not count:
                    raise self.fail(table, stride * at, f"no list of modules at {value:#x} of kallsyms_module_names")
                known[value] = numbers.setdefault(tuple(found), len(numbers))
        return list(numbers), [known[value] for value in values]
