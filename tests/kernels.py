"""docs/kernels.md, made anew: each kernel tree of KALLMODSYMS_TREES, built, compared and booted.

    KALLMODSYMS_TREES=DIR python tests/kernels.py --builds DIR [BUILD ...]

Trees are `linux-5.17/` and `linux-source-6.1/`. A build is a profile and a release, with what else make is told:
`small-5.17`, `arm64-6.12`, `small-6.12+LLVM=1`; its directory is used again if it is there already. One takes three to
ten minutes on two cores. Rows of builds that are not named stay as they are in the file.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import conftest
import truth
import yaml

from kallmodsyms import boot, configured, profile, release, symbols
from kallmodsyms.kallsyms import assembly, reader, tables
from kallmodsyms.kallsyms.filters import OUR_LABELS
from kallmodsyms.kconfig import autoconf
from kallmodsyms.link import exports
from kallmodsyms.link.tables import options
from kallmodsyms.plan.make import Make
from kallmodsyms.plan.submake import EXPORTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/kernels.md"
PROFILES = {path.stem.removeprefix("linux-"): path for path in sorted((ROOT / "config").glob("linux-*.yaml"))}
HEAD = """\
# Kernels

Made by `tests/kernels.py`, not by hand. Each kernel is built unpatched: x86_64 with `config/linux-small.yaml`, others
with the profile of their architecture. Text symbols are those of the listing, t, T, w and W. They *agree* if the
modules shown are those that the nm of each object and the KBUILD_MODFILE of its command say; *missing* are symbols of
a module that are shown with none, *extra* the other way round, *wrong* in another module. *Tables*: whether the
tree's own scripts/kallsyms makes the same text of the same image. *Booted*: whether /proc/kallmodsyms and
/proc/kallsyms of the running kernel are what we decode from vmlinux. *Goes on to*: goals that the tree's make reached
after it, with the same symbols and modules in vmlinux as before; of bindeb-pkg, the kernel in the package is that of
bzImage.

"""
COLUMNS = (
    *("kernel", "architecture", "toolchain", "modules", "text symbols", "agree", "missing", "extra", "wrong"),
    *("tables", "booted", "goes on to", "date"),
)
KEY = 3
"""So many columns tell which row it is."""
IMAGES = {"arm64": ["image"], "riscv64": ["image"], "s390x": ["bzimage"]}
"""The task that makes what is booted, where that is not vmlinux itself."""


class Build(NamedTuple):
    """A kernel: the tree and the build directory, its profile, and what else make is told."""

    tree: Path
    objdir: Path
    profile: str
    words: tuple[str, ...]

    @property
    def cross(self) -> str:
        """What goes before the names of binutils."""
        return yaml.safe_load(PROFILES[self.profile].read_text()).get("make", {}).get("CROSS_COMPILE", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", required=True, type=Path)
    parser.add_argument("--goals", nargs="*", default=[], metavar="GOAL", help="of make: bzImage, modules, bindeb-pkg")
    parser.add_argument("names", nargs="*", metavar="BUILD")
    chosen = parser.parse_args()
    versions = [*conftest.VERSIONS, *conftest.other_versions()]
    everything = [f"small-{version}" for version in versions]
    everything += [f"{name}-6.12" for name in PROFILES if name != "small"]
    rows = {cells[:KEY]: cells for cells in _rows(PAGE.read_text() if PAGE.exists() else "")}
    for name in chosen.names or everything:
        plain, *words = name.split("+")
        profile, _, version = plain.partition("-")
        build = Build(conftest.linux_tree(version), chosen.builds.absolute() / name, profile, tuple(words))
        row = measured(build, chosen.goals)
        rows[row[:KEY]] = row
        print("\t".join(row), flush=True)
        PAGE.write_text(HEAD + _table(rows.values()))


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    def order(cells: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
        return [int(number) for number in re.findall(r"\d+", cells[0])], cells

    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *sorted(rows, key=order)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _rows(page: str) -> list[tuple[str, ...]]:
    found = [tuple(line.strip("| ").split(" | ")) for line in page.splitlines() if line.startswith("| ")]
    return [cells for cells in found[2:] if len(cells) == len(COLUMNS)]


def measured(build: Build, goals: Sequence[str]) -> tuple[str, ...]:
    """The row of one kernel."""
    objdir = build.objdir
    words = (f"profile={PROFILES[build.profile]}", f"tree={build.tree}", f"objdir={objdir}", *build.words)
    tasks = ["listing", "times", *IMAGES.get(build.profile, [])]
    subprocess.run([sys.executable, "-m", "doit", *words, *tasks], cwd=ROOT, check=True)
    version = (objdir / "include/config/kernel.release").read_text().strip()
    listing = (objdir / "kallmodsyms").read_text()
    text = [line for line in listing.splitlines() if line.split(" ")[2] in truth.TEXT]
    comparison = compared(build, listing)
    modules = {name for line in text for name in re.findall(r"\[(\w+)\]", line)}
    counts = (comparison.agree, len(comparison.missing), len(comparison.extra), len(comparison.wrong))
    return (
        version,
        "x86_64" if build.profile == "small" else build.profile,
        toolchain(build),
        str(len(modules)),
        *map(str, (len(text), *counts)),
        "equal" if tables_are_equal(build) else "differ",
        "equal" if runs_as_decoded(objdir) else "differs",
        ", ".join(goal for goal in goals if goes_on_to(build, goal)) or "-",
        datetime.date.today().isoformat(),
    )


def goes_on_to(build: Build, goal: str) -> bool:
    """Whether make reaches the goal, and vmlinux still has our tables. It may be linked anew: a package has a build
    number of its own.
    """
    objdir, before = build.objdir, named(build.objdir)
    settings = {"tree": str(build.tree), "objdir": str(objdir), **dict(word.split("=", 1) for word in build.words)}
    chosen = profile.load(PROFILES[build.profile], ROOT, settings)
    found = configured.Configured(chosen.tree, objdir, chosen.arch, chosen.variables, objdir / ".config", keep=False)
    for package in objdir.parent.glob("linux-image-*.deb"):
        package.unlink()
    subprocess.run(Make(chosen, found).command(goal), check=True, stdout=subprocess.DEVNULL)
    if goal == "bindeb-pkg":
        (package,) = (path for path in objdir.parent.glob("linux-image-*.deb") if "-dbg_" not in path.name)
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
            (kernel,) = Path(directory, "boot").glob("vmlinuz-*")
            if kernel.read_bytes() != (objdir / "arch/x86/boot/bzImage").read_bytes():
                return False
    return named(objdir) == before


def named(objdir: Path) -> list[bytes]:
    """The listing of the image, without addresses and sizes."""
    return sorted(line.split(b" ", 2)[2] for line in reader.read(objdir / "vmlinux").listing().splitlines())


def compared(build: Build, listing: str) -> truth.Comparison:
    tree, objdir = build.tree, build.objdir
    whole = ["vmlinux.a"]
    if release.link_dialect(tree).script_makes_objects:
        whole = exports.unpacked((objdir / EXPORTS).read_bytes())["KBUILD_VMLINUX_OBJS"].split()
    targets = truth.linked(objdir, whole)
    owners = truth.tristate_modules(objdir, targets)
    return truth.Comparison(truth.expected(objdir, targets, owners, f"{build.cross}nm"), truth.listed(listing))


def toolchain(build: Build) -> str:
    config = (build.objdir / ".config").read_text()
    (compiler,) = re.findall(r'^CONFIG_CC_VERSION_TEXT=".*?(\S*gcc|clang)\b.*?([\d.]+)[^"\d]*"$', config, re.MULTILINE)
    program = "ld.lld" if "CONFIG_LD_IS_LLD=y" in config else f"{build.cross}ld"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    (linker,) = re.findall(r"(GNU ld|LLD).*?(\d[\d.]*)", said.splitlines()[0])
    return f"{' '.join(compiler)}, {' '.join(linker)}"


def tables_are_equal(build: Build) -> bool:
    """Whether the tree's scripts/kallsyms, compiled by its own make, makes our text of the image's symbols."""
    tree, objdir, nm = build.tree, build.objdir, f"{build.cross}nm"
    image = objdir / release.link_dialect(tree).output
    rules, config = release.kallsyms_dialect(tree), autoconf.read(objdir)
    ours = assembly.text(tables.build(symbols.read(image), options(config, rules, "none", False), rules))
    map_text = subprocess.run([nm, "-n", image], capture_output=True, check=True).stdout
    mksysmap = tree / "scripts/mksysmap"
    if rules.of_system_map and "sed" in mksysmap.read_text().splitlines()[0]:
        map_text = subprocess.run(["sed", "-f", mksysmap], input=map_text, capture_output=True, check=True).stdout
    elif rules.of_system_map:
        made = objdir / ".tmp_kernels.map"
        subprocess.run(["sh", mksysmap, image, made], env={"NM": nm, "PATH": "/usr/bin:/bin"}, check=True)
        map_text = made.read_bytes()
    if "kallsyms_names" in rules.ignored_symbols:  # those of its own it leaves out by name, and ours it does not know
        ours_too = re.compile(rf" (?:{'|'.join(OUR_LABELS)})$".encode())
        map_text = b"".join(line + b"\n" for line in map_text.splitlines() if not ours_too.search(line))
    known = (tree / "scripts/kallsyms.c").read_text()
    flags = {
        "all-symbols": "KALLSYMS_ALL" in config,
        "absolute-percpu": "KALLSYMS_ABSOLUTE_PERCPU" in config,
        "base-relative": "KALLSYMS_BASE_RELATIVE" in config,
        "pc-relative": "64BIT" in config or "RELOCATABLE" in config,
    }
    words = [f"--{name}" for name, on in flags.items() if on and name in known]
    (objdir / ".tmp_kernels.map").write_bytes(map_text)
    named = [".tmp_kernels.map"] if rules.of_system_map else []
    command = ["scripts/kallsyms", *words, *named]
    theirs = subprocess.run(command, cwd=objdir, input=map_text, capture_output=True, check=True).stdout
    return ours == theirs


def runs_as_decoded(objdir: Path) -> bool:
    decoded = reader.read(objdir / "vmlinux")
    ours, theirs = boot.run(objdir, ["/proc/kallmodsyms", "/proc/kallsyms"]).contents
    return ours == decoded.listing() and theirs == decoded.kallsyms_listing()


if __name__ == "__main__":
    main()
