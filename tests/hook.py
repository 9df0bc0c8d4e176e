"""Run a command as make runs the final link, without making anything first."""

from __future__ import annotations

import subprocess
from pathlib import Path


def run(tree: Path, objdir: Path, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The outcome of a shell command in a build directory, with all that the top Makefile exports.

    words: for make's command line
    The target `image_name` needs nothing, and its recipe is `echo $(KBUILD_IMAGE)`.
    """
    make = [
        "make",
        "-C",
        tree,
        f"O={objdir}",
        "ARCH=x86",
        "--no-print-directory",
        *words,
        "image_name",
        f"KBUILD_IMAGE=; {command}",
    ]
    return subprocess.run(make, capture_output=True, text=True)
