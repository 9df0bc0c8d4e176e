"""kallmodsyms.kbuild against GNU make running the tree's own scripts, and against tables of what decides a module.

Quick: synthetic configurations (each symbol y, m or absent by a seeded throw, dependencies ignored, which reaches
combinations that no real configuration has), in some top directories of each tree and architecture. Long: whole trees
under configurations that the tree's own conf made.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
from pathlib import Path

import kbuild_oracle as oracle
import pytest
from conftest import VERSIONS, linux_tree
from hypothesis import given
from hypothesis import strategies as st

from kallmodsyms import kbuild
from kallmodsyms.errors import InputError
from kallmodsyms.kbuild import Module, format_thick, parse_thick
from kallmodsyms.kbuild.top import Environment, Top
from kallmodsyms.ledger import Ledger

ARCHITECTURES = ("x86_64", "arm64", "um")
# Compiler probes decide flags and no list; without them GNU make is five times as fast.
NO_PROBES = {"try-run": ""}


@pytest.fixture(autouse=True)
def fixed_environment(monkeypatch):
    for name in list(os.environ):
        if name not in oracle.ENVIRONMENT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C")


def synthetic(tree: Path, seed: int) -> dict[str, str]:
    """A throw of the dice for every symbol that a Kbuild file of the tree mentions: symbol to value."""
    names = set()
    for directory, below, files in os.walk(tree):
        below[:] = [name for name in below if name not in ("Documentation", "tools", "include")]
        for name in files:
            if name in ("Kbuild", "Makefile") or name.startswith("Makefile."):
                text = Path(directory, name).read_text(errors="replace")
                names.update(re.findall(r"CONFIG_(\w+)", text))
    dice = random.Random(seed)
    tristates = oracle.tristate_symbols(tree)
    values = {name: dice.choice("yyym" if name in tristates else "yyn") for name in sorted(names)}
    numbers = {"GCC_VERSION": "120200", "CLANG_VERSION": "0", "LLD_VERSION": "0", "FRAME_WARN": "2048"}
    off = ("CC_IS_CLANG", "LTO_CLANG", "LTO", "CFI_CLANG", "RUST", "GCC_PLUGINS", "EXTRA_FIRMWARE", "INITRAMFS_SOURCE")
    values |= {
        "CC_IS_GCC": "y",
        "64BIT": "y",
        "NET": "y",
        "NETFILTER": "y",
        "IPV6": "y",
        **numbers,
        **dict.fromkeys(off, "n"),
    }
    return {name: value for name, value in values.items() if value != "n"}


def build_directory_with(tree: Path, objdir: Path, values: dict[str, str]) -> oracle.Plain:
    (objdir / "include/config").mkdir(parents=True)
    (objdir / "include/config/auto.conf").write_text(
        "".join(f"CONFIG_{name}={value}\n" for name, value in values.items())
    )
    (objdir / "include/config/auto.conf.cmd").write_text("")
    (objdir / ".config").write_text("")
    os.utime(objdir / ".config", (0, 0))
    return oracle.configuration_of(tree, objdir)


STARTS = {
    "x86_64": ["lib", "crypto", "arch/x86/kernel"],
    "arm64": ["net/ipv6", "net/netfilter", "drivers/hv", "drivers/net/phy", "arch/arm64/kernel", "arch/arm64/crypto"],
    "um": ["block", "security", "drivers/usb", "arch/um/drivers", "arch/x86/um"],
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_some_directories_under_a_synthetic_configuration(linux, arch, tmp_path):
    values, starts = synthetic(linux, ARCHITECTURES.index(arch)), STARTS[arch]
    configuration = build_directory_with(linux, tmp_path / "plain", values)
    kernel = kbuild.load(kbuild.place(linux, tmp_path / "plain", arch, NO_PROBES), configuration)
    everything = oracle.directories_of(kernel)
    ours = {path: everything[path] for path in everything if path == "top" or _below(path, starts)}
    theirs = oracle.directories_of_make(linux, tmp_path / "plain", arch, NO_PROBES, starts)
    assert oracle.differences(theirs, ours) == []

    flipped = {
        name: "m" if value == "y" and name in configuration.tristates else value for name, value in values.items()
    }
    build_directory_with(linux, tmp_path / "flipped", flipped)
    again = oracle.directories_of_make(linux, tmp_path / "flipped", arch, NO_PROBES, starts)
    built_in = {
        path: lists
        for path, lists in theirs.items()
        if path in kernel.directories and kernel.directories[path].built_in
    }
    modules = {
        (module.object, module.members) for module in kbuild.builtin_modules(kernel) if _below(module.object, starts)
    }
    assert modules == oracle.modules_of_make(built_in, again)
    assert len(theirs) > 10 and len(modules) > 20


def _below(path: str, starts: list[str]) -> bool:
    return any(path == start or path.startswith(start + "/") for start in starts)


def test_exported_environment(linux, tmp_path, monkeypatch):
    """All that the makes of the directories, and kconfig, find in their environment, compiler probes included."""
    configuration = build_directory_with(linux, tmp_path, synthetic(linux, seed=7))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    theirs = oracle.environment_of_make(linux, tmp_path, "x86_64")
    ours = dict(Environment(Top(kbuild.place(linux, tmp_path, "x86_64"), configuration, "probe-environment")))
    for name in (
        "MAKEFLAGS",
        "MFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
        "MAKE_TERMOUT",
        "MAKE_TERMERR",
        "sub_make_done",
        "_",
    ):
        theirs.pop(name, None)
    assert ours == theirs


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_environment_needs_no_configuration(linux, arch, tmp_path):
    environment = kbuild.environment(kbuild.place(linux, tmp_path, arch))
    version = "6.1" if "6.1" in linux.name.split("-") else "6.12"
    assert environment["srctree"] == str(linux)
    assert environment["SRCARCH"] == {"x86_64": "x86"}.get(arch, arch)
    assert environment["ARCH"] == arch
    assert environment["KERNELVERSION"].startswith(version + ".")
    assert environment["CC"] == "gcc"
    assert environment["CC_VERSION_TEXT"].startswith("gcc")
    assert kbuild.environment(kbuild.place(linux, tmp_path, arch, {"LLVM": "-14"}))["CC"] == "clang-14"
    assert kbuild.environment(kbuild.place(linux, tmp_path, arch, {"CROSS_COMPILE": "x-"}))["LD"] == "x-ld"


STARTED_TWICE = """\
ifneq ($(sub_make_done),1)
place := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))
export LEVEL = $(or $(V),first)
ifneq ($(place),$(CURDIR))
MAKEFLAGS += --include-dir=$(place)
need-sub-make := 1
endif
export place
export sub_make_done := 1
ifeq ($(need-sub-make),1)
export LOST := of the first alone
__all:
\t@$(MAKE) --no-print-directory -C $(CURDIR) -f $(place)/Makefile
endif
endif
ifeq ($(need-sub-make),)
include more.mk
export CC = $(CROSS)gcc
export MORE LEVEL
__all: ; @env
endif
"""
"""A top Makefile that starts itself once more, as up to Linux 5.13, with what that hands on."""


@pytest.mark.parametrize("words", [{}, {"CROSS": "cross-", "V": "1"}])
@pytest.mark.parametrize("inside", [False, True])
def test_a_makefile_that_starts_itself(words, inside, tmp_path):
    tree = tmp_path / "tree"
    objdir = tree if inside else tmp_path / "objdir"
    for folder in {tree, objdir}:
        folder.mkdir()
    (tree / "Makefile").write_text(STARTED_TWICE)
    (tree / "more.mk").write_text("MORE := $(if $(sub_make_done),more)\n")
    command = ["make", "-rR", "--no-print-directory", "-f", f"{tree}/Makefile", *(f"{k}={v}" for k, v in words.items())]
    said = subprocess.run(command, cwd=objdir, capture_output=True, text=True, check=True).stdout
    theirs = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    ours = kbuild.environment(kbuild.place(tree, objdir, overrides=words))
    names = ("CC", "MORE", "LEVEL", "LOST", "place")
    assert {name: ours.get(name) for name in names} == {name: theirs.get(name) for name in names}


def test_process_environment_counts(linux_6_1, tmp_path, monkeypatch):
    monkeypatch.setenv("ARCH", "um")
    monkeypatch.setenv("CROSS_COMPILE", "c-")
    monkeypatch.setenv("MAKEFLAGS", "n")
    monkeypatch.setenv("KBUILD_OUTPUT", "/elsewhere")
    environment = kbuild.environment(kbuild.place(linux_6_1, tmp_path))
    assert (environment["SRCARCH"], environment["CC"]) == ("um", "c-gcc")
    assert "MAKEFLAGS" not in environment and "KBUILD_OUTPUT" not in environment


# Hand-made trees

TOP = """\
srctree := .
objtree := .
SRCARCH := none
KBUILD_CFLAGS := -O2
export srctree objtree SRCARCH KBUILD_CFLAGS
include include/config/auto.conf
KBUILD_VMLINUX_LIBS := lib/lib.a
"""


def make_tree(directory: Path, files: dict[str, str]) -> Path:
    for name, text in {"Makefile": TOP, **files}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def configuration(values: dict[str, str], tristates: str = "") -> oracle.Plain:
    return oracle.Plain({name: value for name, value in values.items() if value != "n"}, frozenset(tristates.split()))


def load(tree: Path, values: dict[str, str], tristates: str = "") -> kbuild.KernelTree:
    return kbuild.load(kbuild.place(tree, tree), configuration(values, tristates))


def thick(tree: Path, values: dict[str, str], tristates: str = "T U") -> str:
    return format_thick(kbuild.builtin_modules(load(tree, values, tristates)))


# Each row: a Kbuild file for d/, which is reached by obj-y, and for each value of the tristate symbol T (the bool B
# is y) the lines that modules_thick.builtin must have.
DECISIONS = {
    "single": ("obj-$(CONFIG_T) += a.o", {"y": "d/a.o:\n"}),
    "bool": ("obj-$(CONFIG_B) += a.o", {}),
    "always": ("obj-y += a.o", {}),
    "composite": (
        "obj-$(CONFIG_T) += a.o\na-objs := b.o\na-$(CONFIG_B) += c.o d.o\na-$(CONFIG_N) += e.o",
        {"y": "d/a.o: d/b.o d/c.o d/d.o\n"},
    ),
    "members-by-tristate": ("obj-$(CONFIG_T) += a.o\na-$(CONFIG_T) += c.o b.o", {"y": "d/a.o: d/b.o d/c.o\n"}),
    "composite-without-members": ("obj-$(CONFIG_T) += a.o\na-$(CONFIG_N) += b.o", {}),
    "subst-m-y": ("obj-$(subst m,y,$(CONFIG_T)) += a.o", {}),
    "reference-m-y": ("obj-$(CONFIG_T:m=y) += a.o", {}),
    "both-lists": ("obj-y += a.o\nobj-$(CONFIG_T) += a.o", {}),
    "compared-with-m": ("ifeq ($(CONFIG_T),m)\nobj-m += a.o\nelse\nobj-y += a.o\nendif", {"y": "d/a.o:\n", "n": ""}),
    "compared-with-y": ("ifeq ($(CONFIG_T),y)\nobj-y += a.o\nendif", {}),
    "compared-with-nothing": ("ifneq ($(CONFIG_T),)\nobj-y += a.o\nendif", {}),
    "guarded-by-tristate": ("ifdef CONFIG_T\nobj-$(CONFIG_T) += a.o\nendif", {"y": "d/a.o:\n"}),
    "helper-list": ("mine-$(CONFIG_T) := a.o\nobj-y += $(mine-y) $(mine-m)", {}),
    "two-options": ("obj-$(CONFIG_T) += a.o\nobj-$(CONFIG_B) += a.o", {}),
    "directory": ("obj-$(CONFIG_T) += sub/", {"y": "d/sub/s.o:\n"}),
    "shared-member": (
        "obj-$(CONFIG_T) += a.o b.o\na-y := c.o\nb-y := c.o e.o",
        {"y": "d/a.o: d/c.o\nd/b.o: d/c.o d/e.o\n"},
    ),
    "parent-path": ("obj-$(CONFIG_T) += a.o\na-y := ../e/b.o ./c.o", {"y": "d/a.o: d/c.o e/b.o\n"}),
    "named-like-its-member": ("obj-$(CONFIG_T) += a.o\na-y := a.o b.o", {"y": "d/a.o: d/a.o d/b.o\n"}),
    "repeated": ("obj-$(CONFIG_T) += a.o b-c.o a.o", {"y": "d/a.o:\nd/b-c.o:\n"}),
    "not-an-object": ("always-$(CONFIG_T) += a.o\nextra-y := b.o\ntargets += c.o\nlib-$(CONFIG_T) += d.o", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("value", "ymn")
def test_what_is_a_module(name, value, tmp_path):
    text, expected = DECISIONS[name]
    tree = make_tree(tmp_path, {"Kbuild": "obj-y += d/\n", "d/Makefile": text + "\n",
                                "d/sub/Makefile": "obj-$(CONFIG_T) += s.o\nobj-y += always.o\n"})  # fmt: skip
    assert thick(tree, {"T": value, "B": "y", "N": "n"}) == expected.get(value, "")


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product("ymn", repeat=2)))
def test_nested_directories(outer, inner, tmp_path):
    """An object is built in only if every directory on the way is reached through obj-y."""
    tree = make_tree(tmp_path, {
        "Kbuild": "obj-$(CONFIG_T) += d/\n",
        "d/Makefile": "obj-$(CONFIG_U) += e/ d.o\n",
        "d/e/Kbuild": "obj-y += e.o\nobj-$(CONFIG_U) += f.o\n",
        "d/e/Makefile": "$(error Kbuild comes before Makefile)\n",
    })  # fmt: skip
    kernel = load(tree, {"T": outer, "U": inner}, "T U")
    built_in = outer == "y"
    link = ["d/e/e.o", "d/e/f.o", "d/d.o"] if (outer, inner) == ("y", "y") else []
    assert kernel.link_order() == link
    assert thick(tree, {"T": outer, "U": inner}) == ("d/d.o:\nd/e/f.o:\n" if link else "")
    visited = {".": True}
    if outer != "n":
        visited["d"] = built_in
        if inner != "n":
            visited["d/e"] = built_in and inner == "y"
    assert {path: directory.built_in for path, directory in kernel.directories.items()} == visited


def test_order_of_the_thick_list(tmp_path):
    """A directory's own lines in its order, then its subdirectories by name; the top ones in link order."""
    own = "obj-$(CONFIG_T) += z.o a.o"
    tree = make_tree(tmp_path, {
        "Kbuild": "obj-y += t/ d/\nobj-$(CONFIG_T) += top.o\n",
        "t/Makefile": own, "d/Makefile": own + "\nobj-y += s/ b/\n", "d/s/Makefile": own, "d/b/Makefile": own,
    })  # fmt: skip
    names = ["top", "t/z", "t/a", "d/z", "d/a", "d/b/z", "d/b/a", "d/s/z", "d/s/a"]
    assert thick(tree, {"T": "y"}) == "".join(f"{name}.o:\n" for name in names)
    assert load(tree, {"T": "y"}).link_order() == [
        "t/z.o", "t/a.o", "d/z.o", "d/a.o", "d/s/z.o", "d/s/a.o", "d/b/z.o", "d/b/a.o", "top.o"]  # fmt: skip


def test_lists_of_a_directory(tmp_path):
    tree = make_tree(tmp_path, {
        "Kbuild": "obj-y += d/ lib/\n",
        "lib/Makefile": "lib-y += b.o a.o\nlib-m += c.o\nobj-y += c.o\n",
        "d/Makefile": "obj-y += one.o two.o sub/ one.o\nobj-m += two.o three.o four.o msub/\nsubdir-y += only/\n"
        "two-y := x.o sub/y.o x.o\ntwo-m := modular.o\nthree-objs := y.o\nthree-m := z.o\n",
        "d/sub/Makefile": "", "d/msub/Makefile": "obj-y := inside.o\n", "d/only/Makefile": "obj-y := no.o\n",
    })  # fmt: skip
    kernel = load(tree, {})
    directory = kernel.directories["d"]
    assert directory.objects == ("d/one.o", "d/two.o", "d/sub/", "d/one.o")
    assert directory.link_entries() == ("d/one.o", "d/x.o", "d/sub/y.o", "d/sub/")
    assert directory.composites == {"d/two.o": ("d/x.o", "d/sub/y.o")}
    assert directory.modules == ("d/three.o", "d/four.o", "d/msub/")
    assert directory.modular == {"d/three.o": ("d/y.o", "d/z.o"), "d/four.o": ("d/four.o",)}
    assert directory.subdirectories == ("d/msub", "d/only", "d/sub")
    assert [directory.owners_of(f"d/{name}.o") for name in ("x", "sub/y", "y", "one", "modular")] == [
        ("d/two",), ("d/two",), ("d/three",), ("d/one",), ("d/two",)]  # fmt: skip
    assert kernel.link_order() == ["d/one.o", "d/x.o", "d/sub/y.o", "lib/c.o"]
    assert kernel.library_members() == {"lib/lib.a": ("lib/a.o", "lib/b.o")}
    assert kernel.modules() == directory.modular
    assert kernel.directory_of("d/sub/y.o") is directory


def test_flags(tmp_path):
    """Flags for a directory, for it and all below, for one object, and taken away again."""
    tree = make_tree(tmp_path, {
        "Kbuild": "obj-y += d/\n",
        "d/Makefile": "subdir-ccflags-y := -DBELOW\nccflags-y := -DHERE -DREMOVED\nCFLAGS_a-b.o := -DONE\n"
        "CFLAGS_REMOVE_a-b.o := -DREMOVED\nobj-y += a-b.o sub/\n",
        "d/sub/Makefile": "obj-m := m.o\nm-y := n.o o.o\nccflags-y += -DM\nobj-y += s.o\nasflags-y := -DAS\n",
    })  # fmt: skip
    kernel = load(tree, {})
    assert kbuild.compile_flags(kernel, "d/a-b.o") == (
        "-O2 -DBELOW -DHERE -DONE -DKBUILD_MODFILE='\"d/a-b\"' -DKBUILD_BASENAME='\"a_b\"' -DKBUILD_MODNAME='\"a_b\"' "
        "-D__KBUILD_MODNAME=kmod_a_b"
    )
    assert kbuild.compile_flags(kernel, "d/sub/n.o") == (
        "-O2 -DBELOW -DM -DKBUILD_BASENAME='\"n\"' -DKBUILD_MODNAME='\"m\"' -D__KBUILD_MODNAME=kmod_m"
    )
    assert kbuild.compile_flags(kernel, "d/sub/s.o", assembler=True) == "-DAS"
    with pytest.raises(InputError, match=r"no directory of the tree builds 'd/zzz\.o'"):
        kbuild.compile_flags(kernel, "d/zzz.o")


MISTAKES = {
    "absent-directory": ({"Kbuild": "\nobj-y += d/\nobj-y += gone/\n"},
                         "Kbuild:3: names the directory 'gone', which does not exist"),
    "no-makefile": ({"Kbuild": "obj-y += e/\n", "e/x": ""}, "e/Makefile"),
    "syntax": ({"Kbuild": "obj-y += d/\n", "d/Makefile": "ifdef X\nobj-y := a.o\n"}, "d/Makefile:1: missing 'endif'"),
    "recursive": ({"Kbuild": "a-y = $(a-y)\nobj-y := a.o\n"}, "the recursive variable 'a-y' refers to itself"),
    "no-auto-conf": ({"Makefile": "include nothing\n"}, "Makefile:1: the included file 'nothing' does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_message(name, tmp_path):
    files, message = MISTAKES[name]
    tree = make_tree(tmp_path, {"d/Makefile": "", **files})
    with pytest.raises(InputError) as error:
        load(tree, {})
    assert message in str(error.value).splitlines()[0]


def test_a_directory_that_is_its_own_parent(tmp_path):
    tree = make_tree(tmp_path, {"Kbuild": "obj-y += d/\n", "d/Makefile": "obj-y += loop/ a.o\n"})
    (tree / "d/loop").symlink_to(tree / "d")
    with pytest.raises(InputError) as error:
        load(tree, {})
    assert str(error.value).splitlines()[0] == (
        f"{tree}/d/Makefile:1: names the directory 'd/loop', which is a link to one of those that contain it"
    )


def test_no_tree_and_no_build_directory(tmp_path):
    with pytest.raises(InputError, match="this is no kernel tree"):
        load(tmp_path, {})
    make_tree(tmp_path, {"Kbuild": ""})
    with pytest.raises(InputError, match="the build directory does not exist"):
        kbuild.place(tmp_path, tmp_path / "gone")


# The list against what was built

CHECKED = {
    "Kbuild": "obj-y += d/\nobj-$(CONFIG_T) += gone/\n",
    "d/Makefile": "obj-$(CONFIG_T) += a.o b.o c.o s.o\na-y := a1.o both.o asm.o ../e/a2.o\n"
    "b-y := b1.o both.o\nobj-y += always.o\n",
    "gone/Makefile": "obj-$(CONFIG_T) += g.o\n",
}
BUILT = {
    "a1": "d/a",
    "both": "d/a d/b",
    "asm": None,
    "../e/a2": "d/a",
    "b1": "d/b",
    "c": "d/c",
    "s": "d/s",
    "always": "d/always",
}


def check_built(directory: Path, changed: dict[str, str | None], removed: tuple[str, ...] = ()) -> list[str]:
    """What `check` says after a build of CHECKED whose objects were compiled for other modules than they should be."""
    tree, objdir = directory / "tree", directory / "build"
    make_tree(tree, {**CHECKED, "Makefile": TOP.replace("srctree := .", f"srctree := {tree}")})
    for name, modules in {**BUILT, **changed}.items():
        path = Path(os.path.normpath(objdir / "d" / f"{name}.o"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        flags = "" if modules is None else f"-DKBUILD_MODFILE='\"{modules}\"'" if modules else "-DMODULE"
        path.with_name(f".{path.name}.cmd").write_text(
            f"cmd_{name}.o := gcc {flags} -DKBUILD_BASENAME='\"x\"' -c -o x.o x.c\n"
        )
    for name in removed:
        (objdir / name).unlink()
    kernel = kbuild.load(kbuild.place(tree, objdir), configuration({"T": "y"}, "T"))
    return kbuild.check(kernel, kbuild.builtin_modules(kernel))


ABSENT = "gone/g.o: the directory gone was not built"


@pytest.mark.parametrize(("changed", "removed", "expected"), [
    ({"../gone/g": "gone/g"}, (), []),
    ({}, (), [ABSENT]),
    ({}, ("d/c.o", "d/.c.o.cmd"), ["d/c.o: d/c.o was not built", ABSENT]),
    ({}, ("d/a1.o",), ["d/a.o: d/a1.o is gone, but its .cmd file is still there", ABSENT]),
    ({}, ("d/.a1.o.cmd",), ["d/a.o: d/a1.o has no .cmd file, so make did not build it as it is now", ABSENT]),
    ({"both": "d/a"}, (), ["d/b.o: d/both.o was compiled for d/a.o", ABSENT]),
    ({"s": ""}, (), ["d/s.o: d/s.o was compiled for a loadable module", ABSENT]),
    ({"always": "d/a"}, (),
     ["d/a.o: the build tree has d/always.o in it, which now is a part of something else", ABSENT]),
    ({"old": "d/../d/b"}, (), ["d/b.o: the build tree has d/old.o in it, which nothing builds any more", ABSENT]),
])  # fmt: skip
def test_check(changed, removed, expected, tmp_path):
    assert check_built(tmp_path, changed, removed) == expected


# modules_thick.builtin

PATHS = st.lists(st.sampled_from(["a", "b-c", "d.e", "_1", "x+"]), min_size=1, max_size=3).map(
    lambda parts: "/".join(parts) + ".o"
)
MODULES = st.builds(lambda name, members: Module(name, tuple(sorted(members))), PATHS, st.sets(PATHS, max_size=4))


@given(st.lists(MODULES, max_size=6))
def test_thick_list_round_trip(modules):
    assert parse_thick(format_thick(modules), "x") == modules


def test_thick_list_text():
    modules = [Module("crypto/crypto.o", ("crypto/api.o", "crypto/cipher.o")), Module("a/b-c.o")]
    assert format_thick(modules) == "crypto/crypto.o: crypto/api.o crypto/cipher.o\na/b-c.o:\n"
    assert [(module.name, module.objects) for module in modules] == [
        ("crypto", ("crypto/api.o", "crypto/cipher.o")), ("b_c", ("a/b-c.o",))]  # fmt: skip
    assert parse_thick("a/b.o: a/../c/d.o a/./e.o \n", "x") == [Module("a/b.o", ("a/e.o", "c/d.o"))]


@pytest.mark.parametrize("line", ["a.o", "a: b.o", "a.o: b.c", "a.o:b.o", "", ": a.o", "a.o: b.o: c.o", "a b.o:"])
def test_thick_list_mistakes(line):
    with pytest.raises(InputError) as error:
        parse_thick(f"ok.o:\n{line}\n", "some/file")
    assert str(error.value).splitlines()[0] == "some/file:2: not a line of modules_thick.builtin"


@given(st.text(alphabet="a.o:/ \n\t\\é", max_size=60))
def test_thick_list_garbage(text):
    try:
        parse_thick(text, "x")
    except InputError as error:
        assert str(error).startswith("x:")


# Whole trees

TARGETS = ["tinyconfig", "defconfig", "allyesconfig", "allmodconfig", *(f"randconfig-{seed}" for seed in range(1, 21))]


FLIPPED = ("defconfig", "allyesconfig", "randconfig-1", "randconfig-2")


@pytest.fixture(scope="module")
def build_directory(tmp_path_factory):
    """One build directory for each tree and architecture, so that conf is compiled once."""
    base = tmp_path_factory.mktemp("objdirs")
    return lambda version, arch: base / f"{version}-{arch}"


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_directory_of_a_real_configuration(version, arch, target, build_directory):
    tree, objdir = linux_tree(version), build_directory(version, arch)
    name, _, seed = target.partition("-")
    oracle.configure(tree, objdir, arch, name, int(seed) if seed else None)
    theirs = oracle.directories_of_make(tree, objdir, arch, NO_PROBES)
    # The ledger knows the configuration before this one.
    place = kbuild.place(tree, objdir, arch, NO_PROBES, Ledger(objdir / "kept/ledger", tree, objdir))
    kernel = kbuild.load(place, oracle.configuration_of(tree, objdir))
    assert oracle.differences(theirs, oracle.directories_of(kernel)) == []
    if target in FLIPPED:
        auto_conf = objdir / "include/config/auto.conf"
        plain = auto_conf.read_text()
        tristate = "|".join(oracle.tristate_symbols(tree))
        auto_conf.write_text(re.sub(rf"^(CONFIG_(?:{tristate}))=y$", r"\1=m", plain, flags=re.MULTILINE))
        again = oracle.directories_of_make(tree, objdir, arch, NO_PROBES)
        auto_conf.write_text(plain)
        built_in = {path: lists for path, lists in theirs.items() if path == "top" or kernel.directories[path].built_in}
        modules = {(module.object, module.members) for module in kbuild.builtin_modules(kernel)}
        assert modules == oracle.modules_of_make(built_in, again)
    print(f"{version} {arch} {target}: {len(theirs) - 1} directories, {len(kbuild.builtin_modules(kernel))} modules")
