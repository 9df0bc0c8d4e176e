"""Texts of kernels, explained: forms of real ones, whole outputs, and whatever bytes a text may have. A real oops, perf
script and stacks are in test_tracers.py.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kallmodsyms import Kernel
from kallmodsyms.explain import Explainer

ROOT = Path(__file__).parent.parent
BASE = 0xFFFFFFFF81000000
LISTING = (
    "0000000000000000 30 A fixed_percpu_data\n"
    "ffffffff81000000 10 T _text\n"
    "ffffffff81000010 1d t ext4_sync_file\t[ext4]\n"
    "ffffffff81000030 20 t lio_get_regs_len\t[liquidio] [liquidio_vf]\n"
    "ffffffff81000050 18 t event_show\t[ext4]\n"
    "ffffffff81000070 20 t event_show\t[jbd2]\n"
    "ffffffff81000090 20 t event_show\n"
    "ffffffff810000b0 20 T vfs_read\n"
    "ffffffff810000d0 20 t crc.isra.0\t[crc32]\n"
    "ffffffff81000100 0 T _end\n"
)
KERNEL = Kernel.parse(LISTING.encode())


def explained(text, distance=None, more=None):
    data = text if isinstance(text, bytes) else text.encode()
    return b"".join(Explainer(KERNEL, distance, more).lines(data.splitlines(keepends=True)))


# What comes in, and what goes out behind each `<`.
FORMS = """
[   12.345678] RIP: 0010:ext4_sync_file+0x10/0x20< [ext4]>
[   12.345678]  ? lio_get_regs_len+0x5/0x20< [liquidio] [liquidio_vf]>
 vfs_read+0x8/0x20
[<0>] ext4_sync_file+0x10/0x20< [ext4]>
 event_show+0x3/0x20
 event_show+0x3
 ext4_sync_file+0x10/0x30
 crc.isra.0+0x1/0x30< [crc32]>
 ext4_sync_file+0x10/0x20 [ext4]
 ext4_sync_file+0x10/0x20 [other_module]
    ext4_sync_file+16< [ext4]>
    b'ext4_sync_file+0x10'< [ext4]>
 my_ext4_sync_file+0x10/0x20
 ext4_sync_file+0x10/0x20/0x30
 ext4_sync_file
ext4_sync_file+0x10/0x20< [ext4]>, ext4_sync_file+0x1/0x20< [ext4]>
"""


def test_forms():
    lines = FORMS.strip("\n").splitlines()
    plain = [line.replace("b'ext4_sync_file+0x10'< [ext4]>", "b'ext4_sync_file+0x10< [ext4]>'") for line in lines]
    for line in plain:
        pieces = [part for piece in line.split("<0>") for part in [piece]]
        given, wanted = ("<0>".join(_cut(piece, keep) for piece in pieces) for keep in (False, True))
        assert explained(given).decode() == wanted


def _cut(text, keep):
    """`text` with what is in `< >` left out, or only the marks themselves."""
    out, rest = "", text
    while "< [" in rest:
        before, _, rest = rest.partition("<")
        said, _, rest = rest.partition(">")
        out += before + (said if keep else "")
    return out + rest


def test_addresses_need_to_be_known_from_somewhere():
    text = "ffffffff81000018 is not said\nffffffff81000018 vfs\n"
    assert explained(text).decode() == text
    assert explained(text, distance=0).decode() == "ffffffff81000018 [ext4] is not said\nffffffff81000018 [ext4] vfs\n"
    moved = "RAX: ffffffffa1000018 RBX: 0000000000000018 RSP: 0018:ffffffffa10000b8\n"
    panic = "Kernel Offset: 0x20000000 from 0xffffffff81000000 (relocation range: …)\n"
    assert explained(panic + moved).decode() == panic + moved.replace("1000018", "1000018 [ext4]", 1)
    disabled = "Kernel Offset: disabled\n0000000000000000 ffffffff81000018\n"
    assert explained(disabled).decode() == disabled.replace("0018", "0018 [ext4]")


def test_an_address_before_its_symbol_tells_the_offset():
    """perf script: the pair is explained once, also by its address; bare addresses behind it are, too."""
    text = (
        "ffffffffa1000078 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa10000b8 vfs_read+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000078 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000058 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000098 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000018\n"
        "    7f0012345678 vfs_read+0x8 (/usr/bin/program)\n"
    )
    assert explained(text).decode() == (
        "ffffffffa1000078 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa10000b8 vfs_read+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000078 event_show+0x8 [jbd2] ([kernel.kallsyms])\n"
        "ffffffffa1000058 event_show+0x8 [ext4] ([kernel.kallsyms])\n"
        "ffffffffa1000098 event_show+0x8 ([kernel.kallsyms])\n"
        "ffffffffa1000018 [ext4]\n"
        "    7f0012345678 vfs_read+0x8 (/usr/bin/program)\n"
    )


def test_more_is_in_braces():
    said = explained(" ext4_sync_file+0x10/0x20\n vfs_read+0x8/0x20\n", more=lambda at: f"at {at - BASE:#x}")
    assert said == b" ext4_sync_file+0x10/0x20 [ext4] {at 0x20}\n vfs_read+0x8/0x20 {at 0xb8}\n"


@given(st.binary(max_size=300))
def test_any_bytes_come_back(text):
    """A text in which no symbol is mentioned is untouched; what is added can be taken away again."""
    if b"+" not in text:
        assert explained(text) == text
    said = explained(text + b" ext4_sync_file+0x10/0x20")
    assert said in (text + b" ext4_sync_file+0x10/0x20 [ext4]", text + b" ext4_sync_file+0x10/0x20")


def test_what_was_explained_once_stays():
    once = explained(" ext4_sync_file+0x10/0x20 lio_get_regs_len+0x5/0x20\n")
    assert explained(once) == once


def run(*words, text=b"", status=0):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", "explain", *map(str, words)]
    done = subprocess.run(command, input=text, capture_output=True, env=environment)
    assert done.returncode == status and b"Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr.decode()


@pytest.fixture
def listing(tmp_path):
    path = tmp_path / "listing"
    path.write_text(LISTING)
    return path


def test_a_file_is_read_for_its_last_line_first(listing, tmp_path):
    """A panic says where the kernel was behind the addresses that it is about."""
    log = tmp_path / "log"
    log.write_bytes(b"RAX: ffffffffa1000018\n\xff\xfe\nKernel Offset: 0x20000000 from 0xffffffff81000000\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", "explain", "--from", listing]
    with open(log, "rb") as stream:
        said = subprocess.run(command, stdin=stream, capture_output=True, check=True, env=environment).stdout
    assert said == log.read_bytes().replace(b"0018", b"0018 [ext4]")


def test_lines_come_as_soon_as_they_are_there(listing):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", "explain", "--from", listing]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        for _ in range(2):
            process.stdin.write(b" ext4_sync_file+0x10/0x20\n")
            process.stdin.flush()
            assert process.stdout.readline() == b" ext4_sync_file+0x10/0x20 [ext4]\n"
        process.stdin.close()
        assert process.wait() == 0


def test_long_lines_and_many(listing):
    """A line of 10 MB, of words that nearly are symbols; and 200,000 lines."""
    for text in (
        b"ext4_sync_file+0x " * 580_000 + b" ext4_sync_file+0x10/0x20",
        b"a" * 10_000_000,
        b"." * 5_000_000 + b"+" * 5_000_000,
        b" ext4_sync_file+0x10/0x30\n" * 200_000,
    ):
        start = time.monotonic()
        said, _ = run("--from", listing, text=text)
        assert said.removesuffix(b" [ext4]") == text
        assert time.monotonic() - start < 20


def test_a_reader_that_goes_away(listing):
    command = f"yes ' ext4_sync_file+0x10/0x20' | {sys.executable} -m kallmodsyms explain --from {listing} | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run(command, shell=True, capture_output=True, env=environment)
    assert (done.stdout, done.stderr) == (b" ext4_sync_file+0x10/0x20 [ext4]\n", b"")


def test_a_terminal(listing):
    master, terminal = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", "explain", "--from", listing]
    done = subprocess.run(command, stdin=terminal, capture_output=True, env=environment)
    os.close(master)
    os.close(terminal)
    assert done.returncode == 1 and done.stderr.decode() == (
        "kallmodsyms: standard input is a terminal: which text?\n  pipe a text into it, or put one there with <\n"
    )


@pytest.mark.parametrize("stream, what", [("<&-", "input"), (">&-", "output")])
def test_a_stream_that_is_closed(listing, stream, what):
    command = f"echo x | {sys.executable} -m kallmodsyms explain --from {listing} {stream}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run(command, shell=True, capture_output=True, env=environment)
    assert (done.returncode, done.stderr.decode()) == (1, f"kallmodsyms: standard {what} is closed\n")


def test_no_kernel():
    assert (
        run("--from", "/nowhere", status=1)[1] == "kallmodsyms: /nowhere: cannot be read: No such file or directory\n"
    )
    assert run(status=2)[1].endswith("error: which kernel? Name a VMLINUX, or say --live\n")


def test_objects_are_known_beside_an_image_alone(listing):
    _, said = run("--from", listing, "--more", status=1)
    assert said == (
        f"kallmodsyms: {listing}: no .tmp_vmlinux2.ranges is beside it: its objects are not known\n"
        "  give the vmlinux in the directory where `kallmodsyms link` made it\n"
    )


def test_random_pieces_of_a_real_text(listing):
    """Cut anywhere, nothing but brackets is ever added."""
    text = b"".join(line.encode() + b"\n" for line in FORMS.replace("<", "").replace(">", "").splitlines())
    chance = random.Random(14)
    for _ in range(300):
        start, end = sorted(chance.sample(range(len(text)), 2))
        piece = text[start:end]
        said = explained(piece)
        assert len(said) >= len(piece) and explained(piece) == said
