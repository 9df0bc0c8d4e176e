"""The situations that the toy kernel was written for, in the image and lists that the task graph makes of it.

A comment `test_NAME: ...` in toy_kernel/ names the test here that needs what stands there;
test_every_situation_has_its_test keeps the two together. Two builds serve all: the default configuration, and one in
which every tristate that can be is m.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from test_runtime import MACHINES, OFFSETS_PERCPU, build_harness, pack  # noqa: F401 (a fixture)
from truth import modfile

from kallmodsyms import elf, symbols
from kallmodsyms.kallsyms import reader

ROOT = Path(__file__).parents[1]
TREE = ROOT / "toy_kernel"
DEFCONFIG = TREE / "arch/x86/configs/defconfig"
RUN = {"cwd": ROOT, "capture_output": True, "text": True}


class Image:
    """A built toy kernel, and what its running self says.

    symbols: name -> its symbols as (address, size, type, modules), in table order
    thick: the lines of modules_thick.builtin
    map: the linker map of the last link
    """

    def __init__(self, objdir, config=DEFCONFIG, *words):
        self.objdir = objdir
        done = subprocess.run([sys.executable, "-m", "doit", f"objdir={objdir}", f"config={config}", *words], **RUN)
        assert done.returncode == 0, done.stdout + done.stderr
        self.said = done.stdout + done.stderr
        self.symbols = {}
        for line in self.run("kallmodsyms").splitlines():
            symbol, _, modules = line.partition("\t")
            address, size, kind, name = symbol.split(" ")
            found = (int(address, 16), int(size, 16), kind, tuple(modules.strip("[]").split("] [")) if modules else ())
            self.symbols.setdefault(name, []).append(found)
        self.thick = (objdir / "modules_thick.builtin").read_text().splitlines()
        self.map = sorted(objdir.glob(".tmp_vmlinux*.map"))[-1].read_text()

    def run(self, *arguments, status=0):
        done = subprocess.run([self.objdir / "vmlinux", *arguments], **RUN)
        assert (done.returncode, done.stderr) == (status, "")
        return done.stdout

    def owners(self, name):
        """The modules of each symbol of that name, in table order."""
        return [modules for _, _, _, modules in self.symbols.get(name, [])]

    def address(self, name):
        (symbol,) = self.symbols[name]
        return symbol[0]

    def section(self, name):
        """(start, end) of a section, by readelf."""
        rows = subprocess.run(["readelf", "-SW", self.objdir / "vmlinux"], **RUN).stdout
        address, size = re.search(rf"\] {re.escape(name)}\s+\S+\s+(\S+) \S+ (\S+)", rows).groups()
        return int(address, 16), int(address, 16) + int(size, 16)

    def command(self, target):
        path = self.objdir / target
        return (path.parent / f".{path.name}.cmd").read_text()

    def configuration(self):
        return (self.objdir / "include/config/auto.conf").read_text().splitlines()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def modular(tmp_path_factory):
    """Everything that can be a loadable module is one."""
    directory = tmp_path_factory.mktemp("modular")
    source = "".join(path.read_text() for path in TREE.rglob("Kconfig"))
    tristates = set(re.findall(r"config (\w+)\n\ttristate", source))
    config = directory / "config"
    config.write_text(
        re.sub(r"CONFIG_(\w+)=y", lambda m: f"CONFIG_{m[1]}={'ym'[m[1] in tristates]}", DEFCONFIG.read_text())
    )
    return Image(directory / "objdir", config)


def test_every_situation_has_its_test():
    named = set()
    for path in TREE.rglob("*"):
        if path.is_file():
            named |= set(re.findall(r"(?:#|/\*|^\s+\*)\s+(test_\w+):", path.read_text(), re.MULTILINE))
    here = {name for name in globals() if name.startswith("test_")}
    assert named == here - {
        "test_every_situation_has_its_test",
        "test_boots_and_prints_files",
        "test_any_configuration",
        "test_lookup_in_the_image_and_in_the_file",
    }


def test_boots_and_prints_files(toy):
    assert toy.run().splitlines()[0] == "Linux toy version 6.1.0-toy (toy)"
    assert "VFS: root is minix, 63 blocks" in toy.run().splitlines()
    assert toy.run("filesystems") == "\tminix\n"
    for words in (["nothing"], ["kallsyms", "kallsyms"]):
        assert (
            toy.run(*words, status=2)
            == "usage: vmlinux [FILE]\nFILE is one of /proc: crypto filesystems kallmodsyms kallsyms\n"
        )


CONFIGURATIONS = {
    "addresses": (["CONFIG_KALLSYMS_BASE_RELATIVE=n"], []),
    "text symbols": (["CONFIG_KALLSYMS_ALL=n"], []),
    "one processor": (["CONFIG_SMP=n"], []),
    "no modules": (["CONFIG_MODULES=n"], []),
    "debug info": (["CONFIG_DEBUG_INFO=y"], []),
    "clang": ([], ["CC=clang"]),
}


@pytest.mark.long
@pytest.mark.parametrize("changes, words", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_any_configuration(tmp_path, changes, words):
    config = tmp_path / "config"
    config.write_text(DEFCONFIG.read_text() + "".join(f"{line}\n" for line in changes))
    image = Image(tmp_path / "objdir", config, *words)
    show = subprocess.run([sys.executable, "-m", "kallmodsyms", "show", image.objdir / "vmlinux"], **RUN)
    assert image.run("kallmodsyms") == show.stdout
    assert "warning" not in image.said
    assert "VFS: root is minix, 63 blocks" in image.run().splitlines()


# Which objects are in the image, and in which module.


def test_tristate_directory(toy):
    assert "fs/minix/minix.o: fs/minix/bitmap.o fs/minix/inode.o" in toy.thick
    assert toy.owners("minix_fill_super") == [("minix",)]


def test_tristate_member(toy):
    members = "drivers/misc/lkdtm/bugs.o drivers/misc/lkdtm/core.o drivers/misc/lkdtm/long-names.o"
    assert f"drivers/misc/lkdtm/lkdtm.o: {members}" in toy.thick


def test_shared_y_y(toy):
    assert toy.owners("otter_setup") == toy.owners("otter_mailbox_checksum") == [("otter", "otter_vf")]
    assert modfile(toy.objdir, "drivers/net/otter/otter_device.o") == [
        "drivers/net/otter/otter",
        "drivers/net/otter/otter_vf",
    ]


def test_shared_y_m(toy):
    assert re.findall(r'-DKBUILD_MODNAME="(\S+)"|(-DMODULE)', toy.command("drivers/block/sector.o")) == [
        ("", "-DMODULE"),
        ("brd:loop", ""),
    ]
    assert toy.owners("sector_copy") == [("brd",)]
    assert "drivers/block/brd.o: drivers/block/brd_main.o drivers/block/sector.o" in toy.thick
    assert not any("loop" in line for line in toy.thick)


def test_loadable_module(toy):
    modules = {str(path.relative_to(toy.objdir)) for path in toy.objdir.rglob("*.ko")}
    single, several = "crypto/michael_mic.ko", "fs/romfs/romfs.ko"
    assert modules == {
        single,
        several,
        "drivers/block/loop.ko",
        "drivers/net/phy/sfp.ko",
        "sound/codecs/snd-codec-tone.ko",
    }
    for name, functions in {single: {"michael_mic_init"}, several: {"romfs_fill_super", "romfs_dev_read_be32"}}.items():
        symbols = subprocess.run(["nm", toy.objdir / name], **RUN).stdout.split()
        assert {"init_module", "cleanup_module", *functions} <= set(symbols)
        assert not functions & toy.symbols.keys()


def test_module_only_directory(toy):
    assert "CONFIG_ROMFS_FS=m" in toy.configuration()
    assert "romfs_blk_sector" not in toy.symbols
    assert "fs/romfs/block.o" not in toy.map


def test_modular_member(toy):
    assert "CONFIG_SND_CODEC_TONE=m" in toy.configuration()
    assert "sound/core/snd-pcm.o: sound/core/pcm.o sound/core/pcm_lib.o sound/core/pcm_tone.o" in toy.thick
    assert toy.owners("snd_pcm_period") == [("snd_pcm",)]


def test_substituted_value(toy, modular):
    assert toy.owners("vlan_do_receive") == modular.owners("vlan_do_receive") == [()]
    assert toy.owners("vlan_dev_receive") == [("8021q",)]
    assert not modular.owners("vlan_dev_receive")
    assert [line for line in toy.thick if "vlan_core" in line] == []


def test_promoted_to_y(toy):
    assert "CONFIG_SFP=m" in toy.configuration()
    assert toy.owners("sfp_register_socket") == [()]


def test_compared_value(toy, modular):
    assert toy.owners("alsa_sound_last_init") == [()]
    assert not modular.owners("alsa_sound_last_init")


def test_self_reference(toy):
    assert "crypto/crypto_algapi.o: crypto/algapi.o crypto/proc.o crypto/scatterwalk.o" in toy.thick


def test_composite_through_variables(toy):
    members = "net/netfilter/ipvs/ip_vs_core.o net/netfilter/ipvs/ip_vs_proto.o net/netfilter/ipvs/ip_vs_proto_tcp.o"
    assert f"net/netfilter/ipvs/ip_vs.o: {members}" in toy.thick
    assert toy.owners("ip_vs_proto_get") == [("ip_vs",)]


def test_composite_of_one(toy):
    assert "sound/soundcore.o: sound/sound_core.o" in toy.thick
    assert toy.owners("register_sound") == [("soundcore",)]


def test_bool_composite(toy):
    assert "init/do_mounts_rd.o" in toy.map
    assert not any(line.startswith("init/") for line in toy.thick)
    assert toy.owners("prepare_namespace") == toy.owners("rd_image") == [()]


def test_two_options_selector(toy, modular):
    directory = "security/keys/encrypted-keys"
    assert f"{directory}/encrypted-keys.o: {directory}/encrypted.o {directory}/masterkey_trusted.o" in toy.thick
    assert '-DKBUILD_MODNAME="encrypted_keys"' in modular.command(f"{directory}/masterkey_trusted.o")


def test_parent_path(toy):
    assert toy.owners("crc_selftest") == [("crc32c_intel",)]
    assert any(
        line.startswith("arch/x86/crypto/crc32c-intel.o:") and "lib/crc/selftest.o" in line for line in toy.thick
    )


def test_dashes(toy):
    assert "fs/nls/nls_iso8859-1.o:" in toy.thick
    assert toy.owners("init_nls_iso8859_1") == [("nls_iso8859_1",)]
    assert toy.owners("crc32c_intel_update") == [("crc32c_intel",)]


def test_directory_twice(toy):
    assert Counter(toy.thick).most_common(1)[0][1] == 1
    assert len(toy.owners("otter_init")) == 1


def test_kbuild_wins(toy):
    assert "nobody" not in toy.said
    assert toy.owners("bus_find_device") == [()]


def test_arch_drivers(toy):
    assert "arch/x86/power/cpu.o" in toy.map


def test_unset_option(toy):
    assert not (TREE / "arch/x86/kernel/early_printk.c").exists()
    assert "early_printk" not in toy.map


def test_library(toy):
    assert "lib/string.o" in toy.map
    assert (toy.objdir / "lib/hexdump.o").is_file()
    assert "print_hex_dump" not in toy.symbols
    assert toy.owners("strcmp") == [()]


def test_object_flags(toy):
    assert "UTS_RELEASE" in toy.command("init/version.o")
    assert "UTS_RELEASE" not in toy.command("init/main.o")


def test_directory_flags(toy):
    assert "-DOTTER_MAILBOX_WORDS=4" in toy.command("drivers/net/otter/otter_main.o")
    assert "-DOTTER_MAILBOX_WORDS=4" not in toy.command("drivers/net/phy/mdio.o")
    for target in ("sound/last.o", "sound/core/pcm.o", "sound/codecs/ulaw.o"):
        assert "-DSND_RATE=8000" in toy.command(target)


def test_kconfig_hex(toy):
    assert "CONFIG_PHYSICAL_START=0x1000000" in toy.configuration()
    assert toy.address("_text") == 0x1000000


def test_kconfig_choice(toy):
    assert [line for line in toy.configuration() if line.startswith("CONFIG_HZ")] == [
        "CONFIG_HZ_250=y",
        "CONFIG_HZ=250",
    ]


def test_kconfig_modules(toy):
    assert "CONFIG_MODULES=y" in toy.configuration()
    assert "CONFIG_ROMFS_FS=m" in toy.configuration()


# Where symbols lie, and whose they are there.


def test_same_static_name(toy):
    assert Counter(toy.owners("init_once")) == {(): 2, ("crypto_algapi",): 2}
    assert toy.owners("do_nothing") == [("lkdtm",), ("lkdtm",)]
    assert Counter(toy.owners("probe")) == {("otter",): 1, ("otter_vf",): 1}
    assert Counter(toy.owners("show")) == {(): 2, ("crypto_algapi",): 1}


@pytest.fixture(scope="module")
def with_objects(tmp_path_factory):
    """What the image prints, and what we decode, where objects tell symbols of one name and one module apart."""
    image = Image(tmp_path_factory.mktemp("objects"), DEFCONFIG, "objects=true")
    return image.run("kallmodsyms"), (image.objdir / "kallmodsyms").read_text()


def test_ambiguous_name(with_objects):
    printed, decoded = with_objects
    assert printed == decoded
    assert re.findall(r" (\w+)\t(.*\{.*)", printed) == [
        ("show", "{kallmodsyms_proc.o}"),
        ("show", "{filesystems.o}"),
        ("do_nothing", "[lkdtm] {bugs.o}"),
        ("do_nothing", "[lkdtm] {core.o}"),
        ("init_once", "[crypto_algapi] {algapi.o}"),
        ("init_once", "[crypto_algapi] {proc.o}"),
        ("init_once", "{dev.o}"),
        ("init_once", "{cpu.o}"),
    ]


def test_cold_part(toy):
    cold = {name: owners for name in toy.symbols if name.endswith(".cold") for owners in toy.owners(name)}
    assert cold["lkdtm_bugs.cold"] == ("lkdtm",)
    assert cold["otter_mailbox_checksum.cold"] == ("otter", "otter_vf")
    assert cold["kmalloc.cold"] == ()
    assert toy.owners("report") == [("lkdtm",)]
    start, end = toy.section(".text")
    # Behind the text of every object, although each object has its share.
    assert start < toy.address("vlan_do_receive") < toy.address("report") < toy.address("__sched_text_start") < end


def test_init_text(toy):
    start, end = toy.section(".init.text")
    assert start <= toy.address("init_minix_fs") < end
    assert toy.owners("init_minix_fs") == [("minix",)]
    assert toy.address("_einittext") == end


def test_exit_text(toy):
    start, end = toy.section(".exit.text")
    assert toy.address("_einittext") <= start <= toy.address("exit_minix_fs") < end
    assert toy.owners("exit_minix_fs") == [("minix",)]
    # Nobody's label and nobody's function, with a module's on both sides.
    assert toy.owners("_einittext") == toy.owners("do_exitcalls") == [()]
    assert toy.owners("__init_end") == [()]


def test_weak_symbol(toy):
    assert [kind for _, _, kind, _ in toy.symbols["setup_command_line"]] == ["W"]
    assert [kind for _, _, kind, _ in toy.symbols["setup_arch"]] == ["T"]
    assert "text at 1000000" in toy.run()
    # A function of init/main.o without a name begins the section.
    assert toy.address("setup_command_line") > toy.section(".init.text")[0]


def test_alias(toy):
    assert toy.symbols["memcpy"] == toy.symbols["__memcpy"]
    assert toy.symbols["memcpy"][0][1:] == (9, "T", ())


def test_absolute_symbol(toy):
    nm = subprocess.run(["nm", toy.objdir / "vmlinux"], **RUN).stdout.splitlines()
    assert f"{0x8000:016x} A __init_stack_size" in nm
    assert "__init_stack_size" not in toy.symbols


def test_absolute_percpu(toy):
    assert toy.symbols["__per_cpu_start"][0][:3] == (0, 0, "A")
    assert toy.address("nr_switches") == toy.address("__per_cpu_end") - 8


def test_long_name(toy):
    lengths = sorted(len(name) for name in toy.symbols)[-2:]
    assert lengths[0] > 127
    assert lengths[1] == 511
    assert [toy.owners(name) for name in toy.symbols if len(name) > 127] == [[("lkdtm",)], [("lkdtm",)]]


def test_object_boundary(toy):
    end, start = toy.symbols["crc32c_intel_text_end"], toy.symbols["xor_text_start"]
    assert end == [(toy.address("xor_blocks"), 0, "t", ("crc32c_intel",))]
    assert start == [(toy.address("xor_blocks"), 0, "t", ("xor_x86_64",))]


def test_script_marker(toy):
    assert toy.symbols["__kprobes_text_start"] == [(toy.address("inode_blocks"), 0, "T", ())]
    assert toy.owners("inode_blocks") == [("minix",)]
    address, size, _, owners = toy.symbols["do_nothing"][-1]
    assert owners == ("lkdtm",)
    assert toy.symbols["__kprobes_text_end"] == [(address + size, 0, "T", ())]


def test_padding_gap(toy):
    gap = range(toy.address("__kprobes_text_end"), toy.address("__entry_text_start"))
    assert len(gap) > 16
    done = subprocess.run([sys.executable, "-m", "kallmodsyms", "lookup", toy.objdir / "vmlinux", hex(gap[8])], **RUN)
    assert (
        done.stdout == f"{gap[8]:016x} __kprobes_text_end+0x8/0x0\n"
    )  # behind lkdtm's last function, and no longer lkdtm's


def test_lookup_in_the_image_and_in_the_file(toy, build_harness):  # noqa: F811 (the fixture)
    """The running kernel's reader and ours find the same at every address: symbol, offset, and the byte's modules."""
    machine = MACHINES["x86_64"]
    image = elf.Elf(toy.objdir / "vmlinux")
    decoded = reader.read(image.path)
    spans = [range(max(start, int(decoded.addresses[0])), end) for start, end in decoded.sections]
    addresses = [address for span in spans for address in span[:: max(1, len(span) // 3000)]]
    addresses += [
        at + step for at in decoded.addresses.tolist() for step in (0, 1) if any(at + step in span for span in spans)
    ]
    process = subprocess.run(
        [build_harness(machine), "lookup", *map(hex, addresses)],
        input=pack(linked_tables(image), machine),
        capture_output=True,
        check=True,
    )
    names = label(image, "kallsyms_module_names", "kallsyms_module_names_len")
    theirs = []
    for line in process.stdout.decode().splitlines():
        index, value = map(int, line.split())
        count, start = (names[value + 1], value + 2) if value and not names[value] else (int(value > 0), value)
        theirs.append((index, tuple(name.decode() for name in names[start:].split(b"\0")[:count])))
    found = [one for address in addresses for one in decoded.lookup(address)]
    assert len(found) == len(addresses) > 10000
    assert [(decoded.symbol(index), modules) for index, modules in theirs] == [
        (one.symbol, one.modules) for one in found
    ]
    assert {modules for _, modules in theirs} >= {(), ("minix",), ("otter", "otter_vf")}
    assert sum(one.offset >= one.symbol.size for one in found) > 100


def label(image, name, count, size=1):
    """The bytes of a table of as many entries as `count` says, itself a number or the label of one."""
    table = symbols.from_elf(image)
    places = dict(zip(table.names, table.addresses.tolist(), strict=True))
    if isinstance(count, str):
        count = int.from_bytes(image.bytes_at(places[count.encode()], 4), "little")
    return image.bytes_at(places[name.encode()], count * size) if count else b""


def linked_tables(image):
    """The tables of the image as test_runtime.pack takes them."""
    number = {name: int.from_bytes(label(image, f"kallsyms_{name}", 1, 4), "little") for name in
              ("num_syms", "num_modules", "num_module_exceptions")}  # fmt: skip
    base = int.from_bytes(label(image, "kallsyms_relative_base", 1, 8), "little")
    markers = -(-number["num_syms"] // 256)
    return {
        "counts": [OFFSETS_PERCPU, *number.values(), 0, base],
        "addresses": label(image, "kallsyms_offsets", number["num_syms"], 4),
        "names": label(image, "kallsyms_names", "kallsyms_names_len"),
        "markers": label(image, "kallsyms_markers", markers, 4),
        "token_table": label(image, "kallsyms_token_table", "kallsyms_token_table_len"),
        "token_index": label(image, "kallsyms_token_index", 256, 2),
        "module_addresses": label(image, "kallsyms_module_offsets", number["num_modules"], 4),
        "modules": label(image, "kallsyms_modules", number["num_modules"], 4),
        "module_names": label(image, "kallsyms_module_names", "kallsyms_module_names_len"),
        "module_exceptions": label(image, "kallsyms_module_exceptions", number["num_module_exceptions"], 8),
        "sizes": None,
        "size_codes": label(image, "kallsyms_size_codes", "kallsyms_size_codes_len"),
        "size_markers": label(image, "kallsyms_size_markers", markers, 4),
        "objects": None,
        "object_names": None,
    }


def test_relink(toy):
    """The last link moved symbols that the first had elsewhere, and the tables say where they are now."""

    def places(image):
        rows = subprocess.run(["nm", image], **RUN).stdout.splitlines()
        return {name: int(address, 16) for address, _, name in (row.split() for row in rows)}

    first, last = places(toy.objdir / ".tmp_vmlinux1"), places(toy.objdir / "vmlinux")
    moved = {name for name in ("__end_rodata", "_sdata", "codecs") if first[name] != last[name]}
    assert "__end_rodata" in moved
    assert all(toy.address(name) == last[name] for name in ("__end_rodata", "_sdata"))
