"""A model and what a .config assigns in, the value of every symbol out.

The rules are those of sym_calc_value() and expr_calc_value() in scripts/kconfig of 6.1 and 6.12; where the two differ,
the model's dialect says which way to go. Not kconfiglib's own: those are 5.4's, and imply, choices and ranges have
changed since.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from kallmodsyms.kconfig.model import AND, NOT, OR, M, Model, N, Y

Assigned = Mapping[int, int | str]
"""Item to value, in the order of the .config: N, M or Y for a bool or tristate, otherwise the string."""

# Each compares two numbers or two byte strings.
_RELATIONS: dict[int | str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BASE = {"int": 10, "hex": 16}
_EMPTY = {"int": "0", "hex": "0x0"}
_NUMBER = {
    8: re.compile(r"[0-7]+"),
    10: re.compile(r"\s*[-+]?[0-9]+"),
    16: re.compile(r"\s*[-+]?(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+"),
}


def compute(model: Model, assigned: Assigned) -> Values:
    """All values. Where the tree's `conf` forgets numbers of the .config that are out of range, so does this."""
    values = Values(model, assigned)
    if model.dialect.dropped:
        kept = {
            item: value for item, value in assigned.items() if isinstance(value, int) or values.in_range(item, value)
        }
        if len(kept) < len(assigned):
            return Values(model, kept)
    return values


class Values:
    """What everything in `model` is worth when the .config says `assigned`.

    tri: by number of item or expression, N, M or Y (N for what is neither bool nor tristate)
    texts: by item, the string; None for bool and tristate
    written: the items that .config mentions, and auto.conf unless they are n
    """

    def __init__(self, model: Model, assigned: Assigned) -> None:
        self.model = model
        self.assigned = assigned
        self.items = len(model.names)
        self.tri: list[int | None] = [N, M, Y] + [None] * (self.items - 3 + len(model.operations))
        self.texts: list[str | None] = [None] * self.items
        self.written: set[int] = set()
        self.selections: dict[int, int | None] = {}
        self.given: dict[int, dict[int, int]] = {choice: {} for choice in model.choices}
        for item, value in assigned.items():
            if item in model.member_of and isinstance(value, int):
                self.given[model.member_of[item]][item] = value
        self.modules = N  # while MODULES itself is computed
        self.modules = self.of(model.modules)
        # Here and below, a look at `tri` before calling `of` is worth a third of the time.
        tri, prompts = self.tri, map(model.prompts.__getitem__, model.order)
        for item, number, plain in zip(model.order, prompts, model.plain, strict=True):
            if tri[item] is not None:
                continue
            tri[item] = N  # as in `_item`
            prompt = tri[number]
            if prompt is None:
                prompt = self.of(number)
            if prompt or not plain:
                tri[item] = self._item(item)

    def text(self, item: int) -> str:
        """The value as `A = B` compares it, and as it is written."""
        tri = self.of(item)
        text = self.texts[item]
        return "nmy"[tri] if text is None else text

    def of(self, number: int) -> int:
        """The value of an item or an expression."""
        tri = self.tri[number]
        if tri is None:
            tri = self.tri[number] = self._operation(number) if number >= self.items else self._item(number)
        return tri

    def _operation(self, number: int) -> int:
        operator, operands = self.model.operations[number - self.items]
        known = self.tri
        if operator is AND:
            least = Y
            for operand in operands:
                tri = known[operand]
                if tri is None:
                    tri = self.of(operand)
                if tri < least:
                    if tri == N:
                        return N
                    least = tri
            return least
        if operator is OR:
            greatest = N
            for operand in operands:
                tri = known[operand]
                if tri is None:
                    tri = self.of(operand)
                if tri > greatest:
                    if tri == Y:
                        return Y
                    greatest = tri
            return greatest
        if operator is NOT:
            return Y - self.of(operands[0])
        return self._relation(operator, *operands)

    def _item(self, item: int) -> int:
        self.tri[item] = N  # what a symbol that depends on itself sees
        type_ = self.model.types[item]
        if type_ == "tristate" or type_ == "bool":
            return self._tristate(item, type_)
        if item in self.model.choices:
            return self._mode(item)
        self.texts[item] = self._string(item, type_) if type_ else self.model.names[item]
        return N

    def _visible(self, item: int, type_: str) -> int:
        model = self.model
        tri = self.tri[model.prompts[item]]
        if tri is None:
            tri = self.of(model.prompts[item])
        if tri and item in model.member_of and model.dialect.modal:
            mode = self.of(model.member_of[item])
            if type_ == "tristate" and tri == M and mode == Y:
                return N
            if type_ != "tristate" and mode != Y and model.choices[model.member_of[item]].type == "tristate":
                return N
        return Y if tri == M and (type_ != "tristate" or not self.modules) else tri

    def _tristate(self, item: int, type_: str) -> int:
        model = self.model
        visible = self._visible(item, type_)
        if visible:
            self.written.add(item)
        if item not in model.member_of:
            selected, implied = self.tri[model.selected[item]], self.tri[model.implied[item]]
            if selected is None:
                selected = self.of(model.selected[item])
            if implied is None:
                implied = self.of(model.implied[item])
            if not (visible or selected or implied or item in model.defaults or item in model.transitional):
                return N
        elif visible != Y and model.dialect.modal:
            selected = implied = N
        else:
            return Y if visible and self._selection(model.member_of[item]) == item else N
        given = self.assigned.get(item)
        if isinstance(given, int) and item in model.transitional:
            tri = given
        elif isinstance(given, int) and visible:
            tri = min(given, visible)
        else:
            tri = N
            for value, condition in model.defaults.get(item, ()):
                limit = self.of(condition)
                if limit:
                    tri = min(self.of(value), limit)
                    break
            if tri or implied or selected:
                self.written.add(item)
            if implied:
                depends = self.of(model.depends[item])
                if type_ == "bool" or not self.modules:
                    implied, depends = Y, Y if depends else N
                tri = min(max(tri, implied), depends)
        tri = max(tri, selected)
        return Y if tri == M and (type_ == "bool" or not self.modules) else tri

    def _string(self, item: int, type_: str) -> str:
        visible = self._visible(item, type_)
        if visible:
            self.written.add(item)
        given = self.assigned.get(item)
        if isinstance(given, str) and (visible or item in self.model.transitional):
            text = given
        else:
            text = _EMPTY.get(type_, "") if self.model.dialect.zero else ""
            for value, condition in self.model.defaults.get(item, ()):
                if self.of(condition):
                    if value < self.items:
                        self.written.add(item)
                        text = self.text(value)
                    break
        limits = self._limits(item)
        if limits:
            number = _number(text, _BASE[type_])
            low, high = self._bounds(limits, type_)
            if number < low:
                return self.text(limits[0])
            if number > high:
                return self.text(limits[1])
        return text

    def in_range(self, item: int, text: str) -> bool:
        """Whether the number that the .config gives an item lies in the range that holds."""
        limits = self._limits(item)
        if not limits:
            return True
        type_ = self.model.types[item]
        low, high = self._bounds(limits, type_)
        return low <= _number(text, _BASE[type_]) <= high

    def _limits(self, item: int) -> tuple[int, int] | None:
        if self.model.types[item] in _BASE:
            for low, high, condition in self.model.ranges.get(item, ()):
                if self.of(condition):
                    return low, high
        return None

    def _bounds(self, limits: tuple[int, int], type_: str) -> list[int]:
        """The numbers that the two items of a range stand for, for a symbol of type `type_`."""
        return [_number(self.text(limit), _BASE.get(self.model.types[limit], _BASE[type_])) for limit in limits]

    def _mode(self, item: int) -> int:
        """The value of a choice, in a tree where choices have one: with y one member is y, with m any number are m."""
        choice = self.model.choices[item]
        prompt = self.of(choice.prompt)
        as_bool = choice.type != "tristate" or not self.modules
        given = N
        for value in self.given[item].values():
            if value == M and given == Y:  # "inconsistent choice state": conf_read_simple() forgets what was given
                given = N
                break
            given = max(given, value)
        tri = min(given, Y if prompt and as_bool else prompt)
        if not choice.optional:
            tri = max(tri, min(prompt, M))
        return Y if tri == M and as_bool else tri

    def _selection(self, item: int) -> int | None:
        """The member of a choice that is y."""
        if item not in self.selections:
            members = self.model.choices[item].members
            shown = [member for member in members if self._visible(member, self.model.types[member])]
            select = self._modal_selection if self.model.dialect.modal else self._priority_selection
            self.selections[item] = select(self.given[item], shown, self._default(item, shown))
        return self.selections[item]

    @staticmethod
    def _modal_selection(given: Mapping[int, int], shown: list[int], default: int | None) -> int | None:
        last = next((member for member in reversed(given) if given[member] == Y), None)
        return last if last in shown else default

    @staticmethod
    def _priority_selection(given: Mapping[int, int], shown: list[int], default: int | None) -> int | None:
        # sym_calc_choice(): the last y of the .config; or the default, unless that was given n; or the first member
        # that the .config does not mention; or else the one that was given n first.
        given = {member: value for member, value in given.items() if member in shown}
        last = next((member for member in reversed(given) if given[member] == Y), None)
        if last is not None:
            return last
        if default not in given:
            return default
        return next((member for member in shown if member not in given), next(iter(given)))

    def _default(self, item: int, shown: list[int]) -> int | None:
        for member, condition in self.model.choices[item].defaults:
            if self.of(condition) and member in shown:
                return member
        return shown[0] if shown else None

    def _relation(self, operator: int | str, left: int, right: int) -> int:
        holds = _RELATIONS[operator]
        texts = self.text(left), self.text(right)
        types = self.model.types[left], self.model.types[right]
        first, second = (None, None) if types == ("string", "string") else map(_parsed, texts, types)
        if first is None or second is None:
            return Y if holds(*(text.encode(errors="surrogateescape") for text in texts)) else N
        if "hex" in types:
            first, second = first % (1 << 64), second % (1 << 64)
        return Y if holds(first, second) else N


def _number(text: str, base: int) -> int:
    """strtoll(): the number that the text begins with, or 0."""
    match = _NUMBER[base].match(text)
    return int(match[0], base) if match else 0


def _parsed(text: str, type_: str) -> int | None:
    """expr_parse_string(): the number of 64 bits that the whole text is, or None. n, m, y are 0, 1, 2."""
    if type_ in ("bool", "tristate"):
        return "nmy".index(text)
    base = _BASE.get(type_)
    if base is None:
        base = 16 if text[:2] in ("0x", "0X") else 8 if text[:1] == "0" and len(text) > 1 else 10
    number = int(text, base) if _NUMBER[base].fullmatch(text) else None
    limit = 1 << (64 if type_ == "hex" else 63)
    return number if number is not None and -limit <= number < limit else None
