"""The Python API, on the small real kernel. The oracles are nm, readelf, size, and the rule for a lookup, said again in
plain words.
"""

import bisect
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kallmodsyms
from kallmodsyms import Kernel
from kallmodsyms.errors import InputError


@pytest.fixture(scope="module")
def image(built):
    return built / "vmlinux"


@pytest.fixture(scope="module")
def kernel(image):
    return Kernel.open(image)


def test_importing_costs_nothing():
    code = "import sys, kallmodsyms; assert 'numpy' not in sys.modules; kallmodsyms.Kernel; sys.modules['numpy']"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(hasattr(kallmodsyms, name) for name in kallmodsyms.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Colonel'"):
        _ = kallmodsyms.Colonel


def test_symbols_are_those_of_nm(kernel, image):
    text = subprocess.run(["nm", "-n", image], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout
    there = Counter(tuple(line.split(" ", 2)[::2]) for line in text.splitlines())
    listed = Counter((f"{symbol.address:016x}", symbol.name) for symbol in kernel.symbols)
    assert len(listed) > 28_000 and not listed - there
    assert [kernel.symbols[index] for index in (0, 5000, -1)] == [
        list(kernel.symbols)[index] for index in (0, 5000, -1)
    ]
    assert list(kernel.symbols[7:9]) == [kernel.symbols[7], kernel.symbols[8]]


def test_build_id_is_what_readelf_says(kernel, image):
    said = subprocess.run(["readelf", "-n", image], capture_output=True, text=True, check=True).stdout
    assert kernel.build_id and f"Build ID: {kernel.build_id}\n" in said


def one_by_one(table, address):
    """The rule of the kernel's lookup, in so many words (docs/design.md, "Module tables")."""
    below = bisect.bisect_right(table.addresses.tolist(), address)
    start = int(table.addresses[below - 1]) if below else None
    held = any(first <= address < last for first, last in table.sections)
    if start is None or not (held or start == address):
        return None
    there = [index for index in range(below) if int(table.addresses[index]) == start]
    reaching = [index for index in there if start + int(table.sizes[index]) > address]
    run = bisect.bisect_right(table.runs.tolist(), address) - 1
    modules = table.lists[table.of_runs[run]] if run >= 0 else ()
    return kallmodsyms.Found(table.symbol((reaching or there)[0]), address - start, modules)


def test_an_address_is_found_as_the_kernel_finds_it(kernel):
    """Starts, ends and middles of symbols and runs, one before and one after each."""
    table = kernel.table
    steps = [np.uint64(step % 2**64) for step in (-1, 0, 1)]
    ends = table.addresses + table.sizes
    places = [table.addresses, ends, (table.addresses + ends) // np.uint64(2), table.runs]
    places += [np.array(section, np.uint64) for section in table.sections]
    addresses = np.unique(np.concatenate([place + step for place in places for step in steps]))
    edges = {edge + step for section in table.sections for edge in section for step in (-1, 0, 1)}
    for address in [*random.Random(14).sample(addresses.tolist(), 1500), *edges, 0, 2**64 - 1]:
        assert kernel.find(address) == one_by_one(table, address), hex(address)
    assert kernel.find(2**64) is None and kernel.find(-1) is None


def test_names(kernel, image):
    assert kernel.find("no_such_symbol") == []
    repeated, count = Counter(symbol.name for symbol in kernel.symbols).most_common(1)[0]
    assert count > 2 and len(kernel.find(repeated)) == count
    assert {symbol.name for symbol in kernel.find(repeated)} == {repeated}


def test_modules_are_those_of_the_thick_list(kernel, image):
    listed = [line.partition(":")[0] for line in (image.parent / "modules_thick.builtin").read_text().splitlines()]
    names = {Path(path).stem.replace("-", "_") for path in listed}
    # A module without a function is nobody's owner: nothing to trace.
    assert set(kernel.modules) <= names and len(names - set(kernel.modules)) < 4
    assert list(kernel.modules) == sorted(kernel.modules)
    ext4 = kernel.modules["ext4"]
    assert [symbol.modules for symbol in ext4.symbols] == [("ext4",)] * len(ext4.symbols) and len(ext4.symbols) > 500
    assert {symbol for symbol in kernel.symbols if "liquidio" in symbol.modules} == set(
        kernel.modules["liquidio"].symbols
    )


def test_bytes_of_modules_are_those_of_their_objects(kernel, built):
    """`size -A` of each object of a module; the tables' runs also have the padding between its objects."""
    for line in (built / "modules_thick.builtin").read_text().splitlines():
        path, _, members = line.partition(":")
        module = kernel.modules.get(Path(path).stem.replace("-", "_"))
        objects = members.split() or [path]
        said = subprocess.run(["size", "-A", *objects], capture_output=True, text=True, check=True, cwd=built).stdout
        sizes = [
            line.split()[:2] for line in said.splitlines() if line.startswith((".text", ".init.text", ".exit.text"))
        ]
        text = sum(int(size) for name, size in sizes if name.startswith(".text"))
        init = sum(int(size) for name, size in sizes if not name.startswith(".text"))
        got = (module.text, module.init) if module else (0, 0)
        room = 64 * len(sizes)
        assert text <= got[0] <= text + room and init <= got[1] <= init + room, (path, got, text, init)


def test_a_saved_listing_is_the_same_kernel(kernel):
    saved = Kernel.parse(kernel.table.listing())
    assert saved.table.listing() == kernel.table.listing()
    assert {name: (one.text, one.init) for name, one in saved.modules.items()} == {
        name: (one.text, one.init) for name, one in kernel.modules.items()
    }
    plain = Kernel.parse(kernel.table.kallsyms_listing())
    assert plain.table.kallsyms_listing() == kernel.table.kallsyms_listing() and not plain.modules


def test_loaded_modules_are_told_from_built_in_ones():
    text = (
        b"ffffffff81000000 T _text\nffffffff81000010 t ext4_x\t[ext4]\nffffffff81002000 B _end\n"
        b"ffffffffc0000000 t crc7_be\t[crc7]\nffffffffc0000100 t bpf_prog_1\t[bpf]\n"
    )
    modules = Kernel.parse(text).modules
    assert {name: one.loaded for name, one in modules.items()} == {"bpf": True, "crc7": True, "ext4": False}


@pytest.fixture
def running(image, kernel, tmp_path):
    """The /proc and /sys of this kernel, as KASLR might have moved it."""
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "sys/kernel").mkdir(parents=True)
    notes = ["objcopy", "-O", "binary", "-j", ".notes", image, root / "sys/kernel/notes"]
    subprocess.run(notes, check=True)
    text = kernel.table.kallsyms_listing().decode()
    moved = re.sub(r"^ffffffff(.{8})", lambda m: f"ffffffff{int(m[1], 16) + 0x1E000000:08x}", text, flags=re.MULTILINE)
    (root / "proc/kallsyms").write_text(moved)
    return root


def test_the_running_kernel_by_the_image_of_its_build(running, image, kernel):
    live = Kernel.live(image, running)
    shown = (running / "proc/kallsyms").read_text().splitlines()
    assert [f"{symbol.address:016x} {symbol.name}" for symbol in live.symbols] == [
        f"{line.split(' ')[0]} {line.split(' ')[2]}" for line in shown
    ]
    found, there = kernel.find("ext4_sync_file")[0], live.find("ext4_sync_file")[0]
    assert there.address == found.address + 0x1E000000 and there.modules == ("ext4",)
    assert live.find(there.address + 9) == (there, 9, ("ext4",)) and live.find(found.address) is None
    assert live.modules["ext4"].text == kernel.modules["ext4"].text and live.distance == 0x1E000000


def test_another_build_is_refused(running, image):
    notes = (running / "sys/kernel/notes").read_bytes()
    build_id = Kernel.open(image).build_id
    other = "00" + build_id[2:]
    (running / "sys/kernel/notes").write_bytes(notes.replace(bytes.fromhex(build_id), bytes.fromhex(other)))
    with pytest.raises(InputError) as caught:
        Kernel.live(image, running)
    said = f"its build id is {build_id}, the running kernel's is {other}"
    assert str(caught.value) == f"{image}: is not of the running kernel: {said}"


def test_what_the_running_kernel_does_not_tell(running, image, kernel):
    with pytest.raises(InputError, match="kallmodsyms: the running kernel has no such file\n  give its image"):
        Kernel.live(root=running)
    (running / "proc/kallmodsyms").write_bytes(kernel.table.listing())
    assert len(Kernel.live(root=running).symbols) == len(kernel.symbols)
    hidden = re.sub(r"^.{16}", "0" * 16, (running / "proc/kallsyms").read_text(), flags=re.MULTILINE)
    (running / "proc/kallsyms").write_text(hidden)
    with pytest.raises(InputError, match="kallsyms: does not say where _text is\n  read it as root"):
        Kernel.live(image, running)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(0, 40), st.sampled_from(["", "\t[a]", "\t[b]", "\t[a] [b]", "\t[a] {x.o}"])
        )
    )
)
def test_any_listing_comes_back(symbols):
    lines = [
        f"{0xFFFFFFFF81000000 + at:016x} {size:x} t s{n}{tail}\n" for n, (at, size, tail) in enumerate(sorted(symbols))
    ]
    text = "".join(["ffffffff81000000 0 T _text\n", *lines]).encode()
    kernel = Kernel.parse(text)
    assert kernel.table.listing() == text
    for symbol in kernel.symbols:
        alone = all(
            other is symbol
            or other.address >= symbol.address + symbol.size
            or other.address + other.size <= symbol.address
            for other in map(kernel.symbols.__getitem__, range(len(kernel.symbols)))
            if other != symbol
        )
        if alone and symbol.size:
            found = kernel.find(symbol.address + symbol.size - 1)
            assert found.modules == symbol.modules


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not an ELF file"),
        (b"\x7fELF\2\1\1" + bytes(9), "ELF header: "),
        (b"hello\n", "is neither a kernel image nor a line of /proc/kallmodsyms or /proc/kallsyms"),
        (b"\xff\xfe\n", "is not an ELF file"),
        (b"ffffffff81000000 T _text\nffffffff8100 T x\n", "is neither a kernel image nor a line"),
        (b"0000000000000000 T _text\n0000000000000000 T x\n", "says 0 for every address"),
        (b"ffffffff81000000 T _text\nffffffff81000000 T \xff\xfe cut", "is neither a kernel image nor a line"),
    ],
)
def test_what_is_no_kernel(content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Kernel.open(path)
    assert message in str(caught.value) and str(caught.value).startswith(f"{path}:")


def test_many_addresses_are_quick(kernel):
    """100,000 in a tenth of a second: twenty times what it takes, and a hundredth of one lookup after another."""
    addresses = np.resize(kernel.table.addresses + np.uint64(3), 100_000)
    start = time.process_time()
    assert (kernel.locate(addresses).symbols >= 0).mean() > 0.9
    assert time.process_time() - start < 0.3
