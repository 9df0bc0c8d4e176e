"""Machines: a configuration enters; how a kernel of it is started, and how files leave it.

Under qemu the kernel has an initramfs and sends out each file over a port of its own, so that nothing from the console
gets mixed in: a serial port on x86, else one of virtio. A User Mode Linux is a process, and its files are files here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import files, programs
from kallmodsyms.errors import InputError


class _Qemu(NamedTuple):
    """A machine that qemu emulates.

    option: the symbol, without CONFIG_, that a kernel for it has
    program, package: qemu, and where Debian has it
    words: which machine to be, and with what processor
    console: the name of the kernel's console
    driver: the symbol of its driver
    virtio: the device that has the ports; "" for serial ports
    image: what make leaves to be booted
    """

    option: str
    program: str
    package: str
    words: tuple[str, ...]
    console: str
    driver: str
    virtio: str
    image: str


_MACHINES = (
    _Qemu(
        *("X86", "qemu-system-x86_64", "qemu-system-x86", ()),
        *("ttyS0", "SERIAL_8250_CONSOLE", "", "arch/x86/boot/bzImage"),
    ),
    _Qemu(
        *("ARM64", "qemu-system-aarch64", "qemu-system-arm", ("-machine", "virt", "-cpu", "cortex-a57")),
        *("ttyAMA0", "SERIAL_AMBA_PL011_CONSOLE", "virtio-serial-device", "arch/arm64/boot/Image"),
    ),
    _Qemu(
        *("RISCV", "qemu-system-riscv64", "qemu-system-misc", ("-machine", "virt")),
        *("ttyS0", "SERIAL_8250_CONSOLE", "virtio-serial-device", "arch/riscv/boot/Image"),
    ),
    _Qemu(
        *("S390", "qemu-system-s390x", "qemu-system-misc", ()),
        *("ttyS1", "SCLP_VT220_CONSOLE", "virtio-serial-ccw", "arch/s390/boot/bzImage"),
    ),
)


class Emulated:
    """A kernel under qemu. Always emulated: /dev/kvm may be there and not work, as in nested virtual machines."""

    end = "reboot"

    def __init__(self, kind: _Qemu, objdir: Path, directory: Path) -> None:
        self.kind, self.objdir, self.directory = kind, objdir, directory

    @property
    def needs(self) -> tuple[str, ...]:
        ports = ("DEVTMPFS", "VIRTIO_CONSOLE") if self.kind.virtio else ()
        return ("BLK_DEV_INITRD", self.kind.driver, *ports)

    def output(self, number: int) -> Path:
        return self.directory / f"port{number}"

    def port(self, number: int) -> str:
        return f"/dev/vport0p{number}" if self.kind.virtio else f"/dev/ttyS{number}"

    def prepare(self, number: int) -> str:
        """What a busybox `{busybox}` must do before it writes to a port."""
        port = self.port(number)
        if self.kind.virtio:
            return f"until [ -c {port} ]; do {{busybox}} mount -t devtmpfs dev /dev; done\n"
        return f"{{busybox}} mknod {port} c 4 {64 + number}\n{{busybox}} stty -F {port} raw\n"

    def image(self, config: Mapping[str, str]) -> Path:
        """What can be booted: vmlinux if it has a PVH entry that works, else what make has left for a boot loader."""
        vmlinux = self.objdir / "vmlinux"
        # The PVH entry runs before the sanitizers are set up: with them a 6.12 stops there, silently, whoever linked
        # it.
        if "PVH" in config and "KASAN" not in config and "UBSAN" not in config:
            return vmlinux
        image = self.objdir / self.kind.image
        if not image.is_file() or image.stat().st_mtime < vmlinux.stat().st_mtime:
            other = ", or set CONFIG_PVH to boot vmlinux itself" if self.kind.option == "X86" else ""
            cure = f"make {image.name} (`kallmodsyms link --help` shows the command){other}"
            raise InputError("does not exist, or is older than vmlinux", path=image, cure=cure)
        return image

    def command(
        self, image: Path, root: Path, ports: int, parameters: str, arguments: Sequence[str], emulator: Sequence[str]
    ) -> list[str]:
        """The words that start `image`; `arguments` are those of its first program."""
        kind = self.kind
        program = shutil.which(kind.program)
        if program is None:
            raise InputError(f"{kind.program} is not on the PATH", cure=f"apt-get install {kind.package}")
        words = ["-device", kind.virtio] if kind.virtio else []
        for number in range(1, ports + 1):  # the first serial port is the console's
            output = self.output(number)
            if kind.virtio:
                words += ["-chardev", f"file,id=port{number},path={output}"]
                words += ["-device", f"virtserialport,chardev=port{number},nr={number}"]
            else:
                words += ["-serial", f"file:{output}"]
        kernel = " ".join([f"console={kind.console} panic=-1 {parameters}", *(["--", *arguments] if arguments else [])])
        return [
            *(program, *kind.words, "-kernel", str(image), "-initrd", str(self._initramfs(root)), "-m", "512"),
            *("-append", kernel, "-no-reboot", "-nodefaults", "-display", "none", "-monitor", "none"),
            *("-serial", "stdio", *words, *emulator),
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


class UserMode:
    """A User Mode Linux. Its files are files of this machine."""

    needs = ("HOSTFS",)
    end = "poweroff"

    def __init__(self, objdir: Path, directory: Path) -> None:
        self.objdir, self.root = objdir, directory / "root"

    def output(self, number: int) -> Path:
        return self.root / f"port{number}"

    def port(self, number: int) -> str:
        return f"/port{number}"

    def prepare(self, number: int) -> str:
        return ""

    def image(self, config: Mapping[str, str]) -> Path:
        return self.objdir / "vmlinux"

    def command(
        self, image: Path, root: Path, ports: int, parameters: str, arguments: Sequence[str], emulator: Sequence[str]
    ) -> list[str]:
        return [
            *(str(image), "mem=256M", "root=/dev/root", "rootfstype=hostfs", f"rootflags={root}", "rw"),
            *("init=/init", "con0=fd:0,fd:1", *parameters.split(), *(["--", *arguments] if arguments else [])),
        ]


def of(config: Mapping[str, str], objdir: Path, directory: Path) -> Emulated | UserMode:
    """The machine for a kernel of this configuration; `directory` is for what it needs. Raises InputError if there is
    none.
    """
    if "UML" in config:
        return UserMode(objdir, directory)
    for kind in _MACHINES:
        if kind.option in config:
            return Emulated(kind, objdir, directory)
    known = ", ".join(kind.option for kind in _MACHINES)
    raise InputError(
        f"cannot be booted here: it is for no machine that is known here (CONFIG_UML, or one of {known})",
        path=objdir / "vmlinux",
    )
