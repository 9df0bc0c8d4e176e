"""A `Report` and its changes enter; the page leaves, as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import re
from importlib import resources
from typing import Any

from kallmodsyms.report import pack
from kallmodsyms.report.model import Report

_SCRIPTS = ("data", "tree", "colors", "treemap", "addresses", "grid", "tables", "search", "state", "around", "main")


def text(report: Report, changes: list[dict[str, Any]] | None = None, other: Report | None = None) -> str:
    """The page. other: the image that `changes` are against"""
    parts = {
        "title": html.escape(report.path),
        "style": _read("style.css"),
        "data": pack.pack(report, changes, other),
        "script": "\n".join(_read(f"{name}.js") for name in _SCRIPTS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")
