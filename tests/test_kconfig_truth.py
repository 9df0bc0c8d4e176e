"""Configurations of real trees: every value, and every byte of .config, auto.conf and autoconf.h, against the tree's
own `conf`.

A test of each tree is quick enough for every run; the others (`-m long`) cover 2 trees x 3 architectures x 44
configurations: the 4 usual targets, 20 randconfigs of fixed seeds, and the same with a tenth of their lines spoiled.
Kconfig files made up by hypothesis go where real ones do not: each rule of values.py in all its combinations.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conf import OUTPUTS, Conf, make, spoiled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kallmodsyms import kbuild, kconfig
from kallmodsyms.errors import InputError
from kallmodsyms.ledger import Ledger

CONFIG, AUTO_CONF, AUTOCONF_H = OUTPUTS
ARCHES = ("x86", "arm64", "um")
QUICK = {"6.1": "x86", "6.12": "arm64"}
TARGETS = ("tinyconfig", "defconfig", "allyesconfig", "allmodconfig")
SEEDS = range(1, 21)


@pytest.fixture(scope="session")
def confs(tmp_path_factory):
    made: dict[tuple[Path, str], Conf] = {}

    def conf(tree: Path, arch: str) -> Conf:
        if (tree, arch) not in made:
            made[tree, arch] = Conf(tree, arch, tmp_path_factory.mktemp(f"{tree.name}-{arch}"))
        return made[tree, arch]

    return conf


def loaded(conf: Conf) -> kconfig.Configuration:
    return kconfig.load(conf.tree, conf.objdir / CONFIG, conf.arch, conf.environment, ledger=kept(conf))


def kept(conf: Conf) -> Ledger:
    """What earlier loads in this build directory left."""
    return Ledger(conf.objdir / "kept/ledger", conf.tree, conf.objdir)


def ours(conf: Conf) -> dict[str, str]:
    """What we make of the .config that is there."""
    found = loaded(conf)
    dot_config = kconfig.dot_config(conf.tree, conf.objdir / CONFIG, conf.arch, conf.environment, ledger=kept(conf))
    assert found.reread is None or found.reread.endswith("does not exist yet")
    return {CONFIG: dot_config, AUTO_CONF: kconfig.auto_conf(found), AUTOCONF_H: kconfig.autoconf_h(found)}


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The lines that differ, for a message that can be read; [] for equal bytes."""
    return [
        f"{name}: {line}"
        for name in expected
        if expected[name] != found[name]
        for line in sorted(set(expected[name].splitlines()) ^ set(found[name].splitlines())) or ["the order"]
    ]


def expected_tristate_conf(conf: Conf, tristates: frozenset[str]) -> str:
    lines = (conf.objdir / AUTO_CONF).read_text().splitlines(keepends=True)
    return "".join(lines[:4]) + "".join(
        line.replace("=y\n", "=Y\n").replace("=m\n", "=M\n")
        for line in lines[4:]
        if line.removeprefix("CONFIG_").partition("=")[0] in tristates
    )


def tristates_by_text(tree: Path, files) -> frozenset[str]:
    """Symbols of type tristate, found by a reader of lines that knows three words: config, (def_)tristate, help.

    `conf` prints no types. This shares no code with kconfiglib, and what it cannot see (types that come from a macro,
    two types of one symbol) does not occur in real trees.
    """
    found = set()
    for name in files:
        symbol, help_indent = None, None
        for line in (tree / name).read_text().splitlines():
            words = line.split()
            indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
            if help_indent is not None and words:
                if help_indent == 0:
                    help_indent = indent or None
                elif indent < help_indent:
                    help_indent = None
            if help_indent is not None or not words:
                continue
            if words[0] in ("config", "menuconfig"):
                symbol = words[1]
            elif words[0] in ("tristate", "def_tristate") or line.strip().startswith('tristate"'):
                found.add(symbol)
            elif words[0] in ("choice", "menu", "comment", "if", "endif", "endmenu", "endchoice"):
                symbol = None
            elif words == ["help"]:
                help_indent = 0
    return frozenset(found - {None})


@pytest.mark.parametrize(("version", "arch"), QUICK.items())
def test_a_configuration_is_what_the_trees_own_conf_makes_of_it(confs, request, version, arch):
    conf = confs(request.getfixturevalue(f"linux_{version.replace('.', '_')}"), arch)
    conf.clear()
    defconfig = {"x86": "arch/x86/configs/x86_64_defconfig", "arm64": "arch/arm64/configs/defconfig"}[arch]
    (conf.objdir / CONFIG).write_text(spoiled((conf.tree / defconfig).read_text(), 1))
    found = ours(conf)
    configuration = loaded(conf)
    conf.run("olddefconfig")
    assert differences(conf.outputs(), found) == []
    assert kconfig.tristate_conf(configuration) == expected_tristate_conf(conf, configuration.tristates)
    assert set(configuration.tristates) == tristates_by_text(conf.tree, configuration.files)


def test_kbuild_computes_the_environment_that_make_gives(confs, linux_6_1):
    conf = confs(linux_6_1, QUICK["6.1"])
    (conf.objdir / CONFIG).write_text("")
    expected = loaded(conf)
    environment = kbuild.environment(kbuild.place(linux_6_1, conf.objdir, conf.arch))
    found = kconfig.load(linux_6_1, conf.objdir / CONFIG, conf.arch, environment, ledger=kept(conf))
    assert found == expected._replace(reread=None)  # the reason would name a variable that differs


LITERALS = {
    "bool": "ny",
    "tristate": "nmy",
    "int": ("0", "7", "-3", "40", "1000"),
    "hex": ("0x0", "0x7", "0xff", "3e8"),
    "string": ('""', '"a b"', '"\\\\x"', '"40"', '"0x28"'),
}


@st.composite
def kconfig_and_config(draw, modal: bool):
    """A Kconfig file that any `conf` accepts, and a .config full of contradictions.

    modal: whether tristate choices are allowed
    Expressions mention only symbols above, select and imply only symbols below, so that there is no dependency loop.
    """
    some = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    chance = lambda percent: draw(st.integers(0, 99)) < percent  # noqa: E731
    count = draw(st.integers(3, 12))
    types = [some("bool", "tristate", "tristate", "int", "hex", "string") for _ in range(count)]
    ranged = set()
    lines = ['mainmenu "Made up"', "config MODULES", '\tbool "modules"', "\tmodules"]
    if chance(40):
        lines.append("\tdefault y")

    def literal(type_):
        return some(*LITERALS[type_])

    def expression(below, depth=0):
        names = [number for number in range(below) if types[number] in ("bool", "tristate")]
        if depth < 2 and chance(40):
            return f"({expression(below, depth + 1)} {some('&&', '||')} {expression(below, depth + 1)})"
        if below and chance(30):
            number = draw(st.integers(0, below - 1))
            right = literal(types[number]) if chance(70) or not below else f"S{draw(st.integers(0, below - 1))}"
            operator = some("=", "!=", "<", "<=", ">", ">=")
            # expr_transform() of 6.12 takes a symbol for an expression in `bool != y`, and crashes.
            return f"S{number} {'=' if (operator, right) == ('!=', 'y') else operator} {right}"
        if not names or chance(8):
            return some("y", "m", "n", "UNDEFINED")
        return f"{some('', '', '!')}S{some(*names)}"

    def condition(below, percent=40):
        return f" if {expression(below)}" if chance(percent) else ""

    def reference(number):
        same = [other for other in range(number) if types[other] == types[number]]
        return f"S{some(*same)}" if same and chance(30) else literal(types[number])

    def symbol(number, *, first_member=None):
        type_ = types[number]
        member = first_member is not None
        below = first_member if member else number  # members that depend on each other are a loop
        lines.append(f"config S{number}")
        if member or chance(60):
            lines.append(f'\t{type_} "symbol {number}"{condition(below)}')
        else:
            lines.append(f"\t{type_}")
        if chance(40):
            lines.append(f"\tdepends on {expression(below)}")
        for _ in range(0 if member else draw(st.integers(0, 2))):
            value = expression(number) if type_ in ("bool", "tristate") and chance(60) else reference(number)
            lines.append(f"\tdefault {value}{condition(number)}")
        if type_ in ("int", "hex") and chance(60):
            base = {"int": 10, "hex": 16}[type_]
            low, high = sorted((literal(type_), literal(type_)), key=lambda text: int(text, base))
            lines.append(f"\trange {low} {high}{condition(number)}")
            ranged.add(number)
        targets = range(first_member + 3 if member else number + 1, count)
        targets = [other for other in targets if types[other] in ("bool", "tristate")]
        if type_ in ("bool", "tristate") and targets:
            for _ in range(draw(st.integers(0, 2))):
                lines.append(f"\t{some('select', 'imply')} S{some(*targets)}{condition(number)}")

    number = 0
    while number < count:
        what = draw(st.integers(0, 9))
        if what == 0 and count - number >= 3:
            type_ = some("bool", "tristate") if modal else "bool"
            lines += ["choice", f'\tprompt "choice {number}"{condition(number, 20)}']
            if modal:
                lines.append(f"\t{type_}")
                if chance(25):
                    lines.append("\toptional")
            if chance(30):
                lines.append(f"\tdepends on {expression(number)}")
            if chance(40):
                lines.append(f"\tdefault S{number + draw(st.integers(0, 2))}{condition(number)}")
            for member in range(number, number + 3):
                types[member] = "bool" if type_ == "bool" else some("bool", "tristate")
            for member in range(number, number + 3):
                symbol(member, first_member=number)
            lines.append("endchoice")
            number += 3
            continue
        block = {1: "if", 2: "menu", 3: "comment"}.get(what)
        if block == "if":
            lines.append(f"if {expression(number)}")
        elif block:
            lines.append(f'{block} "{block} {number}"')
            if chance(50):
                lines.append(f"\tdepends on {expression(number)}")
            if block == "menu" and chance(50):
                # Not `m`: `conf` means m && MODULES by it for the prompts in the menu, and m for the menu's heading.
                lines.append(f"\tvisible if {expression(number).replace('m', 'y')}")
        symbol(number)
        if block in ("if", "menu"):
            lines.append(f"end{block}")
        number += 1

    def assignment(number):
        if types[number] in ("bool", "tristate") and chance(30):
            return f"# CONFIG_S{number} is not set"
        value = literal(types[number]) if chance(95) else some("z", "m", "012", '"open')
        return f"CONFIG_S{number}={value}"

    # Two things take 6.1 a second run to settle: what depended on a number that it drops, and a choice whose member was
    # y once.
    chosen = draw(st.lists(st.integers(0, count - 1), max_size=2 * count, unique=modal))
    chosen = [number for number in chosen if not modal or number not in ranged]
    config = [some("CONFIG_MODULES=y", "CONFIG_MODULES=y", "# CONFIG_MODULES is not set"), *map(assignment, chosen)]
    return "\n".join([*lines, ""]), "\n".join([*config, ""])


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("examples", [100, pytest.param(10_000, marks=pytest.mark.long)])
def test_made_up_kconfig_files(confs, request, tmp_path, version, examples):
    conf = confs(request.getfixturevalue(f"linux_{version.replace('.', '_')}"), QUICK[version])
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/kconfig").symlink_to(conf.tree / "scripts/kconfig")

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(kconfig_and_config(modal=version == "6.1"))
    def check(texts):
        (tmp_path / "Kconfig").write_text(texts[0])
        (tmp_path / CONFIG).write_text(texts[1])
        assert compared_with(conf, tmp_path) == []

    check()


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_the_kernels_own_tests_of_kconfig(confs, request, tmp_path, version):
    conf = confs(request.getfixturevalue(f"linux_{version.replace('.', '_')}"), QUICK[version])
    tests = conf.tree / "scripts/kconfig/tests"
    found = {}
    for kconfig_file in sorted(tests.rglob("Kconfig")):
        name = str(kconfig_file.parent.relative_to(tests))
        configs = sorted(set(kconfig_file.parent.glob("*config")) - {kconfig_file})
        for config in [None, *configs]:
            directory = tmp_path / name / (config.name if config else "nothing")
            shutil.copytree(kconfig_file.parent, directory)
            (directory / "scripts").mkdir()
            (directory / "scripts/kconfig").symlink_to(conf.tree / "scripts/kconfig")
            (directory / CONFIG).write_text(config.read_text() if config else "")
            found.setdefault(name, []).append(compared_with(conf, directory))
    wrong = {name: results for name, results in found.items() if any(results)}
    assert len(found) > 10
    # Known: variables called $ and $$, of which nobody makes use. It is an error and not a wrong value.
    place = f"{tmp_path}/preprocess/escape/nothing/Kconfig:19"
    assert wrong == {"preprocess/escape": [[f"only we refuse: {place}: syntax error"]]}


def compared_with(conf: Conf, directory: Path) -> list[str]:
    """How we differ from `conf` on the Kconfig file and .config in `directory`. [] if we agree, or both refuse."""
    (directory / AUTO_CONF).unlink(missing_ok=True)
    ours, refused = {}, None
    try:
        found = kconfig.load(directory, directory / CONFIG, "x86", {})
        dot_config = kconfig.dot_config(directory, directory / CONFIG, "x86", {})
        ours = {CONFIG: dot_config, AUTO_CONF: kconfig.auto_conf(found), AUTOCONF_H: kconfig.autoconf_h(found)}
    except InputError as error:
        refused = str(error).splitlines()[0]
    result = subprocess.run(
        [conf.objdir / "scripts/kconfig/conf", "-s", "--olddefconfig", "Kconfig"],
        cwd=directory,
        env={"PATH": conf.environment["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if refused or result.returncode:
        only = f"only we refuse: {refused}" if refused else f"only conf refuses: {result.stderr}"
        return [] if refused and result.returncode else [only]
    return differences({name: (directory / name).read_text() for name in OUTPUTS}, ours)


@pytest.mark.long
@pytest.mark.parametrize("arch", ARCHES)
class TestEverything:
    def check(self, conf: Conf, mode: str) -> None:
        """Compare what we make of the .config with what `conf --mode` makes of it."""
        (conf.objdir / AUTO_CONF).unlink(missing_ok=True)
        found = ours(conf)
        configuration = loaded(conf)
        conf.run(mode)
        assert differences(conf.outputs(), found) == []
        assert kconfig.tristate_conf(configuration) == expected_tristate_conf(conf, configuration.tristates)
        modules = re.findall(r"^CONFIG_(\w+)=m$", found[AUTO_CONF], re.MULTILINE)
        assert configuration.tristates.issuperset(modules)

    @pytest.mark.parametrize("target", TARGETS)
    def test_target(self, confs, linux, arch, target):
        conf = confs(linux, arch)
        make(linux, arch, conf.objdir, target)
        assert loaded(conf).warnings == ()
        self.check(conf, "syncconfig")

    # syncconfig asks about what randconfig left open, so it is olddefconfig that settles those.

    @pytest.mark.parametrize("seed", SEEDS)
    def test_randconfig(self, confs, linux, arch, seed):
        conf = confs(linux, arch)
        conf.run("randconfig", KCONFIG_SEED=str(seed))
        self.check(conf, "olddefconfig")
        assert loaded(conf).warnings == ()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_spoiled_randconfig(self, confs, linux, arch, seed):
        conf = confs(linux, arch)
        conf.run("randconfig", KCONFIG_SEED=str(seed))
        path = conf.objdir / CONFIG
        path.write_text(spoiled(path.read_text(), seed))
        self.check(conf, "olddefconfig")

    def test_types(self, confs, linux, arch):
        conf = confs(linux, arch)
        conf.run("alldefconfig")
        configuration = loaded(conf)
        assert set(configuration.tristates) == tristates_by_text(linux, configuration.files)
