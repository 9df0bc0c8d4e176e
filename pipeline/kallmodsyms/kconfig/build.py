"""A parsed symbol tree in, the model of it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import kconfiglib
from kconfiglib import MenuNode

from kallmodsyms.kconfig.language import TRANSITIONAL, Kconfig
from kallmodsyms.kconfig.model import AND, NOT, OR, Choice, Model, N, Operation, Y
from kallmodsyms.release import ConfDialect, conf_dialect

_OPERATORS = {
    kconfiglib.EQUAL: "=",
    kconfiglib.UNEQUAL: "!=",
    kconfiglib.LESS: "<",
    kconfiglib.LESS_EQUAL: "<=",
    kconfiglib.GREATER: ">",
    kconfiglib.GREATER_EQUAL: ">=",
}
Item: TypeAlias = "kconfiglib.Symbol | kconfiglib.Choice"
Operands: TypeAlias = "tuple[object, ...]"
"""An expression of kconfiglib that is not an item: an operator and what it operates on."""


def build(kconfig: Kconfig) -> Model:
    """The model of a parsed tree."""
    dialect = conf_dialect(kconfig.tree)
    builder = _Builder(kconfig, dialect)
    number, symbols = builder.number, kconfig.unique_defined_syms
    types = [builder.type_of(item) for item in builder.items]
    prompts, depends, selected, implied = ([N] * len(builder.items) for _ in range(4))
    defaults, ranges, transitional = {}, {}, set()
    for symbol in symbols:
        item = number[symbol]
        depends[item] = builder.expression(builder.depends(symbol))
        selected[item] = builder.expression(symbol.rev_dep)
        implied[item] = builder.expression(symbol.weak_rev_dep)
        if any(node.prompt and node.prompt[0] == TRANSITIONAL for node in symbol.nodes):
            transitional.add(item)
        else:
            prompts[item] = builder.prompt(symbol)
        if symbol.defaults:
            defaults[item] = tuple(
                (builder.expression(value), builder.expression(condition)) for value, condition in symbol.defaults
            )
        if symbol.ranges:
            ranges[item] = tuple(
                (number[low], number[high], builder.expression(condition)) for low, high, condition in symbol.ranges
            )
    choices = {number[choice]: builder.choice(choice) for choice in kconfig.unique_choices}
    order = [number[symbol] for symbol in _ordered(kconfig, dialect)]
    member_of = {member: item for item, choice in choices.items() for member in choice.members}
    others = {*defaults, *member_of, *transitional}
    return Model(
        names=["" if isinstance(item, kconfiglib.Choice) else item.name for item in builder.items],
        types=types,
        prompts=prompts,
        depends=depends,
        selected=selected,
        implied=implied,
        defaults=defaults,
        ranges=ranges,
        member_of=member_of,
        choices=choices,
        transitional=frozenset(transitional),
        operations=builder.operations,
        modules=number[kconfig.modules],
        order=order,
        plain=bytes(
            types[item] in ("bool", "tristate") and not (selected[item] or implied[item] or item in others)
            for item in order
        ),
        tristates=[symbol.name for symbol in symbols if types[number[symbol]] == "tristate"],
        layout=list(builder.layout(kconfig.top_node)),
        files=list(dict.fromkeys(kconfig.kconfig_filenames)),
        title=kconfig.mainmenu_text,
        notices=kconfig.notices,
        dialect=dialect,
    )


class _Builder:
    """Gives kconfiglib's items and expressions their numbers.

    operations: the expressions so far, as the model has them
    """

    def __init__(self, kconfig: Kconfig, dialect: ConfDialect) -> None:
        self.modal = dialect.modal
        self.yes = kconfig.y
        # n, m, y come first
        constants = dict.fromkeys([kconfig.n, kconfig.m, kconfig.y, *kconfig.const_syms.values()])
        self.items: list[Item] = [*constants, *kconfig.syms.values(), *kconfig.unique_choices]
        self.number = {item: number for number, item in enumerate(self.items)}
        self.operations: list[Operation] = []
        self.numbered: dict[Operation, int] = {}
        # kconfiglib's expressions share parts, which are told apart by identity. The part itself is kept too, so that
        # no other one can get its identity.
        self.seen: dict[int, tuple[Operands, int]] = {}

    def expression(self, part: object) -> int:
        """The number of one of kconfiglib's expressions."""
        if not isinstance(part, tuple):
            if isinstance(part, kconfiglib.Choice) and not self.modal:
                # What depends on the choice depends on what the choice depends on: it has no value.
                return self.expression(self.depends(part))
            return self.number[part]
        known = self.seen.get(id(part))
        if known is None:
            known = self.seen[id(part)] = (part, self.operation(part))
        return known[1]

    def operation(self, part: Operands) -> int:
        operator = part[0]
        if operator is kconfiglib.NOT:
            return self.add(NOT, (self.expression(part[1]),))
        if operator in _OPERATORS:
            return self.add(_OPERATORS[operator], (self.number[part[1]], self.number[part[2]]))
        operands: list[int] = []
        # A symbol that hundreds select has an expression hundreds of levels deep; here it is one flat OR.
        stack = [part[2], part[1]]
        while stack:
            operand = stack.pop()
            if isinstance(operand, tuple) and operand[0] is operator:
                stack += operand[2], operand[1]
            else:
                operands.append(self.expression(operand))
        return self.joined(AND if operator is kconfiglib.AND else OR, operands)

    def joined(self, operator: int, operands: Iterable[int]) -> int:
        distinct = tuple(dict.fromkeys(operands))
        return distinct[0] if len(distinct) == 1 else self.add(operator, distinct)

    def add(self, operator: int | str, operands: tuple[int, ...]) -> int:
        operation: Operation = (operator, operands)
        number = self.numbered.get(operation)
        if number is None:
            number = self.numbered[operation] = len(self.items) + len(self.operations)
            self.operations.append(operation)
        return number

    def depends(self, item: Item) -> object:
        """The conditions of all definitions, ORed. A definition without any adds nothing, as in expr_alloc_or()."""
        conditions = [node.dep for node in item.nodes if node.dep is not self.yes]
        result = conditions[0] if conditions else self.yes
        for condition in conditions[1:]:
            result = (kconfiglib.OR, result, condition)
        return result

    def prompt(self, item: Item) -> int:
        conditions = [self.expression(node.prompt[1]) for node in item.nodes if node.prompt]
        return self.joined(OR, conditions) if conditions else N

    def type_of(self, item: Item) -> str:
        if self.number[item] <= Y:
            return "tristate"
        if isinstance(item, kconfiglib.Choice) or not item.nodes or not item.orig_type:
            return ""
        return str(kconfiglib.TYPE_TO_STR[item.orig_type])

    def choice(self, item: kconfiglib.Choice) -> Choice:
        return Choice(
            type=kconfiglib.TYPE_TO_STR[item.orig_type],
            prompt=self.prompt(item),
            optional=item.is_optional,
            defaults=tuple((self.number[symbol], self.expression(condition)) for symbol, condition in item.defaults),
            members=tuple(self.number[symbol] for symbol in self.members(item)),
        )

    def members(self, item: kconfiglib.Choice) -> list[kconfiglib.Symbol]:
        if self.modal:
            return list(item.syms)
        # kconfiglib puts a member that depends on the one before below it, as `conf` did when choices had a value.
        return [node.item for top in item.nodes for node in _below(top) if node.prompt]

    def layout(self, top: MenuNode) -> Iterator[int | tuple[str, int, str]]:
        node = top.list
        while node:
            heading = None
            if isinstance(node.item, kconfiglib.Symbol):
                yield self.number[node.item]
            elif node.item is kconfiglib.MENU:
                heading = (node.prompt[0], self.joined(AND, map(self.expression, (node.prompt[1], node.visibility))))
                yield (*heading, "menu")
            elif node.item is kconfiglib.COMMENT:
                yield (node.prompt[0], self.expression(node.prompt[1]), "comment")
            yield from self.layout(node)
            if heading:
                yield (*heading, "end")
            node = node.next


def _below(top: MenuNode) -> Iterator[MenuNode]:
    node = top.list
    while node:
        if isinstance(node.item, kconfiglib.Symbol):
            yield node
        yield from _below(node)
        node = node.next


def _ordered(kconfig: Kconfig, dialect: ConfDialect) -> list[kconfiglib.Symbol]:
    """`conf` walks its hash table bucket by bucket; in a bucket, what was mentioned last comes first."""
    buckets = dialect.buckets
    if buckets is None:
        return list(kconfig.unique_defined_syms)
    defined = [symbol for symbol in reversed(kconfig.syms.values()) if symbol.nodes]
    return sorted(defined, key=lambda symbol: _hash(symbol.name) % buckets)


def _hash(name: str) -> int:
    """FNV-1a, 32 bits: strhash() in scripts/kconfig/symbol.c of 6.1, hash_str() in scripts/include/hash.h of 6.12."""
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
