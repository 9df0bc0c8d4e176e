"""What the tables of one kernel cost in bytes: the series' encoding and ours, from one image, ranges and thick list.

    python benchmarks/table_bytes.py --tree TREE --vmlinux VMLINUX --ranges .tmp_vmlinux.ranges \\
        --thick modules_thick.builtin

The series' encoding is that of `kallmodsyms tables --encoding series`. Its sizes are a word a symbol; the sparse form
that its letter proposes has eight bytes for each symbol that does not end where the next one begins.
"""

from __future__ import annotations

from pathlib import Path

import measure
import numpy as np

from kallmodsyms import files, kbuild, release, symbols
from kallmodsyms.kallsyms import assembly, owners, select, tables
from kallmodsyms.linkmap import ranges
from kallmodsyms.series import encoding, sizes


def main() -> None:
    parser = measure.parser(__doc__)
    for option in ("--vmlinux", "--ranges", "--thick", "--tree"):
        parser.add_argument(option, type=Path, required=True)
    arguments = parser.parse_args()
    image = symbols.read(arguments.vmlinux)
    found = ranges.parse(arguments.ranges)
    modules = kbuild.parse_thick(files.read_text(arguments.thick), str(arguments.thick))
    boundary = {(label.address, label.name): label.path for label in found.labels}
    whose = owners.attribute(image, found.pieces, modules, boundary)
    options = select.Options(all_symbols=True, absolute_percpu=True, base_relative=True, sizes="compact")
    rules = release.kallsyms_dialect(arguments.tree)
    made = tables.build(image, options, rules, whose)
    chosen = select.select(image, options, rules)
    count = len(chosen.index)

    bytes_of = {table.label: len(assembly.as_bytes(table, image.bits, "little")) for table in tables.layout(made)}
    text = np.isin(chosen.types, np.frombuffer(owners.TEXT_LETTERS, np.uint8))
    owned = int(np.count_nonzero(text & (whose.of_symbols[chosen.index] > 0)))
    executable = image.executable or ()
    in_text = [p.path for p in found.pieces if any(start <= p.start < end for start, end in executable)]
    encoded = encoding.encode(found.pieces, modules, encoding.text_ranges(image, rules))
    entries = len(encoded.values)
    values = whose.of_runs.tolist()
    ends = sum(
        1
        for before, value, after in zip(values, values[1:], [*values[2:], 0], strict=False)
        if before and not value and after
    )
    names = bytes_of["kallsyms_module_names"]
    series, ours = 8 * entries + len(encoded.names), 8 * len(values) + names + bytes_of["kallsyms_module_exceptions"]
    print(
        f"{arguments.vmlinux.name}: {count:,} symbols in the tables, {owned:,} of them in built-in modules, "
        f"{len(in_text):,} pieces of text"
    )
    print(f"series: {entries:5} entries, {series:7,} bytes, {series / owned:.3f} a symbol of a module")
    print(f"ours:   {len(values):5} entries, {ours:7,} bytes, {ours / owned:.3f} a symbol of a module")
    print(f"  names of modules {names:,}, ends {8 * ends:,} ({ends} runs between two of modules, and the last), "
          f"exceptions {bytes_of['kallsyms_module_exceptions']:,}, lengths and counts {8 * 3 + 4 * 2}")  # fmt: skip

    assert made.sizes is not None
    dense = count * image.bits // 8
    sparse = 8 * len(sizes.sparse(made.addresses, made.sizes))
    compact = bytes_of["kallsyms_size_codes"] + bytes_of["kallsyms_size_markers"]
    for name, size in (("dense", dense), ("the letter's sparse", sparse), ("compact", compact)):
        print(f"sizes, {name:20} {size:9,} bytes  {100 * size / dense:5.1f} %")
    measure.figure("tables of modules", {"series": [series], "ours": [ours]}, "bytes")
    measure.figure("sizes", {"dense": [dense], "sparse": [sparse], "ours: compact": [compact]}, "bytes")
    measure.verdict({}, arguments.json)
    print(f"base tables {sum(bytes_of[table] for table in bytes_of if table in base_labels(rules)):,} bytes")


def base_labels(rules: release.KallsymsDialect) -> tuple[str, ...]:
    """The kernel's own tables."""
    return (*rules.labels, "kallsyms_offsets")


if __name__ == "__main__":
    main()
