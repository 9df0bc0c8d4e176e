"""The command `attribute`: an image that somebody else built enters; listing, ranges and attribution file leave.

`cli.py` calls `declare` with its own `command`, which makes a subcommand.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kallmodsyms import errors
from kallmodsyms.errors import InputError

if TYPE_CHECKING:
    from kallmodsyms.kallsyms.attributed import Attributed

LISTING, RANGES, ATTRIBUTION = "kallmodsyms", "modules.builtin.ranges", "kallmodsyms.attribution"


def declare(
    command: Callable[..., argparse.ArgumentParser], tree_options: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the subcommand."""
    sub = command(
        "attribute",
        _attribute,
        "whose the symbols of a kernel are that somebody else built, and what each answer rests on",
        "kallmodsyms attribute vmlinux --tree linux-6.1 --config /boot/config-6.1.0-57-amd64 -o debian",
        output=False,
    )
    sub.add_argument(
        "image", metavar="VMLINUX", help="an image, with debug data at best; or System.map, or a copy of /proc/kallsyms"
    )
    sub.add_argument("--config", required=True, metavar="CONFIG", help="the configuration that it was built with")
    tree_options(sub)
    sub.add_argument(
        "--debug", metavar="FILE", help="its debug data (default: its own, or where debuggers look for them)"
    )
    sub.add_argument(
        "--builtin-ranges",
        metavar="FILE",
        help="modules.builtin.ranges, where the distribution has one (6.12 and later)",
    )
    sub.add_argument(
        "-o", "--output", metavar="DIR", default=".", help=f"write {LISTING}, {RANGES} and {ATTRIBUTION} there"
    )
    sub.add_argument("--evidence", action="store_true", help="in the listing, too, what each symbol rests on")


def _attribute(options: argparse.Namespace) -> None:
    from kallmodsyms import commands, files, traceable
    from kallmodsyms.attribute import evidence, recipe, subject, whose
    from kallmodsyms.export import ranges
    from kallmodsyms.export.request import Request
    from kallmodsyms.kallsyms import attributed
    from kallmodsyms.kernel import Kernel

    output = Path(options.output)
    if not output.is_dir():
        raise InputError("is no directory", path=output, cure="make it, or say another one with -o")
    if options.no_shell:
        commands.forbid()
    debug = evidence.debug_file(options.image, options.debug)
    made_of = recipe.read(options.tree, options.config, options.arch, dict(options.variable))
    errors.warn(made_of.warnings)
    what = subject.of(options.image, made_of.options, made_of.dialect, debug)
    found = evidence.gather(what, made_of, debug, options.builtin_ranges)
    errors.warn(found.notes)
    result = whose.attribute(what, made_of, found.claims.values())
    text = attributed.text(result)
    kernel = Kernel(result.table, options.image)
    files.deliver(output / LISTING, attributed.listing(result) if options.evidence else result.table.listing())
    files.deliver(output / RANGES, ranges.builtin_ranges(Request(kernel, traceable.of(kernel))).text)
    files.deliver(output / ATTRIBUTION, text)
    print(_summary(result, [*found.claims, *whose.OTHERS]), end="")


def _summary(result: Attributed, kinds: list[str]) -> str:
    """A line for each kind of evidence: text symbols, and those of them that belong to modules."""
    owned = [bool(result.table.lists[number]) for number in result.table.of_symbols.tolist()]
    symbols = Counter(result.evidence)
    of_modules = Counter(kind for kind, is_owned in zip(result.evidence, owned, strict=True) if is_owned)
    rows = [("evidence", "text symbols", "of modules")]
    rows += [(kind, str(symbols[kind]), str(of_modules[kind])) for kind in kinds]
    return "".join(f"{kind:<16}{count:>12}{modular:>12}\n" for kind, count, modular in rows)
