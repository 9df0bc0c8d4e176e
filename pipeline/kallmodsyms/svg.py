"""A picture of a graph in; SVG out, the same bytes for the same picture.

Boxes stand in columns, each to the right of all that it needs, in the order that keeps lines short: a box is as high as
the middle of those that lead to it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from kallmodsyms.graph import Box, Picture

_LETTER, _LINE, _PAD, _GAP, _BETWEEN = 7, 16, 8, 12, 50
"""Units: the width of a letter, the height of a line, room in a box, between two, between columns."""
_LONGEST = 50
"""Letters of a line."""

_STYLE = """\
  text { font: 11.5px ui-monospace, monospace; fill: #1b1f24; }
  .box { fill: #f3f5f7; stroke: #8a949e; }
  .seen { fill: #fff; stroke-dasharray: 4 3; }
  .must { fill: #fff1d6; stroke: #b06000; }
  .critical { stroke: #b3124a; stroke-width: 3; }
  .line { fill: none; stroke: #8a949e; }
  .line.critical { stroke: #b3124a; }
  .reason { fill: #7a4300; }
  .head { font-weight: bold; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ec; }
    .box { fill: #24292f; }
    .seen { fill: #0d1117; }
    .must { fill: #4a3200; stroke: #e0a040; }
    .reason { fill: #f0c070; }
    .critical, .line.critical { stroke: #ff6b9a; }
    .paper { fill: #0d1117; }
  }
"""


class Place(NamedTuple):
    """Where a box is; `column` is where its column ends."""

    x: int
    y: int
    width: int
    height: int
    column: int


def drawn(picture: Picture) -> str:
    """The picture as a document."""
    layers = _layers(picture)
    places = _places(picture, layers)
    right = max((place.column for place in places.values()), default=0) + _GAP
    top = _LINE * (len(picture.notes) + 2)
    bottom = max((place.y + place.height for place in places.values()), default=0) + top + _GAP
    right = max(right, 2 * _GAP + _LETTER * max(map(len, (picture.title, *picture.notes))))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" width="{right}" height="{bottom}">',
        f"<title>{_safe(picture.title)}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<rect class="paper" width="{right}" height="{bottom}" fill="#fff"/>',
    ]
    for number, text in enumerate((picture.title, *picture.notes)):
        head = ' class="head"' if not number else ""
        out.append(f'<text{head} x="{_GAP}" y="{_LINE * (number + 1)}">{_safe(text)}</text>')
    out.append(f'<g transform="translate(0 {top})">')
    for one, other, critical in sorted(picture.lines, key=lambda line: line[2]):
        out.append(_curve(places[one], places[other], critical))
    for layer in layers:
        out += (_drawn_box(picture.boxes[name], places[name]) for name in layer)
    return "\n".join([*out, "</g>", "</svg>", ""])


def _layers(picture: Picture) -> list[list[str]]:
    """The names in columns, from left to right."""
    before: dict[str, list[str]] = {name: [] for name in picture.boxes}
    for one, other, _ in picture.lines:
        before[other].append(one)
    depth: dict[str, int] = {}

    def column(name: str) -> int:
        if name not in depth:
            depth[name] = 0  # a circle, should there be one, ends here
            depth[name] = 1 + max(map(column, sorted(before[name])), default=-1)
        return depth[name]

    for name in sorted(picture.boxes):
        column(name)
    for box in picture.boxes.values():
        if box.seen:  # beside the step that saw it
            depth[box.name] = max(min(depth[other] for one, other, _ in picture.lines if one == box.name) - 1, 0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in sorted(depth):
        layers[depth[name]].append(name)
    height: dict[str, float] = {}
    for layer in layers:
        middle = {name: _mean([height[one] for one in before[name] if one in height]) for name in layer}
        layer.sort(key=lambda name, middle=middle: (picture.boxes[name].seen, middle[name], name))  # type: ignore[misc]
        height.update((name, (number + 0.5) / len(layer)) for number, name in enumerate(layer))
    return layers


def _places(picture: Picture, layers: list[list[str]]) -> Mapping[str, Place]:
    sizes = {name: _size(box) for name, box in picture.boxes.items()}
    heights = [sum(sizes[name][1] + _GAP for name in layer) for layer in layers]
    places, x = {}, _GAP
    for layer, height in zip(layers, heights, strict=True):
        y, column = (max(heights) - height) // 2, x + max(sizes[name][0] for name in layer)
        for name in layer:
            places[name] = Place(x, y, *sizes[name], column)
            y += sizes[name][1] + _GAP
        x = column + _BETWEEN
    return places


def _texts(box: Box) -> list[tuple[str, str]]:
    """The lines in a box, each with its kind."""
    lines = [("" if number else "head", line) for number, line in enumerate(box.lines)]
    return lines + [("reason", line) for line in textwrap.wrap(box.reason, _LONGEST, max_lines=3, placeholder=" …")]


def _size(box: Box) -> tuple[int, int]:
    texts = [_cut(text) for _, text in _texts(box)]
    return max(map(len, texts)) * _LETTER + 2 * _PAD, len(texts) * _LINE + _PAD


def _drawn_box(box: Box, place: Place) -> str:
    kinds = "".join(f" {kind}" for kind in ("critical", "seen") if getattr(box, kind)) + " must" * bool(box.reason)
    text = "".join(
        f'<text class="{kind}" x="{place.x + _PAD}" y="{place.y + _LINE * number - 1}">{_safe(_cut(line))}</text>'
        for number, (kind, line) in enumerate(_texts(box), 1)
    )
    more = "\n".join(dict.fromkeys([*box.lines, *box.more.splitlines()]))
    where = f'x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}"'
    return f'<g><title>{_safe(more)}</title><rect class="box{kinds}" {where} rx="4"/>{text}</g>'


def _curve(start: Place, end: Place, critical: bool) -> str:
    """From the right of one box to the left of another; as far as the column reaches it is straight."""
    y1, y2 = start.y + start.height // 2, end.y + end.height // 2
    middle = (start.column + end.x) // 2
    kind = "line critical" if critical else "line"
    first = f"M{start.x + start.width} {y1}H{start.column}"
    return f'<path class="{kind}" d="{first}C{middle} {y1} {middle} {y2} {end.x} {y2}"/>'


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _safe(text: str) -> str:
    """Text for XML, which has no control characters and no lone surrogates."""
    return escape(re.sub(r"[^\t\n -\ud7ff\ue000-\U0010ffff]", "�", text))


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0
