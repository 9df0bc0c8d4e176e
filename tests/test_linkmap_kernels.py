"""Real kernels, built here with each linker and layout: the link map against what the objects and Kbuild say.

Truth never comes from the map: the text symbols of an object are those that `nm` finds in it, and its modules those
in the KBUILD_MODFILE of its own compile command, if the tree's modules.builtin has them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import truth
from conftest import linux_tree
from test_linkmap import attribution

from kallmodsyms import configured, kbuild, symbols
from kallmodsyms.kallsyms import owners
from kallmodsyms.link import tables
from kallmodsyms.link.relocatable import Relocatable
from kallmodsyms.linkmap import builtin_ranges, ranges, read
from kallmodsyms.names import module_name

pytestmark = pytest.mark.long

# A few modules of many objects and of one, and a map.
CONFIG = """
CONFIG_64BIT=y
CONFIG_EXPERT=y
CONFIG_PRINTK=y
CONFIG_MODULES=y
CONFIG_KALLSYMS=y
CONFIG_BLOCK=y
CONFIG_EXT4_FS=y
CONFIG_VFAT_FS=y
CONFIG_ISO9660_FS=y
CONFIG_VMLINUX_MAP=y
CONFIG_BUILTIN_MODULE_RANGES=y
"""
PER_CPU_AT_0 = "CONFIG_SMP=y\n"
IBT = "CONFIG_X86_KERNEL_IBT=y\n"

# What make is told, and what the configuration has besides.
LAYOUTS = {
    "gnu": (["ARCH=x86"], PER_CPU_AT_0),
    "llvm": (["ARCH=x86", "LLVM=1"], PER_CPU_AT_0),
    "ibt": (["ARCH=x86"], IBT),
    "ibt-llvm": (["ARCH=x86", "LLVM=1"], IBT),
    "um": (["ARCH=um"], ""),
}

# In modules.builtin for the MODULE_LICENSE in their source, although no value of any option makes modules of them:
# their line in the makefile is `obj-y`, or has a bool option.
NEVER_MODULES = {
    "drivers/cpufreq/freq_table",
    "drivers/cpufreq/intel_pstate",
    "drivers/tty/n_null",
    "drivers/video/console/vgacon",
    "fs/binfmt_elf",
    "lib/crypto/libblake2s",
}


class Build:
    """A built kernel: `directory` with vmlinux and its maps, and what it was built from."""

    def __init__(self, version: str, layout: str, directory: Path) -> None:
        self.version, self.directory, self.tree = version, directory, linux_tree(version)
        arguments, config = LAYOUTS[layout]
        self.arch = arguments[0].removeprefix("ARCH=")
        if not (directory / "vmlinux").exists():
            self._make(arguments, config)
        self.object_map = directory / "vmlinux.o.map" if "ibt" in layout else None
        if self.object_map and not self.object_map.exists():
            self._make_object_map()

    def _make(self, arguments: list[str], config: str) -> None:
        fragment = self.directory / "fragment"
        fragment.write_text(CONFIG + config)
        make = ["make", "-C", self.tree, f"O={self.directory}", *arguments]
        subprocess.run([*make, f"KCONFIG_ALLCONFIG={fragment}", "tinyconfig"], check=True, stdout=subprocess.DEVNULL)
        missed = set(fragment.read_text().split()) - set((self.directory / ".config").read_text().split())
        assert missed <= {"CONFIG_BUILTIN_MODULE_RANGES=y"}
        subprocess.run([*make, f"-j{os.cpu_count()}", "vmlinux"], check=True, stdout=subprocess.DEVNULL)

    def _make_object_map(self) -> None:
        """Repeat the `ld -r` of a kernel that cannot be asked for its map (before 6.12)."""
        command = re.match(r"(?:saved)?cmd_vmlinux\.o := (.*?) *;", (self.directory / ".vmlinux.o.cmd").read_text())
        again = command[1].replace(" -o vmlinux.o", " -o again.o -Map=vmlinux.o.map")
        subprocess.run(again, shell=True, cwd=self.directory, check=True)

    def ranges(self) -> ranges.Ranges:
        """What goes into the tables, by way of the file."""
        path = self.directory / ".tmp_vmlinux.ranges"
        known = Relocatable(self.object_map)
        found = tables.ranges(self.directory / "vmlinux.map", known, self.directory / "vmlinux", self.directory)
        path.write_text(ranges.text(found))
        return ranges.parse(path)

    def modules(self) -> list[kbuild.Module]:
        return configured.Configured(self.tree, self.directory, self.arch).modules

    def objects(self) -> list[str]:
        """Every object that the image may be linked from, in link order."""
        command = (self.directory / ".vmlinux.o.cmd").read_text().splitlines()[0]
        members = []
        for archive in re.findall(r"\S+\.a\b", command):
            members += subprocess.run(
                ["ar", "t", archive], cwd=self.directory, check=True, capture_output=True, text=True
            ).stdout.split()
        if self.arch == "um":  # The compiler links, and adds its own.
            for name in ("crt1.o", "crti.o", "crtbegin.o", "crtend.o", "crtn.o"):
                found = subprocess.run(["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True)
                members.append(os.path.normpath(found.stdout.strip()))
        return list(dict.fromkeys([*members, "init/version-timestamp.o", ".vmlinux.export.o"]))

    def names_of(self, path: str) -> tuple[str, ...]:
        """The modules of an object: those that its compile command names and modules.builtin has."""
        if path.startswith("/"):
            return ()
        known = self.builtin()
        return tuple(sorted(module_name(name + ".o") for name in truth.modfile(self.directory, path) if name in known))

    def builtin(self) -> set[str]:
        """The built-in modules by modules.builtin: `fs/ext4/ext4`."""
        lines = (self.directory / "modules.builtin").read_text().split()
        return {line.removeprefix("kernel/").removesuffix(".ko") for line in lines} - NEVER_MODULES


@pytest.fixture(scope="module", params=[f"{version}-{layout}" for version in ("6.1", "6.12") for layout in LAYOUTS])
def build(request, tmp_path_factory) -> Build:
    """Each kernel in turn; those already built in $KALLMODSYMS_BUILDS/VERSION-LAYOUT are taken as they are."""
    version, _, layout = request.param.partition("-")
    named = os.environ.get("KALLMODSYMS_BUILDS")
    directory = Path(named, request.param) if named else tmp_path_factory.mktemp(request.param)
    return Build(version, layout, directory)


def counted(names, answers) -> dict[str, Counter]:
    result: dict[str, Counter] = {}
    for name, answer in zip(names, answers, strict=True):
        result.setdefault(name, Counter())[answer] += 1
    return result


def test_every_text_symbol_is_its_objects(build, capsys):
    """Which object defines it, by the map and by nm."""
    table = symbols.read(build.directory / "vmlinux")
    text = [index for index, letter in enumerate(table.types) if letter in b"tTwW"]
    names = [table.names[index].decode() for index in text]
    found = build.ranges()
    answers = [attribution(found, int(table.addresses[index]), name) for index, name in zip(text, names, strict=True)]
    objects = build.objects()
    comparison = truth.Comparison(
        truth.expected(build.directory, objects, {path: (path,) for path in objects}),
        counted(names, [() if answer is None else (answer,) for answer in answers]),
    )
    with capsys.disabled():
        print(f"\n{build.directory.name}: {len(text)} text symbols, objects: {comparison}")
    assert (comparison.missing, comparison.extra, comparison.wrong, comparison.unknown) == ([], [], [], [])
    assert comparison.agree > 0.98 * len(text)


def test_every_text_symbol_has_its_modules(build, capsys):
    """Which modules it belongs to, by all of the pipeline and by KBUILD_MODFILE."""
    table = symbols.read(build.directory / "vmlinux")
    found = build.ranges()
    boundary = {(label.address, label.name): label.path for label in found.labels}
    attributed = owners.attribute(table, found.pieces, build.modules(), boundary)
    text = [index for index, letter in enumerate(table.types) if letter in b"tTwW"]
    ours = counted(
        [table.names[index].decode() for index in text],
        [attributed.lists[attributed.of_symbols[index]] for index in text],
    )
    objects = build.objects()
    comparison = truth.Comparison(
        truth.expected(build.directory, objects, {path: build.names_of(path) for path in objects}), ours
    )
    with capsys.disabled():
        print(f"\n{build.directory.name}: {len(text)} text symbols, modules: {comparison}")
    assert (comparison.missing, comparison.extra, comparison.wrong, comparison.unknown) == ([], [], [], [])
    assert sum(any(answer) * count for counter in ours.values() for answer, count in counter.items()) > 500


def fields(line: str) -> tuple[str, int, int, str]:
    """Section, start, end and modules (or anchor) of a line of modules.builtin.ranges."""
    section, span, names = line.split(" ", 2)
    start, end = (int(number, 16) for number in span.split("-"))
    return section, start, end, names


def test_builtin_ranges(build, linux_6_12):
    """modules.builtin.ranges against what the scripts of 6.12 make of the same maps, and think of ours."""
    ours = builtin_ranges.text(read(build.directory / "vmlinux.map", build.object_map), build.modules())
    (build.directory / "ours.ranges").write_text(ours)
    (build.directory / "modules.right").write_text("".join(f"kernel/{name}.ko\n" for name in sorted(build.builtin())))
    # Their verifier stops at an object without a .cmd file (crt1.o under UML).
    known = re.sub(r" /\S+\.o$", " init/main.o", (build.directory / "vmlinux.map").read_text(), flags=re.MULTILINE)
    (build.directory / "known.map").write_text(known)
    maps = ["known.map", "vmlinux.o.map" if build.object_map else "known.map"]

    def script(name: str, *arguments: str) -> str:
        command = ["gawk", "-f", linux_6_12 / "scripts" / name, *arguments, *maps]
        return subprocess.run(command, cwd=build.directory, capture_output=True, text=True).stdout

    left = [fields(line) for line in ours.splitlines()]
    right = [fields(line) for line in script("generate_builtin_ranges.awk", "modules.right").splitlines()]
    # Where no symbol is listed in a section they give ranges without a start to count from.
    anchored = {section for section, _, _, names in right if names.startswith("= ")}
    # Where vmlinux.o has sections in another order than the image, they cut a range at whatever the map lists after
    # it: it ends before it begins.
    for number, (section, start, end, names) in enumerate(right):
        if end < start:
            right[number] = next(line for line in left if (line[0], line[1], line[3]) == (section, start, names))
    # Where GNU ld's map shows padding with its pattern (`*fill* ... cccc`) they take it for an object and begin a new
    # range.
    joined: list[tuple[str, int, int, str]] = []
    for section, start, end, names in right:
        before = joined[-1] if joined else None
        if before and (section, before[1], end, names) in left and before[3] == names:
            joined[-1] = (section, before[1], end, names)
        else:
            joined.append((section, start, end, names))
    assert left == [line for line in joined if line[0] in anchored]

    report = script("verify_builtin_ranges.awk", "ours.ranges", "System.map", "modules.right")
    assert re.search(r"\bMismatches: +0 .*\n +Missing: +0 ", report), report
    assert int(re.search(r"Module matches: +(\d+)", report)[1]) > 300
