"""Profiles: what is accepted, and the one line that each mistake gets."""

from pathlib import Path

import pytest

from kallmodsyms import profile
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import fragment


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/Makefile").write_text("")
    (tmp_path / "seed").write_text("")
    return tmp_path


GOOD = "tree: tree\nobjdir: out\narch: x86\nconfig: seed\n"


def load(root, text, **overrides):
    (root / "p.yaml").write_text(text)
    return profile.load("p.yaml", root, overrides)


def test_every_key(root):
    text = GOOD + "base: tinyconfig\nrequired: EXT4_FS PROC_FS\nmake: {LLVM: 1, CROSS_COMPILE: x-}\njobs: 3\n"
    text += "sizes: none\nmodules: false\nunknown_text: 0.5\n"
    assert load(root, text) == profile.Profile(
        path=root / "p.yaml", tree=root / "tree", objdir=root / "out", arch="x86", config=root / "seed",
        base="tinyconfig", required=("EXT4_FS", "PROC_FS"),
        make={"LLVM": "1", "CROSS_COMPILE": "x-"}, jobs=3, sizes="none", modules=False, unknown_text=0.5,
    )  # fmt: skip


def test_overrides_win(root):
    made = load(root, GOOD + "make: {LLVM: 1}\n", objdir="/elsewhere", jobs="5", LLVM="0", V="1")
    assert (made.objdir, made.jobs, made.make) == (Path("/elsewhere"), 5, {"LLVM": "0", "V": "1"})


@pytest.mark.parametrize(
    "text, problem",
    [
        ("launcher: nowhere -x\n", "the program nowhere is not on the PATH"),
        ("launcher: env 'x\n", "'launcher' is not what a shell would take for words: No closing quotation"),
    ],
)
def test_a_launcher_that_cannot_be(root, text, problem):
    with pytest.raises(InputError) as caught:
        load(root, GOOD + text)
    assert str(caught.value) == f"{root}/p.yaml:5: {problem}\n    {text.strip()}"


def test_paths_start_where_the_user_stands(root):
    """Those of the command line; those of the file start at the repository."""
    (root / "here/tree").mkdir(parents=True)
    (root / "here/tree/Makefile").touch()
    (root / "p.yaml").write_text(GOOD)
    made = profile.load("p.yaml", root, {"tree": "tree", "objdir": "../out"}, root / "here")
    assert made.tree == root / "here/tree" and made.objdir.resolve() == root / "out" and made.config == root / "seed"


def test_a_profile_by_name(root):
    """The file itself, config/NAME.yaml where the user stands, ours; paths in it start beside that config/."""
    here, ours = root / "here", root / "ours"
    for place in (here, ours):
        (place / "config").mkdir(parents=True)
        (place / "tree").mkdir()
        (place / "tree/Makefile").touch()
        (place / "seed").touch()
        (place / "config/toy.yaml").write_text(GOOD)
    (ours / "config/small.yaml").write_text(GOOD)
    found = [profile.chosen(words, here, ours) for words in ({}, {"profile": "small"}, {"profile": "config/toy.yaml"})]
    assert [made.tree for made in found] == [here / "tree", ours / "tree", here / "tree"]
    assert {made.objdir for made in found} == {here / "out"}
    (here / "config/toy.yaml").unlink()
    assert profile.chosen({}, here, ours).config == ours / "seed"
    (here / "small").write_text(GOOD.replace("out", "other"))
    assert profile.chosen({"profile": "small"}, here, ours).objdir == here / "other"
    with pytest.raises(InputError) as caught:
        profile.chosen({"profile": "large"}, here, ours)
    assert str(caught.value) == "there is no profile large\n  name a file, or one of: small toy"


def test_make_is_probed(root):
    assert not load(root, GOOD).has_make
    (root / "tree/scripts").mkdir()
    (root / "tree/scripts/Makefile.build").write_text("")
    assert load(root, GOOD).has_make


@pytest.mark.parametrize(
    "text, overrides, message",
    [
        (GOOD + "colour: blue\n", {},
         "{p}:5: unknown key 'colour'\n    colour: blue\n"
         "  keys are: tree objdir arch config base required make launcher jobs sizes objects "
         "modules provider unknown_text"),
        (GOOD.replace("arch: x86\n", ""), {}, "{p}: 'arch' is missing\n  add it to the file, or say `doit arch=…`"),
        (GOOD.replace(" x86", ""), {},
         "{p}:3: 'arch' is missing\n    arch: None\n  add it to the file, or say `doit arch=…`"),
        (GOOD + "jobs: many\n", {}, "{p}:5: 'jobs' must be a number\n    jobs: many"),
        (GOOD + "unknown_text: few\n", {},
         "{p}:5: 'unknown_text' must be a number, of per cent\n    unknown_text: few"),
        (GOOD + "sizes: huge\n", {}, "{p}:5: 'sizes' is none of compact, dense, none\n    sizes: huge"),
        (GOOD + "provider: perhaps\n", {}, "{p}:5: 'provider' must be true or false\n    provider: perhaps"),
        (GOOD + "make: LLVM=1\n", {}, "{p}:5: 'make' must be a mapping of variables to values"),
        ("- tree\n", {}, "{p}: a profile must be a mapping of keys to values"),
        ("tree: [\n", {}, "{p}:2: not valid YAML: expected the node content, but found '<stream end>'"),
        (GOOD, {"colour": "blue"},
         "unknown setting colour=blue\n"  # near to nothing
         "  settings are: tree objdir arch config base required make launcher jobs sizes objects "
         "modules provider unknown_text, and MAKE_VARIABLES"),
        *((GOOD, {near: "x"},
           f"unknown setting {near}=x\n  did you mean {meant}=x? settings are: tree objdir arch config base required "
           "make launcher jobs sizes objects modules provider unknown_text, and MAKE_VARIABLES")
          for near, meant in (("OBJDIR", "objdir"), ("TREE", "tree"), ("PROFILE", "profile"), ("ARCH", "arch"),
                              ("objdri", "objdir"), ("Jobs", "jobs"))),
        (GOOD.replace("tree: tree", "tree: gone"), {},
         "{p}:1: {root}/gone is not a kernel tree: it has no Makefile\n    tree: gone\n"
         "  unpack one, or say `doit tree=DIR`"),
        (GOOD, {"tree": "/gone"},
         "/gone is not a kernel tree: it has no Makefile\n    tree: /gone\n  unpack one, or say `doit tree=DIR`"),
        (GOOD.replace("seed", "gone"), {}, "{p}:4: {root}/gone does not exist\n    config: gone"),
    ],
)  # fmt: skip
def test_mistakes(root, text, overrides, message):
    with pytest.raises(InputError) as error:
        load(root, text, **overrides)
    assert str(error.value) == message.format(p=root / "p.yaml", root=root)


def test_missing_make_is_said(root, monkeypatch):
    (root / "tree/scripts").mkdir()
    (root / "tree/scripts/Makefile.build").write_text("")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="needs make, which is not on the PATH"):
        load(root, GOOD)


def test_what_is_required_need_not_be_in_the_fragment():
    assert fragment.completed("CONFIG_A=m\n# CONFIG_B is not set\n", ["A", "C"]) == (
        "CONFIG_A=m\n# CONFIG_B is not set\nCONFIG_C=y\n"
    )


def test_symbols_that_a_tree_does_not_have():
    wanted = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=n\nCONFIG_E=5\n"
    assert fragment.check("f", wanted, "CONFIG_A=y\nCONFIG_B=y\n", ["A"]) == ["CONFIG_B=m", "CONFIG_E=5"]
    assert fragment.check("f", wanted, wanted, ["A", "E", "D"]) == []
    with pytest.raises(InputError) as error:
        fragment.check("p.yaml", wanted, "CONFIG_A=y\n", ["E", "B"])
    assert str(error.value) == (
        "p.yaml: requires what is not in the finished .config\n    CONFIG_B=m\n"
        "  the tree's Kconfig has no such symbol, or something that it depends on is off"
    )
