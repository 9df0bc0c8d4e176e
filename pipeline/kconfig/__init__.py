"""Kconfig files and a .config in; what every symbol is worth out, and the files that the kernel's build reads it from.

    language     Kconfig files -> parsed symbols (kconfiglib with the dialects of newer kernels)
    model        parsed symbols -> what values follow from, compact
    dotconfig    .config -> assignments; values -> .config
    values       a model, assignments -> values
    output       a Configuration -> tristate.conf, auto.conf, autoconf.h
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.kconfig import dotconfig, language, model, values
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
    warnings: what is odd in the .config, `path:line: ...` each: an unknown symbol, a value that the symbol cannot have, two
        assignments that contradict each other, one that dependencies overrule
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
    symbols, config_file = _model(tree, config_file, arch, environment, objdir)
    assigned, lines, warnings = dotconfig.read(config_file, symbols)
    result = values.compute(symbols, assigned)
    found: dict[str, str] = {}
    types: dict[str, str] = {}
    for item in symbols.order:
        if item in result.written:
            text, type_ = result.text(item), symbols.symbols[item].type
            if text != "n" or type_ not in ("bool", "tristate"):
                name = symbols.names[item]
                found[name] = text
                types[name] = type_
    warnings += dotconfig.overruled(config_file, symbols, assigned, lines, result)
    return Configuration(
        values=found,
        types=types,
        tristates=frozenset(symbols.names[item] for item in symbols.order if symbols.symbols[item].type == "tristate"),
        files=tuple(symbols.files),
        title=symbols.title,
        quoted=symbols.dialect.quoted,
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
    symbols, config_file = _model(tree, config_file, arch, environment, objdir)
    assigned, _, _ = dotconfig.read(config_file, symbols)
    return dotconfig.write(symbols, values.compute(symbols, assigned))


def _model(
    tree: str | os.PathLike[str],
    config_file: str | os.PathLike[str],
    arch: str,
    environment: Mapping[str, str],
    objdir: str | os.PathLike[str] | None,
) -> tuple[model.Model, Path]:
    tree = Path(tree).absolute()
    config_file = Path(config_file).absolute()
    objdir = config_file.parent if objdir is None else Path(objdir).absolute()
    for path, cure in (
        (tree / "Kconfig", "is this the top of a kernel tree?"),
        (config_file, "make one, with `make ARCH=... O=... defconfig` say"),
    ):
        if not path.is_file():
            raise InputError("no such file", path=path, cure=cure)
    environment = {"ARCH": arch, "SRCARCH": arch, "srctree": str(tree), **environment}
    return model.build(language.parse(tree, objdir, environment)), config_file
