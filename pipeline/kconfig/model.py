"""A parsed symbol tree in, a compact model of it out: what the values of a configuration follow from, and nothing else.

A model holds only numbers, strings, tuples and lists, so that `cache` can keep it. Symbols, constants and choices are items,
known by their number; items 0, 1, 2 are the constants n, m, y, whose value is their number.

An expression is an item, or one of
    (AND, (expression, ...))    the least of them
    (OR, (expression, ...))     the greatest
    (NOT, expression)           2 - it
    ("=", item, item)           and != < <= > >=: y or n
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import kconfiglib
from kconfiglib import Choice, MenuNode

from pipeline.files import read_text
from pipeline.kconfig.language import TRANSITIONAL, Kconfig

AND, OR, NOT = range(3)
N, M, Y = range(3)
Expression = int | tuple

_OPERATORS = {
    kconfiglib.EQUAL: "=", kconfiglib.UNEQUAL: "!=", kconfiglib.LESS: "<", kconfiglib.LESS_EQUAL: "<=",
    kconfiglib.GREATER: ">", kconfiglib.GREATER_EQUAL: ">=",
}


class Dialect(NamedTuple):
    """What the `conf` of a tree does its own way, probed in its source; a tree without one gets the newest way.

    buckets: size of its symbol table, which decides the order of auto.conf; None: the order of the Kconfig files
    quoted: strings in auto.conf are in quotes (until 129ab0d2d9f3, 5.17)
    zero: an int or hex without any value is 0 or 0x0, not empty (6.9)
    dropped: a number of the .config outside its range is forgotten, not moved to the nearest end (until 6.9)
    modal: a choice has a value of its own, y or m (until 6.11), not just a member that is y
    """

    buckets: int | None
    quoted: bool
    zero: bool
    dropped: bool
    modal: bool


class Symbol(NamedTuple):
    """What decides a symbol's value. Constants and undefined symbols have no type and are worth their name.

    type: bool, tristate, int, hex, string or ""
    prompt: where it can be set, N if nowhere
    depends, selected, implied: the expressions that the values of `depends on`, `select` and `imply` come to
    defaults: (value, condition), the first that holds counts; value is an item for int, hex, string
    ranges: (low item, high item, condition), the first that holds counts
    choice: the item of the choice that it is a member of, or 0
    transitional: takes the value it is given although it has no prompt (6.18)
    """

    type: str
    prompt: Expression
    depends: Expression
    selected: Expression
    implied: Expression
    defaults: tuple[tuple[Expression, Expression], ...]
    ranges: tuple[tuple[int, int, Expression], ...]
    choice: int
    transitional: bool


class ChoiceBlock(NamedTuple):
    """type: bool or tristate. members: in the order of the Kconfig file. The rest as in `Symbol`."""

    type: str
    prompt: Expression
    optional: bool
    defaults: tuple[tuple[int, Expression], ...]
    members: tuple[int, ...]


class Model(NamedTuple):
    """names, symbols: of every item (those of a choice are "" and an untyped symbol). choices: by item.

    order: the items of the defined symbols in the order of auto.conf
    layout: the menu tree as dot_config writes it: a symbol's item, or a heading (text, condition, what): "comment", "menu"
        and, after what is in the menu, "end"
    """

    names: list[str]
    symbols: list[Symbol]
    choices: dict[int, ChoiceBlock]
    modules: int
    order: list[int]
    layout: list[int | tuple[str, Expression, str]]
    files: list[str]
    title: str
    dialect: Dialect


def build(kconfig: Kconfig) -> Model:
    """The model of a parsed tree."""
    dialect = probe(kconfig.tree)
    builder = _Builder(kconfig, dialect)
    return Model(
        names=builder.names,
        symbols=[builder.symbol(item) for item in builder.items],
        choices={builder.number[id(choice)]: builder.choice(choice) for choice in kconfig.unique_choices},
        modules=builder.number[id(kconfig.modules)],
        order=_order(kconfig, builder, dialect),
        layout=list(builder.layout(kconfig.top_node)),
        files=list(dict.fromkeys(kconfig.kconfig_filenames)),
        title=kconfig.mainmenu_text,
        dialect=dialect,
    )


def probe(tree: Path) -> Dialect:
    """How the tree's `conf` differs, read in scripts/kconfig."""
    directory = tree / "scripts/kconfig"
    if not directory.is_dir():
        return Dialect(buckets=None, quoted=False, zero=True, dropped=False, modal=False)
    source = {name: read_text(directory / name) for name in CONF_SOURCES if (directory / name).is_file()}
    confdata, symbol = source.get("confdata.c", ""), source.get("symbol.c", "")
    size = re.search(r"#define\s+SYMBOL_HASHSIZE\s+(?:\(1U? << (\d+)\)|(\d+))", "".join(source.values()))
    return Dialect(
        buckets=size and (1 << int(size[1]) if size[1] else int(size[2])),
        quoted=not re.search(r"OUTPUT_N_NONE,\s*false", confdata),
        zero='"0x0"' in symbol,
        dropped="sym_string_within_range" in confdata,
        modal="choice_members" not in symbol,
    )


CONF_SOURCES = ("confdata.c", "symbol.c", "expr.h", "internal.h", "lkc.h", "lkc_proto.h")
"""The files of scripts/kconfig that `probe` reads."""


class _Builder:
    def __init__(self, kconfig: Kconfig, dialect: Dialect) -> None:
        self.modal = dialect.modal
        self.yes = kconfig.y
        constants = [kconfig.n, kconfig.m, kconfig.y]
        others = [symbol for symbol in kconfig.const_syms.values() if symbol not in constants]
        self.items = [*constants, *others, *kconfig.syms.values(), *kconfig.unique_choices]
        self.number = {id(item): number for number, item in enumerate(self.items)}
        self.names = ["" if isinstance(item, Choice) else item.name for item in self.items]
        # By identity, for parts of expressions are shared; the node is kept so that its identity stays its own.
        self.seen: dict[int, tuple[tuple, Expression]] = {}
        self.choice_of = {
            id(symbol): choice for choice in kconfig.unique_choices for symbol in self.members(choice)
        }

    def expression(self, node: object) -> Expression:
        if not isinstance(node, tuple):
            if isinstance(node, Choice) and not self.modal:
                # Its members depend on what the choice depends on; there is no such thing as the choice's value.
                return self.expression(self.depends(node))
            return self.number[id(node)]
        known = self.seen.get(id(node))
        if known is None:
            known = self.seen[id(node)] = (node, self.operation(node))
        return known[1]

    def operation(self, node: tuple) -> Expression:
        operator = node[0]
        if operator is kconfiglib.NOT:
            return (NOT, self.expression(node[1]))
        if operator in _OPERATORS:
            return (_OPERATORS[operator], self.number[id(node[1])], self.number[id(node[2])])
        ours = AND if operator is kconfiglib.AND else OR
        parts: list[Expression] = []
        # A symbol that hundreds select has an expression as deep; it becomes one flat OR.
        stack = [node[2], node[1]]
        while stack:
            part = stack.pop()
            if isinstance(part, tuple) and part[0] is operator:
                stack += part[2], part[1]
            else:
                parts.append(self.expression(part))
        return (ours, tuple(dict.fromkeys(parts)))

    def depends(self, item: kconfiglib.Symbol | Choice) -> object:
        """The conditions of all definitions, ORed. One without any does not make it y (expr_alloc_or() of no expression)."""
        conditions = [node.dep for node in item.nodes if node.dep is not self.yes]
        result = conditions[0] if conditions else self.yes
        for condition in conditions[1:]:
            result = (kconfiglib.OR, result, condition)
        return result

    def prompt(self, item: kconfiglib.Symbol | Choice) -> Expression:
        conditions = dict.fromkeys(self.expression(node.prompt[1]) for node in item.nodes if node.prompt)
        if len(conditions) < 2:
            return next(iter(conditions), N)
        return (OR, tuple(conditions))

    def symbol(self, item: kconfiglib.Symbol | Choice) -> Symbol:
        if isinstance(item, Choice) or not item.nodes:
            return Symbol("tristate" if self.number[id(item)] <= Y else "", N, N, N, N, (), (), 0, False)
        transitional = any(node.prompt and node.prompt[0] == TRANSITIONAL for node in item.nodes)
        choice = self.choice_of.get(id(item))
        return Symbol(
            type=_type(item),
            prompt=N if transitional else self.prompt(item),
            depends=self.expression(self.depends(item)),
            selected=self.expression(item.rev_dep),
            implied=self.expression(item.weak_rev_dep),
            defaults=tuple((self.expression(value), self.expression(condition)) for value, condition in item.defaults),
            ranges=tuple(
                (self.number[id(low)], self.number[id(high)], self.expression(condition))
                for low, high, condition in item.ranges
            ),
            choice=self.number[id(choice)] if choice else 0,
            transitional=transitional,
        )

    def choice(self, item: Choice) -> ChoiceBlock:
        return ChoiceBlock(
            type=_type(item),
            prompt=self.prompt(item),
            optional=item.is_optional,
            defaults=tuple((self.number[id(symbol)], self.expression(condition)) for symbol, condition in item.defaults),
            members=tuple(self.number[id(symbol)] for symbol in self.members(item)),
        )

    def members(self, choice: Choice) -> list[kconfiglib.Symbol]:
        if self.modal:
            return choice.syms
        # kconfiglib puts a member that depends on the one before below it, as `conf` did when choices had a value.
        return [node.item for top in choice.nodes for node in _below(top) if node.prompt]

    def layout(self, top: MenuNode) -> Iterator[int | tuple[str, Expression, str]]:
        node = top.list
        while node:
            heading = None
            if isinstance(node.item, kconfiglib.Symbol):
                yield self.number[id(node.item)]
            elif node.item in (kconfiglib.MENU, kconfiglib.COMMENT):
                condition = self.expression(node.prompt[1])
                if node.item is kconfiglib.MENU and node.visibility is not self.yes:
                    condition = (AND, (condition, self.expression(node.visibility)))
                heading = (node.prompt[0], condition)
                yield (*heading, "menu" if node.item is kconfiglib.MENU else "comment")
            yield from self.layout(node)
            if heading and node.item is kconfiglib.MENU:
                yield (*heading, "end")
            node = node.next


def _below(top: MenuNode) -> Iterator[MenuNode]:
    node = top.list
    while node:
        if isinstance(node.item, kconfiglib.Symbol):
            yield node
        yield from _below(node)
        node = node.next


def _type(item: kconfiglib.Symbol | Choice) -> str:
    return kconfiglib.TYPE_TO_STR[item.orig_type] if item.orig_type else ""


def _order(kconfig: Kconfig, builder: _Builder, dialect: Dialect) -> list[int]:
    """`conf` walks its hash table bucket by bucket; in a bucket, what was mentioned last comes first."""
    if dialect.buckets is None:
        return [builder.number[id(symbol)] for symbol in kconfig.unique_defined_syms]
    defined = [symbol for symbol in reversed(kconfig.syms.values()) if symbol.nodes]
    defined.sort(key=lambda symbol: _bucket(symbol.name, dialect.buckets))
    return [builder.number[id(symbol)] for symbol in defined]


def _bucket(name: str, buckets: int) -> int:
    """FNV-1a, 32 bits: strhash() in scripts/kconfig/symbol.c of 6.1, hash_str() in scripts/include/hash.h of 6.12."""
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % buckets
