"""What benchmarks measured in, and what an earlier run did; a table in Markdown, a page and plots out.

A run is what `python -m benchmarks` keeps as JSON:

    machine, pace, load     see machine.py; pace and load before and after each benchmark
    benchmarks              NAME: command, seconds that it took, status (why there is nothing), figures, targets
    figures                 a list of: what, unit, sides (TITLE: the value in each run)
    targets                 TEXT: whether it is met

Of several values the least counts, as everywhere here: what else the machine does only adds to a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import spread

NOISE = 0.1
"""A difference below this part is never taken for one."""

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .2em .7em; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; background: #fff; }
.missed { color: #b3124a; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6e9ec; } .missed { color: #ff6b9a; } }
"""


class Row(NamedTuple):
    """One side of one figure. `ratio`: of the first side; `earlier`: of what the earlier run has; None where there is
    none. `verdict`: `slower` or `faster` than in the earlier run, where that is more than noise.
    """

    benchmark: str
    what: str
    title: str
    value: float
    unit: str
    spread: float
    ratio: float | None
    earlier: float | None
    verdict: str


def rows(run: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """All that was measured."""
    for name, benchmark in run["benchmarks"].items():
        before = {} if earlier is None else _values(earlier["benchmarks"].get(name, {"figures": []}))
        for figure in benchmark["figures"]:
            first = min(next(iter(figure["sides"].values())))
            for number, (title, values) in enumerate(figure["sides"].items()):
                old = before.get((figure["what"], title))
                ratio = min(values) / min(old) if old and min(old) > 0 else None
                limit = NOISE if old is None else max(NOISE, spread(values), spread(old))
                verdict = ""
                if ratio is not None:
                    verdict = "slower" if ratio > 1 + limit else "faster" if ratio < 1 / (1 + limit) else ""
                    if figure["unit"] not in ("s", "ms"):
                        verdict = verdict.replace("slower", "more").replace("faster", "less")
                yield Row(
                    name, figure["what"], title, min(values), figure["unit"], spread(values),
                    min(values) / first if number and first > 0 else None, ratio, verdict,
                )  # fmt: skip


def worse(run: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[str]:
    """What of ours takes more than in an earlier run, beyond noise."""
    return [
        f"{row.benchmark}, {row.what}, {row.title}: {row.earlier:.2f} of the earlier run"
        for row in rows(run, earlier)
        if row.verdict in ("slower", "more") and row.title.startswith("ours")
    ]


def _values(benchmark: Mapping[str, Any]) -> dict[tuple[str, str], list[float]]:
    return {
        (figure["what"], title): found for figure in benchmark["figures"] for title, found in figure["sides"].items()
    }


def facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What there is to know of the machine and its noise."""
    pace, load = run["pace"], run["load"]
    noise = f"a fixed piece of work took {min(pace):.3f} to {max(pace):.3f} s ({100 * spread(pace):.0f} % more); "
    return [*run["machine"].items(), ("noise", f"{noise}load {min(load):.1f} to {max(load):.1f}")]


def _cells(row: Row, compared: bool) -> list[str]:
    cells = [row.what, row.title, f"{row.value:.3g}" if row.value < 1000 else f"{row.value:,.0f}", row.unit]
    cells += [f"{100 * row.spread:.0f} %", "" if row.ratio is None else f"{row.ratio:.2f}"]
    if compared:
        cells.append("" if row.earlier is None else f"{row.earlier:.2f} {row.verdict}".rstrip())
    return cells


def _heads(compared: bool) -> list[str]:
    return ["what", "who", "least", "unit", "spread", "of the first", *(["of the earlier run"] if compared else [])]


def markdown(run: Mapping[str, Any], earlier: Mapping[str, Any] | None, plots: Mapping[str, str]) -> str:
    """The table. `plots`: the file of each benchmark's plot."""
    out = ["# Benchmarks", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts(run))]
    found = list(rows(run, earlier))
    for name, benchmark in run["benchmarks"].items():
        out += ["", f"## {name}"]
        out += ["", f"`{benchmark['command']}`, {benchmark['seconds']:.0f} s"] if benchmark["command"] else []
        if benchmark["status"]:
            out += ["", benchmark["status"]]
        if benchmark["figures"]:
            heads = _heads(earlier is not None)
            out += ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
            out += [f"| {' | '.join(_cells(row, earlier is not None))} |" for row in found if row.benchmark == name]
        out += [""] + [f"- {'met' if met else '**missed**'}: {target}" for target, met in benchmark["targets"].items()]
        out += ["", f"![{name}]({plots[name]})"] if name in plots else []
    return "\n".join(out) + "\n"


def html(run: Mapping[str, Any], earlier: Mapping[str, Any] | None, plots: Mapping[str, str]) -> str:
    """The same as a page."""
    out = ['<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Benchmarks</title>', f"<style>{_STYLE}</style>"]
    out += ["<h1>Benchmarks</h1><table>"]
    out += [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(run)] + ["</table>"]
    found = list(rows(run, earlier))
    for name, benchmark in run["benchmarks"].items():
        out += [
            f"<h2>{escape(name)}</h2><p><code>{escape(benchmark['command'])}</code>, {benchmark['seconds']:.0f} s</p>"
        ]
        if benchmark["status"]:
            out.append(f"<p>{escape(benchmark['status'])}</p>")
        if benchmark["figures"]:
            out.append("<table><tr>" + "".join(f"<th>{head}</th>" for head in _heads(earlier is not None)) + "</tr>")
            for row in found:
                if row.benchmark == name:
                    cells = enumerate(_cells(row, earlier is not None))
                    kinds = ((' class="number"' if at in (2, 4, 5) else "", text) for at, text in cells)
                    out.append("<tr>" + "".join(f"<td{kind}>{escape(text)}</td>" for kind, text in kinds) + "</tr>")
            out.append("</table>")
        for target, met in benchmark["targets"].items():
            out.append(f"<p>met: {escape(target)}</p>" if met else f'<p class="missed">missed: {escape(target)}</p>')
        if name in plots:
            out.append(f'<p><img src="{escape(plots[name])}" alt="the figures of {escape(name)} as bars"></p>')
    return "\n".join(out) + "\n"


def plot(name: str, figures: list[dict[str, Any]], path: Path) -> None:
    """The figures of one benchmark as bars: the least of the runs, and a line to the most."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": name, "font.size": 9})
    from matplotlib import pyplot

    heights = [len(figure["sides"]) for figure in figures]
    drawn, axes = pyplot.subplots(
        len(figures), 1, figsize=(8, 0.5 * len(figures) + 0.4 * sum(heights)), squeeze=False, height_ratios=heights
    )
    for axis, figure in zip(axes[:, 0], figures, strict=True):
        titles = list(figure["sides"])
        least = [min(values) for values in figure["sides"].values()]
        labels = [f"{title}  {value:.3g}" for title, value in zip(titles, least, strict=True)]
        more = [max(values) - min(values) for values in figure["sides"].values()]
        colours = ["#b3124a" if title.startswith("ours") else "#8a949e" for title in titles]
        axis.barh(labels, least, xerr=[[0] * len(least), more], color=colours, ecolor="#444444", capsize=2)
        axis.invert_yaxis()
        axis.set_title(f"{figure['what']}, {figure['unit']}", loc="left", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
    pyplot.close(drawn)
