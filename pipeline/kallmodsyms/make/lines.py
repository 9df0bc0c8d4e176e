"""Makefile text in, logical lines out; and the scanning that GNU make does inside one line.

A logical line is one or more physical lines, each but the last ending in an odd number of backslashes. Nothing here
knows of variables or functions. Everything follows `readline()`, `collapse_continuations()`, `find_map_unquote()` and
`parse_variable_definition()` of GNU make 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kallmodsyms.errors import InputError

BLANKS = " \t"
SPACES = " \t\n\v\f\r"

# A name of literal characters and plain references, then an operator: all but a few assignments of real makefiles.
_PLAIN_ASSIGNMENT = re.compile(
    r"([^\s$#:=+?!]*(?:\$(?:\([^\s$#:=(){}]*\)|\{[^\s$#:=(){}]*\})[^\s$#:=+?!]*)*)[ \t]*(::=|[:+?!]?=)[ \t\n\v\f\r]*"
)


def logical_lines(text: str, path: str) -> Iterator[tuple[int, str]]:
    """Yield (number of the first physical line, counted from 1; the raw text with its inner backslash-newlines)."""
    if "\0" in text:
        raise InputError("a NUL character in a makefile", path=path, line=text[: text.index("\0")].count("\n") + 1)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    lines = text.removeprefix("\ufeff").split("\n")
    complete = lines[-1] == ""
    if complete:
        lines.pop()
    number = 0
    while number < len(lines):
        first = number
        line = lines[number]
        number += 1
        if line.endswith("\\") and _trailing_backslashes(line) % 2:
            parts = [line]
            while parts[-1].endswith("\\") and _trailing_backslashes(parts[-1]) % 2:
                if number == len(lines):
                    # The last line of the file: its newline, if it has one, is still there to be joined.
                    parts.extend([""] if complete else [])
                    break
                parts.append(lines[number])
                number += 1
            line = "\n".join(parts)
        yield first + 1, line


def collapse(line: str) -> str:
    """`line` with each backslash-newline, and the blanks around it, turned into one blank."""
    if "\n" not in line:
        return line
    result = ""
    joined = False
    pieces = line.split("\n")
    for piece in pieces[:-1]:
        if joined:
            piece = piece.lstrip(BLANKS)
        count = _trailing_backslashes(piece)
        result += piece[: len(piece) - count] + "\\" * (count // 2)
        joined = count % 2 == 1
        result = result.rstrip(BLANKS) + " " if joined else result + "\n"
    return result + (pieces[-1].lstrip(BLANKS) if joined else pieces[-1])


def find_unquoted(text: str, stops: str, skip_references: bool = False) -> tuple[str, int]:
    """Find the first character of `stops` that no backslash quotes.

    Returns the text, with the backslashes that quoted or preceded such characters halved up to there, and the index
    in it, or -1. With `skip_references` what is inside $(…) or ${…} is passed over.
    """
    position = 0
    while position < len(text):
        character = text[position]
        if skip_references and character == "$":
            position = skip_reference(text, position)
        elif character in stops:
            count = _trailing_backslashes(text[:position])
            if not count:
                return text, position
            text = text[: position - count] + "\\" * (count // 2) + text[position:]
            position -= count - count // 2
            if count % 2 == 0:
                return text, position
            position += 1
        else:
            position += 1
    return text, -1


def skip_reference(text: str, position: int) -> int:
    """The index just after the reference whose `$` is at `position`; the end of the text if it never closes."""
    opening = text[position + 1 : position + 2]
    if opening not in ("(", "{"):
        return position + 2
    return matching(text, position + 2, opening) + 1


def matching(text: str, position: int, opening: str) -> int:
    """The index of the bracket that closes the `opening` one just before `position`, or the length of the text."""
    closing = ")" if opening == "(" else "}"
    depth = 0
    while position < len(text):
        character = text[position]
        if character == opening:
            depth += 1
        elif character == closing:
            if not depth:
                return position
            depth -= 1
        position += 1
    return position


def remove_comment(text: str) -> str:
    """`text` (collapsed) up to its first unquoted `#` outside a reference; `\\#` becomes `#`."""
    if "#" not in text:
        return text
    text, index = find_unquoted(text, "#", skip_references=True)
    return text if index < 0 else text[:index]


def plain_assignment(text: str) -> tuple[str, str, str] | None:
    """The same as `split_assignment` for the most common form; None where `text` may still be another."""
    plain = _PLAIN_ASSIGNMENT.match(text)
    return (plain[1], plain[2], text[plain.end() :]) if plain else None


def split_assignment(text: str) -> tuple[str, str, str] | None:
    """Take `NAME OPERATOR VALUE` apart: (name, operator, value), or None where `text` is something else.

    `text` starts with the name. The value keeps its trailing blanks, as make does.
    """
    plain = plain_assignment(text)
    if plain:
        return plain
    position, end, spaced = 0, -1, False
    while position < len(text):
        character = text[position]
        if character == "#":
            return None
        if character == "$":
            position = skip_reference(text, position)
            if end >= 0:
                return None
            continue
        if character in BLANKS:
            end = position
            while position < len(text) and text[position] in SPACES:
                position += 1
            if position == len(text):
                return None
            character, spaced = text[position], True
        name = text[:position] if end < 0 else text[:end]
        if character == "=":
            return name, "=", text[position + 1 :].lstrip(SPACES)
        if text[position + 1 : position + 2] == "=" and character in ":+?!":
            return name, character + "=", text[position + 2 :].lstrip(SPACES)
        if character == ":":
            if text[position + 1 : position + 3] != ":=":
                return None
            return name, "::=", text[position + 3 :].lstrip(SPACES)
        if spaced:
            return None
        position += 1
    return None


def split_words(text: str) -> list[str]:
    """The words of `text`, as C's isspace() separates them."""
    return text.split() if text.isascii() else [word for word in re.split(r"[ \t\n\v\f\r]+", text) if word]


def _trailing_backslashes(text: str) -> int:
    return len(text) - len(text.rstrip("\\"))
