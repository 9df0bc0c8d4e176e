"""A model and what a .config assigns in, the value of every symbol out.

The rules are those of sym_calc_value() and expr_calc_value() in scripts/kconfig of 6.1 and 6.12; where the two differ, the
model's dialect says which way to go. Not kconfiglib's own: those are 5.4's, and imply, choices and ranges have changed since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.kconfig.model import AND, N, NOT, OR, Expression, M, Model, Y

_BASE = {"int": 10, "hex": 16}
_NUMBER = {10: re.compile(r"\s*[-+]?[0-9]+"), 16: re.compile(r"\s*[-+]?(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+")}


class Values:
    """What each item of `model` is worth when `assigned` is what the .config says.

    assigned: item to value, in the order of the file: N, M or Y for a bool or tristate, otherwise the string.
    Values are computed when asked for; `compute` asks for all.

    tri: by item, N, M or Y (N for what is neither bool nor tristate)
    texts: by item, the string; None for bool and tristate
    written: the items that auto.conf and .config mention; with the value n, only .config
    """

    def __init__(self, model: Model, assigned: Mapping[int, int | str]) -> None:
        self.model = model
        self.assigned = assigned
        self.symbols = model.symbols
        self.tri: list[int | None] = [N, M, Y] + [None] * (len(model.names) - 3)
        self.texts: list[str | None] = [None] * len(model.names)
        self.written: set[int] = set()
        self.selections: dict[int, int] = {}
        self.modules = N  # while MODULES itself is computed
        self.modules = self.value(model.modules)

    def compute(self) -> None:
        for item in self.model.order:
            self.value(item)

    def text(self, item: int) -> str:
        """The value as `A = B` compares it, and as it is written."""
        tri = self.value(item)
        text = self.texts[item]
        return "nmy"[tri] if text is None else text

    def value(self, item: int) -> int:
        tri = self.tri[item]
        if tri is None:
            self.tri[item] = N  # what a symbol that depends on itself sees
            type_ = self.symbols[item].type
            if type_ in ("bool", "tristate"):
                tri = self.tri[item] = self._tristate(item)
            elif item in self.model.choices:
                tri = self.tri[item] = self._mode(item)
            else:
                tri = N
                self.texts[item] = self._string(item) if type_ else self.model.names[item]
        return tri

    def of(self, expression: Expression) -> int:
        """The value of an expression: N, M or Y."""
        if expression.__class__ is int:
            tri = self.tri[expression]
            return self.value(expression) if tri is None else tri
        operator = expression[0]
        if operator is AND:
            least = Y
            for part in expression[1]:
                tri = self.of(part)
                if tri < least:
                    if tri is N:
                        return N
                    least = tri
            return least
        if operator is OR:
            greatest = N
            for part in expression[1]:
                tri = self.of(part)
                if tri > greatest:
                    if tri is Y:
                        return Y
                    greatest = tri
            return greatest
        if operator is NOT:
            return Y - self.of(expression[1])
        return self._compare(*expression)

    def visible(self, item: int) -> int:
        symbol = self.symbols[item]
        tri = self.of(symbol.prompt)
        if tri == M:
            if symbol.type != "tristate" or not self.modules:
                return Y
            if symbol.choice and self.model.dialect.modal and self.value(symbol.choice) == Y:
                return N
        return tri

    def _tristate(self, item: int) -> int:
        symbol = self.symbols[item]
        visible = self.visible(item)
        if visible:
            self.written.add(item)
        depends = selected = implied = N
        if symbol.choice:
            if not self.model.dialect.modal or visible == Y:
                return Y if visible and self._selection(symbol.choice) == item else N
        else:
            depends, selected, implied = self.of(symbol.depends), self.of(symbol.selected), self.of(symbol.implied)
        as_bool = symbol.type == "bool" or not self.modules
        if as_bool:
            depends, selected, implied = (Y if tri else N for tri in (depends, selected, implied))
        given = self.assigned.get(item)
        if given is not None and symbol.transitional:
            tri = given
        elif given is not None and visible:
            tri = min(given, visible)
        else:
            tri = N
            for value, condition in symbol.defaults:
                limit = self.of(condition)
                if limit:
                    tri = min(self.of(value), limit)
                    break
            if tri or implied or selected:
                self.written.add(item)
            if implied:
                tri = min(max(tri, implied), depends)
        tri = max(tri, selected)
        return Y if tri == M and as_bool else tri

    def _string(self, item: int) -> str:
        symbol = self.symbols[item]
        visible = self.visible(item)
        if visible:
            self.written.add(item)
        given = self.assigned.get(item)
        if given is not None and (visible or symbol.transitional):
            text = given
        else:
            text = {"int": "0", "hex": "0x0"}.get(symbol.type, "") if self.model.dialect.zero else ""
            for value, condition in symbol.defaults:
                if self.of(condition):
                    if isinstance(value, int):
                        self.written.add(item)
                        text = self.text(value)
                    break
        limits = self._limits(item)
        if limits:
            base = _BASE[symbol.type]
            for limit, too_far in zip(limits, (int.__lt__, int.__gt__)):
                if too_far(_number(text, base), self._bound(limit, base)):
                    return self.text(limit)
        return text

    def in_range(self, item: int) -> bool:
        """Whether the number that the .config gives lies in the range that holds."""
        symbol = self.symbols[item]
        limits = self._limits(item)
        if not limits:
            return True
        base = _BASE[symbol.type]
        return self._bound(limits[0], base) <= _number(self.assigned[item], base) <= self._bound(limits[1], base)

    def _limits(self, item: int) -> tuple[int, int] | None:
        symbol = self.symbols[item]
        if symbol.type in _BASE:
            for low, high, condition in symbol.ranges:
                if self.of(condition):
                    return low, high
        return None

    def _bound(self, item: int, base: int) -> int:
        return _number(self.text(item), _BASE.get(self.symbols[item].type, base))

    def _mode(self, item: int) -> int:
        """What a choice is worth where it is worth something: y, one member is y; m, any number of members are m."""
        choice = self.model.choices[item]
        prompt = self.of(choice.prompt)
        as_bool = choice.type != "tristate" or not self.modules
        given = max((self.assigned.get(member, N) for member in choice.members), default=N)
        tri = min(given, Y if prompt and as_bool else prompt)
        if not choice.optional:
            tri = max(tri, min(prompt, M))
        return Y if tri == M and as_bool else tri

    def _selection(self, item: int) -> int | None:
        """The member of a choice that is y."""
        if item not in self.selections:
            self.selections[item] = self._modal_selection(item) if self.model.dialect.modal else self._priority_selection(item)
        return self.selections[item]

    def _modal_selection(self, item: int) -> int | None:
        choice = self.model.choices[item]
        members = set(choice.members)
        given = [member for member, value in self.assigned.items() if value == Y and member in members]
        if given and self.visible(given[-1]):
            return given[-1]
        return self._default(item)

    def _priority_selection(self, item: int) -> int | None:
        # sym_calc_choice(): the last y of the .config; or the default, unless that was given n; or the first member that the
        # .config does not mention; or else the one that was given n first.
        choice = self.model.choices[item]
        shown = {member for member in choice.members if self.visible(member)}
        given = {member: value for member, value in self.assigned.items() if member in shown}
        for member in reversed(given):
            if given[member] == Y:
                return member
        default = self._default(item)
        if default not in given:
            return default
        silent = (member for member in choice.members if member in shown and member not in given)
        return next(silent, next(iter(given)))

    def _default(self, item: int) -> int | None:
        choice = self.model.choices[item]
        for member, condition in choice.defaults:
            if self.of(condition) and self.visible(member):
                return member
        return next((member for member in choice.members if self.visible(member)), None)

    def _compare(self, operator: str, left: int, right: int) -> int:
        if left in self.model.choices:  # `choice = y`, which only kconfiglib writes
            return Y if (self.value(left) == right) == (operator == "=") else N
        texts = self.text(left), self.text(right)
        types = self.symbols[left].type, self.symbols[right].type
        numbers = None if types == ("string", "string") else [_parsed(*pair) for pair in zip(texts, types)]
        if numbers is None or None in numbers:
            first, second = (text.encode(errors="surrogateescape") for text in texts)
        else:
            first, second = numbers
        holds = {
            "=": first == second, "!=": first != second, "<": first < second,
            "<=": first <= second, ">": first > second, ">=": first >= second,
        }
        return Y if holds[operator] else N


def compute(model: Model, assigned: Mapping[int, int | str]) -> Values:
    """All values. Numbers of the .config out of their range are first dropped where the tree's `conf` does so."""
    values = Values(model, assigned)
    values.compute()
    if model.dialect.dropped:
        kept = {item: value for item, value in assigned.items() if isinstance(value, int) or values.in_range(item)}
        if len(kept) < len(assigned):
            values = Values(model, kept)
            values.compute()
    return values


def _number(text: str, base: int) -> int:
    """strtoll(): the number that the text begins with, or 0."""
    match = _NUMBER[base].match(text)
    return int(match[0], base) if match else 0


def _parsed(text: str, type_: str) -> int | None:
    """expr_parse_string(): the number that the whole text is, or None. n, m, y are 0, 1, 2."""
    if type_ in ("bool", "tristate"):
        return "nmy".index(text) if text else -1
    base = _BASE.get(type_, 16 if text[:2] in ("0x", "0X") else 8 if text[:1] == "0" and len(text) > 1 else 10)
    try:
        return int(text, base)
    except ValueError:
        return None
