"""A changed .config in; what the tree's make was told of it, brought up to date as `conf --syncconfig` does, out:

    include/config/NAME             touched for each symbol with another value: objects depend on them
    include/generated/autoconf.h    for C, rustc_cfg for Rust
    include/config/auto.conf        for makefiles; the last, and auto.conf.cmd before it: make goes by their times

Format and order: conf_write_autoconf() in scripts/kconfig/confdata.c of Linux 6.1 and 6.12.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kallmodsyms import files, kconfig
from kallmodsyms.configured import Configured
from kallmodsyms.facts import Fact
from kallmodsyms.plan.lists import AUTO_CONF, AUTOCONF_H

_DEPENDENCIES = f"{AUTO_CONF}.cmd"
_RUSTC_CFG = "include/generated/rustc_cfg"
WRITES = (AUTOCONF_H, _RUSTC_CFG, AUTO_CONF)


def run(configured: Configured) -> Iterator[Fact]:
    """Bring these files up to date, where make has made them before."""
    yield Fact("order", AUTO_CONF, None)
    objdir = configured.objdir
    if not all((objdir / path).exists() for path in (AUTO_CONF, _DEPENDENCIES)):
        return  # make makes them
    found = configured.configuration
    texts = {AUTOCONF_H: kconfig.autoconf_h(found), AUTO_CONF: kconfig.auto_conf(found)}
    old, new = _assigned(files.read_text(objdir / AUTO_CONF)), _assigned(texts[AUTO_CONF])
    for name in sorted(name for name in old.keys() | new if old.get(name) != new.get(name)):
        stamp = objdir / "include/config" / _stamp(objdir, name)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    if (objdir / _RUSTC_CFG).exists():
        texts[_RUSTC_CFG] = kconfig.rustc_cfg(found)
    (objdir / _DEPENDENCIES).touch()
    for path in WRITES:
        if path in texts:
            files.write(objdir / path, texts[path])
            (objdir / path).touch()


def _assigned(text: str) -> dict[str, str]:
    """The values in an auto.conf, as they are written there."""
    lines = (line.partition("=") for line in text.splitlines())
    return {name.removeprefix("CONFIG_"): value for name, equals, value in lines if equals and name[:1] != "#"}


def _stamp(objdir: Path, name: str) -> str:
    """The file that stands for a symbol below include/config: FOO_BAR; foo/bar.h before Linux 5.14 (0e0345b77ac4)."""
    old = any(entry.endswith(".h") for entry in os.listdir(objdir / "include/config"))
    return f"{name.lower().replace('_', '/')}.h" if old else name
