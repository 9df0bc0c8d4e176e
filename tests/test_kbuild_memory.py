"""What the ledger keeps of kallmodsyms.kbuild against evaluating everything anew: after random edits, with two
processes at once, and with a ledger that is damaged, of something else, or cannot be written; and the reasons it
gives, directory by directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kbuild_oracle as oracle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kallmodsyms import commands, kbuild
from kallmodsyms.errors import InputError
from kallmodsyms.ledger import Ledger

TOP = """\
srctree := .
objtree := .
SRCARCH := none
KBUILD_CFLAGS := -O2 $(shell echo -DTOP)
WORD := $(shell echo word)
export srctree objtree SRCARCH KBUILD_CFLAGS WORD
include include/config/auto.conf
KBUILD_CFLAGS += -D$(CONFIG_TEXT)
KBUILD_VMLINUX_LIBS := lib/lib.a
"""


def evaluated(tree: Path, values: dict[str, str], tristates: str, path: Path | None, flags: bool = True):
    """Everything that follows from a tree (or the error), and the directories that were evaluated for it."""
    configuration = oracle.Plain(
        {name: value for name, value in values.items() if value != "n"}, frozenset(tristates.split())
    )
    kept = Ledger(path, tree, tree)
    try:
        kernel = kbuild.load(kbuild.place(tree, tree, ledger=kept), configuration)
        found = [kernel.directories, kernel.link_order(), kbuild.builtin_modules(kernel), kernel.modules()]
        if flags:
            names = [
                name
                for directory in kernel.directories.values()
                for name in directory.link_entries()
                if name.endswith(".o")
            ]
            found.append({name: kbuild.compile_flags(kernel, name) for name in names if kernel.directory_of(name)})
    except InputError as error:
        return str(error), {}
    assert kept.warnings == []
    return found, kernel.memory.reasons


def write(tree: Path, name: str, text: str | None) -> None:
    path = tree / name
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


STATEMENTS = [
    "obj-$(CONFIG_T) += a.o", "obj-$(CONFIG_U) += b.o c.o", "obj-y += d.o", "a-y := x.o", "a-$(CONFIG_U) += y.o",
    "lib-$(CONFIG_B) += l.o",
    "obj-$(subst m,y,$(CONFIG_T)) += s.o", "subdir-ccflags-y := -DBELOW",
    "subdir-ccflags-$(CONFIG_B) += $(shell echo -DRUN)",
    "ifeq ($(CONFIG_T),m)\nobj-$(CONFIG_B) += only-m.o\nelse\nobj-$(CONFIG_V) += else.o\nendif",
    "ccflags-y += -D$(CONFIG_TEXT)",
    "obj-y += $(patsubst $(srctree)/$(obj)/%.c,%.o,$(wildcard $(srctree)/$(obj)/*.c))",
    "include $(srctree)/more.mk", "-include $(srctree)/$(obj)/own.mk",
    "obj-y += $(shell cat more.mk | wc -l).o", "ifneq ($(findstring BELOW,$(KBUILD_CFLAGS)),)\nobj-y += below.o\nendif",
    "obj-$(MORE) += more.o",
    "ifeq ($(WORD),word)\nobj-y += word.o\nendif", "KBUILD_CFLAGS += -DOWN", "obj-y += $(if $(CONFIG_TEXT),text.o)",
]  # fmt: skip
BELOW = {"Kbuild": ["d/", "e/", "lib/"], "d/Makefile": ["s/", "t/"], "d/s/Makefile": ["u/"], "d/t/Makefile": [],
         "e/Makefile": ["s/"],
         "e/s/Kbuild": [], "lib/Makefile": [], "d/s/u/Makefile": []}  # fmt: skip
LISTS = st.sampled_from(["obj-y", "obj-m", "obj-$(CONFIG_T)", "obj-$(CONFIG_B)", "subdir-y"])


@st.composite
def kbuild_file(draw, name: str) -> str:
    lines = draw(st.lists(st.sampled_from(STATEMENTS), max_size=4))
    lines += [f"{draw(LISTS)} += {below}" for below in BELOW[name]]
    return "".join(f"{line}\n" for line in draw(st.permutations(lines)))


EDITS = st.one_of(
    st.sampled_from(sorted(BELOW)).flatmap(lambda name: st.tuples(st.just(name), kbuild_file(name))),
    st.tuples(st.just("more.mk"), st.sampled_from(["MORE := y\n", "MORE := m\n", "obj-$(CONFIG_T) += inc.o\n\n"])),
    st.tuples(
        st.sampled_from(["d/own.mk", "e/own.mk", "d/x.c", "d/s/y.c", "d/Kbuild"]),
        st.sampled_from([None, "obj-$(CONFIG_U) += o.o\n"]),
    ),
    st.tuples(st.sampled_from(["T", "U", "V"]), st.sampled_from("ymn")),
    st.tuples(st.just("B"), st.sampled_from("yn")),
    st.tuples(st.just("TEXT"), st.sampled_from(["one", "two", "n"])),
    st.tuples(st.just("tristates"), st.sampled_from(["T U V", "T", "U V", ""])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.fixed_dictionaries({name: kbuild_file(name) for name in BELOW}),
    edits=st.lists(st.lists(EDITS, max_size=2), max_size=5),
)
def test_the_same_as_without_after_any_edits(first, edits, tmp_path_factory):
    tree, values = (
        tmp_path_factory.mktemp("tree"),
        {"T": "y", "U": "m", "V": "n", "B": "y", "TEXT": "one", "tristates": "T U V"},
    )
    for name, text in {"Makefile": TOP, "more.mk": "MORE := y\n", **first}.items():
        write(tree, name, text)
    for step in [[], *edits]:
        for name, change in step:
            if name in values:
                values[name] = change
            else:
                write(tree, name, change)
        symbols = {name: value for name, value in values.items() if name != "tristates"}
        fresh, _ = evaluated(tree, symbols, values["tristates"], None)
        assert evaluated(tree, symbols, values["tristates"], tree / "kept/ledger")[0] == fresh


@pytest.fixture
def tree(tmp_path):
    """A tree whose ledger knows it, under T=y, U=m, B=y."""
    for name, text in {
        "Makefile": TOP,
        "Kbuild": "obj-y += d/ e/\n",
        "d/Makefile": "obj-$(CONFIG_T) += s/ a.o\nsubdir-ccflags-y := -DBELOW $(shell echo -DRUN)\n",
        "d/s/Makefile": "obj-$(CONFIG_T) += s.o\n-include $(srctree)/d/s/own.mk\n",
        "e/Makefile": "obj-$(CONFIG_U) += e.o\n"
        "obj-y += $(patsubst $(srctree)/e/%.c,%.o,$(wildcard $(srctree)/e/*.c))\n",
    }.items():
        write(tmp_path, name, text)
    _, reasons = evaluated(tmp_path, VALUES, "T U", tmp_path / "kept/ledger")
    assert reasons == dict.fromkeys([".", "d", "d/s", "e"], f"{tmp_path}/kept/ledger does not exist yet")
    return tmp_path


VALUES = {"T": "y", "U": "m", "B": "y", "TEXT": "one"}


def reasons(tree: Path, change: dict[str, str] | None = None, tristates: str = "T U") -> dict[str, str]:
    """Why directories are evaluated under changed values. The result must be what it is without a ledger."""
    values = VALUES | (change or {})
    found, why = evaluated(tree, values, tristates, tree / "kept/ledger", flags=False)
    assert found == evaluated(tree, values, tristates, None, flags=False)[0]
    return why


def test_nothing_changed(tree):
    before = (tree / "kept/ledger").stat()
    assert reasons(tree) == {}
    os.utime(tree / "d/Makefile", (1, 1))
    assert reasons(tree) == {}
    assert (tree / "kept/ledger").stat() == before


def test_a_symbol_nobody_reads(tree):
    assert reasons(tree, {"B": "n", "OTHER": "y"}) == {}


def test_a_symbol(tree):
    assert reasons(tree, {"U": "y"}) == {"e": "CONFIG_U was m and is y"}
    assert reasons(tree, {"U": "n"}) == {"e": "CONFIG_U was y and is not set"}
    assert reasons(tree, {"T": "m"}) == {
        "d": "CONFIG_T was y and is m",
        "d/s": "it is reached in another way than before",
        "e": "CONFIG_U was not set and is m",
    }


def test_the_type_of_a_symbol(tree):
    assert reasons(tree, tristates="U") == {}
    assert reasons(tree, {"U": "y"}, tristates="U") == {"e": "CONFIG_U was m and is y"}
    assert reasons(tree, {"U": "y"}) == {}  # what T as a tristate came to is still known
    assert reasons(tree, {"U": "y"}, tristates="T") == {}


def test_files(tree):
    write(tree, "d/s/own.mk", "obj-y += o.o\n")
    assert reasons(tree) == {"d/s": f"{tree}/d/s/own.mk appeared"}
    write(tree, "d/s/own.mk", "obj-y += p.o\n")
    assert reasons(tree) == {"d/s": f"{tree}/d/s/own.mk changed"}
    write(tree, "d/s/own.mk", None)
    assert reasons(tree) == {"d/s": f"{tree}/d/s/own.mk vanished"}
    write(tree, "e/new.c", "")
    assert reasons(tree) == {"e": "./e/*.c now matches ./e/new.c"}
    write(tree, "e/new.c", None)
    assert reasons(tree) == {"e": "./e/*.c does not match ./e/new.c any more"}
    write(tree, "scripts/Makefile.build",
          "obj-y :=\nobj-m :=\ninclude $(srctree)/$(obj)/$(if $(filter .,$(obj)),Kbuild,Makefile)\n")  # fmt: skip
    assert set(reasons(tree)) == {".", "d", "d/s", "e"}


def test_flags_from_above_are_there_for_who_needs_them(tree):
    write(tree, "d/s/Makefile", "obj-$(CONFIG_T) += s.o t.o\n")
    found, why = evaluated(tree, VALUES, "T U", tree / "kept/ledger")
    assert found == evaluated(tree, VALUES, "T U", None)[0]
    assert why == {"d/s": f"{tree}/d/s/Makefile changed"}
    assert "-DBELOW -DRUN" in found[-1]["d/s/t.o"]
    write(tree, "d/Makefile", "obj-$(CONFIG_T) += s/ a.o\nsubdir-ccflags-y := -DOTHER\n")
    assert reasons(tree) == {"d": f"{tree}/d/Makefile changed"}


def test_what_is_inherited_is_a_fact(tree):
    """A variable that a directory above changed; it is remembered whether that one is evaluated again or not."""
    write(tree, "d/Makefile", "obj-y += s/\nKBUILD_CFLAGS += -DONE\nexport OWN := 1\n")
    write(tree, "d/s/Makefile", "obj-y += $(if $(findstring ONE,$(KBUILD_CFLAGS)),one.o) $(OWN).o\n")
    assert set(reasons(tree)) == {"d", "d/s"}
    assert reasons(tree) == {}
    write(tree, "d/Makefile", "obj-y += s/\nKBUILD_CFLAGS += -DONE\nexport OWN := 1\n# the same\n")
    assert reasons(tree) == {"d": f"{tree}/d/Makefile changed"}
    write(tree, "d/Makefile", "obj-y += s/\nKBUILD_CFLAGS += -DTWO\nexport OWN := 1\n")
    assert set(reasons(tree)) == {"d", "d/s"}
    write(tree, "d/Makefile", "obj-y += s/\nKBUILD_CFLAGS += -DTWO\nexport OWN := 2\n")
    assert set(reasons(tree)) == {"d", "d/s"}


def test_what_a_command_prints_is_a_fact(tree):
    write(tree, "list", "f.o")
    write(tree, "e/Makefile", "obj-y += $(shell cat list)\n")
    assert reasons(tree) == {"e": f"{tree}/e/Makefile changed"}
    assert reasons(tree) == {}
    write(tree, "list", "f.o\n")  # read again, but to make it is the same
    assert reasons(tree) == {}
    write(tree, "list", "g.o")
    assert reasons(tree) == {"e": "`cat list` prints something else"}
    assert reasons(tree) == {}


def test_a_command_that_is_asked_in_every_run_is_a_fact_too(tree, monkeypatch):
    """The directory is evaluated only when it prints something else; also one that only the second evaluation asks."""
    write(tree, "list/f.o", "")
    write(tree, "e/Makefile", "obj-y += $(shell ls list)\n")
    write(tree, "d/s/Makefile", "obj-$(CONFIG_T) += s.o\nifeq ($(CONFIG_T),m)\nobj-m += $(shell ls more)\nendif\n")
    write(tree, "more/m.o", "")
    assert set(reasons(tree)) == {"d/s", "e"}
    asked = []
    run = commands.run
    monkeypatch.setattr(commands, "run", lambda command, *rest: (asked.append(command), run(command, *rest))[1])
    assert evaluated(tree, VALUES, "T U", tree / "kept/ledger", flags=False)[1] == {}
    assert sorted(asked) == ["ls list", "ls more"]
    write(tree, "list/g.o", "")
    assert reasons(tree) == {"e": "`ls list` prints something else"}
    write(tree, "more/n.o", "")
    assert reasons(tree) == {"d/s": "`ls more` prints something else"}
    assert reasons(tree) == {}


def test_another_process_that_is_done_first(tree, monkeypatch):
    """It leaves what a directory came to for it, between our finding that our own holds and our taking it."""
    write(tree, "list/f.o", "")
    write(tree, "e/Makefile", "obj-$(CONFIG_U) += e.o\nobj-y += $(shell ls list) $(shell ls list more)\n")
    write(tree, "more/g.o", "")
    assert set(reasons(tree)) == {"e"}
    run, rivals = commands.run, [VALUES | {"U": "y"}]

    def overtaken(command, *rest):
        if rivals:
            evaluated(tree, rivals.pop(), "T U", tree / "kept/ledger", flags=False)
        return run(command, *rest)

    monkeypatch.setattr(commands, "run", overtaken)
    found, _ = evaluated(tree, VALUES, "T U", tree / "kept/ledger", flags=False)
    assert not rivals
    assert found == evaluated(tree, VALUES, "T U", None, flags=False)[0]


def loaded(tree: Path, path: Path) -> kbuild.KernelTree:
    """A tree, evaluated with a ledger, and its modules."""
    kernel = kbuild.load(
        kbuild.place(tree, tree, ledger=Ledger(path, tree, tree)), oracle.Plain(VALUES, frozenset("TU"))
    )
    assert [module.object for module in kbuild.builtin_modules(kernel)] == ["d/a.o", "d/s/s.o"]
    return kernel


@pytest.mark.parametrize("damage", ["garbage", "cut", "flip"])
def test_a_damaged_ledger_is_told_and_not_believed(damage, tree):
    path = tree / "kept/ledger"
    whole = path.read_bytes()
    bad = {"garbage": b"garbage", "cut": whole[:-1], "flip": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]}
    path.write_bytes(bad[damage])
    warnings = loaded(tree, path).memory.ledger.warnings
    assert len(warnings) == 1 and warnings[0].startswith(f"{path}: is damaged")
    assert reasons(tree) == {}


def test_a_ledger_of_another_tree(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name, text in {"Makefile": TOP, "Kbuild": "obj-$(CONFIG_T) += z.o\n"}.items():
        write(other, name, text)
    path = tree / "kept/ledger"
    kernel = kbuild.load(
        kbuild.place(other, other, ledger=Ledger(path, other, other)), oracle.Plain(VALUES, frozenset("TU"))
    )
    assert [module.object for module in kbuild.builtin_modules(kernel)] == ["z.o"]
    assert kernel.memory.reasons == {".": f"{path} is about another tree or build directory"}


def test_a_place_that_cannot_be_written(tree):
    write(tree, "file", "")
    warnings = loaded(tree, tree / "file/ledger").memory.ledger.warnings
    assert len(warnings) == 1 and warnings[0].startswith(f"{tree}/file/ledger: ")


_RIVAL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_kbuild_memory import VALUES, evaluated
tree = Path(sys.argv[2])
for turn in range(40):
    values = VALUES | {"T": "ymn"[turn % 3], "U": "yn"[(turn + int(sys.argv[3])) % 2]}
    assert evaluated(tree, values, "T U", tree / "kept/ledger")[0] == evaluated(tree, values, "T U", None)[0], turn
"""


def test_two_processes_at_once(tree):
    rivals = [
        subprocess.Popen([sys.executable, "-c", _RIVAL, Path(__file__).parent, tree, str(number)])
        for number in range(2)
    ]
    assert [rival.wait() for rival in rivals] == [0, 0]
    assert sorted(os.listdir(tree / "kept")) == ["clock", "ledger"]
