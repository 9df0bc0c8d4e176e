"""Where addresses come from. The oracles are the tree's scripts/get_maintainer.pl, nm, and what Kbuild recorded."""

import random
import subprocess
from pathlib import Path

import pytest

from kallmodsyms import Kernel, maintainers
from kallmodsyms.errors import InputError
from kallmodsyms.origin import Origins


def of_the_script(tree, path):
    """The titles that scripts/get_maintainer.pl prints."""
    options = ["--nogit", "--nogit-fallback", "--nokeywords", "--sections"]
    command = ["perl", "scripts/get_maintainer.pl", *options, "-f", path]
    said = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout
    return [block.splitlines()[0] for block in said.strip().split("\n\n")]


PATHS = (
    "fs/ext4/fsync.c", "fs/read_write.c", "arch/x86/lib/memcpy_64.S", "drivers/net/ethernet/cavium/liquidio/lio_main.c",
    "drivers/tty/serial/8250/8250_core.c", "drivers/pci/pci.c", "lib/crc32.c", "kernel/kallsyms.c", "mm/kasan/common.c",
    "net/core/dev.c", "drivers/gpio/gpio-pca953x.c", "include/linux/spi/spi.h", "drivers/mfd/axp20x.c",
    "arch/arm64/kernel/ptrace.c", "sound/soc/codecs/wm8994.c", "drivers/clk/imx/clk.c", "Makefile", "init/main.c",
)  # fmt: skip


def test_sections_are_those_of_the_tree_s_script(linux):
    """Some files that were hard to match, and some by chance."""
    below = sorted(path.relative_to(linux) for path in (linux / "drivers").rglob("*.c"))
    for path in [*PATHS, *map(str, random.Random(14).sample(below, 30))]:
        theirs = set(of_the_script(linux, path)) - {"THE REST"}
        assert set(maintainers.sections(linux, path)) == theirs, path


def test_the_nearest_section_comes_first(linux_6_1):
    assert maintainers.sections(linux_6_1, "drivers/net/ethernet/cavium/liquidio/lio_main.c") == [
        "CAVIUM LIQUIDIO NETWORK DRIVER",
        "NETWORKING DRIVERS",
    ]


@pytest.fixture(scope="module")
def kernel(built):
    return Kernel.open(built / "vmlinux")


@pytest.fixture(scope="module")
def origins(kernel):
    return Origins(kernel)


def test_objects_define_the_functions_that_lie_in_them(kernel, origins, built):
    """By nm of the object: 500 functions by chance."""
    functions = [one for one in kernel.symbols if one.type in "tT" and one.size]
    for symbol in random.Random(14).sample(functions, 500):
        found = origins.of(symbol.address)
        said = subprocess.run(["nm", built / found.object], capture_output=True, text=True, check=True).stdout
        assert f" {symbol.name}\n" in said, symbol


def test_sources_exist_and_are_what_kbuild_compiled(kernel, origins, built, linux_6_1):
    for symbol in kernel.symbols[::100]:
        found = origins.of(symbol.address)
        if found is None or not found.source:
            continue
        command = (built / Path(found.object).parent / f".{Path(found.object).name}.cmd").read_text().splitlines()[0]
        assert (linux_6_1 / found.source).is_file() or (built / found.source).is_file()
        assert found.source in command


OPTIONS = {
    "ext4_sync_file": "EXT4_FS",
    "lio_get_regs_len": "LIQUIDIO",
    "vfat_rename": "VFAT_FS",
    "serial8250_probe": "SERIAL_8250",
    "vfs_read": "",
    "proc_reg_read": "PROC_FS",
    "sysfs_create_file_ns": "SYSFS",
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name, kernel, origins):
    assert origins.of(kernel.find(name)[0].address).option == OPTIONS[name]


def test_ranges_of_another_link_are_refused(kernel, built, tmp_path):
    (tmp_path / "vmlinux").symlink_to(built / "vmlinux")
    text = (built / ".tmp_vmlinux2.ranges").read_text()
    (tmp_path / ".tmp_vmlinux2.ranges").write_text(
        text.replace(" _etext\n", " __gone\n").replace(" 0x0 _stext", " 0x0 _etext")
    )
    with pytest.raises(InputError) as caught:
        Origins(Kernel.open(tmp_path / "vmlinux"))
    assert f"is of another link than {tmp_path}/vmlinux: _etext is at " in str(caught.value)
