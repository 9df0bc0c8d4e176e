"""ELF files: a path enters; sections, symbol columns and the bytes at an address leave.

Any class and byte order, each with a numpy record type. Only what a kernel image needs: section headers, symbol tables,
and the dynamic relocations that hold the values of a position-independent image (System V ABI, chapters 4 and 5).
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.errors import InputError

SHT_SYMTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM, SHT_GROUP, SHT_SYMTAB_SHNDX = 2, 4, 7, 8, 11, 17, 18
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF
STB_LOCAL, STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE = 0, 1, 2, 10
STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE, STT_COMMON, STT_GNU_IFUNC = 1, 2, 3, 4, 5, 10
ET_REL = 1
EM_MIPS, EM_ARM, EM_AARCH64, EM_RISCV = 8, 40, 183, 243
_NT_GNU_BUILD_ID = 3


def _fields(text: str) -> list[tuple[str, str]]:
    """The fields of a record, from words `name:type`."""
    return [(name, kind) for name, _, kind in (word.partition(":") for word in text.split())]


_HEADER = {
    bits: _fields(
        f"ident:S16 type:u2 machine:u2 version:u4 entry:u{word} phoff:u{word} shoff:u{word} flags:u4 ehsize:u2 "
        "phentsize:u2 phnum:u2 shentsize:u2 shnum:u2 shstrndx:u2"
    )
    for bits, word in ((32, 4), (64, 8))
}
_SECTION = {
    bits: _fields(
        f"name:u4 type:u4 flags:u{word} address:u{word} offset:u{word} size:u{word} link:u4 info:u4 align:u{word} "
        f"entsize:u{word}"
    )
    for bits, word in ((32, 4), (64, 8))
}
_SYMBOL = {
    32: _fields("name:u4 value:u4 size:u4 info:u1 other:u1 section:u2"),
    64: _fields("name:u4 info:u1 other:u1 section:u2 value:u8 size:u8"),
}
_RELA = {32: _fields("offset:u4 info:u4 addend:i4"), 64: _fields("offset:u8 info:u8 addend:i8")}


@dataclass(frozen=True)
class Section:
    """A section header; what `link` and `info` mean depends on `type`, as the ABI says."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entsize: int

    @property
    def end(self) -> int:
        """The address after the last byte."""
        return self.address + self.size


@dataclass(frozen=True)
class Symbols:
    """The entries of a symbol table in file order, without its null entry: columns of one length.

    `sections` are indices of real sections (SHN_XINDEX resolved) or, where `reserved`, SHN_ABS, SHN_COMMON and the
    like. `name_offsets` are offsets into `strings`, where every name ends in NUL.
    """

    values: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    bindings: NDArray[np.uint8]
    types: NDArray[np.uint8]
    sections: NDArray[np.uint32]
    reserved: NDArray[np.bool_]
    name_offsets: NDArray[np.int64]
    strings: bytes = field(repr=False)

    def names(self, which: NDArray[np.int64]) -> list[bytes]:
        """The names of the entries `which`, in that order."""
        starts = self.name_offsets[which]
        terminators = np.flatnonzero(np.frombuffer(self.strings, np.uint8) == 0)
        ends = terminators[np.searchsorted(terminators, starts)]
        strings = self.strings
        return [strings[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


class Elf:
    """An ELF file, with its headers read.

    path: where it is
    bits: 32 or 64
    byteorder: "little" or "big", as `int.from_bytes` takes it
    type, machine: e_type, e_machine
    sections: in file order, the null section first
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises InputError if `path` cannot be read, is no ELF file, or is too short for its headers."""
        self.path = Path(path)
        try:
            with open(self.path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                self._data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=path) from error
        ident = bytes(self._data[:16])
        if ident[:4] != b"\x7fELF" or len(ident) < 16:
            raise InputError(
                "is not an ELF file",
                path=path,
                cure="a compressed kernel (bzImage, vmlinuz) is of no use: take the vmlinux of the build directory",
            )
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise InputError(f"ELF header: class {ident[4]} or byte order {ident[5]} is unknown (offset 4)", path=path)
        self.bits = 32 * ident[4]
        self.byteorder = "little" if ident[5] == 1 else "big"
        header = self._records("ELF header", _HEADER[self.bits], 0, 1)[0]
        self.type, self.machine = int(header["type"]), int(header["machine"])
        self.sections = self._read_sections(header)

    def _read_sections(self, header: np.void) -> list[Section]:
        offset, count, names = int(header["shoff"]), int(header["shnum"]), int(header["shstrndx"])
        if offset == 0:
            return []
        if int(header["shentsize"]) != np.dtype(_SECTION[self.bits]).itemsize:
            raise InputError(f"ELF header: section headers of {header['shentsize']} bytes are unknown", path=self.path)
        # If there are more than 0xfeff sections, the null section holds what does not fit in the file header.
        first = self._records("section headers", _SECTION[self.bits], offset, 1)[0]
        count = count or int(first["size"])
        names = int(first["link"]) if names == SHN_XINDEX else names
        table = self._records("section headers", _SECTION[self.bits], offset, count)
        if names >= count:
            raise InputError(
                f"ELF header: section {names} should hold the section names, there are {count}", path=self.path
            )
        strings = self._bytes("section names", int(table["offset"][names]), int(table["size"][names]))
        columns = [
            table[key].tolist() for key in ("type", "flags", "address", "offset", "size", "link", "info", "entsize")
        ]
        sections = []
        for name, *values in zip(table["name"].tolist(), *columns, strict=True):
            end = strings.find(b"\0", name)
            if end < 0:
                raise InputError(f"section names: no name at offset {name:#x}", path=self.path)
            sections.append(Section(strings[name:end].decode("utf-8", "surrogateescape"), *values))
        return sections

    def _bytes(self, what: str, offset: int, size: int) -> bytes:
        if offset + size > len(self._data):
            raise InputError(
                f"{what}: {size} bytes at offset {offset:#x} do not fit in a file of {len(self._data)} bytes",
                path=self.path,
                cure="the file is truncated or damaged: build it again",
            )
        return bytes(self._data[offset : offset + size])

    def _records(self, what: str, fields: list[tuple[str, str]], offset: int, count: int) -> NDArray[np.void]:
        order = "<" if self.byteorder == "little" else ">"
        dtype = np.dtype([(name, kind if kind.startswith("S") else order + kind) for name, kind in fields])
        return np.frombuffer(self._bytes(what, offset, count * dtype.itemsize), dtype)

    def symbols(self, kind: int = SHT_SYMTAB) -> Symbols:
        """The symbol table of type `kind`. Raises InputError if there is none or it is damaged."""
        index, section = next(((i, s) for i, s in enumerate(self.sections) if s.type == kind), (0, None))
        if section is None:
            raise InputError(
                "has no symbol table",
                path=self.path,
                cure="a stripped file is of no use: take the vmlinux of the build directory",
            )
        entry = np.dtype(_SYMBOL[self.bits]).itemsize
        if section.size % entry or section.entsize not in (0, entry):
            raise InputError(
                f"{section.name}: {section.size} bytes do not divide into entries of {entry}", path=self.path
            )
        if not 0 < section.link < len(self.sections):
            raise InputError(
                f"{section.name}: its strings are in section {section.link}, which is not there", path=self.path
            )
        table = self._records(section.name, _SYMBOL[self.bits], section.offset, section.size // entry)[1:]
        named = self.sections[section.link]
        strings = self._bytes(named.name, named.offset, named.size)
        name_offsets = table["name"].astype(np.int64)
        if len(table) and (int(name_offsets.max()) >= len(strings) or not strings.endswith(b"\0")):
            bad = int(np.argmax(name_offsets))
            place = f"symbol {bad + 1} at offset {name_offsets[bad]:#x}"
            raise InputError(f"{section.name}: the name of {place} is outside {named.name}", path=self.path)
        info = table["info"].astype(np.uint8)
        sections = table["section"].astype(np.uint32)
        reserved = sections >= SHN_LORESERVE
        extended = sections == SHN_XINDEX
        if extended.any():
            sections = np.where(extended, self._extended_indices(index, len(table)), sections)
            reserved &= ~extended
        if ((sections >= len(self.sections)) & ~reserved).any():
            bad = int(np.flatnonzero((sections >= len(self.sections)) & ~reserved)[0])
            raise InputError(
                f"{section.name}: symbol {bad + 1} is in section {int(sections[bad])}, which is not there",
                path=self.path,
            )
        return Symbols(
            values=table["value"].astype(np.uint64),
            sizes=table["size"].astype(np.uint64),
            bindings=info >> np.uint8(4),
            types=info & np.uint8(15),
            sections=sections,
            reserved=reserved,
            name_offsets=name_offsets,
            strings=strings,
        )

    def _extended_indices(self, symbol_table: int, count: int) -> NDArray[np.uint32]:
        for section in self.sections:
            if section.type == SHT_SYMTAB_SHNDX and section.link == symbol_table:
                table = self._records(section.name, _fields("index:u4"), section.offset, count + 1)
                return table["index"][1:].astype(np.uint32)
        raise InputError("symbols refer to extended section indices, which are missing", path=self.path)

    def build_id(self) -> str | None:
        """What the linker's --build-id put into a note, in hexadecimal; None if there is none."""
        notes = (self._bytes(s.name, s.offset, s.size) for s in self.sections if s.type == SHT_NOTE)
        return next((found for content in notes if (found := build_id(content, self.byteorder))), None)

    def contents(self, section: Section) -> bytes:
        """The bytes of a section, as the file holds them. Raises InputError if the file ends before they do."""
        return b"" if section.type == SHT_NOBITS else self._bytes(section.name, section.offset, section.size)

    def section_at(self, address: int) -> Section | None:
        """The allocated section that holds `address`, or None."""
        return next((s for s in self.sections if s.flags & SHF_ALLOC and s.address <= address < s.end), None)

    def bytes_at(self, address: int, size: int) -> bytes:
        """`size` bytes at the virtual `address`, as the file holds them (zeros in a section without contents).

        Raises InputError if no section holds all of them.
        """
        section = self.section_at(address)
        if section is None or address + size > section.end:
            raise InputError(f"no section holds {size} bytes at address {address:#x}", path=self.path)
        if section.type == SHT_NOBITS:
            return bytes(size)
        return self._bytes(section.name, section.offset + address - section.address, size)

    def words_at(self, address: int, count: int, size: int) -> NDArray[np.uint64]:
        """`count` unsigned integers of `size` bytes (1, 2, 4, 8) at `address`.

        In a position-independent image a pointer may be in a RELA relocation only (arm64, s390): its value is the
        addend plus the value of the relocation's symbol, if it has one.
        """
        order = "<" if self.byteorder == "little" else ">"
        words = np.frombuffer(self.bytes_at(address, count * size), f"{order}u{size}").astype(np.uint64)
        if size * 8 == self.bits:
            self._relocate(words, address, size)
        return words

    def _relocate(self, words: NDArray[np.uint64], address: int, size: int) -> None:
        for section in self.sections:
            if section.type != SHT_RELA or not section.flags & SHF_ALLOC:
                continue
            entry = np.dtype(_RELA[self.bits]).itemsize
            table = self._records(section.name, _RELA[self.bits], section.offset, section.size // entry)
            where = table["offset"].astype(np.uint64)
            here = table[
                (where >= address) & (where < address + len(words) * size) & ((where - np.uint64(address)) % size == 0)
            ]
            if not len(here):
                continue
            symbol = (here["info"] >> (32 if self.bits == 64 else 8)).astype(np.int64)
            values = here["addend"].astype(np.int64).astype(np.uint64)
            if symbol.any():
                known = np.concatenate([np.zeros(1, np.uint64), self.symbols(SHT_DYNSYM).values])
                if int(symbol.max()) >= len(known):
                    raise InputError(
                        f"{section.name}: symbol {int(symbol.max())} is not in the dynamic symbol table", path=self.path
                    )
                values = values + known[symbol]
            words[((here["offset"].astype(np.uint64) - np.uint64(address)) // size).astype(np.int64)] = values


def build_id(notes: bytes, byteorder: str) -> str | None:
    """The build id, in hexadecimal, among the `notes` of a section or of /sys/kernel/notes; None if there is none.

    >>> build_id(bytes.fromhex("04000000 03000000 03000000 474e5500 abcdef00"), "little")
    'abcdef'
    """
    words = struct.Struct("<3I" if byteorder == "little" else ">3I")
    at = 0
    while at + words.size <= len(notes):
        name_size, size, kind = words.unpack_from(notes, at)
        name = at + words.size
        content = name + (name_size + 3 & ~3)
        if kind == _NT_GNU_BUILD_ID and notes[name:content] == b"GNU\0" and content + size <= len(notes):
            return notes[content : content + size].hex()
        at = content + (size + 3 & ~3)
    return None
