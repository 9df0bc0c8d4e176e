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
import sys
from pathlib import Path

from measure import Cost, cost, least, verdict

from kallmodsyms import profile
from kallmodsyms.configured import Configured
from kallmodsyms.plan.make import Make

ROOT = Path(__file__).parent.parent
TARGET = 0.2


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
        last = cost(command, ROOT)
    if any(line.startswith(".  ") for line in last.text.splitlines()):
        sys.exit(f"not built by this profile, or not idle:\n{last.text[-1000:]}")
    taken: dict[str, list[Cost]] = {"make, with the same words": [], "doit": []}
    for _ in range(options.repeat):
        for costs, command in zip(taken.values(), (make, ours), strict=True):
            costs.append(cost(command, ROOT))
    best = {name: least(costs) for name, costs in taken.items()}
    for name, (wall, processor, _) in best.items():
        print(f"{name:28} {wall:6.2f} s   processor {processor:6.2f} s")
    theirs, doit = best.values()
    ratio = doit.wall / theirs.wall
    print(f"doit takes {ratio:.2f} of make's time (processor {doit.cpu / theirs.cpu:.2f})")
    return verdict({f"less than {TARGET}": ratio < TARGET})


if __name__ == "__main__":
    sys.exit(main())
