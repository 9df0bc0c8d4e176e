"""The command line: every stage alone, replayed on what the task graph made of the toy kernel; exit statuses; wrong
inputs.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOY = ROOT / "toy_kernel"
COMMANDS = ("tristate", "thick", "ranges", "builtin-ranges", "tables", "link", "show", "lookup", "boot")
COMMANDS += ("modules", "export", "exec", "explain", "diff")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    objdir = tmp_path_factory.mktemp("toy")
    subprocess.run([sys.executable, "-m", "doit", f"objdir={objdir}"], cwd=ROOT, check=True, capture_output=True)
    return objdir


def run(*words, status=0, **more):
    """(stdout, stderr) of a call. Asserts its exit status, and that nobody sees a traceback."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    command = [sys.executable, "-m", "kallmodsyms", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, **more)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_tristate(built, tmp_path):
    run("tristate", "--tree", TOY, "--objdir", built, "--arch", "x86", "-o", tmp_path / "t")
    assert (tmp_path / "t").read_text() == (built / "include/config/tristate.conf").read_text()


def test_thick(built):
    out, _ = run("thick", "--tree", TOY, "--objdir", built, "--arch", "x86")
    assert out == (built / "modules_thick.builtin").read_text()


@pytest.mark.parametrize("step", ["tristate", "thick"])
def test_a_damaged_ledger_is_warned_of(built, step):
    kept = built / ".kallmodsyms/ledger"
    kept.write_bytes(b"garbage")
    _, said = run(step, "--tree", TOY, "--objdir", built, "--arch", "x86")
    assert said == f"kallmodsyms: warning: {kept}: is damaged; it is begun anew\n"


def test_ranges_and_tables_replay_the_series(built, tmp_path):
    """Ranges, then tables from the ELF file and from nm's text of it. Only the ends of runs may differ: nm does not
    tell sections.
    """
    image = built / "vmlinux"
    run("ranges", built / ".tmp_vmlinux2.map", "--image", image, "--directory", built, "-o", tmp_path / "ranges")
    assert (tmp_path / "ranges").read_text() == (built / ".tmp_vmlinux2.ranges").read_text()
    (tmp_path / "nm").write_bytes(
        subprocess.run(["nm", "-nS", image], capture_output=True, check=True, env={"LC_ALL": "C"}).stdout
    )
    options = [
        "--ranges",
        tmp_path / "ranges",
        "--thick",
        built / "modules_thick.builtin",
        "--all-symbols",
        "--absolute-percpu",
        "--base-relative",
    ]
    texts = [run("tables", "--symbols", source, *options)[0] for source in (image, tmp_path / "nm")]
    (base, found, _), (from_nm, _, _) = (text.partition(".globl kallsyms_module_offsets\n") for text in texts)
    assert found and base == from_nm


def test_builtin_ranges_are_where_the_listing_has_the_modules(built):
    """Every function of a module in .text lies in a range of that module, counted from the section's anchor."""
    out, _ = run("builtin-ranges", built / ".tmp_vmlinux2.map", "--thick", built / "modules_thick.builtin")
    symbols = [line.split("\t") for line in run("show", built / "vmlinux")[0].splitlines()]
    address = {line[0].split(" ")[3]: int(line[0].split(" ")[0], 16) for line in symbols}
    base, ranges = {}, []
    for line in out.splitlines():
        section, offsets, *rest = line.split(" ")
        start, end = (int(word, 16) for word in offsets.split("-"))
        if rest[0] == "=":
            base[section] = address[rest[1]] - start
        else:
            ranges.append((base[section] + start, base[section] + end, sorted(name.replace("-", "_") for name in rest)))
    checked = 0
    for symbol, *modules in symbols:
        place, size, _, _ = symbol.split(" ")
        if modules and int(size, 16) and int(place, 16) < address["_etext"]:
            names = [word.strip("[]") for word in modules[0].split(" ")]
            assert names in [owners for start, end, owners in ranges if start <= int(place, 16) < end], symbol
            checked += 1
    assert checked > 40


def test_both_formats_assemble_to_the_same_section(built, tmp_path):
    (tmp_path / "asm").mkdir()
    (tmp_path / "asm/bitsperlong.h").write_text("#define BITS_PER_LONG 64\n")
    options = [
        "--symbols",
        built / "vmlinux",
        "--ranges",
        built / ".tmp_vmlinux2.ranges",
        "--thick",
        built / "modules_thick.builtin",
        "--all-symbols",
        "--base-relative",
    ]
    run("tables", *options, "--format", "text", "-o", tmp_path / "text.S")
    run("tables", *options, "--format", "incbin", "-o", tmp_path / "binary.s")
    sections = []
    for source in ("text.S", "binary.s"):
        subprocess.run(["gcc", "-c", "-D__ASSEMBLY__", f"-I{tmp_path}", "-o", "x.o", source], cwd=tmp_path, check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".rodata", "x.o", "x.bin"], cwd=tmp_path, check=True)
        sections.append((tmp_path / "x.bin").read_bytes())
    assert sections[0] == sections[1] and len(sections[0]) > 5000
    said = run("tables", *options, "--format", "incbin", status=1)[1]
    assert said.startswith("kallmodsyms: --format=incbin writes two files")


def test_names_that_are_too_long(tmp_path):
    """They are left out, and said so once."""
    for name in ("ranges", "thick"):
        (tmp_path / name).touch()
    (tmp_path / "nm").write_text(
        f"1000 T _text\n1000 T _stext\n1010 T {'a' * 512}\n1020 T {'b' * 511}\n1030 t {'c' * 600}\n2000 T _etext\n"
    )
    out, said = run(
        "tables",
        *(
            f"--{name}={tmp_path / file}"
            for name, file in [("symbols", "nm"), ("ranges", "ranges"), ("thick", "thick")]
        ),
    )
    assert (
        said == f"kallmodsyms: warning: symbols left out, for names of 512 bytes or more: 2; the first is {'a' * 60}…\n"
    )
    assert "kallsyms_num_syms:\n\t.long\t4\n" in out


def test_show_and_lookup(built):
    listing, _ = run("show", built / "vmlinux")
    line = next(line for line in listing.splitlines() if "minix_fill_super" in line)
    address, size = line.split(" ")[:2]
    assert run("lookup", built / "vmlinux", "minix_fill_super")[0] == line + "\n"
    inside = f"{int(address, 16) + 1:016x}"
    found = f"{inside} minix_fill_super+0x1/0x{size}\t[minix]\n"
    assert run("lookup", built / "vmlinux", inside)[0] == found
    assert run("lookup", built / "vmlinux", hex(int(inside, 16)))[0] == found
    assert listing == (built / "kallmodsyms").read_text()


def test_show_json(built):
    """The document holds what the two listings do, and says each of its values in a form of its own."""
    for options in ([], ["--kallsyms"]):
        document = json.loads(run("show", "--json", *options, built / "vmlinux")[0])
        lines = []
        for row in document["symbols"]:
            size = "" if row["size"] is None else f"{row['size']:x} "
            line = f"{int(row['address'], 16):016x} {size}{row['type']} {row['name']}"
            lines.append(line + ("\t" + " ".join(f"[{name}]" for name in row["modules"]) if row["modules"] else ""))
            assert row["object"] == ""
        assert list(document) == ["symbols"]
        assert "".join(f"{line}\n" for line in lines) == run("show", *options, built / "vmlinux")[0]


def test_every_address_that_is_listed_is_found(built):
    listed = [line.split(" ", 1)[0] for line in run("show", "--kallsyms", built / "vmlinux")[0].splitlines()]
    out, _ = run("lookup", built / "vmlinux", *(f"0x{address}" for address in listed))
    assert [line.split(" ")[0] for line in out.splitlines()] == listed and "+0x0" in out.splitlines()[-1]


def test_relocated_as_a_running_kernel(built, tmp_path):
    """All symbols but the per-CPU ones move. A copy of another kernel's file is refused, by whatever symbol tells."""

    def moved(by, line):
        address, rest = line.split(" ", 1)
        return f"{int(address, 16) + (0 if rest.startswith('A ') else by):016x} {rest}"

    ours = run("show", "--kallsyms", built / "vmlinux")[0].splitlines()
    # What belongs to a loaded module says nothing, whatever it is called.
    running = [moved(0x5200000, line) for line in ours] + ["ffffffffc0000000 t minix_fill_super\t[other]"]
    (tmp_path / "kallsyms").write_text("".join(f"{line}\n" for line in running))
    show = ["show", "--kallsyms", built / "vmlinux", "--relocate-from", tmp_path / "kallsyms"]
    assert run(*show)[0].splitlines() == running[:-1]
    for name in ("minix_fill_super", "_end"):
        at = next(index for index, line in enumerate(running) if line.endswith(f" {name}"))
        other = [*running[:at], moved(0x40, running[at]), *running[at + 1 :]]
        (tmp_path / "kallsyms").write_text("".join(f"{line}\n" for line in other))
        said = run(*show, status=1)[1]
        assert said.startswith(f"kallmodsyms: {tmp_path}/kallsyms: is of another kernel: {name} is 0x"), said
    (tmp_path / "kallsyms").write_text("".join(f"{'0' * 16} {line.split(' ', 1)[1]}\n" for line in ours))
    assert run(*show, status=1)[1] == (
        f"kallmodsyms: {tmp_path}/kallsyms: does not say where _text is\n  copy /proc/kallsyms as root\n"
    )


def test_lookup_of_nothing(built):
    out, said = run("lookup", built / "vmlinux", "no_such_symbol", "0xfffffff", status=1)
    assert out == ""
    assert said == "".join(
        f"kallmodsyms: {built}/vmlinux: no symbol for {what}\n" for what in ("no_such_symbol", "0xfffffff")
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_a_working_example(command):
    """The example of each command is one that its own parser accepts."""
    from kallmodsyms import cli

    out, _ = run(command, "--help")
    example = out.split("example:\n")[1].replace("\\\n", " ").strip()
    assert "kallmodsyms " + command in example
    words = shlex.split(example.split("kallmodsyms ", 1)[1].split(" | ")[0].rstrip("'"))
    cli._parser().parse_args(words)


def test_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run("--version")[0] == f"kallmodsyms {version}\n"


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("kallmodsyms expo", {"export"}),
        ("kallmodsyms export --mod", {"--module"}),
        ("kallmodsyms show --js", {"--json", "--jsonl"}),
    ],
)
def test_completion(line, wanted, tmp_path):
    """As argcomplete's shell function asks: on file descriptor 8."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = f"{shlex.quote(sys.executable)} -m kallmodsyms 8>{tmp_path}/answer 9>/dev/null"
    subprocess.run(command, shell=True, check=True, env={**environment, "PYTHONPATH": str(ROOT / "pipeline")})
    assert {word.strip() for word in (tmp_path / "answer").read_text().split("\n")} == wanted


def test_a_man_page_is_made_from_the_parser():
    """The command is the README's."""
    readme = (ROOT / "README.md").read_text().replace("\\\n", " ")
    words = shlex.split(next(line for line in readme.splitlines() if "argparse-manpage" in line).partition(">")[0])
    page = subprocess.run(
        [Path(sys.executable).parent / words[0], *words[1:]], capture_output=True, text=True, check=True
    ).stdout
    assert page.startswith('.TH KALLMODSYMS "1"')
    for command in COMMANDS:
        name = command.replace("-", "\\-")
        assert f"'kallmodsyms {name}'" in page


def test_usage_errors():
    for words in (
        [],
        ["frobnicate"],
        ["show"],
        ["lookup", "vmlinux"],
        ["export", "--for", "x"],
        ["exec", "--live"],
        ["tables", "--sizes", "huge"],
        ["thick", "--tree", "x"],
    ):
        run(*words, status=2)


NO_DIRECTORY = "/nowhere: is no directory; it should be"


@pytest.mark.parametrize(
    "words, message",
    [
        (["tristate", "--tree", "/nowhere", "--objdir", "."], f"kallmodsyms: {NO_DIRECTORY} the source tree\n"),
        (["thick", "--tree", TOY, "--objdir", "/nowhere"], f"kallmodsyms: {NO_DIRECTORY} the build directory\n"),
        (["ranges", "/nowhere"], "kallmodsyms: /nowhere: cannot be read: No such file or directory\n"),
        (["show", "/nowhere"], "kallmodsyms: /nowhere: cannot be read: No such file or directory\n"),
    ],
)  # fmt: skip
def test_wrong_inputs(words, message, tmp_path):
    assert run(*words, status=1, cwd=tmp_path)[1] == message


@pytest.mark.parametrize(
    "words",
    ["show {}", "lookup {} schedule", "modules {}", "diff {} {}", "explain --from {}", "export --for perf --from {}"],
)
def test_files_that_are_no_vmlinux(built, tmp_path, words):
    (tmp_path / "bzImage").write_bytes(bytes(0x202) + b"HdrS" + bytes(1000))
    subprocess.run(["strip", "-o", tmp_path / "stripped", built / "vmlinux"], check=True)
    files = {
        tmp_path / "bzImage": "is not an ELF file\n"
        "  a compressed kernel (bzImage, vmlinuz) is of no use: take the vmlinux of the build directory\n",
        tmp_path / "stripped": "has no symbol table\n"
        "  a stripped file is of no use: take the vmlinux of the build directory\n",
        built / "init/main.o": "has no kallsyms tables: kallsyms_num_syms is missing\n"
        "  the kernel was built without CONFIG_KALLSYMS, or the file is no vmlinux\n",
        tmp_path / "nothing": "cannot be read: No such file or directory\n",
    }
    for path, message in files.items():
        said = run(*words.replace("{}", str(path)).split(" "), status=1, stdin=subprocess.DEVNULL)
        assert said == ("", f"kallmodsyms: {path}: {message}")


def test_missing_config(tmp_path):
    said = run("tristate", "--tree", TOY, "--objdir", tmp_path, "--arch", "x86", status=1)[1]
    assert said.startswith(f"kallmodsyms: {tmp_path}/.config: ")


def test_truncated_map(built, tmp_path):
    text = (built / ".tmp_vmlinux2.map").read_text()
    (tmp_path / "map").write_text(text[: len(text) // 2])
    (tmp_path / "out").write_text("old")
    said = run("ranges", tmp_path / "map", "-o", tmp_path / "out", status=1)[1]
    assert said.startswith(f"kallmodsyms: {tmp_path}/map:")
    assert (tmp_path / "out").read_text() == "old"


def test_map_of_another_link(built, tmp_path):
    said = run("ranges", built / ".tmp_vmlinux1.map", "--image", built / "vmlinux", status=1)[1]
    assert "is the map of another link" in said


def test_closed_pipe_is_no_error(built):
    command = f"{shlex.quote(sys.executable)} -m kallmodsyms show {built}/vmlinux | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    )
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_no_shell(built, tmp_path):
    """What needs no command is told; what does is refused where it stands, and nothing ran."""
    tree = tmp_path / "tree"
    shutil.copytree(TOY, tree)
    objdir = tmp_path / "objdir"
    objdir.mkdir()
    shutil.copy(built / ".config", objdir)
    thick = ["thick", "--tree", tree, "--objdir", objdir, "--arch", "x86", "--no-shell"]
    unused = f"unused := $(shell touch {tmp_path}/ran)\nccflags-y += $(shell touch {tmp_path}/ran)\n"
    makefile = tree / "fs/Makefile"
    text = unused + makefile.read_text()
    makefile.write_text(text)
    assert run(*thick)[0] == (built / "modules_thick.builtin").read_text()
    makefile.write_text(text + f"obj-$(shell touch {tmp_path}/ran; echo y) += super.o\n")
    line = text.count("\n") + 1
    assert run(*thick, status=1)[1] == (
        f"kallmodsyms: {makefile}:{line}: needs what a shell command prints, and none may run\n"
        f"    touch {tmp_path}/ran; echo y\n  if you trust this tree, leave --no-shell out\n"
    )
    makefile.write_text(text)
    kconfig = tree / "fs/Kconfig"
    line = kconfig.read_text().count("\n") + 2
    kconfig.write_text(f"{kconfig.read_text()}\nevil := $(shell,touch {tmp_path}/ran)\n")
    assert run(*thick, status=1)[1] == (
        f"kallmodsyms: {kconfig}:{line}: needs what a shell command prints, and none may run\n"
        f"    touch {tmp_path}/ran\n  if you trust this tree, leave --no-shell out\n"
    )
    assert not (tmp_path / "ran").exists()
    run(*thick[:-1])
    assert (tmp_path / "ran").exists()


STREAMS = {
    # what the shell does with {} : status, what is said
    "{} --help | true": (0, ""),
    "{} show {vmlinux} | true": (0, ""),
    "{} show {vmlinux} >&-": (1, "kallmodsyms: standard output is closed\n"),
    "{} lookup {vmlinux} _text >&-": (1, "kallmodsyms: standard output is closed\n"),
    "{} show {vmlinux} -o {file} >&-": (0, ""),
    "{} show {vmlinux} > /dev/full": (1, "kallmodsyms: output: No space left on device\n"),
    "{} --help > /dev/full": (1, "kallmodsyms: output: No space left on device\n"),
    "{} show /nowhere 2>&- | grep -c .": (1, ""),
}


@pytest.mark.parametrize("shell", STREAMS)
def test_streams_that_are_full_or_gone(built, tmp_path, shell):
    status, said = STREAMS[shell]
    program = f"{shlex.quote(sys.executable)} -m kallmodsyms"
    command = shell.replace("{}", program).format(vmlinux=built / "vmlinux", file=tmp_path / "file")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline")}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (status, said)


def test_output_that_cannot_be_written(built):
    said = run("show", built / "vmlinux", "-o", "/proc/nowhere/x", status=1)[1]
    assert said.startswith("kallmodsyms: /proc/nowhere/x: cannot be written: ")
