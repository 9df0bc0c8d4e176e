"""Mutants: one small change in a core room at a time, and whether the tests of that room notice.

    python tests/mutants.py [--each N] [ROOM ...]

Comparisons, and/or, constants, plus/minus and the branches of conditions are changed. A first run finds which tests run
which lines; then each mutant has a process of its own, with the changed module, for the tests that run its line,
quickest first. (What a test starts as a program has the unchanged module.) Mutants that do the same as what they were
made of are listed in mutants_equal.yaml, with the reason.

Prints each other mutant that nobody noticed, and at the end how many were. Exit status 1 if that is fewer than 95 of
100, or if the list names a mutant that is noticed, or that there is not.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import importlib.abc
import importlib.util
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

# What every process would have to import again; but nothing of the package, which each imports for itself.
import _hypothesis_pytestplugin  # noqa: F401
import hypothesis.strategies
import numpy  # noqa: F401
import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline/kallmodsyms"
EQUAL = Path(__file__).with_name("mutants_equal.yaml")
ROOMS = {
    "kallsyms/owners.py": ["tests/test_kallsyms_modules.py"],
    "kallsyms/tables.py": [
        "tests/test_kallsyms_modules.py",
        "tests/test_kallsyms_tables.py",
        "tests/test_series_encoding.py",
    ],
    "kallsyms/reader.py": [
        "tests/test_kallsyms_modules.py",
        "tests/test_kallsyms_tables.py",
        "tests/test_series_encoding.py",
    ],
    "kallsyms/sizes.py": ["tests/test_kallsyms_sizes.py"],
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
GUARDS = {"frozen", "strict", "repr", "maxsize"}
"""Arguments that change nothing unless something else is wrong, or only what a developer sees."""
SECONDS = 120
"""How long the tests of a mutant may take; one that never ends is noticed."""
MEMORY = 8 << 30


class Mutant(NamedTuple):
    """name: the function, the line before and after; lines: first and last of what was changed"""

    name: str
    lines: tuple[int, int]
    tree: ast.Module


def changes(tree: ast.Module) -> Iterator[tuple[ast.AST, Callable[[], None]]]:
    """Every change that can be made: where, and what makes it."""
    guards = {id(word.value) for word in ast.walk(tree) if isinstance(word, ast.keyword) and word.arg in GUARDS}
    for node in ast.walk(tree):
        if id(node) in guards:
            continue
        if isinstance(node, ast.Compare):
            for place, operator in enumerate(node.ops):
                new = OPPOSITE[type(operator)]()
                yield node, lambda node=node, place=place, new=new: node.ops.__setitem__(place, new)
        elif isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in OPPOSITE:
            yield node, lambda node=node: setattr(node, "op", OPPOSITE[type(node.op)]())
        elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node, lambda node=node, new=new: setattr(node, "value", new)
        elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.Compare):
            yield node, lambda node=node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module. Names say what is changed, not where, so that they stay when other lines change."""
    before = ast.unparse(ast.parse(source)).splitlines()
    seen: Counter[str] = Counter()
    for number in range(len(list(changes(ast.parse(source))))):
        tree = ast.parse(source)
        node, change = list(changes(tree))[number]
        function, first = enclosing(tree, node)
        last = node.test.end_lineno if isinstance(node, ast.If) else node.end_lineno
        change()
        after = ast.unparse(ast.fix_missing_locations(tree)).splitlines()
        old, new = next(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
        name = f"{function}: {difference(old.strip(), new.strip())}"
        seen[name] += 1
        yield Mutant(name + f" ({seen[name]})" * (seen[name] > 1), (first, last), tree)


def difference(old: str, new: str) -> str:
    """What two lines differ in, and a little of what is around it."""
    start = common(old, new)
    end = common(old[start:][::-1], new[start:][::-1])
    first, last = max(0, start - 30), max(0, end - 30)
    return f"{old[first : len(old) - last]}  ->  {new[first : len(new) - last]}"


def common(old: str, new: str) -> int:
    """How many characters two texts begin with that are the same."""
    return next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def enclosing(tree: ast.Module, wanted: ast.AST) -> tuple[str, int]:
    """The function or class that a node is in, and the first line of its statement."""
    found = "", 0

    def go(node: ast.AST, name: str, line: int) -> None:
        nonlocal found
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = f"{name}.{node.name}".lstrip(".")
        if isinstance(node, ast.stmt):
            line = node.lineno
        if node is wanted:
            found = name or "module", line
        for child in ast.iter_child_nodes(node):
            go(child, name, line)

    go(tree, "", 0)
    return found


class Instead(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives a module another tree than that of its file."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self.path, self.tree = str(path), tree
        self.name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, name):
        return compile(self.tree, self.path, "exec")

    def get_source(self, name):
        return Path(self.path).read_text()


class Recorder:
    """Notes which lines of one file each test and each fixture runs, and how long each test takes."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.lines: dict[str, set[int]] = defaultdict(set)
        self.tests: dict[str, tuple[float, list[str]]] = {}
        self.current = ""

    def trace(self, frame, event, argument):
        return self.note if frame.f_code.co_filename == self.path else None

    def note(self, frame, event, argument):
        self.lines[self.current].add(frame.f_lineno)
        return self.note

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        before, self.current = self.current, name
        sys.settrace(self.trace)  # again, for a test that nests too deeply ends it
        yield
        self.current = before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        with self.within(f"fixture {fixturedef.argname}"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        start = time.monotonic()
        with self.within(item.nodeid):
            result = yield
        self.tests[item.nodeid] = time.monotonic() - start, list(item.fixturenames)
        return result

    def who(self) -> dict[str, set[int]]:
        """The lines that each test needs, quickest test first; what is run on import, all need."""
        return {
            test: set.union(self.lines[""], self.lines[test], *(self.lines[f"fixture {name}"] for name in fixtures))
            for test, (_, fixtures) in sorted(self.tests.items(), key=lambda item: item[1][0])
        }


class Chosen:
    """Runs these tests only, in this order."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self.order), key=lambda i: self.order[i.nodeid])


def apart(action: Callable[[], int], seconds: int) -> int:
    """The exit status of `action` in a process of its own, which is quiet; not 0 where a signal ended it."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        os._exit(action())
    return os.waitpid(child, 0)[1]


def run_tests(room: str, tree: ast.Module, plugin: object) -> int:
    sys.meta_path.insert(0, Instead(PACKAGE / room, tree))
    kept = tempfile.mkdtemp()
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={kept}/tests"]
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("mutants")
    return pytest.main([*options, *ROOMS[room]], plugins=[plugin])


def lines_of_tests(room: str, tree: ast.Module, result: Path) -> dict[str, set[int]]:
    """Which lines of a room each of its tests runs. The tests must succeed."""

    def action() -> int:
        recorder = Recorder(PACKAGE / room)
        sys.settrace(recorder.trace)  # what is run on import
        status = run_tests(room, tree, recorder)
        sys.settrace(None)
        result.write_bytes(pickle.dumps(recorder.who()))
        return status

    if apart(action, 10 * SECONDS):
        sys.exit(f"the tests of {room} fail: {' '.join(ROOMS[room])}")
    return pickle.loads(result.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, metavar="N", help="so many of each room, chosen by --seed; else all")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"default: {' '.join(ROOMS)}")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(PACKAGE.parent))
    equal = {(room, name) for room, group in yaml.safe_load(EQUAL.read_text()).items()
             for entry in group for name in entry["mutants"]}  # fmt: skip
    counts: Counter[str] = Counter()
    problems = 0
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TMPDIR"] = tempfile.tempdir = directory
        for room in options.rooms or ROOMS:
            source = (PACKAGE / room).read_text()
            tests = lines_of_tests(room, ast.parse(source), Path(directory, "lines"))
            found = list(mutants(source))
            for name in sorted({name for where, name in equal if where == room} - {one.name for one in found}):
                print(f"{room}: {name}: is listed as equal, but there is no such mutant")
                problems += 1
            if options.each is not None:
                found = random.Random(f"{options.seed} {room}").sample(found, min(options.each, len(found)))
            for name, (first, last), tree in found:
                chosen = [test for test, lines in tests.items() if not lines.isdisjoint(range(first, last + 1))]
                plugin = Chosen(chosen)
                noticed = bool(chosen) and apart(functools.partial(run_tests, room, tree, plugin), SECONDS) != 0
                listed = (room, name) in equal
                counts["noticed" if noticed else "equal" if listed else "survived"] += 1
                if noticed and listed:
                    print(f"{room}:{first}: {name}: is listed as equal, but was noticed", flush=True)
                    problems += 1
                elif not noticed and not listed:
                    print(f"{room}:{first}: {name}{'' if chosen else ' (no test runs it)'}", flush=True)
            print(f"{room}: {len(found)} mutants", flush=True)
    print(f"{counts['noticed']} of {counts.total()} mutants were noticed, {counts['equal']} are equal in effect")
    return 1 if problems or counts["survived"] * 20 > counts.total() else 0


if __name__ == "__main__":
    sys.exit(main())
