"""docs/kernels.md, made anew: each kernel tree of KALLMODSYMS_TREES, built, compared and booted.

    KALLMODSYMS_TREES=DIR python tests/kernels.py --builds DIR [VERSION ...]

Trees are `linux-5.17/` and `linux-source-6.1/`; a build directory that is there already is used again. A release takes
five to ten minutes on two cores. The rows of releases that are not named stay as they are in the file.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

import conftest
import truth

from kallmodsyms import boot, release, symbols
from kallmodsyms.kallsyms import assembly, reader, tables
from kallmodsyms.kallsyms.filters import OUR_LABELS
from kallmodsyms.kconfig import autoconf
from kallmodsyms.link import exports
from kallmodsyms.link.tables import options
from kallmodsyms.plan.submake import EXPORTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/kernels.md"
HEAD = """\
# Kernels

Made by `tests/kernels.py`, not by hand. Each kernel is built unpatched with `config/linux-small.yaml`. Text symbols are
those of the listing, t, T, w and W. They *agree* if the modules shown are those that the nm of each object and the
KBUILD_MODFILE of its command say; *missing* are symbols of a module that are shown with none, *extra* the other way
round, *wrong* in another module. *Tables*: whether the tree's own scripts/kallsyms makes the same text of the same
image. *Booted*: whether /proc/kallmodsyms and /proc/kallsyms of the running kernel are what we decode from vmlinux.

"""
COLUMNS = (
    *("kernel", "architecture", "toolchain", "modules", "text symbols", "agree", "missing", "extra", "wrong"),
    *("tables", "booted", "date"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", required=True, type=Path)
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    chosen = parser.parse_args()
    rows = {cells[0]: cells for cells in _rows(PAGE.read_text() if PAGE.exists() else "")}
    for version in chosen.versions or [*conftest.VERSIONS, *conftest.other_versions()]:
        row = measured(conftest.linux_tree(version), chosen.builds.absolute() / version)
        rows[row[0]] = row
        print("\t".join(row), flush=True)
    lines = [COLUMNS, tuple("---" for _ in COLUMNS)]
    lines += [rows[name] for name in sorted(rows, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])]
    PAGE.write_text(HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in lines))


def _rows(page: str) -> list[tuple[str, ...]]:
    found = [tuple(line.strip("| ").split(" | ")) for line in page.splitlines() if line.startswith("| ")]
    return [cells for cells in found[2:] if len(cells) == len(COLUMNS)]


def measured(tree: Path, objdir: Path) -> tuple[str, ...]:
    """The row of one tree."""
    words = ("profile=config/linux-small.yaml", f"tree={tree}", f"objdir={objdir}")
    subprocess.run([sys.executable, "-m", "doit", *words], cwd=ROOT, check=True)
    version = (objdir / "include/config/kernel.release").read_text().strip()
    listing = (objdir / "kallmodsyms").read_text()
    text = [line for line in listing.splitlines() if line.split(" ")[2] in truth.TEXT]
    comparison = compared(tree, objdir, listing)
    modules = {name for line in text for name in re.findall(r"\[(\w+)\]", line)}
    counts = (comparison.agree, len(comparison.missing), len(comparison.extra), len(comparison.wrong))
    return (
        f"{version}",
        "x86_64",
        toolchain(objdir),
        str(len(modules)),
        *map(str, (len(text), *counts)),
        "equal" if tables_are_equal(tree, objdir) else "differ",
        "equal" if runs_as_decoded(objdir) else "differs",
        datetime.date.today().isoformat(),
    )


def compared(tree: Path, objdir: Path, listing: str) -> truth.Comparison:
    whole = ["vmlinux.a"]
    if release.link_dialect(tree).script_makes_objects:
        whole = exports.unpacked((objdir / EXPORTS).read_bytes())["KBUILD_VMLINUX_OBJS"].split()
    targets = truth.linked(objdir, whole)
    owners = truth.tristate_modules(objdir, targets)
    return truth.Comparison(truth.expected(objdir, targets, owners), truth.listed(listing))


def toolchain(objdir: Path) -> str:
    config = (objdir / ".config").read_text()
    (compiler,) = re.findall(r'^CONFIG_CC_VERSION_TEXT="(\S+) .*?([\d.]+)"$', config, re.MULTILINE)
    linker = subprocess.run(["ld", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{' '.join(compiler)}, {linker.replace(' (GNU Binutils for Debian)', '')}"


def tables_are_equal(tree: Path, objdir: Path) -> bool:
    """Whether the tree's scripts/kallsyms, compiled by its own make, makes our text of the image's symbols."""
    image = objdir / release.link_dialect(tree).output
    rules, config = release.kallsyms_dialect(tree), autoconf.read(objdir)
    ours = assembly.text(tables.build(symbols.read(image), options(config, rules, "none", False), rules))
    map_text = subprocess.run(["nm", "-n", image], capture_output=True, check=True).stdout
    mksysmap = tree / "scripts/mksysmap"
    if rules.of_system_map and "sed" in mksysmap.read_text().splitlines()[0]:
        map_text = subprocess.run(["sed", "-f", mksysmap], input=map_text, capture_output=True, check=True).stdout
    elif rules.of_system_map:
        made = objdir / ".tmp_kernels.map"
        subprocess.run(["sh", mksysmap, image, made], env={"NM": "nm", "PATH": "/usr/bin:/bin"}, check=True)
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
