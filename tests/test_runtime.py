"""The C reader in pipeline/kallmodsyms/runtime against listings that were known before their tables were encoded.

The encoder below is the tests' own, written from docs/design.md ("Module tables", "Sizes") and from scripts/kallsyms.c,
so that a mistake of the package's generator cannot hide in both. Big-endian and 32-bit programs run under qemu's user
emulation.
"""

import bisect
import itertools
import os
import random
import re
import struct
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RUNTIME = Path(__file__).parents[1] / "pipeline" / "kallmodsyms" / "runtime"
HARNESS = Path(__file__).with_name("runtime_harness.c")
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wmissing-prototypes",
    "-Wstrict-prototypes",
    "-Wdeclaration-after-statement",
    "-Werror",
]

ADDRESSES, OFFSETS, OFFSETS_PERCPU, DISTANCES = range(4)
DENSE, COMPACT, NO_SIZES = "dense", "compact", "none"
ABSENT = 0xFFFFFFFF
TABLES = [
    "addresses",
    "names",
    "markers",
    "token_table",
    "token_index",
    "module_addresses",
    "modules",
    "module_names",
    "module_exceptions",
    "sizes",
    "size_codes",
    "size_markers",
    "objects",
    "object_names",
]


@dataclass(frozen=True)
class Machine:
    """A kind of program that reads the tables."""

    compiler: str
    runner: tuple[str, ...] = ()
    order: str = "<"
    word: str = "Q"

    @property
    def bits(self):
        return 8 * struct.calcsize("=" + self.word)


MACHINES = {
    "x86_64": Machine("gcc"),
    "powerpc": Machine("powerpc-linux-gnu-gcc", ("qemu-ppc",), ">", "I"),
    "s390x": Machine("s390x-linux-gnu-gcc", ("qemu-s390x",), ">"),
}


@dataclass
class Symbol:
    address: int
    size: int
    type: str
    name: str


@dataclass
class Image:
    """Symbols in address order and who owns what.

    runs: (start, names of modules), ascending, the last with no names
    """

    symbols: list
    runs: list = field(default_factory=list)
    exceptions: dict = field(default_factory=dict)  # symbol index to names of modules
    objects: dict = field(default_factory=dict)  # symbol index to the end of its object's path
    encoding: int = OFFSETS
    base: int = 0
    sizes: str = COMPACT

    def owners(self, index):
        symbol = self.symbols[index]
        if symbol.type not in "tTwW":
            return ()
        return self.exceptions[index] if index in self.exceptions else self.owners_at(symbol.address)

    def owners_at(self, address):
        run = bisect.bisect_right([start for start, _ in self.runs], address) - 1
        return () if run < 0 else self.runs[run][1]

    def next_higher(self, index):
        later = itertools.islice(self.symbols, index, None)
        return next((s.address for s in later if s.address > self.symbols[index].address), None)


def listing(image, machine, *, hide=False):
    """The lines of /proc/kallmodsyms."""
    lines = []
    for index, symbol in enumerate(image.symbols):
        owners = image.owners(index)
        size = "" if image.sizes == NO_SIZES else f"{0 if hide else symbol.size:x} "
        behind = [f"[{name}]" for name in owners] + [f"{{{end}}}" for at, end in image.objects.items() if at == index]
        tail = "\t" + " ".join(behind) if behind else ""
        kind = symbol.type.lower() if owners else symbol.type
        lines.append(f"{0 if hide else symbol.address:0{machine.bits // 4}x} {size}{kind} {symbol.name}{tail}\n")
    return lines


# The encoder.


def uleb128(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def size_code(image, index):
    size, above = image.symbols[index].size, image.next_higher(index)
    if size == 0:
        return b"\xff"
    if above is not None and 0 <= (code := above - image.symbols[index].address - size) <= 253:
        return bytes([code])
    return b"\xfe" + uleb128(size)


def module_names(image):
    """The names, and the offset of every list of them in it."""
    table, offsets = bytearray(b"\0"), {(): 0}
    for owners in sorted({*(o for _, o in image.runs), *image.exceptions.values()} - {()}):
        offsets[owners] = len(table)
        if len(owners) > 1:
            table += bytes([0, len(owners)])
        for name in owners:
            table += name.encode() + b"\0"
    return bytes(table), offsets


def encode(image, machine):
    """The counts and tables as the harness takes them: a dictionary that `pack` writes and the fuzzer damages."""

    def numbers(values, code="I"):
        values = list(values)
        return struct.pack(f"{machine.order}{len(values)}{code}", *values)

    def encode_addresses(addresses):
        if image.encoding == ADDRESSES:
            return numbers(addresses, machine.word)
        if image.encoding == OFFSETS:
            return numbers(address - image.base for address in addresses)
        if image.encoding == DISTANCES:
            return numbers((a - image.base - 4 * index for index, a in enumerate(addresses)), "i")
        return numbers((a if a < 0x1000 else image.base - 1 - a for a in addresses), "i")

    # Tokens: every byte for itself, and a few longer ones in the places of control characters, the longest first.
    tokens = [bytes([byte]) for byte in range(1, 256)]
    longer = [b"_init", b"kallsyms_", b"t_", b"ab", b"T"]
    tokens = [b"~", *longer, *tokens[len(longer) :]]
    starts = list(itertools.accumulate((len(token) + 1 for token in tokens), initial=0))[:-1]
    codes = {token: code for code, token in enumerate(tokens)}

    def name(symbol):
        text, out = (symbol.type + symbol.name).encode("latin-1"), bytearray()
        while text:
            token = next((t for t in longer if text.startswith(t)), text[:1])
            out.append(codes[token])
            text = text[len(token) :]
        return (bytes([len(out)]) if len(out) < 128 else bytes([len(out) & 0x7F | 0x80, len(out) >> 7])) + bytes(out)

    names = [name(symbol) for symbol in image.symbols]
    size_codes = [size_code(image, index) for index in range(len(image.symbols))]
    owner_names, offsets = module_names(image)
    object_names = b"\0" + b"".join(b"%b\0" % end.encode() for end in sorted(set(image.objects.values())))
    tables = {
        "addresses": encode_addresses(symbol.address for symbol in image.symbols),
        "names": b"".join(names),
        "markers": numbers(list(itertools.accumulate(map(len, names), initial=0))[:-1][::256]),
        "token_table": b"".join(token + b"\0" for token in tokens),
        "token_index": numbers(starts, "H"),
        "module_addresses": encode_addresses(start for start, _ in image.runs),
        "modules": numbers(offsets[owners] for _, owners in image.runs),
        "module_names": owner_names,
        "module_exceptions": numbers(v for i, o in sorted(image.exceptions.items()) for v in (i, offsets[o])),
        "sizes": numbers((s.size for s in image.symbols), machine.word) if image.sizes == DENSE else None,
        "size_codes": b"".join(size_codes) if image.sizes == COMPACT else None,
        "size_markers": numbers(list(itertools.accumulate(map(len, size_codes), initial=0))[:-1][::256])
        if image.sizes == COMPACT
        else None,
        "objects": numbers(
            v for i, end in sorted(image.objects.items()) for v in (i, object_names.index(b"\0%b\0" % end.encode()) + 1)
        ),
        "object_names": object_names,
    }
    counts = [
        image.encoding,
        len(image.symbols),
        len(image.runs),
        len(image.exceptions),
        len(image.objects),
        image.base,
    ]
    return {"counts": counts, **tables}


def pack(case, machine):
    *counts, base = case["counts"]
    out = [struct.pack(f"{machine.order}7I", *counts, base >> 32, base & 0xFFFFFFFF)]
    for label in TABLES:
        data = case[label]
        out.append(struct.pack(f"{machine.order}I", ABSENT if data is None else len(data)) + (data or b""))
    return b"".join(out)


# Running it.


@pytest.fixture(scope="session")
def build_harness(tmp_path_factory):
    built = {}

    def build(machine, *flags):
        if (machine, flags) not in built:
            program = tmp_path_factory.mktemp("harness") / "harness"
            linkage = () if flags else ("-static",)
            command = [
                machine.compiler,
                "-std=gnu11",
                "-O2",
                "-g",
                *WARNINGS,
                *flags,
                *linkage,
                f"-I{RUNTIME}",
                "-o",
                program,
            ]
            subprocess.run([*command, HARNESS, RUNTIME / "kallmodsyms.c"], check=True)
            built[machine, flags] = program
        return built[machine, flags]

    return build


@pytest.fixture(params=MACHINES)
def harness(request, build_harness):
    """Runs the harness of each machine on one case: harness(case, *arguments) gives the completed process."""
    machine = MACHINES[request.param]
    program = build_harness(machine)

    def run(case, *arguments):
        command = [*machine.runner, program, *map(str, arguments)]
        return subprocess.run(command, input=pack(case, machine), capture_output=True, timeout=60)

    run.machine = machine
    return run


def lines(process):
    assert (process.returncode, process.stderr) == (0, b"")
    return process.stdout.decode("latin-1").splitlines(keepends=True)


# The images.


def sample(machine, encoding=OFFSETS, sizes=COMPACT):
    """600 symbols, enough for two markers, with all sorts of owners.

    Among them are aliases, gaps, an overlap, a size past every code, and a name of 300 bytes.
    """
    base = 0xC0000000 if machine.bits == 32 else 0xFFFFFFFF81000000
    pick = random.Random(5)
    symbols, address = (
        [Symbol(8 * i, 8, "A", f"per_cpu_{i}") for i in range(6)] if encoding == OFFSETS_PERCPU else [],
        base,
    )
    for index in range(600 - len(symbols)):
        gap = pick.choice([0, 0, 16, 48, 4096])
        size = max(0, pick.choice([gap, gap - 3, gap + 5, 0, gap // 2]))
        symbols.append(Symbol(address, size, pick.choice("tTWdDrA"), f"kallsyms_name_{index}_init"))
        address += gap
    symbols[-1].size = 1 << 20  # the last one has no next address
    symbols[300].name = "".join(pick.choice("abcdefgh_") for _ in range(300))
    owners = [("ext4",), (), ("liquidio", "liquidio_vf"), ("xfs",), tuple(f"m{i:03}" for i in range(255)), ("ext4",)]
    starts = sorted(pick.sample(range(base + 64, address, 16), 40))
    runs = [(start, owners[i % len(owners)]) for i, start in enumerate(starts[:-1])] + [(starts[-1], ())]
    texts = [i for i, s in enumerate(symbols) if s.type in "tTW"]
    exceptions = {index: owners[n % 3] for n, index in enumerate(texts[5::40])}
    objects = {index: pick.choice(["core.o", "lib/core.o", "x86/lib/core.o"]) for index in texts[3::10]}
    return Image(symbols, runs, exceptions, objects, encoding, 0 if encoding == ADDRESSES else base, sizes)


@st.composite
def images(draw, machine):
    encoding = draw(st.sampled_from([ADDRESSES, OFFSETS, OFFSETS_PERCPU, DISTANCES]))
    top = min(1 << machine.bits, draw(st.sampled_from([1 << 32, 1 << 64]))) - (1 << 24)
    base = draw(st.integers(1 << 16, top))
    spans = st.one_of(st.integers(0, 20), st.integers(240, 260), st.integers(0, 5000))
    addresses = list(itertools.accumulate(draw(st.lists(spans, max_size=300)), initial=base))
    letters = st.text("abt_T$.0é~", max_size=12)
    symbols = [Symbol(a, draw(spans), draw(st.sampled_from("tTwWdDBrA")), draw(letters)) for a in addresses]
    modules = (
        st.lists(st.sampled_from(["ext4", "xfs", "a_b", "z" * 60]), unique=True, max_size=3).map(sorted).map(tuple)
    )
    starts = sorted(draw(st.sets(st.integers(base, addresses[-1] + 9), max_size=9)))
    runs = [(start, draw(modules)) for start in starts[:-1]] + [(start, ()) for start in starts[-1:]]
    texts = [i for i, s in enumerate(symbols) if s.type in "tTwW"]
    exceptions = {i: draw(modules) for i in draw(st.sets(st.sampled_from(texts), max_size=4))} if texts else {}
    objects = (
        {i: draw(st.sampled_from(["a.o", "b/a.o"])) for i in draw(st.sets(st.sampled_from(texts), max_size=4))}
        if texts
        else {}
    )
    sizes = draw(st.sampled_from([DENSE, COMPACT, NO_SIZES]))
    return Image(symbols, runs, exceptions, objects, encoding, 0 if encoding == ADDRESSES else base, sizes)


# The tests.


@pytest.mark.parametrize("sizes", [DENSE, COMPACT, NO_SIZES])
@pytest.mark.parametrize("encoding", [ADDRESSES, OFFSETS, OFFSETS_PERCPU, DISTANCES])
def test_listing_of_every_encoding(harness, encoding, sizes):
    image = sample(harness.machine, encoding, sizes)
    case = encode(image, harness.machine)
    sizeless = replace(image, symbols=[replace(s, size=0) for s in image.symbols])
    expected = sizeless if sizes == NO_SIZES else image
    assert lines(harness(case, "kallmodsyms")) == listing(expected, harness.machine)
    assert lines(harness(case, "hidden")) == listing(expected, harness.machine, hide=True)
    plain = [f"{s.address:0{harness.machine.bits // 4}x} {s.type} {s.name}\n" for s in image.symbols]
    assert lines(harness(case, "kallsyms")) == plain


def test_a_line_of_each_kind(harness):
    """The format, written out (shared/FORMATS.md section 5), for 32 and 64 bits."""
    symbols = [
        Symbol(0x1000, 0x20, "T", "read"),
        Symbol(0x1020, 0, "t", "mark"),
        Symbol(0x1020, 0x2F, "W", "lio"),
        Symbol(0x1050, 8, "D", "jiffies"),
    ]
    runs = [(0x1020, ("liquidio", "liquidio_vf")), (0x1060, ())]
    image = Image(symbols, runs, {1: ("ext4",)}, {0: "read.o", 2: "lio/core.o"}, encoding=ADDRESSES)
    zeros = "0" * (harness.machine.bits // 4 - 4)
    assert lines(harness(encode(image, harness.machine), "kallmodsyms")) == [
        f"{zeros}1000 20 T read\t{{read.o}}\n",
        f"{zeros}1020 0 t mark\t[ext4]\n",
        f"{zeros}1020 2f w lio\t[liquidio] [liquidio_vf] {{lio/core.o}}\n",
        f"{zeros}1050 8 D jiffies\n",
    ]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_listing_of_any_image(harness, data):
    image = data.draw(images(harness.machine))
    expected = image if image.sizes != NO_SIZES else replace(image, symbols=[replace(s, size=0) for s in image.symbols])
    assert lines(harness(encode(image, harness.machine), "kallmodsyms")) == listing(expected, harness.machine)


@pytest.mark.parametrize("sizes", [DENSE, COMPACT])
def test_seek_reads_what_a_listing_reads(harness, sizes):
    image = sample(harness.machine, sizes=sizes)
    whole = listing(image, harness.machine)
    order = random.Random(7).sample(range(len(whole)), len(whole))
    assert lines(harness(encode(image, harness.machine), "seek", *order)) == [whole[index] for index in order]
    assert lines(harness(encode(image, harness.machine), "seek", len(whole), 0xFFFFFFFF)) == ["end\n", "end\n"]


def test_lookup_is_by_address(harness):
    """The definition in kallmodsyms.h, by looking at every symbol."""
    image = sample(harness.machine)
    values = module_names(image)[1]

    def expected(address):
        start = max((s.address for s in image.symbols if s.address <= address), default=None)
        if start is None:
            return "end\n"
        here = [i for i, s in enumerate(image.symbols) if s.address == start]
        covering = [i for i in here if address - start < image.symbols[i].size]
        return f"{(covering or here)[0]} {values[image.owners_at(address)]}\n"

    probes = sorted({s.address + step for s in image.symbols for step in (-1, 0, 1, 15, s.size, s.size - 1)})
    assert lines(harness(encode(image, harness.machine), "lookup", *probes)) == [
        expected(address) for address in probes
    ]


DAMAGE = {
    # table: (what happens to it, the fault reported). The sample is as for x86_64.
    "addresses": (lambda t: t[:-4], "kallsyms_offsets 2396"),
    "names": (lambda t: t[:50] + b"\xff\xff" + t[52:], "kallsyms_names"),
    "markers": (lambda t: b"", "kallsyms_markers 0"),
    "token_table": (lambda t: t[:-1], "kallsyms_token_table"),
    "token_index": (lambda t: t[: 2 * 0x20], "kallsyms_token_index"),
    "module_addresses": (lambda t: t[:40], "kallsyms_module_offsets 40"),
    "modules": (lambda t: t[:40], "kallsyms_modules 40"),
    "module_names": (lambda t: t[:3], "kallsyms_module_names 1"),
    "module_exceptions": (lambda t: t[:4], "kallsyms_module_exceptions 4"),
    "sizes": (lambda t: t[:800], "kallsyms_sizes 800"),
    "size_codes": (lambda t: b"\xfe" + 12 * b"\xff", "kallsyms_size_codes 0"),
    "size_markers": (lambda t: b"", "kallsyms_size_markers 0"),
    "objects": (lambda t: t[:4], "kallsyms_objects 4"),
    "object_names": (lambda t: t[:-1], "kallsyms_object_names"),
}


@pytest.mark.parametrize("table", DAMAGE)
def test_damage_is_reported_by_table_and_offset(build_harness, table):
    machine = MACHINES["x86_64"]
    image = sample(machine, sizes=DENSE if table == "sizes" else COMPACT)
    case = encode(image, machine)
    if table == "token_table":  # the last token must be used
        image.symbols[0].name = "\xff"
        case = encode(image, machine)
    damage, fault = DAMAGE[table]
    case[table] = damage(case[table])
    process = subprocess.run(
        [build_harness(machine), "kallmodsyms"], input=pack(case, machine), capture_output=True, timeout=60
    )
    assert process.returncode == 3
    assert re.fullmatch(rf"{fault}( \d+)?\n", process.stderr.decode())
    assert not process.stdout or process.stdout.endswith(b"\n")  # no half line


def mutations(machine, seed, count):
    """Sound tables, and damaged ones: bytes changed, tables cut, stretched, exchanged or absent, counts changed."""
    pick = random.Random(seed)
    base = [
        encode(replace(image, symbols=image.symbols[:size]), machine)
        for encoding in (ADDRESSES, OFFSETS, OFFSETS_PERCPU, DISTANCES)
        for sizes in (DENSE, COMPACT)
        for image, size in [(sample(machine, encoding, sizes), 600), (sample(machine, encoding, sizes), 20)]
    ]
    yield from base
    for _ in range(count):
        case = dict(pick.choice(base))
        for _ in range(pick.choice([1, 1, 1, 2, 8])):
            table, action = pick.choice(TABLES), pick.randrange(8)
            data = bytearray(case[table] or b"")
            if action < 4 and data:
                for _ in range(pick.choice([1, 2, 10])):
                    data[pick.randrange(len(data))] = pick.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF, pick.randrange(256)])
                case[table] = bytes(data)
            elif action == 4:
                case[table] = bytes(data[: pick.randrange(len(data) + 1)])
            elif action == 5:
                case[table] = case[pick.choice(TABLES)]
            elif action == 6:
                case[table] = None
            else:
                counts = list(case["counts"])
                counts[pick.randrange(5)] = pick.choice([0, 1, 2, 255, 257, 599, 601, 70000])
                case["counts"] = counts
        yield case


def fuzz(program, machine, seed, count):
    cases = [pack(case, machine) for case in mutations(machine, seed, count)]
    process = subprocess.run([program, "fuzz"], input=b"".join(cases), capture_output=True, timeout=60 + count / 50)
    assert (process.returncode, process.stderr.decode()) == (0, "")
    outcomes = process.stdout.decode().split()
    assert len(outcomes) == len(cases)
    assert outcomes[:16] == 16 * ["sound"]  # the undamaged ones
    return set(outcomes)


def test_damaged_tables_do_no_harm(build_harness):
    """Under AddressSanitizer and UBSan: no report, no hang, and every table is found damaged at least once."""
    machine = MACHINES["x86_64"]
    program = build_harness(machine, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    labels = {
        "offsets",
        "addresses",
        "names",
        "markers",
        "token_table",
        "token_index",
        "module_offsets",
        "module_addresses",
    }
    labels |= {
        "modules",
        "module_names",
        "module_exceptions",
        "sizes",
        "size_codes",
        "size_markers",
        "objects",
        "object_names",
    }
    assert fuzz(program, machine, 1, 4000) == {"sound"} | {f"kallsyms_{label}" for label in labels}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 22))
def test_damaged_tables_do_no_harm_at_length(build_harness, seed):
    machine = MACHINES["x86_64"]
    fuzz(build_harness(machine, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"), machine, seed, 20000)


@pytest.mark.long
def test_what_libfuzzer_thinks_of(tmp_path):
    """Guided by what is covered, from sound and damaged tables on, for KALLMODSYMS_FUZZ seconds."""
    machine, seconds = MACHINES["x86_64"], int(os.environ.get("KALLMODSYMS_FUZZ", "600"))
    (tmp_path / "seeds").mkdir()
    for number, case in enumerate(mutations(machine, 1, 200)):
        (tmp_path / f"seeds/{number}").write_bytes(pack(case, machine))
    command = ["clang", "-std=gnu11", "-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-DLIBFUZZER"]
    command += ["-fno-sanitize-recover=all", f"-I{RUNTIME}", "-o", tmp_path / "fuzzer"]
    subprocess.run([*command, HARNESS, RUNTIME / "kallmodsyms.c"], check=True)
    (tmp_path / "found").mkdir()
    command = [tmp_path / "fuzzer", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=40000"]
    done = subprocess.run([*command, "found", "seeds"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    assert int(re.search(r"Done (\d+) runs", done.stderr)[1]) > 1000


@pytest.mark.parametrize("flags", [["gcc"], ["gcc", "-m32"], ["clang"], ["clang", "-m32"]], ids=" ".join)
def test_freestanding_and_without_warnings(tmp_path, flags):
    """No header of a C library, no warning, and no function of one called but those that a compiler may always call."""
    for source in (RUNTIME / "kallmodsyms.c", RUNTIME / "kallmodsyms_linked.c"):
        target = tmp_path / "reader.o"
        command = [
            *flags,
            "-std=gnu11",
            "-ffreestanding",
            "-nostdinc",
            "-O2",
            "-fno-pie",
            "-c",
            "-o",
            target,
            source,
            *WARNINGS,
        ]
        include = subprocess.run(
            [flags[0], "-print-file-name=include"], capture_output=True, text=True, check=True
        ).stdout.strip()
        subprocess.run([*command, "-isystem", include], check=True)
        wanted = subprocess.run(["nm", "-u", target], capture_output=True, text=True, check=True).stdout.split()
        assert {name for name in wanted if len(name) > 1 and not name.startswith("kallsyms_")} <= {"memcpy", "memset"}
