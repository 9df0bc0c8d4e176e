"""Configurations of real trees: every value, and every byte of .config, auto.conf and autoconf.h, against the tree's own `conf`.

A test of each tree is quick enough for every run; the others (`-m long`) cover 2 trees x 3 architectures x (4 + 20 + 20)
configurations: the usual targets, randconfigs of fixed seeds, and the same with a tenth of their lines spoiled.
"""

import re
from pathlib import Path

import pytest
from conf import OUTPUTS, Conf, make, spoiled

from pipeline import kconfig

CONFIG, AUTO_CONF, AUTOCONF_H = OUTPUTS
ARCHES = ("x86", "arm64", "um")
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
    return kconfig.load(conf.tree, conf.objdir / CONFIG, conf.arch, conf.environment, cache=conf.objdir / "cache")


def ours(conf: Conf) -> dict[str, str]:
    """What we make of the .config that is there."""
    found = loaded(conf)
    dot_config = kconfig.dot_config(
        conf.tree, conf.objdir / CONFIG, conf.arch, conf.environment, cache=conf.objdir / "cache"
    )
    assert found.reread is None or found.reread.endswith("does not exist yet")
    return {CONFIG: dot_config, AUTO_CONF: kconfig.auto_conf(found), AUTOCONF_H: kconfig.autoconf_h(found)}


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The lines that differ, for a message that can be read; [] for equal bytes."""
    return [
        f"{name}: {line}" for name in expected if expected[name] != found[name]
        for line in sorted(set(expected[name].splitlines()) ^ set(found[name].splitlines())) or ["the order"]
    ]  # fmt: skip


def expected_tristate_conf(conf: Conf, tristates: frozenset[str]) -> str:
    lines = (conf.objdir / AUTO_CONF).read_text().splitlines(keepends=True)
    return "".join(lines[:4]) + "".join(
        line.replace("=y\n", "=Y\n").replace("=m\n", "=M\n")
        for line in lines[4:] if line.removeprefix("CONFIG_").partition("=")[0] in tristates
    )  # fmt: skip


def tristates_by_text(tree: Path, files) -> frozenset[str]:
    """Symbols of type tristate, found by a reader of lines that knows three words: config, (def_)tristate, help.

    `conf` prints no types. This shares no code with kconfiglib, and what it cannot see (types that come from a macro, two types
    of one symbol) does not occur in real trees.
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


@pytest.mark.parametrize(("version", "arch"), [("6.1", "x86"), ("6.12", "arm64")])
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
    assert configuration.tristates == tristates_by_text(conf.tree, configuration.files)


def test_the_environment_is_what_kbuild_computes(confs, linux_6_1):
    from pipeline import kbuild

    conf = confs(linux_6_1, "um")
    conf.run("defconfig=arch/um/configs/x86_64_defconfig")
    environment = kbuild.environment(linux_6_1, conf.objdir, "um")
    found = kconfig.load(linux_6_1, conf.objdir / CONFIG, "um", environment)
    assert kconfig.auto_conf(found) == conf.outputs()[AUTO_CONF]
    assert found.warnings == ()


@pytest.mark.long
@pytest.mark.parametrize("arch", ARCHES)
class TestEverything:
    def check(self, conf: Conf, *, settled: bool) -> None:
        """settled: the .config is one that `conf` wrote, so that there is nothing to warn of."""
        (conf.objdir / AUTO_CONF).unlink(missing_ok=True)
        found = ours(conf)
        configuration = loaded(conf)
        conf.run("olddefconfig")
        conf.run("syncconfig")
        assert differences(conf.outputs(), found) == []
        assert kconfig.tristate_conf(configuration) == expected_tristate_conf(conf, configuration.tristates)
        modules = re.findall(r"^CONFIG_(\w+)=m$", found[AUTO_CONF], re.MULTILINE)
        assert configuration.tristates.issuperset(modules)
        assert not settled or configuration.warnings == ()

    @pytest.mark.parametrize("target", TARGETS)
    def test_target(self, confs, linux, arch, target):
        conf = confs(linux, arch)
        make(linux, arch, conf.objdir, target)
        self.check(conf, settled=True)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_randconfig(self, confs, linux, arch, seed):
        # What randconfig writes is not always what olddefconfig makes of it (a choice may fall differently): settle it first.
        conf = confs(linux, arch)
        conf.run("randconfig", KCONFIG_SEED=str(seed))
        conf.run("olddefconfig")
        self.check(conf, settled=True)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_spoiled_randconfig(self, confs, linux, arch, seed):
        conf = confs(linux, arch)
        conf.run("randconfig", KCONFIG_SEED=str(seed))
        path = conf.objdir / CONFIG
        path.write_text(spoiled(path.read_text(), seed))
        self.check(conf, settled=False)

    def test_types(self, confs, linux, arch):
        conf = confs(linux, arch)
        conf.run("alldefconfig")
        configuration = loaded(conf)
        assert configuration.tristates == tristates_by_text(linux, configuration.files)
