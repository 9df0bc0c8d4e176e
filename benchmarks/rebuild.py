"""A real tree with nothing to do: doit against the tree's own make, on the same build directory, in one run.

    python benchmarks/rebuild.py --tree linux-source-6.1 --objdir build/linux-small [--profile
    config/linux-small.yaml] [--repeat 5]

The directory must have been built by doit with that profile. make is given the very words that doit gives it, so that
neither finds anything to do; each is run once before the clock runs. Figures are minima over the repetitions, on the
clock and of the processors with those of the children. Exit status 1 if doit takes more than a fifth of make's time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from kallmodsyms import profile
from kallmodsyms.configured import Configured
from kallmodsyms.plan.make import Make

ROOT = Path(__file__).parent.parent
TARGET = 0.2


def timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds on the clock and of the processors of a command, and what it said."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--objdir", required=True)
    parser.add_argument("--profile", default="config/linux-small.yaml")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    words = {"tree": os.path.abspath(options.tree), "objdir": os.path.abspath(options.objdir)}
    chosen = profile.load(options.profile, ROOT, words)
    make = Make(chosen, Configured(chosen.tree, chosen.objdir, chosen.arch, chosen.make)).command("vmlinux")
    ours = [
        sys.executable,
        "-m",
        "doit",
        f"profile={options.profile}",
        *(f"{key}={value}" for key, value in words.items()),
    ]
    for command in (ours, make, ours):
        _, _, said = timed(command)
    if any(line.startswith(".  ") for line in said.splitlines()):
        sys.exit(f"not built by this profile, or not idle:\n{said[-1000:]}")
    rows = {"make, with the same words": make, "doit": ours}
    best = {name: [float("inf"), float("inf")] for name in rows}
    for _ in range(options.repeat):
        for name, command in rows.items():
            wall, processor, _ = timed(command)
            best[name] = [min(best[name][0], wall), min(best[name][1], processor)]
    theirs, ours_best = best["make, with the same words"], best["doit"]
    for name, (wall, processor) in best.items():
        print(f"{name:28} {wall:6.2f} s   processor {processor:6.2f} s")
    ratio = ours_best[0] / theirs[0]
    print(f"doit takes {ratio:.2f} of make's time (processor {ours_best[1] / theirs[1]:.2f})")
    print(f"{'met' if ratio < TARGET else 'MISSED'}: less than {TARGET}")
    return 0 if ratio < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
