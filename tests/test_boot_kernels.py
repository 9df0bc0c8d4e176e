"""/proc/kallmodsyms of kernels that differ from the small one in what the provider may depend on.

Each is built, booted, and read.

The oracles are the same boot's /proc/kallsyms, for every address and name, and our decoding of vmlinux, for every byte.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import linux_tree

from kallmodsyms import boot
from kallmodsyms.kallsyms import reader
from kallmodsyms.kconfig import autoconf

pytestmark = pytest.mark.long

COMMON = """
CONFIG_KALLSYMS=y
CONFIG_PRINTK=y
CONFIG_TTY=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_MULTIUSER=y
CONFIG_FUTEX=y
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
"""
FILE_SYSTEMS = "CONFIG_BLOCK=y\nCONFIG_ISO9660_FS=y\nCONFIG_VFAT_FS=y\n"
ALL = "CONFIG_KALLSYMS_ALL=y\n"
MODULES = "CONFIG_MODULES=y\nCONFIG_MODULE_UNLOAD=y\n"
WIDE = "CONFIG_64BIT=y\n"
QEMU = """
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PVH=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_BLK_DEV_INITRD=y
"""
USER_MODE = "CONFIG_HOSTFS=y\n"

# Version, ARCH, options besides COMMON.
KERNELS = {
    "6.12-x86_64": ("6.12", "x86", QEMU + WIDE + ALL + MODULES + FILE_SYSTEMS + "CONFIG_SMP=y\n"),
    "6.12-um": ("6.12", "um", USER_MODE + WIDE + ALL + MODULES + FILE_SYSTEMS),
    "6.1-um": ("6.1", "um", USER_MODE + WIDE + ALL + MODULES),
    "6.1-i386": ("6.1", "i386", QEMU + ALL + MODULES),
    "6.12-sanitizers": (
        "6.12",
        "x86",
        QEMU + WIDE + ALL + MODULES + "# CONFIG_SLUB_TINY is not set\nCONFIG_KASAN=y\nCONFIG_UBSAN=y\n",
    ),
    "6.12-ibt": ("6.12", "x86", QEMU + WIDE + ALL + MODULES + "CONFIG_X86_KERNEL_IBT=y\n"),
    "6.1-small": ("6.1", "x86", QEMU + WIDE + "# CONFIG_KALLSYMS_ALL is not set\n# CONFIG_MODULES is not set\n"),
}

AS_NOBODY = f'{boot.BUSYBOX} su nobody -s /bin/sh -c "{boot.BUSYBOX} cat /proc/kallmodsyms" > /nobody'


@pytest.fixture(scope="module", params=KERNELS)
def built(request, make_linux, tmp_path_factory) -> Path:
    """The build directory of each kernel in turn; KALLMODSYMS_BUILDS=DIR keeps it in DIR."""
    version, arch, options = KERNELS[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "fragment").write_text(COMMON + options)
    kept = os.environ.get("KALLMODSYMS_BUILDS")
    objdir = Path(kept, f"boot-{request.param}") if kept else directory / "objdir"
    compressed = ["bzimage"] if "KASAN" in options else []  # which boots no other way
    make_linux(objdir, linux_tree(version), f"arch={arch}", f"config={directory / 'fragment'}", *compressed)
    return objdir


@pytest.fixture(scope="module")
def busybox(built, tmp_path_factory) -> Path | None:
    """For a 32-bit kernel, Debian's of that architecture, which apt here need not know."""
    if "X86_32" not in autoconf.read(built):
        return None
    directory = tmp_path_factory.mktemp("busybox")
    places = {"Dir::State::Lists": directory / "lists", "Dir::Cache": directory / "cache"}
    for place in places.values():
        place.mkdir()
    options = [
        "APT::Architecture=i386",
        "APT::Architectures=i386",
        "APT::Sandbox::User=",
        *(f"{k}={v}" for k, v in places.items()),
    ]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"])
    subprocess.run([*apt, "download", "busybox-static"], cwd=directory, check=True)
    subprocess.run(["dpkg-deb", "-x", *directory.glob("*.deb"), directory], check=True)
    return directory / "bin/busybox"


@pytest.fixture(scope="module")
def booted(built, busybox) -> boot.Booted:
    wanted = ["/proc/kallmodsyms", "/proc/kallsyms", "/nobody"]
    return boot.run(built, wanted, commands=AS_NOBODY, setup=boot.Setup(busybox=busybox))


def test_root_reads_what_we_decode(built, booted):
    assert booted.contents[0] == reader.read(built / "vmlinux").listing()
    assert b"\t[binfmt_script]\n" in booted.contents[0]


def test_addresses_and_names_are_those_of_kallsyms(booted):
    ours, theirs, _ = booted.contents
    assert re.sub(rb"(?m)^(\S+) \S+ \S (\S+).*", rb"\1 \2", ours) == re.sub(
        rb"(?m)^(\S+) \S (\S+).*", rb"\1 \2", theirs
    )


def test_nobody_sees_no_addresses(booted):
    root, _, nobody = booted.contents
    digits = root.index(b" ")
    assert nobody == re.sub(rb"(?m)^\S+ \S+ ", b"0" * digits + b" 0 ", root)


def test_the_kernel_complains_of_nothing(booted):
    assert "reboot: " in booted.console
    assert re.findall(r"(?m)^.*(?:BUG|KASAN|UBSAN|WARNING|Oops).*$", booted.console) == []
