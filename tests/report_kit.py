"""Two builds of the toy kernel, and what `kallmodsyms report` makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from toy_kit import ROOT, Toy

from kallmodsyms.linkmap import Piece
from kallmodsyms.report.account import Section, account
from kallmodsyms.report.model import Facts, Report
from kallmodsyms.symbols import SymbolTable

MAINTAINERS = """\
Some words that explain the letters.

MINIX FILE SYSTEM
F:	fs/minix/

FILE SYSTEMS
F:	fs/

THE REST
F:	*
F:	*/
"""


def report(*words: str | Path, status: int = 0) -> str:
    """What the command says: its output, or where it fails what it says of that."""
    command = [sys.executable, "-m", "kallmodsyms", "report", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
    return done.stderr if status else done.stdout


class Builds:
    """Two builds of one tree. In the second minix has a function more, and brd is no part of the kernel.

    new, old: the images; tree: their source; document: the numbers of the new one against the old one
    """

    def __init__(self, directory: Path) -> None:
        toy = Toy(directory)
        (toy.tree / "MAINTAINERS").write_text(MAINTAINERS)
        toy.doit()
        later = toy.elsewhere(directory / "later")
        toy.edit("fs/minix/inode.c", "static", "int minix_more(int x)\n{\n\treturn x * 3 + 1;\n}\nstatic", 1)
        later.objdir.mkdir(parents=True)
        config = toy.output(".config").decode()
        assert "CONFIG_BLK_DEV_RAM=y" in config
        (later.objdir / ".config").write_text(config.replace("CONFIG_BLK_DEV_RAM=y", "# CONFIG_BLK_DEV_RAM is not set"))
        later.doit()
        self.tree, self.old, self.new = toy.tree, toy.objdir / "vmlinux", later.objdir / "vmlinux"
        self.document = json.loads(report(self.new, "--tree", self.tree, "--against", self.old, "--json"))


def synthetic(count: int) -> Report:
    """A kernel of so many symbols of 64 to 575 bytes, fifty an object, five objects a module, a third in no module."""
    base = 0xFFFFFFFF81000000
    sizes = 64 + (np.arange(count, dtype=np.uint64) * np.uint64(7919)) % np.uint64(512)
    addresses = base + np.concatenate([np.zeros(1, np.uint64), np.cumsum(sizes)[:-1]])
    ends = addresses + sizes
    table = SymbolTable(
        addresses=addresses,
        sizes=sizes - np.uint64(16),
        types=b"tTdr" * (count // 4) + b"t" * (count % 4),
        names=[b"module_%d_function_%d" % (number // 250, number) for number in range(count)],
        bits=64,
    )
    paths = [f"drivers/d{number // 40}/m{number // 5}/o{number}.o" for number in range(-(-count // 50))]
    firsts = range(0, count, 50)
    pieces = [
        Piece(int(addresses[first]), int(ends[min(first + 49, count - 1)]), path)
        for first, path in zip(firsts, paths, strict=True)
    ]
    total = int(ends[-1]) - base
    half = int(addresses[count // 100 * 50]) - base
    sections = [Section(".text", base, half, "code"), Section(".data", base + half, total - half, "data")]

    def modules_of(path: str) -> tuple[str, ...]:
        name = path.split("/")[2]
        return (name,) if int(name[1:]) % 3 else ()

    made = account(sections, table, pieces, [], [], modules_of)
    facts = [Facts(owner.name[:-1] + "c", "CONFIG_X", "SOMEBODY") for owner in made.owners]
    return Report("synthetic/vmlinux", "", 64, count, made, facts)
