"""What differs between kernel releases: a tree enters; what its scripts and sources say about themselves leaves.

Nobody asks for a version number. Each difference is looked for by itself, so that a tree of any release, or with other
patches, says what it does. Where a version is given, it is the first that has the feature, or ("before") the first that
has it no longer.

    what differs                          looked for                                 since or before
    kconfig
      order of auto.conf                  SYMBOL_HASHSIZE in scripts/kconfig/*       every tree has its own
      strings in auto.conf have quotes    OUTPUT_N_NONE, false in confdata.c: no     before 5.17 (129ab0d2d9f3)
      a number without value is 0         "0x0" in symbol.c                          6.9
      a number out of range is forgotten  sym_string_within_range in confdata.c      before 6.9
      a choice has a value of its own     choice_members in symbol.c: no             before 6.11
    kallsyms
      lines left out of System.map        scripts/mksysmap: '…' for grep, /…/d for   before 6.1 one expression;
                                          sed                                        6.12 has sed's, 6.1 not
      names left out of the tables        arrays and comparisons in kallsyms.c       6.12 has fewer than 6.1
      tables and their order              output_label("…") in kallsyms.c            kallsyms_seqs_of_names: 6.2
                                                                                     and stable 6.1
      addresses are always relative       "base-relative" in kallsyms.c: no          6.12, not 6.1
      .llvm. counts in the order of names "lto-clang" in kallsyms.c: no              6.12, not 6.1
      the rows of a table have comments   /* %s */ in kallsyms.c                     6.12, not 6.1
      names of this length are left out   KSYM_NAME_LEN in kallsyms.c                where it is absent, 128
    hook, link, provider
      the version is an object of its own init/version-timestamp.c                   6.1 (2df8220cc511)
      sorttable wants the image's symbols sorttable -s in scripts/link-vmlinux.sh    6.12.117, not 6.1
      where the makefile of obj= is       kbuild-dir in scripts/Makefile.build or    before 6.10 (b1992c3772e6)
                                          scripts/Kbuild.include
    looked for by their only reader
      a map of vmlinux.o (link)           vmlinux.o.map in the build directory       6.12, with
                                                                                     CONFIG_BUILTIN_MODULE_RANGES
      objects to be linked first (kbuild) scripts/head-object-list.txt               6.1
      words of the language (kconfig)     where they are used                        see kconfig/language.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import files
from kallmodsyms.errors import InputError

Tree = str | os.PathLike[str]


class ConfDialect(NamedTuple):
    """What the `conf` of a tree does its own way; a tree without one gets the newest way.

    buckets: size of its symbol table, which decides the order of auto.conf; None: the order of the Kconfig files
    quoted: strings in auto.conf are in quotes
    zero: an int or hex without any value is 0 or 0x0, not empty
    dropped: a number of the .config outside its range is forgotten, not moved to the nearest end
    modal: a choice has a value of its own, y or m, not just a member that is y
    """

    buckets: int | None
    quoted: bool
    zero: bool
    dropped: bool
    modal: bool


CONF_SOURCES = tuple(
    f"scripts/kconfig/{name}" for name in ("confdata.c", "symbol.c", "expr.h", "internal.h", "lkc.h", "lkc_proto.h")
)
"""The files of a tree that `conf_dialect` reads."""


def conf_dialect(tree: Tree) -> ConfDialect:
    """How the tree's `conf` writes a configuration."""
    sources = {name: files.read_text(Path(tree, name)) for name in CONF_SOURCES if Path(tree, name).is_file()}
    if not sources:
        return ConfDialect(buckets=None, quoted=False, zero=True, dropped=False, modal=False)
    confdata, symbol = (sources.get(f"scripts/kconfig/{name}.c", "") for name in ("confdata", "symbol"))
    size = re.search(r"#define\s+SYMBOL_HASHSIZE\s+(?:\(1U? << (\d+)\)|(\d+))", "".join(sources.values()))
    return ConfDialect(
        buckets=size and (1 << int(size[1]) if size[1] else int(size[2])),
        quoted=not re.search(r"OUTPUT_N_NONE,\s*false", confdata),
        zero='"0x0"' in symbol,
        dropped="sym_string_within_range" in confdata,
        modal="choice_members" not in symbol,
    )


class KallsymsDialect(NamedTuple):
    """How a kernel makes its tables; without arguments, how Linux 6.1 does.

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
        "kallsyms_markers", "kallsyms_token_table", "kallsyms_token_index", "kallsyms_seqs_of_names",
        "_SDA_BASE_", "_SDA2_BASE_",
    )  # fmt: skip
    ignored_prefixes: tuple[str, ...] = (
        "__efistub_", "__kvm_nvhe_$", "__kvm_nvhe_.L", "__AArch64ADRPThunk_", "__ARMV5PILongThunk_",
        "__ARMV7PILongThunk_", "__ThumbV7PILongThunk_", "__LA25Thunk_", "__microLA25Thunk_", "__kcfi_typeid_",
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


def kallsyms_dialect(tree: Tree | None) -> KallsymsDialect:
    """How the tree makes its tables; as Linux 6.1 where none is given, or one that has no scripts (the toy kernel).

    Raises InputError if scripts/mksysmap or scripts/kallsyms.c is missing, or reads like that of no known release.
    """
    if tree is None or not Path(tree, "scripts").is_dir():
        return KallsymsDialect()
    scripts = Path(tree, "scripts")
    source = _without_comments(files.read_text(scripts / "kallsyms.c"))
    labels = _in_order(re.findall(r'output_label\("(\w+)"\)', source))
    if "kallsyms_names" not in labels:
        raise InputError(
            "writes no label kallsyms_names; tables of another kind are not supported",
            path=scripts / "kallsyms.c",
        )
    limit = re.search(r"#define\s+KSYM_NAME_LEN\s+(\d+)", source)
    absolute = re.search(r"toupper\((?:type|stype)\)\s*==\s*'A'\)\s*\{(.*?)\}", source, re.DOTALL)
    ranges = tuple(_pairs(source, "text_ranges"))
    percpu = _pairs(source, "percpu_range")
    return KallsymsDialect(
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


def knows_final_link(tree: Tree) -> bool:
    """Whether the tree's final link is one that can be done here: the version is an object of its own."""
    return Path(tree, "init/version-timestamp.c").is_file()


def sorttable_wants_symbols(tree: Tree) -> bool:
    """Whether the tree's scripts/sorttable takes the symbols of the image, as `nm -S` lists them, from a file."""
    return "sorttable -s" in files.read_text(Path(tree, "scripts/link-vmlinux.sh"))


def folder_variables(tree: Tree, folder: str) -> list[str]:
    """What to tell scripts/Makefile.build, so that it builds `folder` of the build directory from the sources there.

    It would look for them in the tree.
    """
    scripts = (Path(tree, "scripts", name) for name in ("Makefile.build", "Kbuild.include"))
    if any("kbuild-dir" in files.read_text(script) for script in scripts):
        return [f"obj={folder}", f"kbuild-dir={folder}"]
    return [f"obj={folder}", "VPATH=", "srcroot="]


def _mksysmap_patterns(path: Path) -> tuple[str, ...]:
    """The regular expressions of a mksysmap: a sed script of `/…/d` lines, or a shell script that calls grep."""
    lines = [line for line in files.read_text(path).splitlines() if not line.lstrip().startswith("#")]
    found = [match[1] for line in lines if (match := re.fullmatch(r"\s*/(.*)/d\s*", line))]
    if not found:
        found = re.findall(r"'([^']*)'", "\n".join(lines))
    if not found:
        raise InputError(
            "no symbols to leave out were found in it",
            path=path,
            cure="it should have sed commands `/…/d`, or regular expressions '…' for grep",
        )
    # Older versions have one expression of alternatives in groups.
    split = [part for pattern in found for part in pattern.split(r"\|")]
    return tuple(part[2:-2] if part.startswith(r"\(") and part.endswith(r"\)") else part for part in split)


def _without_comments(source: str) -> str:
    """C source with a blank for every comment. What looks like a comment inside a string is not one."""
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
