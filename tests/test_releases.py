"""The hook in made-up trees that link as other releases than CI's do (made_up.py), and trees that it cannot serve."""

import re
import subprocess
import sys
from pathlib import Path

import made_up
import pytest

from kallmodsyms import release
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader
from kallmodsyms.link import carried

ROOT = Path(__file__).parents[1]
EXTRA = {  # what a tree links besides its folders: the option that says so, None for always
    "5.10": {},
    "6.1": {"exported": "MODULES", "linux_banner": None},
    "6.16": {
        "exported": None,
        "linux_banner": None,
        "trees": "GENERIC_BUILTIN_DTB",
        "arch": "ARCH_WANTS_PRE_LINK_VMLINUX",
    },
}
EXTRA["7.0"] = EXTRA["6.16"]


@pytest.fixture(params=made_up.INTERFACES)
def tree(request, tmp_path):
    return made_up.Tree(tmp_path, request.param)


def nm(path):
    """(address, letter, name) of every symbol but those that lie nowhere, by the real nm."""
    lines = subprocess.run(["nm", "-n", path], capture_output=True, text=True, check=True).stdout.splitlines()
    return [(int(line[:16], 16), line[17], line[19:]) for line in lines if line[0] != " "]


def modules(image):
    decoded = reader.read(image)
    return {symbol.name: symbol.modules for symbol in map(decoded.symbol, range(len(decoded)))}


def test_the_tree_links_by_itself(tree):
    """Or a tree that is no good would go unnoticed below."""
    done = tree.make()
    assert (done.returncode, done.stderr) == (0, "")
    names = {name for _, _, name in nm(tree.objdir / "vmlinux")}
    assert {"fork_one", "super_one", *EXTRA[tree.interface]} <= names
    assert not any(name.startswith("kallsyms_") for name in names)


def test_the_hook_serves_it(tree):
    done = tree.make(tree.hook())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    image = tree.objdir / "vmlinux"
    symbols, ours = nm(image), reader.read(image)
    linked = [(address, name) for address, _, name in nm(tree.objdir / tree.output)]
    assert sorted(zip(ours.addresses.tolist(), map(bytes.decode, ours.names), strict=True)) == sorted(linked)
    owners = {"fork_one": (), "inode_one": ("ext4",), "super_one": ("ext4",), "argv_one": ()}
    assert {name: modules(image)[name] for name in owners} == owners
    assert {*EXTRA[tree.interface]} <= {name for _, _, name in symbols}
    assert ("kallsyms_relative_base" in {name for _, _, name in symbols}) == (tree.interface != "7.0")
    carried.confirm(image, tree.variable, with_provider=False)
    # What the script does besides, and what make does after it.
    if tree.interface == "5.10":
        assert (tree.objdir / ".version").read_text() == "1\n" and (tree.objdir / "vmlinux.o").exists()
    if tree.interface != "6.1":
        assert (tree.objdir / "modules.builtin").read_text() == "kernel/fs/ext4/ext4\n"
    if tree.output != "vmlinux":
        assert ".modinfo" in sections(tree.objdir / tree.output) and ".modinfo" not in sections(image)


def sections(path):
    listed = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\] (\.\S+)", listed)


@pytest.mark.parametrize("interface", ["6.16", "7.0"])
@pytest.mark.parametrize("option", made_up.ALL_OPTIONS[1:])
def test_what_an_option_adds_is_linked_only_with_it(tmp_path, interface, option):
    tree = made_up.Tree(tmp_path, interface, (option,))
    assert tree.make(tree.hook()).returncode == 0
    names = {name for _, _, name in nm(tree.objdir / "vmlinux")}
    assert names & {*EXTRA[interface]} == {name for name, needs in EXTRA[interface].items() if needs in (None, option)}


def test_a_second_link_begins_with_the_tables_of_the_first(tree):
    assert tree.make(tree.hook()).returncode == 0
    (tree.tree / "fs/ext4/super.c").write_text("int super_two(int x) { return x * 7; }\n")
    done = tree.make(tree.hook())
    assert (done.returncode, done.stderr) == (0, "")
    found = modules(tree.objdir / "vmlinux")
    assert found["super_two"] == ("ext4",) and "super_one" not in found


def test_types_by_the_script_of_7_0(tmp_path):
    """They describe the first image, and the numbers that come with them go into the last one."""
    tree = made_up.Tree(tmp_path, "7.0", ("DEBUG_INFO_BTF", "BPF"))
    (tmp_path / "ids").write_text('#!/bin/sh\necho "$@" > ids.calls; cat $2 >> ids.calls\n')
    (tmp_path / "ids").chmod(0o755)
    done = tree.make(tree.hook(), f"RESOLVE_BTFIDS={tmp_path / 'ids'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tree.objdir / "btf.calls").read_text() == ".tmp_vmlinux1\n"
    assert (tree.objdir / "ids.calls").read_text() == "--patch_btfids .tmp_vmlinux1.BTF_ids .tmp_vmlinux2\nnumbers\n"
    assert b"of .tmp_vmlinux1\0" in (tree.objdir / "vmlinux").read_bytes()


def test_a_script_that_fails_leaves_the_image(tmp_path):
    """Before 6.1 the script removes it, when what it does before the link fails."""
    tree = made_up.Tree(tmp_path, "5.10")
    assert tree.make(tree.hook()).returncode == 0
    before = (tree.objdir / "vmlinux").read_bytes()
    edited(tree, "scripts/link-vmlinux.sh", "vmlinux_link .tmp", "echo modpost >&2; exit 3\nvmlinux_link .tmp")
    done = tree.make(tree.hook())
    assert done.returncode == 2
    said = f"kallmodsyms: {tree.tree}/scripts/link-vmlinux.sh: failed (exit status 3); its own words are above\n"
    assert done.stderr.startswith(f"modpost\n{said}")
    assert (tree.objdir / "vmlinux").read_bytes() == before


def test_a_linker_that_is_no_name(tmp_path):
    tree = made_up.Tree(tmp_path, "5.10")
    done = tree.make(tree.hook(), "LD=/usr/bin/ld")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"kallmodsyms: {tree.tree}/scripts/link-vmlinux.sh: /usr/bin/ld must be the name of a program on the PATH: "
        "before Linux 6.1 the tree's script calls the linker\n"
    )


# Never a silent nothing: what an image is found to be that make left.


@pytest.fixture
def image(tmp_path):
    """Of a tree's own link, and of the hook's in the same tree: the build directory."""
    tree = made_up.Tree(tmp_path, "6.1")
    assert tree.make().returncode == 0
    (tree.objdir / "vmlinux").rename(tree.objdir / "own")
    assert tree.make(tree.hook()).returncode == 0
    return tree.objdir


def refusal(image, with_provider=False):
    with pytest.raises(InputError) as error:
        carried.confirm(image, "cmd_link_vmlinux", with_provider)
    cure = "\n  see what overrides cmd_link_vmlinux in the tree's makefiles, then build again"
    return str(error.value).removeprefix(f"{image}: ").removesuffix(cure)


def test_an_image_of_the_trees_own_link(image):
    carried.confirm(image / "vmlinux", "cmd_link_vmlinux", with_provider=False)
    assert refusal(image / "own") == (
        "was linked without kallsyms tables: make did not run the command in cmd_link_vmlinux"
    )
    assert refusal(image / "nothing") == "make ended well, but linked no image"


def test_an_image_with_the_trees_own_tables(built, linux_6_1, tmp_path):
    """Told by the label alone: an image of ours, in which the label has another name."""
    reference = tmp_path / "vmlinux"
    renamed = ["--redefine-sym", "kallsyms_num_modules=gone"]  # relocations name it, so it cannot be stripped
    subprocess.run(["objcopy", *renamed, built / "vmlinux", reference], check=True)
    assert refusal(reference) == (
        "has the tree's own kallsyms tables, without modules: make did not run the command in cmd_link_vmlinux"
    )


def test_an_image_without_the_provider_that_was_asked_for(image):
    assert refusal(image / "vmlinux", with_provider=True) == (
        "has module tables, but not the provider of /proc/kallmodsyms"
    )


def test_an_image_with_the_tables_of_another(image):
    subprocess.run(["objcopy", "--redefine-sym", "super_one=super_two", "vmlinux", "other"], cwd=image, check=True)
    (address,) = (address for address, _, name in nm(image / "other") if name == "super_two")
    assert refusal(image / "other") == (
        f"its tables are those of another link: they say that super_one is at {address:#x}, its own symbols do not"
    )


# Trees that are refused, in one line.


def test_real_trees_are_known(any_linux):
    link = release.link_dialect(any_linux)
    script = (any_linux / "scripts/link-vmlinux.sh").read_text()
    rule = (any_linux / ("Makefile" if link.script_makes_objects else "scripts/Makefile.vmlinux")).read_text()
    assert f"{link.variable} =" in rule and f"\n{link.output}: scripts/link-vmlinux.sh" in rule
    for name in (".vmlinux.export.o", ".builtin-dtbs.o", "vmlinux.arch.o", "init/version-timestamp.o"):
        linked = [path for _, path in (*link.objects, *link.last) if path.endswith(name)]
        assert len(linked) == (name in script)
    release.kallsyms_dialect(any_linux)


def edited(tree, path, old, new):
    text = (tree.tree / path).read_text()
    assert old in text
    (tree.tree / path).write_text(text.replace(old, new, 1))


REFUSED = {
    # what is done to a tree like 6.16: (the file, what in it becomes what, what is said)
    "another file is linked": (
        "scripts/link-vmlinux.sh",
        'objs="${objs} init/version-timestamp.o"',
        'objs="${objs} init/version-timestamp.o"\nmore=drivers/new-thing.o',
        r"scripts/link-vmlinux.sh:\d+: links drivers/new-thing.o, which is not known here\n"
        r"    more=drivers/new-thing.o",
    ),
    "no archive": (
        "scripts/link-vmlinux.sh",
        "objs=vmlinux.a",
        "objs=everything",
        "scripts/link-vmlinux.sh: links the image in a way that is not known here",
    ),
    "overridden": (
        "scripts/Makefile.vmlinux",
        "cmd_link_vmlinux =",
        "override cmd_link_vmlinux =",
        r"scripts/Makefile.vmlinux:\d+: overrides the link of the image, so that ours cannot take its place\n"
        r"    override cmd_link_vmlinux = .*\n  take the word override away",
    ),
    "no variable": (
        "scripts/Makefile.vmlinux",
        "+$(call if_changed_dep,link_vmlinux)",
        "$< $(LD)",
        "Makefile: has no rule, here or in scripts/Makefile.vmlinux, that calls scripts/link-vmlinux.sh by a variable: "
        "how this tree links its image is not known here",
    ),
    "another output": (
        "scripts/Makefile.vmlinux",
        "vmlinux.unstripped: scripts/link-vmlinux.sh",
        "vmlinux.raw: scripts/link-vmlinux.sh",
        "Makefile: has no rule, here or in scripts/Makefile.vmlinux, that calls scripts/link-vmlinux.sh by a variable: "
        "how this tree links its image is not known here",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_link_that_is_not_known(tmp_path, what):
    tree = made_up.Tree(tmp_path, "6.16")
    path, old, new, said = REFUSED[what]
    edited(tree, path, old, new)
    with pytest.raises(InputError) as error:
        release.link_dialect(tree.tree)
    assert re.fullmatch(f"{tree.tree}/{said}", str(error.value))


def test_no_script(tmp_path):
    tree = made_up.Tree(tmp_path, "6.1")
    (tree.tree / "scripts/link-vmlinux.sh").unlink()
    with pytest.raises(InputError) as error:
        release.link_dialect(tree.tree)
    assert str(error.value) == (
        f"{tree.tree}/scripts/link-vmlinux.sh: is missing: how this tree links its image is not known here"
    )


UNKNOWN_TABLES = {
    "scripts/kallsyms.c": '\toutput_label("kallsyms_newthing");\n',
    "kernel/kallsyms_internal.h": "extern const u8 kallsyms_newthing[];\n",
    "include/asm-generic/vmlinux.lds.h": '\tASSERT(kallsyms_newthing, "there")\n',
    "arch/x86/kernel/vmlinux.lds.S": "\tkallsyms_newthing = .;\n",
}


@pytest.mark.parametrize("path", UNKNOWN_TABLES)
def test_a_table_that_is_not_known(tree, path):
    before = (tree.tree / path).read_text() if (tree.tree / path).exists() else ""
    tree.write(path, before + UNKNOWN_TABLES[path])
    done = tree.make(tree.hook())
    assert done.returncode == 2
    line = before.count("\n") + 1
    assert done.stderr.startswith(
        f"kallmodsyms: {tree.tree}/{path}:{line}: kallsyms_newthing is a table that is not known here: "
        f"its image would lack it\n    {UNKNOWN_TABLES[path].strip()}\n"
    )
    assert not (tree.objdir / "vmlinux").exists()


def overlay(tree, linux, without=()):
    """A tree whose files are those of another, but for those that somebody writes or leaves out."""
    (tree / "scripts").mkdir(parents=True)
    for path in (*linux.iterdir(), *(linux / "scripts").iterdir()):
        target = tree / path.relative_to(linux)
        if not target.exists() and str(path.relative_to(linux)) not in without:
            target.symlink_to(path)


@pytest.mark.parametrize("what", ["no script", "overridden", "a new table"])
def test_doit_refuses_before_anything_is_compiled(linux_6_1, tmp_path, what):
    tree, objdir = tmp_path / "tree", tmp_path / "objdir"
    path, said = {
        "no script": ("scripts/link-vmlinux.sh", "is missing: how this tree links its image is not known here"),
        "overridden": (
            "scripts/Makefile.vmlinux",
            "overrides the link of the image, so that ours cannot take its place",
        ),
        "a new table": ("scripts/kallsyms.c", "kallsyms_newthing is a table that is not known here"),
    }[what]
    overlay(tree, linux_6_1, without=(path,))
    text = (linux_6_1 / path).read_text()
    if what == "overridden":
        (tree / path).write_text(text.replace("cmd_link_vmlinux =", "override cmd_link_vmlinux ="))
    elif what == "a new table":
        (tree / path).write_text(text + 'void f(void) { output_label("kallsyms_newthing"); }\n')
    command = [sys.executable, "-m", "doit", "profile=config/linux-small.yaml", f"tree={tree}", f"objdir={objdir}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode not in (0, None)
    assert said in (done.stdout + done.stderr).splitlines()[0] and "Traceback" not in done.stderr
    assert not list(objdir.rglob("*.o"))


def test_doit_refuses_full_optimisation_before_anything_is_compiled(linux_6_1, tmp_path):
    (tmp_path / "fragment").write_text("CONFIG_64BIT=y\nCONFIG_KALLSYMS=y\nCONFIG_LTO_CLANG_FULL=y\n")
    words = ("profile=config/linux-small.yaml", f"tree={linux_6_1}", f"objdir={tmp_path / 'objdir'}")
    command = [sys.executable, "-m", "doit", *words, f"config={tmp_path / 'fragment'}", "required=", "LLVM=1", "make"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "\nCONFIG_LTO_CLANG_FULL makes one object of all, and no map tells" in done.stdout + done.stderr
    assert not list((tmp_path / "objdir").glob("kernel/**/*.o"))
