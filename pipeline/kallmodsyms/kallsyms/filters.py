"""Names that a kernel leaves out: a `KallsymsDialect` and `Strings` enter, a column of booleans leaves."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kallmodsyms.release import KallsymsDialect
from kallmodsyms.strings import Strings

# Labels that are ours; a kernel whose scripts/kallsyms leaves its own labels out of the table must leave these out too.
OUR_LABELS = (
    "kallsyms_module_offsets",
    "kallsyms_module_addresses",
    "kallsyms_modules",
    "kallsyms_num_modules",
    "kallsyms_module_names",
    "kallsyms_module_names_len",
    "kallsyms_module_exceptions",
    "kallsyms_num_module_exceptions",
    "kallsyms_objects",
    "kallsyms_num_objects",
    "kallsyms_object_names",
    "kallsyms_object_names_len",
    "kallsyms_names_len",
    "kallsyms_token_table_len",
    "kallsyms_sizes",
    "kallsyms_size_codes",
    "kallsyms_size_markers",
    "kallsyms_size_codes_len",
)


class Filters:
    """The names that a dialect drops, found among many.

    dropped_letters: letters of lines that stay out of System.map
    """

    def __init__(self, dialect: KallsymsDialect) -> None:
        letters: set[str] = set()
        self._system_map = _Names()
        for pattern in dialect.mksysmap:
            kind = re.fullmatch(r" \[(\w+)\] ", pattern)
            if kind:
                letters.update(kind[1])
            else:
                self._system_map.add_pattern(pattern)
        self.dropped_letters = "".join(sorted(letters)).encode()
        self._ignored = _Names()
        own = OUR_LABELS if "kallsyms_names" in dialect.ignored_symbols else ()
        self._ignored.exact = [name.encode() for name in (*dialect.ignored_symbols, *own)]
        self._ignored.prefixes = [name.encode() for name in dialect.ignored_prefixes]
        self._ignored.suffixes = [name.encode() for name in dialect.ignored_suffixes]
        self._ignored.substrings = [name.encode() for name in dialect.ignored_matches]

    def system_map(self, names: Strings) -> NDArray[np.bool_]:
        """Which of `names` stay out of System.map because of the name."""
        return self._system_map.among(names)

    def ignored(self, names: Strings) -> NDArray[np.bool_]:
        """Which of `names` scripts/kallsyms leaves out because of the name."""
        return self._ignored.among(names)


@cache
def filters(dialect: KallsymsDialect) -> Filters:
    """The filters of a dialect."""
    return Filters(dialect)


class _Names:
    """A set of names given by whole names, beginnings, ends, parts, and regular expressions for the rest."""

    def __init__(self) -> None:
        self.exact: list[bytes] = []
        self.prefixes: list[bytes] = []
        self.suffixes: list[bytes] = []
        self.substrings: list[bytes] = []
        self.general: list[tuple[re.Pattern[bytes], bytes]] = []  # Each with what a match must begin with.

    def add_pattern(self, pattern: str) -> None:
        """Take in a basic regular expression for lines of nm: the blank before the name anchors its start."""
        body = re.sub(r"\\([.$*\[\]^\\/])", lambda m: f"\0{ord(m[1])}\0", pattern)
        start, end = body.startswith(" "), body.endswith("$")
        body = body[start : len(body) - end]
        if re.search(r"[][.$*^\\ ]", body):
            beginning = re.match(r"\w*(?![*\\])", body) if start else None
            literal = beginning[0].encode() if beginning else b""
            self.general.append((re.compile(_in_python(pattern).encode()), literal))
            return
        literal = re.sub("\0(\\d+)\0", lambda m: chr(int(m[1])), body).encode()
        kind = {(True, True): self.exact, (True, False): self.prefixes, (False, True): self.suffixes}
        kind.get((start, end), self.substrings).append(literal)

    def among(self, names: Strings) -> NDArray[np.bool_]:
        """Which of `names` are in the set."""
        found = np.zeros(len(names), np.bool_)
        for literal in self.exact:
            found[names.equal(literal)] = True
        for literal in self.prefixes:
            found[names.beginning(literal)] = True
        for literal in self.suffixes:
            found[names.ending(literal)] = True
        for literal in self.substrings:
            found[names.containing(literal)] = True
        for pattern, beginning in self.general:
            matching = names.beginning(beginning)
            found[[index for index in matching.tolist() if pattern.search(b" " + names[index])]] = True
        return found


def _in_python(pattern: str) -> str:
    """A basic regular expression of POSIX, as Python writes it."""
    pattern = pattern.replace("[:alnum:]", "0-9A-Za-z").replace("[:digit:]", "0-9").replace("[:alpha:]", "A-Za-z")
    out, index = [], 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\" and index + 1 < len(pattern):
            index += 1
            # After a backslash these group or repeat, which they do not alone; other escapes are the character itself.
            out.append(pattern[index] if pattern[index] in "(){}|+?" else re.escape(pattern[index]))
        elif character in "(){}|+?":
            out.append("\\" + character)
        else:
            out.append(character)
        index += 1
    return "".join(out)
