"""Mutants: one small change in a core room at a time, and whether the tests of that room notice.

    python tests/mutants.py [--seed N] [--each N] [ROOM ...]

Comparisons, and/or, constants, plus/minus and the branches of conditions are changed in a copy of the package. Prints
each mutant that nobody noticed, and at the end how many were. Exit status 1 if fewer than 95 of 100 were noticed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = {
    "kallsyms/owners.py": ["tests/test_kallsyms_modules.py"],
    "kallsyms/tables.py": ["tests/test_kallsyms_modules.py", "tests/test_kallsyms_tables.py"],
    "kallsyms/reader.py": ["tests/test_kallsyms_modules.py", "tests/test_kallsyms_tables.py"],
    "kallsyms/sizes.py": ["tests/test_kallsyms_modules.py"],
    "linkmap/expand.py": ["tests/test_linkmap.py"],
    "linkmap/gnu.py": ["tests/test_linkmap.py"],
    "kbuild/memory.py": ["tests/test_kbuild_memory.py"],
    "make/functions.py": ["tests/test_make.py"],
    "make/evaluator.py": ["tests/test_make.py"],
    "symbols.py": ["tests/test_symbols.py"],
}
OPPOSITE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip


def mutations(tree: ast.Module) -> Iterator[tuple[int, Callable[[], None]]]:
    """Every change: its line, and what makes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITE:
            new = OPPOSITE[type(node.ops[0])]()
            yield node.lineno, lambda node=node, new=new: node.ops.__setitem__(0, new)
        elif isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in OPPOSITE:
            yield node.lineno, lambda node=node: setattr(node, "op", OPPOSITE[type(node.op)]())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node.lineno, lambda node=node, new=new: setattr(node, "value", new)
        elif isinstance(node, (ast.If, ast.IfExp)):
            yield node.lineno, lambda node=node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))


def noticed(package: Path, room: str, number: int) -> tuple[bool, str]:
    """Whether the tests of a room fail with one of its mutations, and what that changed."""
    source = (ROOT / "pipeline/kallmodsyms" / room).read_text()
    tree = ast.parse(source)
    before = ast.unparse(tree).splitlines()
    line, change = list(mutations(tree))[number]
    change()
    text = ast.unparse(ast.fix_missing_locations(tree))
    (package / room).write_text(text)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *ROOMS[room]]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    try:
        status = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300).returncode
    except subprocess.TimeoutExpired:
        status = 1
    (package / room).write_text(source)
    changed = [
        f"{old.strip()}  ->  {new.strip()}" for old, new in zip(before, text.splitlines(), strict=False) if old != new
    ]
    return status != 0, f"{room}:{line}: {changed[0] if changed else 'nothing'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=10, help="mutants of each room (default: %(default)s)")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"default: {' '.join(ROOMS)}")
    options = parser.parse_args()
    total = survived = 0
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory, "kallmodsyms")
        shutil.copytree(ROOT / "pipeline/kallmodsyms", package)
        for room in options.rooms or ROOMS:
            count = len(list(mutations(ast.parse((package / room).read_text()))))
            chosen = random.Random(f"{options.seed} {room}").sample(range(count), min(options.each, count))
            for number in sorted(chosen):
                seen, what = noticed(package, room, number)
                total, survived = total + 1, survived + (not seen)
                if not seen:
                    print(what, flush=True)
    print(f"{total - survived} of {total} mutants were noticed")
    return 0 if survived * 20 <= total else 1


if __name__ == "__main__":
    sys.exit(main())
