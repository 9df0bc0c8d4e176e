"""The tree's own script, where it does more than link the image (before Linux 6.1): exported variables enter; the
objects that it makes first are there, and the words of its first link of the image leave.

The script is run with a program in the place of the linker that passes everything on, and ends it where it would link
the image. So whatever a release and its options do to vmlinux.o, modpost and objtool included, is done by the tree.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.errors import InputError
from kallmodsyms.link.exports import Exports
from kallmodsyms.names import FOLDER

_SCRIPT = "scripts/link-vmlinux.sh"
_LINKER = """\
#!/bin/sh
# {name} for one run of {script}, which finds it first on the PATH. Whoever links the image names the linker script.
# The shell is killed, for when it fails it removes the image of the last build.
for word; do
	case $word in
	*{lds})
		printf '%s\\0' "$@" > {words}
		kill -KILL $PPID
		exit 1 ;;
	esac
done
exec {program} "$@"
"""


def image_link(exports: Exports) -> list[str]:
    """Run the script up to its first link of the image; the words of that link, the program first.

    Raises InputError if the script fails, or ends without a link.
    """
    name = exports.tool("CC" if exports.environment["SRCARCH"] == "um" else "LD")[0]
    program = shutil.which(name)
    if "/" in name or program is None:
        raise InputError(
            f"{name} must be the name of a program on the PATH: before Linux 6.1 the tree's script calls the linker",
            path=exports.tree / _SCRIPT,
        )
    folder = Path(FOLDER, "linker").absolute()
    words = folder / "words"
    words.unlink(missing_ok=True)
    text = _LINKER.format(
        name=name,
        script=_SCRIPT,
        lds=shlex.quote(exports.environment["KBUILD_LDS"]),
        words=shlex.quote(str(words)),
        program=shlex.quote(program),
    )
    files.write(folder / name, text)
    (folder / name).chmod(0o755)
    shell = shlex.split(exports.environment.get("CONFIG_SHELL", "sh"))
    flags = (exports.environment.get(flag, "") for flag in ("LD", "KBUILD_LDFLAGS", "LDFLAGS_vmlinux"))
    with _kept("vmlinux", "System.map"):
        done = subprocess.run(
            [*shell, str(exports.tree / _SCRIPT), *flags],
            env={**exports.environment, "PATH": f"{folder}{os.pathsep}{exports.environment.get('PATH', os.defpath)}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if exports.silent else None,
            close_fds=False,  # a make below must find the jobserver's descriptors
        )
    if not words.exists():
        what = f"failed (exit status {done.returncode})" if done.returncode else "ended without linking an image"
        raise InputError(f"{what}; its own words are above", path=exports.tree / _SCRIPT)
    return [program, *files.read_text(words).split("\0")[:-1]]


@contextmanager
def _kept(*paths: str) -> Iterator[None]:
    """Within the block the files have other names, under which nobody removes them."""
    aside = {path: f".{path}.aside" for path in paths if os.path.exists(path)}
    for path, other in aside.items():
        os.replace(path, other)
    try:
        yield
    finally:
        for path, other in aside.items():
            os.replace(other, path)
