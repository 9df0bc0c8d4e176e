"""The whole link stage: the tree's scripts/link-vmlinux.sh against ours, on the same objects, in one run.

    python benchmarks/link.py --tree linux-source-6.1 --objdir build/linux-small [--arch x86] [--runs 3]

Both run as make's cmd_link_vmlinux in a build directory whose objects are there. "ours, first" begins without tables of an earlier build,
"ours, again" with them. Time is wall-clock, the minimum of the runs; memory is the largest of any one process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

FLAGS = '"$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"'
OURS = f"{sys.executable} -m pipeline.cli link --thick modules_thick.builtin -- {FLAGS}"
CASES = (
    # (name, command of the recipe, files to remove before it)
    ("theirs", f"$< {FLAGS}", ()),
    ("ours, first", OURS, (".tmp_vmlinux0.kallsyms.S", ".tmp_vmlinux0.kallsyms.s", ".tmp_vmlinux0.kallsyms.bin")),
    ("ours, again", OURS, ()),
)


def main() -> None:
    if sys.argv[1:2] == ["--timed"]:
        timed(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--objdir", required=True, type=Path)
    parser.add_argument("--arch", default="x86")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    best: dict[str, tuple[float, int]] = {}
    for number in range(options.runs):
        for name, command, stale in CASES:
            for file in stale:
                (options.objdir / file).unlink(missing_ok=True)
            seconds, kilobytes = run(options, command, f"{name} {number}")
            before = best.get(name, (seconds, 0))
            best[name] = (min(before[0], seconds), max(before[1], kilobytes))
    theirs = best["theirs"][0]
    for name, (seconds, kilobytes) in best.items():
        print(f"{name:<12} {seconds:6.2f} s   {seconds / theirs:4.2f} of theirs   {kilobytes // 1024} MiB")


def run(options: argparse.Namespace, command: str, mark: str) -> tuple[float, int]:
    """One link by make; (seconds, KiB) of the recipe alone. `mark` makes the recipe new, so that make runs it."""
    report = options.objdir.resolve() / ".link-benchmark.json"
    recipe = f": {mark}; {sys.executable} {Path(__file__).resolve()} --timed {report} {command}"
    make = ["make", "-s", "-C", options.tree, f"O={options.objdir.resolve()}", f"ARCH={options.arch}", "vmlinux"]
    subprocess.run([*make, f"cmd_link_vmlinux={recipe}"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    measured = json.loads(report.read_text())
    report.unlink()
    return measured["seconds"], measured["kilobytes"]


def timed(report: Path, command: list[str]) -> None:
    begin = time.perf_counter()
    status = subprocess.run(command, close_fds=False).returncode
    seconds = time.perf_counter() - begin
    report.write_text(json.dumps({"seconds": seconds, "kilobytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}))
    sys.exit(status)


if __name__ == "__main__":
    main()
