"""The task graph on the toy kernel, driven as a user does: it builds, it idles, one touched input reruns exactly what
reads it.

The toy tree is copied, so that sources can be edited; what ran is read off doit's own output.
"""

import os
import shutil
import subprocess
import sys

import pytest
from conf import Conf
from toy_kit import ROOT, Toy

LINKS = ["assemble:1", "link:1", "listing", "ranges:1", "tables:1", "vmlinux"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    toy.first = toy.ran()
    return toy


@pytest.fixture
def toy(built):
    """A build in which nothing is out of date, and which may be changed at will."""
    with built.restored() as toy:
        yield toy


def test_first_run_runs_every_task(built):
    """But for those of the series, which nobody asked for."""
    listed = built.doit("list", "--all", "-q").splitlines()
    everything = {name for line in listed if not (name := line.split(" ")[0]).startswith("series")}
    groups = {name.split(":")[0] for name in everything if ":" in name}
    assert set(built.first) == everything - groups


def test_second_run_runs_nothing_and_says_little(built):
    listing = built.output("kallmodsyms").decode().splitlines()
    owned = [line for line in listing if "\t" in line]
    names = {name for line in owned for name in line.split("\t")[1].split()}
    assert built.doit() == (
        f"vmlinux      {built.objdir}/vmlinux\n"
        f"             {len(listing)} symbols, {len(owned)} of them in {len(names)} built-in modules\n"
        f"listing      {built.objdir}/kallmodsyms\n"
    )


def test_objects_are_no_modules(toy):
    """Neither in the count of what is attributed, nor in that of modules."""
    plain = toy.doit().splitlines()[1]
    said = toy.doit("objects=true")
    assert b"{" in toy.output("kallmodsyms") and plain in said.splitlines()


@pytest.mark.parametrize("odd", [" ", "'", '"', "$", "\\", "\t"])
def test_a_tree_that_no_makefile_can_name(odd, tmp_path):
    """Kbuild refuses spaces, too."""
    toy = Toy(tmp_path / "toy")
    toy.tree = toy.tree.rename(tmp_path / f"a{odd}b")
    assert toy.doit(status=3) == (
        f"ERROR: {toy.tree}: the path of the source tree has {odd!r} in it, which makefiles take for something else\n"
        "  move the tree to a place without\n"
    )


@pytest.mark.parametrize("odd", [":", "#", "%", "*?[", ";(&|<`", "é^{~!,+=@"])
def test_a_tree_of_an_odd_name(built, odd, tmp_path):
    toy = Toy(tmp_path / "toy")
    toy.tree = toy.tree.rename(tmp_path / f"a{odd}b")
    toy.doit()
    assert toy.output("kallmodsyms").count(b"\t") == built.output("kallmodsyms").count(b"\t") and toy.ran() == []


STATE = ("", "null", "\0" * 100, "kallmodsyms ledger\n", None)


@pytest.mark.parametrize(
    "name, state",
    [*(("ledger", state) for state in STATE), ("clock", "null"), ("clock", None), ("lock", "null"), ("lock", None)],
    ids=ascii,
)
def test_state_that_is_damaged(toy, name, state):
    """Whatever stands in the place of what is kept: one line, if it matters, and everything is built and found."""
    made, path = toy.outputs(), toy.objdir / ".kallmodsyms" / name
    path.unlink()
    path.mkdir() if state is None else path.write_text(state)
    said = [line for line in toy.doit().splitlines() if line.startswith("kallmodsyms: ")]
    assert len(said) <= 1 and (not said or str(path) in said[0]), said
    assert (name != "ledger" or state == "") <= (said == []), said
    assert toy.outputs() == made
    assert state is None or toy.ran() == []


@pytest.mark.parametrize("what", ["a file", "a file in it", "a directory for .config"])
def test_places_that_are_something_else(tmp_path, what):
    toy = Toy(tmp_path)
    if what == "a file":
        toy.objdir.write_text("")
        assert toy.doit(status=3) == f"ERROR: {toy.objdir}: File exists\n"
    elif what == "a file in it":
        toy.objdir.mkdir()
        (toy.objdir / ".kallmodsyms").write_text("")
        said = toy.doit()
        assert f"kallmodsyms: warning: {toy.objdir}/.kallmodsyms/ledger: " in said
    else:
        (toy.objdir / ".config").mkdir(parents=True)
        assert f"{toy.objdir}/.config: cannot be written: Is a directory\n" in toy.doit(status=1)


def test_a_build_directory_that_cannot_be_written(tmp_path):
    toy = Toy(tmp_path)
    toy.objdir.mkdir()
    script = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, toy.objdir, *toy.command()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert f"{toy.objdir}/.config: cannot be written: Read-only file system\n" in done.stdout


def test_what_makefiles_say(toy):
    """When a directory is evaluated; make does so each time, and we where something that it reads has changed."""
    toy.edit("fs/Makefile", "obj-y", "$(info hello from fs)\n$(warning mind the gap)\nobj-y", 1)
    assert [line for line in toy.doit().splitlines() if "hello" in line or "gap" in line] == [
        "hello from fs",
        f"kallmodsyms: warning: {toy.tree}/fs/Makefile:{line_of(toy.tree / 'fs/Makefile', 'gap')}: mind the gap",
    ]
    assert toy.ran() == []


def line_of(path, text):
    return 1 + next(number for number, line in enumerate(path.read_text().splitlines()) if text in line)


def test_what_nothing_makes_any_more_is_removed(toy):
    """As a clean build would not have it, but not what somebody else put there."""
    (toy.objdir / "fs/romfs/super.o").write_text("mine")
    toy.configure("CONFIG_ROMFS_FS=m", "# CONFIG_ROMFS_FS is not set")
    said = toy.doit()
    assert [line.strip() for line in said.splitlines() if "removed" in line] == [
        f"fs/romfs/{name}: removed, since nothing makes it any more" for name in ("storage.o", "romfs.ko")
    ]
    assert [path.name for path in sorted((toy.objdir / "fs/romfs").iterdir())] == [
        ".super.o.cmd",
        ".super.o.d",
        "super.o",
    ]
    assert toy.doit().count("\n") == 3
    (toy.objdir / "fs/romfs/super.o").unlink()
    assert toy.outputs() == toy.from_nothing()
    toy.configure("# CONFIG_ROMFS_FS is not set", "CONFIG_ROMFS_FS=y")
    toy.doit()
    assert toy.outputs() == toy.from_nothing() and toy.ran() == []


def test_clean_leaves_the_configuration_alone(toy):
    made = toy.outputs()
    toy.doit("clean")
    left = [str(path.relative_to(toy.objdir)) for path in toy.objdir.rglob("*") if path.is_file()]
    assert sorted(left) == [".config", *(f".kallmodsyms/{name}" for name in ("clock", "ledger", "lock"))]
    toy.doit()
    assert toy.outputs() == made


def test_objects_that_a_module_shares_are_no_disagreement(built):
    command = [sys.executable, "-m", "kallmodsyms", "thick", "--check", "--arch", "x86"]
    command += ["--tree", built.tree, "--objdir", built.objdir]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_build_inside_the_tree_and_one_outside_of_it(toy):
    """Kbuild refuses this too: the headers inside would be read."""
    inner = Toy.__new__(Toy)
    inner.directory, inner.tree, inner.objdir, inner.environment = toy.directory, toy.tree, toy.tree, toy.environment
    inner.doit()
    assert inner.ran() == []
    for left in (".config", "include/config", "include/generated"):
        said = toy.doit(status=3)
        assert f"{toy.tree}: the source tree is not clean: a build inside of it left {left}\n" in said
        path = toy.tree / left
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert toy.ran() == []


@pytest.fixture(scope="module")
def conf(linux_6_12, tmp_path_factory):
    return Conf(linux_6_12, "x86", tmp_path_factory.mktemp("conf"))


EDITS = {
    "a choice": (("CONFIG_HZ_250=y", "CONFIG_HZ_100=y"), ("# CONFIG_HZ_100 is not set\n", "")),
    "a word for a bool": (("CONFIG_SMP=y", "CONFIG_SMP=maybe"),),
    "letters in a number": (("CONFIG_HZ=250", "CONFIG_HZ=abc"),),
    "a string without an end": (('CONFIG_DEFAULT_HOSTNAME="toy"', 'CONFIG_DEFAULT_HOSTNAME="toy'),),
    "an unknown symbol": (("CONFIG_SMP=y", "CONFIG_SMP=y\nCONFIG_NOPE=y"),),
    "twice": (("CONFIG_SMP=y", "CONFIG_SMP=y\n# CONFIG_SMP is not set"),),
    "a lost line": (("CONFIG_BLK_DEV_LOOP=m\n", ""),),
}
WARNINGS = {
    # conf's word: ours
    "symbol value 'maybe' invalid for SMP": "CONFIG_SMP is of type bool and cannot be maybe",
    "symbol value 'abc' invalid for HZ": "CONFIG_HZ is of type int and cannot be abc",
    "invalid string found": 'CONFIG_DEFAULT_HOSTNAME is of type string and cannot be "toy',
    "override: reassigning to symbol SMP": "CONFIG_SMP=n contradicts line",
    "unknown symbol: NOPE": "no symbol CONFIG_NOPE in this tree",
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_configuration_is_made_whole(toy, conf, what):
    """As the kernel's own `conf --olddefconfig` leaves it, with its warnings; and then nothing is left to do or say."""
    for old, new in EDITS[what]:
        toy.configure(old, new)
    shutil.copy(toy.objdir / ".config", conf.objdir)
    variables = {"srctree": str(toy.tree), "KERNELVERSION": "6.1.0-toy", "KCONFIG_WARN_UNKNOWN_SYMBOLS": "1"}
    complaints = conf.run("olddefconfig", **variables)
    said = toy.doit()
    assert (toy.objdir / ".config").read_text() == (conf.objdir / ".config").read_text()
    for theirs, ours in WARNINGS.items():
        assert (theirs in complaints) == (ours in said), (complaints, said)
    assert ("warning" in complaints) <= ("warning" in said)
    assert "warning" not in toy.doit() and toy.ran() == []


def test_a_task_that_does_not_exist(built):
    assert built.doit("info", "compile:init/mian.o", status=3).splitlines()[:2] == [
        "ERROR: compile:init/mian.o is no task",
        "  did you mean compile:init/main.o or compile:init/version.o or compile:init/do_mounts.o?",
    ]
    assert "nonsense" in built.doit("nonsense", status=3)


def test_paths_start_where_the_user_stands(tmp_path):
    command = [sys.executable, "-m", "doit", "-f", ROOT / "dodo.py", "objdir=here", "config"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "here/.config").exists()


def test_two_processes_build_the_same_bytes(built, tmp_path):
    other = Toy(tmp_path)
    other.doit("-n", "2")
    for name in ("vmlinux", "kallmodsyms", "modules_thick.builtin", "include/config/tristate.conf", "System.map"):
        assert built.output(name) == other.output(name), name
    assert other.ran() == []


def test_running_vmlinux_lists_what_show_decodes(built):
    def lines(*command):
        return subprocess.run(command, capture_output=True, check=True).stdout

    vmlinux = built.objdir / "vmlinux"
    show = [sys.executable, "-m", "kallmodsyms", "show"]
    assert lines(vmlinux, "kallmodsyms") == lines(*show, vmlinux) == built.output("kallmodsyms")
    assert lines(vmlinux, "kallsyms") == lines(*show, "--kallsyms", vmlinux)


def test_tables_are_what_nm_says(built):
    """The listing holds what nm shows, but for absolute symbols and the tables' own labels; per-CPU symbols are A."""
    nm = subprocess.run(
        ["nm", "-n", built.objdir / "vmlinux"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    symbols = [line.split() for line in nm.splitlines()]
    per_cpu_end = next(address for address, _, name in symbols if name == "__per_cpu_end")
    expected = [
        f"{address} {'A' if address <= per_cpu_end else letter} {name}"
        for address, letter, name in symbols
        if letter not in "AaNUw" and not (letter == "R" and name.startswith("kallsyms_"))
    ]
    listed = subprocess.run([built.objdir / "vmlinux", "kallsyms"], capture_output=True, text=True, check=True).stdout
    assert sorted(listed.splitlines()) == sorted(expected)


@pytest.mark.parametrize(
    "name, old, new, expected",
    [
        # A source that only its own object reads.
        ("fs/minix/inode.c", "\n#include", "\n/* edited */\n#include", ["compile:fs/minix/inode.o"]),
        # An object of a loadable module: vmlinux has nothing to do with it.
        ("drivers/block/loop_main.c", "\n#include", "\nint toy_edited;\n#include",
         ["compile:drivers/block/loop_main.o", "modules:drivers/block/loop.ko"]),
    ],
)  # fmt: skip
def test_edited_source(toy, name, old, new, expected):
    toy.edit(name, old, new)
    ran = toy.ran()
    # A comment changes no object, so nothing behind it runs.
    assert ran == expected


def test_edited_function_reaches_the_listing(toy):
    toy.edit(
        "fs/minix/inode.c",
        '#include "minix.h"',
        '#include "minix.h"\nint toy_edited(void);\nint toy_edited(void) { return 1; }',
    )
    assert toy.ran() == sorted(["archive:vmlinux.a", "compile:fs/minix/inode.o", *LINKS])
    assert b"T toy_edited" not in toy.output("kallmodsyms")
    assert b"t toy_edited\t[minix]\n" in toy.output("kallmodsyms")


def test_touched_file_is_not_an_edited_one(toy):
    os.utime(toy.tree / "fs/minix/inode.c", (1, 1))
    assert toy.ran() == []


def test_edit_under_a_restored_mtime_is_seen(toy):
    path = toy.tree / "fs/minix/inode.c"
    stat = path.stat()
    toy.edit("fs/minix/inode.c", "\n#include", "\n/* x */\n#include")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert toy.ran() == ["compile:fs/minix/inode.o"]


def test_a_clock_that_jumps(toy):
    """Sources from the future, a map that is older than its objects: content decides, and what is asked for is made."""
    made = toy.outputs()
    for path in (toy.tree / "fs/minix/inode.c", toy.objdir / "fs/minix/bitmap.o", toy.objdir / ".config"):
        os.utime(path, (2051222400, 2051222400))  # 2035
    for path in toy.objdir.glob(".tmp_vmlinux*.map"):
        os.utime(path, (1, 1))
    assert toy.ran() == []
    (toy.objdir / ".tmp_vmlinux1.ranges").unlink()
    assert toy.ran() == ["ranges:1"]
    (toy.objdir / "vmlinux").unlink()
    assert toy.ran() == ["vmlinux"] and toy.ran() == [] and toy.outputs() == made
    toy.edit("fs/minix/inode.c", "\n#include", "\nint toy_edited;\n#include")
    os.utime(toy.tree / "fs/minix/inode.c", (2051222400, 2051222400))
    assert "compile:fs/minix/inode.o" in toy.ran() and toy.ran() == []
    assert toy.outputs() == toy.from_nothing()


def test_damaged_target_is_made_again(toy):
    (toy.objdir / "fs/minix/inode.o").write_bytes(b"rubbish")
    assert toy.ran() == ["compile:fs/minix/inode.o"]


def test_missing_object_is_made_again(toy):
    (toy.objdir / "fs/minix/inode.o").unlink()
    assert toy.ran() == ["compile:fs/minix/inode.o"]


def test_info_gives_the_reason(toy):
    toy.edit("include/linux/fs.h", "\n#", "\n/* edited */\n#")
    said = toy.doit("info", "compile:fs/minix/inode.o", status=1)
    assert "include/linux/fs.h changed" in said


def test_changed_symbol_recompiles_what_mentions_it(toy):
    before = toy.output("include/generated/autoconf.h")
    toy.configure('CONFIG_DEFAULT_HOSTNAME="toy"', 'CONFIG_DEFAULT_HOSTNAME="zoo"')
    ran = toy.ran()
    assert toy.output("include/generated/autoconf.h") != before
    mentions = subprocess.run(
        ["grep", "-rl", "CONFIG_DEFAULT_HOSTNAME", "--include=*.c", "."], cwd=toy.tree, capture_output=True, text=True
    )
    expected = [f"compile:{os.path.normpath(name)[:-2]}.o" for name in mentions.stdout.splitlines()]
    assert [name for name in ran if name.startswith("compile:")] == sorted(expected) == ["compile:init/version.o"]
    # A string decides nothing about modules; one as long as the old one moves no address, so that the tables stay.
    others = ["archive:vmlinux.a", "auto_conf", "config", *LINKS]
    others.remove("assemble:1")
    assert [name for name in ran if not name.startswith("compile:")] == sorted(others)


def test_module_made_built_in(toy):
    """The point of it all: m to y, and the symbols keep their module's name."""
    toy.configure("CONFIG_BLK_DEV_LOOP=m", "CONFIG_BLK_DEV_LOOP=y")
    ran = toy.ran()
    assert {"tristate_conf", "auto_conf", "modules_thick", "archive:vmlinux.a", *LINKS} <= set(ran)
    assert b"\t[loop]" in toy.output("kallmodsyms")
    assert toy.ran() == []
    toy.configure("CONFIG_BLK_DEV_LOOP=y", "CONFIG_BLK_DEV_LOOP=m")
    toy.doit()
    assert b"\t[loop]" not in toy.output("kallmodsyms")


def failing(toy, *words, status):
    """What doit says, and that no output changed."""
    names = ("vmlinux", "kallmodsyms", "System.map", "modules_thick.builtin", "include/config/tristate.conf")
    before = {name: (toy.output(name), (toy.objdir / name).stat().st_mtime_ns) for name in names}
    said = toy.doit(*words, status=status)
    assert {name: (toy.output(name), (toy.objdir / name).stat().st_mtime_ns) for name in names} == before
    return said


def test_compiler_error_leaves_the_last_image(toy):
    toy.edit("fs/minix/inode.c", "\n#include", "\n#error broken on purpose\n#include")
    said = failing(toy, status=1)
    assert "broken on purpose" in said and f"{toy.tree}/fs/minix/inode.c:" in said


def test_syntax_error_in_kconfig(toy):
    with open(toy.tree / "fs/Kconfig", "a") as stream:
        stream.write("\nconfig\n")
    said = failing(toy, status=3)
    assert f"{toy.tree}/fs/Kconfig:" in said


def test_syntax_error_in_kbuild_file(toy):
    with open(toy.tree / "fs/Makefile", "a") as stream:
        stream.write("ifeq ($(CONFIG_X),y\nobj-y += x.o\nendif\n")
    said = failing(toy, status=3)
    assert f"{toy.tree}/fs/Makefile:" in said


def test_object_without_source(toy):
    (toy.tree / "fs/minix/inode.c").unlink()
    said = failing(toy, status=3)
    assert "fs/minix/inode.o is to be built, but there is neither" in said


def test_absent_directory(toy):
    shutil.rmtree(toy.tree / "fs/minix")
    said = failing(toy, status=3)
    assert "fs/minix" in said


@pytest.mark.parametrize(
    "words, message",
    [
        (["profile=config/absent.yaml"], "config/absent.yaml: cannot be read: No such file or directory"),
        (["colour=blue"], "unknown setting colour=blue"),
        (["sizes=huge"], "'sizes' is none of compact, dense, none"),
        (["config=/nowhere"], "/nowhere does not exist"),
    ],
)
def test_wrong_words(toy, words, message):
    assert message in failing(toy, *words, status=3)


def why(*words):
    command = [sys.executable, "-m", "kallmodsyms", "why", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_what_why_takes(toy):
    place = [f"tree={toy.tree}", f"objdir={toy.objdir}"]
    outputs = ["vmlinux", "System.map", "fs/minix/inode.o", toy.objdir / "vmlinux.a"]
    for what in [*outputs, "fs/minix", "compile:fs/minix/inode.o"]:
        assert why(what, *place) == (0, f"{what}: up to date\n")
    (toy.objdir / "vmlinux.a").unlink()
    assert why("vmlinux.a", *place) == (1, "vmlinux.a: its output vmlinux.a is gone\n")
    assert why("compile:fs/minix/inod.o", *place) == (
        1,
        "kallmodsyms: compile:fs/minix/inod.o is no task, no directory that is built, and no file that a task makes\n"
        "  did you mean compile:fs/minix/inode.o or compile:fs/minix/bitmap.o or fs/minix/inode.o?\n",
    )


def test_why_makes_nothing(toy, tmp_path):
    absent = tmp_path / "absent"
    message = f"kallmodsyms: {absent}: is no directory; it should be the build directory\n"
    assert why("vmlinux", f"tree={toy.tree}", f"objdir={absent}") == (1, message)
    assert not absent.exists()
    before = toy.output(".kallmodsyms/ledger")
    toy.edit("fs/minix/Makefile", "minix.o", "minix.o ")
    assert why("fs/minix", f"tree={toy.tree}", f"objdir={toy.objdir}")[1].endswith("fs/minix/Makefile changed\n")
    assert toy.output(".kallmodsyms/ledger") == before
