"""Two kernels enter; what changed leaves, module by module.

    crc7: came, 3 symbols, 120 bytes of text
    minix: went, 71 symbols, 20480 bytes of text
    isofs: from built in to loadable, with the same 44 functions
    ext4: text +176, init 0, symbols +2 -1: +ext4_new_helper +ext4_new_inline -ext4_old_helper
    no module: symbols +1 -0: +vfs_new_helper

That a module became loadable the build directory of the new kernel tells: it has a .ko, which modules.order names where
Kbuild made it, and whose symbol table has the functions that a tracer will find under the module's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kallmodsyms import files, symbols
from kallmodsyms.forms import Record
from kallmodsyms.kernel import Kernel, Module
from kallmodsyms.names import TEXT_LETTERS, module_name

KEYS = ("module", "change", "text", "init", "added", "removed")


class Change(NamedTuple):
    """module: its name, empty for what belongs to none
    change: came, went, changed, to loadable, to built in
    text, init: by how many bytes it grew
    added, removed: names of functions, sorted; a name is there as often as it is in one kernel more than in the other.
        Where `change` is to loadable or to built in, of the .ko against what is built in
    same: how many functions are in both
    """

    module: str
    change: str
    text: int
    init: int
    added: Sequence[str]
    removed: Sequence[str]
    same: int

    def __str__(self) -> str:
        name = self.module or "no module"
        differs = " ".join([*(f"+{one}" for one in self.added), *(f"-{one}" for one in self.removed)])
        if self.change in ("came", "went"):
            return f"{name}: {self.change}, {len(self.added or self.removed)} symbols, {abs(self.text)} bytes of text"
        if self.change != "changed":
            way = "from built in to loadable" if self.change == "to loadable" else "from loadable to built in"
            return f"{name}: {way}, " + (
                f"{self.same} functions are the same: {differs}" if differs else f"with the same {self.same} functions"
            )
        size = f"text {self.text:+}, init {self.init:+}, " if self.module else ""
        return f"{name}: {size}symbols +{len(self.added)} -{len(self.removed)}" + (f": {differs}" if differs else "")

    def record(self) -> Record:
        """With the keys `KEYS`."""
        return {key: value for key, value in self._asdict().items() if key in KEYS}


def kernels(old: Kernel, new: Kernel) -> list[Change]:
    """The modules that changed, by name, and last what belongs to none. Raises InputError for a damaged .ko."""
    changes = []
    loadable_then, loadable_now = _loadable(old), _loadable(new)
    for name in sorted(old.modules.keys() | new.modules.keys()):
        before, after = old.modules.get(name), new.modules.get(name)
        if before is not None and after is None and name in loadable_now:
            changes.append(_moved(before, loadable_now[name], "to loadable"))
        elif after is not None and before is None and name in loadable_then:
            changes.append(_moved(after, loadable_then[name], "to built in"))
        else:
            changes += _changed(name, before, after)
    added, removed, same = _compare(_unowned(old), _unowned(new))
    if added or removed:
        changes.append(Change("", "changed", 0, 0, added, removed, same))
    return changes


def _changed(name: str, before: Module | None, after: Module | None) -> list[Change]:
    text, init = (
        (getattr(after, which) if after else 0) - (getattr(before, which) if before else 0)
        for which in ("text", "init")
    )
    added, removed, same = _compare(
        *(Counter(one.name for one in side.symbols) if side else Counter() for side in (before, after))
    )
    change = "changed" if before and after else "came" if after else "went"
    return [Change(name, change, text, init, added, removed, same)] if text or init or added or removed else []


def _moved(module: Module, ko: Path, change: str) -> Change:
    """A module that is built in in one kernel, and `ko` in the other."""
    table = symbols.read(ko)
    # The loader's own, which a built-in module has under other names or not at all.
    there = Counter(
        name.decode("utf-8", "surrogateescape")
        for name, letter in zip(table.names, table.types, strict=True)
        if letter in TEXT_LETTERS and name not in (b"init_module", b"cleanup_module")
    )
    added, removed, same = _compare(Counter(one.name for one in module.symbols), there)
    return Change(module.name, change, -module.text, -module.init, added, removed, same)


def _compare(before: Counter[str], after: Counter[str]) -> tuple[list[str], list[str], int]:
    added, removed = (sorted(counter.elements()) for counter in (after - before, before - after))
    return added, removed, (before & after).total()


def _unowned(kernel: Kernel) -> Counter[str]:
    return Counter(
        name.decode("utf-8", "surrogateescape")
        for name, number, letter in zip(
            kernel.table.names, kernel.table.of_symbols.tolist(), kernel.table.types, strict=True
        )
        if not number and letter in TEXT_LETTERS
    )


def _loadable(kernel: Kernel) -> dict[str, Path]:
    """The .ko files that were built with a kernel, by module."""
    if kernel.image is None:
        return {}
    objdir = Path(kernel.path).parent
    found = {path.relative_to(objdir).with_suffix(""): path for path in objdir.rglob("*.ko")}
    order = objdir / "modules.order"
    if order.is_file():
        # What an earlier configuration left is still there. The list has names in .ko or, since 6.4, in .o.
        listed = {Path(line).with_suffix("") for line in files.read_text(order).split()}
        found = {stem: path for stem, path in found.items() if stem in listed}
    return {module_name(str(stem)): path for stem, path in found.items()}
