"""The symbols of a kernel image: an ELF file or the text of `nm` enters, a `SymbolTable` leaves.

Letters and order are those of `nm -n` in the C locale (GNU binutils 2.40: bfd/syms.c, binutils/nm.c). They are computed
here because to run nm and parse its text takes longer than everything else that happens to the symbols.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import elf, files, strings
from kallmodsyms.errors import InputError

_UNDEFINED = frozenset(b"Uwv")
_LINE = re.compile(rb"^([0-9a-fA-F]{1,16}| {8,16})(?: ([0-9a-fA-F]{8,16}))? (\S) (\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class SymbolTable:
    """Symbols in the order of `nm -n`: undefined ones first, then by address, then by name.

    addresses: uint64; 0 for undefined symbols
    sizes: uint64, st_size; None if the input does not say
    types: one nm letter each
    names: as in the file
    bits: word size of the image, 32 or 64
    byteorder: "little" or "big"; None if the input does not say
    executable: (start, end) of each section that holds instructions, ascending; None if the input does not say
    """

    addresses: NDArray[np.uint64]
    sizes: NDArray[np.uint64] | None
    types: bytes
    names: list[bytes] = field(repr=False)
    bits: int
    byteorder: str | None = None
    executable: tuple[tuple[int, int], ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def nm(self, sizes: bool = False) -> bytes:
        """The table as `nm -n` prints it, or as `nm -nS` does."""
        digits = self.bits // 4
        lines = []
        for index, (address, letter, name) in enumerate(
            zip(self.addresses.tolist(), self.types, self.names, strict=True)
        ):
            line = b"%0*x" % (digits, address)
            if letter in _UNDEFINED:
                line = b" " * digits
            elif sizes and self.sizes is not None and self.sizes[index]:
                line += b" %0*x" % (digits, int(self.sizes[index]))
            lines.append(b"%b %c %b\n" % (line, letter, name))
        return b"".join(lines)


def read(path: str | os.PathLike[str]) -> SymbolTable:
    """The symbols of an ELF file, or of a text as `nm -n`, `nm -nS` and System.map have it.

    Raises InputError for an ELF file that is damaged or stripped, and for a line that is not nm's.
    """
    try:
        with open(path, "rb") as stream:
            magic, status = stream.read(4), os.fstat(stream.fileno())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if magic != b"\x7fELF":
        return from_text(files.read_bytes(path), path)
    return _of_image(os.fspath(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _of_image(path: str, *identity: int) -> SymbolTable:
    """The symbols of an ELF file, kept while it does not change: the steps of a link ask for them one after another."""
    return from_elf(elf.Elf(path))


def from_text(text: bytes, path: str | os.PathLike[str]) -> SymbolTable:
    """The symbols in the text of `nm -n` or `nm -nS`, in its order; `path` is for messages.

    Raises InputError for a line that is not nm's.
    """
    found = _LINE.findall(text)
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    if len(found) != len(lines):
        for number, line in enumerate(lines, 1):
            if not _LINE.fullmatch(line):
                raise InputError(
                    "is not a line of nm: an address, a size or nothing, a letter, a name",
                    path=path,
                    line=number,
                    text=line.decode("utf-8", "backslashreplace"),
                )
    addresses, sizes, letters, names = map(list, zip(*found, strict=True)) if found else ([], [], [], [])
    return SymbolTable(
        addresses=np.array([int(a, 16) if a[0] != 32 else 0 for a in addresses], np.uint64),
        sizes=np.array([int(s, 16) if s else 0 for s in sizes], np.uint64) if any(sizes) else None,
        types=b"".join(letters),
        names=names,
        bits=32 if found and max(map(len, addresses)) <= 8 else 64,
    )


def from_elf(image: elf.Elf) -> SymbolTable:
    """The symbols of an ELF file that `nm -n` shows: all but section names, file names and mapping symbols.

    Raises InputError if the file has no symbol table or a damaged one.
    """
    table = image.symbols()
    index = np.flatnonzero((table.types != elf.STT_SECTION) & (table.types != elf.STT_FILE))
    letters = _letters(image, table)
    names = table.names(index)
    special = _SPECIAL.get(image.machine)
    if special is not None:
        shown = [position for position, name in enumerate(names) if not special(name)]
        index, names = index[shown], [names[position] for position in shown]
    letters = letters[index]
    undefined = np.isin(letters, np.frombuffer(bytes(_UNDEFINED), np.uint8))
    addresses = np.where(undefined, np.uint64(0), table.values[index])
    common = table.reserved[index] & (table.sections[index] == elf.SHN_COMMON)
    addresses[common] = table.sizes[index][common]  # A common symbol has no address yet; nm shows its size instead.
    if image.machine in (elf.EM_ARM, elf.EM_MIPS):
        # The lowest bit of a function's address is no part of it, but tells the instruction set (Thumb, microMIPS).
        function = np.isin(table.types[index], (elf.STT_FUNC, elf.STT_GNU_IFUNC))
        addresses[function] &= ~np.uint64(1)
    order = strings.argsort(names, (~undefined).astype(np.uint64), addresses)
    return SymbolTable(
        addresses=addresses[order],
        sizes=table.sizes[index][order],
        types=letters[order].tobytes(),
        names=[names[position] for position in order.tolist()],
        bits=image.bits,
        byteorder=image.byteorder,
        executable=_executable(image),
    )


def _executable(image: elf.Elf) -> tuple[tuple[int, int], ...]:
    wanted = elf.SHF_ALLOC | elf.SHF_EXECINSTR
    return tuple(sorted((s.address, s.end) for s in image.sections if s.flags & wanted == wanted and s.size))


def _letters(image: elf.Elf, table: elf.Symbols) -> NDArray[np.uint8]:
    """nm's letter of each entry, from its section, binding and type."""
    by_section = np.array([ord(_section_letter(section)) for section in image.sections] or [ord("a")], np.uint8)
    letters = np.where(table.reserved, np.uint8(ord("a")), by_section[np.where(table.reserved, 0, table.sections)])
    letters = np.where((table.bindings == elf.STB_GLOBAL) & (letters >= ord("a")), letters - 32, letters)
    known = np.isin(table.bindings, (elf.STB_LOCAL, elf.STB_GLOBAL, elf.STB_WEAK, elf.STB_GNU_UNIQUE))
    weak = table.bindings == elf.STB_WEAK
    data = np.isin(table.types, (elf.STT_OBJECT, elf.STT_COMMON))
    undefined = ~table.reserved & (table.sections == elf.SHN_UNDEF)
    # Later assignments win: their order is that of the tests in bfd_decode_symclass, backwards.
    letters[~known] = ord("?")
    letters[table.bindings == elf.STB_GNU_UNIQUE] = ord("u")
    letters[weak] = ord("W")
    letters[weak & data] = ord("V")
    letters[table.types == elf.STT_GNU_IFUNC] = ord("i")
    letters[undefined] = ord("U")
    letters[undefined & weak] = ord("w")
    letters[undefined & weak & data] = ord("v")
    letters[table.reserved & (table.sections == elf.SHN_COMMON)] = ord("C")
    return letters


# Sections whose letter depends on their name only; the name may go on after one of these characters.
_NAMED = {".drectve": "i", ".edata": "e", ".idata": "i", ".pdata": "p"}
_NAMED_SECTION = re.compile(r"(\.drectve|\.edata|\.idata|\.pdata)(?:[.$0-9].*)?", re.DOTALL)
_DEBUGGING = (".debug", ".zdebug", ".gnu.debuglto_.debug_", ".gnu.linkonce.wi.", ".line", ".stab")


def _section_letter(section: elf.Section) -> str:
    named = _NAMED_SECTION.fullmatch(section.name)
    if named:
        return _NAMED[named[1]]
    contents = section.type != elf.SHT_NOBITS
    if section.flags & elf.SHF_EXECINSTR:
        return "t"
    if section.flags & elf.SHF_ALLOC and contents:
        return "d" if section.flags & elf.SHF_WRITE else "r"
    if not contents:
        return "b"
    if not section.flags & elf.SHF_ALLOC and (section.name.startswith(_DEBUGGING) or section.name == ".gdb_index"):
        return "N"
    return "?" if section.flags & elf.SHF_WRITE else "n"


# Mapping symbols tell code from data within a section; nm leaves them out.
_ARM_MAPPING = re.compile(rb"\$[a-z](?:\.|$)")
_AARCH64_MAPPING = re.compile(rb"\$[xd](?:\.|$)")
_RISCV_MAPPING = re.compile(rb"$|\$d|\$x(?:rv|\.|$)|\.L|\.\.|_\.L_")
_SPECIAL = {elf.EM_ARM: _ARM_MAPPING.match, elf.EM_AARCH64: _AARCH64_MAPPING.match, elf.EM_RISCV: _RISCV_MAPPING.match}
