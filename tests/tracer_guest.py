"""A small kernel with ftrace, kprobes, BPF and lkdtm, and a disk for it with the real tools and this package on it.

Everything runs in one boot: a script writes files to the disk, and the tests look at them. The tools are this machine's
own, copied with the libraries that they load.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kallmodsyms import boot

ROOT = Path(__file__).parent.parent

# Besides config/linux-small.config. The last lines there switch off what DEBUG_KERNEL needs on.
OPTIONS = """
CONFIG_FTRACE=y
CONFIG_FUNCTION_TRACER=y
CONFIG_DYNAMIC_FTRACE=y
CONFIG_KPROBES=y
CONFIG_KPROBE_EVENTS=y
CONFIG_UPROBES=y
CONFIG_UPROBE_EVENTS=y
CONFIG_PERF_EVENTS=y
CONFIG_BPF_SYSCALL=y
CONFIG_BPF_JIT=y
CONFIG_BPF_EVENTS=y
CONFIG_DEBUG_FS=y
CONFIG_STACKTRACE=y
CONFIG_UNWINDER_FRAME_POINTER=y

# addr2line, drgn.
CONFIG_DEBUG_KERNEL=y
CONFIG_DEBUG_INFO_DWARF4=y
CONFIG_DEBUG_INFO_REDUCED=y
CONFIG_PROC_KCORE=y

# An oops.
CONFIG_RUNTIME_TESTING_MENU=y
CONFIG_LKDTM=y
CONFIG_DEBUG_BUGVERBOSE=y

# The disk, and what its programs ask of a kernel.
CONFIG_VIRTIO_MENU=y
CONFIG_VIRTIO_PCI=y
CONFIG_BLK_DEV=y
CONFIG_VIRTIO_BLK=y
CONFIG_TMPFS=y
CONFIG_SHMEM=y
CONFIG_UNIX=y
CONFIG_EPOLL=y
CONFIG_EVENTFD=y
CONFIG_SIGNALFD=y
CONFIG_TIMERFD=y
CONFIG_POSIX_TIMERS=y
CONFIG_HIGH_RES_TIMERS=y
CONFIG_FILE_LOCKING=y
CONFIG_ADVISE_SYSCALLS=y
CONFIG_MEMBARRIER=y
CONFIG_RSEQ=y
CONFIG_NAMESPACES=y
"""

PROGRAMS = ("perf", "trace-cmd", "bpftrace", "python3.11", "unshare", "mount", "dash", "timeout", "cat")
APPLETS = ("ls", "cp", "cut", "head", "sync", "sleep", "echo", "dmesg")

_BOOT = """
B=/bin/busybox
$B mkdir /sys /mnt
$B mount -t devtmpfs dev /dev
$B mount -t ext4 /dev/vda /mnt
$B mount -t devtmpfs dev /mnt/dev
$B mount -t proc proc /mnt/proc
$B mount -t sysfs sys /mnt/sys
$B mount -t debugfs debug /mnt/sys/kernel/debug
$B mount -t tracefs trace /mnt/sys/kernel/tracing
$B chroot /mnt /run.sh
$B sync
$B mount -o remount,ro /mnt
"""


def build(tree: Path, objdir: Path, directory: Path) -> None:
    """Build the kernel: five to six minutes on two cores."""
    small = (ROOT / "config/linux-small.config").read_text()
    config = directory / "tracing.config"
    config.write_text(re.sub(r"# CONFIG_(DEBUG_KERNEL|SCHED_DEBUG) is not set\n", "", small) + OPTIONS)
    words = ["profile=config/linux-small.yaml", f"tree={tree}", f"objdir={objdir}", f"config={config}"]
    done = subprocess.run([sys.executable, "-m", "doit", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def run(objdir: Path, directory: Path, script: str, files: Iterable[Path]) -> Path:
    """Boot the kernel in `objdir`, run a shell script there, and give the directory with what it left in /out.

    directory: for the disk and the outcome; the console's text is in `console` there
    files: to be had in /in, besides the vmlinux
    """
    root = directory / "root"
    _fill(root)
    for file in (objdir / "vmlinux", *files):
        shutil.copy(file, root / "in")
    (root / "run.sh").write_text(script)
    (root / "run.sh").chmod(0o755)
    disk = directory / "disk"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, disk, "1200M"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    # numpy's own build wants instructions that qemu's default processor lacks.
    emulator = ["-m", "2048", "-cpu", "max", "-drive", f"file={disk},if=virtio,format=raw"]
    booted = boot.run(objdir, [], commands=_BOOT, setup=boot.Setup(emulator=emulator, seconds=900))
    (directory / "console").write_text(booted.console)
    subprocess.run(["e2fsck", "-fp", disk], capture_output=True)
    subprocess.run(["debugfs", "-R", f"rdump /out {directory}", disk], check=True, capture_output=True)
    return directory / "out"


def _fill(root: Path) -> None:
    for name in ("proc", "sys", "dev", "tmp", "out", "in", "site", "root", "usr/bin", "usr/lib64", "usr/lib/python3"):
        (root / name).mkdir(parents=True)
    for link, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
        (root / link).symlink_to(target)
    programs = [_which(program) for program in PROGRAMS]
    for program, name in zip(programs, PROGRAMS, strict=True):
        shutil.copy(program, root / "usr/bin" / name)
    shutil.copy(_which("busybox"), root / "usr/bin/busybox")
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    for name, target in (("sh", "dash"), ("python3", "python3.11")):
        (root / "usr/bin" / name).symlink_to(target)
    skipped = shutil.ignore_patterns("__pycache__", "test", "tests", "idlelib", "lib2to3", "config-3*")
    shutil.copytree("/usr/lib/python3.11", root / "usr/lib/python3.11", ignore=skipped, symlinks=True)
    shutil.copytree("/usr/lib/python3/dist-packages/bcc", root / "site/bcc")
    shutil.copytree(ROOT / "pipeline/kallmodsyms", root / "site/kallmodsyms", ignore=skipped)
    for name in ("numpy", "drgn", "_drgn_util"):
        place = Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(place, root / "site" / name, ignore=skipped)
    packages = Path(importlib.util.find_spec("drgn").origin).parents[1]
    for path in [*packages.glob("_drgn*.so"), *packages.glob("*.libs")]:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, root / "site" / path.name)
    # What importlib.metadata knows an installed package by, and drgn its plugins.
    (root / "site/kallmodsyms-0.dist-info").mkdir()
    (root / "site/kallmodsyms-0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: kallmodsyms\nVersion: 0\n"
    )
    (root / "site/kallmodsyms-0.dist-info/entry_points.txt").write_text(
        "[drgn.plugins]\nkallmodsyms = kallmodsyms.drgn_plugin\n"
    )
    loaded = [*programs, *(path for path in root.rglob("*.so*") if path.is_file())]
    bcc = next(Path("/usr/lib/x86_64-linux-gnu").glob("libbcc.so.0"))
    for library in {bcc, *_libraries([*loaded, bcc])}:
        below = Path("/usr", library.relative_to("/")) if library.parts[1] != "usr" else library
        place = root / below.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copy(library, place)


def _libraries(files: Sequence[Path]) -> set[Path]:
    found = set()
    for file in files:
        said = subprocess.run(["ldd", file], capture_output=True, text=True).stdout
        found.update(Path(name) for name in re.findall(r"(?:\t|=> )(/(?:usr/)?lib(?:64)?/\S+) \(0x", said))
    return found


def _which(program: str) -> Path:
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    assert found, f"{program} is missing"
    return Path(found)
