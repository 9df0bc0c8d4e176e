"""Booting: a build directory and the names of files enter; what the running kernel has in these files leaves.

`machines` knows how a kernel is started and its files come out, `guest` what runs in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kallmodsyms import symbols
from kallmodsyms.boot import guest, machines
from kallmodsyms.boot.guest import BUSYBOX as BUSYBOX
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import autoconf

LISTING = "/proc/kallmodsyms"
PROVIDER_SYMBOL = b"kallmodsyms_address"
SECONDS = 300
"""How long a boot may take. Emulated, on a busy machine, it takes half a minute."""


@dataclass(frozen=True)
class Setup:
    """What to boot, and how.

    image: what to boot instead of what the machine takes
    parameters: more words for the kernel's command line
    emulator: more options for qemu; a User Mode Linux ignores them
    busybox: a static one for the kernel's machine; None for the one on the PATH or, if that is for another machine and
        the kernel's cross compiler is there, for none
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
    with tempfile.TemporaryDirectory(prefix="kallmodsyms-") as name:
        machine = machines.of(config, objdir, Path(name))
        for option in ("PROC_FS", "BINFMT_ELF", "BINFMT_SCRIPT", "PRINTK", "TTY", *machine.needs):
            if option not in config:
                raise InputError(f"CONFIG_{option} is not set, but booting needs it", path=objdir / ".config")
        root = Path(name, "root")
        arguments = guest.fill(root, machine, config, wanted, commands, setup.busybox)
        for file in extra:
            shutil.copy(file, root)
        image = setup.image or machine.image(config)
        command = machine.command(image, root, len(wanted), setup.parameters, arguments, setup.emulator)
        console = _console(command, setup.seconds)
        contents = [_content(machine.output(number), file, vmlinux, console) for number, file in enumerate(wanted, 1)]
        return Booted(contents, console)


def _vmlinux(objdir: Path) -> Path:
    path = objdir / "vmlinux"
    if not path.is_file():
        raise InputError(
            "does not exist", path=path, cure="give a directory in which a kernel was built, or build one there"
        )
    return path


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
