"""What a graph of many steps costs with nothing to do: doit with the ledger, on made-up objects, and doit alone.

    python benchmarks/idle.py [--objects 3000] [--headers 600] [--repeat 5]

Each object read its source and that many of 6,000 headers, half of them the same for all, and mentions a tenth as many
configuration symbols; its command has 120 words. Printed are the minima of several runs of `doit` in which every step
is up to date, of as many doit tasks that ask nobody (the floor), and the size of the ledger. Exit status 1 if a target
of the project is missed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
from measure import Cost, cost, least, verdict

SECONDS_TARGET, MEGABYTES_TARGET = 0.6, 10

_DODO = """
import atexit, random
from pathlib import Path
from kallmodsyms.ledger import Ledger
from kallmodsyms.step import Builder, Plan, Step
from kallmodsyms.tasks import Asked, _perform

PLACE, OBJECTS, HEADERS = Path({place!r}), {objects}, {headers}
KEPT = Ledger(PLACE / ".kallmodsyms/ledger", PLACE, PLACE)
OPTIONS = ("cc", *(f"-option-{{n}}" for n in range(118)))
atexit.register(KEPT.save)
PLAN = Plan(Builder(KEPT, KEPT.world.under(symbol=lambda name: "y")))
DOIT_CONFIG = {{"dep_file": ":memory:", "backend": "sqlite3", "verbosity": 1}}


def compiled(number):
    def run():
        (PLACE / f"d{{number % 60}}/f{{number}}.o").write_bytes(b"object %d" % number)
        choose = random.Random(number)
        half = HEADERS // 2
        headers = (f"include/h{{n}}.h" for n in (*range(half), *choose.sample(range(half, 6000), half)))
        symbols = (f"S{{n}}" for n in choose.sample(range(2000), HEADERS // 10))
        return [*(("file", name) for name in headers), *(("symbol", name) for name in symbols)]

    words = (*OPTIONS, f"-DNAME={{number}}")
    target = f"d{{number % 60}}/f{{number}}"
    return Step(f"compile:{{target}}.o", words, run, reads=(f"{{target}}.c",), writes=(f"{{target}}.o",))


STEPS = PLAN.add(compiled(number) for number in range(OBJECTS))


def task_compile():
    for step in STEPS:
        yield {{
            "name": step.name.partition(":")[2],
            "actions": [(_perform, [PLAN, step.name])],
            "task_dep": PLAN.before(step),
            "uptodate": [Asked(PLAN, step.name)],
        }}
"""

_FLOOR = """
DOIT_CONFIG = {{"dep_file": ":memory:", "backend": "sqlite3", "verbosity": 1}}


def task_compile():
    for number in range({objects}):
        yield {{"name": f"f{{number}}.o", "actions": [print], "uptodate": [True]}}
"""


def idle(dodo: Path, repeat: int) -> list[Cost]:
    """What a doit takes that finds nothing to do."""
    found = [cost([sys.executable, "-m", "doit", "-f", dodo], dodo.parent) for _ in range(repeat)]
    for one in found:
        if any(line.startswith(".") for line in one.text.splitlines()):
            sys.exit(f"not idle:\n{one.text[-2000:]}")
    return found


def main() -> int:
    parser = measure.parser(__doc__)
    parser.add_argument("--objects", type=int, default=3000)
    parser.add_argument("--headers", type=int, default=600)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", metavar="DIR", help="make the objects in DIR and leave them there")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    with contextlib.nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for number in range(60):
            (place / f"d{number}").mkdir()
        (place / "include").mkdir()
        for number in range(6000):
            (place / f"include/h{number}.h").write_text(f"header {number}")
        for number in range(options.objects):
            (place / f"d{number % 60}/f{number}.c").write_text(f"source {number}")
        (place / "dodo.py").write_text(_DODO.format(place=name, objects=options.objects, headers=options.headers))
        (place / "floor.py").write_text(_FLOOR.format(objects=options.objects))
        for _ in range(2):  # the second run only remembers the files that the first one wrote
            subprocess.run([sys.executable, "-m", "doit"], cwd=place, check=True, stdout=subprocess.DEVNULL)
        ours, others = idle(place / "dodo.py", options.repeat), idle(place / "floor.py", options.repeat)
        (seconds, processor, _), (floor, floor_processor, _) = least(ours), least(others)
        size = (place / ".kallmodsyms/ledger").stat().st_size / 1e6
    print(f"doit, {options.objects} tasks that ask nobody          {floor:6.2f} s  processor {floor_processor:6.2f} s")
    what = f"doit, {options.objects} steps of {options.headers} headers each"
    print(f"{what}      {seconds:6.2f} s  processor {processor:6.2f} s")
    print(f"ledger                                   {size:6.1f} MB")
    sides = {"doit, tasks that ask nobody": others, "ours: doit and the ledger": ours}
    measure.figure("nothing to do", {title: [one.wall for one in found] for title, found in sides.items()})
    measure.figure("the ledger", {"ours": [size]}, "MB")
    targets = {
        f"idle in under {SECONDS_TARGET} s": seconds < SECONDS_TARGET,
        f"a ledger under {MEGABYTES_TARGET} MB": size < MEGABYTES_TARGET,
    }
    return verdict(targets, options.json)


if __name__ == "__main__":
    sys.exit(main())
