"""A real tree, built again: doit against the tree's own make with its own link, row by row, in one run.

    python benchmarks/rebuild.py --tree linux-source-6.1 --objdir build/linux-small --theirs build/plain [--profile
    config/linux-small.yaml] [--source fs/isofs/inode.c] [--driver VFAT_FS] [--symbol RUNTIME_TESTING_MENU] [--repeat 3]

The first directory must have been built by doit with that profile. The second is made here if it is not there: it gets
the same `.config`, and make with the same words but without the hook builds it (minutes). In each row a source of the
tree or `.config` is edited, and both build; then it is put back, and both build again outside of the measurement.
Figures are minima over the repetitions, on the clock and of the processors with those of the children; of our own
processes the largest one's memory is given at the end. Exit status 1 if a ratio is above its target.

Whoever interrupts this finds the files edited, with what they were beside them: FILE.orig.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import measure
from measure import Cost, cost, least, verdict

from kallmodsyms import profile
from kallmodsyms.configured import Configured
from kallmodsyms.plan import watched
from kallmodsyms.plan.make import Make

ROOT = Path(__file__).parent.parent
_VALUE = b"static int benchmark_extra __attribute__((used)) = %d;\n"
_FUNCTION = b"int benchmark_extra(void);\nint benchmark_extra(void) { return 1; }\n"


class Row(NamedTuple):
    """What is edited: a file that gets another end, or a symbol of `.config`, before and after; and which part of
    make's time doit may take.
    """

    title: str
    what: str
    before: bytes
    after: bytes
    target: float


def rows(source: str, header: str, driver: str, symbol: str) -> list[Row]:
    """The rows of this run. `header` is read by some 50 objects."""
    return [
        Row("nothing to do", source, b"", b"", 0.08),
        Row("a comment in one .c", source, b"", b"/* edited */\n", 0.20),
        Row("one .c that keeps names", source, _VALUE % 1, _VALUE % 2, 0.35),
        Row("one .c that adds a function", source, b"", _FUNCTION, 0.45),
        Row("a header", header, b"", b"\n#define BENCHMARK_EXTRA\n", 1.0),
        Row("a driver, y to m", driver, b"y", b"m", 0.45),
        Row("a driver, m to y", driver, b"m", b"y", 0.45),
        Row("a driver, y to n", driver, b"y", b"n", 0.45),
        Row("a symbol that nothing names", symbol, b"n", b"y", 0.15),
    ]


def main() -> int:
    parser = measure.parser(__doc__)
    parser.add_argument("--tree", required=True)
    parser.add_argument("--objdir", required=True)
    parser.add_argument("--theirs", required=True, type=Path)
    parser.add_argument("--profile", default="config/linux-small.yaml")
    parser.add_argument("--source", default="fs/isofs/inode.c")
    parser.add_argument("--driver", default="VFAT_FS")
    parser.add_argument("--symbol", default="RUNTIME_TESTING_MENU")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled again in each run
    words = {"tree": os.path.abspath(options.tree), "objdir": os.path.abspath(options.objdir)}
    chosen = profile.load(options.profile, ROOT, words)
    command = Make(chosen, Configured(chosen.tree, chosen.objdir, chosen.arch, chosen.make)).command("vmlinux")
    make = [
        f"O={options.theirs.absolute()}" if word.startswith("O=") else word
        for word in command
        if not word.startswith("cmd_link_vmlinux=")
    ]
    doit = [sys.executable, "-m", "doit", f"profile={options.profile}", *(f"{k}={v}" for k, v in words.items())]
    if not options.theirs.is_dir():
        options.theirs.mkdir(parents=True)
        shutil.copyfile(chosen.objdir / ".config", options.theirs / ".config")
    header = _header(chosen.objdir, chosen.tree)
    wanted = rows(options.source, header, options.driver, options.symbol)
    configs = [chosen.objdir / ".config", options.theirs / ".config"]
    edited = [*(chosen.tree / name for name in (options.source, header)), *configs]
    plain = {path: path.read_bytes() for path in edited}
    for path in edited:
        shutil.copyfile(path, f"{path}.orig")

    def both() -> dict[str, Cost]:
        return {"make": cost(make, ROOT), "doit": cost(doit, ROOT)}

    def put(row: Row, state: bytes) -> dict[str, Cost]:
        """What both take after this was edited."""
        if row.what.isupper():
            for path in configs:
                _write(path, _set(path.read_bytes(), row.what.encode(), state))
        else:
            _write(chosen.tree / row.what, plain[chosen.tree / row.what] + state)
        return both()

    def put_back() -> None:
        for path, content in plain.items():
            _write(path, content)
        both()

    try:
        targets = measured(wanted, put, put_back, options.repeat)
    finally:
        put_back()
        for path in edited:
            os.unlink(f"{path}.orig")
    # ru_maxrss is that of the largest process: doit itself, since compilers of C are smaller.
    print(f"largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB")
    return verdict(targets, options.json)


def measured(
    wanted: list[Row], put: Callable[[Row, bytes], dict[str, Cost]], put_back: Callable[[], None], repeat: int
) -> dict[str, bool]:
    """All rows, printed; which targets are met."""
    targets = {}
    print(f"{'':30}{'make':>8}{'doit':>8}   doit of make (processors)")
    for row in wanted:
        costs = []
        put_back()
        for _ in range(repeat):
            put(row, row.before)
            costs.append(put(row, row.after))
        sides = {"make": "make", "doit": "ours: doit"}
        measure.figure(row.title, {title: [one[program].wall for one in costs] for program, title in sides.items()})
        theirs, ours = (least([one[program] for one in costs]) for program in ("make", "doit"))
        ratio = ours.wall / theirs.wall
        print(
            f"{row.title:30}{theirs.wall:7.2f}s{ours.wall:7.2f}s   {ratio:.2f} ({ours.cpu / theirs.cpu:.2f})",
            flush=True,
        )
        targets[f"{row.title}: at most {row.target}"] = ratio <= row.target
    return targets


def _header(objdir: Path, tree: Path) -> str:
    """The header of the tree that as nearly as possible 50 objects read."""
    recorded = watched.commands(str(objdir))
    start = f"{os.path.realpath(tree)}/include/linux/"
    readers = Counter(path for saw in recorded.values() for path in saw.files if path.startswith(start))
    return os.path.relpath(min(readers, key=lambda path: (abs(readers[path] - 50), path)), os.path.realpath(tree))


def _set(config: bytes, symbol: bytes, value: bytes) -> bytes:
    line = b"# CONFIG_%s is not set" % symbol if value == b"n" else b"CONFIG_%s=%s" % (symbol, value)
    return re.sub(rb"(?m)^(?:CONFIG_%s=.*|# CONFIG_%s is not set)$" % (symbol, symbol), line, config)


def _write(path: Path, content: bytes) -> None:
    """Write what is another content: to touch a file would make make compile."""
    if path.read_bytes() != content:
        path.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
