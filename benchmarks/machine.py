"""Where benchmarks run: programs and /proc in, what somebody must know to compare figures out."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def described(tree: Path | None) -> dict[str, str]:
    """The machine, the versions of what is measured, and the kernel tree."""
    model = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    usable = len(os.sched_getaffinity(0))
    found = {
        "processor": f"{model[1] if model else platform.machine()}, {usable} cores",
        "memory": f"{int(memory[1]) >> 20} GiB" if memory else "unknown",
        "system": f"{_system()}, Linux {platform.release()}",
        "Python": platform.python_version(),
        **{name: _first_line([name, "--version"]) for name in ("gcc", "ld", "make")},
        "kallmodsyms": _first_line(["git", "-C", str(Path(__file__).parent), "log", "-1", "--format=%h of %cs"]),
    }
    return found | ({"tree": f"Linux {release(tree)}"} if tree is not None else {})


def release(tree: Path) -> str:
    """The release of a kernel tree, by its Makefile."""
    text = _text(tree / "Makefile")
    found = [re.search(rf"^{name} = *(\S*)", text, re.MULTILINE) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(match[1] for match in found if match)


def load() -> float:
    """How many processes wanted a processor in the last minute."""
    return round(os.getloadavg()[0], 2)


def pace() -> float:
    """The seconds that a fixed piece of work takes: what differs from one time to the next is the machine's doing."""
    start, total = time.perf_counter(), 0
    for number in range(2_000_000):
        total += number & 3
    return round(time.perf_counter() - start, 4)


def spread(values: Sequence[float]) -> float:
    """By which part the slowest is above the fastest."""
    return max(values) / min(values) - 1 if values and min(values) > 0 else 0.0


def _system() -> str:
    name = re.search(r'^PRETTY_NAME="?(.*?)"?$', _text("/etc/os-release"), re.MULTILINE)
    return name[1] if name else platform.system()


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _first_line(command: list[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    except OSError:
        return "not there"
    return said[0] if said else "unknown"
