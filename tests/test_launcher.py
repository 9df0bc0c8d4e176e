"""A launcher before the compilers: a real ccache, and distcc with two real distccd on the loopback.

The oracle is a build without one.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time

import pytest
from conf import Conf
from toy_kit import ROOT, Toy

from kallmodsyms import profile


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("plain"))
    toy.tasks = toy.ran()
    return toy


@pytest.fixture
def toy(plain, tmp_path):
    return plain.elsewhere(tmp_path)


def compilations(toy):
    return sum(name.startswith("compile:") for name in toy.tasks)


def test_ccache(plain, toy):
    """A second build directory takes everything from it, and what comes out is the same."""
    toy.environment |= {"CCACHE_DIR": str(toy.directory / "cache"), "CCACHE_NOHASHDIR": "1"}
    toy.environment |= {"CCACHE_BASEDIR": str(toy.directory)}

    def counts():
        said = subprocess.run(
            ["ccache", "--print-stats"], env=toy.environment, capture_output=True, text=True, check=True
        ).stdout
        found = dict(line.split("\t") for line in said.splitlines())
        return [int(found[name]) for name in ("direct_cache_hit", "preprocessed_cache_hit", "cache_miss")]

    assert toy.ran("launcher=ccache") == plain.tasks and toy.outputs() == plain.outputs()
    hits, more, missed = counts()
    assert hits == more == 0 and missed >= compilations(plain)
    shutil.rmtree(toy.objdir)
    assert toy.ran("launcher=ccache") == plain.tasks and toy.outputs() == plain.outputs()
    assert counts()[2] == missed and sum(counts()) == 2 * missed
    assert toy.ran("launcher=ccache") == []
    # Another launcher, or none, is another command.
    assert "compile:init/main.o" in toy.ran() and toy.outputs() == plain.outputs()


@pytest.fixture
def servers(tmp_path):
    """Two distccd: (port, process, log) of each."""
    started = []
    for number in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / f"log{number}"
        command = ["distccd", "--no-detach", "--daemon", "--listen", "127.0.0.1", "--allow", "127.0.0.1"]
        command += ["--port", str(port), "--jobs", "2", "--log-stderr", "--log-level", "info", "--user", "nobody"]
        with log.open("w") as said:
            started.append((port, subprocess.Popen(command, start_new_session=True, stderr=said), log))
    try:
        for port, process, _ in started:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None
                time.sleep(0.05)
        yield started
    finally:
        for _, process, _ in started:
            process.terminate()
            process.wait(10)


def compiled(log):
    return len(re.findall(r"COMPILE_OK", log.read_text(errors="replace")))


def with_distcc(toy, servers):
    hosts = " ".join(f"127.0.0.1:{port}/2" for port, _, _ in servers)
    toy.environment |= {"DISTCC_HOSTS": hosts, "DISTCC_DIR": str(toy.directory / "distcc"), "DISTCC_FALLBACK": "0"}
    (toy.directory / "distcc").mkdir()
    return toy


def test_distcc(plain, toy, servers):
    """Both did some of it, no object was compiled here (which is forbidden), and what comes out is the same."""
    assert with_distcc(toy, servers).ran("-n", "4", "launcher=distcc") == plain.tasks
    assert toy.outputs() == plain.outputs()
    done = [compiled(log) for _, _, log in servers]
    assert min(done) > 0 and sum(done) > compilations(plain) / 2, done


def test_a_distccd_that_is_lost(plain, toy, servers):
    """In the middle of the build; the other one goes on."""
    with_distcc(toy, servers)
    toy.environment["DISTCC_FALLBACK"] = "1"
    doit = subprocess.Popen(
        toy.command("-n", "4", "launcher=distcc"), env=toy.environment, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not compiled(servers[0][2]):
        assert doit.poll() is None
        time.sleep(0.01)
    servers[0][1].kill()
    out, err = doit.communicate(timeout=120)
    assert doit.returncode == 0 and "Traceback" not in out + err, out + err
    assert toy.outputs() == plain.outputs() and toy.ran("launcher=distcc") == []
    assert compiled(servers[1][2]) > 0


@pytest.mark.parametrize(
    "make, compilers",
    [
        ({}, {"CC": "ccache gcc", "HOSTCC": "ccache gcc"}),
        ({"CC": "gcc-12"}, {"CC": "ccache gcc-12", "HOSTCC": "ccache gcc"}),
        ({"LLVM": "1"}, {"CC": "ccache clang", "HOSTCC": "ccache clang"}),
        ({"LLVM": "-14"}, {"CC": "ccache clang-14", "HOSTCC": "ccache clang-14"}),
        ({"LLVM": "/usr/bin/"}, {"CC": "ccache /usr/bin/clang", "HOSTCC": "ccache /usr/bin/clang"}),
        ({"CROSS_COMPILE": "x86_64-linux-gnu-"}, {"CC": "ccache x86_64-linux-gnu-gcc", "HOSTCC": "ccache gcc"}),
    ],
    ids=str,
)
def test_the_compilers_of_a_real_tree(linux_6_12, tmp_path, make, compilers):
    """As the tree's own make exports them to what it runs."""
    chosen = profile.Profile(tmp_path, linux_6_12, tmp_path, "x86", tmp_path, make=make, launcher=("ccache",))
    theirs, ours = (
        Conf(linux_6_12, "x86", tmp_path, *(f"{name}={value}" for name, value in variables.items())).environment
        for variables in (make, chosen.variables)
    )
    assert (
        {name: ours[name] for name in compilers} == compilers == {name: f"ccache {theirs[name]}" for name in compilers}
    )
