"""The graph, drawn: the critical path and the lines that are left out against what trying all ways gives; the pictures
of docs/graph.md made again by its commands; a document that is whole, and boxes that do not overlap.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_kit import ROOT

from kallmodsyms import graph, svg

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def graphs(draw) -> dict[str, list[str]]:
    """What each needs, without circles."""
    names = "abcdefg"[: draw(st.integers(1, 7))]
    return {
        name: draw(st.lists(st.sampled_from(names[:at] or name), unique=True)) if at else []
        for at, name in enumerate(names)
    }


def chains(before: dict[str, list[str]], last: str) -> Iterator[list[str]]:
    for one in before[last]:
        for chain in chains(before, one):
            yield [*chain, last]
    yield [last]


@given(graphs(), st.data())
def test_no_chain_takes_longer_than_the_critical_path(before, data):
    times = {name: data.draw(st.integers(0, 9)) * 1.0 for name in before if data.draw(st.booleans())}
    path = graph.critical_path(before, times)
    longest = max(sum(times.get(name, 0) for name in chain) for last in before for chain in chains(before, last))
    assert sum(times.get(name, 0) for name in path) == longest and bool(path) == (longest > 0)
    assert all(one in before[other] for one, other in pairwise(path))


def reachable(lines: set[tuple[str, str]]) -> set[tuple[str, str]]:
    found = set(lines)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


@given(graphs())
def test_a_line_is_left_out_only_if_others_say_the_same(before):
    lines = {(one, name) for name, found in before.items() for one in found}
    left = graph._reduced(lines)
    assert left <= lines and reachable(left) == reachable(lines)
    assert all(line not in reachable(left - {line}) for line in left)


@given(graphs(), st.data())
def test_boxes_do_not_overlap_and_lines_go_to_the_right(before, data):
    lines = {(one, name) for name, found in before.items() for one in found}
    text = st.text(min_size=1, max_size=90)
    boxes = {
        name: graph.Box(name, (name, data.draw(text)), data.draw(text) if data.draw(st.booleans()) else "")
        for name in before
    }
    picture = graph.Picture("all", boxes, [(*line, False) for line in sorted(lines)])
    document = ElementTree.fromstring(svg.drawn(picture))
    found = [
        tuple(int(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in document.iter(f"{SVG}rect")
        if rect.get("x")
    ]
    assert len(found) == len(before)
    for (x, y, width, height), (other_x, other_y, other_width, other_height) in combinations(found, 2):
        assert x + width < other_x or other_x + other_width < x or y + height < other_y or other_y + other_height < y
    for path in document.iter(f"{SVG}path"):
        start, column, end = coordinates(path)
        assert start <= column < end


def coordinates(path: ElementTree.Element) -> tuple[float, float, float]:
    """Where a line starts, where its column ends, where it ends: x of each."""
    found = re.fullmatch(r"M(\d+) \d+H(\d+)C.* (\d+) \d+", path.get("d", ""))
    return tuple(map(float, found.groups()))


def commands() -> list[str]:
    text = (ROOT / "docs/graph.md").read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def structure(picture: str) -> list[str]:
    """All words of a picture, but for times and what follows from them."""
    document = ElementTree.fromstring(picture)
    words = [element.text or "" for kind in ("title", "text") for element in document.iter(f"{SVG}{kind}")]
    return sorted(re.sub(r"\d+\.\d\d s", "TIME s", word) for word in words)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A directory with the pictures of docs/graph.md, and the toy kernel that they are of."""
    place = tmp_path_factory.mktemp("drawn")
    (place / "docs").mkdir()
    for command in commands():
        moved = command.replace("/tmp/toy", str(place / "toy")).replace("docs/", f"{place}/docs/")
        words = shlex.split(moved)
        words = [sys.executable, "-m", *words] if words[0] == "doit" else words
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return place


@pytest.mark.parametrize("name", ["graph.svg", "graph-task.svg"])
def test_the_pictures_of_the_documentation(drawn, name):
    kept, made = ((place / "docs" / name).read_text() for place in (ROOT, drawn))
    assert structure(kept) == structure(made), "the graph is another one: run the commands of docs/graph.md"
    assert 'class="box critical' in made and len(made) < 30_000


def test_what_must_run_is_said_with_the_reason(drawn):
    task = (drawn / "docs/graph-task.svg").read_text()
    assert "CONFIG_MINIX_FS was y and is m" in task and "its command changed" in task
    assert "include/linux/fs.h" in task and "/usr" not in task
    why = subprocess.run(
        [sys.executable, "-m", "kallmodsyms", "why", "compile:fs/minix/inode.o", f"objdir={drawn}/toy"],
        cwd=ROOT, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    words = structure(task)
    assert any(why in word for word in words)


def test_the_same_bytes_whatever_the_hash_seed(drawn):
    def draw(seed: str) -> bytes:
        command = [sys.executable, "-m", "doit", "graph", "-o", "-", f"objdir={drawn}/toy"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    assert draw("1") == draw("2")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["vmlinu"], "vmlinu is no task\n  did you mean vmlinux?"),
        (["vmlinux", "-o", "x.svg"], "what leads to one, which comes last"),
        (["--depth", "0"], "--depth is 1 or more"),
        (["-o", "dodo.py/x.svg"], "/dodo.py/x.svg: cannot be written: Not a directory"),
    ],
)
def test_wrong_words(drawn, words, complaint):
    command = [sys.executable, "-m", "doit", "graph", *words, f"objdir={drawn}/toy"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3 and complaint in done.stderr and "Traceback" not in done.stderr
