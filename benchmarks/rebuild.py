"""A real tree, built again: doit against the tree's own make with its own link, row by row, in one run.

    python benchmarks/rebuild.py --tree linux-source-6.1 --objdir build/linux-small --theirs build/plain [--profile
    config/linux-small.yaml] [--source fs/isofs/inode.c] [--repeat 3]

The first directory must have been built by doit with that profile. The second is made here if it is not there: it gets
the same `.config`, and make with the same words but without the hook builds it (minutes). In each row a source of the
tree is edited, and both build; then it is put back, and both build again outside of the measurement. Figures are minima
over the repetitions, on the clock and of the processors with those of the children. Exit status 1 if a ratio is above
its target.

Whoever interrupts this finds the source edited, with what it was beside it: SOURCE.orig.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from measure import Cost, cost, least, verdict

from kallmodsyms import profile
from kallmodsyms.configured import Configured
from kallmodsyms.plan.make import Make

ROOT = Path(__file__).parent.parent
_VALUE = b"static int benchmark_extra __attribute__((used)) = %d;\n"
ROWS = {
    "nothing to do": (b"", b"", 0.08),
    "a comment in one .c": (b"", b"/* edited */\n", 0.20),
    "one .c that keeps names": (_VALUE % 1, _VALUE % 2, 0.35),
    "one .c that adds a function": (
        b"",
        b"int benchmark_extra(void);\nint benchmark_extra(void) { return 1; }\n",
        0.45,
    ),
}
"""What stands at the end of the source before and after the edit, and which part of make's time doit may take."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--objdir", required=True)
    parser.add_argument("--theirs", required=True, type=Path)
    parser.add_argument("--profile", default="config/linux-small.yaml")
    parser.add_argument("--source", default="fs/isofs/inode.c")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    words = {"tree": os.path.abspath(options.tree), "objdir": os.path.abspath(options.objdir)}
    chosen = profile.load(options.profile, ROOT, words)
    command = Make(chosen, Configured(chosen.tree, chosen.objdir, chosen.arch, chosen.make)).command("vmlinux")
    make = [
        f"O={options.theirs.absolute()}" if word.startswith("O=") else word
        for word in command
        if not word.startswith("cmd_link_vmlinux=")
    ]
    doit = [sys.executable, "-m", "doit", f"profile={options.profile}", *(f"{k}={v}" for k, v in words.items())]
    if not options.theirs.is_dir():
        options.theirs.mkdir(parents=True)
        shutil.copyfile(chosen.objdir / ".config", options.theirs / ".config")
    source = chosen.tree / options.source
    plain = source.read_bytes()
    shutil.copyfile(source, f"{source}.orig")

    def both() -> dict[str, Cost]:
        return {"make": cost(make, ROOT), "doit": cost(doit, ROOT)}

    def put(extra: bytes) -> dict[str, Cost]:
        """What both take after the source was given this end."""
        if source.read_bytes() != plain + extra:
            source.write_bytes(plain + extra)
        return both()

    try:
        both()
        targets = measured(put, options.repeat)
    finally:
        source.write_bytes(plain)
        os.unlink(f"{source}.orig")
        both()
    return verdict(targets)


def measured(put: Callable[[bytes], dict[str, Cost]], repeat: int) -> dict[str, bool]:
    """All rows, printed; which targets are met."""
    targets = {}
    print(f"{'':30}{'make':>8}{'doit':>8}   doit of make (processors)")
    for title, (before, after, target) in ROWS.items():
        costs = []
        for _ in range(repeat):
            put(before)
            costs.append(put(after))
        theirs, ours = (least([one[program] for one in costs]) for program in ("make", "doit"))
        ratio = ours.wall / theirs.wall
        print(f"{title:30}{theirs.wall:7.2f}s{ours.wall:7.2f}s   {ratio:.2f} ({ours.cpu / theirs.cpu:.2f})")
        targets[f"{title}: at most {target}"] = ratio <= target
    return targets


if __name__ == "__main__":
    sys.exit(main())
