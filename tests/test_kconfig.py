"""kallmodsyms.kconfig on small trees of its own: the language, bad input, the output formats, what the ledger keeps.

Values against the kernel's own `conf` are in test_kconfig_truth.py. What is newer than the trees there (transitional
symbols of 6.18, `depends on A if B` of 7.0) is checked against the tables in their commit messages.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kallmodsyms import kconfig
from kallmodsyms.errors import InputError
from kallmodsyms.ledger import Ledger

CURE = "\n  correct the Kconfig file; the tree's own `make ARCH=... oldconfig` should accept it too"
MODULES = "config MODULES\n\tbool\n\tdefault y\n\tmodules\n"


class Tree:
    """A kernel tree of nothing but Kconfig files, with a build directory beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "tree"
        self.objdir = path / "obj"
        self.path_of_ledger = self.objdir / "kept/ledger"
        for directory in (self.path, self.objdir):
            directory.mkdir(parents=True)
        self.config("")

    def write(self, text: str, name: str = "Kconfig") -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def config(self, text: str) -> None:
        (self.objdir / ".config").write_text(text)

    def load(self, environment: Mapping[str, str] = {}, **options) -> kconfig.Configuration:
        return kconfig.load(self.path, self.objdir / ".config", "x86", environment, **options)

    def kept(self, environment: Mapping[str, str] = {}) -> kconfig.Configuration:
        """Load with what earlier runs left, and leave it to later ones. The ledger must have nothing to complain of."""
        ledger = self.ledger()
        found = self.load(environment, ledger=ledger)
        assert ledger.warnings == []
        return found

    def ledger(self) -> Ledger:
        return Ledger(self.path_of_ledger, self.path, self.objdir)

    def values(self, **environment) -> dict[str, str]:
        return self.load(environment).values

    def error(self) -> str:
        with pytest.raises(InputError) as caught:
            self.load()
        return str(caught.value).replace(f"{self.path}/", "").replace(f"{self.objdir}/", "")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


# The language


def test_a_bare_modules_line_is_what_option_modules_was(tree):
    for line in ("modules", "modules # a comment", "option modules"):
        tree.write(f'config MODULES\n\tbool "m"\n\t{line}\n\nconfig A\n\ttristate "a"\n')
        tree.config("CONFIG_MODULES=y\nCONFIG_A=m\n")
        assert tree.values() == {"MODULES": "y", "A": "m"}
        tree.config("CONFIG_MODULES=n\nCONFIG_A=m\n")
        assert tree.values() == {"A": "y"}


def test_a_help_text_may_say_modules(tree):
    tree.write('config A\n\tbool "a"\n\thelp\n\t  Not about\n\t  modules\n\t  transitional\n\tdefault y\n')
    assert tree.values() == {"A": "y"}


def test_a_transitional_symbol_passes_its_value_on_and_is_not_written(tree):
    tree.write(
        MODULES
        + 'config NEW\n\ttristate "new"\n\tdefault OLD\n\n'
        + "config OLD\n\ttristate\n\ttransitional\n\thelp\n\t  Was NEW.\n\n"
        + 'config NEW_TEXT\n\tstring "text"\n\tdefault OLD_TEXT\n\n'
        + "config OLD_TEXT\n\tstring\n\ttransitional\n"
    )
    tree.config('CONFIG_OLD=m\nCONFIG_OLD_TEXT="x"\n')
    found = tree.load()
    assert found.values == {"MODULES": "y", "NEW": "m", "NEW_TEXT": "x"}
    assert found.tristates == ("NEW", "OLD")
    assert found.warnings == ()
    tree.config("CONFIG_OLD=m\nCONFIG_NEW=y\n")
    assert tree.values() == {"MODULES": "y", "NEW": "y", "NEW_TEXT": ""}


@pytest.mark.parametrize(
    ("dependency", "allowed"),
    [
        # allowed: the greatest value of X for A = n, m, y, first with B = n, then B = m, then B = y
        ("A if B", "yyy nmy nmy"),
        ("A if A", "ymy ymy ymy"),
        ("A if !B", "nmy yyy yyy"),
        ("A if A && B", "yyy ymy ymy"),
        ("A if A || B", "ymy nmy nmy"),
        ("A if B = y", "yyy yyy nmy"),
        ("n if B", "yyy nnn nnn"),
    ],
)
def test_conditional_dependencies(tree, dependency, allowed):
    tree.write(
        MODULES + 'config A\n\ttristate "a"\n\nconfig B\n\ttristate "b"\n\n'
        f'config X\n\ttristate "x"\n\tdepends on {dependency}\n'
    )
    found = []
    for b in "nmy":
        for a in "nmy":
            tree.config(f"CONFIG_A={a}\nCONFIG_B={b}\nCONFIG_X=y\n")
            found.append(tree.values().get("X", "n"))
    assert "".join(found) == allowed.replace(" ", "")


def test_the_first_type_of_a_symbol_counts(tree):
    tree.write('config A\n\tbool "a"\n\nconfig A\n\ttristate\n\tdefault y\n')
    found = tree.load()
    assert (found.types, found.tristates) == ({"A": "bool"}, ())


# Environment, places


def test_only_the_given_environment_is_seen(tree, monkeypatch):
    monkeypatch.setenv("OUTSIDE", "1")
    tree.write(
        'config A\n\tstring\n\tdefault "[$(OUTSIDE)$(GIVEN)$(ARCH)$(SRCARCH)]"\n\n'
        'config B\n\tstring\n\tdefault "$(shell,echo $OUTSIDE $GIVEN)"\n'
    )
    before = dict(os.environ)
    assert tree.values(GIVEN="2", ARCH="i386") == {"A": "[2i386x86]", "B": "1 2"}
    assert dict(os.environ) == before
    tree.write("config\n")
    assert tree.error() == f"Kconfig:1: missing or bad symbol name\n    config{CURE}"
    assert dict(os.environ) == before


def test_a_module_called_kconfigfunctions_is_not_imported(tree, monkeypatch, tmp_path):
    (tmp_path / "kconfigfunctions.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    tree.write("config A\n\tdef_bool y\n")
    assert tree.values() == {"A": "y"}


def test_shell_commands_run_in_the_build_directory(tree):
    tree.write(
        'here := $(shell,pwd)\nconfig A\n\tstring\n\tdefault "$(here)"\n\n'
        'config B\n\tstring\n\tdefault "$(shell,cat $(srctree)/f)"\n'
    )
    (tree.path / "f").write_text("one\ntwo\n\n")
    assert tree.values(srctree="../tree") == {"A": str(tree.objdir), "B": "one two"}


@pytest.mark.parametrize("name", ["a b", "[x]*?", "ü", "a'b"])
def test_odd_directory_names(tmp_path, name):
    tree = Tree(tmp_path / name)
    tree.write('source "sub/Kconfig"\n')
    tree.write("config A\n\tdef_bool y\n", "sub/Kconfig")
    found = tree.load()
    assert (found.values, found.files) == ({"A": "y"}, ("Kconfig", "sub/Kconfig"))


def test_a_tree_behind_a_symlink_and_a_build_inside_the_tree(tree):
    tree.write('source "sub/Kconfig"\n')
    tree.write("config A\n\tdef_bool y\n", "sub/Kconfig")
    link = tree.path.parent / "link"
    link.symlink_to("tree")
    (link / ".config").write_text("")
    for objdir in (tree.objdir, tree.path, link):
        found = kconfig.load(link, link / ".config", "x86", {}, objdir=objdir)
        assert found.files == ("Kconfig", "sub/Kconfig")


def test_a_relative_tree(tree, monkeypatch):
    monkeypatch.chdir(tree.objdir)
    tree.write('source "sub/Kconfig"\n')
    tree.write("config A\n\tdef_bool y\n", "sub/Kconfig")
    assert kconfig.load("../tree", ".config", "x86", {}).values == {"A": "y"}


def test_what_kconfig_files_say_is_a_warning_and_not_printed(tree, capfd):
    tree.write(
        "$(info,one)\n$(warning-if,y,two)\n$(warning-if,n,no)\nx := $(shell,echo three >&2)\nconfig A\n\tdef_bool y\n"
    )
    notices = (
        f"{tree.path}/Kconfig:1: one",
        f"{tree.path}/Kconfig:2: two",
        f"{tree.path}/Kconfig:4: $(shell,echo three >&2) says: three",
    )
    assert (tree.kept().warnings, tree.kept().warnings) == (notices, notices)
    assert capfd.readouterr() == ("", "")


# Output


def test_outputs(tree):
    tree.write(
        'mainmenu "Toy $(ARCH)"\n' + MODULES + 'config B\n\ttristate "b"\n\nconfig A\n\ttristate "a"\n\n'
        'config T\n\tstring "t"\n\nconfig I\n\tint "i"\n\nconfig H\n\thex "h"\n\n'
        'config N\n\ttristate "n"\n\nconfig E\n\tint "e"\n'
    )
    tree.config('CONFIG_T="a \\"b\\" \\\\c"\nCONFIG_A=m\nCONFIG_B=y\nCONFIG_H=ff\nCONFIG_I=-7\n')
    found = tree.load()
    # A tree without scripts/kconfig: the order of the Kconfig file, and the newest kernel's ways.
    assert kconfig.tristate_conf(found) == (
        "#\n# Automatically generated file; DO NOT EDIT.\n# Toy x86\n#\nCONFIG_B=Y\nCONFIG_A=M\n"
    )
    assert kconfig.auto_conf(found) == (
        "#\n# Automatically generated file; DO NOT EDIT.\n# Toy x86\n#\nCONFIG_MODULES=y\nCONFIG_B=y\nCONFIG_A=m\n"
        'CONFIG_T=a "b" \\c\nCONFIG_I=-7\nCONFIG_H=ff\nCONFIG_E=0\n'
    )
    assert kconfig.autoconf_h(found) == (
        "/*\n * Automatically generated file; DO NOT EDIT.\n * Toy x86\n */\n"
        "#define CONFIG_MODULES 1\n#define CONFIG_B 1\n#define CONFIG_A_MODULE 1\n"
        '#define CONFIG_T "a \\"b\\" \\\\c"\n#define CONFIG_I -7\n#define CONFIG_H 0xff\n#define CONFIG_E 0\n'
    )
    assert kconfig.dot_config(tree.path, tree.objdir / ".config", "x86", {}) == (
        "#\n# Automatically generated file; DO NOT EDIT.\n# Toy x86\n#\nCONFIG_MODULES=y\nCONFIG_B=y\nCONFIG_A=m\n"
        'CONFIG_T="a \\"b\\" \\\\c"\nCONFIG_I=-7\nCONFIG_H=ff\n# CONFIG_N is not set\nCONFIG_E=0\n'
    )


def test_strings_are_quoted_as_the_trees_conf_quotes_them(tree):
    tree.write('config T\n\tstring\n\tdefault "x"\n')
    tree.write("__print_symbol(fp, sym, OUTPUT_N_NONE, true);", "scripts/kconfig/confdata.c")  # before 5.17
    assert kconfig.auto_conf(tree.load()).endswith('CONFIG_T="x"\n')
    tree.write("__print_symbol(fp, sym, OUTPUT_N_NONE, false);", "scripts/kconfig/confdata.c")
    assert kconfig.auto_conf(tree.load()).endswith("CONFIG_T=x\n")


# Bad input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config\n", f"Kconfig:1: missing or bad symbol name\n    config{CURE}"),
        ("config A\n\tbool\n\n\nfrobnicate\n", f"Kconfig:5: syntax error\n    frobnicate{CURE}"),
        ("if A\nconfig A\n\tbool\n", f"Kconfig: expected 'endif' at end of 'Kconfig'{CURE}"),
        ("endmenu\n", f"Kconfig:1: no corresponding 'menu'\n    endmenu{CURE}"),
        ('config A\n\tbool "a\n', f'Kconfig:2: unterminated string\n    bool "a{CURE}'),
        ("config A\n\tdepends on (B\n", f"Kconfig:2: malformed expression\n    depends on (B{CURE}"),
        ('menu "m"\n\thelp\n\t  text\nendmenu\n', f"Kconfig:2: cannot be parsed here\n    help{CURE}"),
        ("x := $(x\n", f"Kconfig:1: missing end parenthesis in macro expansion\n    x := $(x{CURE}"),
        (
            "x = $(x)\ny := $(x)\n",
            f"Kconfig:2: Preprocessor variable x recursively references itself\n    y := $(x){CURE}",
        ),
        ("$(error-if,y,no compiler: sorry)\n", f"Kconfig:1: no compiler: sorry{CURE}"),
        ("$(shell)\n", f"Kconfig:1: bad number of arguments in call to shell, expected 1, got 0{CURE}"),
        (
            'source "sub/$(NOTHING)/Kconfig"\n',
            "Kconfig:1: 'sub//Kconfig' is sourced but does not exist\n    source \"sub/$(NOTHING)/Kconfig\"\n"
            "  unset variables expand to nothing: is the architecture right, is the tree complete?",
        ),
        (
            'config A\n\tbool\nsource "Kconfig"\n',
            "Kconfig:3: recursive 'source' of 'Kconfig' detected. Check that environment variables are set correctly.\n"
            f"Include path:\nKconfig:3{CURE}",
        ),
    ],
)
def test_a_bad_kconfig_file_is_one_message(tree, text, message):
    tree.write(text)
    assert tree.error() == message


def test_a_dependency_loop_names_a_place_on_it(tree):
    tree.write("config A\n\tbool\n\tdefault B\n\nconfig B\n\tbool\n\tdepends on A\n")
    assert tree.error().startswith("Kconfig:1: Dependency loop")


def test_endless_nesting_is_an_error(tree):
    tree.write("config A\n\tbool\n\tdepends on " + "(" * 30_000 + "B" + ")" * 30_000 + "\n")
    assert tree.error().startswith("Kconfig:3: is nested too deeply here\n    depends on ((((")


def test_a_symbol_that_thousands_select(tree):
    # REGMAP_I2C of 6.12 is selected 497 times; kconfiglib recurses once for each, and Python allows 1000.
    wide = "".join(f'config S{number}\n\tbool "s"\n\tselect A\n' for number in range(3000))
    tree.write(f"config A\n\tbool\n{wide}")
    tree.config("CONFIG_S2999=y\n")
    assert tree.values() == {"A": "y", "S2999": "y"}


def test_a_long_chain_of_dependencies(tree):
    chain = "".join(f"config S{number}\n\tbool\n\tdefault S{number - 1}\n" for number in range(1, 1500))
    tree.write(f'config S0\n\tbool "first"\n{chain}')
    tree.config("CONFIG_S0=y\n")
    assert len(tree.values()) == 1500


def test_unreadable_kconfig_files(tree):
    tree.write('config A\n\tbool\nsource "other"\n')
    other = tree.path / "other"
    other.write_bytes(b'config B\n\tbool "\xe4\xf6"\n')
    assert tree.error() == 'other:2: is not UTF-8\n    \\tbool "\\xe4\\xf6"\n  convert the file to UTF-8'
    other.unlink()
    other.symlink_to("other")
    assert tree.error() == "other: cannot be read: Too many levels of symbolic links"
    other.unlink()
    other.mkdir()
    assert tree.error() == "other: cannot be read: Is a directory"


def test_missing_places(tree):
    assert tree.error() == "Kconfig: no such file\n  is this the top of a kernel tree?"
    tree.write("config A\n\tbool\n")
    (tree.objdir / ".config").unlink()
    assert tree.error() == ".config: no such file\n  make one, with `make ARCH=... O=... defconfig` say"
    tree.config("")
    with pytest.raises(InputError, match="nowhere: is no directory; it should be the build directory"):
        tree.load(objdir=tree.objdir / "nowhere")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"CONFIG_A=y\nCONFIG_B\n", ".config:2: neither an assignment nor a comment\n    CONFIG_B"),
        (b"\n<<<<<<< HEAD\nCONFIG_A=y\n", ".config:2: neither an assignment nor a comment\n    <<<<<<< HEAD"),
        (b" CONFIG_A=y\n", ".config:1: neither an assignment nor a comment\n    CONFIG_A=y"),
        (b"CONFIG_=y", ".config:1: neither an assignment nor a comment\n    CONFIG_=y"),
    ],
)
def test_a_malformed_line_of_the_config(tree, data, message):
    tree.write('config A\n\tbool "a"\n')
    (tree.objdir / ".config").write_bytes(data)
    assert tree.error() == f"{message}\n  write CONFIG_NAME=value or # CONFIG_NAME is not set"


def test_a_config_that_is_not_utf8_or_no_file(tree):
    tree.write('config A\n\tbool "a"\n')
    (tree.objdir / ".config").write_bytes(b'CONFIG_A=y\nCONFIG_B="\xff"\n')
    assert tree.error() == ".config:2: is not UTF-8\n  convert the file to UTF-8"
    (tree.objdir / ".config").unlink()
    (tree.objdir / ".config").mkdir()
    assert tree.error() == ".config: cannot be read: Is a directory"


def test_odd_assignments_are_warned_of(tree):
    tree.write(
        MODULES + 'config A\n\tbool "a"\n\nconfig B\n\ttristate "b"\n\tdepends on A\n\n'
        'config I\n\tint "i"\n\trange 1 9\n\nconfig T\n\tstring "t"\n\n'
        "config S\n\tbool\n\nconfig X\n\tdef_bool y\n\tselect S\n"
    )
    tree.config(
        "# a comment\n#\n   \n# CONFIG_A is not set\r\nCONFIG_B=y\n"
        "CONFIG_NOBODY=y\n# CONFIG_NOBODY_ELSE is not set\nCONFIG_A=m\n"
        'CONFIG_A=y\nCONFIG_A=n\nCONFIG_I=007\nCONFIG_I=12\nCONFIG_T=bare\nCONFIG_T="open\nCONFIG_S=n\nCONFIG_A=n\n'
    )
    path = tree.objdir / ".config"
    assert tree.load().warnings == (
        f"{path}:6: no symbol CONFIG_NOBODY in this tree, or not for this architecture",
        f"{path}:7: no symbol CONFIG_NOBODY_ELSE in this tree, or not for this architecture",
        f"{path}:8: CONFIG_A is of type bool and cannot be m",
        f"{path}:9: CONFIG_A=y contradicts line 4",
        f"{path}:10: CONFIG_A=n contradicts line 9",
        f"{path}:11: CONFIG_I is of type int and cannot be 007",
        f"{path}:13: CONFIG_T is of type string and cannot be bare",
        f'{path}:14: CONFIG_T is of type string and cannot be "open',
        f"{path}:5: CONFIG_B=y is overruled: what it depends on makes it n",
        f"{path}:12: CONFIG_I=12 is overruled: what it depends on makes it 9",
        f"{path}:15: CONFIG_S=n is overruled: what it depends on makes it y",
    )


def test_a_number_that_nobody_can_set_is_a_record_and_not_warned_of(tree):
    tree.write('config VERSION\n\tint\n\tdefault 124\n\nconfig TEXT\n\tstring\n\tdefault "new"\n')
    tree.config('CONFIG_VERSION=0\nCONFIG_TEXT="old"\n')
    found = tree.load()
    assert (found.warnings, found.values) == ((), {"VERSION": "124", "TEXT": "new"})


WORDS = (
    "config A\n", "config B\n", "\tbool\n", '\ttristate "x"\n', "\tdefault y if B\n", "choice\n", "endchoice\n",
    'menu "m"\n', "endmenu\n", "if A\n", "endif\n", "\tdepends on ", "\tselect B\n", "\thelp\n", "  text\n", "$(", ")",
    '"', "'", "\\", "\n", "A", " && ", "!", "=", "source", "\tmodules\n", "\ttransitional\n", "\trange 1 2\n",
    '\toption env="X"\n', "\timply A\n", "#", "\0", "\tvisible if A\n", 'comment "c"\n', "$(shell,", "$(x)", "x := ",
    "\toptional\n", "\tint\n", ",",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=14).map("".join), config=st.text(max_size=40)
)
@example(text="choice\nendchoice\n", config="")
@example(text='menu "m"\n\toption env="X"\n', config="")
@example(text="config A\n\tstring\n\tdefault A\n", config='CONFIG_A="\\')
def test_garbage_is_an_input_error_or_a_configuration(tmp_path_factory, text, config):
    tree = Tree(tmp_path_factory.mktemp("garbage"))
    (tree.path / "Kconfig").write_text(text, errors="replace")
    (tree.objdir / ".config").write_text(config, errors="replace")
    try:
        kconfig.autoconf_h(tree.load({"PATH": "/nonexistent"}))
    except InputError as error:
        assert str(tree.path.parent) in str(error)


# What is kept

LOAD = """
import sys
from kallmodsyms import kconfig
from kallmodsyms.ledger import Ledger
def load(tree, objdir, environment):
    ledger = Ledger(objdir + "/kept/ledger", tree, objdir)
    found = kconfig.load(tree, objdir + "/.config", "x86", environment, ledger=ledger)
    assert ledger.warnings == [], ledger.warnings
    return found
"""

PROBED = """
version := $(shell,cc --version)
helped := $(shell,$(srctree)/scripts/probe.sh)
config CC
\tstring
\tdefault "$(version) $(helped) $(MENTIONED)"
config A
\ttristate "a"
source "sub/Kconfig"
"""


@pytest.fixture
def probed(tree, tmp_path, monkeypatch):
    """A tree whose symbols depend on a compiler, a script that calls another, a variable and two Kconfig files."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    program(tmp_path / "bin/cc", "echo 'cc 1'; echo ran >>../log")
    program(tree.path / "scripts/probe.sh", '"$(dirname $0)"/inner.sh $HIDDEN')
    program(tree.path / "scripts/inner.sh", "echo helped $1")
    tree.write(PROBED)
    tree.write('config B\n\tbool "b"\n', "sub/Kconfig")
    tree.config("CONFIG_A=y\n")
    return tree


def program(path: Path, commands: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)


def probes(tree: Tree) -> int:
    return len((tree.path.parent / "log").read_text().splitlines())


def test_a_second_load_reads_no_kconfig_file(probed):
    first = probed.kept({"MENTIONED": "m"})
    assert first.reread == f"{probed.path_of_ledger} does not exist yet"
    assert first.values == {"CC": "cc 1 helped m", "A": "y"}
    assert first._replace(reread="nothing is kept") == probed.load({"MENTIONED": "m"})
    second = probed.kept({"MENTIONED": "m"})
    assert second == first._replace(reread=None)
    probed.config("CONFIG_A=n\nCONFIG_B=y\n")
    third = probed.kept({"MENTIONED": "m", "NEVER_MENTIONED": "x"})
    assert (third.reread, third.values) == (None, {"CC": "cc 1 helped m", "B": "y"})
    assert probes(probed) == 2  # one of them for the load without a ledger


def test_a_second_load_does_not_import_kconfiglib(probed):
    probed.kept()
    script = f"{LOAD}\nload(*sys.argv[1:], {{}}); print('kconfiglib' in sys.modules)"
    command = [sys.executable, "-c", script, probed.path, probed.objdir]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    probed.write(PROBED + "\n")
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_the_environment_is_asked_only_for_what_was_mentioned(probed):
    asked = set()

    class Watched(dict):
        def __getitem__(self, name):
            value = super().__getitem__(name)
            asked.add(name)
            return value

    environment = {"MENTIONED": "m", "HIDDEN": "h", "EXPENSIVE": "e"}
    probed.kept(environment)
    assert probed.kept(Watched(environment)).reread is None
    assert asked == {"MENTIONED", "HIDDEN"}


def test_touching_a_file_is_no_change(probed):
    probed.kept()
    for name in ("Kconfig", "sub/Kconfig", "scripts/probe.sh"):
        os.utime(probed.path / name, (1, 1))
    assert probed.kept().reread is None


@pytest.mark.parametrize(
    ("change", "reason", "value", "compiled"),
    [
        ("sub/Kconfig", "{tree}/sub/Kconfig changed", "cc 1 helped ", 1),
        ("Kconfig", "{tree}/Kconfig changed", "cc 1 helped ", 1),
        ("appears", "{objdir}/sub/Kconfig appeared", "cc 1 helped ", 1),
        ("variable", "MENTIONED was not set and is new", "cc 1 helped new", 1),
        ("hidden variable", "`{tree}/scripts/probe.sh` prints something else", "cc 1 helped h ", 1),
        ("compiler", "`cc --version` prints something else", "cc 2 helped ", 2),
        ("script", "`{tree}/scripts/probe.sh` prints something else", "cc 1 probed ", 1),
        ("inner script", "`{tree}/scripts/probe.sh` prints something else", "cc 1 inner ", 1),
        ("conf", "{tree}/scripts/kconfig/confdata.c appeared", "cc 1 helped ", 1),
    ],
)
def test_a_change_is_noticed_and_named(probed, change, reason, value, compiled):
    probed.kept()
    environment = {}
    match change:
        case "sub/Kconfig":
            probed.write('config B\n\tbool "c"\n', "sub/Kconfig")
        case "Kconfig":
            probed.write(PROBED + "\n")
        case "appears":
            (probed.objdir / "sub").mkdir()
            (probed.objdir / "sub/Kconfig").write_text("config ELSE\n\tbool\n")
        case "variable":
            environment = {"MENTIONED": "new"}
        case "hidden variable":
            environment = {"HIDDEN": "h"}
        case "compiler":
            program(probed.path.parent / "bin/cc", "echo 'cc 2'; echo ran >>../log")
        case "script":
            program(probed.path / "scripts/probe.sh", "echo probed")
        case "inner script":
            program(probed.path / "scripts/inner.sh", "echo inner")
        case "conf":
            probed.write("OUTPUT_N_NONE, false", "scripts/kconfig/confdata.c")
    found = probed.kept(environment)
    assert found.reread == reason.format(tree=probed.path, objdir=probed.objdir)
    assert found.values["CC"] == value
    assert probes(probed) == compiled
    assert probed.kept(environment).reread is None
    assert probed.kept(environment) == probed.load(environment)._replace(reread=None)


def test_an_answer_that_comes_out_the_same_costs_no_parse(probed, monkeypatch):
    """The command runs again, once; the Kconfig files are not read."""
    probed.kept()
    monkeypatch.setattr(kconfig.memory, "_packed", None)  # what keeps a new parse
    program(probed.path.parent / "bin/cc", "echo 'cc 1'; echo ran again >>../log")
    assert (probed.kept().reread, probes(probed)) == (None, 2)
    program(probed.path / "scripts/inner.sh", "echo helped $2 $1")
    assert (probed.kept().reread, probes(probed)) == (None, 2)
    for _ in range(2):  # the new answers were kept
        assert (probed.kept().reread, probes(probed)) == (None, 2)
    monkeypatch.undo()


def test_what_kconfig_files_say_is_kept_and_what_commands_complain_of_is_an_answer(probed):
    program(probed.path / "scripts/probe.sh", "echo helped; echo odd >&2")
    assert [probed.kept().warnings, probed.kept().warnings] == [(complaint(probed, "odd"),)] * 2
    program(probed.path / "scripts/probe.sh", "echo helped; echo strange >&2")
    found = probed.kept()
    assert found.reread == f"`{probed.path}/scripts/probe.sh` prints something else"
    assert found.warnings == (complaint(probed, "strange"),)


def complaint(tree: Tree, text: str) -> str:
    return f"{tree.path}/Kconfig:3: $(shell,{tree.path}/scripts/probe.sh) says: {text}"


def test_a_command_that_may_print_anything_is_asked_in_every_run(tree):
    """Its output is a fact like any other: the Kconfig files are read again only when it changes."""
    (tree.objdir / "folder").mkdir()
    tree.write('config A\n\tstring\n\tdefault "$(shell,ls folder; echo ran >>../log)"\n')
    assert [tree.kept().reread, tree.kept().reread, probes(tree)] == [
        f"{tree.path_of_ledger} does not exist yet",
        None,
        2,
    ]
    (tree.objdir / "folder/new").touch()
    found = tree.kept()
    assert (found.reread, found.values) == ("`ls folder; echo ran >>../log` prints something else", {"A": "new"})
    assert probes(tree) == 3


def test_another_tree_has_no_use_for_what_is_kept(probed, tmp_path):
    probed.kept()
    other = Tree(tmp_path / "other")
    other.write("config OTHER\n\tdef_bool y\n")
    found = other.load(ledger=Ledger(probed.path_of_ledger, other.path, other.objdir))
    assert found.reread == f"{probed.path_of_ledger} is about another tree or build directory"
    assert found.values == {"OTHER": "y"}


@settings(max_examples=60, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), length=st.integers(0, 40), junk=st.binary(max_size=40))
def test_a_damaged_ledger_is_told_and_not_believed(tmp_path_factory, position, length, junk):
    tree = Tree(tmp_path_factory.mktemp("damaged"))
    tree.write("config A\n\tdef_bool y\n")
    tree.kept()
    data = tree.path_of_ledger.read_bytes()
    at = int(position * len(data))
    damaged = data[:at] + junk + data[at + length :]
    tree.path_of_ledger.write_bytes(damaged)
    ledger = tree.ledger()
    found = tree.load(ledger=ledger)
    assert (found.values, found.warnings) == ({"A": "y"}, ())
    if damaged == data:
        assert (found.reread, ledger.warnings) == (None, [])
    elif damaged:
        assert len(ledger.warnings) == 1 and ledger.warnings[0].startswith(f"{tree.path_of_ledger}: is damaged")
    assert tree.kept().reread is None


def test_a_ledger_that_cannot_be_written_costs_only_time(probed):
    (probed.objdir / "file").write_text("")
    ledger = Ledger(probed.objdir / "file/ledger", probed.path, probed.objdir)
    found = probed.load(ledger=ledger)
    assert (found.values["A"], found.warnings) == ("y", ())
    assert ledger.warnings == [f"{probed.objdir}/file/ledger: File exists; nothing is remembered of this run"]


def test_a_failed_load_leaves_what_is_kept(probed):
    probed.kept()
    before = probed.path_of_ledger.read_bytes()
    probed.write("config\n")
    with pytest.raises(InputError):
        probed.kept()
    assert probed.path_of_ledger.read_bytes() == before


def test_many_processes_share_a_ledger(probed):
    script = (
        f"{LOAD}\ntree, objdir, new = sys.argv[1:]\n"
        "for _ in range(3): print(sorted(load(tree, objdir, {'MENTIONED': new}).values.items()))"
    )
    command = [sys.executable, "-c", script, probed.path, probed.objdir]
    running = [subprocess.Popen([*command, str(number % 2)], stdout=subprocess.PIPE, text=True) for number in range(8)]
    for number, process in enumerate(running):
        expected = [("A", "y"), ("CC", f"cc 1 helped {number % 2}")]
        assert (process.communicate()[0], process.returncode) == (f"{expected}\n" * 3, 0)
    assert sorted(path.name for path in probed.objdir.rglob("*")) == [".config", "clock", "kept", "ledger"]
    assert probed.kept({"MENTIONED": "0"}).values["CC"] == "cc 1 helped 0"


def test_another_process_that_is_done_first(probed):
    """It leaves what the Kconfig files came to for it, between our finding that our own holds and our taking it."""
    ours, theirs = {"MENTIONED": "m"}, {"MENTIONED": "new"}
    probed.kept(ours)

    class Overtaken(dict):
        def __getitem__(self, name):
            if name == "MENTIONED" and rivals:
                probed.kept(rivals.pop())
            return super().__getitem__(name)

    rivals = [theirs]
    assert probed.kept(Overtaken(ours)).values["CC"] == "cc 1 helped m"
    assert not rivals


def test_the_same_inputs_give_the_same_bytes(probed):
    script = f"{LOAD}\nprint(kconfig.autoconf_h(load(*sys.argv[1:], {{}})))"
    outputs = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale}
        command = [sys.executable, "-c", script, probed.path, probed.objdir]
        output = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        outputs.add((output, probed.path_of_ledger.read_bytes()))
        probed.path_of_ledger.unlink()
    assert len(outputs) == 1
