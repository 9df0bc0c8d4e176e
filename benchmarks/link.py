"""The whole link stage: the tree's scripts/link-vmlinux.sh against ours, on the same objects, in one run.

    python benchmarks/link.py --tree linux-source-6.1 --objdir build/linux-small [--arch x86] [--runs 3]

Both run as make's cmd_link_vmlinux in a build directory whose objects are there, ours with the thick list that was
made before. "ours, first" begins without tables of an earlier build, "ours, again" with them. Of the time, on the
clock and of the processors, the minimum of the runs counts; memory is the largest of any one process. The old vmlinux
is put back.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import measure

from kallmodsyms.link.recipe import NAMES

FLAGS = '"$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"'
OURS = f"{sys.executable} -m kallmodsyms link --thick modules_thick.builtin -- {FLAGS}"
CASES = (
    # (name, command of the recipe, files to remove before it)
    ("theirs", f"$< {FLAGS}", ()),
    ("ours, first", OURS, (NAMES.kept,)),
    ("ours, again", OURS, ()),
)
KEPT = ("vmlinux", "System.map", ".vmlinux.d", ".vmlinux.cmd", "vmlinux.map")


class Cost(NamedTuple):
    """Seconds on the clock and of the processors, KiB."""

    seconds: float
    processor: float
    kilobytes: int


def main() -> None:
    if sys.argv[1:2] == ["--timed"]:
        timed(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = measure.parser(__doc__)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--objdir", required=True, type=Path)
    parser.add_argument("--arch", default="x86")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    program = [
        sys.executable,
        "-m",
        "kallmodsyms",
        "thick",
        "--tree",
        options.tree,
        "--objdir",
        options.objdir,
        "--arch",
        options.arch,
    ]
    subprocess.run([*program, "-o", options.objdir / "modules_thick.builtin"], check=True)
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(dir=options.objdir) as aside:
        kept = [shutil.copy2(options.objdir / name, aside) for name in KEPT if (options.objdir / name).exists()]
        try:
            for number in range(options.runs):
                for name, command, stale in CASES:
                    for file in stale:
                        (options.objdir / file).unlink(missing_ok=True)
                    costs.setdefault(name, []).append(run(options, command, f"{name} {number}"))
        finally:
            for path in kept:
                shutil.copy2(path, options.objdir)
    best = {name: Cost(*(min(column) for column in zip(*rows, strict=True))) for name, rows in costs.items()}
    theirs = best["theirs"]
    for name, cost in best.items():
        memory = max(one.kilobytes for one in costs[name]) // 1024
        print(
            f"{name:<12} {cost.seconds:6.2f} s   {cost.seconds / theirs.seconds:4.2f} of theirs   "
            f"processor {cost.processor:6.2f} s   {cost.processor / theirs.processor:4.2f}   {memory} MiB"
        )
    measure.figure("the link", {name: [one.seconds for one in rows] for name, rows in costs.items()})
    measure.verdict({}, options.json)


def run(options: argparse.Namespace, command: str, mark: str) -> Cost:
    """One link by make, the cost of the recipe alone. `mark` makes the recipe new, so that make runs it."""
    report = options.objdir.resolve() / ".link-benchmark.json"
    recipe = f": {mark}; {sys.executable} {Path(__file__).resolve()} --timed {report} {command}"
    make = ["make", "-s", "-C", options.tree, f"O={options.objdir.resolve()}", f"ARCH={options.arch}", "vmlinux"]
    subprocess.run(
        [*make, f"cmd_link_vmlinux={recipe}"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    cost = Cost(*json.loads(report.read_text()))
    report.unlink()
    return cost


def timed(report: Path, command: list[str]) -> None:
    begin = time.perf_counter()
    status = subprocess.run(command, close_fds=False).returncode
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report.write_text(json.dumps(Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)))
    sys.exit(status)


if __name__ == "__main__":
    main()
