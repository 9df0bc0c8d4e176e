"""Patches 4 to 7, the tables and what the kernel shows of them: a built kernel in; files and pages out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import assembly
from kallmodsyms.kallsyms import sizes as compact_sizes
from kallmodsyms.kallsyms import tables as kallsyms
from kallmodsyms.kallsyms.listing import Kallsyms
from kallmodsyms.kallsyms.tables import Tables
from kallmodsyms.series import page, sizes, source, verdict
from kallmodsyms.series.built import FOLDERS, PAGE, Built
from kallmodsyms.series.verdict import INVENTED, MISSED, OTHER

_NAMES = "kallsyms_module_names"
_HEAD = 6
"""How many lines of a listing a page shows."""


def modules(built: Built) -> None:
    """Patch 4."""
    folder, base, found = built.output / FOLDERS[3], built.tables("none"), built.encoded(optimize=False)
    text = assembly.text(base, source.layout(found))
    files.write(folder / "kallsyms.S", text)
    wrong = built.verdict(found)
    runs, own_names, _ = own_bytes(built, base)
    names = len(found.names)
    page.write(
        folder / PAGE,
        FOLDERS[3],
        entries=len(found.values),
        owned=int(np.count_nonzero(found.values)),
        entry_bytes=_entry_bytes(base, source.of_modules(base, found)),
        names=names,
        source=len(text),
        growth=page.growth(len(assembly.text(base)), len(text)),
        missed=wrong.count(MISSED),
        invented=wrong.count(INVENTED) + wrong.count(OTHER),
        runs=len(built.ours.runs),
        run_bytes=runs + own_names,
    )


def optimize(built: Built) -> None:
    """Patch 5."""
    folder, base = built.output / FOLDERS[4], built.tables("none")
    before, after = built.encoded(optimize=False), built.encoded()
    text, source_before = assembly.text(base, source.layout(after)), len(assembly.text(base, source.layout(before)))
    files.write(folder / "kallsyms.S", text)
    entries = [_entry_bytes(base, source.of_modules(base, found)) for found in (before, after)]
    runs, own_names, own_source = own_bytes(built, base)
    page.write(
        folder / PAGE,
        FOLDERS[4],
        entries_before=len(before.values),
        entries=len(after.values),
        entries_saved=len(before.values) - len(after.values),
        runs=len(built.ours.runs),
        entry_bytes_before=entries[0],
        entry_bytes=entries[1],
        entry_bytes_saved=entries[0] - entries[1],
        run_bytes=runs,
        names_before=len(before.names),
        names=len(after.names),
        names_saved=len(before.names) - len(after.names),
        own_names=own_names,
        source_before=source_before,
        source=len(text),
        source_saved=source_before - len(text),
        own_source=own_source,
        unfused=int(np.count_nonzero(after.values[1:] == after.values[:-1])),
    )


def own_bytes(built: Built, base: Tables) -> tuple[int, int, int]:
    """Of our tables of modules: the bytes of the runs, with all that belongs to them; of the names; and of the `.S`."""
    own = built.tables("none", modules=True, previous=base)
    added = [table for table in kallsyms.layout(own) if "module" in table.label]
    names = next(len(table.values) for table in added if table.label == _NAMES)
    return _entry_bytes(own, added), names, len(assembly.text(own))


def _entry_bytes(base: Tables, added: Iterable[kallsyms.Table]) -> int:
    """The bytes of tables, without those of names."""
    found = (
        assembly.as_bytes(table, base.bits, base.byteorder or "little") for table in added if table.label != _NAMES
    )
    return sum(map(len, found))


def proc(built: Built) -> None:
    """Patch 6."""
    folder, ours = built.output / FOLDERS[5], replace(built.ours, sizes=None)
    was, encoded = built.as_it_was(), built.encoded()
    theirs = verdict.shown(ours, was)
    shown = {"root": ours, "nobody": _unseen(ours), "root.series": theirs, "nobody.series": _unseen(theirs)}
    texts = {name: found.listing() for name, found in shown.items()}
    for name, text in texts.items():
        files.write(folder / name, text)
    as_it_was, with_ours = built.verdict(was, as_it_was=True), built.verdict(encoded)
    causes = sorted(as_it_was.wrong.keys() | with_ours.wrong.keys())
    page.write(
        folder / PAGE,
        FOLDERS[5],
        lines=len(ours),
        owned=int(np.count_nonzero(ours.of_symbols)),
        its_owned=int(np.count_nonzero(theirs.of_symbols)),
        was_right=as_it_was.right,
        right=with_ours.right,
        was_missed=as_it_was.count(MISSED),
        missed=with_ours.count(MISSED),
        was_invented=as_it_was.count(INVENTED),
        invented=with_ours.count(INVENTED),
        was_other=as_it_was.count(OTHER),
        other=with_ours.count(OTHER),
        why=page.table(
            ("", "why", "as it was", "with our list and pieces"),
            [(how, why, as_it_was.wrong[how, why], with_ours.wrong[how, why]) for how, why in causes],
        ),
        root=page.verbatim(head(texts["root"])),
        nobody=page.verbatim(head(texts["nobody"])),
    )


def sizes_of_symbols(built: Built) -> None:
    """Patch 7."""
    folder, ours = built.output / FOLDERS[6], built.ours
    if ours.sizes is None:
        raise InputError("was linked without sizes", path=built.image, cure="link it with sizes=compact")
    base, encoded = built.tables("dense"), built.encoded()
    assert base.sizes is not None
    root = ours.listing()
    order = base.byteorder or "little"
    pairs = sizes.sparse(base.addresses, base.sizes)
    codes = compact_sizes.encode(base.addresses, base.absolute, base.sizes)
    forms = {
        "dense": sizes.dense(base.sizes, base.bits, order),
        "sparse": sizes.words(pairs, order),
        "compact": codes.codes.tobytes() + sizes.words(codes.markers, order),
    }
    files.write(folder / "kallsyms.S", assembly.text(base, source.layout(encoded)))
    files.write(folder / "root", root)
    files.write(folder / "nobody", _unseen(ours).listing())
    for form, data in forms.items():
        files.write(folder / f"sizes.{form}", data)
    count = len(base.addresses)
    of_modules = _entry_bytes(base, source.of_modules(base, encoded)) + len(encoded.names)
    page.write(
        folder / PAGE,
        FOLDERS[6],
        **{form: len(data) for form, data in forms.items()},
        **{f"{form}_z": len(zlib.compress(data, 9)) for form, data in forms.items()},
        **{f"{form}_share": 100 * len(data) / len(forms["dense"]) for form, data in forms.items()},
        followed=count - len(pairs),
        symbols=count,
        times=len(forms["dense"]) / of_modules,
        extra=len(codes.codes) - count,
        root=page.verbatim(head(root)),
    )


def _unseen(found: Kallsyms) -> Kallsyms:
    """The symbols as somebody reads them who may not see addresses (kallsyms_show_value() in kernel/ksyms_common.c)."""
    sizes = None if found.sizes is None else np.zeros_like(found.sizes)
    return replace(found, addresses=np.zeros_like(found.addresses), sizes=sizes)


def head(listing: bytes) -> list[str]:
    """Some lines of a listing from where modules begin."""
    lines = listing.decode("utf-8", "surrogateescape").splitlines()
    first = next((number for number, line in enumerate(lines) if "\t" in line), 0)
    return lines[max(first - _HEAD // 2, 0) : first + _HEAD // 2]
