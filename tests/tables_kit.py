"""What the tests of the table generator share: small images with tables, made with the real assembler and linker.

`image` turns Tables into an ELF file that the reader can open; `TARGETS` are the word sizes and byte orders for that.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kallmodsyms import files
from kallmodsyms.kallsyms import assembly
from kallmodsyms.kallsyms.tables import Tables, layout
from kallmodsyms.symbols import SymbolTable

RODATA = 0x10000  # Where the tables of a test image are linked to, in the lower part of any address space.


class Target(NamedTuple):
    """A toolchain: the prefix of its programs, and what its images are."""

    prefix: str
    bits: int
    byteorder: str


TARGETS = (
    Target("", 64, "little"),
    Target("arm-linux-gnueabihf-", 32, "little"),
    Target("powerpc-linux-gnu-", 32, "big"),
    Target("s390x-linux-gnu-", 64, "big"),
)
NATIVE = TARGETS[0]


def table(rows, target=NATIVE, sizes=True, executable=None):
    """A SymbolTable of (address, letter, name) or (address, letter, name, size) rows, in their order."""
    rows = [(*row, 0)[:4] for row in rows]
    return SymbolTable(
        addresses=np.array([row[0] for row in rows], np.uint64),
        sizes=np.array([row[3] for row in rows], np.uint64) if sizes else None,
        types="".join(row[1] for row in rows).encode(),
        names=[row[2].encode() if isinstance(row[2], str) else row[2] for row in rows],
        bits=target.bits,
        byteorder=target.byteorder,
        executable=executable,
    )


def assemble(
    tables: Tables, directory: Path, target: Target = NATIVE, form: str = "blob", laid_out: assembly.Layout = layout
) -> Path:
    """The object file that the assembler makes of one form of the tables."""
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / f"{form}.o"
    if form == "text":
        files.write(directory / "asm" / "bitsperlong.h", f"#define BITS_PER_LONG {target.bits}\n")
        files.write(directory / "text.S", assembly.text(tables, laid_out))
        command = [f"{target.prefix}gcc", f"-I{directory}", "-c", "-o", output, directory / "text.S"]
    else:
        text, data = assembly.blob(tables, str(directory / "tables.bin"), laid_out)
        files.write(directory / "tables.bin", data)
        files.write(directory / "blob.s", text)
        command = [f"{target.prefix}as", "-o", output, directory / "blob.s"]
    subprocess.run(command, check=True)
    return output


def link(objects: list[Path], output: Path, text: int, target: Target = NATIVE) -> Path:
    """An executable of `objects`, in which `_text` has the value `text`."""
    subprocess.run(
        [
            f"{target.prefix}ld",
            "-o",
            output,
            f"--section-start=.rodata={RODATA:#x}",
            f"--defsym=_text={text:#x}",
            "-e",
            "0",
            *objects,
        ],
        check=True,
    )
    return output


def image(
    tables: Tables, directory: Path, target: Target = NATIVE, form: str = "blob", laid_out: assembly.Layout = layout
) -> Path:
    """An ELF file that holds the tables."""
    return link([assemble(tables, directory, target, form, laid_out)], directory / f"{form}.elf", tables.text, target)


def section(path: Path, name: str, prefix: str = "") -> bytes:
    """The contents of a section, by objcopy."""
    copy = path.with_name(f"{path.name}{name}")
    subprocess.run([f"{prefix}objcopy", "-O", "binary", f"--only-section={name}", path, copy], check=True)
    return copy.read_bytes()
