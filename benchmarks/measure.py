"""What the benchmarks share: a command in, what it took out; figures and targets in, the verdict out, and for
`python -m benchmarks` a file of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds on the clock and of the processors, and what was printed."""

    wall: float
    cpu: float
    text: str


def cost(
    command: Sequence[str | os.PathLike[str]],
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """What a command takes, with all that it starts. Where it fails, so do we."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout)


def least(costs: Sequence[Cost]) -> Cost:
    """The minimum of each figure."""
    return Cost(min(one.wall for one in costs), min(one.cpu for one in costs), costs[-1].text)


def parser(document: str) -> argparse.ArgumentParser:
    """The parser of a benchmark; what `--json` names goes to `verdict`."""
    made = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", metavar="FILE", type=Path, help="write the figures of all runs there, too")
    return made


_figures: list[dict[str, object]] = []


def figure(what: str, sides: Mapping[str, Sequence[float]], unit: str = "s") -> None:
    """Keep what was measured: of each side the value in each run. The first side is what the others are compared with;
    a side of ours has a title that begins with `ours`.
    """
    values = {title: [round(float(value), 6) for value in found] for title, found in sides.items()}
    _figures.append({"what": what, "unit": unit, "sides": values})


def verdict(targets: Mapping[str, bool], file: Path | None = None) -> int:
    """Say of each target whether it is met; the exit status, 1 if one is missed. `file`: where figures and targets go,
    too.
    """
    if file is not None:
        file.write_text(json.dumps({"figures": _figures, "targets": dict(targets)}))
    for target, met in targets.items():
        print(f"{'met' if met else 'MISSED'}: {target}")
    return 0 if all(targets.values()) else 1
