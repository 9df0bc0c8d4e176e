"""Boot a kernel under qemu with a busybox initramfs, and bring files out over serial ports."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
{commands}
/bin/busybox reboot -f
"""


USERS = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"


def initramfs(directory: Path, commands: str, extra: Sequence[Path] = ()) -> Path:
    """A cpio archive whose init runs `commands` (busybox shell) with /proc and /dev there, then reboots.

    extra: files that are there in the root directory. There are users root and nobody, for `busybox su`.
    """
    root = directory / "initramfs"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text(USERS)
    for file in extra:
        shutil.copy(file, root)
    (root / "init").write_text(INIT.format(commands=commands))
    (root / "init").chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    archive = directory / "initramfs.cpio"
    with open(archive, "wb") as stream:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(), stdout=stream, check=True)
    return archive


def run(
    directory: Path, kernel: Path, files: list[str], arguments: str = "nokaslr", commands: str = "", extra: Sequence[Path] = ()
) -> tuple[list[bytes], str]:
    """Boot `kernel`, run `commands` and read `files` (paths such as /proc/kallsyms) there; their contents, and what the console said.

    Always emulated: a /dev/kvm can be there and not work (as on nested virtual machines), and emulation boots in 15 s.
    The n-th file leaves over /dev/ttyS<n>, raw, from 1 on: the kernel needs that many 8250 ports.
    """
    reading = "\n".join(
        f"/bin/busybox stty -F /dev/ttyS{port} raw\n/bin/busybox cat {name} > /dev/ttyS{port}" for port, name in enumerate(files, 1)
    )
    archive = initramfs(directory, f"{commands}\n{reading}", extra)
    outputs = [directory / f"port{port}" for port in range(1, len(files) + 1)]
    command = ["qemu-system-x86_64", "-kernel", kernel, "-initrd", archive, "-m", "256", "-display", "none", "-no-reboot"]
    command += ["-append", f"console=ttyS0 panic=-1 {arguments}", "-serial", "stdio", "-monitor", "none", "-nodefaults"]
    for output in outputs:
        command += ["-serial", f"file:{output}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=180)
    return [output.read_bytes() for output in outputs], (done.stdout + done.stderr).decode("utf-8", "replace")
