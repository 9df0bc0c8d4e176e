"""/proc/kallmodsyms while modules and kprobes come and go, in kernels with KASAN, lockdep and PROVE_RCU, or KCSAN; and
for those who may not see addresses.

The oracles are what the file showed before anything moved, what /proc/kallsyms shows to the same reader, and the
kernel's own checks.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from kallmodsyms import boot
from kallmodsyms.kconfig import autoconf
from kallmodsyms.names import FOLDER

pytestmark = pytest.mark.long

CONFIG = """
CONFIG_64BIT=y
CONFIG_SMP=y
CONFIG_PREEMPT=y
CONFIG_KALLSYMS=y
CONFIG_PRINTK=y
CONFIG_TTY=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_MULTIUSER=y
CONFIG_FUTEX=y
CONFIG_PROC_FS=y
CONFIG_PROC_SYSCTL=y
CONFIG_SYSFS=y
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PVH=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_NAMESPACES=y
CONFIG_USER_NS=y
CONFIG_PID_NS=y
CONFIG_BLOCK=y
CONFIG_ISO9660_FS=y
CONFIG_MODULES=y
CONFIG_MODULE_UNLOAD=y
CONFIG_VFAT_FS=m
CONFIG_CRC4=m
CONFIG_CRC7=m
CONFIG_CRC8=m
CONFIG_FTRACE=y
CONFIG_FUNCTION_TRACER=y
CONFIG_KPROBES=y
CONFIG_KPROBE_EVENTS=y
CONFIG_DEBUG_KERNEL=y
"""
# What watches it; the small kernel, where nothing does, has neither kprobes nor namespaces, and one module.
KERNELS = {
    "small": None,
    "kasan": """
# CONFIG_SLUB_TINY is not set
CONFIG_KASAN=y
CONFIG_PROVE_LOCKING=y
CONFIG_RCU_EXPERT=y
CONFIG_PROVE_RCU_LIST=y
CONFIG_DEBUG_ATOMIC_SLEEP=y
CONFIG_DEBUG_LIST=y
""",
    "kcsan": "CONFIG_KCSAN=y\nCONFIG_KCSAN_STRICT=y\n",
}
MODULES = ["lib/crc4.ko", "lib/crc7.ko", "lib/crc8.ko", "fs/fat/fat.ko", "fs/fat/vfat.ko"]
REPORT = r"(?m)^.*(?:BUG|KASAN|KCSAN|UBSAN|WARNING|Oops|suspicious|deadlock|general protection|locking depend).*$"
SECONDS = 90

RACE = """
PATH=/bin; for word in cat mount mkdir insmod rmmod su sleep rm unshare; do busybox ln -s busybox /bin/$word; done
mkdir /sys; mount -t sysfs sys /sys; mount -t tracefs trace /sys/kernel/tracing
restrict=/proc/sys/kernel/kptr_restrict
echo 0 > $restrict; cat /proc/kallmodsyms > /shown
echo 2 > $restrict; cat /proc/kallmodsyms > /hidden
> /going
loading() {{
    loads=0
    while [ -e /going ]; do
        for name in {modules}; do insmod /$name.ko || echo cannot load $name; done
        for name in {backwards}; do rmmod $name || echo cannot unload $name; done
        loads=$((loads + 1))
    done
    echo loaded $loads times
}}
probing() {{
    probes=0
    cd /sys/kernel/tracing || return
    while [ -e /going ]; do
        echo 'p:one vfs_read+{inside:#x}' > kprobe_events; echo 'p:two vfs_open' >> kprobe_events
        echo 1 > events/kprobes/enable; echo 0 > events/kprobes/enable; echo > kprobe_events
        probes=$((probes + 1))
    done
    echo probed $probes times
}}
hiding() {{
    while [ -e /going ]; do for number in 0 1 2; do echo $number > $restrict; sleep 1; done; done
}}
loading & probing & hiding &
readers=
for seed in 1 2 3 4 5 6; do /racing_reader read {seconds} $seed & readers="$readers $!"; done
for seed in 7 8; do su nobody -s /bin/sh -c "/racing_reader read {seconds} $seed" & readers="$readers $!"; done
wait $readers
rm /going
wait
echo the race is over
"""
# Who reads, and how.
READERS = {
    "root": "sh -c '{}'",
    "nobody": 'su nobody -s /bin/sh -c "{}"',
    "own_user_namespace": 'su nobody -s /bin/sh -c "unshare -Ur {}"',
    "container": 'su nobody -s /bin/sh -c "unshare -Urmpf --mount-proc {}"',
}


def asked(objdir: Path) -> str:
    """Commands that say for each setting and reader whether either file shows addresses."""
    lines = []
    for number in (0, 1, 2):
        lines.append(f"echo {number} > $restrict")
        for who, how in READERS.items():
            if "USER_NS" not in autoconf.read(objdir) and "unshare" in how:
                continue
            for name in ("kallsyms", "kallmodsyms"):
                seen = how.format(f"/racing_reader hides /proc/{name}")
                lines.append(f"echo asked {number} {who} {name} $({seen})")
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    program = tmp_path_factory.mktemp("reader") / "racing_reader"
    source = Path(__file__).with_name("racing_reader.c")
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program


@pytest.fixture(scope="module", params=KERNELS)
def watched(request, make_linux, linux_6_1, tmp_path_factory):
    """The build directory of each kernel; KALLMODSYMS_BUILDS=DIR keeps it in DIR."""
    if request.param == "small":
        objdir = request.getfixturevalue("built")
        make_linux(objdir, linux_6_1, "modules")
        return objdir
    directory = tmp_path_factory.mktemp(request.param)
    (directory / "fragment").write_text(CONFIG + KERNELS[request.param])
    kept = os.environ.get("KALLMODSYMS_BUILDS")
    objdir = Path(kept, f"races-{request.param}") if kept else directory / "objdir"
    words = [f"config={directory / 'fragment'}", f"required=64BIT {request.param.upper()} KPROBE_EVENTS"]
    make_linux(objdir, linux_6_1, *words, "bzimage", "modules")
    return objdir


def inside(objdir: Path) -> int:
    """How far the third instruction of vfs_read is from its first; a probe there needs a copy of it."""
    command = ["objdump", "-d", "--no-show-raw-insn", "--disassemble=vfs_read", objdir / "vmlinux"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    addresses = [int(address, 16) for address in re.findall(r"(?m)^([0-9a-f]+):\t", text)]
    return addresses[2] - addresses[0]


@pytest.fixture(scope="module")
def console(watched, reader):
    """What the kernel, the readers and those around them said."""
    modules = [watched / name for name in MODULES if (watched / name).exists()]
    names = [module.stem for module in modules]
    assert "crc7" in names
    commands = RACE.format(
        modules=" ".join(names), backwards=" ".join(reversed(names)), seconds=SECONDS, inside=inside(watched)
    )
    # Emulated on a busy machine the timer may look broken to the kernel.
    setup = boot.Setup(parameters="nokaslr no_timer_check", emulator=("-smp", "4", "-m", "1024"), seconds=SECONDS + 900)
    return boot.run(watched, [], commands + asked(watched), [reader, *modules], setup).console


def test_readers_see_what_is_there(console, watched):
    assert "the race is over" in console, console[-3000:]
    files = [int(number) for number in re.findall(r"racing: (\d+) files", console)]
    assert len(files) == 8 and min(files) > 0, re.findall("racing: .*", console)
    assert int(re.search(r"loaded (\d+) times", console)[1]) > 3
    if "KPROBE_EVENTS" in autoconf.read(watched):
        assert int(re.search(r"probed (\d+) times", console)[1]) > 3


def test_the_kernel_complains_of_nothing(console, watched):
    """But for KCSAN, of which only reports that name a function of ours count: the kernel has races of its own."""
    found = re.findall(REPORT, console)
    if "KCSAN" in autoconf.read(watched):
        text = subprocess.run(
            ["nm", watched / FOLDER / "kallmodsyms_proc.o"], capture_output=True, text=True, check=True
        ).stdout
        ours = re.findall(r" [tT] (\w+)", text)
        assert "go_to" in ours
        found = [line for line in found if set(re.findall(r"\w+", line)) & set(ours)]
    assert found == []


def test_who_sees_addresses(console, watched):
    """Whoever sees none in /proc/kallsyms sees none here."""
    found = {tuple(line.split()[:3]): line.split()[3] for line in re.findall(r"asked (.*)", console)}
    assert len(found) == (24 if "USER_NS" in autoconf.read(watched) else 12)
    for (number, who, name), seen in found.items():
        assert seen == found[number, who, "kallsyms"], (number, who, name)
        assert seen == ("shown" if who == "root" and number != "2" else "hidden")
