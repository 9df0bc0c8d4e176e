"""What is to be attributed: an image, System.map or a copy of /proc/kallsyms enters; a `Subject` leaves."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kallmodsyms import elf, files, running, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import saved, select
from kallmodsyms.kallsyms.select import Selection
from kallmodsyms.release import KallsymsDialect
from kallmodsyms.symbols import SymbolTable


@dataclass(frozen=True)
class Subject:
    """path: what was named
    symbols: all of them
    chosen: those of the kernel's own tables
    sections: (start, end) of the allocated sections
    build_id: in hexadecimal; None if it is not known
    image: the ELF file; None of a text
    named: the ELF file whose symbols may name files: its debug data, or the image
    """

    path: Path
    symbols: SymbolTable
    chosen: Selection
    sections: tuple[tuple[int, int], ...]
    build_id: str | None
    image: elf.Elf | None
    named: elf.Elf | None

    @functools.cached_property
    def addresses(self) -> dict[bytes, int]:
        """Of each name the last address."""
        return dict(zip(self.symbols.names, self.symbols.addresses.tolist(), strict=True))

    @functools.cached_property
    def release(self) -> str | None:
        """What the kernel calls itself; None if that is not known."""
        address = self.addresses.get(b"linux_banner")
        section = self.image.section_at(address) if self.image is not None and address is not None else None
        if self.image is None or section is None or address is None:
            return None
        banner = self.image.bytes_at(address, min(64, section.end - address))
        found = re.match(rb"Linux (?:\w+ )?version (\S+)", banner)
        return None if found is None else found[1].decode("utf-8", "replace")


def of(
    path: str | os.PathLike[str], options: select.Options, dialect: KallsymsDialect, debug: elf.Elf | None = None
) -> Subject:
    """options, dialect: which symbols of an image its tables have; a text has these alone
    debug: where its debug data is; there are all symbols, and names of files, if the image was stripped of them. Of its
        data nobody knows there whether they are initialised, so that their letters are b or B

    Raises InputError if the file is neither an image nor such a text.
    """
    if not is_elf(path):
        return _of_text(Path(path))
    image = elf.Elf(path)
    named = debug if debug is not None and _has_symbols(debug) else image
    table = symbols.from_elf(image if _has_symbols(image) else named)
    allocated = [(s.address, s.end) for s in image.sections if s.flags & elf.SHF_ALLOC and s.size and s.address]
    chosen = select.select(table, options, dialect)
    return Subject(Path(path), table, chosen, tuple(sorted(allocated)), image.build_id(), image, named)


def _has_symbols(image: elf.Elf) -> bool:
    return any(section.type == elf.SHT_SYMTAB for section in image.sections)


def is_elf(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is an ELF file. Raises InputError if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def _of_text(path: Path) -> Subject:
    # Symbols in brackets are of loaded modules, and of what the kernel made while it ran.
    lines = files.read_bytes(path).splitlines(keepends=True)
    table = saved.parse(b"".join(line for line in lines if b"\t[" not in line), path)
    text = table.numbers(b"_text") or table.numbers(b"_stext")
    everything = SymbolTable(table.addresses, table.sizes, table.types, table.names, table.bits)
    chosen = Selection(
        index=np.arange(len(table)),
        names=table.names,
        types=np.frombuffer(table.types, np.uint8),
        absolute=table.absolute,
        text=int(table.addresses[text[0]]) if text else 0,
        too_long=(),
    )
    identity = running.build_id() if path == Path("/", running.KALLSYMS) else None
    return Subject(path, everything, chosen, table.sections, identity, None, None)
