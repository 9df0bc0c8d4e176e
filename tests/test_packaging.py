"""What distributions package: the Debian package of this repository, the hooks of kernel packages, the macros for specs
of kernels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_package import LEFT_OUT, run
from toy_kit import ROOT, Toy

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
HOOKS = ROOT / "packaging/kernel-hooks"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    toy = Toy(tmp_path_factory.mktemp("toy"))
    toy.doit()
    return toy


def hook(name: str, root: Path) -> str:
    """What run-parts says that calls the hooks of a kernel package, as its maintainer scripts do."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DPKG_ROOT": str(root)}
    words = ["run-parts", "--arg=6.1.0-test", "--arg=/boot/vmlinuz-6.1.0-test", HOOKS / f"{name}.d"]
    return run(*words, env=environment)


@pytest.mark.parametrize("place", ["usr/lib/debug/lib/modules/6.1.0-test", "lib/modules/6.1.0-test/build"])
def test_hooks_of_a_kernel_package(toy, tmp_path, place):
    listing = tmp_path / "var/lib/kallmodsyms/6.1.0-test"
    assert hook("postinst", tmp_path) == "" and not listing.exists()
    (tmp_path / place).mkdir(parents=True)
    image = tmp_path / place / "vmlinux"
    shutil.copy(toy.objdir / "vmlinux", image)
    assert hook("postinst", tmp_path) == f"kallmodsyms: {listing} lists the symbols of 6.1.0-test\n"
    assert listing.read_bytes() == toy.output("kallmodsyms")
    assert hook("postrm", tmp_path) == "" and not listing.exists()
    # A kernel without our tables is no failure of its package.
    shutil.copy(toy.objdir / "init/main.o", image)
    assert hook("postinst", tmp_path) == "" and list(listing.parent.iterdir()) == []


@pytest.mark.long
def test_the_debian_package(tmp_path):
    """The same bytes from two directories; no error of lintian; and it works with what Debian 12 has of its
    dependencies.
    """
    packages = []
    for name, umask in (("here", 0o022), ("elsewhere", 0o077)):
        shutil.copytree(ROOT, tmp_path / name / "source", ignore=LEFT_OUT, symlinks=True)
        environment = {"PATH": SYSTEM, "LANG": "C.UTF-8", "TZ": "Asia/Tokyo" if umask == 0o077 else "UTC"}
        build = ["dpkg-buildpackage", "-us", "-uc", "-b"]
        run(*build, cwd=tmp_path / name / "source", env=environment, umask=umask)
        packages += (tmp_path / name).glob("*.deb")
    one, other = packages
    assert one.read_bytes() == other.read_bytes()
    run("lintian", "--no-cfg", "--fail-on", "error", *one.parent.glob("*.changes"))
    there = tmp_path / "installed"
    run("dpkg-deb", "-x", one, there)
    environment = {"PATH": f"{there}/usr/bin:{SYSTEM}", "PYTHONPATH": f"{there}/usr/lib/python3/dist-packages"}
    (tmp_path / "test").mkdir()
    run("sh", ROOT / "debian/tests/toy", env=environment | {"AUTOPKGTEST_TMP": str(tmp_path / "test")})
    man = subprocess.run(["man", "-l", there / "usr/share/man/man1/kallmodsyms.1.gz"], capture_output=True, text=True)
    assert "kallmodsyms - which module a kernel symbol belongs to" in man.stdout


SPEC = """\
Name: kernel
Version: 6.1.0
Release: 1
Summary: a kernel
License: GPL-2.0
%define debug_package %{nil}
%define __strip /bin/true
%description
A kernel.
%build
cd {objdir}
make {words} %{kallmodsyms_make} vmlinux
%install
cd {objdir}
%kallmodsyms_listing 6.1.0-1
%files
/lib/modules/6.1.0-1/kallmodsyms
"""


@pytest.mark.long
def test_macros_for_a_spec(toy, built, tmp_path):
    """rpmbuild of a spec that uses them, on a kernel that was built without them."""
    objdir = tmp_path / "objdir"
    shutil.copytree(built, objdir, symlinks=True)
    (objdir / "vmlinux").unlink()
    spec = tmp_path / "kernel.spec"
    words = "ARCH=x86"
    spec.write_text(SPEC.replace("{objdir}", str(objdir)).replace("{words}", words))
    macros = ROOT / "packaging/rpm/macros.kallmodsyms"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["rpmbuild", "-bb", "--nodeps", f"--load={macros}", f"--define=_topdir {tmp_path}/rpm", spec]
    run(*command, env=environment)
    ((package),) = (tmp_path / "rpm/RPMS").rglob("*.rpm")
    listing = run("sh", "-c", f"rpm2cpio {package} | cpio -i --quiet --to-stdout '*/kallmodsyms'")
    assert listing == (built / "kallmodsyms").read_text()
