"""Rung 3: the symbols of a kernel and its source package enter, no image; claims leave.

    ffffffff81396d10 t ext4_sync_parent         static int ext4_sync_parent(struct inode *inode)    fs/ext4/fsync.c
    ffffffff81396e30 T ext4_sync_file           int ext4_sync_file(struct file *file, ...)          fs/ext4/fsync.c

A function that one source of this configuration defines is of that source's object; of several, of the one that lies
between the objects of its neighbours. What a macro or a header made is known where both neighbours are of one object,
or all objects from the one to the other are of the same modules.
A variable __initcall__kmod_ext4__321_7021_ext4_init_fs6 (5.15 and later, where data symbols are there) says of which
of several objects the function ext4_init_fs is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.attribute import order
from kallmodsyms.attribute.claims import Claim, of_symbols, paths
from kallmodsyms.attribute.recipe import Recipe
from kallmodsyms.attribute.text import Text
from kallmodsyms.names import ModuleList, module_name
from kallmodsyms.symbols import SymbolTable

NAME = "names"

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_FUNCTION = re.compile(r"^([A-Za-z_][^;{}()#=]*?[\s*]|)(\w+)[ \t]*\([^;{}#]*\)[^;{}()#=]*\{", re.MULTILINE)
_ASSEMBLER = re.compile(r"^\s*(?:SYM_\w*(?:START|LABEL|ALIAS)\w*|(?:WEAK|ENTRY)\w*)\(\s*(\w+)|^(\w+):", re.MULTILINE)
_INCLUDED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+\.[cS])"', re.MULTILINE)
_INITCALL = re.compile(rb"__initcall__kmod_(\w+?)__\d+_\d+_(\w+?)(?:[0-7]s?|early|con|security|rootfs)(?:\.\w+)?")
_SYSCALL = re.compile(r"^(COMPAT_)?SYSCALL_DEFINE\d\(\s*(\w+)", re.MULTILINE)
_MADE = (
    # What macros of the kernel call the functions that they make of their first argument.
    (re.compile(r"^DEFINE_(?:SHOW|SEQ|PROC_SHOW)_ATTRIBUTE\((\w+)", re.MULTILINE), ("{}_open",)),
    (re.compile(r"^BPF_CALL_\d\(\s*(\w+)", re.MULTILINE), ("{}",)),
    (re.compile(r"^(?:module|builtin)_\w+_driver\(\s*(\w+)", re.MULTILINE), ("{}_init", "{}_exit")),
)
_LOCAL, _GLOBAL = "t", "T"


def claims(symbols: SymbolTable, recipe: Recipe) -> list[Claim]:
    """What the names of the symbols say."""
    objects, lists = recipe.objects, recipe.lists
    defined = _defined(recipe.tree, objects)
    calls = _initcalls(symbols)
    text = Text.of(symbols, recipe.labels)
    candidates = []
    for _, letter, name in text.symbols(symbols):
        plain, _, made = name.decode("utf-8", "surrogateescape").partition(".")
        here = defined.get((_GLOBAL if letter in "TW" else _LOCAL, plain), [])
        if made:  # A part or a copy of a function, global or not, is local.
            here = sorted({*here, *defined.get((_GLOBAL, plain), ())})
        called = calls.get(plain)
        if called and len(here) > 1:
            here = [at for at in here if called & _names(objects[at], lists)]
        candidates.append(here)
    found = paths(order.placed(candidates, text.sections), objects, lists)
    return of_symbols(symbols, text.which, found, NAME)


def _names(path: str, lists: Mapping[str, ModuleList]) -> set[str]:
    return {module_name(path), *lists.get(path, ())}


def _initcalls(symbols: SymbolTable) -> dict[str, set[str]]:
    """The modules of each function that is called at boot."""
    found: dict[str, set[str]] = {}
    for name in symbols.names:
        if name.startswith(b"__initcall__kmod_") and (match := _INITCALL.fullmatch(name)):
            found.setdefault(match[2].decode(), set()).add(match[1].decode())
    return found


def _defined(tree: Path, objects: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Letter and name of each function that sources define, to the positions of the objects, ascending."""
    found: dict[tuple[str, str], list[int]] = {}
    for at, path in enumerate(objects):
        source = next((name for kind in "cS" if (name := tree / f"{path[:-1]}{kind}").is_file()), None)
        for key in _functions(source, set()) if source is not None else ():
            found.setdefault(key, []).append(at)
    return found


def _functions(source: Path, seen: set[Path]) -> set[tuple[str, str]]:
    """Letter and name of each function that a source, or one that it includes, defines."""
    seen.add(source)
    text = _COMMENT.sub(" ", files.read_text(source))
    if source.suffix == ".S":
        return {(letter, one or other) for one, other in _ASSEMBLER.findall(text) for letter in (_LOCAL, _GLOBAL)}
    found = set()
    for before, name in _FUNCTION.findall(text):
        words = before.split()
        found.add((_LOCAL if "static" in words else _GLOBAL, name))
    for compat, name in _SYSCALL.findall(text):
        kind = "compat_sys" if compat else "sys"
        found |= {(_GLOBAL, f"__{abi}_{kind}_{name}") for abi in ("x64", "ia32", "arm64", "se", "do")}
        found |= {(_LOCAL, f"__{part}_{kind}_{name}") for part in ("se", "do")}
    for pattern, forms in _MADE:
        found |= {(letter, form.format(name)) for name in pattern.findall(text) for form in forms for letter in "tT"}
    for name in _INCLUDED.findall(text):
        included = Path(posixpath.normpath(source.parent / name))
        if included.is_file() and included not in seen:
            found |= _functions(included, seen)
    return found
