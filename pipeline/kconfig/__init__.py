"""Kconfig files and a .config in; what every symbol is worth out, and the files that the kernel's build reads it from.

    language    the parser: kconfiglib with the dialects of newer kernels
    output      tristate.conf, auto.conf, autoconf.h
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import kconfiglib

from pipeline.errors import InputError
from pipeline.files import read_bytes
from pipeline.kconfig.language import TRANSITIONAL, Kconfig, parse
from pipeline.kconfig.output import auto_conf, autoconf_h, tristate_conf

__all__ = ["Configuration", "auto_conf", "autoconf_h", "dot_config", "load", "tristate_conf"]


@dataclass(frozen=True)
class Configuration:
    """What a .config means.

    values: symbol (without CONFIG_) to value, as auto.conf has it and in its order: y, m, a number, a string without quotes.
        A symbol that is n or not written is absent
    types: of the same symbols: bool, tristate, int, hex or string, as declared (MODULES=n changes nothing)
    tristates: every symbol of the tree that is declared tristate, whatever its value
    files: the Kconfig files, relative to the tree, in the order of their first reading
    title: the main menu's title, second line of the header comment
    quoted: auto.conf of this tree has strings in quotes (before 5.17, 129ab0d2d9f3)
    warnings: what is odd in the .config, `path:line: ...` each: an unknown symbol, a value that the symbol cannot have
    """

    values: dict[str, str]
    types: dict[str, str]
    tristates: frozenset[str]
    files: tuple[str, ...]
    title: str
    quoted: bool
    warnings: tuple[str, ...]


def load(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    *,
    objdir: str | os.PathLike[str] | None = None,
) -> Configuration:
    """What `config_file` means in `tree`.

    A symbol that the file does not mention gets its default, as `make olddefconfig` would give it.

    environment: the variables that the tree's top Makefile exports. The process environment is not looked at, except by
        the commands of $(shell). ARCH defaults to `arch`, SRCARCH and srctree to what they usually are
    objdir: where $(shell) runs; the directory of `config_file` if None
    Raises InputError for whatever is wrong with a Kconfig file or the .config.
    """
    kconfig, warnings = _evaluated(tree, config_file, arch, environment, objdir)
    order = list(_written(kconfig))
    size = _hash_size(kconfig.tree)
    if size:
        order.sort(key=lambda symbol: _bucket(symbol.name, size))
    return Configuration(
        values={symbol.name: symbol.str_value for symbol in order},
        types={symbol.name: kconfiglib.TYPE_TO_STR[symbol.orig_type] for symbol in order},
        tristates=frozenset(
            symbol.name for symbol in kconfig.unique_defined_syms if symbol.orig_type is kconfiglib.TRISTATE
        ),
        files=tuple(dict.fromkeys(kconfig.kconfig_filenames)),
        title=kconfig.mainmenu_text,
        quoted=_quotes(kconfig.tree),
        warnings=tuple(warnings),
    )


def dot_config(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    *,
    objdir: str | os.PathLike[str] | None = None,
) -> str:
    """The full .config that follows from a partial one, as `make olddefconfig` writes it. Arguments and errors as `load`."""
    kconfig, _ = _evaluated(tree, config_file, arch, environment, objdir)
    header = f"#\n# Automatically generated file; DO NOT EDIT.\n# {kconfig.mainmenu_text}\n#\n"
    return kconfig._config_contents(header)


def _evaluated(tree, config_file, arch, environment, objdir) -> tuple[Kconfig, list[str]]:
    tree = Path(tree).absolute()
    config_file = Path(config_file).absolute()
    objdir = config_file.parent if objdir is None else Path(objdir).absolute()
    if not (tree / "Kconfig").is_file():
        raise InputError("no Kconfig file here", path=tree, cure="is this the top of a kernel tree?")
    read_bytes(config_file)
    kconfig = parse(tree, objdir, {"ARCH": arch, "SRCARCH": arch, "srctree": str(tree), **environment})
    parsed = len(kconfig.warnings)
    kconfig.warn_assign_undef = True
    kconfig.load_config(str(config_file))
    return kconfig, kconfig.warnings[parsed:]


def _written(kconfig: Kconfig):
    """The symbols that auto.conf lists, latest mention first."""
    for symbol in reversed(kconfig.syms.values()):
        if not symbol.nodes or any(node.prompt and node.prompt[0] == TRANSITIONAL for node in symbol.nodes):
            continue
        line = symbol.config_string
        if line and not line.startswith("#"):
            yield symbol


def _hash_size(tree: Path) -> int | None:
    """The number of buckets of the symbol table of the tree's `conf`, which decides the order of auto.conf. None: no `conf`."""
    for header in ("internal.h", "lkc.h", "expr.h", "lkc_proto.h"):
        path = tree / "scripts/kconfig" / header
        text = path.read_text() if path.is_file() else ""
        if match := re.search(r"#define\s+SYMBOL_HASHSIZE\s+(?:\(1U? << (\d+)\)|(\d+))", text):
            return 1 << int(match[1]) if match[1] else int(match[2])
    return None


def _bucket(name: str, size: int) -> int:
    """FNV-1a, 32 bits: strhash() in scripts/kconfig/symbol.c, hash_str() in scripts/include/hash.h since 6.12."""
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % size


def _quotes(tree: Path) -> bool:
    path = tree / "scripts/kconfig/confdata.c"
    return path.is_file() and not re.search(r"OUTPUT_N_NONE,\s*false", path.read_text())
