"""`python -m benchmarks`: every benchmark that the documentation names is run by it; what it writes says what was
measured, and what became slower than in an earlier run, beyond noise.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from terminal import Terminal
from toy_kit import ROOT

sys.path.insert(0, str(ROOT))
from benchmarks import __main__ as run_all
from benchmarks import page

COMMAND = [sys.executable, "-m", "benchmarks", "--tree", "toy_kernel"]


def test_all_that_the_documentation_names_are_run():
    texts = [path.read_text() for path in (*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md")]
    named = {name for text in texts for name in re.findall(r"benchmarks/(\w+)\.py", text)}
    there = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()} - {"__main__"}
    assert named <= set(run_all.BENCHMARKS) == there and len(named) > 5


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """What a quick run of the quickest benchmark leaves, on a terminal."""
    place = tmp_path_factory.mktemp("benchmarks")
    shown = Terminal([*COMMAND, "--quick", "--only", "idle", "-o", place], 60, 12, ROOT)
    status = shown.end()
    found = json.loads((place / "benchmarks.json").read_text())
    assert status == (0 if all(found["benchmarks"]["idle"]["targets"].values()) else 1), shown.text
    assert any(re.search(r"^  idle +\d:\d\d$", line) for frame in shown.frames for line in frame)
    assert f"page         {place}/benchmarks.html, with 1 plots" in "".join(shown.text)
    return place


class _Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells and self.get_starttag_text().startswith("<td"):
            self.cells[-1] += data


def test_the_table_the_page_and_the_plot_say_what_was_measured(output):
    run = json.loads((output / "benchmarks.json").read_text())
    assert list(run["benchmarks"]) == ["idle"] and {"processor", "gcc", "ld", "make", "Python"} <= run["machine"].keys()
    sides = run["benchmarks"]["idle"]["figures"][0]["sides"]
    assert [len(values) for values in sides.values()] == [3, 3]
    table, html = ((output / f"benchmarks.{kind}").read_text() for kind in ("md", "html"))
    theirs, ours = (min(values) for values in sides.values())
    assert re.search(rf"\| ours: doit and the ledger \| {ours:.3g} \| s \| \d+ % \| {ours / theirs:.2f} \|", table)
    cells = _Cells(html).cells
    assert cells[cells.index("ours: doit and the ledger") + 1] == f"{ours:.3g}"
    assert all(target in table and target in html for target in run["benchmarks"]["idle"]["targets"])
    assert (output / "idle.svg").read_text().startswith("<?xml") and "![idle](idle.svg)" in table


def test_a_plot_has_the_same_bytes_for_the_same_figures(output, tmp_path):
    figures = json.loads((output / "benchmarks.json").read_text())["benchmarks"]["idle"]["figures"]
    page.plot("idle", figures, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (output / "idle.svg").read_bytes()


def made_up(*values: float) -> dict:
    sides = {"theirs": [2.0, 2.0], "ours": list(values)}
    figure = {"what": "a thing", "unit": "s", "sides": sides}
    benchmark = {"command": "x", "seconds": 1.0, "status": "", "figures": [figure], "targets": {}}
    return {"machine": {"processor": "one"}, "pace": [1.0, 1.1], "load": [0.5], "benchmarks": {"b": benchmark}}


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        ((1.0, 1.02), (1.0, 1.02), ""),
        ((1.09, 1.09), (1.0, 1.0), ""),  # below what is ever taken for a difference
        ((1.2, 1.2), (1.0, 1.0), "slower"),
        ((1.2, 1.2), (1.0, 1.3), ""),  # the earlier run itself differed by more
        ((1.2, 1.6), (1.0, 1.0), ""),  # this one does
        ((0.8, 0.8), (1.0, 1.0), "faster"),
    ],
)
def test_what_is_noise_is_no_difference(now, before, verdict):
    *_, row = page.rows(made_up(*now), made_up(*before))
    assert (row.title, row.ratio, row.verdict) == ("ours", min(now) / 2, verdict)
    assert len(page.worse(made_up(*now), made_up(*before))) == (verdict == "slower")
    theirs, ours = page.rows(made_up(*now))
    assert (theirs.ratio, ours.earlier, ours.verdict) == (None, None, "")


def test_against_an_earlier_run(output, tmp_path):
    earlier = json.loads((output / "benchmarks.json").read_text())
    faster = copy.deepcopy(earlier)
    for figure in faster["benchmarks"]["idle"]["figures"]:
        figure["sides"] = {title: [values[0] / 100] * 3 for title, values in figure["sides"].items()}
    table = page.markdown(earlier, faster, {})
    assert "| of the earlier run |" in table and "more" in table
    slow = page.worse({**earlier, "benchmarks": {"idle": _steady(earlier)}}, faster)
    assert slow and all(line.startswith("idle, ") for line in slow)


def _steady(run: dict) -> dict:
    benchmark = copy.deepcopy(run["benchmarks"]["idle"])
    for figure in benchmark["figures"]:
        figure["sides"] = {title: values[:1] for title, values in figure["sides"].items()}
    return benchmark


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["--quick", "--only", "link"], 2, "link needs a kernel that is built, and --quick builds none"),
        (["--only", "speed"], 2, "invalid choice: 'speed'"),
        (["--against", "README.md"], 1, "README.md: is no benchmarks.json of an earlier run"),
        (["--against", "nowhere.json"], 1, "nowhere.json: cannot be read: No such file or directory"),
        (["--tree", "docs"], 1, "docs: is no kernel tree: it has no Makefile"),
    ],
)
def test_wrong_words(tmp_path, words, status, complaint):
    done = subprocess.run([*COMMAND, "-o", tmp_path, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status and complaint in done.stderr and "Traceback" not in done.stderr


def test_one_that_cannot_run_is_said_and_the_others_go_on(tmp_path):
    """thick is told a tree that has no Kconfig."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/Makefile").write_text("defconfig syncconfig:\n\t@echo broken >&2; false\n")
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--tree",
        tmp_path / "tree",
        "--quick",
        "--only",
        "thick",
        "-o",
        tmp_path / "out",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "TERM": "dumb"})
    assert done.returncode == 1 and "Traceback" not in done.stdout.splitlines()[0]
    status = json.loads((tmp_path / "out/benchmarks.json").read_text())["benchmarks"]["thick"]["status"]
    assert status.startswith("failed with status 1: ") and f"thick: {status}" in done.stdout
    assert status in (tmp_path / "out/benchmarks.md").read_text()


@pytest.mark.long
def test_all_quick_ones(tmp_path, linux_6_1):
    """With `--quick`, against Linux 6.1; `python -m benchmarks` without it takes an hour."""
    command = [sys.executable, "-m", "benchmarks", "--tree", linux_6_1, "--quick", "-o", tmp_path]
    subprocess.run(command, cwd=ROOT, capture_output=True)
    found = json.loads((tmp_path / "benchmarks.json").read_text())["benchmarks"]
    assert list(found) == ["idle", "kconfig", "thick", "tables"]
    assert all(not benchmark["status"] and benchmark["figures"] for benchmark in found.values())
