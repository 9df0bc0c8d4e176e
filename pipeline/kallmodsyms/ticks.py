"""How much of something was done so far: who does it counts here, and whoever shows it (`progress`) looks."""

from __future__ import annotations

from collections import Counter

ticks: Counter[str] = Counter()
"""By what it is called."""
