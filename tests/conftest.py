"""Fixtures shared by all tests: where the real kernel trees are.

`linux-source-6.1` and `linux-source-6.12` are Debian packages that leave a tarball under /usr/src. It is unpacked once,
beside the other caches of the user, and never modified; set KALLMODSYMS_TREES to use a directory that already holds the
unpacked trees.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

VERSIONS = ("6.1", "6.12")


def trees_directory() -> Path:
    """Where unpacked kernel trees live: `linux-source-6.1/` and so on below it."""
    named = os.environ.get("KALLMODSYMS_TREES")
    return Path(named) if named else Path.home() / ".cache" / "kallmodsyms"


def other_versions() -> list[str]:
    """The releases whose trees are there as `linux-VERSION`."""
    return sorted(path.parent.name.removeprefix("linux-") for path in trees_directory().glob("linux-[0-9]*/Makefile"))


def linux_tree(version: str) -> Path:
    """The unpacked tree of Debian's `linux-source-VERSION`, or `linux-VERSION` for other releases than CI's.

    Fails the test where the package is missing.
    """
    if version in other_versions():
        return trees_directory() / f"linux-{version}"
    tree = trees_directory() / f"linux-source-{version}"
    if not (tree / "Makefile").is_file():
        tarball = Path(f"/usr/src/linux-source-{version}.tar.xz")
        if not tarball.is_file():
            pytest.fail(f"{tarball} is missing: apt-get install linux-source-{version}")
        tree.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-xf", tarball, "-C", tree.parent], check=True)
    return tree


@pytest.fixture(scope="session", params=VERSIONS)
def linux(request) -> Path:
    """Each real kernel tree in turn."""
    return linux_tree(request.param)


@pytest.fixture(
    scope="session", params=[*VERSIONS, *(pytest.param(name, marks=pytest.mark.long) for name in other_versions())]
)
def any_linux(request) -> Path:
    """Each real kernel tree in turn, and in long tests what else KALLMODSYMS_TREES has."""
    return linux_tree(request.param)


@pytest.fixture(scope="session")
def linux_6_1() -> Path:
    return linux_tree("6.1")


@pytest.fixture(scope="session")
def linux_6_12() -> Path:
    return linux_tree("6.12")


@pytest.fixture(scope="session")
def make_linux():
    """A function that runs a task of the graph for config/linux-small.yaml: make_linux(objdir, tree, *tasks)."""

    def make(objdir: Path, tree: Path, *tasks: str) -> None:
        command = [
            sys.executable,
            "-m",
            "doit",
            "profile=config/linux-small.yaml",
            f"tree={tree}",
            f"objdir={objdir}",
            *tasks,
        ]
        done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    return make


@pytest.fixture(scope="session")
def built(linux_6_1, make_linux, tmp_path_factory):
    """The build directory of config/linux-small.yaml: about four minutes on two cores.

    KALLMODSYMS_BUILDS=DIR keeps it in DIR from one session to the next.
    """
    kept = os.environ.get("KALLMODSYMS_BUILDS")
    objdir = Path(kept, "linux-small-6.1") if kept else tmp_path_factory.mktemp("linux") / "objdir"
    make_linux(objdir, linux_6_1)
    return objdir


@pytest.fixture(scope="session")
def toy_builds(tmp_path_factory):
    """Two builds of the toy kernel and the numbers of their report (report_kit.py): ten seconds."""
    from report_kit import Builds

    return Builds(tmp_path_factory.mktemp("report"))


def pytest_sessionfinish(session, exitstatus):
    """Where every test should be able to run (CI sets KALLMODSYMS_NO_SKIPS), a skipped one is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KALLMODSYMS_NO_SKIPS") and exitstatus == 0 and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
