"""A configuration: the tree's own `conf --syncconfig` and plain kconfiglib against ours, in one run.

    python benchmarks/kconfig.py --tree linux-source-6.1 --objdir build/bench [--arch x86] [--runs 5]

Each case is a process of its own, which starts, reads the same .config (a defconfig, made in `objdir` if there is none)
and writes auto.conf's text. Time is wall-clock from start to end, memory the largest resident set; both the minimum of
the runs. "plain kconfiglib" is 14.1.0 with the one line replaced that makes it accept a kernel since 5.13.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import measure

from kallmodsyms import kbuild

OURS = """
import json, sys
from kallmodsyms import kconfig
from kallmodsyms.ledger import Ledger
tree, objdir, arch, kept = sys.argv[1:]
environment = json.load(open(f"{objdir}/.kconfig-environment.json"))
ledger = Ledger(kept, tree, objdir)
found = kconfig.load(tree, f"{objdir}/.config", arch, environment, ledger=ledger)
kconfig.auto_conf(found)
print(found.reread, file=sys.stderr)
"""
PLAIN = """
import io, json, os, sys
import kconfiglib
class Kconfig(kconfiglib.Kconfig):
    def _open(self, name, mode):
        return io.StringIO(open(name).read().replace("\\n\\tmodules\\n", "\\n\\toption modules\\n"))
tree, objdir, arch, kept = sys.argv[1:]
os.environ.update(json.load(open(f"{objdir}/.kconfig-environment.json")), srctree=tree)
os.chdir(objdir)
found = Kconfig(warn=False)
found.load_config(".config")
found._autoconf_contents("")
"""


def main() -> None:
    parser = measure.parser(__doc__)
    parser.add_argument("--tree", required=True, type=Path)
    parser.add_argument("--objdir", required=True, type=Path)
    parser.add_argument("--arch", default="x86")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    tree, objdir = options.tree.resolve(), options.objdir.resolve()
    objdir.mkdir(parents=True, exist_ok=True)
    make = ["make", "-s", "-C", tree, f"O={objdir}", f"ARCH={options.arch}"]
    if not (objdir / ".config").is_file():
        subprocess.run([*make, "defconfig"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*make, "syncconfig"], check=True, stdout=subprocess.DEVNULL)
    environment = {**os.environ, **kbuild.environment(kbuild.place(tree, objdir, options.arch))}
    (objdir / ".kconfig-environment.json").write_text(json.dumps(environment))
    config, kept = objdir / ".config", objdir / ".kconfig-benchmark/ledger"
    original = config.read_text()
    flips = (original.replace("CONFIG_EXT4_FS=y", "CONFIG_EXT4_FS=m"), original)

    def flipped(number: int) -> None:
        config.write_text(flips[number % 2])

    conf = [objdir / "scripts/kconfig/conf", "-s", "--syncconfig", "Kconfig"]
    python = [sys.executable, "-c"]
    arguments = [tree, objdir, options.arch, kept]
    cases: list[tuple[str, list, Callable[[int], object]]] = [
        ("conf --syncconfig", conf, lambda number: None),
        ("plain kconfiglib", [*python, PLAIN, *arguments], lambda number: None),
        ("ours, first", [*python, OURS, *arguments], lambda number: kept.unlink(missing_ok=True)),
        ("ours, again", [*python, OURS, *arguments], lambda number: None),
        ("ours, EXT4_FS flips", [*python, OURS, *arguments], flipped),
    ]
    found = {}
    for name, command, prepare in cases:
        measured = found[name] = [run(command, objdir, environment, prepare, number) for number in range(options.runs)]
        seconds, kilobytes = (min(column) for column in zip(*measured, strict=True))
        print(f"{name:<20} {seconds:6.2f} s   {kilobytes // 1024:4} MiB")
    config.write_text(original)
    measure.figure("a configuration", {name: [seconds for seconds, _ in rows] for name, rows in found.items()})
    memory = {name: [kilobytes / 1024 for _, kilobytes in rows] for name, rows in found.items()}
    measure.figure("memory of that", memory, "MiB")
    measure.verdict({}, options.json)


def run(
    command: list, objdir: Path, environment: dict[str, str], prepare: Callable[[int], object], number: int
) -> tuple[float, int]:
    """Wall-clock seconds and KiB of one process."""
    prepare(number)
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=objdir, env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss


if __name__ == "__main__":
    main()
