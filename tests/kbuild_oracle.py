"""What GNU make and a tree's own scripts say about each directory, and the same of a `KernelTree`, in one form.

The oracle is the tree's build itself: its top Makefile runs a make in the top directory that reads
scripts/Makefile.build with all that it includes, prints the lists it computed, and starts the same in every directory
below, with the tree's own arguments.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kallmodsyms.kbuild import KernelTree

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C"}

_TOP = """\
include {tree}/Makefile
$(info top|.|ARCH_CORE|$(ARCH_CORE))
$(info top|.|ARCH_LIB|$(ARCH_LIB))
$(info top|.|ARCH_DRIVERS|$(ARCH_DRIVERS))
probe-all: $(addprefix probe-,$(PROBE_STARTS)) ; @:
$(addprefix probe-,$(PROBE_STARTS)): probe-%:
	@$(MAKE) -f {probe} obj=$* need-builtin=1 need-modorder=1
probe-environment:
	@env -0
"""

_PROBE = r"""
include $(srctree)/scripts/Makefile.build
unprefixed = $(patsubst $(obj)/%,%,$(1))
show = $(info $(1)|$(obj)|$(2)|$(3))
$(call show,list,obj-y,$(addprefix $(obj)/,$(obj-y)))
$(call show,list,objects,$(real-obj-y))
$(call show,list,modules,$(obj-m))
$(call show,list,library,$(lib-y))
$(call show,list,subdirectories,$(subdir-ym))
$(foreach m,$(multi-obj-y),$(call show,composite,$m,$(call suffix-search,$m,.o,-objs -y)))
$(foreach m,$(filter %.o,$(call unprefixed,$(obj-m))),$(call show,module,$m,$(call real-search,$m,.o,-objs -y -m)))
$(foreach o,$(sort $(filter %.o,$(call unprefixed,$(real-obj-y) $(real-obj-m)))),$(eval * := $(o:.o=)) \
	$(if $(modname-multi),$(call show,owner,$o,$(addprefix $(obj)/,$(modname-multi)))))
probe-below := $(addprefix probe-,$(subdir-ym))
probe-here: $(probe-below) ; @:
.PHONY: probe-here $(probe-below)
$(probe-below): probe-%:
	@$(MAKE) -f {probe} obj=$* need-builtin=$(if $(filter $*/built-in.a,$(subdir-builtin)),1) \
	need-modorder=$(if $(filter $*/modules.order,$(subdir-modorder)),1)
.DEFAULT_GOAL := probe-here
"""

# A directory's lists: (kind, name) to words. Kinds: list, composite, module, owner.
Lists = dict[str, dict[tuple[str, str], tuple[str, ...]]]


def run_top(tree: Path, objdir: Path, arch: str, goal: str, variables: Mapping[str, str]) -> str:
    """What the top Makefile of a tree, with the probe's goals added, prints for one of them."""
    scratch = objdir / ".probe"
    scratch.mkdir(exist_ok=True)
    probe = scratch / "directory.mk"
    probe.write_text(_PROBE.replace("{probe}", str(probe)))
    (scratch / "top.mk").write_text(_TOP.format(tree=tree, probe=probe))
    arguments = [f"{name}={value}" for name, value in {"ARCH": arch, **variables}.items()]
    # -I: what the make before this one, started with O=, would have handed on (6.1)
    command = [
        "make",
        "-rR",
        "--no-print-directory",
        "-I",
        tree,
        "-C",
        objdir,
        "-f",
        scratch / "top.mk",
        *arguments,
        goal,
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", errors="surrogateescape")
    assert done.returncode == 0, done.stderr
    return done.stdout


def directories_of_make(
    tree: Path, objdir: Path, arch: str, variables: Mapping[str, str] = {}, starts: Iterable[str] = (".",)
) -> Lists:
    """What is built in the directories `starts` and below them."""
    lists: Lists = {}
    output = run_top(tree, objdir, arch, "probe-all", {**variables, "PROBE_STARTS": " ".join(starts)})
    for line in output.splitlines():
        if line.count("|") != 3:
            continue
        kind, path, name, words = line.split("|")
        if kind == "top":
            lists.setdefault("top", {})[kind, name] = tuple(words.split())
            continue
        if kind in ("composite", "module", "owner"):
            name = _path(path, name)
        parts = [_path("." if kind in ("list", "owner") else path, word) for word in words.split()]
        if name == "subdirectories":
            parts = sorted(parts)
        if kind == "owner":
            parts = words.split()
        # What a Kbuild file lists twice is listed twice; what is linked, and what Makefile.lib sorts, is there once.
        once = (kind, name) not in (("list", "obj-y"), ("list", "modules"))
        lists.setdefault(path, {})[kind, name] = tuple(dict.fromkeys(parts) if once else parts)
    return lists


def directories_of(kernel_tree: KernelTree) -> Lists:
    top = kernel_tree.top.evaluator
    lists: Lists = {
        "top": {("top", name): tuple(top.get(name).split()) for name in ("ARCH_CORE", "ARCH_LIB", "ARCH_DRIVERS")}
    }
    for path, directory in kernel_tree.directories.items():
        lists[path] = {
            ("list", "obj-y"): _archives(directory.objects, directory.built_in),
            ("list", "objects"): _archives(directory.link_entries(), directory.built_in),
            ("list", "modules"): _archives(directory.modules, False),
            ("list", "library"): directory.library,
            ("list", "subdirectories"): directory.subdirectories,
        }
        real = {*directory.link_entries(), *(part for parts in directory.modular.values() for part in parts)}
        lists[path] |= {("composite", name): parts for name, parts in directory.composites.items()}
        lists[path] |= {("module", name): parts for name, parts in directory.modular.items()}
        lists[path] |= {("owner", name): owners for name, owners in directory.owners.items() if name in real}
    return lists


def differences(theirs: Lists, ours: Lists) -> list[str]:
    """Every list that is not the same, in words."""
    # modules.order entries are bookkeeping for modules, which make adds where it needs them
    found = []
    for path in sorted(theirs.keys() | ours.keys()):
        left, right = dict(theirs.get(path, {})), dict(ours.get(path, {}))
        if ("list", "modules") in left:
            words = left["list", "modules"]
            left["list", "modules"] = tuple(word for word in words if not word.endswith("/modules.order"))
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                found.append(f"{path} {key}: make has {left.get(key)}, we have {right.get(key)}")
    return found


def environment_of_make(tree: Path, objdir: Path, arch: str, variables: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment in which the top Makefile runs the makes below."""
    output = run_top(tree, objdir, arch, "probe-environment", variables)
    # what the probe itself printed comes first
    entries = re.sub(r"\A(?:top\|.*\n)*", "", output).split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def configure(tree: Path, objdir: Path, arch: str, target: str, seed: int | None = None) -> None:
    """`make TARGET syncconfig`: a configuration as the tree's own conf makes it."""
    objdir.mkdir(parents=True, exist_ok=True)
    environment = ENVIRONMENT if seed is None else {**ENVIRONMENT, "KCONFIG_SEED": str(seed)}
    for goal in (target, "syncconfig"):
        subprocess.run(["make", "-s", "-C", tree, f"O={objdir}", f"ARCH={arch}", goal], env=environment, check=True,
                       capture_output=True)  # fmt: skip


@dataclass(frozen=True)
class Plain:
    """What kallmodsyms.kbuild looks at of a Configuration."""

    values: dict[str, str]
    tristates: frozenset[str]
    types: Mapping[str, str] = field(default_factory=lambda: defaultdict(lambda: "bool"))
    title: str = ""
    quoted: bool = False


def configuration_of(tree: Path, objdir: Path) -> Plain:
    """The configuration in a build directory, by auto.conf alone; tristate symbols by a search of the Kconfig files."""
    values = {}
    for line in (objdir / "include/config/auto.conf").read_text().splitlines():
        if line.startswith("CONFIG_"):
            name, _, value = line.removeprefix("CONFIG_").partition("=")
            values[name] = value
    return Plain(values, tristate_symbols(tree))


_tristates: dict[Path, frozenset[str]] = {}


def tristate_symbols(tree: Path) -> frozenset[str]:
    """Every symbol with a `tristate` line somewhere in the tree."""
    if tree not in _tristates:
        found = set()
        for directory, _, files in os.walk(tree):
            for name in files:
                if name.startswith("Kconfig"):
                    text = Path(directory, name).read_text(errors="replace")
                    for block in re.split(r"^\s*(?:menu)?config\s+", text, flags=re.MULTILINE)[1:]:
                        if re.search(r"^\s*(?:def_)?tristate\b", block, flags=re.MULTILINE):
                            found.add(block.split(None, 1)[0])
        _tristates[tree] = frozenset(found)
    return _tristates[tree]


def _archives(entries: Iterable[str], built_in: bool) -> tuple[str, ...]:
    """Entries as Makefile.lib rewrites them: a directory of a built-in one is its built-in.a, another is left out."""
    words = [entry + "built-in.a" if entry.endswith("/") else entry for entry in entries]
    return tuple(word for word in words if built_in or not word.endswith("/built-in.a"))


def modules_of_make(plain: Lists, flipped: Lists) -> set[tuple[str, tuple[str, ...]]]:
    """The built-in modules that follow from the lists of make, and from those with each tristate y turned into m.

    (object, members sorted) each. `plain` has built-in directories only where make needs a built-in.a.
    """
    found = set()
    for path, lists in plain.items():
        for name in lists.get(("list", "obj-y"), ()):
            second = flipped.get(path, {})
            if name in second.get(("list", "modules"), ()) and name not in second.get(("list", "obj-y"), ()):
                members = lists.get(("composite", name), (name,))
                if members:
                    found.add((name, () if members == (name,) else tuple(sorted(set(members)))))
    return found


def _path(directory: str, word: str) -> str:
    return posixpath.normpath(word if directory == "." else f"{directory}/{word}")
