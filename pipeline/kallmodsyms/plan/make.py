"""How a real tree is built: its own make makes the objects and, with our program in the place of
scripts/link-vmlinux.sh, the image.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from kallmodsyms import files
from kallmodsyms.configured import Configured
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import fragment
from kallmodsyms.names import THICK
from kallmodsyms.plan import image
from kallmodsyms.plan.lists import CONFIG, Lists
from kallmodsyms.profile import Profile
from kallmodsyms.step import Step

_DECIDES = "the tree's make decides what must be done"


class Make:
    """The steps of one profile."""

    def __init__(self, chosen: Profile, configured: Configured) -> None:
        self.profile = chosen
        self.objdir = chosen.objdir
        self.lists = Lists(chosen, configured)

    def steps(self) -> Iterator[tuple[str, list[Step]]]:
        """All steps, by the kind of work they do, in an order in which they can run."""
        yield "config", [Step("config", (), self._config, writes=(CONFIG,), once=True)]
        yield "tristate_conf", [self.lists.tristate_conf()]
        yield "modules_thick", [self.lists.modules_thick()]
        yield "vmlinux", [self._goal("vmlinux", "vmlinux", reads=(CONFIG, THICK), writes=("vmlinux",))]
        yield "listing", [image.listing(self.objdir)]
        yield "bzimage", [self._goal("bzimage", "bzImage", reads=("vmlinux",))]
        yield "modules", [self._goal("modules", "modules", reads=("vmlinux",))]

    def _goal(self, name: str, goal: str, reads: tuple[str, ...], writes: tuple[str, ...] = ()) -> Step:
        return Step(name, (), lambda: self._make(goal), reads, writes, always=_DECIDES)

    def _config(self) -> None:
        """The profile's configuration merged into the tree's own base configuration."""
        wanted = files.read_text(self.profile.config)
        made = Path(self.objdir, CONFIG)
        try:
            self._make(self.profile.base, quiet=True)
            files.write(made, fragment.merged(files.read_text(made), wanted))
            self._make("olddefconfig", quiet=True)
            fragment.check(self.profile.config, wanted, files.read_text(made))
        except InputError:
            made.unlink(missing_ok=True)  # a half-made one would count as the user's own
            raise

    def _make(self, goal: str, quiet: bool = False) -> None:
        """Run the tree's make; `quiet`: without its words, unless it fails.

        The hook is on its command line for every goal: without it make would link vmlinux anew.
        """
        profile = self.profile
        options = ["--sizes", profile.sizes, "--thick", THICK]
        options += ["--objects"] * profile.objects
        options += ["--no-modules"] * (not profile.modules) + ["--no-provider"] * (not profile.provider)
        program = shlex.join([sys.executable, "-m", "kallmodsyms", "link", *options])
        same = self.objdir.resolve() == profile.tree.resolve()
        command = [
            *("make", "-C", str(profile.tree)),
            *([] if same else [f"O={self.objdir}"]),
            f"ARCH={profile.arch}",
            *(f"{name}={value}" for name, value in sorted(profile.make.items())),
            f"-j{profile.jobs or os.cpu_count()}",
            *("--no-print-directory", goal),
            f'cmd_link_vmlinux={program} -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"',
        ]
        output = subprocess.PIPE if quiet else None
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT if quiet else None, text=True
        )
        if done.returncode:
            said = f"\n{done.stdout.rstrip()}" if quiet else "; its own words are above"
            raise InputError(f"make {goal} failed{said}", path=self.objdir)
