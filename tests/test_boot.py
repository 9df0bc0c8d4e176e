"""`kallmodsyms boot` on the small kernel, and what it says when something is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kallmodsyms import boot
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader


def command(*words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "kallmodsyms", "boot", *words], capture_output=True, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr.decode()


def refused(objdir, **options):
    with pytest.raises(InputError) as caught:
        boot.listing(objdir, **options)
    return str(caught.value)


@pytest.fixture
def copied(built, tmp_path):
    """A build directory of which files may be changed."""
    (tmp_path / "include/config").mkdir(parents=True)
    shutil.copy(built / "include/config/auto.conf", tmp_path / "include/config")
    (tmp_path / "vmlinux").symlink_to(built / "vmlinux")
    return tmp_path


def without(copied, option):
    auto_conf = copied / "include/config/auto.conf"
    auto_conf.write_text(auto_conf.read_text().replace(f"CONFIG_{option}=y\n", ""))


def test_the_file_and_nothing_else_is_printed(built):
    assert command(built) == (0, reader.read(built / "vmlinux").listing(), "")


def test_no_kernel(tmp_path):
    cure = "give a directory in which a kernel was built, or build one there"
    assert command(tmp_path) == (1, b"", f"kallmodsyms: {tmp_path}/vmlinux: does not exist\n  {cure}\n")


def test_no_qemu(built, tmp_path):
    (tmp_path / "busybox").symlink_to(shutil.which("busybox"))
    message = "kallmodsyms: qemu-system-x86_64 is not on the PATH\n  apt-get install qemu-system-x86\n"
    assert command(built, PATH=str(tmp_path)) == (1, b"", message)


def test_no_busybox(built, tmp_path):
    message = "kallmodsyms: busybox is not on the PATH\n  apt-get install busybox-static, or give one with --busybox\n"
    assert command(built, PATH=str(tmp_path)) == (1, b"", message)


def test_busybox_needs_libraries(built):
    assert refused(built, busybox="/bin/ls").startswith("/bin/ls: is not statically linked\n")


def test_busybox_of_another_machine(built, tmp_path):
    program = bytearray(Path(shutil.which("busybox")).read_bytes())
    program[18] = 3  # e_machine: i386
    (tmp_path / "busybox").write_bytes(program)
    assert refused(built, busybox=tmp_path / "busybox").startswith(
        f"{tmp_path}/busybox: is for another machine than {built}/vmlinux\n"
    )


def test_a_kernel_without_the_file(built, copied):
    (copied / "vmlinux").unlink()
    subprocess.run(["objcopy", "--strip-symbol=kallmodsyms_address", built / "vmlinux", copied / "vmlinux"], check=True)
    assert refused(copied).startswith(f"{copied}/vmlinux: this kernel has no /proc/kallmodsyms\n")


def test_an_option_is_missing(copied):
    without(copied, "SERIAL_8250_CONSOLE")
    assert refused(copied) == f"{copied}/.config: CONFIG_SERIAL_8250_CONSOLE is not set, but booting needs it"


def test_a_kernel_that_only_a_boot_loader_starts(copied):
    without(copied, "PVH")
    assert refused(copied).startswith(f"{copied}/arch/x86/boot/bzImage: does not exist, or is older than vmlinux\n")


def test_a_kernel_for_another_machine(copied):
    without(copied, "X86")
    assert refused(copied).startswith(f"{copied}/vmlinux: cannot be booted here: it is for no machine that is known")


def test_a_kernel_that_panics(built):
    with pytest.raises(InputError) as caught:
        boot.run(built, ["/proc/kallmodsyms"], setup=boot.Setup(parameters="rdinit=/nowhere root=nothing"))
    message = str(caught.value)
    assert message.startswith(
        f"{built}/vmlinux: the kernel stopped before all of /proc/kallmodsyms was read; its last lines:\n"
    )
    assert "Kernel panic - not syncing: VFS: Unable to mount root fs" in message


def test_a_file_that_is_not_there(built):
    with pytest.raises(InputError) as caught:
        boot.run(built, ["/proc/nothing"])
    message = str(caught.value)
    assert message.startswith(f"{built}/vmlinux: /proc/nothing cannot be read in the running kernel; its last lines:\n")
    assert "cat: can't open '/proc/nothing': No such file or directory" in message


def test_a_kernel_that_does_not_end(built):
    with pytest.raises(InputError) as caught:
        boot.run(built, [], commands="while :; do :; done", setup=boot.Setup(seconds=1))
    assert str(caught.value).startswith("the kernel was still running after 1 s; its last lines:\n")
