"""The truth about configurations: scripts/kconfig/conf of a real tree, run as its Makefile runs it."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

OUTPUTS = (".config", "include/config/auto.conf", "include/generated/autoconf.h")


class Conf:
    """`conf` of `tree` in the build directory `objdir`, made there and given the environment that make gives it.

    variables: of make's command line
    environment: that environment. `make` is told to read a Kconfig file that saves it.
    """

    def __init__(self, tree: Path, arch: str, objdir: Path, *variables: str) -> None:
        self.tree = tree
        self.arch = arch
        self.objdir = objdir
        objdir.mkdir(parents=True, exist_ok=True)
        saved = objdir / "environment"
        spy = objdir / "Kconfig.spy"
        spy.write_text(f'mainmenu "Spy"\n\nsaved := $(shell,env -0 > {saved})\n')
        make(tree, arch, objdir, "olddefconfig", f"KBUILD_KCONFIG={spy}", *variables)
        pairs = (pair.partition("=") for pair in saved.read_text().split("\0") if pair)
        self.environment = {name: value for name, _, value in pairs}
        self.clear()

    def clear(self) -> None:
        for name in OUTPUTS:
            (self.objdir / name).unlink(missing_ok=True)

    def run(self, mode: str, kconfig: str = "Kconfig", **variables: str) -> str:
        """Run `conf --mode`; what it says on standard error. Without an auto.conf, every mode also writes one."""
        result = subprocess.run(
            [self.objdir / "scripts/kconfig/conf", "-s", f"--{mode}", kconfig],
            cwd=self.objdir,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stderr

    def outputs(self) -> dict[str, str]:
        return {name: (self.objdir / name).read_text() for name in OUTPUTS}


def make(tree: Path, arch: str, objdir: Path, *arguments: str) -> None:
    """Run make for a configuration target, free of variables of a make that may have started the tests."""
    foreign = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    command = ["make", "-C", tree, f"O={objdir}", f"ARCH={arch}", *arguments]
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def spoiled(config: str, seed: int) -> str:
    """A .config that no longer agrees with its Kconfig files: values changed, lines lost, for odd seeds shuffled."""
    rng = random.Random(seed)

    def lines() -> Iterator[str]:
        for line in config.splitlines():
            name, _, value = line.partition("=")
            chance = rng.random()
            if line.endswith(("=y", "=m")) and chance < 0.08:
                yield rng.choice((f"{name}=y", f"{name}=m", f"# {name} is not set"))
            elif line.endswith(" is not set") and chance < 0.04:
                yield f"{line.split()[1]}={rng.choice('ym')}"
            elif value.lstrip("-").isdigit() and chance < 0.2:
                yield f"{name}={rng.randrange(-9, 1 << 20)}"
            elif chance < 0.98:
                yield line

    result = list(lines())
    if seed % 2:
        rng.shuffle(result)
    return "".join(f"{line}\n" for line in result)
