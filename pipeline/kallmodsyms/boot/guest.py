"""The root directory of a kernel that is booted to read files: what to do enters, a directory and the arguments of its
first program leave.

That program is a shell script for busybox or, where the kernel was compiled for another machine, one of ours that the
same compiler compiles (`init.c`): it does nothing but send out files.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kallmodsyms import elf, files, programs
from kallmodsyms.boot.machines import Emulated, UserMode
from kallmodsyms.errors import InputError

BUSYBOX = "/bin/busybox"
_SOURCE = Path(__file__).with_name("init.c")

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


def fill(
    root: Path,
    machine: Emulated | UserMode,
    config: Mapping[str, str],
    wanted: Sequence[str],
    commands: str,
    busybox: str | os.PathLike[str] | None,
) -> list[str]:
    """Make the directory `root`; the arguments of its /init.

    wanted: files to send out, each over the machine's port of its number
    commands: for busybox's shell
    busybox: a static one for the kernel's machine; None for the one on the PATH
    Raises InputError if there is no busybox for the kernel and it cannot do without.
    """
    for directory in ("bin", "dev", "etc", "proc"):
        (root / directory).mkdir(parents=True)
    vmlinux = machine.objdir / "vmlinux"
    cross = re.match(r"\S+-gcc\S*", config.get("CC_VERSION_TEXT", ""))
    if cross and not busybox and not commands and not _runs_here(vmlinux):
        if "DEVTMPFS" not in config:
            raise InputError("CONFIG_DEVTMPFS is not set, but booting needs it", path=machine.objdir / ".config")
        programs.run([cross[0], "-O", "-static", "-o", str(root / "init"), str(_SOURCE)])
        return [word for number, name in enumerate(wanted, 1) for word in (name, machine.port(number))]
    shutil.copy(_busybox(busybox, vmlinux), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    files.write(root / "etc/passwd", _USERS)
    readings = [
        machine.prepare(number).format(busybox=BUSYBOX)
        + _READING.format(busybox=BUSYBOX, name=name, port=machine.port(number))
        for number, name in enumerate(wanted, 1)
    ]
    script = _INIT.format(busybox=BUSYBOX, commands=commands, readings="\n".join(readings), end=machine.end)
    files.write(root / "init", script)
    (root / "init").chmod(0o755)
    return []


def _runs_here(vmlinux: Path) -> bool:
    """Whether the kernel's machine is that of the busybox on the PATH."""
    path = shutil.which("busybox")
    return path is not None and elf.Elf(path).machine == elf.Elf(vmlinux).machine


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
