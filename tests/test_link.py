"""The pieces of the final link: commands, what a failing tool says, and that the old image survives."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import link
from pipeline.errors import InputError

ENVIRONMENT = {
    "SRCARCH": "x86", "objtree": ".", "KBUILD_LDS": "arch/x86/kernel/vmlinux.lds", "LD": "ld", "CC": "gcc", "OBJCOPY": "objcopy",
    "KBUILD_LDFLAGS": "-m elf_x86_64", "LDFLAGS_vmlinux": "--emit-relocs --build-id=sha1 -z max-page-size=0x200000",
    "KBUILD_VMLINUX_LIBS": "lib/lib.a", "NOSTDINC_FLAGS": "-nostdinc", "KBUILD_AFLAGS": "-D__ASSEMBLY__ '-Dquoted=a b'",
}  # fmt: skip


def test_plain_recipe():
    plan = link.recipe(ENVIRONMENT, {}, ["init/version-timestamp.o"])
    assert plan.link_command("vmlinux", "vmlinux.map", ["tables.o"]) == [
        "ld", "-m", "elf_x86_64", "--emit-relocs", "--build-id=sha1", "-z", "max-page-size=0x200000",
        "--script=arch/x86/kernel/vmlinux.lds", "-Map=vmlinux.map", "-o", "vmlinux",
        "--whole-archive", "vmlinux.a", "init/version-timestamp.o", "--no-whole-archive", "--start-group", "lib/lib.a", "--end-group",
        "tables.o",
    ]  # fmt: skip
    assert plan.assemble_command("t.S", "t.o") == ["gcc", "-nostdinc", "-D__ASSEMBLY__", "-Dquoted=a b", "-c", "-o", "t.o", "t.S"]


def test_draft_leaves_out_what_no_symbol_depends_on():
    draft = link.recipe(ENVIRONMENT, {}).link_command("v", "m", draft=True)
    final = link.recipe(ENVIRONMENT, {}).link_command("v", "m")
    assert [word for word in final if word not in draft] == ["--emit-relocs", "--build-id=sha1"]
    assert [word for word in draft if word not in final] == ["--strip-debug"]


@pytest.mark.parametrize("symbol", ["X86_KERNEL_IBT", "LTO_CLANG"])
def test_relocatable_image(symbol):
    command = link.recipe(ENVIRONMENT, {symbol: "y"}).link_command("vmlinux", "m")
    assert "vmlinux.o" in command and "vmlinux.a" not in command and "lib/lib.a" not in command


def test_user_mode_links_through_the_compiler():
    environment = ENVIRONMENT | {"SRCARCH": "um", "CFLAGS_vmlinux": "-static -Wl,--build-id"}
    assert link.recipe(environment, {}).link_command("vmlinux", "m", ["t.o"], draft=True) == [
        "gcc", "-static", "-Wl,--script=arch/x86/kernel/vmlinux.lds", "-Wl,-Map=m", "-Wl,--strip-debug", "-o", "vmlinux",
        "-Wl,--whole-archive", "vmlinux.a", "-Wl,--no-whole-archive", "-Wl,--start-group", "lib/lib.a", "-Wl,--end-group", "t.o",
        "-lutil", "-lrt", "-lpthread",
    ]  # fmt: skip


def test_failing_tool(tmp_path):
    with pytest.raises(InputError) as error:
        link.run(["sh", "-c", "echo undefined reference >&2; exit 3"], tmp_path)
    assert str(error.value) == "sh failed (exit status 3)\nundefined reference\n    sh -c 'echo undefined reference >&2; exit 3'"


def test_killed_tool(tmp_path):
    with pytest.raises(InputError, match=r"^sh failed \(killed by signal 9\)"):
        link.run(["sh", "-c", "kill -9 $$"], tmp_path)


def test_absent_tool(tmp_path):
    with pytest.raises(InputError, match="^no-such-ld cannot be run: No such file or directory"):
        link.run(["no-such-ld", "-o", "x"], tmp_path)


def test_replaced_keeps_the_old_on_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vmlinux").write_text("old")
    before = Path("vmlinux").stat().st_mtime_ns
    Path("new").write_text("new")
    with pytest.raises(InputError), link.Replaced("vmlinux", "new"):
        assert Path("vmlinux").read_text() == "new"
        raise InputError("postlink failed")
    assert Path("vmlinux").read_text() == "old" and Path("vmlinux").stat().st_mtime_ns == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vmlinux"]


def test_replaced_installs_the_new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vmlinux").write_text("old")
    Path("new").write_text("new")
    with link.Replaced("vmlinux", "new"):
        pass
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"vmlinux": "new"}


def test_hook_outside_of_make(tmp_path):
    done = subprocess.run([sys.executable, "-m", "pipeline.cli", "link"], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parent.parent)})  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "kallmodsyms: srctree is not set: this is the program for the cmd_link_vmlinux hook, and make did not call it\n"
        "  run: make vmlinux cmd_link_vmlinux='kallmodsyms link'\n"
    )
