"""A real, unpatched Linux 6.1: built by the task graph, booted under qemu, compared with what it says of itself."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hook
import pytest
import truth

from kallmodsyms import boot
from kallmodsyms.kallsyms import reader

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def booted(built):
    """/proc/kallsyms of the running kernel."""
    return boot.run(built, ["/proc/kallsyms"]).contents[0].decode()


def listing(built):
    return (built / "kallmodsyms").read_text()


def test_running_kernel_lists_what_we_decode(built, booted):
    """Every address and name, and every type but for the lower case of module symbols."""
    running = [tuple(line.split(" ", 2)) for line in booted.splitlines() if "\t[" not in line]
    ours = []
    for line in listing(built).splitlines():
        symbol, _, modules = line.partition("\t")
        address, _, letter, name = symbol.split(" ")
        ours.append((address, letter, name, bool(modules)))
    assert len(running) > 15000
    assert [(a, n) for a, _, n in running] == [(a, n) for a, _, n, _ in ours]
    for (_, theirs, name), (_, letter, _, modular) in zip(running, ours, strict=True):
        assert letter == (theirs.lower() if modular else theirs), name


def test_modules_of_known_symbols(built):
    owners = truth.listed(listing(built))
    assert owners["ext4_fill_super"] == {("ext4",): 1}
    assert owners["jbd2_journal_commit_transaction"] == {("jbd2",): 1}
    assert owners["isofs_fill_super"] == {("isofs",): 1}
    assert owners["fat_fill_super"] == {("fat",): 1}
    assert owners["lio_get_regs_len"] == {("liquidio", "liquidio_vf"): 1}
    assert owners["handle_timestamp"] == {("liquidio",): 1, ("liquidio_vf",): 1}
    assert owners["vfs_read"] == {(): 1}


def test_every_symbol_against_the_commands_that_compiled_it(built):
    targets = truth.linked(built)
    owners = truth.tristate_modules(built, targets)
    comparison = truth.Comparison(truth.expected(built, targets, owners), truth.listed(listing(built)))
    print(comparison)
    assert sum(1 for modules in owners.values() if modules) > 80
    assert comparison.agree > 8000
    assert (comparison.missing, comparison.extra, comparison.wrong, comparison.unknown) == ([], [], [], [])


def test_list_agrees_with_the_objects(built, linux_6_1):
    command = [
        sys.executable,
        "-m",
        "kallmodsyms",
        "thick",
        "--check",
        "--arch",
        "x86_64",
        "--tree",
        linux_6_1,
        "--objdir",
        built,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_later_make_goes_on_from_our_image(built, linux_6_1):
    """bzImage is made of the same vmlinux, whose tables are still there."""
    before = (built / "vmlinux").read_bytes()
    command = [
        sys.executable,
        "-m",
        "doit",
        "profile=config/linux-small.yaml",
        f"tree={linux_6_1}",
        f"objdir={built}",
        "bzimage",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert (built / "vmlinux").read_bytes() == before
    assert (built / "arch/x86/boot/bzImage").stat().st_size > 500_000


LINKER = '"$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"'


def sections(image):
    """Name and size of every section."""
    output = subprocess.run(["readelf", "-SW", image], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\] (\S+) +\w+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ", output)


def test_switched_off_nothing_is_left(built, linux_6_1, tmp_path):
    """The image has the size that the tree's own script gives it, of the same objects: the whole and each section."""
    objdir = tmp_path / "objdir"
    shutil.copytree(built, objdir, symlinks=True)
    images = []
    ours = f"{sys.executable} -m kallmodsyms link --no-modules --"
    for program in (f"sh {linux_6_1}/scripts/link-vmlinux.sh", f"PYTHONPATH={ROOT}/pipeline {ours}"):
        done = hook.run(linux_6_1, objdir, f"{program} {LINKER}")
        assert done.returncode == 0, done.stdout + done.stderr
        images.append((objdir / "vmlinux").rename(tmp_path / f"vmlinux{len(images)}"))
    theirs, ours = images
    assert sections(ours) == sections(theirs)
    assert len(sections(ours)) > 30
    assert ours.stat().st_size == theirs.stat().st_size
    assert reader.read(ours).kallsyms_listing() == reader.read(theirs).kallsyms_listing()


@pytest.mark.long
def test_the_words_of_the_readme_for_make(built, linux_6_1, make_linux):
    """vmlinux, bzImage and modules by make alone; the compressed kernel boots and has the file."""
    (words,) = re.findall(r"(?m)^    make vmlinux (cmd_link_vmlinux='.*')$", (ROOT / "README.md").read_text())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = f"make -C {linux_6_1} O={built} ARCH=x86 -j{os.cpu_count()} vmlinux bzImage modules {words}"
    (built / "lib/crc7.ko").unlink(missing_ok=True)
    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT}/pipeline"},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "  KSYMS   .tmp_vmlinux1.kallsyms.S\n" in done.stdout
    assert (built / "lib/crc7.ko").exists()
    found = boot.run(built, ["/proc/kallmodsyms"], setup=boot.Setup(image=built / "arch/x86/boot/bzImage"))
    assert found.contents[0] == reader.read(built / "vmlinux").listing()
    make_linux(built, linux_6_1)  # for the tests that follow, by the command that they go on from
