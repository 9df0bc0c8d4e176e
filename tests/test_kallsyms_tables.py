"""The base tables against scripts/kallsyms of both kernel trees, compiled here.

The text is compared line for line, the assembled section byte for byte, under every combination of options; the other
word sizes and byte orders by decoding what their assemblers made; filters with the trees' own scripts/mksysmap.
"""

import dataclasses
import itertools
import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_kit import NATIVE, RODATA, TARGETS, assemble, image, link, section, table

from kallmodsyms import release, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly, reader, select, tables
from kallmodsyms.kallsyms.compress import compress
from kallmodsyms.kallsyms.select import Options
from kallmodsyms.names import SIZES

TEXT, DATA = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000
LIKE_7_0 = release.KallsymsDialect(
    labels=(
        "kallsyms_num_syms", "kallsyms_names", "kallsyms_markers", "kallsyms_token_table", "kallsyms_token_index",
        "kallsyms_addresses", "kallsyms_seqs_of_names",
    ),
    place_relative=True,
    alignment=4,
    comments=True,
)  # fmt: skip


@pytest.fixture(scope="session")
def generator(tmp_path_factory):
    """Of a tree: its scripts/kallsyms as a function of map and options, giving the text or None where it refuses."""
    directory = tmp_path_factory.mktemp("kallsyms")

    def compiled(tree):
        program = directory / tree.name
        if not program.exists():
            subprocess.run(
                ["cc", "-O2", f"-I{tree}/scripts/include", "-o", program, tree / "scripts/kallsyms.c"], check=True
            )

        def run(map_text, options, rules):
            flags = [
                flag
                for flag, on in (("--all-symbols", options.all_symbols), ("--absolute-percpu", options.absolute_percpu))
                if on
            ]
            chosen = not rules.base_relative and not rules.place_relative
            flags += ["--base-relative"] if options.base_relative and chosen else []
            flags += ["--lto-clang"] if options.lto_clang and rules.cut_llvm else []
            flags += ["--pc-relative"] if options.place_relative else []
            (directory / "map").write_bytes(map_text)
            named = [directory / "map"] if rules.of_system_map else []
            with open(directory / "map") as stream:
                done = subprocess.run([program, *flags, *named], stdin=stream, capture_output=True)
            return done.stdout if done.returncode == 0 else None

        return run

    return compiled


def names_of(tree):
    """Real names of functions and variables: what the sources of a tree define, in the order of the files."""
    found = {}
    for folder in ("kernel/sched", "kernel/time", "mm", "fs/ext4"):
        for path in sorted((tree / folder).glob("**/*.c")):
            text = path.read_text("utf-8", "replace")
            found.update(
                dict.fromkeys(
                    re.findall(r"^(?:static |__init |void |int |struct \w+ \*?)+(\w+)(?=[\[(; ])", text, re.MULTILINE)
                )
            )
    return list(found)


def kernel_like(tree, seed):
    """A System.map of the shape of an x86_64 kernel's: per-CPU data at 0, text, data, init text.

    It has in it what filters and order are about.
    """
    choose = random.Random(seed)
    names = names_of(tree)
    odd = [
        "__crc_gone", "$d", ".Lgone", "L0", "L0kept", "__kstrtab_gone", "__kstrtabns_gone", "__efistub_gone",
        "gone_from_arm", "call_veneer", "x.long_branch.y", "_SDA_BASE_", "__LA25Thunk_gone", "__MyThunk_gone",
        "__kcfi_typeid_gone", "kallsyms_names", "kallsyms_offsets", "__pi_$x", "__kvm_nvhe_.L1", "__start_kept",
        "__stop_kept", "__gp", "static_call.llvm.1234", "static_call", "static_call.llvm.99",
        "f" * 130, "g" * 200 + "_tail", "h" * 511, "i" * 512,
    ]  # fmt: skip
    rows = [
        (0, "D", "__per_cpu_start"),
        (0x2A000, "D", "__per_cpu_end"),
        (0x5000, "A", "absolute_gone"),
        (0x6000, "A", "__gp"),
    ]
    rows += [(0x1000 + 64 * number, "d", name) for number, name in enumerate(names[:300])]
    rows += [(TEXT, "T", "_text"), (TEXT, "T", "_stext"), (TEXT, "T", "startup_64")]
    address = TEXT
    for name in names[300:] + odd:
        # A quarter share their address with the one before: aliases of all kinds.
        address += choose.choice((0, 16, 16, 48))
        name = (
            choose.choice(("", "", "", "__", "_", "__start_", "__pfx_"))
            + name
            + choose.choice(("", "", "", ".cold", ".part.0", "_start", "_end"))
        )
        rows.append((address, choose.choice("tTtTWVwaNn"), name))
    rows += [
        (address + 64, "T", "_etext"),
        (address + 64, "t", "on_the_edge"),
        (DATA, "T", "_sinittext"),
        (DATA + 8, "t", "setup"),
    ]
    rows += [
        (DATA + 64, "T", "_einittext"),
        (DATA + 64, "D", "data_there"),
        (DATA + 128, "D", "__start___param"),
        (DATA + 256, "B", "_end"),
    ]
    rows.sort(key=lambda row: (row[0], row[2]))
    return table(rows, executable=((TEXT, address + 64), (DATA, DATA + 64)))


CHOICES = [
    Options(all_symbols=a, absolute_percpu=p, base_relative=b) for a, p, b in itertools.product((False, True), repeat=3)
]


@pytest.fixture(scope="module")
def kernel(linux):
    return kernel_like(linux, linux.name)


@pytest.fixture(scope="module")
def any_kernel(any_linux):
    return kernel_like(any_linux, any_linux.name)


def input_of(kernel, rules):
    """What the tree's scripts/kallsyms reads."""
    return select.system_map(kernel, rules) if rules.of_system_map else kernel.nm()


@pytest.mark.parametrize(
    "options", CHOICES, ids=lambda o: f"all={o.all_symbols:d} percpu={o.absolute_percpu:d} base={o.base_relative:d}"
)
def test_text_and_section_equal_the_kernels(any_linux, any_kernel, generator, options, tmp_path):
    linux, kernel = any_linux, any_kernel
    rules = release.kallsyms_dialect(linux)
    known = (linux / "scripts/kallsyms.c").read_text()
    # The releases that can write distances have no base; this option stands for that.
    options = dataclasses.replace(
        options,
        absolute_percpu=options.absolute_percpu and "absolute-percpu" in known,
        place_relative=options.base_relative and rules.place_relative,
    )
    expected = generator(linux)(input_of(kernel, rules), options, rules)
    if expected is None:  # An address of 64 bits does not fit beside per-CPU ones near 0.
        with pytest.raises(InputError, match="is out of reach of"):
            list(tables.layout(tables.build(kernel, options, rules)))
        assert options.all_symbols and not options.absolute_percpu
        assert options.base_relative or rules.base_relative
        return
    made = tables.build(kernel, options, rules)
    assert assembly.text(made) == expected
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "asm").mkdir()
    (theirs / "asm/bitsperlong.h").write_text("#define BITS_PER_LONG 64\n")
    (theirs / "theirs.S").write_bytes(expected)
    subprocess.run(["gcc", f"-I{theirs}", "-c", "-o", theirs / "theirs.o", theirs / "theirs.S"], check=True)
    reference = section(link([theirs / "theirs.o"], theirs / "theirs.elf", made.text), ".rodata")
    for form in ("text", "blob"):
        ours = section(image(made, tmp_path, NATIVE, form), ".rodata")
        assert ours == reference, form
    if rules.place_relative and not options.place_relative:
        return  # whole addresses in 32 bits: for smaller machines than this one
    # A kernel that was built without us: what its tables were made of, and nothing else.
    plain = reader.read(theirs / "theirs.elf")
    assert (plain.has_modules, plain.sizes, plain.objects) == (False, None, {})
    rows = zip(made.addresses.tolist(), made.names.types, made.names.plain, strict=True)
    assert plain.listing() == plain.kallsyms_listing() == b"".join([b"%016x %c %b\n" % row for row in rows])


def test_nm_text_gives_the_same_tables_as_the_image(linux, kernel, tmp_path):
    rules = release.kallsyms_dialect(linux)
    (tmp_path / "nm").write_bytes(kernel.nm())
    options = Options(all_symbols=True, absolute_percpu=True, base_relative=True)
    again = symbols.read(tmp_path / "nm")
    assert assembly.text(tables.build(again, options, rules)) == assembly.text(tables.build(kernel, options, rules))


def test_system_map_equals_mksysmap(linux, kernel, tmp_path):
    """6.1 has a shell script that calls nm, 6.12 a sed script."""
    script = linux / "scripts/mksysmap"
    (tmp_path / "nm.txt").write_bytes(kernel.nm())
    if script.read_text().startswith("#!/bin/sed"):
        expected = subprocess.run(["sed", "-f", script, tmp_path / "nm.txt"], capture_output=True, check=True).stdout
    else:
        (tmp_path / "nm").write_text(f"#!/bin/sh\ncat {tmp_path}/nm.txt\n")
        (tmp_path / "nm").chmod(0o755)
        environment = {"NM": tmp_path / "nm", "PATH": "/usr/bin:/bin"}
        subprocess.run(["sh", script, "any", tmp_path / "System.map"], env=environment, check=True, capture_output=True)
        expected = (tmp_path / "System.map").read_bytes()
    rules = release.kallsyms_dialect(linux)
    assert select.system_map(kernel, rules) == expected
    assert 0 < len(expected.splitlines()) < len(kernel)


def test_the_dialect_without_a_tree_is_that_of_6_1(linux_6_1):
    assert release.kallsyms_dialect(linux_6_1) == release.KallsymsDialect()


def test_dialects_differ_where_the_trees_do(linux_6_1, linux_6_12):
    old, new = release.kallsyms_dialect(linux_6_1), release.kallsyms_dialect(linux_6_12)
    different = {name for name, one, other in zip(old._fields, old, new, strict=True) if one != other}
    assert different == {
        "mksysmap", "ignored_symbols", "ignored_prefixes", "ignored_suffixes", "ignored_matches", "ignored_types",
        "kept_prefixes", "labels", "base_relative", "cut_llvm", "comments",
    }  # fmt: skip


def test_a_mksysmap_of_alternatives(linux_6_1, tmp_path):
    """Up to 6.0 mksysmap had one expression; the groups are split, so that the letters count as letters."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/kallsyms.c").write_bytes((linux_6_1 / "scripts/kallsyms.c").read_bytes())
    (tmp_path / "scripts/mksysmap").write_text(
        "$NM -n $1 | grep -v '\\( [aNUw] \\)\\|\\(__crc_\\)\\|\\( \\$[adt]\\)\\|\\( \\.L\\)' > $2\n"
    )
    rules = release.kallsyms_dialect(tmp_path)
    rows = [
        (1, "t", "f"),
        (2, "a", "gone"),
        (3, "T", "x__crc_gone"),
        (4, "t", "$a.gone"),
        (5, "t", "$x"),
        (6, "t", ".Lgone"),
        (7, "w", "gone"),
    ]
    assert select.system_map(table(rows), rules) == b"0000000000000001 t f\n0000000000000005 t $x\n"


@pytest.mark.parametrize("missing", ["kallsyms.c", "mksysmap"])
def test_a_tree_without_its_scripts(linux_6_1, tmp_path, missing):
    (tmp_path / "scripts").mkdir()
    for name in {"kallsyms.c", "mksysmap"} - {missing}:
        (tmp_path / "scripts" / name).write_bytes((linux_6_1 / "scripts" / name).read_bytes())
    with pytest.raises(InputError, match=f"scripts/{missing}: cannot be read"):
        release.kallsyms_dialect(tmp_path)


def test_names_with_llvm_suffixes_sort_without_them(linux_6_1, generator):
    rows = [(TEXT, "T", "_text"), (TEXT, "T", "_stext")]
    rows += [(TEXT + 16 * n, "t", name) for n, name in enumerate(["f.llvm.9", "f", "f.llvm.1", "f.1", "f.llvm"], 1)] + [
        (TEXT + 99, "T", "_etext")
    ]
    for lto in (False, True):
        options = Options(lto_clang=lto, base_relative=True)
        rules = release.kallsyms_dialect(linux_6_1)
        expected = generator(linux_6_1)(table(rows).nm(), options, rules)
        assert assembly.text(tables.build(table(rows), options, rules)) == expected


# Names of few characters are full of runs and overlaps, and of ties between pairs; those of many use the code of every
# byte value.
few = st.text("ab_", min_size=1, max_size=12).map(str.encode)
many = st.binary(min_size=1, max_size=150).map(lambda name: re.sub(rb"[\x00-\x20\x7f]", b"_", name))
words = st.lists(
    st.sampled_from(
        ["get", "set", "dev", "net", "__", "_", "init", "pci", "sk", "buf", "read", "write", "lock", "un", "x", "0"]
    ),
    min_size=1,
    max_size=40,
).map(lambda parts: "".join(parts).encode())
drawn_names = st.one_of(
    st.lists(few, min_size=1, max_size=80),
    st.lists(many, min_size=1, max_size=60),
    st.lists(words, min_size=1, max_size=200),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=drawn_names, seed=st.integers(0, 2**32))
def test_any_names_equal_the_kernels(linux, generator, names, seed):
    """Compression with all its ties, lengths above 127, the order of names and aliases."""
    choose = random.Random(seed)
    address, rows = TEXT, [(TEXT, "T", "_text")]
    for name in names:
        address += choose.choice((0, 0, 1, 16))
        rows.append((address, choose.choice("tTWVD"), name))
    rules, options = release.kallsyms_dialect(linux), Options(all_symbols=True, base_relative=True)
    drawn = table(rows)
    expected = generator(linux)(select.system_map(drawn, rules), options, rules)
    assert assembly.text(tables.build(drawn, options, rules)) == expected


@given(st.lists(few | many | words, max_size=60))
def test_compression_decodes(names):
    coded = compress(names)
    codes, at = coded.codes.tolist(), 0
    for name, length in zip(names, coded.lengths.tolist(), strict=True):
        assert b"".join(coded.tokens[code] for code in codes[at : at + length]) == name
        at += length
    assert at == len(codes) and len(coded.lengths) == len(names)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.bits}-{target.byteorder}")
@pytest.mark.parametrize("form", ["text", "blob"])
@pytest.mark.parametrize("encoding", ["addresses", "base_relative", "place_relative"])
def test_other_targets_decode(linux_6_1, target, form, encoding, tmp_path):
    """What another assembler makes of the same tables: addresses in all encodings, long names, sizes, modules."""
    top = 0xC0000000 if target.bits == 32 else TEXT
    if encoding == "place_relative":
        top = RODATA + 0x100000  # within 2 GiB
    rows = [(top, "T", "_text", 0), (top, "T", "_stext", 0)]
    rows += [(top + 32 * n, "tTW"[n % 3], f"function_number_{n}" + "x" * (n % 7 * 60), n % 33) for n in range(1, 700)]
    rows += [(top + 32 * 700, "T", "_etext", 0), (top + 0x100000, "D", "data", 0x4321)]
    made = tables.build(
        table(rows, target),
        Options(all_symbols=True, sizes="compact", **{encoding: True} if encoding != "addresses" else {}),
        LIKE_7_0 if encoding == "place_relative" else release.kallsyms_dialect(linux_6_1),
    )
    elf_file = image(made, tmp_path, target, form)
    decoded = reader.read(elf_file)
    assert decoded.bits == target.bits
    assert [
        (address, letter, name, size)
        for address, letter, name, size in zip(
            decoded.addresses.tolist(),
            decoded.types.decode(),
            [name.decode() for name in decoded.names],
            decoded.sizes.tolist(),
            strict=True,
        )
    ] == rows
    both = [section(image(made, tmp_path / kind, target, kind), ".rodata", target.prefix) for kind in ("text", "blob")]
    assert both[0] == both[1]
    # What is filled in where there is only room is what the linker makes of the text.
    (offsets,) = (entry for entry in tables.layout(made) if entry.label in ("kallsyms_offsets", "kallsyms_addresses"))
    place = symbol_at(elf_file, offsets.label)
    ours = assembly.as_bytes(offsets, target.bits, target.byteorder, place)
    assert both[0][place - RODATA :].startswith(ours)


@pytest.mark.parametrize("target", [target for target in TARGETS if target.bits == 32], ids=lambda t: t.prefix)
def test_addresses_of_a_kernel_that_cannot_move(target, tmp_path):
    """Since 7.0, on 32 bits: kallsyms_offsets holds them."""
    rows = [(0xC0000000, "T", "_text", 4), (0xC0000000, "T", "_stext", 4), (0xC1234567, "D", "data", 1)]
    made = tables.build(table(rows, target), Options(all_symbols=True), LIKE_7_0)
    for form in ("text", "blob"):
        decoded = reader.read(image(made, tmp_path, target, form))
        assert decoded.addresses.tolist() == [row[0] for row in rows]


def symbol_at(path, name):
    read = symbols.read(path)
    return int(read.addresses[read.names.index(name.encode())])


def test_long_names_cut_off_by_the_limit(linux):
    rules = release.kallsyms_dialect(linux)
    long = "l" * rules.name_limit
    rows = [(TEXT, "T", "_text"), (TEXT, "t", long), (TEXT, "t", long[1:])]
    chosen = select.select(table(rows), Options(all_symbols=True), rules)
    assert chosen.too_long == (long.encode(),) and len(chosen.index) == 2


def test_no_symbols_give_every_label(linux, tmp_path):
    """What is linked first: the labels are there, the tables are empty, and the reader agrees."""
    rules = release.kallsyms_dialect(linux)
    options = Options(all_symbols=True, base_relative=True, sizes="compact")
    made = tables.build(table([]), options, rules, owners=no_owners())
    for form in ("text", "blob"):
        decoded = reader.read(image(made, tmp_path, NATIVE, form))
        assert len(decoded) == 0 and decoded.listing() == b"" and decoded.has_modules and decoded.sizes is not None
    defined = {name.decode() for name in symbols.read(assemble(made, tmp_path)).names}
    full = tables.build(table([(TEXT, "T", "_text", 4)]), options, rules, owners=no_owners(1))
    assert defined == {name.decode() for name in symbols.read(assemble(full, tmp_path / "full")).names}
    assert "kallsyms_module_offsets" in defined and "kallsyms_size_codes" in defined


def no_owners(count=0):
    from kallmodsyms.kallsyms import owners

    return owners.attribute(table([(TEXT, "T", "_text")] * count), [], [], {})


def test_empty_tables_of_6_12_equal_the_kernels(linux_6_12, generator):
    """6.12 links such a dummy itself; 6.1 refuses to make one."""
    rules = release.kallsyms_dialect(linux_6_12)
    assert assembly.text(tables.build(table([]), Options(), rules)) == generator(linux_6_12)(b"", Options(), rules)


def test_names_of_an_earlier_pass_serve_the_next(linux, kernel):
    """Symbols that move keep their names' tables; the result is that of a fresh start."""
    rules, options = (
        release.kallsyms_dialect(linux),
        Options(all_symbols=True, absolute_percpu=True, base_relative=True),
    )
    first = tables.build(kernel, options, rules)
    moved = dataclasses.replace(kernel, addresses=kernel.addresses + (kernel.addresses >= TEXT).astype("u8") * 4096)
    second = tables.build(moved, options, rules, previous=first)
    assert second.names is first.names
    assert assembly.text(second) == assembly.text(tables.build(moved, options, rules))
    fewer = dataclasses.replace(moved, names=[b"renamed" if name == b"startup_64" else name for name in moved.names])
    assert tables.build(fewer, options, rules, previous=first).names is not first.names


def test_order_with_sizes_is_the_series():
    """At one address: size zero, then larger before smaller, then weak and underscores as ever."""
    rows = [
        (TEXT, "T", "small", 4), (TEXT, "W", "weak", 8), (TEXT, "t", "__under", 8), (TEXT, "t", "zero", 0),
        (TEXT, "t", "large", 64), (TEXT, "t", "plain", 8), (TEXT, "t", "__zero_end", 0), (TEXT + 1, "t", "next", 0),
    ]  # fmt: skip
    order = {
        sizes: [
            rows[index][2]
            for index in select.select(
                table(rows), Options(all_symbols=True, sizes=sizes), release.KallsymsDialect()
            ).index
        ]
        for sizes in SIZES
    }
    assert order["dense"] == ["zero", "__zero_end", "large", "plain", "__under", "weak", "small", "next"]
    assert order["compact"] == order["dense"]
    assert order["none"] == ["small", "zero", "large", "plain", "__under", "__zero_end", "weak", "next"]


def test_byte_order_must_be_known_for_the_binary_form(kernel, tmp_path):
    (tmp_path / "nm").write_bytes(kernel.nm())
    with pytest.raises(InputError, match="byte order"):
        assembly.blob(tables.build(symbols.read(tmp_path / "nm"), Options(), release.KallsymsDialect()), "x")


def test_tables_do_not_depend_on_the_hash_seed(linux_6_1, tmp_path):
    (tmp_path / "nm").write_bytes(kernel_like(linux_6_1, 1).nm())
    program = (
        "import sys\n"
        "from kallmodsyms import release, symbols\n"
        "from kallmodsyms.kallsyms import assembly, select, tables\n"
        "made = tables.build(symbols.read(sys.argv[1]), select.Options(), release.KallsymsDialect())\n"
        "sys.stdout.buffer.write(assembly.text(made))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "nm"],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


EDGES = [
    (base_relative, percpu, distance)
    for base_relative, percpu in ((True, False), (True, True))
    for distance in (2**31 - 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1)
]


@pytest.mark.parametrize("base_relative, percpu, distance", EDGES)
@pytest.mark.parametrize("low", ["text", "per-CPU"])
def test_addresses_at_the_limits_of_an_offset(linux_6_1, generator, low, base_relative, percpu, distance, tmp_path):
    """What scripts/kallsyms takes we take, with the same text, and what it refuses we refuse."""
    base = 0xFFFFFFFF00000000 if low == "per-CPU" else 0x100000000  # so that what is far is an address
    options = Options(all_symbols=True, absolute_percpu=percpu, base_relative=base_relative)
    rules = release.kallsyms_dialect(linux_6_1)
    rows = [(base, "T", "_text"), (base, "T", "_stext"), (base + 16, "T", "_etext")]
    if low == "text":
        rows += [(base + distance, "d", "far")]
    else:
        rows = [(0, "D", "__per_cpu_start"), (distance - 8, "d", "far"), (distance, "D", "__per_cpu_end"), *rows]
    symbols = table(rows)
    expected = generator(linux_6_1)(select.system_map(symbols, rules), options, rules)
    if expected is None:
        with pytest.raises(InputError, match="is out of reach of the base"):
            list(tables.layout(tables.build(symbols, options, rules)))
    else:
        made = tables.build(symbols, options, rules)
        assert assembly.text(made) == expected
        # 0 and -1 are also the numbers of a symbol at 0 and of one at the base, where per-CPU symbols stay absolute.
        if (low, distance, percpu) != ("text", 2**32 - 1, False):
            assert reader.read(image(made, tmp_path)).addresses.tolist() == [row[0] for row in rows]


@pytest.mark.parametrize("distance", [-(2**31) - 1, -(2**31), 2**31 - 1, 2**31])
def test_addresses_at_the_limits_of_a_distance(distance):
    """Four bytes with a sign, from _text on, which is near enough to the entries."""
    base = 0x100000000
    rows = [(base, "T", "_text"), (base, "T", "_stext"), (base + 16, "T", "_etext"), (base + distance, "d", "far")]
    made = tables.build(table(sorted(rows)), Options(all_symbols=True, place_relative=True), LIKE_7_0)
    if -(2**31) <= distance < 2**31:
        assert "kallsyms_offsets" in {one.label for one in tables.layout(made)}
    else:
        with pytest.raises(
            InputError, match=f"^kallsyms_offsets: address {base + distance:#x} is out of reach of _text"
        ):
            list(tables.layout(made))


def of_length(length, seed):
    """A name whose code, in tables with little else, has exactly so many bytes."""
    choose = random.Random(seed)
    letters = [chr(code) for code in range(33, 127) if chr(code) not in "$%"]
    longest = "".join(choose.choices(letters, k=2 * length + 400))

    def coded(count):
        return int(compress([b"T_text", b"T_stext", b"t" + longest[:count].encode(), b"T_etext"]).lengths[2])

    count = next(count for count in range(length, len(longest)) if coded(count) >= length)
    return next(longest[:more] for more in range(count, count + 200) if coded(more) == length)


@pytest.mark.parametrize("length", [126, 127, 128, 129])
def test_a_name_at_the_limit_of_one_byte_of_length(linux, generator, length, tmp_path):
    """Against the trees' own generators: from 128 on (since 6.1, b8a94bfb3395) the length has two bytes."""
    rules = release.kallsyms_dialect(linux)
    rows = [
        (TEXT, "T", "_text"),
        (TEXT, "T", "_stext"),
        (TEXT + 16, "t", of_length(length, length)),
        (TEXT + 32, "T", "_etext"),
    ]
    options = Options(all_symbols=True, base_relative=True)
    symbols = table(rows, executable=((TEXT, TEXT + 64),))
    made = tables.build(symbols, options, rules)
    assert length in made.names.compressed.lengths.tolist()
    assert assembly.text(made) == generator(linux)(select.system_map(symbols, rules), options, rules)
    assert [name.decode() for name in reader.read(image(made, tmp_path)).names] == [row[2] for row in rows]


@pytest.mark.parametrize("length", [16382, 16383, 16384])
def test_a_name_at_the_limit_of_two_bytes_of_length(length, tmp_path):
    """Longer than any kernel's; what the two bytes cannot say is refused."""
    rules = release.KallsymsDialect()._replace(name_limit=10**6)
    choose = random.Random(length)
    letters = bytes(code for code in range(33, 256))
    # So many characters are in use that few pairs get a code: as good as one byte of code for each character.
    whole = bytes(letters) * 3 + bytes(choose.choices(letters, k=2 * length))

    def coded(count):
        return int(compress([b"T_text", b"T_stext", b"t" + whole[:count]]).lengths[2])

    low, high = length, len(whole)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if coded(middle) >= length else (middle + 1, high)
    name = next(whole[:count] for count in range(low - 50, low + 50) if coded(count) == length)
    symbols = table([(TEXT, "T", "_text"), (TEXT, "T", "_stext"), (TEXT + 16, "t", name)])
    options = Options(all_symbols=True, base_relative=True)
    if length > 0x3FFF:
        with pytest.raises(InputError, match="the name of symbol 2 is too long for two bytes of length"):
            tables.build(symbols, options, rules)
    else:
        made = tables.build(symbols, options, rules)
        assert made.names.compressed.lengths.tolist()[-1] == length
        assert reader.read(image(made, tmp_path)).names[-1] == name
