"""What the values of a configuration follow from, and nothing else: numbers, strings, lists and dicts, which `cache`
can keep.

Symbols, constants and choices are items. An item and an expression are both known by a number: first come the items, of
which 0, 1, 2 are the constants n, m, y, whose value is their number, then the operations:

    (AND, (number, ...))        the least of them
    (OR, (number, ...))         the greatest
    (NOT, (number,))            2 - it
    ("=", (item, item))         also != < <= > >=: y or n
"""

from __future__ import annotations

from typing import NamedTuple

from kallmodsyms.release import ConfDialect

N, M, Y = range(3)
AND, OR, NOT = range(3)
Operation = tuple[int | str, tuple[int, ...]]


class Choice(NamedTuple):
    """type: bool or tristate. defaults: (member, condition). members: in the order of the Kconfig file."""

    type: str
    prompt: int
    optional: bool
    defaults: tuple[tuple[int, int], ...]
    members: tuple[int, ...]


class Model(NamedTuple):
    """The first lists have an entry an item; what only some items have is a dict by item.

    names: "" for a choice. Constants and undefined symbols have no type and are worth their name
    types: bool, tristate, int, hex, string or ""
    prompts: where the symbol can be set, N if nowhere
    depends, selected, implied: the expressions that the values of `depends on`, `select` and `imply` come to
    defaults: (value, condition), the first that holds counts. The value is an item for int, hex, string
    ranges: (low item, high item, condition), the first that holds counts
    member_of: the choice that a symbol belongs to
    transitional: symbols that take the value they are given although they have no prompt (6.18)
    operations: see above
    modules: the item whose value allows m
    order: the defined symbols in the order of auto.conf
    plain: of each in `order`, 1 if it is a bool or tristate that nothing but its prompt can give a value: most are, and
        the prompts of most cannot be seen
    tristates: the names of the symbols that are declared tristate
    layout: the menu tree as .config has it: a symbol's item, or a heading (text, condition, what): "comment", "menu"
        and, after what is in the menu, "end"
    files: the Kconfig files, relative to the tree, in the order of their first reading
    title: the main menu's
    notices: what the Kconfig files had to say while they were read, `path:line: ...`
    """

    names: list[str]
    types: list[str]
    prompts: list[int]
    depends: list[int]
    selected: list[int]
    implied: list[int]
    defaults: dict[int, tuple[tuple[int, int], ...]]
    ranges: dict[int, tuple[tuple[int, int, int], ...]]
    member_of: dict[int, int]
    choices: dict[int, Choice]
    transitional: frozenset[int]
    operations: list[Operation]
    modules: int
    order: list[int]
    plain: bytes
    tristates: list[str]
    layout: list[int | tuple[str, int, str]]
    files: list[str]
    title: str
    notices: list[str]
    dialect: ConfDialect
