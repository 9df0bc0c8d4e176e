"""The letter's own table and excerpts for this kernel: a built kernel in; the page that leads to the others out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from kallmodsyms import files
from kallmodsyms.kallsyms import assembly
from kallmodsyms.kallsyms.tables import Tables, layout
from kallmodsyms.names import ModuleList
from kallmodsyms.series import page, source
from kallmodsyms.series.built import FOLDERS, PAGE, Built
from kallmodsyms.series.growth import Linking
from kallmodsyms.series.verdict import INVENTED, MISSED, OTHER

_RAPL = ("rapl", "intel_rapl_perf", "intel_rapl_common")
_LIQUIDIO = ("liquidio", "liquidio_vf")
_NOT_LINKED = "not linked again: the link of this kernel is its make's"


def write(built: Built, linking: Linking | None) -> None:
    """The summary. Without `linking` images are not compared."""
    plain, dense = built.tables("none"), built.tables("dense")
    own = {sizes: built.tables(sizes, modules=True, previous=plain) for sizes in ("none", "compact")}
    encoded, was = built.encoded(), built.as_it_was()
    series = source.layout(encoded)
    variants: dict[str, tuple[Tables, assembly.Layout]] = {
        "the series": (plain, series),
        "the series with its sizes": (dense, series),
        "ours without sizes": (own["none"], layout),
        "ours": (own["compact"], layout),
    }
    texts = [len(assembly.text(tables, laid_out)) for tables, laid_out in variants.values()]
    source_base, held_base = len(assembly.text(plain)), _held(plain, layout)
    held = [_held(tables, laid_out) for tables, laid_out in variants.values()]
    images = ["", ""]
    bases = [_NOT_LINKED, _NOT_LINKED]
    if linking is not None:
        built.output.mkdir(parents=True, exist_ok=True)
        base = linking.measure(plain, layout, built.output, "base")
        found = [
            linking.measure(tables, laid_out, built.output, f"variant{number}")
            for number, (tables, laid_out) in enumerate(variants.values())
        ]
        images = [" | ".join(page.growth(base[kind], one[kind]) for one in found) for kind in (0, 1)]
        bases = [f"{size:,}" for size in base]
    as_it_was, wrong = built.verdict(was, as_it_was=True), built.verdict(encoded)
    listing = built.ours.listing().decode("utf-8", "surrogateescape").splitlines()
    page.write(
        built.output / PAGE,
        "summary",
        columns=" | ".join(variants),
        rule="---|" * len(variants),
        source=" | ".join(page.growth(source_base, size) for size in texts),
        tables=" | ".join(page.growth(held_base, size) for size in held),
        image=images[0] or " | " * (len(variants) - 1),
        compressed=images[1] or " | " * (len(variants) - 1),
        source_base=source_base,
        tables_base=held_base,
        image_base=bases[0],
        compressed_base=bases[1],
        was_modules=len(built.series_modules),
        modules=len(built.modules),
        was_entries=len(was.values),
        entries=len(encoded.values),
        runs=len(built.ours.runs),
        was_right=as_it_was.right,
        right=wrong.right,
        owned=int(np.count_nonzero(built.ours.of_symbols)),
        was_missed=as_it_was.count(MISSED),
        missed=wrong.count(MISSED),
        was_invented=as_it_was.count(INVENTED),
        invented=wrong.count(INVENTED),
        was_other=as_it_was.count(OTHER),
        other=wrong.count(OTHER),
        excerpts="\n".join(excerpts(listing)),
        patches="".join(f"- [{_title(folder)}]({folder}/{PAGE})\n" for folder in FOLDERS),
    )


def _held(tables: Tables, laid_out: assembly.Layout) -> int:
    """The bytes of all tables in an image, without what aligns them."""
    order = tables.byteorder or "little"
    return sum(len(assembly.as_bytes(table, tables.bits, order)) for table in laid_out(tables))


def excerpts(listing: Sequence[str]) -> Iterator[str]:
    """What the letter shows of a listing: where intel_rapl_perf begins, and what liquidio and liquidio_vf share. Where
    this kernel does not have these: where other modules begin, and what others share.
    """
    owners: list[ModuleList] = [tuple(re.findall(r"\[(\S+)\]", line.partition("\t")[2])) for line in listing]
    rapl: ModuleList = next((names for names in owners if len(names) == 1 and names[0] in _RAPL), ())
    if not rapl:
        yield "This kernel has no rapl; another module, where it begins:\n"
        rapl = next((names for names in owners if len(names) == 1), ())
    first = owners.index(rapl) if rapl else 0
    yield page.verbatim(listing[max(first - 3, 0) : first + 6])
    both = _LIQUIDIO if _LIQUIDIO in owners else next((names for names in owners if len(names) > 1), ())
    if not both:
        yield "It has neither liquidio nor any other object that is in several modules.\n"
        return
    if both != _LIQUIDIO:
        yield f"It has no liquidio; objects that {' and '.join(both)} share:\n"
    shown = [
        [line for line, names in zip(listing, owners, strict=True) if names == wanted][:4]
        for wanted in ((both[0],), both, *((name,) for name in both[1:]))
    ]
    yield page.verbatim(line for part in shown for line in [*part, "[...]"])


def _title(folder: str) -> str:
    return files.read_text(page.TEXTS / f"{folder}.md").splitlines()[0].removeprefix("# ")
