"""Symbols to object file: the kernel's way (mksysmap, scripts/kallsyms, the assembler) and ours, on one image.

    python benchmarks/tables.py --tree linux-source-6.1 [--vmlinux VMLINUX] [--repeat 5]
    python benchmarks/tables.py --tree linux-source-6.1 --synthetic

Without --vmlinux an image of 100,000 symbols is made of names found in the tree. The kernel does the same work for
every link pass. Of ours, the first pass is a process of its own, interpreter and imports included; a later pass is
one more round in a process that has done the first, as in a link. Figures are minima over the repetitions, in seconds
on the clock and of the processors.

--synthetic shows that time grows linearly with the number of symbols, and the peak memory of a million.
Exit status 1 if a target of the project is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np

from kallmodsyms import release, symbols
from kallmodsyms.kallsyms import assembly, select, tables

FIRST_TARGET, LATER_TARGET, MEMORY_TARGET = 0.6, 0.15, 1024
OPTIONS = select.Options(all_symbols=True, absolute_percpu=True, base_relative=True, sizes="compact")


def names_of(tree: Path) -> list[bytes]:
    """Identifiers that the sources of a tree define at the start of a line: names as a kernel has them."""
    pattern = re.compile(
        rb"^(?:static |inline |const |unsigned |void |int |bool |long |struct \w+ \*?)+(\w{4,})(?=[\[(; ])",
        re.MULTILINE,
    )
    found: dict[bytes, None] = {}
    for folder in (
        "kernel",
        "mm",
        "fs",
        "net",
        "lib",
        "block",
        "drivers/pci",
        "drivers/net/ethernet/intel",
        "drivers/gpu/drm/i915",
    ):
        for path in sorted((tree / folder).rglob("*.c")):
            found.update(dict.fromkeys(pattern.findall(path.read_bytes())))
    return list(found)


def make_image(tree: Path, directory: Path, count: int) -> Path:
    """An ELF image with `count` functions and objects whose names are found in the tree."""
    choose = random.Random(count)
    names = names_of(tree)
    names += [b"%b.%d" % (choose.choice(names), number) for number in range(count - len(names))]
    lines = [b".globl _text,_stext\n.text\n_text:\n_stext:"]
    for section, kind, members in ((b".text", b"function", names[:count:2]), (b".data", b"object", names[1:count:2])):
        lines.append(section)
        for name in members:
            size = choose.choice((16, 40, 100, 300))
            visible = b".globl %b\n" % name if choose.random() < 0.4 else b""
            lines.append(
                b"%b.balign 16\n.type %b,@%b\n%b:\n.skip %d\n.size %b,%d"
                % (visible, name, kind, name, size, name, size)
            )
    (directory / "image.s").write_bytes(b"\n".join(lines) + b"\n")
    subprocess.run(["as", "-o", "image.o", "image.s"], cwd=directory, check=True)
    addresses = ["-Ttext=0xffffffff81000000", "-Tdata=0xffffffff83000000"]
    subprocess.run(["ld", "-o", "image", "-e", "0", *addresses, "image.o"], cwd=directory, check=True)
    return directory / "image"


def kernel_way(tree: Path, image: Path, directory: Path) -> Callable[[], None]:
    """One pass as scripts/link-vmlinux.sh does it; the program is compiled beforehand."""
    program = directory / "kallsyms"
    subprocess.run(["cc", "-O2", f"-I{tree}/scripts/include", "-o", program, tree / "scripts/kallsyms.c"], check=True)
    flags = ["--all-symbols", "--absolute-percpu"] + (
        [] if release.kallsyms_dialect(tree).base_relative else ["--base-relative"]
    )
    script = tree / "scripts/mksysmap"
    mksysmap = f"nm -n {image} | sed -f {script} > map"
    if not script.read_text().startswith("#!/bin/sed"):
        mksysmap = f"NM=nm sh {script} {image} map 2>/dev/null"

    def run() -> None:
        subprocess.run(
            f"{mksysmap} && {program} {' '.join(flags)} map > kallsyms.S", shell=True, cwd=directory, check=True
        )
        subprocess.run(["cc", "-I.", "-c", "-o", "kallsyms.o", "kallsyms.S"], cwd=directory, check=True)

    return run


def our_way(
    rules: release.KallsymsDialect, image: Path, directory: Path, previous: tables.Tables | None
) -> tables.Tables:
    """One pass of ours."""
    made = tables.build(symbols.read(image), OPTIONS, rules, previous=previous)
    text, data = assembly.blob(made, "ours.bin")
    (directory / "ours.bin").write_bytes(data)
    (directory / "ours.s").write_text(text)
    subprocess.run(["cc", "-c", "-o", "ours.o", "ours.s"], cwd=directory, check=True)
    return made


def timed(run: Callable[[], object]) -> np.ndarray:
    """What `run` takes in seconds: on the clock, and of the processors with those of the programs that it runs."""
    start, used = time.perf_counter(), sum(os.times()[:4])
    run()
    return np.array([time.perf_counter() - start, sum(os.times()[:4]) - used])


def passes(tree: Path, image: Path, directory: Path) -> None:
    """Do a first and a later pass, and print what the later one took."""
    rules = release.kallsyms_dialect(tree)
    first = our_way(rules, image, directory, None)
    print(*timed(lambda: our_way(rules, image, directory, first)))


def compare(tree: Path, image: Path, directory: Path, repeat: int) -> bool:
    """Print both ways' times; tell whether ours reach the targets."""
    (directory / "asm").mkdir()
    (directory / "asm/bitsperlong.h").write_text("#define BITS_PER_LONG 64\n")
    theirs = kernel_way(tree, image, directory)
    command = [sys.executable, __file__, "--tree", tree, "--vmlinux", image, "--passes-in", directory]
    rounds = []
    said: list[bytes] = []
    for _ in range(repeat):
        reference = timed(theirs)
        said.clear()
        both = timed(lambda: said.append(subprocess.run(command, capture_output=True, check=True).stdout))
        later = np.array(said[0].split(), float)
        rounds.append((reference, both - later, later))
    titles = ("mksysmap, scripts/kallsyms, as", "ours, first pass", "ours, later pass")
    measure.figure("a pass of tables", {title: [round_[at][0] for round_ in rounds] for at, title in enumerate(titles)})
    reference, first, later = (np.min(column, axis=0) for column in zip(*rounds, strict=True))
    print(f"{image.name}: {len(symbols.read(image)):,} symbols; {tree.name}; minimum of {repeat}")
    print("                                            clock                     processor")
    print(f"mksysmap + scripts/kallsyms + assembler   {reference[0]:6.2f} s                  {reference[1]:6.2f} s")
    for name, cost, target in (
        ("first pass (a process of its own)", first, FIRST_TARGET),
        ("later pass", later, LATER_TARGET),
    ):
        clock, processor = cost / reference
        print(
            f"ours, {name:35} {cost[0]:6.2f} s, {clock:.2f} of it   "
            f"{cost[1]:6.2f} s, {processor:.2f} of it   target {target}"
        )
    return bool((first <= FIRST_TARGET * reference).all() and (later <= LATER_TARGET * reference).all())


def synthetic(tree: Path, count: int) -> tuple[float, int]:
    """Processor seconds and peak MiB of a first pass over `count` symbols, without the assembler.

    Memory is that of the whole process.
    """
    choose, known = random.Random(count), names_of(tree)
    names = [b"%b_%b%d" % (choose.choice(known), choose.choice(known)[:12], number) for number in range(count)]
    drawn = symbols.SymbolTable(
        addresses=np.uint64(0xFFFFFFFF81000000) + np.uint64(32) * np.arange(count, dtype=np.uint64),
        sizes=np.full(count, 20, np.uint64),
        types=b"t" * count,
        names=names,
        bits=64,
        byteorder="little",
    )
    _, seconds = timed(lambda: assembly.blob(tables.build(drawn, OPTIONS, release.kallsyms_dialect(tree)), "x"))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def grow(tree: Path) -> bool:
    """Print time and memory of ever more symbols; tell whether they grow linearly and stay below the target."""
    rows = []
    for count in (125_000, 250_000, 500_000, 1_000_000):
        command = [sys.executable, __file__, "--tree", tree, "--count", str(count)]
        seconds, memory = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        rows.append((float(seconds) / count, int(memory)))
        each = float(seconds) / count * 1e6
        print(f"{count:>9,} symbols {float(seconds):6.2f} s  {each:5.1f} us a symbol  {int(memory):5} MiB at most")
    return rows[-1][1] < MEMORY_TARGET and rows[-1][0] < 1.5 * rows[0][0]


def main() -> int:
    parser = measure.parser(__doc__)
    parser.add_argument("--tree", type=Path, required=True, help="an unpacked kernel tree")
    parser.add_argument("--vmlinux", type=Path, help="an image with a symbol table")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--passes-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    tree = arguments.tree.resolve()
    if arguments.passes_in:
        passes(tree, arguments.vmlinux, arguments.passes_in)
        return 0
    if arguments.count:
        print(*synthetic(tree, arguments.count))
        return 0
    if arguments.synthetic:
        return measure.verdict({"linear in the number of symbols": grow(tree)}, arguments.json)
    directory = Path(tempfile.mkdtemp(prefix="kallsyms-"))
    try:
        image = arguments.vmlinux.resolve() if arguments.vmlinux else make_image(tree, directory, 100_000)
        met = compare(tree, image, directory, arguments.repeat)
        return measure.verdict(
            {f"a first pass in {FIRST_TARGET} of theirs, a later one in {LATER_TARGET}": met}, arguments.json
        )
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
