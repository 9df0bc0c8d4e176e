"""modules_thick.builtin: one make process a directory (the way of the patch series) and ours, in one run on one tree.

    python benchmarks/thick.py --tree linux-source-6.1 --objdir build [--arch x86_64] [--repeat 3]

The build directory needs a .config and what `make syncconfig` leaves. The recursion does what the series'
scripts/Makefile.modbuiltin does: a make for each directory includes auto.conf and tristate.conf, the Kbuild file and
scripts/Makefile.lib, prints the lines of this directory, and starts a make for each directory below. As in the series
it does not see directories behind a tristate y; with that repaired ("all") it visits those that we visit.

Ours are whole processes, interpreter and imports included: with nothing kept of any directory or command, with everything kept,
and after one symbol flipped. What the Kconfig files say is kept in all of them, as tristate.conf is given to the
recursion. All files are read once before the clock runs. Figures are minima over the repetitions: seconds of wall time,
and of CPU time with that of the children. Exit status 1 if a target of the project is missed.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FROM_NOTHING_TARGET, FLIPPED_TARGET, RATIO_TARGET, MEMORY_TARGET = 1.5, 0.3, 5, 300

_TOP = """\
include {tree}/Makefile
starts := $(addprefix thick-,. $(patsubst %/,%,$(filter %/,$(ARCH_CORE) $(ARCH_LIB) $(ARCH_DRIVERS))))
.PHONY: thick $(starts)
thick: $(starts) ; @:
$(starts): thick-%:
	@$(MAKE) -f {recursion} obj=$*
"""
# What scripts/Makefile.modbuiltin of the series computes, in words of our own; `{below}` are the lists that are descended into.
_RECURSION = """\
src := {src}
.PHONY: here
here:
include include/config/auto.conf
include include/config/tristate.conf
include $(srctree)/scripts/Kbuild.include
obj-Y :=
include $(or $(wildcard $(srctree)/$(obj)/Kbuild),$(srctree)/$(obj)/Makefile)
members = $($(1:.o=-objs)) $($(1:.o=-y)) $($(1:.o=-Y))
$(foreach m,$(filter %.o,$(obj-Y)),$(info $(obj)/$m:$(addprefix $(obj)/,$(sort $(call members,$m)))))
directories := $(addprefix below-,$(sort $(patsubst %/,$(obj)/%,$(filter %/,{below}))))
include $(srctree)/scripts/Makefile.lib
.PHONY: $(directories)
here: $(directories) ; @:
$(directories): below-%:
	@$(MAKE) -f {recursion} obj=$*
"""


def measured(command: list[str], repeat: int, prepare: Callable[[], None] = lambda: None) -> tuple[float, float, str]:
    """Minima of wall and CPU time of a command, and what it printed. `prepare` runs before each, unmeasured."""
    best_wall = best_cpu = float("inf")
    for _ in range(repeat):
        prepare()
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-3000:]}")
        best_wall = min(best_wall, wall)
        best_cpu = min(best_cpu, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best_wall, best_cpu, done.stdout


def recursion(tree: Path, objdir: Path, arch: str, scratch: Path, below: str) -> list[str]:
    """The command that makes the list with one make a directory."""
    makefile = scratch / f"recursion-{len(below)}.mk"
    relative = re.search(
        r"^src := \$\(obj\)$", (tree / "scripts/Makefile.build").read_text(), re.MULTILINE
    )  # until 6.10
    source = "$(obj)" if relative else "$(srctree)/$(obj)"
    makefile.write_text(
        _RECURSION.replace("{recursion}", str(makefile)).replace("{below}", below).replace("{src}", source)
    )
    top = scratch / f"top-{len(below)}.mk"
    top.write_text(_TOP.format(tree=tree, recursion=makefile))
    return [
        "make",
        "-rRs",
        "--no-print-directory",
        "-I",
        str(tree),
        "-C",
        str(objdir),
        "-f",
        str(top),
        f"ARCH={arch}",
        "thick",
    ]


def flip(config: Path, symbol: str) -> None:
    """Turn a symbol that is y off."""
    text = config.read_text()
    config.write_text(re.sub(rf"^CONFIG_{symbol}=y$", f"# CONFIG_{symbol} is not set", text, flags=re.MULTILINE))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--objdir", type=Path, required=True)
    parser.add_argument("--arch", default="x86_64")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--flip", metavar="SYMBOL", default="E1000", help="a tristate symbol that is y (default: E1000)"
    )
    options = parser.parse_args()
    tree = options.tree.resolve()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        objdir = scratch / "objdir"
        outputs = shutil.ignore_patterns("*.o", "*.a", "vmlinux*", ".kallmodsyms")
        shutil.copytree(options.objdir, objdir, symlinks=True, ignore=outputs)
        place = ["--tree", str(tree), "--objdir", str(objdir), "--arch", options.arch]
        command = [sys.executable, "-m", "kallmodsyms"]
        ours = [*command, "thick", *place]
        cache, answers, config = (
            objdir / ".kallmodsyms/kbuild.cache",
            objdir / ".kallmodsyms/commands.cache",
            objdir / ".config",
        )
        plain = config.read_text()
        subprocess.run([*command, "tristate", *place, "-o", objdir / "include/config/tristate.conf"], check=True)

        def forget() -> None:
            cache.unlink(missing_ok=True)
            answers.unlink(missing_ok=True)

        rows = {}
        for title, below in (("one make a directory, as in the series", "$(obj-y) $(obj-m)"),
                             ("one make a directory, all", "$(obj-y) $(obj-m) $(obj-Y)")):  # fmt: skip
            rows[title] = measured(recursion(tree, objdir, options.arch, scratch, below), options.repeat)
        rows["ours, nothing kept"] = measured(ours, options.repeat, forget)
        rows["ours, everything kept"] = measured(ours, options.repeat)
        kept = cache.read_bytes()

        def flipped() -> None:
            cache.write_bytes(kept)
            flip(config, options.flip)

        rows[f"ours, {options.flip} flipped"] = measured(ours, options.repeat, flipped)
        config.write_text(plain)
        memory = int(subprocess.run(
            [sys.executable, "-c", "import resource, sys; from kallmodsyms import cli; cli.main(sys.argv[1:]); "
             "sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))", "thick", *place],
            capture_output=True, text=True, check=True,
        ).stderr.splitlines()[-1])  # fmt: skip

    nothing = rows["ours, nothing kept"]
    print(f"{'':42}{'wall':>8}{'CPU':>8}{'lines':>8}   from nothing is")
    for title, (wall, cpu, text) in rows.items():
        ratio = (
            f"   {wall / nothing[0]:.1f} (CPU {cpu / nothing[1]:.1f}) times faster" if title.startswith("one") else ""
        )
        print(f"{title:42}{wall:8.2f}{cpu:8.2f}{len(text.splitlines()):8}{ratio}")
    print(f"memory of ours: {memory} MiB")
    targets = {
        f"from nothing under {FROM_NOTHING_TARGET} s": nothing[0] < FROM_NOTHING_TARGET,
        f"{RATIO_TARGET} times faster than the recursion": rows["one make a directory, all"][0]
        > RATIO_TARGET * nothing[0],
        f"one symbol flipped under {FLIPPED_TARGET} s": rows[f"ours, {options.flip} flipped"][0] < FLIPPED_TARGET,
        f"under {MEMORY_TARGET} MiB": memory < MEMORY_TARGET,
    }
    for target, met in targets.items():
        print(f"{'met' if met else 'MISSED'}: {target}")
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
