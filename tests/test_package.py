"""The package: what is installed of the repository works without it, as an ordinary user, where a path has blanks, and
its bytes do not say where or when it was built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import pytest
from toy_kit import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".hypothesis", ".*_cache", "site")
NOBODY = 65534


def run(*words: object, status: int = 0, **more: object) -> str:
    """What a command prints. Asserts its exit status."""
    more = {"capture_output": True, "text": True, **more}
    done = subprocess.run([str(word) for word in words], **more)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def packed(directory: Path, umask: int) -> dict[str, bytes]:
    """The sdist, and the wheel that is made of it, of a copy of the repository in `directory`."""
    shutil.copytree(ROOT, directory, ignore=LEFT_OUT, symlinks=True)
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    run(sys.executable, "-m", "build", "--no-isolation", ".", cwd=directory, env=environment, umask=umask)
    return {path.name: path.read_bytes() for path in (directory / "dist").iterdir()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The bytes of sdist and wheel, by name."""
    return packed(tmp_path_factory.mktemp("packages") / "here", 0o022)


def test_two_directories_give_the_same_bytes(packages, tmp_path):
    assert len(packages) == 2 and packed(tmp_path / "else where", 0o077) == packages


@pytest.fixture(scope="module")
def wheel(packages, tmp_path_factory):
    ((name, content),) = ((name, content) for name, content in packages.items() if name.endswith(".whl"))
    path = tmp_path_factory.mktemp("wheel") / name
    path.write_bytes(content)
    return path


def test_nothing_is_missing_in_the_wheel(wheel):
    """Every file below these folders, and no other."""
    wanted = {"shipped_files/dodo.py"}
    for folder, place in (("pipeline/kallmodsyms", ""), ("config", "shipped_files/"), ("toy_kernel", "shipped_files/")):
        start = ROOT / folder if not place else ROOT
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        wanted |= {f"{place}{path.relative_to(start)}" for path in files}
    there = zipfile.ZipFile(wheel).namelist()
    assert {name for name in there if ".dist-info/" not in name} == {f"kallmodsyms/{name}" for name in wanted}


class Installed:
    """A virtual environment in a path with blanks, and commands in it.

    user: who runs the commands: the numeric user id
    """

    def __init__(self, directory: Path, python: str, user: int) -> None:
        self.directory, self.user = directory, user
        self.bin = directory / "an environment/bin"
        self.library = Path(python).parent.parent / "lib"  # of a copy, whose user cannot look into the original
        run(python, "-m", "venv", self.bin.parent)

    def pip(self, *words: object) -> None:
        run(self.bin / "python", "-m", "pip", "-q", "install", *words)

    def run(self, *words: object, cwd: Path, status: int = 0) -> str:
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
        environment["LD_LIBRARY_PATH"] = str(self.library)
        who = {} if self.user == os.getuid() else {"user": self.user, "group": self.user, "extra_groups": []}
        return run(*words, cwd=cwd, status=status, env=environment, **who)


def check_the_toy(installed: Installed, place: Path) -> None:
    """All of README's "The toy kernel", by a user who has the package alone."""
    said = installed.run("kallmodsyms", "build", cwd=place, status=3)
    assert "' ' in it" in said and "`kallmodsyms demo DIR` puts it elsewhere" in said and "Traceback" not in said
    built = installed.run("kallmodsyms", "demo", "toy", cwd=place)
    toy = place / "toy"
    assert ".  vmlinux" in built and f"listing      {toy / 'build/toy/kallmodsyms'}" in built
    listing = installed.run("build/toy/vmlinux", "kallmodsyms", cwd=toy)
    assert listing == installed.run("kallmodsyms", "show", "build/toy/vmlinux", cwd=toy) and "[minix]" in listing
    # An edit there, and all that the words of doit can say.
    source = toy / "toy_kernel/fs/minix/inode.c"
    assert installed.run("kallmodsyms", "why", "fs/minix/inode.o", cwd=toy) == "fs/minix/inode.o: up to date\n"
    source.write_text(source.read_text() + "int kallmodsyms_was_here;\n")
    again = installed.run("kallmodsyms", "build", "-n", "2", cwd=toy)
    assert [line for line in again.splitlines() if ".  compile:" in line] == [".  compile:fs/minix/inode.o"]
    assert ".  " not in installed.run("python", "-m", "doit", cwd=toy)  # the same graph, and nothing to do
    assert "compile:fs/minix/inode.o" in installed.run("kallmodsyms", "build", "list", "--all", cwd=toy)
    assert "is there already" in installed.run("kallmodsyms", "demo", "toy", cwd=place, status=1)


def test_as_installed(wheel, tmp_path):
    installed = Installed(tmp_path, sys.executable, os.getuid())
    installed.pip("--no-index", "--no-deps", wheel)
    # What it depends on is taken from here, and not installed once more.
    packages = next((installed.bin.parent / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    source = installed.run("python", "-c", "import kallmodsyms as k; print(k.__file__)", cwd=tmp_path)
    assert Path(source.strip()).is_relative_to(packages)
    check_the_toy(installed, tmp_path)


def interpreter(version: str, directory: Path) -> Path | None:
    """A Python of that version that everybody may run: Debian's, or a copy of pyenv's."""
    debian = Path(f"/usr/bin/python{version}")
    if debian.exists():
        return debian
    for found in sorted(Path.home().glob(f".pyenv/versions/{version}.*")):
        unwanted = shutil.ignore_patterns("test", "site-packages", "__pycache__")
        copy = shutil.copytree(found, directory / "python", ignore=unwanted, symlinks=True)
        return copy / "bin/python3"
    return None


@pytest.fixture
def public():
    """A directory that everybody may look into, as those of pytest are not."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def of_nobody(path: Path) -> Path:
    run("chown", "-R", NOBODY, path)
    return path


def for_nobody(wheel: Path, directory: Path, version: str) -> Installed:
    """The wheel with its dependencies from the index, in an environment that its user cannot write."""
    python = interpreter(version, directory)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    installed = Installed(directory, str(python), NOBODY)
    installed.pip(wheel)
    (directory / "place").mkdir()
    of_nobody(directory / "place")
    return installed


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_as_nobody_on_each_python(wheel, public, version):
    installed = for_nobody(wheel, public, version)
    assert installed.run("python", "-V", cwd=public).startswith(f"Python {version}.")
    check_the_toy(installed, public / "place")


@pytest.mark.long
def test_a_real_kernel_as_nobody(wheel, public, linux_6_1):
    """The profile, the hook and the C sources are below a path with a blank."""
    installed, place = for_nobody(wheel, public, "3.11"), public / "place"
    tree = of_nobody(Path(shutil.copytree(linux_6_1, place / "linux", symlinks=True)))
    words = ["profile=linux-small", f"tree={tree}"]
    installed.run("kallmodsyms", "build", *words, cwd=place)
    listing = installed.run("kallmodsyms", "show", "build/linux-small/vmlinux", cwd=place)
    assert "\t[ext4]\n" in listing and " kallmodsyms_open" in listing
    assert ".  " not in installed.run("kallmodsyms", "build", *words, cwd=place)
