"""Pages in Markdown: the text of a patch (pages/) and figures in; the page out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kallmodsyms import files

TEXTS = Path(__file__).parent / "pages"


def write(path: Path, name: str, **figures: object) -> None:
    """Write the page of which `name` is the text, with the figures that it names."""
    files.write(path, files.read_text(TEXTS / f"{name}.md").format(**figures))


def table(head: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """A table; whole numbers with commas.

    >>> print(table(("why", "bytes"), [("ours", 15105)]), end="")
    | why | bytes |
    |---|---|
    | ours | 15,105 |
    """
    cells = [head, ["---"] * len(head), *([f"{cell:,}" if isinstance(cell, int) else cell for cell in r] for r in rows)]
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "".join(f"{line.replace(' --- ', '---')}\n" for line in lines)


def growth(before: int, after: int) -> str:
    """What was added, in bytes and per cent.

    >>> growth(14_107_772, 14_137_515)
    '29,743 (0.21 %)'
    """
    return f"{after - before:,} ({100 * (after - before) / before:.2g} %)"


def some(names: Sequence[str], most: int = 8) -> str:
    """Behind a number: the first names, in backquotes, and how many more there are.

    >>> some(["fs/ext4/ext4.o", "net/otter.o"], 1), some([])
    (': `fs/ext4/ext4.o` and 1 more', '')
    """
    if not names:
        return ""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f": {', '.join(f'`{name}`' for name in names[:most])}{more}"


def verbatim(lines: Iterable[str]) -> str:
    """Lines that are shown as they are."""
    return "".join(f"    {line}\n" for line in lines)
