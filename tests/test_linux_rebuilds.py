"""A real tree, built again after a change: which tasks run, whether its make is asked, why, and what comes of it.

The oracle is the tree's own make, which makes the same changes in a copy of the build directory: every object, archive
and image must come out alike; and in our directory it must find nothing left to do.

The tree is the one that other tests read, so a file is written back with the content that it had.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_kit import ROOT

from kallmodsyms import profile
from kallmodsyms.configured import Configured
from kallmodsyms.plan.make import Make

INODE = "fs/isofs/inode"
COMPILE = f"compile:{INODE}.o"
FILLED = ["archive", "modpost", "link:1", "ranges:1", "tables:1", "vmlinux", "listing"]
"""Where the names stay, the tables have the size that they had."""
LINKED = ["archive", "modpost", "link:1", "ranges:1", "tables:1", "assemble:1", "vmlinux", "listing"]
COMPARED = re.compile(r".*\.(o|a|ko)|vmlinux|System\.map|modules\.(builtin.*|order)|.*symvers|kallmodsyms")


COME_AND_GO = ("fs/fat", "fs/exfat", "fs/isofs", "fs/ext4")
"""Directories whose objects are not all built in, with some configurations of these tests: make leaves old ones."""


class Small:
    """The small kernel, and the environment of each doit."""

    def __init__(self, tree: Path, objdir: Path) -> None:
        self.tree, self.objdir = tree, objdir
        self.words = ["profile=config/linux-small.yaml", f"tree={tree}", f"objdir={objdir}"]
        # Otherwise each link has its own number and time in the image.
        fixed = {"KBUILD_BUILD_TIMESTAMP": "2026-01-01", "KBUILD_BUILD_VERSION": "1", "KBUILD_BUILD_USER": "u"}
        self.environment = {**os.environ, **fixed, "KBUILD_BUILD_HOST": "h"}

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", program, *words, *self.words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=self.environment)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def ran(self) -> list[str]:
        """The tasks that doit runs now."""
        done = self.run("doit")
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return [line[3:] for line in done.stdout.splitlines() if line.startswith(".  ")]

    def why(self, what: str) -> str | None:
        done = self.run("kallmodsyms", "why", what)
        assert done.stderr == "", done.stderr
        return None if done.returncode == 0 else done.stdout.removeprefix(f"{what}: ").rstrip("\n")

    def output(self, name: str) -> bytes:
        """The content of a file; of an image a digest: to show where two differ takes for ever."""
        content = (self.objdir / name).read_bytes()
        return hashlib.sha256(content).digest() if "vmlinux" in name else content

    def configured(self) -> dict[str, bytes]:
        """What make and the compiler are told of .config."""
        names = ("include/config/auto.conf", "include/generated/autoconf.h", "include/generated/rustc_cfg", ".config")
        return {name: self.output(name) for name in names}

    def linked(self) -> set[str]:
        """The objects that vmlinux is made of."""
        done = subprocess.run(["ar", "t", "vmlinux.a"], cwd=self.objdir, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    def make(self) -> list[str]:
        """What the tree's make does here for vmlinux, with the words that doit would give it."""
        chosen = profile.load(
            self.words[0].partition("=")[2], ROOT, dict(word.split("=", 1) for word in self.words[1:])
        )
        configured = Configured(chosen.tree, chosen.objdir, chosen.arch, chosen.make, keep=False)
        command = Make(chosen, configured).command("vmlinux")
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        always = ("  GEN     Makefile", "  DESCEND objtool", "  CALL ", "make")
        return [line for line in done.stdout.splitlines() if line and not line.startswith(always)]


class Reference(Small):
    """The same kernel, built by make alone in a copy of the build directory. Because of the other place make compiles
    everything again there.
    """

    def differs(self, ours: Small) -> list[str]:
        """The objects, archives and images that are not alike, after make did here what there is to do."""
        for name in ("modules_thick.builtin", ".config"):
            if not filecmp.cmp(ours.objdir / name, self.objdir / name, shallow=False):
                shutil.copyfile(ours.objdir / name, self.objdir / name)
        self.make()
        names = [
            os.path.relpath(os.path.join(folder, name), ours.objdir)
            for folder, _, files in os.walk(ours.objdir)
            for name in files
            if not folder.startswith(f"{ours.objdir}/tools")  # programs that say where they were built
            if COMPARED.fullmatch(name) and not name.startswith(".tmp_") and name != "kallmodsyms"
        ]
        assert len(names) > 1000
        live = self.linked()
        assert ours.linked() == live
        folders = {os.path.dirname(name) for name in live}
        left = [name for name in names if os.path.dirname(name) in COME_AND_GO and name.endswith((".o", ".a"))]
        dead = {
            name for name in left if name not in live and (name[-2:] == ".o" or os.path.dirname(name) not in folders)
        }
        return [
            name
            for name in names
            if name not in dead and not filecmp.cmp(ours.objdir / name, self.objdir / name, shallow=False)
        ]


@pytest.fixture(scope="module")
def state(built, linux_6_1, make_linux):
    """The small kernel, built in this environment; for the tests that follow it is built in theirs again."""
    yield Small(linux_6_1, built)
    make_linux(built, linux_6_1)


@pytest.fixture(scope="module")
def reference(state, tmp_path_factory):
    state.ran()
    objdir = tmp_path_factory.mktemp("reference") / "objdir"
    shutil.copytree(state.objdir, objdir, symlinks=True)
    shutil.rmtree(objdir / ".kallmodsyms")
    found = Reference(state.tree, objdir)
    found.make()
    assert found.differs(state) == []
    return found


@pytest.fixture
def small(state):
    small = Small(state.tree, state.objdir)
    small.ran()
    assert small.ran() == []
    return small


@pytest.fixture
def edit(small) -> Iterator:
    """A function that gives a file of the tree another content; it is put back. Its time is not: make must see that it
    is another one than was compiled.
    """
    before: dict[Path, bytes] = {}

    def change(name: str, old: bytes, new: bytes) -> None:
        path = small.tree / name
        content = path.read_bytes()
        assert old in content
        before.setdefault(path, content)
        path.write_bytes(content.replace(old, new, 1) if old else content + new)

    yield change
    for path, content in before.items():
        if path.read_bytes() != content:  # to touch what is as it was would make make compile
            path.write_bytes(content)
    small.ran()


def test_nothing_to_do(small):
    assert [small.why(what) for what in ("vmlinux", "System.map", "fs/isofs", f"{INODE}.o", "listing")] == [None] * 5


def test_both_programs_say_the_same(small):
    """`doit` and `kallmodsyms` as they are installed, whose first lines may name the interpreter in two ways."""
    programs, said = Path(sys.executable).parent, []
    for command in ([programs / "kallmodsyms", "why", "vmlinux"], [programs / "doit", "info", "vmlinux"]):
        done = subprocess.run([*command, *small.words], cwd=ROOT, capture_output=True, text=True, env=small.environment)
        said.append(done.stdout)
    assert said[0] == "vmlinux: up to date\n" and "status     : up-to-date" in said[1]


EDITS = {
    "a comment": (f"{INODE}.c", b"", b"/* edited */\n", [COMPILE, "times"]),
    "a function": (f"{INODE}.c", b"", b"int extra(void);\nint extra(void) { return 1; }\n", [COMPILE, *LINKED]),
    "a body": (f"{INODE}.c", b"ISOFS: unable", b"ISOFS: UNABLE", [COMPILE, *FILLED]),
    "a header, the bytes stay": ("fs/isofs/zisofs.h", b"", b"#define EXTRA 1\n", ["times"]),
    "a header, the bytes change": ("fs/isofs/isofs.h", b"", b"static int extra __attribute__((used));\n", LINKED),
    "assembler of a library": ("arch/x86/lib/clear_page_64.S", b"", b"/* edited */\n", ["times"]),
    "an exported symbol": (f"{INODE}.c", b"", b"int extra;\nEXPORT_SYMBOL(extra);\n", [COMPILE, *LINKED]),
    "the order of a Kbuild list": ("fs/isofs/Makefile", b"namei.o inode.o", b"inode.o namei.o", ["make", "listing"]),
    "a comment in a Kbuild file": ("fs/isofs/Makefile", b"", b"# edited\n", ["make"]),
    "a Kconfig file": ("fs/isofs/Kconfig", b"", b"# edited\n", ["make"]),
    "the linker script": ("arch/x86/kernel/vmlinux.lds.S", b"", b"/* edited */\n", ["linker_script", "times"]),
    "a script": ("scripts/mksysmap", b"", b"# edited\n", ["make"]),
    "a script of the link": ("scripts/link-vmlinux.sh", b"", b"# edited\n", ["make"]),
    "a header of a host program": ("arch/x86/boot/compressed/../mkcpustr.c", b"", b"/* edited */\n", ["make"]),
}
"""What is edited; which text becomes which (none: at the end); the tasks that run, of many compilations none."""


QUICK = ("a comment", "a function", "a header, the bytes change", "the order of a Kbuild list", "a script")


@pytest.mark.parametrize(
    "what", [what if what in QUICK else pytest.param(what, marks=pytest.mark.long) for what in EDITS]
)
def test_an_edit(small, reference, edit, what):
    name, old, new, expected = EDITS[what]
    before = small.output("vmlinux")
    edit(name, old, new)
    ran = small.ran()
    assert [task for task in ran if not task.startswith("compile:") or task in expected] == expected, ran
    assert "make" in ran or any(task.startswith("compile:") for task in ran)
    assert reference.differs(small) == []
    assert small.ran() == [] and small.make() == [] and small.ran() == []
    edit(name, new, old)
    small.ran()
    assert small.make() == [] and small.output("vmlinux") == before


def test_reasons(small, edit):
    edit(f"{INODE}.c", b"", b"/* edited */\n")
    assert small.why(f"{INODE}.o") == f"{small.tree}/{INODE}.c changed"
    assert small.why("vmlinux") == f"undecided until {COMPILE} ran: {small.why(f'{INODE}.o')}"
    assert small.why("listing") == small.why("vmlinux")


def test_a_new_function_belongs_to_the_module(small, edit):
    edit(f"{INODE}.c", b"", b"int isofs_extra(void);\nint isofs_extra(void) { return 1; }\n")
    assert small.ran() == [COMPILE, *LINKED]
    assert b"t isofs_extra\t[isofs]\n" in small.output("kallmodsyms")


def test_an_error_and_its_end(small, edit):
    """The compiler's words are shown, nothing is linked, and the next run begins where this one failed."""
    before = small.output("vmlinux")
    edit(f"{INODE}.c", b"", b"int wrong = ;\n")
    edit("fs/isofs/dir.c", b"", b"/* edited */\n")
    done = small.run("doit")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "expected expression before" in said and f"{COMPILE}" in said
    assert small.output("vmlinux") == before and small.why(f"{INODE}.o") == f"its output {INODE}.o is gone"
    edit(f"{INODE}.c", b"int wrong = ;\n", b"int right(void);\nint right(void) { return 1; }\n")
    assert COMPILE in small.ran()
    assert b"t right\t[isofs]\n" in small.output("kallmodsyms")


def test_two_at_once(small, reference, edit):
    for name in (INODE, "fs/isofs/dir", "kernel/panic"):
        edit(f"{name}.c", b"", b"static int extra __attribute__((used)) = 1;\n")
    done = small.run("doit", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert small.ran() == []
    assert reference.differs(small) == [] and small.make() == []


def test_make_by_hand(small, edit):
    """What make has compiled and linked is looked at once more by make, and not compiled again."""
    edit(f"{INODE}.c", b"", b"static int extra __attribute__((used)) = 1;\n")
    assert any(line.split() == ["CC", f"{INODE}.o"] for line in small.make())
    image = small.output("vmlinux")
    small.ran()
    assert small.output("vmlinux") == image and small.make() == []
    assert small.ran() == []


SOURCES = ("fs/isofs/inode.c", "fs/isofs/rock.h", "fs/isofs/Makefile", "kernel/panic.c", "arch/x86/lib/csum-copy_64.S")


SYMBOLS = {"VFAT_FS": "nmy", "EXFAT_FS": "nmy", "JOLIET": "ny", "DEBUG_DRIVER": "ny", "EXT4_FS_POSIX_ACL": "ny"}


def test_a_sequence(small, reference, edit, configure):
    sequence(small, reference, edit, configure, 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 32))
def test_many_sequences(small, reference, edit, configure, seed):
    sequence(small, reference, edit, configure, seed)


def sequence(small, reference, edit, configure, seed: int) -> None:
    """Five changes, a build after some of them; at the end all is as make makes it."""
    dice = random.Random(seed)
    for number in range(5):
        name = dice.choice((*SOURCES, *SYMBOLS))
        if name in SYMBOLS:
            configure({name: dice.choice(SYMBOLS[name])})
        else:
            code = f"static int extra{number} __attribute__((used)) = {number};\n" if name.endswith(".c") else ""
            comment = "# " if name.endswith("Makefile") else "// "
            edit(name, b"", (code or f"{comment}edited {number}\n").encode())
        if dice.random() < 0.3:
            (small.objdir / f"{INODE}.o").unlink(missing_ok=True)
        if dice.random() < 0.6:
            small.ran()
    small.ran()
    assert reference.differs(small) == []
    assert small.make() == [] and small.ran() == []


def test_a_file_that_appears_and_vanishes(small):
    """A Kbuild file takes the place of the Makefile beside it."""
    path = small.tree / "fs/isofs/Kbuild"
    before = small.output("vmlinux")
    path.write_bytes((small.tree / "fs/isofs/Makefile").read_bytes())
    try:
        assert small.why("fs/isofs") == f"{path} now matches {path}"
        assert small.why("make") == f"the names of the files in {small.tree}/fs/isofs changed"
        assert small.ran() == ["make"]
    finally:
        path.unlink()
    assert small.ran() == ["make"]
    assert small.output("vmlinux") == before


@pytest.fixture
def configure(small) -> Iterator:
    """A function that gives symbols of .config other values; the file is put back as it was."""
    config = small.objdir / ".config"
    before = config.read_text()

    def change(values: dict[str, str]) -> None:
        text = config.read_text()
        for name, value in values.items():
            line = f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"
            text, found = re.subn(rf"^(?:CONFIG_{name}=.*|# CONFIG_{name} is not set)$", line, text, flags=re.MULTILINE)
            assert found == 1, name
        config.write_text(text)

    yield change
    config.write_text(before)
    small.ran()


CONFIGURATIONS = {
    "a driver becomes a module": ({"VFAT_FS": "m"}, ["tristate_conf", "modules_thick"]),
    "a driver is left out": ({"VFAT_FS": "n"}, ["tristate_conf", "modules_thick"]),
    "a driver comes": ({"EXFAT_FS": "y"}, ["tristate_conf", "modules_thick"]),
    "a member of a module comes": ({"JOLIET": "y"}, ["modules_thick"]),
    "a flag": ({"DEBUG_DRIVER": "y"}, []),
    "what one source reads": ({"DEBUG_DEVRES": "y"}, []),
    # Each is in what a source of the vDSO reads in, which is linked elsewhere.
    "a string": ({"DEFAULT_HOSTNAME": '"other"'}, ["make"]),
    "a symbol that assembler reads": ({"DEBUG_ENTRY": "y"}, ["make"]),
    "a symbol that nothing mentions": ({"RUNTIME_TESTING_MENU": "y"}, []),
    "several": ({"VFAT_FS": "m", "EXFAT_FS": "m", "EXT4_FS_POSIX_ACL": "y"}, ["tristate_conf", "modules_thick"]),
    "what makefiles of the top read": ({"DEBUG_SECTION_MISMATCH": "y"}, ["make"]),
    "what makes a header": ({"LOCALVERSION": '"-x"'}, ["make"]),
}
"""Symbols and their new values; which tasks run besides those that any of this may lead to."""
CONFIGURED = ("config", "auto_conf", "directories", *LINKED, "times")
QUICKLY = ("a driver becomes a module", "a driver comes", "a flag", "a symbol that nothing mentions")


@pytest.mark.parametrize(
    "what", [what if what in QUICKLY else pytest.param(what, marks=pytest.mark.long) for what in CONFIGURATIONS]
)
def test_a_configuration(small, reference, configure, what):
    """What follows from .config is as the tree's make has it, and make is asked only where a makefile of the top or a
    script names the symbol.
    """
    values, expected = CONFIGURATIONS[what]
    before = {name: small.output(name) for name in ("vmlinux", ".config", "kallmodsyms")}
    old = {name: re.search(rf"^CONFIG_{name}=(.*)$", before[".config"].decode(), re.MULTILINE) for name in values}
    configure(values)
    ran = small.ran()
    assert [task for task in ran if task not in CONFIGURED and not task.startswith("compile:")] == expected, ran
    assert ("vmlinux" in ran) == (what != "a symbol that nothing mentions" and "make" not in ran), ran
    assert reference.differs(small) == []
    assert reference.configured() == small.configured()
    assert small.ran() == [] and small.make() == [] and small.ran() == []
    configure({name: found[1] if found else "n" for name, found in old.items()})
    small.ran()
    assert small.make() == []
    assert {name: small.output(name) for name in before} == before


def test_what_is_new_in_the_listing(small, configure):
    before = small.output("kallmodsyms")
    assert b"[fat]" in before and b"[vfat]" in before
    configure({"VFAT_FS": "m"})
    assert small.why("tristate_conf") == "CONFIG_FAT_FS was y and is m"
    small.ran()
    assert b"[vfat]" not in small.output("kallmodsyms")


DAMAGE = ("gone", "cut", "changed", "with its time put back")
WRITERS = {
    f"{INODE}.o": COMPILE,
    "fs/isofs/built-in.a": "archive",
    "arch/x86/kernel/vmlinux.lds": "linker_script",
    "vmlinux.o": "modpost",
    ".tmp_vmlinux1": "link:1",
    ".tmp_vmlinux1.ranges": "ranges:1",
    ".tmp_vmlinux1.kallsyms.S": "tables:1",
    "vmlinux": "vmlinux",
    "modules.builtin": "modpost",
    "lib/crc32table.h": "make",
    "scripts/mod/modpost": "make",
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("damage", [pytest.param(one, marks=[pytest.mark.long] * (one != "changed")) for one in DAMAGE])
def test_damage(small, name, damage):
    """make goes by times, and would link what was damaged."""
    path, image = small.objdir / name, small.output("vmlinux")
    content = path.read_bytes()
    times, mode = path.stat(), path.stat().st_mode
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content[:-9] + b"X" + content[-8:])
    if damage == "with its time put back":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    state = "gone" if damage == "gone" else "not what it wrote"
    assert small.why(WRITERS[name]) == f"its output {name} is {state}"
    assert small.ran()[0] == WRITERS[name]
    assert path.stat().st_mode == mode
    # The first image may have been linked without debug data: in a build from nothing it is not the last.
    repaired = path.read_bytes() == content or name == ".tmp_vmlinux1"
    assert (repaired, small.output("vmlinux")) == (True, image)
    assert small.ran() == [] and small.make() == []


def test_what_would_build_everything_again(small, tmp_path):
    """Only asked, not done: a variable of the environment, another compiler behind the same name, another program of
    the build.
    """
    small.environment["KCFLAGS"] = "-DNOTHING"
    assert small.why("vmlinux") == "KCFLAGS=-DNOTHING is set"
    del small.environment["KCFLAGS"]
    (tmp_path / "gcc").write_text('#!/bin/sh\nexec /usr/bin/gcc "$@"\n')
    (tmp_path / "gcc").chmod(0o755)
    small.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    reason = f"gcc is {tmp_path}/gcc and was /usr/bin/gcc"
    assert [small.why(what) for what in ("make", f"{INODE}.o", "vmlinux")] == [reason] * 3
    small.environment["PATH"] = os.environ["PATH"]
    (small.objdir / "localversion-test").write_text("-test")
    try:
        assert small.why("vmlinux") == "localversion* now matches localversion-test"
    finally:
        (small.objdir / "localversion-test").unlink()
    assert small.why("vmlinux") is None


@pytest.fixture
def ninja(small) -> Iterator:
    """A function that has ninja build, by the file that doit writes; what it says that it did, sorted, but not which
    archives it made.
    """

    def build() -> list[str]:
        command = ["ninja", "-C", str(small.objdir)]
        done = subprocess.run(command, capture_output=True, text=True, env=small.environment)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        said = re.findall(r"^\[\d+/\d+\] (.*)|^(ninja: no work to do\.)$", done.stdout, re.MULTILINE)
        return sorted(one or other for one, other in said if not one.startswith("AR "))

    assert small.run("doit", "ninja").returncode == 0
    yield build
    for name in ("build.ninja", *(f".kallmodsyms/{name}" for name in (".ninja_deps", ".ninja_log", "ninja.sh"))):
        (small.objdir / name).unlink(missing_ok=True)


NOTHING = ["ninja: no work to do."]


def test_ninja(small, reference, edit, configure, ninja):
    """ninja begins with what doit has built, makes what make would make, and asks doit of .config and makefiles."""
    assert ninja() == NOTHING
    compiled = [f"CC {INODE}.o", "LINK vmlinux"]
    edit(f"{INODE}.c", b"", b"int extra(void);\nint extra(void) { return 1; }\n")
    assert ninja() == compiled
    assert reference.differs(small) == [] and ninja() == NOTHING
    edit("fs/isofs/zisofs.h", b"", b"int extra(void);\n")
    assert {f"CC {INODE}.o", "CC fs/isofs/compress.o"} & {*ninja()}
    assert reference.differs(small) == [] and ninja() == NOTHING
    for name in (f"{INODE}.o", "vmlinux"):
        (small.objdir / name).unlink()
        assert ninja() == compiled[name == "vmlinux" :]
    configure({"VFAT_FS": "m", "DEBUG_DRIVER": "y"})
    assert {"DOIT ninja", "LINK vmlinux"} <= {*ninja()}
    assert reference.differs(small) == [] and ninja() == NOTHING
    configure({"DEBUG_DEVRES": "y"})  # which one source names and no makefile: ninja knows by a digest
    assert ninja() == ["CC drivers/base/devres.o", "DOIT ninja", "LINK vmlinux"]
    assert reference.differs(small) == [] and ninja() == NOTHING
    edit("fs/isofs/Makefile", b"namei.o inode.o", b"inode.o namei.o")
    assert "DOIT ninja" in ninja()
    assert reference.differs(small) == [] and ninja() == NOTHING
    small.ran()
    assert reference.differs(small) == [] and small.make() == [] and small.ran() == []


@pytest.mark.long
def test_ninja_from_nothing(small, reference, edit, ninja):
    for name in small.linked():
        if (small.objdir / os.path.dirname(name) / f".{os.path.basename(name)}.cmd").exists():
            (small.objdir / name).unlink()
    assert len(ninja()) > 700
    assert reference.differs(small) == [] and ninja() == NOTHING


def test_ninja_and_an_error(small, edit, ninja):
    edit(f"{INODE}.c", b"", b"int wrong = ;\n")
    command = ["ninja", "-C", str(small.objdir)]
    done = subprocess.run(command, capture_output=True, text=True, env=small.environment)
    assert done.returncode == 1 and "expected expression before" in done.stdout
    edit(f"{INODE}.c", b"int wrong = ;\n", b"")
    assert ninja() == [f"CC {INODE}.o", "LINK vmlinux"]
