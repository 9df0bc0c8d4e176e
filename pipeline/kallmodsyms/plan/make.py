"""How a real tree is built: its own make makes everything the first time and, with our program in the place of
scripts/link-vmlinux.sh, the image. What can be made alone afterwards has steps of its own (`replay`).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from kallmodsyms import errors, files, names, release
from kallmodsyms.configured import Configured
from kallmodsyms.errors import InputError
from kallmodsyms.facts import Fact
from kallmodsyms.kconfig import fragment
from kallmodsyms.link import exports, relocatable
from kallmodsyms.names import FOLDER, THICK
from kallmodsyms.plan import image
from kallmodsyms.plan.lists import CONFIG, TRISTATE_CONF, Lists
from kallmodsyms.plan.replay import EXPORTS, Replay
from kallmodsyms.profile import Profile
from kallmodsyms.step import Seen, Step

_IN_THE_TREE = "the build directory is the tree, so that nobody can tell sources from what make makes: it decides"
_TOOLS = (
    *("CC", "LD", "AR", "NM", "OBJCOPY", "OBJDUMP", "READELF", "STRIP", "PAHOLE", "HOSTCC", "HOSTCXX", "LEX", "YACC"),
    *("AWK", "PERL", "PYTHON3", "BASH"),
)
"""Variables of the top Makefile that name programs."""
_OTHER_TOOLS = (
    "make",
    "sh",
    "sed",
    "grep",
    "sort",
    "cut",
    "tr",
    "bc",
    "cpio",
    "gzip",
    "xz",
    "tar",
    "find",
    "cmp",
    "git",
)
_LARGE = 1 << 24
"""Bytes."""
_HEADER = re.compile(r"(?<=\s)/usr/\S+\.h\b")
_ARCH = re.compile(r"(?:arch|\.\.)/([a-z0-9]+)/")


class Make:
    """The steps of one profile."""

    def __init__(self, chosen: Profile, configured: Configured) -> None:
        self.profile = chosen
        self.configured = configured
        self.objdir = chosen.objdir
        self.link = release.link_dialect(chosen.tree)
        release.kallsyms_dialect(chosen.tree)  # so that what cannot be linked is said before anything is compiled
        self.lists = Lists(chosen, configured)
        self.replay = Replay(chosen, configured, self.link, self._make)
        self.world = self.replay.world

    def steps(self) -> Iterator[tuple[str, list[Step]]]:
        """All steps, by the kind of work they do, in an order in which they can run."""
        yield "config", [Step("config", (), self._config, writes=(CONFIG,), once=True)]
        yield "tristate_conf", [self.lists.tristate_conf()]
        yield "modules_thick", [self.lists.modules_thick()]
        if self._in_the_tree:
            yield "vmlinux", [self._goal("vmlinux", "vmlinux", reads=(CONFIG, THICK), writes=("vmlinux", "System.map"))]
        else:
            yield "make", [self._everything()]
            yield "compile", self.replay.compilations()
            yield "archive", [self.replay.archive()]
            yield "vmlinux", [self._vmlinux()]
            yield "times", [self.replay.times()]
        yield "listing", [image.listing(self.objdir)]
        yield "bzimage", [self._goal("bzimage", "bzImage", reads=("vmlinux",))]
        yield "modules", [self._goal("modules", "modules", reads=("vmlinux",))]

    def _everything(self) -> Step:
        """All that the tree's make does for vmlinux. It runs where something changed that `replay` does not cover."""
        return Step(
            "make",
            tuple(self.command("vmlinux")),
            self._build,
            reads=(CONFIG, THICK),
            sees=lambda: (*self._surroundings(), *self._git()),
            wrote=self._wrote_alone,
            modules=("kallmodsyms.plan.replay",),
        )

    def _wrote_alone(self) -> Iterator[tuple[str, str]]:
        """What no other step writes."""
        others = self.replay.made_again()
        return ((kind, path) for kind, path in self._wrote() if not others(path))

    def _vmlinux(self) -> Step:
        return self.replay.vmlinux(tuple(self.command("vmlinux")), self._surroundings)

    def _build(self) -> list[Seen]:
        if self.profile.modules:
            relocatable.require_evidence(self.configured.configuration.values)
        replay, ledger = self.replay, self.configured.ledger
        start = ledger.files.now()
        before = {folder: ledger.files.rows(folder) for folder in self._folders(replay.tree)}
        exported = Path(self.objdir, EXPORTS)
        if not exported.exists():  # then make must link, whatever there is, and say what it exports
            Path(self.objdir, f".{self.link.output}.cmd").unlink(missing_ok=True)
        headers = self._reach("make", "vmlinux")
        replay.adopt(start, self._vmlinux())
        return [*headers, *(Fact("rest", folder, replay.rest(folder, rows)) for folder, rows in before.items())]

    def _goal(self, name: str, goal: str, reads: tuple[str, ...], writes: tuple[str, ...] = ()) -> Step:
        """A goal of the tree's make. It runs where anything changed that make could look at; make decides the rest."""
        return Step(
            name,
            tuple(self.command(goal)),
            lambda: self._reach(name, goal),
            reads=reads,
            writes=writes,
            sees=lambda: (
                *self._surroundings(),
                *self._git(),
                *(("folder", folder) for folder in self._folders(os.path.realpath(self.profile.tree))),
            ),
            wrote=self._wrote,
            modules=("kallmodsyms.hook",),
            always=_IN_THE_TREE if self._in_the_tree else None,
        )

    def _reach(self, name: str, goal: str) -> list[Seen]:
        """Run make for a goal; the headers of this machine that programs for it were compiled with."""
        # Make goes by times. An output that changed although nothing else did is damaged, and must be made again.
        for path in self.configured.ledger.spoiled(name, self.world):
            Path(self.objdir, path).unlink(missing_ok=True)
        self._make(goal)
        self.replay.confirm()
        headers: set[str] = set()
        for folder in ("scripts", "tools", "usr"):
            for command in Path(self.objdir, folder).rglob(".*.cmd"):
                headers.update(_HEADER.findall(command.read_text(errors="surrogateescape")))
        return [("file", path) for path in sorted(headers)]

    @property
    def _in_the_tree(self) -> bool:
        return self.objdir.resolve() == self.profile.tree.resolve()

    def _surroundings(self) -> Iterator[tuple[str, str]]:
        """What decides what make does, but for the directories of the tree."""
        variables = self.configured.environment
        tools: dict[str, bool] = dict.fromkeys(_OTHER_TOOLS, False)
        for name in _TOOLS:
            words = shlex.split(variables.get(name, ""))
            tools |= dict.fromkeys(takewhile(_names_a_program, words), name in ("CC", "HOSTCC"))
        for tool, compiles in tools.items():
            yield from self.configured.programs_behind(tool, compiles)
        yield "settings", "environment"
        yield "wildcard", "localversion*"
        yield from self._outside()

    def _outside(self) -> Iterator[tuple[str, str]]:
        """Files that options name, wherever they are."""
        values = self.configured.configuration.values
        firmware = values.get("EXTRA_FIRMWARE_DIR", "/lib/firmware")
        named = [os.path.join(firmware, name) for name in values.get("EXTRA_FIRMWARE", "").split()]
        for option in ("INITRAMFS_SOURCE", "SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS", "MODULE_SIG_KEY"):
            named += values.get(option, "").split()
        for name in named:
            for path in dict.fromkeys(os.path.join(place, name) for place in (self.objdir, self.profile.tree)):
                yield "file", path
                yield from (("folder", folder) for folder, _, _ in os.walk(path))

    def _folders(self, tree: str) -> Iterator[str]:
        """The directories of the tree that its build can look into."""
        arch = os.path.join(tree, "arch")
        main, objdir = self.configured.environment.get("SRCARCH", ""), os.path.realpath(self.objdir)
        arches = {main, *_arches(os.path.join(arch, main))}
        for folder, below, _ in os.walk(tree):
            yield folder
            below[:] = [name for name in below if os.path.join(folder, name) != objdir]
            if folder == tree:
                below[:] = [name for name in below if name != ".git"]
            elif folder == os.path.join(tree, "Documentation"):
                below.clear()  # for its Kconfig alone
            elif folder == arch:
                below[:] = [name for name in below if name in arches]
            below.sort()

    def _git(self) -> Iterator[tuple[str, str]]:
        """Directories of git that say which commit the tree is."""
        git = os.path.join(os.path.realpath(self.profile.tree), ".git")
        if os.path.isdir(git):
            yield from (("folder", os.path.join(git, *parts)) for parts in ((), ("refs", "heads"), ("refs", "tags")))

    def _wrote(self) -> Iterator[tuple[str, str]]:
        """All files that make left, but for those of passes, which only the link reads, and those that are ours."""
        ours = {THICK, image.LISTING, TRISTATE_CONF}
        for folder, below, found in os.walk(self.objdir):
            below[:] = sorted(name for name in below if name != FOLDER)
            known = set(found)
            for name in sorted(found):
                path = os.path.relpath(os.path.join(folder, name), self.objdir)
                # What is large and has no command is not make's: somebody's disk image, say.
                small = f".{name}.cmd" in known or os.lstat(os.path.join(folder, name)).st_size < _LARGE
                if small and path not in ours and not path.startswith(".tmp_"):
                    yield "file", path

    def _config(self) -> None:
        """The profile's configuration merged into the tree's own base configuration."""
        wanted = files.read_text(self.profile.config)
        made = Path(self.objdir, CONFIG)
        try:
            self._make(self.profile.base, quiet=True)
            files.write(made, fragment.merged(files.read_text(made), wanted))
            self._make("olddefconfig", quiet=True)
            lost = fragment.check(self.profile.config, wanted, files.read_text(made), self.profile.required)
        except InputError:
            made.unlink(missing_ok=True)  # a half-made one would count as the user's own
            raise
        if lost:
            errors.warn([f"{self.profile.config}: this tree does not have, or not so: {' '.join(lost)}"])

    def _make(self, goal: str, quiet: bool = False) -> None:
        """Run the tree's make; `quiet`: without its words, unless it fails."""
        output = subprocess.PIPE if quiet else None
        exported = Path(self.objdir, EXPORTS).absolute()
        done = subprocess.run(
            self.command(goal),
            env={**os.environ, names.EXPORTS: str(exported)} if goal == "vmlinux" else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )
        if done.returncode:
            said = f"\n{done.stdout.rstrip()}" if quiet else "; its own words are above"
            raise InputError(f"make {goal} failed{said}", path=self.objdir)
        if goal == "vmlinux" and exported.exists():
            # What everybody has in the environment need not be kept, and may be a secret.
            known = {**os.environ, names.EXPORTS: str(exported)}.items()
            own = dict(exports.unpacked(files.read_bytes(exported)).items() - known)
            files.write(exported, exports.packed(own))

    def command(self, goal: str) -> list[str]:
        """The words that run the tree's make.

        The hook is on its command line for every goal: without it make would link vmlinux anew.
        """
        profile = self.profile
        options = ["--sizes", profile.sizes, "--thick", THICK]
        options += ["--objects"] * profile.objects
        options += ["--no-modules"] * (not profile.modules) + ["--no-provider"] * (not profile.provider)
        if profile.unknown_text is not None:
            options += ["--unknown-text", f"{profile.unknown_text:g}"]
        program = shlex.join([_python(), "-m", "kallmodsyms", "link", *options])
        return [
            *("make", "-C", str(profile.tree)),
            *([] if self._in_the_tree else [f"O={self.objdir}"]),
            f"ARCH={profile.arch}",
            *(f"{name}={value}" for name, value in sorted(profile.make.items())),
            f"-j{profile.jobs or os.cpu_count()}",
            *("--no-print-directory", goal),
            f'{self.link.variable}={program} -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"',
        ]


def _python() -> str:
    """This interpreter, under the same name whoever asks: `doit` and `kallmodsyms` may have been started by two."""
    plain = Path(sys.executable).with_name("python3")
    return str(plain) if plain.exists() and plain.samefile(sys.executable) else sys.executable


def _names_a_program(word: str) -> bool:
    return word[:1] not in ("-", "")


def _arches(folder: str) -> set[str]:
    """The architectures that the makefiles and headers of one name: arm64 has some of arm's, um those of x86."""
    found: set[str] = set()
    for path in Path(folder).rglob("*"):
        if path.name in ("Makefile", "Kbuild", "Kconfig") or path.name.startswith("Makefile."):
            found.update(_ARCH.findall(path.read_text(errors="surrogateescape")))
    return found
