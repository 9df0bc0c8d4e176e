"""modules_thick.builtin: one make process a directory (the way of the patch series) and ours, in one run on one tree.

    python benchmarks/thick.py --tree linux-source-6.1 --objdir build [--arch x86_64] [--repeat 3] [--before DIR]

The build directory needs a .config and what `make syncconfig` leaves. The recursion does what the series'
scripts/Makefile.modbuiltin does: a make for each directory includes auto.conf and tristate.conf, the Kbuild file and
scripts/Makefile.lib, prints the lines of this directory, and starts a make for each directory below. As in the series
it does not see directories behind a tristate y; with that repaired ("all") it visits those that we visit.

Ours are whole processes, interpreter and imports included: with nothing kept of any directory or command, with
everything kept, and after one symbol flipped. What the Kconfig files say is kept in all of them, as tristate.conf is
given to the recursion. All files are read once before the clock runs. Figures are minima over the repetitions: seconds
of wall time, and of CPU time with that of the children. Exit status 1 if a target of the project is missed.

--before names a checkout of an older commit of this project, from when its package was called `pipeline` and kept
caches (OBJ/.kallmodsyms/*.cache). Its three rows are measured in turn with ours, so that both meet the same machine,
and ours must not be slower than theirs. Both must print the same list.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import measure
from measure import Cost, cost, least, verdict

from kallmodsyms.names import FOLDER
from kallmodsyms.series import recursion

FROM_NOTHING_TARGET, FLIPPED_TARGET, RATIO_TARGET, MEMORY_TARGET, BEFORE_TARGET = 1.5, 0.3, 5, 300, 1.05


@dataclass
class Program:
    """A version of this project, with a build directory of its own.

    module: what `python -m` starts
    source: where that is imported from; None: from where this process has it
    remembers: the files that are restored for each run, by what they are called in OBJ/.kallmodsyms
    """

    title: str
    module: str
    tree: Path
    objdir: Path
    arch: str
    source: Path | None = None
    remembers: dict[str, bytes] = field(default_factory=dict)

    def command(self, name: str) -> list[str]:
        place = ["--tree", str(self.tree), "--objdir", str(self.objdir), "--arch", self.arch]
        return [sys.executable, "-m", self.module, name, *place]

    def run(self, name: str, *options: str) -> Cost:
        environment = None if self.source is None else {**os.environ, "PYTHONPATH": str(self.source)}
        return cost([*self.command(name), *options], self.source, environment)

    def remember(self) -> None:
        """What is kept now is what `restore` brings back."""
        self.remembers = {path.name: path.read_bytes() for path in self._kept()}

    def restore(self) -> None:
        for path in self._kept():
            if path.name not in self.remembers:
                path.unlink()
        for name, content in self.remembers.items():
            (self.objdir / FOLDER / name).write_bytes(content)

    def _kept(self) -> list[Path]:
        return [path for path in (self.objdir / FOLDER).iterdir() if path.name == "ledger" or path.suffix == ".cache"]


def rows_of(programs: Sequence[Program], repeat: int, symbol: str) -> dict[str, dict[str, list[Cost]]]:
    """Each way to start a program, to what it takes each of the programs; these take turns."""
    costs: dict[str, dict[str, list[Cost]]] = {}

    def run(row: str, program: Program) -> None:
        costs.setdefault(row, {}).setdefault(program.title, []).append(program.run("thick"))

    plain = (programs[0].objdir / ".config").read_text()
    for program in programs:
        program.run("tristate", "-o", str(program.objdir / "include/config/tristate.conf"))
        # What the older program keeps there are answers for Makefiles too; those for Kconfig are in kconfig.cache.
        (program.objdir / FOLDER / "commands.cache").unlink(missing_ok=True)
        program.remember()
        program.run("thick")  # all files are read once
    for number in range(repeat):
        for program in programs[:: -1 if number % 2 else 1]:
            program.restore()
            run("nothing kept", program)
    for number in range(repeat):
        for program in programs[:: -1 if number % 2 else 1]:
            run("everything kept", program)
    for program in programs:
        program.remember()
        flip(program.objdir / ".config", symbol)
    for number in range(repeat):
        for program in programs[:: -1 if number % 2 else 1]:
            program.restore()
            run(f"{symbol} flipped", program)
    for program in programs:
        (program.objdir / ".config").write_text(plain)
    return costs


def flip(config: Path, symbol: str) -> None:
    """Turn a symbol that is y off."""
    text = config.read_text()
    config.write_text(re.sub(rf"^CONFIG_{symbol}=y$", f"# CONFIG_{symbol} is not set", text, flags=re.MULTILINE))


def memory_of(program: Program) -> int:
    """The largest resident set of a run with everything kept, in MiB."""
    script = (
        "import resource, sys; from kallmodsyms import cli; cli.main(sys.argv[1:]); "
        "sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))"
    )
    words = [sys.executable, "-c", script, *program.command("thick")[3:]]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stderr.splitlines()[-1])


def main() -> int:
    parser = measure.parser(__doc__)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--objdir", type=Path, required=True)
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--before", metavar="DIR", type=Path, help="a checkout of an older commit, to compare with")
    parser.add_argument(
        "--flip", metavar="SYMBOL", default="E1000", help="a tristate symbol that is y (default: E1000)"
    )
    options = parser.parse_args()
    tree = options.tree.resolve()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        outputs = shutil.ignore_patterns("*.o", "*.a", "vmlinux*", ".kallmodsyms")
        programs = [Program("ours", "kallmodsyms", tree, scratch / "objdir", options.arch)]
        if options.before:
            source = options.before.resolve()
            programs.append(Program("before", "pipeline.cli", tree, scratch / "before", options.arch, source))
        for program in programs:
            shutil.copytree(options.objdir, program.objdir, symlinks=True, ignore=outputs)
        costs = rows_of(programs, options.repeat, options.flip)
        others = {}
        for title, below in (("one make a directory, as in the series", recursion.AS_IN_THE_SERIES),
                             ("one make a directory, all", recursion.ALL)):  # fmt: skip
            command = recursion.command(tree, programs[0].objdir, options.arch, {}, scratch, below)
            others[title] = [cost(command) for _ in range(options.repeat)]
        memory = memory_of(programs[0])
    own = {f"{title}, {row}": some for row, of_program in costs.items() for title, some in of_program.items()}
    measure.figure(
        "modules_thick.builtin", {title: [one.wall for one in some] for title, some in {**others, **own}.items()}
    )
    measure.figure("memory of that", {"ours": [memory]}, "MiB")
    recursions = {title: least(some) for title, some in others.items()}
    found = {row: {title: least(some) for title, some in sides.items()} for row, sides in costs.items()}

    nothing = found["nothing kept"]["ours"]
    print(f"{'':42}{'wall':>8}{'CPU':>8}{'lines':>8}   from nothing is")
    for title, (wall, cpu, text) in recursions.items():
        ratio = f"{wall / nothing.wall:.1f} (CPU {cpu / nothing.cpu:.1f}) times faster"
        print(f"{title:42}{wall:8.2f}{cpu:8.2f}{len(text.splitlines()):8}   {ratio}")
    targets = {}
    for row, of_program in found.items():
        ours = of_program["ours"]
        for title, (wall, cpu, text) in of_program.items():
            ratio = f"   ours takes {ours.wall / wall:.3f} (CPU {ours.cpu / cpu:.3f}) of it" if title != "ours" else ""
            print(f"{f'{title}, {row}':42}{wall:8.3f}{cpu:8.3f}{len(text.splitlines()):8}{ratio}")
        if options.before:
            before = of_program["before"]
            slower = max(ours.wall / before.wall, ours.cpu / before.cpu)
            targets[f"{row}: not slower than {BEFORE_TARGET} of before"] = slower <= BEFORE_TARGET
            targets[f"{row}: the same list as before"] = ours.text == before.text
    print(f"memory of ours: {memory} MiB")
    targets |= {
        f"from nothing under {FROM_NOTHING_TARGET} s": nothing.wall < FROM_NOTHING_TARGET,
        f"{RATIO_TARGET} times faster than the recursion": recursions["one make a directory, all"].wall
        > RATIO_TARGET * nothing.wall,
        f"one symbol flipped under {FLIPPED_TARGET} s": found[f"{options.flip} flipped"]["ours"].wall < FLIPPED_TARGET,
        f"under {MEMORY_TARGET} MiB": memory < MEMORY_TARGET,
    }
    return verdict(targets, options.json)


if __name__ == "__main__":
    sys.exit(main())
