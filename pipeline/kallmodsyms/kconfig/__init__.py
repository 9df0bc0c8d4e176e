"""Kconfig files and a .config in; what every symbol is worth out, and the files that the kernel's build reads it from.

language       Kconfig files -> parsed symbols (kconfiglib with the dialects of newer kernels)
build          parsed symbols -> a model: what values follow from, in compact form
memory         what both came to, from the ledger if nothing changed
dotconfig      .config -> assignments; values -> .config
values         a model, assignments -> values
configuration  what a .config means, as the rest of the package reads it
output         a Configuration -> tristate.conf, auto.conf, autoconf.h
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path

from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import dotconfig, values
from kallmodsyms.kconfig.configuration import Configuration
from kallmodsyms.kconfig.memory import Memory, known_model
from kallmodsyms.kconfig.output import auto_conf, autoconf_h, rustc_cfg, tristate_conf
from kallmodsyms.ledger import Ledger

__all__ = [
    "Configuration",
    "auto_conf",
    "autoconf_h",
    "dot_config",
    "known_model",
    "load",
    "rustc_cfg",
    "tristate_conf",
]


def load(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    *,
    objdir: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
) -> Configuration:
    """What `config_file` means in `tree`.

    A symbol that the file does not mention gets its default, as `make olddefconfig` would give it.

    environment: the variables that the tree's top Makefile exports. $(NAME) sees no others; the commands of $(shell)
        also have those of this process. ARCH defaults to `arch`, SRCARCH and srctree to what they usually are
    objdir: where $(shell) runs; the directory of `config_file` if None
    ledger: what is known from earlier runs, so that the Kconfig files need not be read (module `memory`); None: nothing
    Raises InputError for whatever is wrong with a Kconfig file or the .config.
    """
    memory, config_file = _memory(tree, config_file, arch, environment, objdir, ledger)
    known = memory.configuration(config_file)
    if known is not None:
        return known
    with _recursion(10_000):
        model, reread = memory.model()
    assigned, lines, odd = dotconfig.read(config_file, model)
    with _recursion(50_000):
        result = values.compute(model, assigned)
    names, types = model.names, model.types
    written = {item: result.text(item) for item in model.order if item in result.written}
    listed = [item for item, text in written.items() if text != "n" or types[item] not in ("bool", "tristate")]
    found = Configuration(
        values={names[item]: written[item] for item in listed},
        types={names[item]: types[item] for item in listed},
        tristates=tuple(model.tristates),
        files=tuple(model.files),
        title=model.title,
        quoted=model.dialect.quoted,
        warnings=(*model.notices, *odd, *dotconfig.overruled(config_file, model, assigned, lines, result)),
        reread=reread,
    )
    memory.keep(config_file, found)
    return found


def dot_config(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    *,
    objdir: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
) -> str:
    """The full .config that follows from a partial one, as `make olddefconfig` writes it. Otherwise as `load`."""
    memory, config_file = _memory(tree, config_file, arch, environment, objdir, ledger)
    with _recursion(10_000):
        model, _ = memory.model()
    assigned, _, _ = dotconfig.read(config_file, model)
    with _recursion(50_000):
        return dotconfig.write(model, values.compute(model, assigned))


def _memory(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    objdir: str | os.PathLike[str] | None,
    ledger: Ledger | None,
) -> tuple[Memory, Path]:
    """What is known of this tree, and the absolute path of the .config."""
    tree, config_file = Path(tree).absolute(), Path(config_file).absolute()
    objdir = config_file.parent if objdir is None else Path(objdir).absolute()
    if not objdir.is_dir():
        raise InputError("is no directory; it should be the build directory", path=objdir)
    for path, cure in (
        (tree / "Kconfig", "is this the top of a kernel tree?"),
        (config_file, "make one, with `make ARCH=... O=... defconfig` say"),
    ):
        if not path.exists():
            raise InputError("no such file", path=path, cure=cure)
    defaults = {"ARCH": arch, "SRCARCH": arch, "srctree": str(tree)}
    known = ChainMap(environment, defaults)  # type: ignore[arg-type]  # typeshed wants mutable ones
    return Memory(ledger or Ledger(None, tree, objdir), tree, objdir, known), config_file


@contextlib.contextmanager
def _recursion(limit: int) -> Iterator[None]:
    """Allow calls this deep. kconfiglib takes one for each `select` of a symbol (6.12 selects REGMAP_I2C 497 times) and
    Python allows 1000. Evaluation may go deeper than parsing, so that what is too deep is found while there is a line
    to blame.
    """
    saved = sys.getrecursionlimit()
    sys.setrecursionlimit(max(saved, limit))
    try:
        yield
    finally:
        sys.setrecursionlimit(saved)
