"""The pieces of the final link: commands, what a failing tool says, and that the old image survives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import hook
import pytest

from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader
from kallmodsyms.link import after, recipe
from kallmodsyms.programs import run
from kallmodsyms.release import LinkDialect, link_dialect

PACKAGE = Path(__file__).parents[1] / "pipeline"

ENVIRONMENT = {
    "SRCARCH": "x86", "objtree": ".", "KBUILD_LDS": "arch/x86/kernel/vmlinux.lds", "LD": "ld", "CC": "gcc",
    "OBJCOPY": "objcopy", "KBUILD_LDFLAGS": "-m elf_x86_64",
    "LDFLAGS_vmlinux": "--emit-relocs --build-id=sha1 -z max-page-size=0x200000",
    "KBUILD_VMLINUX_LIBS": "lib/lib.a", "NOSTDINC_FLAGS": "-nostdinc", "KBUILD_AFLAGS": "-D__ASSEMBLY__ '-Dquoted=a b'",
}  # fmt: skip


def test_plain_recipe():
    plan = recipe.of(ENVIRONMENT, {}, LinkDialect(), ["init/version-timestamp.o"])
    assert plan.link_command("vmlinux", "vmlinux.map", ["tables.o"]) == [
        "ld", "-m", "elf_x86_64", "--emit-relocs", "--build-id=sha1", "-z", "max-page-size=0x200000",
        "--script=arch/x86/kernel/vmlinux.lds", "-Map=vmlinux.map", "-o", "vmlinux",
        "--whole-archive", "vmlinux.a", "init/version-timestamp.o", "--no-whole-archive",
        "--start-group", "lib/lib.a", "--end-group", "tables.o",
    ]  # fmt: skip
    assert plan.assemble_command("t.S", "t.o") == [
        "gcc",
        "-nostdinc",
        "-D__ASSEMBLY__",
        "-Dquoted=a b",
        "-c",
        "-o",
        "t.o",
        "t.S",
    ]


def test_draft_leaves_out_what_no_symbol_depends_on():
    draft = recipe.of(ENVIRONMENT, {}, LinkDialect()).link_command("v", "m", draft=True)
    final = recipe.of(ENVIRONMENT, {}, LinkDialect()).link_command("v", "m")
    assert [word for word in final if word not in draft] == ["--emit-relocs", "--build-id=sha1"]
    assert [word for word in draft if word not in final] == ["--strip-debug"]


@pytest.mark.parametrize("symbol", ["X86_KERNEL_IBT", "LTO_CLANG"])
def test_relocatable_image(symbol, linux):
    command = recipe.of(ENVIRONMENT, {symbol: "y"}, link_dialect(linux)).link_command("vmlinux", "m")
    assert "vmlinux.o" in command and "vmlinux.a" not in command and "lib/lib.a" not in command


def test_user_mode_links_through_the_compiler():
    environment = ENVIRONMENT | {"SRCARCH": "um", "CFLAGS_vmlinux": "-static -Wl,--build-id"}
    assert recipe.of(environment, {}, LinkDialect()).link_command("vmlinux", "m", ["t.o"], draft=True) == [
        "gcc", "-static", "-Wl,--script=arch/x86/kernel/vmlinux.lds", "-Wl,-Map=m", "-Wl,--strip-debug",
        "-o", "vmlinux", "-Wl,--whole-archive", "vmlinux.a", "-Wl,--no-whole-archive",
        "-Wl,--start-group", "lib/lib.a", "-Wl,--end-group", "t.o", "-lutil", "-lrt", "-lpthread",
    ]  # fmt: skip


def test_failing_tool(tmp_path):
    with pytest.raises(InputError) as error:
        run(["sh", "-c", "echo undefined reference >&2; exit 3"], tmp_path)
    assert (
        str(error.value)
        == "sh failed (exit status 3)\nundefined reference\n    sh -c 'echo undefined reference >&2; exit 3'"
    )


def test_killed_tool(tmp_path):
    with pytest.raises(InputError, match=r"^sh failed \(killed by signal 9\)"):
        run(["sh", "-c", "kill -9 $$"], tmp_path)


def test_absent_tool(tmp_path):
    with pytest.raises(InputError, match=r"^no-such-ld cannot be run: No such file or directory"):
        run(["no-such-ld", "-o", "x"], tmp_path)


def test_replaced_keeps_the_old_on_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vmlinux").write_text("old")
    before = Path("vmlinux").stat().st_mtime_ns
    Path("new").write_text("new")
    with pytest.raises(InputError), after.Replaced("vmlinux", "new"):
        assert Path("vmlinux").read_text() == "new"
        raise InputError("postlink failed")
    assert Path("vmlinux").read_text() == "old" and Path("vmlinux").stat().st_mtime_ns == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vmlinux"]


def test_replaced_installs_the_new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vmlinux").write_text("old")
    Path("new").write_text("new")
    with after.Replaced("vmlinux", "new"):
        pass
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"vmlinux": "new"}


def test_hook_outside_of_make(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-m", "kallmodsyms", "link"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == (
        "kallmodsyms: srctree is not set: "
        "this command is for make to run, as its cmd_link_vmlinux\n"
        "  run: make vmlinux cmd_link_vmlinux='kallmodsyms link'\n"
    )


# The hook in a small tree: what can go wrong below it, and that the last build survives.

SCRIPT = """
ENTRY(_text)
SECTIONS
{
	. = 0x1000000;
	.text : { _text = .; _stext = .; *(.text .text.*) _etext = .; }
	.init.text : { _sinittext = .; *(.init.text) _einittext = .; }
	.rodata : { *(.rodata .rodata.*) }
	.data : { *(.data .bss) }
	/DISCARD/ : { *(.note* .comment .eh_frame) }
}
"""
CONFIG = "CONFIG_KALLSYMS=y\nCONFIG_KALLSYMS_ALL=y\nCONFIG_KALLSYMS_BASE_RELATIVE=y\n"
MAKEFILE = "init/version-timestamp.o:\n\t@mkdir -p init; $(CC) -c -o $@ $(srctree)/init/version-timestamp.c\n"
KEPT = ("vmlinux", "System.map", ".vmlinux.d", ".tmp_vmlinux.kallsyms.S")


class Kernel:
    """A tree with what the hook reads of it, and a build directory with objects: two of ext4, and one of no module."""

    def __init__(self, directory, linux):
        self.tree, self.objdir = directory / "tree", directory / "objdir"
        (self.tree / "init").mkdir(parents=True)
        (self.tree / "init/version-timestamp.c").write_text('const char linux_banner[] = "Linux";\n')
        (self.tree / "scripts").mkdir()
        for name in ("kallsyms.c", "mksysmap", "link-vmlinux.sh", "Makefile.vmlinux"):
            (self.tree / "scripts" / name).symlink_to(linux / "scripts" / name)
        (self.tree / "scripts/Makefile.build").write_text(MAKEFILE)
        for path in ("include/config", "fs/ext4", "kernel"):
            (self.objdir / path).mkdir(parents=True)
        (self.objdir / "include/config/auto.conf").write_text(CONFIG)
        (self.objdir / "vmlinux.lds").write_text(SCRIPT)
        (self.objdir / "thick").write_text("fs/ext4/ext4.o: fs/ext4/inode.o fs/ext4/super.o\n")
        for path in ("kernel/fork.o", "fs/ext4/inode.o", "fs/ext4/super.o"):
            self.compile(path, "one")
        subprocess.run(
            ["ar", "cDPrST", "vmlinux.a", "kernel/fork.o", "fs/ext4/inode.o", "fs/ext4/super.o"],
            cwd=self.objdir,
            check=True,
        )

    def compile(self, path, function):
        name = Path(path).stem
        source = f"int {name}_{function}(int x) {{ return x * 3; }}\nint {name}_data = 1;\n"
        subprocess.run(
            ["gcc", "-O2", "-fno-pie", "-x", "c", "-c", "-o", path, "-"],
            input=source,
            text=True,
            cwd=self.objdir,
            check=True,
        )

    def program(self, script):
        """A linker of that shell script."""
        path = self.objdir.parent / "linker"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def environment(self, linker="ld"):
        names = {
            "srctree": self.tree,
            "objtree": ".",
            "LD": linker,
            "CC": "gcc",
            "KBUILD_LDS": "vmlinux.lds",
            "SRCARCH": "x86",
            "MAKE": "make -s",
        }
        names["LDFLAGS_vmlinux"] = "-z noexecstack --no-warn-rwx-segments"
        package = {"PATH": os.environ["PATH"], "PYTHONPATH": PACKAGE}
        return {name: str(value) for name, value in (names | package).items()}

    command = (sys.executable, "-m", "kallmodsyms", "link", "--thick", "thick", "--no-provider")

    def link(self, linker="ld"):
        return subprocess.run(
            self.command, cwd=self.objdir, env=self.environment(linker), capture_output=True, text=True
        )

    def kept(self):
        return {name: ((self.objdir / name).read_bytes(), (self.objdir / name).stat().st_mtime_ns) for name in KEPT}

    def names(self):
        decoded = reader.read(self.objdir / "vmlinux")
        return {symbol.name: symbol.modules for symbol in map(decoded.symbol, range(len(decoded)))}


@pytest.fixture
def kernel(tmp_path, linux_6_1):
    """Linked once, and an object changed since."""
    made = Kernel(tmp_path, linux_6_1)
    done = made.link()
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert {name: made.names()[name] for name in ("fork_one", "super_one")} == {"fork_one": (), "super_one": ("ext4",)}
    made.compile("fs/ext4/super.o", "another")
    return made


WITHOUT_MAP = 'for word; do shift; case $word in -Map=*) ;; *) set -- "$@" "$word";; esac; done; exec ld "$@"'
LINKERS = {
    # what it does: (its script, what the user is told)
    "fails": (
        "echo 'undefined reference to `x86_nobody`' >&2; exit 3",
        r"linker failed \(exit status 3\)\nundefined reference to `x86_nobody`\n",
    ),
    "is killed": ("kill -9 $$", r"linker failed \(killed by signal 9\)\n"),
    "is killed late": ('ld "$@"; kill -15 $$', r"linker failed \(killed by signal 15\)\n"),
    "writes no map": (WITHOUT_MAP, r"\.tmp_vmlinux1\.map: the linker wrote no map\n  LD must be"),
    "writes another map": (
        'ld "$@" && ld -Ttext=0x2000000 -e 0 -Map=.tmp_vmlinux1.map -o other kernel/fork.o',
        r"\./\.tmp_vmlinux1\.map: is the map of another link than \.tmp_vmlinux1: "
        r"\.\S+ from 0x\w+ to 0x\w+ is in the \w+ only\n  link again",
    ),
    "writes half a map": (
        'ld "$@" && head -c 3000 .tmp_vmlinux1.map > half && mv half .tmp_vmlinux1.map',
        r"\./\.tmp_vmlinux1\.map:\d+: the linker map stops in the middle\n",
    ),
    "writes no image": (
        'ld "$@" && rm .tmp_vmlinux1',
        r"\./\.tmp_vmlinux1: cannot be read: No such file or directory\n",
    ),
    "writes half an image": (
        'ld "$@" && truncate -s 5000 .tmp_vmlinux1',
        r"\.tmp_vmlinux1: section headers: .* do not fit in a file of 5000 bytes\n",
    ),
    "is too slow": (
        'ld "$@" && sleep 0.02 && touch fs/ext4/super.o',
        r"\./fs/ext4/super\.o: is newer than \./\.tmp_vmlinux1\.map, which says what was linked\n  link again\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LINKERS)
def test_linker_that(kernel, what):
    before = kernel.kept()
    script, message = LINKERS[what]
    done = kernel.link(kernel.program(script))
    assert done.returncode == 1
    assert re.match(f"kallmodsyms: {message}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert kernel.kept() == before
    kernel.compile("fs/ext4/super.o", "another")  # of a time that has been
    assert kernel.link().returncode == 0
    assert kernel.names()["super_another"] == ("ext4",) and "super_one" not in kernel.names()


FULL_DISK = """
mkdir disk && mount -t tmpfs -o size=1m none disk && cd disk
for left in 0 4 8 12 16 20 24 28 32 40 48 64; do
    cp -a ../objdir/. . && rm -f .tmp_vmlinux[1-9]*
    head -c 2M /dev/zero > ballast 2> /dev/null
    truncate -s -${left}K ballast
    "$@" > ../said.$left 2>&1
    echo $? > ../status.$left
    [ $(cat ../status.$left) = 0 ] || for file in $KEPT; do cmp $file ../objdir/$file || exit 1; done
    find . -mindepth 1 -delete
done
"""


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9])
def test_no_room_for_a_whole_file(kernel, share):
    """No file may grow beyond a share of the image's size: whoever writes one, the linker or we, cannot."""
    before = kernel.kept()
    blocks = int(share * (kernel.objdir / "vmlinux").stat().st_size / 512)
    command = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *kernel.command]
    done = subprocess.run(command, cwd=kernel.objdir, env=kernel.environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("kallmodsyms: ") and re.search(
        "File too large|File size limit exceeded|killed by signal 25", done.stderr
    ), done.stderr
    assert "Traceback" not in done.stderr
    assert kernel.kept() == before
    assert kernel.link().returncode == 0
    assert kernel.names()["super_another"] == ("ext4",)


@pytest.mark.long  # for it needs to mount, which not every machine allows
def test_full_disk(kernel):
    """The build directory on a small disk with ever more room. Whatever fails says so, and leaves the last build."""
    directory = kernel.objdir.parent
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh", *kernel.command]
    environment = kernel.environment() | {"KEPT": " ".join(KEPT)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    outcomes = [(path.read_text(), path.with_stem("said").read_text()) for path in directory.glob("status.*")]
    failures = [said for status, said in outcomes if status == "1\n"]
    assert 4 < len(failures) < len(outcomes) == 12
    for said in failures:
        assert re.search(r"^kallmodsyms: ", said, re.MULTILINE) and "Traceback" not in said
        # GNU ld does not mind a map that it could not finish.
        assert re.search("No space left on device|is the disk full|where the disk has room", said), said
    assert len({said.split("kallmodsyms: ")[1].splitlines()[0] for said in failures}) > 3  # at different steps


SAY_AUTO_CONF = """
import os
from kallmodsyms import hook, kconfig
from kallmodsyms.link.exports import Exports
print(kconfig.auto_conf(hook.configured(Exports.read(os.environ)).configuration), end="")
"""


@pytest.mark.parametrize("words", [["CC=clang"], ["LLVM=1", "KCFLAGS=-g -DTWO='a b'"]], ids=["clang", "llvm"])
def test_the_hook_evaluates_with_the_words_of_make(linux, tmp_path, words):
    """The hook takes the configuration to be what the tree's own conf wrote into auto.conf under the same words."""
    make = ["make", "-C", linux, f"O={tmp_path}", "ARCH=x86", *words]
    subprocess.run([*make, "tinyconfig"], check=True, capture_output=True)
    subprocess.run([*make, "syncconfig"], check=True, capture_output=True)
    (tmp_path / "say.py").write_text(SAY_AUTO_CONF)
    command = f"PYTHONPATH={PACKAGE} MAKE=make LD=ld CC=cc KBUILD_LDS=x SRCARCH=x86 {sys.executable} say.py > said"
    done = hook.run(linux, tmp_path, command, *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text() == (tmp_path / "include/config/auto.conf").read_text()
    assert "CONFIG_CC_IS_CLANG=y\n" in (tmp_path / "said").read_text()


# What a link accounts for.


def accounted(kernel, linker="ld", *words):
    command = [*kernel.command, *words]
    environment = kernel.environment(linker)
    return subprocess.run(command, cwd=kernel.objdir, env=environment, capture_output=True, text=True)


def forgetting(kernel, pattern):
    """A linker whose maps lack the lines that match."""
    return kernel.program(f"ld \"$@\" && sed -i '{pattern}d' .tmp_vmlinux[0-9]*.map")


def test_the_share_of_text_that_nobody_owns_is_told(kernel):
    done = accounted(kernel, "ld", "--unknown-text", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"^  TEXT    0 of \d+ bytes of text are of no known object \(0\.000 %\)$", done.stdout, re.MULTILINE
    )


def test_more_text_than_the_limit(kernel):
    """fork.o is in the map, but not its text."""
    (size,) = re.findall(
        r"\.text +(\w+) ",
        subprocess.run(["size", "-A", kernel.objdir / "kernel/fork.o"], text=True, capture_output=True).stdout,
    )
    linker = forgetting(kernel, r"/^ \.text .*fork\.o$/")
    told = accounted(kernel, linker)
    assert told.returncode == 0
    share = re.search(rf"TEXT    ({size} of \d+ bytes of text are of no known object \(\d+\.\d+ %\))\n", told.stdout)[1]
    before = kernel.kept()
    refused = accounted(kernel, linker, "--unknown-text", "1.5")
    assert refused.returncode == 1
    assert re.fullmatch(
        rf"kallmodsyms: \./\.tmp_vmlinux\d: {re.escape(share)}, and the limit is 1\.5 %\n", refused.stderr
    )
    assert kernel.kept() == before
    assert accounted(kernel, linker, "--unknown-text", "99").returncode == 0


def test_an_object_that_the_map_forgets(kernel):
    done = accounted(kernel, forgetting(kernel, r"/super\.o/"))
    assert done.returncode == 1
    assert done.stderr == "kallmodsyms: fs/ext4/super.o: was linked and has text, but the map does not name it\n"


def test_a_module_without_a_symbol(kernel):
    """Its only function has a name that scripts/mksysmap lets nobody see."""
    subprocess.run(
        ["gcc", "-O2", "-fno-pie", "-x", "c", "-c", "-o", "kernel/quiet.o", "-"],
        input="int __crc_quiet(int x) { return x * 3; }\n",
        text=True,
        cwd=kernel.objdir,
        check=True,
    )
    subprocess.run(["ar", "cDPrST", "vmlinux.a", "kernel/quiet.o"], cwd=kernel.objdir, check=True)
    with open(kernel.objdir / "thick", "a") as thick:
        thick.write("kernel/quiet.o:\n")
    done = accounted(kernel)
    assert done.returncode == 1
    assert re.fullmatch(
        r"kallmodsyms: \./\.tmp_vmlinux\d: quiet is built in and has text, but no symbol is its own\n"
        r"    kernel/quiet\.o\n",
        done.stderr,
    )


def test_full_optimisation_is_refused(kernel):
    before = kernel.kept()
    (kernel.objdir / "include/config/auto.conf").write_text(CONFIG + "CONFIG_LTO_CLANG=y\nCONFIG_LTO_CLANG_FULL=y\n")
    done = kernel.link()
    assert (done.returncode, done.stderr) == (
        1,
        "kallmodsyms: CONFIG_LTO_CLANG_FULL makes one object of all, and no map tells which function came from which\n"
        "  take CONFIG_LTO_CLANG_THIN, or leave module tables out (modules=false, --no-modules)\n",
    )
    assert kernel.kept() == before
