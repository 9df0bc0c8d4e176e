"""Real kernels with what comes between objects and vmlinux: `ld -r`, objtool, BTF, relocations; by us and by the tree.

The tree's own link of the same objects is the oracle for everything that does not depend on our tables, nm for the
tables, and KBUILD_MODFILE for the modules. Each kernel is booted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import truth
from conftest import linux_tree
from test_linkmap_kernels import NEVER_MODULES

from kallmodsyms import boot, elf
from kallmodsyms.kallsyms import reader

pytestmark = pytest.mark.long

# It boots under qemu, moves itself (KASLR), and has a few modules of many objects and of one.
CONFIG = """
CONFIG_64BIT=y
CONFIG_SMP=y
CONFIG_EXPERT=y
CONFIG_MODULES=y
CONFIG_KALLSYMS=y
CONFIG_KALLSYMS_ALL=y
CONFIG_RELOCATABLE=y
CONFIG_RANDOMIZE_BASE=y
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PVH=y
CONFIG_PRINTK=y
CONFIG_TTY=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_MULTIUSER=y
CONFIG_FUTEX=y
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
CONFIG_DEVTMPFS=y
CONFIG_BLOCK=y
CONFIG_EXT4_FS=y
CONFIG_VFAT_FS=y
CONFIG_ISO9660_FS=y
"""
IBT_BTF = """
CONFIG_X86_KERNEL_IBT=y
CONFIG_DEBUG_KERNEL=y
CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y
CONFIG_BPF_SYSCALL=y
CONFIG_DEBUG_INFO_BTF=y
"""
# What make is told, and what the configuration has besides.
KERNELS = {"6.12-ibt-btf": ([], IBT_BTF), "6.1-lto": (["LLVM=1"], "CONFIG_LTO_CLANG_THIN=y\n")}
HOOK = '"$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"'


class Kernel:
    """One configuration. In `directory`: vmlinux as we link it, vmlinux.theirs, and vmlinux.plain without provider."""

    def __init__(self, name: str, directory: Path) -> None:
        version = name.partition("-")[0]
        self.directory, self.tree = directory, linux_tree(version)
        words, config = KERNELS[name]
        # Without a timestamp, pahole works in parallel and gives other BTF each time.
        self.make = [
            "make",
            "-s",
            "-C",
            self.tree,
            f"O={directory}",
            "ARCH=x86",
            "KBUILD_BUILD_TIMESTAMP=2026-01-01",
            *words,
        ]
        if not self.path("vmlinux.theirs").exists():
            fragment = self.path("fragment")
            fragment.write_text(CONFIG + config)
            self.run(f"KCONFIG_ALLCONFIG={fragment}", "tinyconfig")
            assert set(fragment.read_text().split()) <= set(self.path(".config").read_text().split())
            self.run(f"-j{os.cpu_count()}", "vmlinux")
            shutil.copy(self.path("vmlinux"), self.path("vmlinux.theirs"))
        self.link("--no-provider")
        shutil.copy(self.path("vmlinux"), self.path("vmlinux.plain"))
        self.link()

    def path(self, name: str) -> Path:
        return self.directory / name

    def run(self, *words: str) -> None:
        done = subprocess.run([*self.make, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def link(self, *options: str, goal: str = "vmlinux") -> None:
        command = " ".join([sys.executable, "-m", "kallmodsyms", "link", *options, "--", HOOK])
        self.run(goal, f"cmd_link_vmlinux={command}")

    def section(self, image: str, name: str) -> bytes:
        output = self.path("section")
        subprocess.run(
            ["objcopy", "-O", "binary", f"--only-section={name}", self.path(image), output],
            check=True,
            capture_output=True,
        )
        return output.read_bytes()


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request, tmp_path_factory) -> Kernel:
    """Each kernel in turn; the objects of those in $KALLMODSYMS_BUILDS/NAME are taken as they are."""
    named = os.environ.get("KALLMODSYMS_BUILDS")
    return Kernel(request.param, Path(named, request.param) if named else tmp_path_factory.mktemp(request.param))


def left_out(kernel: Kernel, image: str) -> Counter:
    """The symbols that System.map would have and the tables have not. Whatever the tables have is in System.map."""
    script = kernel.tree / "scripts/mksysmap"
    if script.read_text().startswith("#!/bin/sed"):
        command = ["sh", "-c", 'nm -n "$1" | sed -f "$0" > mapped', script, image]
    else:
        command = ["sh", script, image, "mapped"]
    subprocess.run(command, cwd=kernel.directory, env=os.environ | {"NM": "nm"}, check=True)
    rows = kernel.path("mapped").read_text().splitlines()
    wanted = Counter((address, name) for address, _, name in map(str.split, rows))
    listed = reader.read(kernel.path(image)).kallsyms_listing().decode()
    ours = Counter((address, name) for address, _, name in map(str.split, listed.splitlines()))
    assert not ours - wanted
    assert ours.total() > 20000
    return Counter(name for _, name in (wanted - ours).elements() if not name.startswith("kallsyms_"))


@pytest.mark.parametrize("image", ["vmlinux", "vmlinux.plain"])
def test_tables_are_what_nm_says(kernel, image):
    """Every symbol that the tree's own tables would have, at its address, and no other."""
    assert left_out(kernel, image) == left_out(kernel, "vmlinux.theirs")


@pytest.mark.parametrize("kernel", ["6.12-ibt-btf"], indirect=True)
def test_btf_is_that_of_the_tree(kernel):
    """Types and resolved IDs, byte for byte."""
    for name in (".BTF", ".BTF_ids"):
        ours, theirs = kernel.section("vmlinux.plain", name), kernel.section("vmlinux.theirs", name)
        assert ours == theirs and len(ours) > 500 and any(ours)


def test_exception_table_is_sorted(kernel):
    """By scripts/sorttable, which also clears the flag that asks the kernel to do it."""
    image = elf.Elf(kernel.path("vmlinux"))
    nm = subprocess.run(["nm", "--defined-only", image.path], capture_output=True, text=True, check=True).stdout
    symbols = {name: int(address, 16) for address, _, name in map(str.split, nm.splitlines())}
    start, stop, flag = (
        symbols[name] for name in ("__start___ex_table", "__stop___ex_table", "main_extable_sort_needed")
    )
    places = [
        start + at + int.from_bytes(image.bytes_at(start + at, 4), "little", signed=True)
        for at in range(0, stop - start, 12)
    ]
    assert places == sorted(places) and len(places) > 100
    assert image.bytes_at(flag, 4) == bytes(4)


def test_every_symbol_has_the_modules_of_its_object(kernel, capsys):
    """By KBUILD_MODFILE and each object's nm."""
    members = []
    for archive in re.findall(r"\S+\.a\b", kernel.path(".vmlinux.o.cmd").read_text().splitlines()[0]):
        members += subprocess.run(
            ["ar", "t", archive], cwd=kernel.directory, check=True, capture_output=True, text=True
        ).stdout.split()
    objects = list(dict.fromkeys([*members, "init/version-timestamp.o"]))
    lines = kernel.path("modules.builtin").read_text().split()
    known = {line.removeprefix("kernel/").removesuffix(".ko") for line in lines} - NEVER_MODULES
    owners = {
        path: tuple(
            sorted(Path(name).name.replace("-", "_") for name in truth.modfile(kernel.directory, path) if name in known)
        )
        for path in objects
    }
    listing = reader.read(kernel.path("vmlinux")).listing().decode()
    optimized = "CONFIG_LTO_CLANG=y" in kernel.path(".config").read_text().splitlines()
    if optimized:  # Static functions that the linker made global.
        listing = re.sub(r"\.llvm\.[0-9]+", "", listing)
    expected = truth.expected(kernel.directory, objects, owners, "llvm-nm" if optimized else "nm")
    comparison = truth.Comparison(expected, truth.listed(listing), optimized)
    with capsys.disabled():
        print(f"\n{kernel.directory.name}: {comparison}")
    assert (comparison.missing, comparison.extra, comparison.wrong, comparison.unknown) == ([], [], [], [])
    assert comparison.agree > 8000
    assert listing.count("[ext4]") > 500


def test_it_boots_where_it_was_linked_and_elsewhere(kernel, tmp_path):
    """And its /proc/kallmodsyms is what we decode, after KASLR moved by one distance."""
    ours = reader.read(kernel.path("vmlinux"))
    assert boot.listing(kernel.directory) == ours.listing()
    kernel.link(goal="bzImage")
    image = kernel.path("arch/x86/boot/bzImage")
    running, kallsyms = boot.run(
        kernel.directory,
        ["/proc/kallmodsyms", "/proc/kallsyms"],
        setup=boot.Setup(image=image, parameters=""),
    ).contents
    (tmp_path / "kallsyms").write_bytes(kallsyms)
    moved = ours.relocated(tmp_path / "kallsyms").listing()
    assert running == moved != ours.listing()
