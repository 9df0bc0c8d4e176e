"""What tracers are given. The oracles are nm, the objects of the modules, and the tools themselves where a file is all
that they need (SystemTap's parser, Python's and POSIX's regular expressions); those that need a running kernel are in
test_tracers.py.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kallmodsyms import Kernel, traceable
from kallmodsyms.errors import InputError
from kallmodsyms.export import TOOLS
from kallmodsyms.export.request import Request

LEFT_OUT = (
    "left out, since other functions have the same name: {}; the first is {}. `--for kprobes` has them all, by address"
)

TEXT = (
    "ffffffff81000000 10 T _text\n"
    "ffffffff81000010 20 t ext4_one\t[ext4]\n"
    "ffffffff81000030 20 t ext4_one.cold\t[ext4]\n"
    "ffffffff81000050 20 t twice\t[ext4]\n"
    "ffffffff81000070 20 t twice\t[ext4]\n"
    "ffffffff81000090 20 t shared\t[liquidio] [liquidio_vf]\n"
    "ffffffff810000b0 20 t common\t[ext4]\n"
    "ffffffff810000d0 20 T common\n"
    "ffffffff810000f0 20 t 8250_probe\t[8250]\n"
    "ffffffff81000200 0 T _etext\n"
    "ffffffff81000200 0 T __init_begin\n"
    "ffffffff81000200 0 T _sinittext\n"
    "ffffffff81000200 30 t ext4_init\t[ext4]\n"
    "ffffffff81000240 0 T _einittext\n"
    "ffffffff81000300 0 T __init_end\n"
    "ffffffff81000400 0 T _end\n"
    "ffffffffc0000000 20 t crc7_be\t[crc7]\n"
)


def request(text=TEXT, modules=(), root=None):
    kernel = Kernel.parse(text.encode())
    can = traceable.of(kernel) if root is None else traceable.live(kernel, root)
    return Request(kernel, can, modules, root)


def write(tool, *modules, **more):
    return TOOLS[tool].write(request(modules=modules, **more))


EXPECTED = {
    "bpftrace": "ext4_one\next4_one.cold\n",
    "bpftrace-probes": "kprobe:ext4_one,\nkprobe:ext4_one.cold\n{\n\t@calls[func] = count();\n}\n",
    "ftrace": "ext4_one\next4_one.cold\ntwice\n",
    "trace-cmd": "-l ext4_one\n-l ext4_one.cold\n-l twice\n",
    "regex": "^(ext4_one|ext4_one[.]cold|twice)$\n",
    "kprobes": "p:builtin_ext4/ext4_one _text+16\np:builtin_ext4/ext4_one_cold _text+48\n"
    "p:builtin_ext4/twice _text+80\np:builtin_ext4/twice_2 _text+112\np:builtin_ext4/common _text+176\n",
    "dtrace": ".text 00000000-00000000 = _text\n.text 00000010-00000090 ext4\n.text 000000b0-000000d0 ext4\n"
    ".init.text 00000000-00000000 = _sinittext\n.init.text 00000000-00000030 ext4\n",
    "systemtap": 'probe builtin.ext4 =\n\tkernel.function("ext4_one")?,\n\tkernel.function("twice")?\n{\n}\n',
}


@pytest.mark.parametrize("tool", EXPECTED)
def test_whole_outputs(tool):
    assert write(tool, "ext4").text == EXPECTED[tool]


LISTED = {
    "perf": ["ext4_one [ext4]", "shared [liquidio] [liquidio_vf]", "common [ext4]", "common", "crc7_be\t[crc7]"],
    "perf-modules": ["ext4`ext4_one", "liquidio+liquidio_vf`shared", "ext4`common", "common", "crc7_be\t[crc7]"],
    "kallsyms": ["ext4_one\t[ext4]", "shared\t[liquidio]", "common\t[ext4]", "common", "crc7_be\t[crc7]"],
}


@pytest.mark.parametrize("tool", LISTED)
def test_listings_have_every_symbol(tool):
    lines = write(tool).text.splitlines()
    assert [line.split(" ")[0] for line in lines] == [line.split(" ")[0] for line in TEXT.splitlines()]
    shown = [line.split(" ", 2)[2] for line in lines]
    assert [shown[at] for at in (1, 5, 6, 7, 16)] == LISTED[tool]


def test_who_is_left_out_is_said():
    assert write("bpftrace", "ext4").warnings == [LEFT_OUT.format(3, "twice")]
    assert write("ftrace", "ext4").warnings == [LEFT_OUT.format(1, "common")]
    assert write("kprobes", "8250").text == "p:builtin_8250/_8250_probe _text+240\n"
    assert write("systemtap", "8250").text.startswith("probe builtin._8250 =")


@pytest.mark.parametrize(
    "tool, modules, message",
    [
        ("bpftrace", ["nothing"], "listing: has no module nothing\n  `kallmodsyms modules listing` lists them"),
        (
            "kprobes",
            ["crc7"],
            "listing: crc7 is not built in, but was loaded\n"
            "  tracers know it by its name; nothing needs to be exported",
        ),
    ],
)
def test_modules_that_are_not_built_in(tool, modules, message):
    with pytest.raises(InputError) as caught:
        write(tool, *modules)
    assert str(caught.value) == message


def test_a_filter_of_nothing_would_let_everything_through():
    text = TEXT.replace("[8250]", "[8250]\nffffffff81000110 20 t 8250_probe")
    for tool in ("ftrace", "regex", "bpftrace-probes"):
        with pytest.raises(InputError, match="no function of 8250 can be traced in this way"):
            write(tool, "8250", text=text)


def running(root, **contents):
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_running_kernel_says_what_can_be_traced(tmp_path):
    functions = ["ext4_one", "twice", "twice", "common", "common", "other"]
    addresses = [0x10, 0x50, 0x70, 0xB0, 0xD0, 0x100]
    root = running(
        tmp_path,
        sys__kernel__tracing__available_filter_functions="".join(f"{name}\n" for name in functions),
        sys__kernel__tracing__available_filter_functions_addrs="".join(
            f"{0xFFFFFFFF81000000 + at:x} {name}\n" for at, name in zip(addresses, functions, strict=True)
        ),
        sys__kernel__debug__kprobes__blacklist="0xffffffff81000010-0xffffffff81000030\text4_one\n",
    )
    # The fourth line is ext4's common, the fifth is not; ext4_one.cold cannot be traced, and kprobes refuse ext4_one.
    assert write("ftrace", "ext4", root=root) == ("ext4_one\ntwice\n4\n", [])
    assert "ext4_one" not in write("kprobes", "ext4", root=root).text
    assert write("kprobes", "ext4", root=root).text.count("\n") == 3


def test_names_are_cut_to_what_an_event_may_be_called():
    long = "x" * 70
    text = TEXT.replace("ext4_one.cold", long).replace("ext4_one", "y" + long)
    events = [line.split(" ")[0].partition("/")[2] for line in write("kprobes", "ext4", text=text).text.splitlines()]
    assert all(len(event) <= 63 for event in events) and len(set(events)) == len(events)


def run(*words, prefix=()):
    command = [*prefix, sys.executable, "-m", "kallmodsyms", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_command_finds_modules_in_proc_kallsyms(tmp_path):
    """It alone, with its exit status; as root of a user namespace, so that anybody can run this."""
    listing = tmp_path / "listing"
    listing.write_text(TEXT)
    before = Path("/proc/kallsyms").read_bytes()
    command = ["--", "sh", "-c", "cat /proc/kallsyms; exit 3"]
    for words, form in (([], "kallsyms"), (["--as", "perf-modules"], "perf-modules")):
        done = run("exec", "--from", listing, *words, *command, prefix=["unshare", "-r"])
        assert (done.returncode, done.stdout, done.stderr) == (3, write(form).text, "")
    assert Path("/proc/kallsyms").read_bytes() == before


def test_commands_that_exec_does_not_run(tmp_path):
    (tmp_path / "listing").write_text(TEXT)
    for words, message in (
        (["/usr/bin/drgn"], "drgn finds the kernel itself by /proc/kallsyms, and stops at the first bracket\n"),
        (["no-such-program"], "no-such-program: is not a command on the PATH\n"),
    ):
        done = run("exec", "--from", tmp_path / "listing", "--", *words)
        assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith(f"kallmodsyms: {message}")


# On a real kernel.


@pytest.fixture(scope="module")
def kernel(built):
    return Kernel.open(built / "vmlinux")


def export(kernel, tool, *modules):
    return TOOLS[tool].write(Request(kernel, traceable.of(kernel), modules)).text


def functions_of(built, *objects):
    """The functions of objects, by nm; aliases and what the linker throws away included."""
    paths = [built / path for path in objects]
    said = subprocess.run(["nm", "--defined-only", *paths], capture_output=True, text=True, check=True).stdout
    return {line.split(" ")[2] for line in said.splitlines() if re.match(r"[0-9a-f]+ [tTwW] ", line)}


@pytest.fixture(scope="module")
def ext4_functions(built):
    line = next(line for line in (built / "modules_thick.builtin").open() if line.startswith("fs/ext4/ext4.o:"))
    return functions_of(built, *line.split(":")[1].split())


def test_every_name_is_a_function_of_the_module(kernel, built, ext4_functions):
    image = subprocess.run(["nm", built / "vmlinux"], capture_output=True, text=True, check=True).stdout
    count = Counter(line.split(" ")[-1] for line in image.splitlines())
    names = export(kernel, "bpftrace", "ext4").split()
    assert len(names) > 700 and set(names) <= ext4_functions and all(count[name] == 1 for name in names)
    assert {"ext4_init_fs", "ext4_exit_fs"} <= ext4_functions - set(names)
    # What is missing is gone after boot, refused by kprobes, repeated, or of no size.
    missing = {one.name for one in kernel.modules["ext4"].symbols if count[one.name] == 1 and one.size} - set(names)
    begin, end = kernel.address_of("__init_begin"), kernel.address_of("__init_end")
    assert all(begin <= kernel.find(name)[0].address < end for name in missing)


def test_expressions_match_the_same_names_everywhere(kernel, tmp_path):
    names = [symbol.name for symbol in kernel.symbols]
    (tmp_path / "names").write_text("".join(f"{name}\n" for name in names))
    word = export(kernel, "regex", "liquidio").strip()
    found = [name for name in names if re.search(word, name)]
    assert len(found) > 100
    grep = ["grep", "-E", word, tmp_path / "names"]
    assert subprocess.run(grep, capture_output=True, text=True, check=True).stdout.split() == found
    assert set(found) <= {symbol.name for symbol in kernel.modules["liquidio"].symbols}


def test_all_modules_are_too_much_for_one_word(kernel, monkeypatch):
    from kallmodsyms.export import functions

    monkeypatch.setattr(functions, "_ARGUMENT", 1000)
    with pytest.raises(InputError, match=r"the names of these modules take \d+ bytes; .* has room for 999"):
        export(kernel, "regex")


def test_probes_are_at_the_functions(kernel):
    """Each probe's address has a symbol of the module in its group, and is its start; each function has one probe."""
    base = kernel.address_of("_text")
    seen = set()
    for line in export(kernel, "kprobes").splitlines():
        group, event, offset = re.fullmatch(r"p:(\w+)/(\w+) _text\+(\d+)", line).groups()
        found = kernel.find(base + int(offset))
        assert found.offset == 0 and group == "_".join(["builtin", *found.modules])
        assert (group, event) not in seen
        seen.add((group, event))
    begin, end = kernel.address_of("__init_begin"), kernel.address_of("__init_end")
    owned = [symbol for symbol in kernel.symbols if symbol.modules and symbol.size]
    assert len(seen) == len({one.address for one in owned if not begin <= one.address < end}) > 1000


def test_a_tapset_is_one_to_systemtap(kernel, built, linux_6_1, make_linux, tmp_path):
    make_linux(built, linux_6_1, "modules")  # for Module.symvers, without which it takes no build directory
    (tmp_path / "builtin.stp").write_text(export(kernel, "systemtap"))
    script = "probe builtin.ext4, builtin._8250 { println(ppfunc()) }"
    command = ["stap", "-p1", "-r", built, "-I", tmp_path, "-e", script]
    environment = {**os.environ, "SYSTEMTAP_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "probe builtin.ext4,builtin._8250{" in done.stdout, done.stderr


def test_ranges_are_those_of_the_linker_map(kernel, built):
    """What `kallmodsyms builtin-ranges` makes of the map, in the same sections, but for padding at the ends."""
    command = [sys.executable, "-m", "kallmodsyms", "builtin-ranges", built / ".tmp_vmlinux2.map"]
    thick = ["--thick", built / "modules_thick.builtin"]
    said = subprocess.run([*command, *thick], capture_output=True, text=True, check=True).stdout
    ours, theirs = _bytes(export(kernel, "dtrace")), _bytes(said)
    assert len(theirs) > 400_000
    wrong = {place for place in ours.keys() & theirs.keys() if ours[place] != theirs[place]}
    assert not wrong and len(ours.keys() ^ theirs.keys()) < len(theirs) // 200


def _bytes(text):
    found = {}
    for line in text.splitlines():
        section, offsets, *names = line.split(" ")
        if section in (".text", ".init.text") and names[0] != "=":
            start, end = (int(word, 16) for word in offsets.split("-"))
            found.update(dict.fromkeys(((section, at) for at in range(start, end)), sorted(names)))
    return found
