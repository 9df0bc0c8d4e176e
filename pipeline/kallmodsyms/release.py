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
      addresses are always relative       base-relative" in kallsyms.c: no           6.12, not 6.1
      .llvm. counts in the order of names "lto-clang" in kallsyms.c: no              6.12, not 6.1
      the rows of a table have comments   /* %s */ in kallsyms.c                     6.12, not 6.1
      names of this length are left out   KSYM_NAME_LEN in kallsyms.c                where it is absent, 128
      addresses are relative to their     "pc-relative" in kallsyms.c                7.0
      own place, where the kernel moves
      tables begin at a multiple of 4     .balign 4 in kallsyms.c: no                before 7.0 of a word
      tables are made of System.map       | scripts/kallsyms in link-vmlinux.sh: no  before 6.1 of what nm says
    hook, link, provider (scripts/link-vmlinux.sh where no file is named)
      what make calls the link, and what  the rule with scripts/link-vmlinux.sh in   before 6.1 cmd_link-vmlinux,
      it is to write                      Makefile or scripts/Makefile.vmlinux       since 6.16 vmlinux.unstripped
      the script makes vmlinux.o too      KBUILD_VMLINUX_OBJS                        before 6.1
      what vmlinux.o stands in for        objs=vmlinux.o                             KLP_BUILD since 7.0
      what is linked besides              objs="${objs} …", arch_vmlinux_o=          .builtin-dtbs.o, vmlinux.arch.o
      BTF is made by a script             scripts/gen-btf.sh                         7.0
      sorttable wants the image's symbols sorttable -s                               6.12.117, not 6.1
      where the makefile of obj= is       kbuild-dir in scripts/Makefile.build or    before 6.10 (b1992c3772e6)
                                          scripts/Kbuild.include
                                          src := $(srcroot)/ in Makefile.build       6.13
      the list of modules is kernel/      static LIST_HEAD(modules) in               before 5.19
      module.c's own                      kernel/module.c
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
    of_system_map: tables hold what mksysmap lets through; not all that nm says
    place_relative: where the kernel can move, and on 64 bits, an address is written as its distance from the entry
    alignment: of each table in bytes; None for a machine word
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
    of_system_map: bool = True
    place_relative: bool = False
    alignment: int | None = None


KALLSYMS_LABELS = frozenset(KallsymsDialect().labels) | {"kallsyms_offsets"}
"""The base tables that we know."""


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
    _refuse_unknown_tables(Path(tree))
    link = scripts / "link-vmlinux.sh"
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
        base_relative='base-relative"' not in source and "kallsyms_relative_base" in labels,
        cut_llvm='"lto-clang"' in source,
        comments=r"/* %s */\n" in source,
        name_limit=int(limit[1]) if limit else 128,
        of_system_map=not (link.is_file() and "| scripts/kallsyms" in files.read_text(link)),
        place_relative='"pc-relative"' in source,
        alignment=int(align[1]) if (align := re.search(r'"\\t\.balign (\d+)\\n"', source)) else None,
    )


def _refuse_unknown_tables(tree: Path) -> None:
    """Raise InputError for a table that the tree writes, reads or places, and that we do not make."""
    for place, pattern in (
        ("scripts/kallsyms.c", r'output_label\("(\w+)"\)'),
        ("kernel/kallsyms*.[ch]", r"extern const [\w ]*\b(kallsyms_\w+)"),
        ("include/asm-generic/vmlinux.lds.h", r"\b(kallsyms_\w+)"),
        ("arch/*/kernel/vmlinux.lds.S", r"\b(kallsyms_\w+)"),
    ):
        for path in sorted(tree.glob(place)):
            for number, line in enumerate(files.read_text(path).splitlines(), 1):
                for label in re.findall(pattern, line):
                    if label not in KALLSYMS_LABELS:
                        raise InputError(
                            f"{label} is a table that is not known here: its image would lack it",
                            path=path,
                            line=number,
                            text=line.strip(),
                        )


class LinkDialect(NamedTuple):
    """How a tree links its image; without arguments, how the toy kernel does.

    variable: the make variable that holds the command
    output: what the command is to write
    script_makes_objects: the tree's script makes vmlinux.o and the lists of modules before it links the image
    relocatable: the options with any of which the image is linked from vmlinux.o
    objects: (option, object): linked after the archive where the option is on, or always where it is None
    last: the same, linked after everything else
    btf_script: BTF comes from scripts/gen-btf.sh
    """

    variable: str = "cmd_link_vmlinux"
    output: str = "vmlinux"
    script_makes_objects: bool = False
    relocatable: tuple[str, ...] = ()
    objects: tuple[tuple[str | None, str], ...] = ()
    last: tuple[tuple[str | None, str], ...] = ()
    btf_script: bool = False


_LINK = "scripts/link-vmlinux.sh"
_RULE = re.compile(
    r"^(\S+):[ \t]*scripts/link-vmlinux\.sh\b[^\n]*\n\t\+?\$\(call[ ]if_changed(?:_dep)?,[ ]?(link[-_]vmlinux)\)",
    re.MULTILINE,
)
_OUR_OUTPUTS = ("vmlinux", "vmlinux.unstripped")
_ENABLED = r"if ((?:is_enabled CONFIG_\w+(?:\s*\|\|\s*\\?\s*)?)+); then\s+(?:#[^\n]*\s+)*"


def link_dialect(tree: Tree) -> LinkDialect:
    """How the tree links its image. Raises InputError if that cannot be done, or not taken over, here."""
    script = Path(tree, _LINK)
    if not script.is_file():
        raise InputError("is missing: how this tree links its image is not known here", path=script)
    text = files.read_text(script)
    variable, output = _hook(Path(tree))
    made = "KBUILD_VMLINUX_OBJS" in text
    if made or variable != LinkDialect().variable:
        if not (made and variable == "cmd_link-vmlinux" and "vmlinux_link()" in text):
            raise InputError("links the image in a way that is not known here", path=script)
        return LinkDialect(variable, output, script_makes_objects=True)
    relocatable = re.search(_ENABLED + r"objs=vmlinux\.o\b", text)
    conditional = re.findall(_ENABLED + r'objs="\$\{objs\} (\S+)"', text)
    always = dict.fromkeys(re.findall(r'objs="\$\{objs\} (\S+)"', text))
    objects = always | {name: _options(options)[0] for options, name in conditional}
    last = [(_options(options)[0], name) for options, name in re.findall(_ENABLED + r"arch_vmlinux_o=(\S+)", text)]
    known = {*objects, *(name for _, name in last), "vmlinux.o"}
    tables = r"[\w$.{}]*(?:btf|kallsyms|\$\{[12]\})[\w$.{}]*\.o"
    for number, line in enumerate(text.splitlines(), 1):
        for name in re.findall(r"[\w./${}-]+\.o\b", line.partition("#")[0] if line.lstrip().startswith("#") else line):
            if name not in known and not re.fullmatch(tables, name):
                raise InputError(f"links {name}, which is not known here", path=script, line=number, text=line.strip())
    if relocatable is None or "objs=vmlinux.a" not in text:
        raise InputError("links the image in a way that is not known here", path=script)
    return LinkDialect(
        variable=variable,
        output=output,
        relocatable=_options(relocatable[1]),
        objects=tuple((option, name) for name, option in objects.items()),
        last=tuple(last),
        btf_script="gen-btf.sh" in text,
    )


def _options(condition: str) -> tuple[str, ...]:
    return tuple(re.findall(r"CONFIG_(\w+)", condition))


def _hook(tree: Path) -> tuple[str, str]:
    """The variable that make links by, and the file that it names for the output."""
    for path in (tree / "scripts/Makefile.vmlinux", tree / "Makefile"):
        text = files.read_text(path) if path.is_file() else ""
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"\s*override\s+(?:define\s+)?cmd_link[-_]vmlinux\b", line):
                raise InputError(
                    "overrides the link of the image, so that ours cannot take its place",
                    path=path,
                    line=number,
                    text=line.strip(),
                    cure="take the word override away",
                )
        if (rule := _RULE.search(text)) and rule[1] in _OUR_OUTPUTS:
            return f"cmd_{rule[2]}", rule[1]
    raise InputError(
        "has no rule, here or in scripts/Makefile.vmlinux, that calls scripts/link-vmlinux.sh by a variable: "
        "how this tree links its image is not known here",
        path=tree / "Makefile",
    )


def sorttable_wants_symbols(tree: Tree) -> bool:
    """Whether the tree's scripts/sorttable takes the symbols of the image, as `nm -S` lists them, from a file."""
    return "sorttable -s" in files.read_text(Path(tree, _LINK))


def folder_variables(tree: Tree, folder: str) -> list[str]:
    """What to tell scripts/Makefile.build, so that it builds `folder` of the build directory from the sources there.

    It would look for them in the tree.
    """
    scripts = [Path(tree, "scripts", name) for name in ("Makefile.build", "Kbuild.include")]
    if any("kbuild-dir" in files.read_text(script) for script in scripts):
        return [f"obj={folder}", f"kbuild-dir={folder}"]
    root = "." if "src := $(srcroot)/" in files.read_text(scripts[0]) else ""
    return [f"obj={folder}", "VPATH=", f"srcroot={root}"]


def hides_modules(tree: Tree) -> bool:
    """Whether the tree's list of loaded modules can be seen by nobody but kernel/module.c."""
    source = Path(tree, "kernel/module.c")
    return source.is_file() and "static LIST_HEAD(modules)" in files.read_text(source)


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
