"""Debian's own kernel of 6.1: attributed by its debug image, and the result used where that kernel runs.

    apt-get download linux-image-6.1.0-57-amd64-dbg linux-image-6.1.0-57-amd64-unsigned
    for package in *.deb; do dpkg-deb -x $package DIR; done

KALLMODSYMS_DEBIAN=DIR names the place: 930 MB to load, 5.8 GB unpacked, of which usr/lib/debug/boot, boot and
lib/modules/*/modules.builtin (650 MB) are needed. The version must be that of linux-source-6.1.
"""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kallmodsyms import Kernel, boot, cli, kernel_commands
from kallmodsyms.explain import Explainer

pytestmark = pytest.mark.long


class Debian:
    """The unpacked packages."""

    def __init__(self, directory):
        (self.image,) = directory.glob("usr/lib/debug/boot/vmlinux-*")
        release = self.image.name.removeprefix("vmlinux-")
        self.vmlinuz, self.config = directory / f"boot/vmlinuz-{release}", directory / f"boot/config-{release}"
        (self.builtin,) = directory.glob(f"**/modules/{release}/modules.builtin")


@pytest.fixture(scope="module")
def debian():
    named = os.environ.get("KALLMODSYMS_DEBIAN")
    if named is None:
        pytest.fail("KALLMODSYMS_DEBIAN=DIR should name where Debian's packages are unpacked: see this file")
    return Debian(Path(named))


@pytest.fixture(scope="module")
def attributed(debian, linux_6_1, tmp_path_factory):
    """The directory that `attribute` wrote."""
    output = tmp_path_factory.mktemp("attributed")
    command = ["attribute", debian.image, "--tree", linux_6_1, "--config", debian.config, "-o", output]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "kallmodsyms", *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 180 and after.ru_maxrss < 2 * 1024**2
    return output


def test_its_modules(debian, attributed):
    """Ours are all in modules.builtin; what is there alone cannot be a module: its option is a bool."""
    modules = {module.name for module in Kernel.open(attributed / "kallmodsyms.attribution").modules.values()}
    listed = {Path(line).stem.replace("-", "_") for line in debian.builtin.read_text().split()}
    assert len(modules) > 150 and modules <= listed
    assert {"ipv6", "i8042", "tpm"} <= modules and {"binfmt_elf", "zswap", "unix"} <= listed - modules


def test_its_symbols(attributed):
    kinds = [line.split()[5] for line in _symbols(attributed) if line.split()[3] in "tTwW"]
    assert kinds.count("dwarf") > 0.98 * len(kinds) and kinds.count("unknown") < 0.02 * len(kinds)


def _symbols(attributed):
    lines = (attributed / "kallmodsyms.attribution").read_text().splitlines()
    return [line for line in lines if line.startswith(("symbol ", "absolute "))]


@pytest.fixture(scope="module")
def running(debian, attributed, linux_6_1, tmp_path_factory):
    """What its vmlinuz has in /proc and /sys, under qemu, with KASLR, and after our kprobes were set."""
    objdir, root = tmp_path_factory.mktemp("objdir"), tmp_path_factory.mktemp("root")
    (objdir / "vmlinux").symlink_to(debian.image)
    (objdir / "include/config").mkdir(parents=True)
    (objdir / "include/config/auto.conf").write_text(debian.config.read_text())
    (objdir / "usr").mkdir()
    program = [linux_6_1 / "usr/gen_init_cpio.c", "-o", objdir / "usr/gen_init_cpio"]
    subprocess.run(["gcc", *map(str, program)], check=True)
    events = objdir / "events"
    words = ["export", "--for", "kprobes", "--module", "i8042", "--from", attributed / "kallmodsyms.attribution"]
    assert cli.main([*map(str, words), "-o", str(events)]) == 0
    commands = "\n".join(
        f"/bin/busybox {command}"
        for command in (
            "mkdir /sys",
            "mount -t sysfs sys /sys",
            "mount -t tracefs tracing /sys/kernel/tracing",
            "sh -c 'cat /events > /sys/kernel/tracing/kprobe_events'",
        )
    )
    wanted = ("/proc/kallsyms", "/sys/kernel/notes", "/sys/kernel/tracing/kprobe_events")
    setup = boot.Setup(image=debian.vmlinuz, parameters="", seconds=900)
    booted = boot.run(objdir, wanted, commands, [events], setup)
    for name, content in zip(wanted, booted.contents, strict=True):
        path = root / name.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_the_running_kernel_is_explained(debian, attributed, running, linux_6_1):
    """Of functions called ip6_, [ipv6] are those of whose source net/ipv6/Makefile says so, by addr2line."""
    kernel = Kernel.live(attributed / "kallmodsyms.attribution", running)
    assert kernel.distance, "KASLR did not move it"
    there = re.findall(r"^(\w+) [tT] ip6_\w+$", (running / "proc/kallsyms").read_text(), re.MULTILINE)
    linked = [f"{int(address, 16) - kernel.distance:x}" for address in there]
    command = ["addr2line", "-a", "-i", "-e", debian.image, *linked]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sources = [frames.split()[-1] for frames in said.split("0x")[1:]]  # the last is what all others are inlined into
    makefile = (linux_6_1 / "net/ipv6/Makefile").read_text().replace("\\\n", " ")
    lists = " ".join(re.findall(r"^ipv6-\S+\s*[:+]=(.*)", makefile, re.MULTILINE))
    members = {f"net/ipv6/{name}.c" for name in re.findall(r"(\w+)\.o", lists)}
    owned = ["/".join(source.partition(":")[0].split("/")[-3:]) in members for source in sources]
    assert 50 < sum(owned) < len(owned)
    text = [f"[<0>] {address}\n".encode() for address in there]
    wanted = [line[:-1] + b" [ipv6]\n" if own else line for line, own in zip(text, owned, strict=True)]
    assert list(Explainer(kernel, 0).lines(text)) == wanted


def test_the_running_kernel_has_every_symbol(attributed, running):
    """Of the listing, relocated, each line is one of the running kernel's /proc/kallsyms."""
    kernel = Kernel.live(attributed / "kallmodsyms.attribution", running)
    own = set((running / "proc/kallsyms").read_bytes().splitlines())
    ours = [line for line in kernel.table.kallsyms_listing().splitlines() if line.split()[1] in b"tTwW"]
    assert len(ours) > 45_000 and own.issuperset(ours)


def test_its_kprobes_were_taken(attributed, running):
    taken = (running / "sys/kernel/tracing/kprobe_events").read_text().splitlines()
    assert len(taken) > 20 and all(line.startswith("p:builtin_i8042/") for line in taken)


def test_export_by_the_running_kernel(attributed, running, monkeypatch, capsysbinary):
    monkeypatch.setattr(kernel_commands, "_ROOT", running)
    words = ["export", "--for", "perf-modules", "--live", "--from", str(attributed / "kallmodsyms.attribution")]
    assert cli.main(words) == 0
    said = capsysbinary.readouterr().out.decode()
    addresses = dict(re.findall(r"^(\w+) \S ipv6`(\w+)$", said, re.MULTILINE))
    own = (running / "proc/kallsyms").read_text()
    assert len(addresses) > 800 and all(f"\n{address} " in own for address in addresses)
