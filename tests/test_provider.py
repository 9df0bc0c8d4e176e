"""/proc/kallmodsyms of a real, unpatched Linux that `kallmodsyms link` made.

Against our decoding of its vmlinux, against /proc/kallsyms of the same boot, and against what nm says of a loaded
module; and with tables that are damaged in the image.
"""

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import hook
import pytest

from kallmodsyms import boot, elf, provider, symbols
from kallmodsyms.kallsyms import reader
from kallmodsyms.kallsyms.filters import OUR_LABELS

BUSYBOX = "/bin/busybox"
AS_NOBODY = f'{BUSYBOX} su nobody -s /bin/sh -c "{BUSYBOX} cat'
BLOCK = 17711  # no multiple of a page, and about a hundred of them are the file

COMMANDS = f"""
{BUSYBOX} insmod /crc7.ko
{BUSYBOX} cat /proc/kallmodsyms > /lines
{BUSYBOX} cat /proc/kallsyms > /kallsyms
{AS_NOBODY} /proc/kallmodsyms" > /nobody
{AS_NOBODY}" < /proc/kallmodsyms | {BUSYBOX} cmp - /lines && echo the opener counts
i=0
while [ $i -lt 100 ]; do
    {BUSYBOX} dd if=/proc/kallmodsyms bs={BLOCK} skip=$i count=1 iflag=fullblock 2>/dev/null
    i=$((i + 1))
done > /blocks
{BUSYBOX} dd if=/lines bs={BLOCK} count=100 iflag=fullblock 2>/dev/null | {BUSYBOX} cmp - /blocks && echo seeks agree
{BUSYBOX} dd if=/proc/kallmodsyms bs=1013 2>/dev/null | {BUSYBOX} cmp - /lines && echo short reads agree
{BUSYBOX} rmmod crc7
{BUSYBOX} grep -q 'crc7]' /proc/kallmodsyms || echo the module is gone
"""

# Addresses in the image; then, with a short list, that of code in two modules, one in a loaded module, one of nothing.
ASK = """
{busybox} insmod /crc7.ko
address_of() {{ echo 0x$({busybox} grep "[tT] $1\\b" /proc/kallsyms | {busybox} cut -d" " -f1); }}
ask() {{ {busybox} insmod /kernel_user.ko function=$(address_of kallmodsyms_address) $@; {busybox} rmmod kernel_user; }}
ask addresses={addresses}
ask length=12 addresses={shared},$(address_of crc7_be),0x10
"""


@pytest.fixture(scope="module")
def module(built, linux_6_1, make_linux):
    """crc7.ko of the same configuration."""
    make_linux(built, linux_6_1, "modules")
    return built / "lib/crc7.ko"


@pytest.fixture(scope="module")
def kernel_user(built, linux_6_1, module, tmp_path_factory):
    """A module that calls kallmodsyms_address(): the address, since nothing is exported to modules, is told to it."""
    directory = tmp_path_factory.mktemp("kernel_user")
    shutil.copy(Path(__file__).with_name("kernel_user.c"), directory)
    (directory / "Makefile").write_text(f"obj-m := kernel_user.o\nccflags-y := -I{provider.SOURCES}\n")
    subprocess.run(
        ["make", "-C", linux_6_1, f"O={built}", "ARCH=x86", f"M={directory}", "modules"],
        check=True,
        capture_output=True,
    )
    return directory / "kernel_user.ko"


@pytest.fixture(scope="module")
def functions(built):
    """Functions of the image, by nm: (address, size, name), each alone at its address."""
    nm = subprocess.run(["nm", "-S", built / "vmlinux"], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in nm.splitlines()]
    shared = Counter(words[0] for words in lines)
    found = [(int(w[0], 16), int(w[1], 16), w[3]) for w in lines if len(w) == 4 and w[2] in "tT" and shared[w[0]] == 1]
    named = [one for one in found if one[2] in ("lio_get_regs_len", "jbd2_journal_commit_transaction", "vfs_read")]
    return named + random.Random(6).sample(found, 80)


@pytest.fixture(scope="module")
def booted(built, module, kernel_user, functions):
    """What root and nobody read, /proc/kallsyms, and the console."""
    inside = ",".join(hex(address + size - 1) for address, size, _ in functions)
    shared = next(at for at, _, name in functions if name == "lio_get_regs_len")
    commands = COMMANDS + ASK.format(busybox=BUSYBOX, addresses=inside, shared=hex(shared))
    found = boot.run(built, ["/lines", "/kallsyms", "/nobody"], commands=commands, extra=[module, kernel_user])
    return *(content.decode() for content in found.contents), found.console


def test_the_image_part_is_what_we_decode(built, booted):
    root, *_ = booted
    listing = (built / "kallmodsyms").read_text()
    assert len(listing.splitlines()) > 15000
    assert root[: len(listing)] == listing


def test_loaded_modules_follow_with_the_sizes_of_their_symbols(booted, module, built):
    root, *_ = booted
    loaded = root[len((built / "kallmodsyms").read_text()) :].splitlines()
    assert all(line.endswith("\t[crc7]") for line in loaded)
    symbols = {
        name: int(size, 16)
        for size, name in (re.fullmatch(r"\S+ (\S+) \S (\S+)\t\[crc7\]", line).groups() for line in loaded)
    }
    nm = subprocess.run(["nm", "-S", module], capture_output=True, text=True, check=True).stdout
    sizes = {words[3]: int(words[1], 16) for line in nm.splitlines() if len(words := line.split()) == 4}
    assert symbols["crc7_be_syndrome_table"] == 256
    assert {name: size for name, size in symbols.items() if size} == {
        name: sizes[name] for name in symbols if sizes.get(name)
    }


def test_every_line_of_kallsyms_is_there_in_its_order(booted):
    root, kallsyms, *_ = booted
    ours = [re.sub(r"^(\S+) \S+ \S (\S+).*", r"\1 \2", line) for line in root.splitlines()]
    assert ours == [re.sub(r"^(\S+) \S (\S+).*", r"\1 \2", line) for line in kallsyms.splitlines()]


def test_nobody_sees_the_same_names_without_addresses_and_sizes(booted):
    root, _, nobody, _ = booted
    assert nobody == re.sub(r"^\S+ \S+ ", "0" * 16 + " 0 ", root, flags=re.MULTILINE)


@pytest.mark.parametrize("what", ["the opener counts", "seeks agree", "short reads agree", "the module is gone"])
def test_reads(booted, what):
    assert what in booted[-1].splitlines()


def test_other_code_in_the_kernel_can_ask(built, booted, functions, module):
    answers = re.findall(r"asked (\S+): (.*)", booted[-1])
    owners = {}
    for line in (built / "kallmodsyms").read_text().splitlines():
        symbol, _, modules = line.partition("\t")
        owners[int(symbol.split(" ")[0], 16)] = " ".join(word.strip("[]") for word in modules.split())
    expected = [(f"{at + size - 1:x}", f"0 {at:x} {size:x} {name} [{owners[at]}]") for at, size, name in functions]
    assert answers[: len(expected)] == expected
    (shared, cut), (loaded, crc7), nothing = answers[len(expected) :]
    at, size, name = next(one for one in functions if one[2] == "lio_get_regs_len")
    assert (shared, cut) == (f"{at:x}", f"-3 {at:x} {size:x} {name} [liquidio]")
    nm = subprocess.run(["nm", "-S", module], capture_output=True, text=True, check=True).stdout
    size = re.search(r"(\S+) T crc7_be$", nm, re.MULTILINE)[1].lstrip("0")
    assert crc7 == f"0 {loaded} {size} crc7_be [crc7]"
    assert nothing == ("10", "nothing")


def test_a_kernel_that_moved_itself(built, linux_6_1, make_linux, tmp_path):
    """KASLR, which the compressed kernel does: every address is ours moved by one distance, but for per-CPU offsets."""
    make_linux(built, linux_6_1, "bzimage")
    image = built / "arch/x86/boot/bzImage"
    setup = boot.Setup(image=image, parameters="")
    running, kallsyms = boot.run(built, ["/proc/kallmodsyms", "/proc/kallsyms"], setup=setup).contents
    (tmp_path / "kallsyms").write_bytes(kallsyms)
    assert running == reader.read(built / "vmlinux").relocated(tmp_path / "kallsyms").listing()
    assert running != (built / "kallmodsyms").read_bytes()


# What make runs in the build directory, with the variables that it exports to the recipe of vmlinux.
COMPILE = f"""
import os, subprocess, sys
sys.path.insert(0, "{Path(__file__).parents[1] / "pipeline"}")
from kallmodsyms import provider
def make(makefile, *goals):
    subprocess.run([os.environ["MAKE"], "-f", os.path.join(os.environ["srctree"], makefile), *goals], check=True)
provider.build(os.environ["srctree"], make, "checked-provider")
"""


def test_the_kernels_own_checks_find_nothing(built, linux_6_1, tmp_path):
    """All warnings of `make W=1 C=2`, which would compile the whole kernel anew."""
    (tmp_path / "compile.py").write_text(COMPILE)
    shutil.rmtree(built / "checked-provider", ignore_errors=True)
    done = hook.run(linux_6_1, built, f"{sys.executable} {tmp_path}/compile.py", "W=1", "C=2")
    assert "-Wmissing-prototypes" in (built / "checked-provider/.kallmodsyms_proc.o.cmd").read_text()
    shutil.rmtree(built / "checked-provider")
    files = [f"checked-provider/{name}" for name in ("kallmodsyms", "kallmodsyms_linked", "kallmodsyms_proc")]
    assert done.stdout.split() == [word for name in files for word in ("CC", f"{name}.o", "CHECK", f"{name}.c")]
    assert (done.returncode, done.stderr) == (0, "")


TABLES = [name for name in OUR_LABELS if "kallsyms_object" not in name and "_num_objects" not in name]


def damaged(vmlinux: Path, labels: list[str], chance: random.Random) -> bytes:
    """An image with other bytes in these tables."""
    image, found = elf.Elf(vmlinux), symbols.read(vmlinux)
    starts = {name.decode(): int(at) for name, at in zip(found.names, found.addresses, strict=True)}
    data = bytearray(vmlinux.read_bytes())
    for label in labels:
        start = starts[label]
        if label.endswith("_len") or "_num_" in label:
            size = 4
        else:
            others = [at for name, at in starts.items() if name.startswith("kallsyms_") and name != label]
            size = min(at for at in others if at >= start) - start
        section = image.section_at(start)
        place = start - section.address + section.offset
        data[place : place + size] = chance.randbytes(size)
    return bytes(data)


@pytest.mark.parametrize("label", ["all", *(pytest.param(label, marks=pytest.mark.long) for label in TABLES)])
def test_a_damaged_table_in_the_image(built, tmp_path, label):
    """Whatever ours hold: the kernel comes up, reading ends, and /proc/kallsyms is what it was."""
    there = {name.decode() for name in symbols.read(built / "vmlinux").names}
    labels = [name for name in (TABLES if label == "all" else [label]) if name in there]
    if not labels:
        pytest.skip("this kernel does not have it")
    (tmp_path / "vmlinux").write_bytes(damaged(built / "vmlinux", labels, random.Random(label)))
    commands = """
        /bin/busybox cat /proc/kallmodsyms > /listing; echo read: $?
        for skip in 1 7 100 1000; do /bin/busybox dd if=/proc/kallmodsyms of=/part bs=997 skip=$skip count=3; done
    """
    booted = boot.run(built, ["/proc/kallsyms"], commands, setup=boot.Setup(image=tmp_path / "vmlinux"))
    assert re.search(r"read: [01]$", booted.console, re.MULTILINE), booted.console[-2000:]
    assert re.findall(r"(?m)^.*(?:BUG|WARNING|Oops|general protection).*$", booted.console) == []
    assert booted.contents[0] == reader.read(built / "vmlinux").kallsyms_listing()
