"""A .config and a model in, what it assigns to which symbol out; values in, a full .config out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kallmodsyms.errors import InputError
from kallmodsyms.files import read_bytes
from kallmodsyms.kconfig.model import M, Model, N, Y
from kallmodsyms.kconfig.output import assignment, heading
from kallmodsyms.kconfig.values import Values

_TRISTATE = {"n": N, "m": M, "y": Y}
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_VALID = {"int": re.compile(r"-?(?:0|[1-9][0-9]*)"), "hex": re.compile(r"(?:0[xX])?[0-9a-fA-F]+")}


def read(path: Path, model: Model) -> tuple[dict[int, int | str], dict[int, int], list[str]]:
    """What `path` assigns: item to value in the order of the file, item to line number, and warnings.

    As conf_read_simple() in scripts/kconfig/confdata.c: of two assignments the later counts, and one that the symbol's
    type does not allow counts as none. A symbol that the model does not have is only warned about.
    Raises InputError for a file that cannot be read and for a line that is neither an assignment nor a comment.
    """
    numbers = dict(zip(map(model.names.__getitem__, model.order), model.order, strict=True))
    assigned: dict[int, int | str] = {}
    lines: dict[int, int] = {}
    warnings: list[str] = []
    for line, name, raw in _assignments(path):
        item = numbers.get(name)
        if item is None:
            warnings.append(f"{path}:{line}: no symbol CONFIG_{name} in this tree, or not for this architecture")
            continue
        type_ = model.types[item]
        value = _value(type_, raw)
        if value is None:
            warnings.append(f"{path}:{line}: CONFIG_{name} is of type {type_ or 'none'} and cannot be {raw}")
            continue
        if assigned.pop(item, value) != value:
            warnings.append(f"{path}:{line}: CONFIG_{name}={raw} contradicts line {lines[item]}")
        assigned[item] = value
        lines[item] = line
    return assigned, lines, warnings


def overruled(
    path: Path, model: Model, assigned: dict[int, int | str], lines: dict[int, int], values: Values
) -> Iterator[str]:
    """A warning for each assignment that did not come true.

    There is none for a number or string without a prompt, which nobody asked for: it records which compiler or pahole
    there was when `conf` wrote the file.
    """
    for item, value in assigned.items():
        wanted = "nmy"[value] if isinstance(value, int) else value
        text = values.text(item)
        record = isinstance(value, str) and model.prompts[item] == N
        if text != wanted and item not in model.transitional and not record:
            name = f"{path}:{lines[item]}: CONFIG_{model.names[item]}"
            yield f"{name}={wanted} is overruled: what it depends on makes it {text}"


def write(model: Model, values: Values) -> str:
    """The .config with every symbol that can be set: conf_write() in scripts/kconfig/confdata.c."""
    parts = [heading(model.title, "#", "#", "#")]
    done: set[int] = set()
    gap = False
    for entry in model.layout:
        if isinstance(entry, int):
            if entry in values.written and entry not in done:
                done.add(entry)
                text, type_, name = values.text(entry), model.types[entry], model.names[entry]
                unset = text == "n" and type_ in ("bool", "tristate")
                parts.append("\n" if gap else "")
                parts.append(f"# CONFIG_{name} is not set\n" if unset else assignment(name, type_, text, quoted=True))
                gap = False
        elif values.of(entry[1]):
            gap = entry[2] == "end"
            parts.append(f"# end of {entry[0]}\n" if gap else f"\n#\n# {entry[0]}\n#\n")
    return "".join(parts)


def _assignments(path: Path) -> Iterator[tuple[int, str, str]]:
    data = read_bytes(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            "is not UTF-8", path=path, line=data.count(b"\n", 0, error.start) + 1, cure="convert the file to UTF-8"
        ) from None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.startswith("CONFIG_"):
            name, equals, value = line[7:].partition("=")
            if equals and name:
                yield number, name, value
                continue
        elif line.startswith("#"):
            if line.startswith("# CONFIG_") and line.endswith(" is not set"):
                yield number, line[9:-11], "n"
            continue
        if line and not line.isspace():
            raise InputError(
                "neither an assignment nor a comment",
                path=path,
                line=number,
                text=line,
                cure="write CONFIG_NAME=value or # CONFIG_NAME is not set",
            )


def _value(type_: str, raw: str) -> int | str | None:
    if type_ == "tristate" or (type_ == "bool" and raw[:1] != "m"):
        return _TRISTATE.get(raw[:1])
    if type_ == "string":
        match = _STRING.match(raw)
        return match and re.sub(r"\\(.)", r"\1", match[1])
    valid = _VALID.get(type_)
    return raw if valid and valid.fullmatch(raw) else None
