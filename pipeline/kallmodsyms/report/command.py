"""The command `report`: images enter; a page, JSON, or a configuration for bloaty leaves.

`cli.py` calls `declare` as it does that of `kernel_commands`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

Deliver = Callable[[argparse.Namespace, "str | bytes"], None]
Command = Callable[..., argparse.ArgumentParser]


def declare(command: Command, deliver: Deliver) -> None:
    """Add the subcommand."""

    def report(options: argparse.Namespace) -> None:
        deliver(options, _report(options))

    sub = command(
        "report",
        report,
        "a page that shows what an image is made of: every byte by section, module, object and symbol",
        "kallmodsyms report build/vmlinux --tree linux-6.1 --against build-old/vmlinux -o report.html",
    )
    sub.add_argument("image", metavar="VMLINUX", help="an image in the directory where `kallmodsyms link` made it")
    sub.add_argument(
        "--tree", metavar="TREE", help="the source tree, for options and MAINTAINERS (default: that of the build)"
    )
    sub.add_argument("--against", metavar="OTHER", help="another such image, of an earlier build: what changed since")
    sub.add_argument("--json", action="store_true", help="the same numbers as one JSON document instead of the page")
    sub.add_argument("--bloaty", metavar="FILE", help="also write a configuration for bloaty that knows the modules")


def _report(options: argparse.Namespace) -> str:
    from kallmodsyms import files
    from kallmodsyms.report import bloaty, changes, model, page, tables

    report = model.of(options.image, options.tree)
    other = model.of(options.against, options.tree) if options.against is not None else None
    changed = changes.of(other, report) if other is not None else None
    if options.bloaty is not None:
        files.deliver(options.bloaty, bloaty.configuration(report))
    return tables.document(report, changed) if options.json else page.text(report, changed, other)
