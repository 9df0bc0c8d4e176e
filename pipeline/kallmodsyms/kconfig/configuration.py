"""What a .config means, as the rest of the package reads it."""

from __future__ import annotations

from typing import NamedTuple


class Configuration(NamedTuple):
    """What a .config means.

    values: symbol (without CONFIG_) to value, as auto.conf has it and in its order: y, m, a number, a string without
        quotes. A symbol that is n or not written is absent
    types: of the same symbols: bool, tristate, int, hex or string, as declared (MODULES=n changes nothing)
    tristates: every symbol of the tree that is declared tristate, whatever its value
    files: the Kconfig files, relative to the tree, in the order of their first reading
    title: the main menu's title, second line of the header comment
    quoted: auto.conf of this tree has strings in quotes (before 5.17, 129ab0d2d9f3)
    warnings: what is odd in the .config, `path:line: ...` each: an unknown symbol, a value that the symbol cannot have,
        two assignments that contradict each other, one that dependencies overrule; what the Kconfig files had to say
    reread: why the Kconfig files were read; None if the ledger knew what they say
    """

    values: dict[str, str]
    types: dict[str, str]
    tristates: tuple[str, ...]
    files: tuple[str, ...]
    title: str
    quoted: bool
    warnings: tuple[str, ...]
    reread: str | None
