"""docs/attribute.md, made anew: kernels of which the truth is known, attributed by each kind of evidence alone.

    python tests/attribution.py --tree TREE OBJDIR [OBJDIR ...]
    python tests/attribution.py --tree TREE --debian DIR

OBJDIR is a build directory of ours: its vmlinux has exact tables, against which the attribution is counted. DIR is
where Debian's linux-image-*-amd64-dbg and linux-image-*-amd64 are unpacked (`dpkg-deb -x`), of which there is no such
truth. The rows of other kernels stay as they are in the file.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attribution_kit as kit

from kallmodsyms import Kernel

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/attribute.md"
EXACT, DEBIAN = "## Against exact tables\n\n", "## Debian's kernel\n\n"
EXACT_COLUMNS = (
    *("kernel", "compiler", "debug data", "evidence", "text symbols", "right", "wrong", "unknown"),
    *("of modules", "of these unknown"),
)
DEBIAN_COLUMNS = (
    *("kernel", "evidence", "text symbols", "of modules", "modules", "only in modules.builtin"),
    *("only here", "s", "processor s", "MiB"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", required=True, type=Path)
    parser.add_argument("--debian", type=Path)
    parser.add_argument("objdirs", nargs="*", type=Path, metavar="OBJDIR")
    chosen = parser.parse_args()
    head, exact, debian = re.fullmatch(rf"(.*){EXACT}(.*){DEBIAN}(.*)", PAGE.read_text(), re.DOTALL).groups()
    for objdir in chosen.objdirs:
        exact = _merged(exact, EXACT_COLUMNS, 3, exact_rows(objdir, chosen.tree))
    if chosen.debian is not None:
        debian = _merged(debian, DEBIAN_COLUMNS, 1, debian_rows(chosen.debian, chosen.tree))
    PAGE.write_text(f"{head}{EXACT}{exact}{DEBIAN}{debian}")


def _merged(section: str, columns: tuple[str, ...], keys: int, rows: list[tuple[str, ...]]) -> str:
    """The section, with its table in which `rows` take the place of those with the same first `keys` cells."""
    text, *table = section.rstrip("\n").split("\n| ")
    there = [tuple(line.strip("| ").split(" | ")) for line in table[2:]]
    new = {row[:keys] for row in rows}
    kept = [row for row in there if row[:keys] not in new]
    lines = [columns, tuple("---" for _ in columns), *sorted([*kept, *rows], key=lambda row: row[:keys])]
    return text + "".join(f"\n| {' | '.join(row)} |" for row in lines) + "\n\n"


def exact_rows(objdir: Path, tree: Path) -> list[tuple[str, ...]]:
    image = objdir / "vmlinux"
    exact = kit.truth(Kernel.open(image))
    config = (objdir / ".config").read_text()
    compiler, version = re.search(r'^CONFIG_CC_VERSION_TEXT="(\S+) .*?([\d.]+)"$', config, re.MULTILINE).groups()
    dwarf = re.search(r"^CONFIG_DEBUG_INFO_DWARF(\d)=y$", config, re.MULTILINE)
    release = (objdir / "include/config/kernel.release").read_text().strip()
    variables = {"LLVM": "1"} if compiler == "clang" else {}
    rows = []
    for kind, found in kit.by_rungs(image, tree, objdir / ".config", variables=variables).items():
        score = kit.score(found, exact)
        counts = (score.total, len(score.right), len(score.wrong), len(score.unknown), score.of_modules)
        unknown = len(score.unknown_of_modules)
        share = f"{unknown} ({100 * unknown / score.of_modules:.1f} %)"
        about = (
            f"{release}, {len(exact):,} text symbols",
            f"{compiler} {version}",
            f"DWARF {dwarf[1]}" if dwarf else "none",
        )
        rows.append((*about, kind, *map(str, counts), share))
    return rows


def debian_rows(unpacked: Path, tree: Path) -> list[tuple[str, ...]]:
    (image,) = unpacked.glob("usr/lib/debug/boot/vmlinux-*")
    release = image.name.removeprefix("vmlinux-")
    (listed,) = unpacked.glob(f"**/modules/{release}/modules.builtin")
    with tempfile.TemporaryDirectory() as output:
        command = ["attribute", image, "--tree", tree, "--config", unpacked / f"boot/config-{release}", "-o", output]
        started = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "kallmodsyms", *map(str, command)], capture_output=True, text=True, check=True
        )
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        kernel = Kernel.open(Path(output, "kallmodsyms.attribution"))
    ours = {module.name for module in kernel.modules.values()}
    theirs = {Path(line).stem.replace("-", "_") for line in listed.read_text().split()}
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured = (f"{seconds:.0f}", f"{processor:.0f}", f"{after.ru_maxrss / 1024:.0f}")
    counts = [line.split() for line in done.stdout.splitlines()[1:]]
    rest = (str(len(ours)), str(len(theirs - ours)), str(len(ours - theirs)), *measured)
    return [(release, *count, *(rest if at == 0 else [""] * len(rest))) for at, count in enumerate(counts)]


if __name__ == "__main__":
    main()
