"""Booting: a build directory and the names of files enter; what the running kernel has in these files leaves.

An x86 kernel runs under qemu from an initramfs and sends out each file over a serial port of its own, so that nothing
from the console gets mixed in. A User Mode Linux is a process whose root directory is one that we made.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import elf, files, programs, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import autoconf

LISTING = "/proc/kallmodsyms"
BUSYBOX = "/bin/busybox"
PROVIDER_SYMBOL = b"kallmodsyms_address"
SECONDS = 300
"""How long a boot may take. Emulated, on a busy machine, it takes half a minute."""

_INIT = """#!/bin/sh
{busybox} mount -t proc proc /proc
{busybox} mount -t ramfs dev /dev
{busybox} mknod -m 666 /dev/null c 1 3
{commands}
{readings}
{busybox} {end} -f
"""

# Behind the file comes the exit status of the program that read it: a file without one was cut off.
_READING = "{{ {busybox} cat {name}; echo =$?; }} > {port}"

_USERS = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"


class _Qemu:
    """An x86 kernel under qemu. Always emulated: /dev/kvm may be there and not work, as in nested virtual machines."""

    needs = ("BLK_DEV_INITRD", "SERIAL_8250_CONSOLE")
    end = "reboot"

    def __init__(self, objdir: Path, directory: Path) -> None:
        self.objdir, self.directory = objdir, directory

    def output(self, number: int) -> Path:
        return self.directory / f"port{number}"

    def reading(self, name: str, number: int) -> str:
        port = f"/dev/ttyS{number}"
        raw = f"{BUSYBOX} mknod {port} c 4 {64 + number}\n{BUSYBOX} stty -F {port} raw\n"
        return raw + _READING.format(busybox=BUSYBOX, name=name, port=port)

    def command(self, image: Path, root: Path, ports: int, parameters: str, emulator: Sequence[str]) -> list[str]:
        program = shutil.which("qemu-system-x86_64")
        if program is None:
            raise InputError("qemu-system-x86_64 is not on the PATH", cure="apt-get install qemu-system-x86")
        # 8250 ports; the first one is the console's.
        serial = [word for number in range(1, ports + 1) for word in ("-serial", f"file:{self.output(number)}")]
        return [
            *(program, "-kernel", str(image), "-initrd", str(self._initramfs(root)), "-m", "512"),
            *("-append", f"console=ttyS0 panic=-1 {parameters}", "-no-reboot"),
            *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", *serial, *emulator),
        ]

    def _initramfs(self, root: Path) -> Path:
        """An archive of what is in `root`, made by the program with which the tree makes its own."""
        lines = []
        for path in sorted(root.rglob("*")):
            name = f"/{path.relative_to(root)}"
            if path.is_symlink():
                lines.append(f"slink {name} {path.readlink()} 0777 0 0")
            elif path.is_dir():
                lines.append(f"dir {name} 0755 0 0")
            else:
                lines.append(f"file {name} {path} {path.stat().st_mode & 0o777:o} 0 0")
        specification = self.directory / "initramfs.list"
        files.write(specification, "".join(f"{line}\n" for line in lines))
        archive = self.directory / "initramfs.cpio"
        programs.run([str(self.objdir / "usr" / "gen_init_cpio"), str(specification)], output=str(archive))
        return archive


class _UserMode:
    """A User Mode Linux. Its files are files of this machine."""

    needs = ("HOSTFS",)
    end = "poweroff"

    def __init__(self, objdir: Path, directory: Path) -> None:
        self.root = directory / "root"

    def output(self, number: int) -> Path:
        return self.root / f"port{number}"

    def reading(self, name: str, number: int) -> str:
        return _READING.format(busybox=BUSYBOX, name=name, port=f"/port{number}")

    def command(self, image: Path, root: Path, ports: int, parameters: str, emulator: Sequence[str]) -> list[str]:
        return [
            *(str(image), "mem=256M", "root=/dev/root", "rootfstype=hostfs", f"rootflags={root}", "rw"),
            *("init=/init", "con0=fd:0,fd:1", *parameters.split()),
        ]


@dataclass(frozen=True)
class Setup:
    """What to boot, and how.

    image: what to boot instead of `vmlinux` (or of `bzImage`, if the kernel is without CONFIG_PVH or has sanitizers)
    parameters: more words for the kernel's command line
    emulator: more options for qemu; a User Mode Linux ignores them
    busybox: a static one for the kernel's machine; None for the one on the PATH
    seconds: how long the kernel may run
    """

    image: Path | None = None
    parameters: str = "nokaslr"
    emulator: Sequence[str] = ()
    busybox: str | os.PathLike[str] | None = None
    seconds: float = SECONDS


PLAIN = Setup()


@dataclass(frozen=True)
class Booted:
    """What a kernel left: the contents of the files, and what it said on the console."""

    contents: list[bytes]
    console: str


def listing(
    objdir: str | os.PathLike[str], busybox: str | os.PathLike[str] | None = None, seconds: float = SECONDS
) -> bytes:
    """/proc/kallmodsyms as root reads it in the kernel that was built in `objdir`. See `Setup` and `run`."""
    image = _vmlinux(Path(objdir))
    if PROVIDER_SYMBOL not in symbols.read(image).names:
        cure = (
            "link it with `kallmodsyms link` (see the README), with CONFIG_PROC_FS and CONFIG_KALLSYMS, "
            "and without --no-provider"
        )
        raise InputError(f"this kernel has no {LISTING}", path=image, cure=cure)
    return run(objdir, [LISTING], setup=Setup(busybox=busybox, seconds=seconds)).contents[0]


def run(
    objdir: str | os.PathLike[str],
    wanted: Sequence[str],
    commands: str = "",
    extra: Sequence[Path] = (),
    setup: Setup = PLAIN,
) -> Booted:
    """Boot the kernel that was built in `objdir`, run `commands` as root, and fetch the files `wanted`, at most three.

    commands: for busybox's shell; /proc is mounted, there are users root and nobody, and no program but /bin/busybox
    extra: files to have in the root directory

    Raises InputError if something that this needs is missing, if the kernel stops before it has read every file, or if
    it has not ended when its time is up.
    """
    objdir = Path(objdir)
    vmlinux = _vmlinux(objdir)
    config = autoconf.read(objdir)
    if "UML" not in config and "X86" not in config:
        raise InputError("cannot be booted here: it is neither for x86 nor for User Mode Linux", path=vmlinux)
    kind = _UserMode if "UML" in config else _Qemu
    for option in ("PROC_FS", "BINFMT_ELF", "BINFMT_SCRIPT", "PRINTK", "TTY", *kind.needs):
        if option not in config:
            raise InputError(f"CONFIG_{option} is not set, but booting needs it", path=objdir / ".config")
    program = _busybox(setup.busybox, vmlinux)

    with tempfile.TemporaryDirectory(prefix="kallmodsyms-") as name:
        machine = kind(objdir, Path(name))
        readings = "\n".join(machine.reading(file, number) for number, file in enumerate(wanted, 1))
        root = Path(name, "root")
        init = _INIT.format(busybox=BUSYBOX, commands=commands, readings=readings, end=machine.end)
        _fill(root, program, init, extra)
        image = setup.image or _image(objdir, config)
        console = _console(machine.command(image, root, len(wanted), setup.parameters, setup.emulator), setup.seconds)
        contents = [_content(machine.output(number), file, vmlinux, console) for number, file in enumerate(wanted, 1)]
        return Booted(contents, console)


def _vmlinux(objdir: Path) -> Path:
    path = objdir / "vmlinux"
    if not path.is_file():
        raise InputError(
            "does not exist", path=path, cure="give a directory in which a kernel was built, or build one there"
        )
    return path


def _image(objdir: Path, config: Mapping[str, str]) -> Path:
    """What can be booted: vmlinux if it is a process or has a PVH entry that works, else the compressed kernel."""
    vmlinux = objdir / "vmlinux"
    # The PVH entry runs before the sanitizers are set up: with them a 6.12 stops there, silently, whoever linked it.
    if "UML" in config or ("PVH" in config and "KASAN" not in config and "UBSAN" not in config):
        return vmlinux
    compressed = objdir / "arch/x86/boot/bzImage"
    if not compressed.is_file() or compressed.stat().st_mtime < vmlinux.stat().st_mtime:
        cure = "make bzImage (`kallmodsyms link --help` shows the command), or set CONFIG_PVH to boot vmlinux itself"
        raise InputError("does not exist, or is older than vmlinux", path=compressed, cure=cure)
    return compressed


def _busybox(named: str | os.PathLike[str] | None, vmlinux: Path) -> Path:
    """A busybox that runs in this kernel. Raises InputError if there is none."""
    path = named or shutil.which("busybox")
    if path is None:
        raise InputError(
            "busybox is not on the PATH", cure="apt-get install busybox-static, or give one with --busybox"
        )
    program, kernel = elf.Elf(path), elf.Elf(vmlinux)
    if program.machine != kernel.machine:
        cure = "give one with --busybox; `apt-get download busybox-static:ARCHITECTURE` and `dpkg-deb -x` get it"
        raise InputError(f"is for another machine than {vmlinux}", path=path, cure=cure)
    if any(section.name == ".interp" for section in program.sections):
        raise InputError(
            "is not statically linked", path=path, cure="apt-get install busybox-static, or give one with --busybox"
        )
    return Path(path)


def _fill(root: Path, busybox: Path, init: str, extra: Sequence[Path]) -> None:
    """Make the root directory of the kernel."""
    for directory in ("bin", "dev", "etc", "proc"):
        (root / directory).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    files.write(root / "etc/passwd", _USERS)
    for file in extra:
        shutil.copy(file, root)
    files.write(root / "init", init)
    (root / "init").chmod(0o755)


def _console(command: Sequence[str], seconds: float) -> str:
    """What a kernel says until it ends. Raises InputError if it does not end within `seconds`."""
    # A session of its own, since a User Mode Linux is several processes.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        late = False
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if late:
            said, _ = process.communicate()
    console = said.decode("utf-8", "replace").replace("\r\n", "\n")
    if late:
        raise InputError(
            f"the kernel was still running after {seconds:g} s; its last lines:\n{_last(console)}",
            cure="give it more time with --seconds",
        )
    return console


def _content(output: Path, name: str, vmlinux: Path, console: str) -> bytes:
    """The file `name`, from what arrived at `output`. Raises InputError if that is not all of it."""
    arrived = output.read_bytes() if output.exists() else b""
    content, _, status = arrived.rpartition(b"=")
    if not status.rstrip().isdigit():
        raise InputError(
            f"the kernel stopped before all of {name} was read; its last lines:\n{_last(console)}", path=vmlinux
        )
    if int(status):
        raise InputError(
            f"{name} cannot be read in the running kernel; its last lines:\n{_last(console)}", path=vmlinux
        )
    return content


def _last(console: str) -> str:
    """The last lines; or after a panic, which a long trace may follow, those from the panic on."""
    lines = console.splitlines()
    panic = [number for number, line in enumerate(lines) if "Kernel panic" in line]
    chosen = lines[panic[0] :][:10] if panic else lines[-10:]
    return "\n".join(f"    {line}" for line in chosen)
