"""The functions of GNU make 4.3 whose result follows from the text of their arguments alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from kallmodsyms.make.lines import SPACES, split_words


class ArgumentError(Exception):
    """An argument that GNU make stops at. The caller knows the place and makes it an InputError."""


def subst(old: str, new: str, text: str) -> str:
    return text.replace(old, new) if old else text + new


def patsubst(pattern: str, replacement: str, text: str) -> str:
    prefix, suffix = percent(pattern)
    if suffix is not None:
        return patsubst_parts(prefix, suffix, *percent(replacement), text)
    # Without a % the pattern stands for whole words, and the blanks between words stay as they are.
    if not prefix:
        return text if text and text[-1] not in SPACES else text + replacement
    return re.sub(rf"(?<![^{SPACES}]){re.escape(prefix)}(?![^{SPACES}])", lambda match: replacement, text)


def patsubst_parts(prefix: str, suffix: str, before: str, after: str | None, text: str) -> str:
    """patsubst with pattern and replacement cut at their %; `after` is None where the replacement has none."""
    length = len(prefix) + len(suffix)
    result = []
    for word in split_words(text):
        if len(word) >= length and word.startswith(prefix) and word.endswith(suffix):
            word = before if after is None else before + word[len(prefix) : len(word) - len(suffix)] + after
            if not word:
                continue
        result.append(word)
    return " ".join(result)


def percent(pattern: str) -> tuple[str, str | None]:
    """Cut a pattern at its first unquoted %: (before, after), or (whole, None). Backslashes before % are halved."""
    start = 0
    while (index := pattern.find("%", start)) >= 0:
        count = index - len(pattern[:index].rstrip("\\"))
        pattern = pattern[: index - count] + "\\" * (count // 2) + pattern[index:]
        index -= count - count // 2
        if count % 2 == 0:
            return pattern[:index], pattern[index + 1 :]
        start = index + 1
    return pattern, None


def strip(text: str) -> str:
    return " ".join(split_words(text))


def findstring(needle: str, text: str) -> str:
    return needle if needle in text else ""


def filter_(patterns: str, text: str) -> str:
    matches = _matcher(patterns)
    return " ".join([word for word in split_words(text) if matches(word)])


def filter_out(patterns: str, text: str) -> str:
    matches = _matcher(patterns)
    return " ".join([word for word in split_words(text) if not matches(word)])


def _matcher(patterns: str) -> Callable[[str], bool]:
    literals = set()
    wild = []
    for pattern in split_words(patterns):
        prefix, suffix = percent(pattern) if "%" in pattern else (pattern, None)
        if suffix is None:
            literals.add(prefix)
        else:
            wild.append((prefix, suffix, len(prefix) + len(suffix)))
    if not wild:
        return literals.__contains__
    return lambda word: (
        word in literals
        or any(
            len(word) >= length and word.startswith(prefix) and word.endswith(suffix) for prefix, suffix, length in wild
        )
    )


def sort(text: str) -> str:
    words = set(split_words(text))
    return " ".join(sorted(words) if text.isascii() else sorted(words, key=os.fsencode))


def word(index: str, text: str) -> str:
    number = _number(index, "word", "first")
    if number == 0:
        raise ArgumentError("first argument to 'word' function must be greater than 0")
    return "".join(split_words(text)[number - 1 : number])


def wordlist(first: str, last: str, text: str) -> str:
    start = _number(first, "wordlist", "first")
    stop = _number(last, "wordlist", "second")
    if start < 1:
        raise ArgumentError(f"invalid first argument to 'wordlist' function: '{start}'")
    return " ".join(split_words(text)[start - 1 : stop])


def _number(text: str, function: str, which: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        problem = "empty value" if not digits else f"'{text}'"
        raise ArgumentError(f"non-numeric {which} argument to '{function}' function: {problem}")
    return int(digits)


def words(text: str) -> str:
    return str(len(split_words(text)))


def firstword(text: str) -> str:
    return "".join(split_words(text)[:1])


def lastword(text: str) -> str:
    return "".join(split_words(text)[-1:])


def dir_(text: str) -> str:
    return " ".join([name[: name.rindex("/") + 1] if "/" in name else "./" for name in split_words(text)])


def notdir(text: str) -> str:
    return " ".join([name[name.rfind("/") + 1 :] for name in split_words(text)])


def suffix(text: str) -> str:
    return " ".join([part for part in (name[_dot(name) :] for name in split_words(text)) if part])


def basename(text: str) -> str:
    return " ".join([name[: _dot(name)] for name in split_words(text)])


def _dot(name: str) -> int:
    """Where the suffix of a file name begins: the last dot after the last slash, or the end."""
    dot = name.rfind(".")
    return dot if dot > name.rfind("/") else len(name)


def addprefix(prefix: str, text: str) -> str:
    return " ".join([prefix + name for name in split_words(text)])


def addsuffix(suffix: str, text: str) -> str:
    return " ".join([name + suffix for name in split_words(text)])


def join(first: str, second: str) -> str:
    left, right = split_words(first), split_words(second)
    length = max(len(left), len(right))
    left += [""] * (length - len(left))
    right += [""] * (length - len(right))
    return " ".join([a + b for a, b in zip(left, right, strict=True)])


# Name: (fewest arguments, most arguments, function). What is left of the text belongs to the last argument.
PURE: dict[str, tuple[int, int, Callable[..., str]]] = {
    "addprefix": (2, 2, addprefix),
    "addsuffix": (2, 2, addsuffix),
    "basename": (0, 1, basename),
    "dir": (0, 1, dir_),
    "filter": (2, 2, filter_),
    "filter-out": (2, 2, filter_out),
    "findstring": (2, 2, findstring),
    "firstword": (0, 1, firstword),
    "join": (2, 2, join),
    "lastword": (0, 1, lastword),
    "notdir": (0, 1, notdir),
    "patsubst": (3, 3, patsubst),
    "sort": (0, 1, sort),
    "strip": (0, 1, strip),
    "subst": (3, 3, subst),
    "suffix": (0, 1, suffix),
    "word": (2, 2, word),
    "wordlist": (3, 3, wordlist),
    "words": (0, 1, words),
}
