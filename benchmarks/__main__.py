"""All benchmarks that docs/ names, against their peers, on this machine: a kernel tree in; a page, a table and plots
out.

    python -m benchmarks --tree linux-source-6.1 --quick           minutes: nothing is built
    python -m benchmarks --tree linux-source-6.1                   an hour or more: kernels are built, of a copy
    python -m benchmarks --tree linux-source-6.1 --only idle kconfig --against benchmarks.json

What is made goes to DIR (build/benchmarks): benchmarks.json, which --against takes, benchmarks.md, benchmarks.html, a
plot each, and the build directories. Exit status 1 if a benchmark missed a target or could not run, or something of
ours takes more than in the earlier run, beyond noise.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine, page

from kallmodsyms import progress
from kallmodsyms.errors import InputError

HERE = Path(__file__).parent
ROOT = HERE.parent


class Places(NamedTuple):
    """The kernel tree, and a build directory with a defconfig; a copy of the tree, which may be edited, and where it is
    built by doit and by its own make alone.
    """

    tree: Path
    configured: Path
    copy: Path
    built: Path
    plain: Path


class Benchmark(NamedTuple):
    """A benchmark: the words that it gets, whole and quick (None: not then); whether it wants the kernel that is built;
    what it needs on the PATH.
    """

    words: Callable[[Places], list[str]]
    quick: Callable[[Places], list[str]] | None = None
    built: bool = False
    programs: tuple[str, ...] = ()


def _configured(*words: str) -> Callable[[Places], list[str]]:
    return lambda at: ["--tree", f"{at.tree}", "--objdir", f"{at.configured}", *words]


def _table_bytes(at: Places) -> list[str]:
    ranges, thick = f"{at.built}/.tmp_vmlinux1.ranges", f"{at.built}/modules_thick.builtin"
    return ["--tree", f"{at.copy}", "--vmlinux", f"{at.built}/vmlinux", "--ranges", ranges, "--thick", thick]


BENCHMARKS = {
    "idle": Benchmark(lambda at: [], lambda at: ["--objects", "500", "--headers", "100", "--repeat", "3"]),
    # makes the configuration that the next one reads
    "kconfig": Benchmark(_configured(), _configured("--runs", "2"), programs=("make", "flex", "bison")),
    "thick": Benchmark(_configured(), _configured("--repeat", "1"), programs=("make", "flex", "bison")),
    "tables": Benchmark(lambda at: ["--tree", f"{at.tree}"], lambda at: ["--tree", f"{at.tree}", "--repeat", "2"]),
    "link": Benchmark(lambda at: ["--tree", f"{at.copy}", "--objdir", f"{at.built}"], built=True),
    "table_bytes": Benchmark(_table_bytes, built=True),
    "reading": Benchmark(lambda at: [f"{at.built}"], built=True, programs=("qemu-system-x86_64", "busybox")),
    "rebuild": Benchmark(
        lambda at: ["--tree", f"{at.copy}", "--objdir", f"{at.built}", "--theirs", f"{at.plain}"], built=True
    ),
}
"""In the order in which they run."""


def main() -> int:
    description, form = __doc__, argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=description, formatter_class=form)
    parser.add_argument("--tree", type=Path, required=True, help="an unpacked kernel tree")
    parser.add_argument("--quick", action="store_true", help="few repetitions, and no kernel is built")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=" ".join(BENCHMARKS))
    parser.add_argument("--against", type=Path, metavar="FILE", help="benchmarks.json of an earlier run")
    parser.add_argument("-o", dest="output", type=Path, default=ROOT / "build/benchmarks", metavar="DIR")
    options = parser.parse_args()
    long = [name for name, benchmark in BENCHMARKS.items() if benchmark.quick is None]
    if options.quick and (named := [name for name in options.only or () if name in long]):
        parser.error(f"{named[0]} needs a kernel that is built, and --quick builds none")
    try:
        earlier = _earlier(options.against)
        if not (options.tree / "Makefile").is_file():
            raise InputError("is no kernel tree: it has no Makefile", path=options.tree)
        options.output.mkdir(parents=True, exist_ok=True)
    except (InputError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    run = _all(options, earlier)
    plots = _written(run, earlier, options.output.resolve())
    for name, benchmark in run["benchmarks"].items():
        for text in (
            benchmark["status"],
            *(f"missed: {text}" for text, met in benchmark["targets"].items() if not met),
        ):
            if text:
                print(f"{name}: {text}")
    slower = [] if earlier is None else page.worse(run, earlier)
    print("\n".join([*slower, f"page         {options.output.resolve()}/benchmarks.html, with {len(plots)} plots"]))
    whole = all(not one["status"] and all(one["targets"].values()) for one in run["benchmarks"].values())
    return 0 if whole and not slower else 1


def _earlier(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found = json.loads(path.read_text())
        list(page.rows(found))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RuntimeError):
        raise InputError("is no benchmarks.json of an earlier run", path=path) from None
    return found


def _all(options: argparse.Namespace, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """Run what was asked for."""
    output = options.output.resolve()
    places = Places(options.tree.resolve(), *(output / name for name in ("configured", "tree", "built", "plain")))
    chosen = [
        name
        for name, benchmark in BENCHMARKS.items()
        if name in (options.only or BENCHMARKS) and not (options.quick and benchmark.quick is None)
    ]
    run: dict[str, Any] = {
        "machine": machine.described(places.tree),
        "pace": [machine.pace()],
        "load": [machine.load()],
    }
    run["benchmarks"] = {}
    known = {} if earlier is None else earlier["benchmarks"]
    work = progress.Work((name, known.get(name, {}).get("seconds")) for name in chosen)
    screen = progress.Screen(work) if progress.is_live(sys.stdout) else None
    if screen is not None:
        screen.start()
    try:
        for name in chosen:
            if screen is not None:
                screen.begin(f"  {name}")
            print(f"== {name}", flush=True)
            run["benchmarks"][name] = _one(name, BENCHMARKS[name], places, options.quick, output)
            run["pace"].append(machine.pace())
            run["load"].append(machine.load())
            if screen is not None:
                screen.end(f"  {name}", name, True)
    finally:
        if screen is not None:
            screen.finish()
    return run


def _one(name: str, benchmark: Benchmark, places: Places, quick: bool, output: Path) -> dict[str, Any]:
    """Run one, and say why where it gives nothing."""
    result: dict[str, Any] = {"command": "", "seconds": 0.0, "status": "", "figures": [], "targets": {}}
    words = benchmark.quick if quick and benchmark.quick is not None else benchmark.words
    missing = [program for program in benchmark.programs if shutil.which(program) is None]
    if missing:
        return result | {"status": f"not run: {' and '.join(missing)} not on the PATH"}
    if benchmark.built and (problem := _build(places)):
        return result | {"status": f"not run: {problem}"}
    figures = output / f"{name}.json"
    figures.unlink(missing_ok=True)
    given = words(places)
    result["command"] = shlex.join(
        ["python", f"benchmarks/{name}.py", *(word.replace(f"{output}/", "") for word in given)]
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, HERE / f"{name}.py", *given, "--json", figures], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    result["seconds"] = round(time.monotonic() - start, 1)
    if not figures.is_file():
        return result | {"status": f"failed with status {done.returncode}: {' '.join(done.stderr.split()[-40:])}"}
    found = json.loads(figures.read_text())
    figures.unlink()
    return result | found


def _build(places: Places) -> str:
    """Build the kernel that a benchmark needs, unless that is done; what is wrong, if it fails."""
    if not places.copy.is_dir():
        shutil.copytree(places.tree, places.copy, symlinks=True)
    words = ["profile=config/linux-small.yaml", f"tree={places.copy}", f"objdir={places.built}"]
    done = subprocess.run([sys.executable, "-m", "doit", *words, "listing", "bzimage"], cwd=ROOT)
    return "" if done.returncode == 0 else f"the kernel cannot be built: doit {shlex.join(words)}"


def _written(run: dict[str, Any], earlier: dict[str, Any] | None, output: Path) -> dict[str, str]:
    """Write all that is kept of a run; the plots."""
    plots = {}
    for name, benchmark in run["benchmarks"].items():
        if benchmark["figures"]:
            plots[name] = f"{name}.svg"
            page.plot(name, benchmark["figures"], output / plots[name])
    (output / "benchmarks.json").write_text(json.dumps(run, indent=1) + "\n")
    (output / "benchmarks.md").write_text(page.markdown(run, earlier, plots))
    (output / "benchmarks.html").write_text(page.html(run, earlier, plots))
    return plots


if __name__ == "__main__":
    sys.exit(main())
