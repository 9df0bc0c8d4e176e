"""Profiles and boots of other machines, as far as no kernel must be built for it. What comes out of the booted kernels
is in docs/kernels.md.
"""

import re
import subprocess
from pathlib import Path

import pytest
from toy_kit import ROOT

from kallmodsyms import elf, profile
from kallmodsyms.boot import guest, machines
from kallmodsyms.errors import InputError

PROFILES = sorted((ROOT / "config").glob("linux-*.yaml"))
SRCARCH = {"i386": "x86"}
CROSS = "s390x-linux-gnu-gcc"
CONFIG = {"S390": "y", "DEVTMPFS": "y", "CC_VERSION_TEXT": f"{CROSS} (Debian 12.2.0-14) 12.2.0"}
EM_S390 = 22


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_names_symbols_that_there_are(path, linux_6_12):
    """Against the tree's Kconfig files, but for those of other architectures."""
    chosen = profile.load(path, ROOT, {"tree": str(linux_6_12)})
    arch = SRCARCH.get(chosen.arch, chosen.arch)
    others = [folder for folder in (linux_6_12 / "arch").iterdir() if folder.name not in (arch, "x86")]
    kconfig = [file for file in linux_6_12.rglob("Kconfig*") if file.is_file() and not {*file.parents} & {*others}]
    known = set(re.findall(r"(?m)^(?:menu)?config (\w+)$", "\n".join(file.read_text() for file in kconfig)))
    named = re.findall(r"(?m)^(?:# )?CONFIG_(\w+)(?==| is)", chosen.config.read_text())
    assert {*chosen.required, *named} - known == set()
    assert {"KALLSYMS", "EXT4_FS"} <= {*chosen.required}


@pytest.fixture
def objdir(tmp_path) -> Path:
    """A build directory with a vmlinux for s390x, which only tells its machine."""
    (tmp_path / "objdir").mkdir()
    (tmp_path / "a.c").touch()
    subprocess.run([CROSS, "-c", "-o", tmp_path / "objdir/vmlinux", tmp_path / "a.c"], check=True)
    return tmp_path / "objdir"


def fill(objdir, tmp_path, config=CONFIG, commands="", busybox=None):
    machine = machines.of(config, objdir, tmp_path)
    return guest.fill(tmp_path / "root", machine, config, ["/proc/kallmodsyms", "/proc/a"], commands, busybox)


def test_our_own_first_program_where_no_busybox_runs(objdir, tmp_path):
    assert fill(objdir, tmp_path) == ["/proc/kallmodsyms", "/dev/vport0p1", "/proc/a", "/dev/vport0p2"]
    program = elf.Elf(tmp_path / "root/init")
    assert program.machine == EM_S390
    assert all(section.name != ".interp" for section in program.sections)


def test_its_ports_are_made_by_the_kernel(objdir, tmp_path):
    with pytest.raises(InputError) as caught:
        fill(objdir, tmp_path, {name: value for name, value in CONFIG.items() if name != "DEVTMPFS"})
    assert str(caught.value) == f"{objdir}/.config: CONFIG_DEVTMPFS is not set, but booting needs it"


def test_commands_want_a_busybox(objdir, tmp_path):
    with pytest.raises(InputError, match=f"busybox: is for another machine than {objdir}/vmlinux"):
        fill(objdir, tmp_path, commands="true")


def test_a_compiler_that_is_not_there(objdir, tmp_path):
    with pytest.raises(InputError, match="alpha-none-gcc cannot be run: No such file or directory"):
        fill(objdir, tmp_path, CONFIG | {"CC_VERSION_TEXT": "alpha-none-gcc (GCC) 12.2.0"})


def test_a_busybox_of_the_machine_has_its_ports_made(tmp_path):
    """The shell script, where the busybox on the PATH is that of the kernel."""
    objdir = tmp_path / "objdir"
    objdir.mkdir()
    (objdir / "vmlinux").write_bytes(Path("/bin/busybox").read_bytes())
    assert fill(objdir, tmp_path, {"ARM64": "y"}) == []
    script = (tmp_path / "root/init").read_text()
    assert "until [ -c /dev/vport0p2 ]; do /bin/busybox mount -t devtmpfs dev /dev; done\n" in script
    assert "{ /bin/busybox cat /proc/a; echo =$?; } > /dev/vport0p2\n" in script


@pytest.mark.parametrize(
    "option, words",
    [
        ("X86", "qemu-system-x86_64 -kernel K"),
        ("ARM64", "qemu-system-aarch64 -machine virt -cpu cortex-a57 -kernel K"),
        ("RISCV", "qemu-system-riscv64 -machine virt -kernel K"),
        ("S390", "qemu-system-s390x -kernel K"),
    ],
)
def test_which_machine_and_what_boots(option, words, tmp_path, monkeypatch):
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/gen_init_cpio").write_text("#!/bin/sh\n")
    (tmp_path / "usr/gen_init_cpio").chmod(0o755)
    monkeypatch.setattr(machines.shutil, "which", str)
    machine = machines.of({option: "y"}, tmp_path, tmp_path)
    command = machine.command(Path("K"), tmp_path / "root", 2, "quiet", ["/proc/a", "/port"], ["-S"])
    said = " ".join(command)
    assert said.startswith(words) and said.endswith(" -S")
    assert f"{tmp_path}/port1" in said and f"{tmp_path}/port2" in said and f"{tmp_path}/port3" not in said
    assert re.search(r"console=tty\w+ panic=-1 quiet -- /proc/a /port -no-reboot", said)
    (tmp_path / "vmlinux").touch()
    with pytest.raises(InputError, match=r"/boot/(bzImage|Image): does not exist, or is older than vmlinux"):
        machine.image({})


def test_a_machine_that_nobody_knows(tmp_path):
    with pytest.raises(InputError) as caught:
        machines.of({"ALPHA": "y"}, tmp_path, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/vmlinux: cannot be booted here: it is for no machine that is known here "
        "(CONFIG_UML, or one of X86, ARM64, RISCV, S390)"
    )
