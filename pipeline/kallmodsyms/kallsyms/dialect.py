"""What differs between kernel versions: a kernel tree enters, a `Dialect` leaves.

The rules are read out of the tree's own scripts (scripts/mksysmap, scripts/kallsyms.c), construct by construct, so that a tree of
any version, or with other patches, says itself what it does. `Dialect()` without a tree is Linux 6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import files
from kallmodsyms.errors import InputError
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


@dataclass(frozen=True)
class Dialect:
    """How one kernel version makes its tables.

    mksysmap: the regular expressions, as grep and sed have them, of lines of `nm -n` that do not reach System.map
    ignored_symbols, ignored_prefixes, ignored_suffixes, ignored_matches: names that scripts/kallsyms leaves out
    ignored_types: letters that it leaves out
    kept_absolute: the absolute symbols that it does not leave out
    kept_prefixes: names that stay even where only text is wanted
    text_ranges: first and last symbol of each range of text
    percpu_range: first and last symbol of the per-CPU area
    labels: the base tables in their order; `kallsyms_addresses` stands for either form of the addresses
    base_relative: addresses are always relative, there is no option
    cut_llvm: --lto-clang is an option: `.llvm.` and what follows does not count in the order of names
    comments: each row of the text form ends in a comment with the name
    name_limit: names of this length in bytes and more are left out
    """

    mksysmap: tuple[str, ...] = (
        r" [aNUw] ", r" \$", r" \.L", r" __crc_", r" __kstrtab_", r" __kstrtabns_", r" L0$",
    )  # fmt: skip
    ignored_symbols: tuple[str, ...] = (
        "kallsyms_addresses", "kallsyms_offsets", "kallsyms_relative_base", "kallsyms_num_syms", "kallsyms_names",
        "kallsyms_markers", "kallsyms_token_table", "kallsyms_token_index", "kallsyms_seqs_of_names", "_SDA_BASE_", "_SDA2_BASE_",
    )  # fmt: skip
    ignored_prefixes: tuple[str, ...] = (
        "__efistub_", "__kvm_nvhe_$", "__kvm_nvhe_.L", "__AArch64ADRPThunk_", "__ARMV5PILongThunk_", "__ARMV7PILongThunk_",
        "__ThumbV7PILongThunk_", "__LA25Thunk_", "__microLA25Thunk_", "__kcfi_typeid_",
    )  # fmt: skip
    ignored_suffixes: tuple[str, ...] = ("_from_arm", "_from_thumb", "_veneer")
    ignored_matches: tuple[str, ...] = (".long_branch.", ".plt_branch.")
    ignored_types: str = "UuNn"
    kept_absolute: tuple[str, ...] = (
        "__kernel_syscall_via_break",
        "__kernel_syscall_via_epc",
        "__kernel_sigtramp",
        "__gp",
    )
    kept_prefixes: tuple[str, ...] = ()
    text_ranges: tuple[tuple[str, str], ...] = (("_stext", "_etext"), ("_sinittext", "_einittext"))
    percpu_range: tuple[str, str] = ("__per_cpu_start", "__per_cpu_end")
    labels: tuple[str, ...] = (
        "kallsyms_addresses", "kallsyms_relative_base", "kallsyms_num_syms", "kallsyms_names", "kallsyms_markers",
        "kallsyms_seqs_of_names", "kallsyms_token_table", "kallsyms_token_index",
    )  # fmt: skip
    base_relative: bool = False
    cut_llvm: bool = True
    comments: bool = False
    name_limit: int = 512
    filters: Filters = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", Filters(self))


class Filters:
    """The names that a dialect drops, found among many.

    dropped_letters: letters of lines that stay out of System.map
    """

    def __init__(self, dialect: Dialect) -> None:
        letters = set()
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
            beginning = re.match(r"\w*(?![*\\])", body)[0] if start else ""
            self.general.append((re.compile(_python_regex(pattern).encode()), beginning.encode()))
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


def _python_regex(pattern: str) -> str:
    """A basic regular expression of POSIX as Python writes it."""
    pattern = pattern.replace("[:alnum:]", "0-9A-Za-z").replace("[:digit:]", "0-9").replace("[:alpha:]", "A-Za-z")
    out, index = [], 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\" and index + 1 < len(pattern):
            index += 1
            # In a basic expression these group or repeat only after a backslash; every other escape is the character itself.
            out.append(pattern[index] if pattern[index] in "(){}|+?" else re.escape(pattern[index]))
        elif character in "(){}|+?":
            out.append("\\" + character)
        else:
            out.append(character)
        index += 1
    return "".join(out)


def probe(tree: str | Path) -> Dialect:
    """The dialect of the kernel tree `tree`.

    Raises InputError if scripts/mksysmap or scripts/kallsyms.c is missing, or does not read like any known version.
    """
    scripts = Path(tree) / "scripts"
    source = _without_comments(files.read_text(scripts / "kallsyms.c"))
    labels = _in_order(re.findall(r'output_label\("(\w+)"\)', source))
    if "kallsyms_names" not in labels:
        raise InputError(
            "writes no label kallsyms_names", path=scripts / "kallsyms.c", cure="its tables are of an unknown kind"
        )
    limit = re.search(r"#define\s+KSYM_NAME_LEN\s+(\d+)", source)
    absolute = re.search(r"toupper\((?:type|stype)\)\s*==\s*'A'\)\s*\{(.*?)\}", source, re.DOTALL)
    ranges = tuple(_pairs(source, "text_ranges"))
    percpu = _pairs(source, "percpu_range")
    return Dialect(
        mksysmap=_mksysmap_patterns(scripts / "mksysmap"),
        ignored_symbols=_strings(source, "ignored_symbols"),
        ignored_prefixes=_strings(source, "ignored_prefixes"),
        ignored_suffixes=_strings(source, "ignored_suffixes"),
        ignored_matches=_strings(source, "ignored_matches"),
        ignored_types="".join(_in_order(re.findall(r"type == '(\w)'", source))).replace("A", ""),
        kept_absolute=tuple(re.findall(r'strcmp\(\w+, "(\w+)"\)', absolute[1])) if absolute else (),
        kept_prefixes=tuple(re.findall(r'string_starts_with\(name, "(\w+)"\)', source)),
        text_ranges=ranges,
        percpu_range=percpu[0] if percpu else ("", ""),
        labels=tuple(_in_order("kallsyms_addresses" if label == "kallsyms_offsets" else label for label in labels)),
        base_relative='"base-relative"' not in source and "kallsyms_relative_base" in labels,
        cut_llvm='"lto-clang"' in source,
        comments=r"/* %s */\n" in source,
        name_limit=int(limit[1]) if limit else 128,
    )


def _mksysmap_patterns(path: Path) -> tuple[str, ...]:
    """The regular expressions of a mksysmap: a sed script of `/…/d` lines, or a shell script that calls grep."""
    lines = [line for line in files.read_text(path).splitlines() if not line.lstrip().startswith("#")]
    found = [match[1] for line in lines if (match := re.fullmatch(r"\s*/(.*)/d\s*", line))]
    if not found:
        found = re.findall(r"'([^']*)'", "\n".join(lines))
    if not found:
        raise InputError("drops no line that we can see", path=path, cure="neither sed's /…/d nor grep's '…' is in it")
    # Older versions have one expression of alternatives in groups.
    split = [part for pattern in found for part in pattern.split(r"\|")]
    return tuple(part[2:-2] if part.startswith(r"\(") and part.endswith(r"\)") else part for part in split)


def _without_comments(source: str) -> str:
    """C source with every comment a blank. What looks like one inside a string is none."""
    return re.sub(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*', lambda match: match[1] or " ", source, flags=re.DOTALL)


def _body(source: str, name: str) -> str:
    found = re.search(name + r"(?:\[\])?\s*=\s*\{(.*?)\};", source, re.DOTALL)
    return found[1] if found else ""


def _strings(source: str, name: str) -> tuple[str, ...]:
    return tuple(re.findall(r'"([^"]*)"', _body(source, name)))


def _pairs(source: str, name: str) -> list[tuple[str, str]]:
    return re.findall(r'"(\w+)",\s*"(\w+)"', _body(source, name))


def _in_order(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
