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
from kallmodsyms.configured import SYMBOLS, Configured
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig import fragment
from kallmodsyms.link import exports, relocatable
from kallmodsyms.names import FOLDER, SERIES, THICK
from kallmodsyms.plan import image, ninja, syncconfig, watched
from kallmodsyms.plan.lists import AUTO_CONF, CONFIG, TRISTATE_CONF, Lists
from kallmodsyms.plan.replay import Replay
from kallmodsyms.plan.series import Series
from kallmodsyms.plan.stages import Stages
from kallmodsyms.plan.submake import EXPORTS, Submake
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
_BOOTABLE = {"arm64": "Image", "riscv": "Image"}
"""The goal that makes of vmlinux what a boot loader takes, where that is not bzImage: ARCH -> goal."""
_LARGE = 1 << 24
"""Bytes."""
_HEADER = re.compile(r"(?<=\s)/usr/\S+\.h\b")


class Make:
    """The steps of one profile."""

    def __init__(self, chosen: Profile, configured: Configured) -> None:
        self.profile = chosen
        self.configured = configured
        self.objdir = chosen.objdir
        self.lists = Lists(configured, self._config)
        # What cannot be linked is said before anything is compiled.
        self.link, tables = release.link_dialect(chosen.tree), release.kallsyms_dialect(chosen.tree)
        submake = Submake(chosen)
        self.stages = Stages(chosen, configured, submake, self.link, tables, self._make, self._hook)
        self.replay = Replay(configured, submake, self.stages, self._everything)
        self.world = self.replay.world.under(edited=_edited)

    def steps(self) -> Iterator[tuple[str, list[Step]]]:
        """All steps, by the kind of work they do, in an order in which they can run."""
        yield "config", [self.lists.config()]
        yield "tristate_conf", [self.lists.tristate_conf()]
        if not self._in_the_tree:
            yield "auto_conf", [self._auto_conf()]
        yield "modules_thick", [self.lists.modules_thick()]
        if self._in_the_tree:
            yield "vmlinux", [self._goal("vmlinux", "vmlinux", reads=(CONFIG, THICK), writes=("vmlinux", "System.map"))]
        else:
            yield "make", [self._everything()]
            yield "directories", [self.replay.directories()]
            yield "compile", self.replay.compilations()
            yield "linker_script", self.replay.linker_script()
            yield "archive", [self.replay.archive()]
            yield from ((kind, [step]) for kind, step in self._link())
            yield "times", [self.replay.times()]
            yield "ninja", [ninja.Ninja(self.profile, self.replay).step()]
        yield "listing", [image.listing(self.objdir)]
        yield "series", Series(self.configured, self.stages.recipe).steps()
        bootable = _BOOTABLE.get(self.profile.arch, "bzImage")
        yield bootable.lower(), [self._goal(bootable.lower(), bootable, reads=(CONFIG, "vmlinux"))]
        yield "modules", [self._goal("modules", "modules", reads=(CONFIG, "vmlinux"))]

    def _everything(self) -> Step:
        """All that the tree's make does for vmlinux. It runs where something changed that `replay` does not cover."""
        return Step(
            "make",
            tuple(self.command("vmlinux")),
            self._build,
            sees=lambda: (*self._surroundings(), *self._git()),
            wrote=self._wrote_alone,
            modules=("kallmodsyms.plan.replay",),
            follows=("auto_conf", "modules_thick"),
        )

    def _wrote_alone(self) -> Iterator[tuple[str, str]]:
        """What no other step writes."""
        others, mine = self.replay.made_again(), {CONFIG, f"{CONFIG}.old", *syncconfig.WRITES}
        return ((kind, path) for kind, path in self._wrote() if not others(path) and path not in mine)

    def _auto_conf(self) -> Step:
        """What the tree's `conf --syncconfig` does. The first time make does it."""
        return Step(
            "auto_conf",
            (),
            lambda: syncconfig.run(self.configured),
            sees=lambda: (
                *(("symbol", name) for name in self.configured.configuration.values),
                ("configuration", SYMBOLS),
                ("order", AUTO_CONF),
            ),
            wrote=lambda: (("file", path) for path in syncconfig.WRITES if Path(self.objdir, path).exists()),
            modules=("kallmodsyms.plan.syncconfig",),
            after=("config",),
        )

    def _link(self) -> Iterator[tuple[str, Step]]:
        return self.replay.final_link(tuple(self.command("vmlinux")), self._surroundings)

    def _build(self) -> Iterator[Seen]:
        if self.profile.modules:
            relocatable.require_evidence(self.configured.configuration.values)
        start = self.configured.ledger.files.now()
        exported = Path(self.objdir, EXPORTS)
        if not exported.exists():  # then make must link, whatever there is, and say what it exports
            Path(self.objdir, f".{self.link.output}.cmd").unlink(missing_ok=True)
        yield from self._reach("make", "vmlinux")
        recorded = watched.commands(str(self.objdir))
        linked = [step for _, step in self._link() if step.name != "assemble:1"]  # which is needed for a second pass
        self.replay.adopt(start, recorded, [("vmlinux", linked), (AUTO_CONF, [self._auto_conf()])])
        mine = {target: saw for target, saw in recorded.items() if not saw.modular}
        yield from self.replay.watched.of(mine, self.replay.made)
        if not self.replay.objects:  # there is no vmlinux.a (before Linux 6.1): nobody but make can do anything again
            yield "file", CONFIG

    def _goal(self, name: str, goal: str, reads: tuple[str, ...], writes: tuple[str, ...] = ()) -> Step:
        """A goal of the tree's make. It runs where anything changed that make could look at; make decides the rest."""

        def run() -> Iterator[Seen]:
            yield from self._reach(name, goal)
            if not self._in_the_tree:
                yield from self.replay.watched.of(watched.commands(str(self.objdir)), self.replay.made)

        return Step(
            name,
            tuple(self.command(goal)),
            run,
            reads=reads,
            writes=writes,
            sees=lambda: (*self._surroundings(), *self._git()),
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
        self.stages.confirm()
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

    def _git(self) -> Iterator[tuple[str, str]]:
        """What scripts/setlocalversion asks git for: which commit the tree is, its tags, and whether it was edited."""
        tree = os.path.realpath(self.profile.tree)
        git = os.path.join(tree, ".git")
        if os.path.isfile(git):  # of a second work tree
            git = os.path.join(tree, files.read_text(git).removeprefix("gitdir:").strip())
        head = os.path.join(git, "HEAD")
        if not os.path.isfile(head):
            return
        shared = os.path.join(git, "commondir")
        common = os.path.join(git, files.read_text(shared).strip()) if os.path.isfile(shared) else git
        branch = files.read_text(head).removeprefix("ref:").strip()
        yield from (
            ("file", path) for path in (head, os.path.join(common, branch), os.path.join(common, "packed-refs"))
        )
        yield "folder", os.path.join(common, "refs", "tags")
        if "LOCALVERSION_AUTO" in self.configured.configuration.values:
            yield "edited", tree

    def _wrote(self) -> Iterator[tuple[str, str]]:
        """All files that make left, but for those of passes, which only the link reads, and those that are ours."""
        ours = {THICK, image.LISTING, TRISTATE_CONF, ninja.BUILD}
        for folder, below, found in os.walk(self.objdir):
            below[:] = sorted(name for name in below if name not in (FOLDER, SERIES))
            known = set(found)
            for name in sorted(found):
                path = os.path.relpath(os.path.join(folder, name), self.objdir)
                # What is large and has no command is not make's: somebody's disk image, say.
                small = f".{name}.cmd" in known or os.lstat(os.path.join(folder, name)).st_size < _LARGE
                if small and path not in ours and not path.startswith(".tmp_"):
                    yield "file", path

    def _config(self, made: Path) -> None:
        """The profile's configuration merged into the tree's own base configuration."""
        required = self.profile.required
        wanted = fragment.completed(files.read_text(self.profile.config), required)
        try:
            self._make(self.profile.base, quiet=True)
            files.write(made, fragment.merged(files.read_text(made), wanted))
            self._make("olddefconfig", quiet=True)
            lost = fragment.check(self.profile.path, wanted, files.read_text(made), required)
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

    def _hook(self) -> list[str]:
        """The program that links, without what make adds."""
        profile = self.profile
        options = ["--sizes", profile.sizes, "--thick", THICK]
        options += ["--objects"] * profile.objects
        options += ["--no-modules"] * (not profile.modules) + ["--no-provider"] * (not profile.provider)
        if profile.unknown_text is not None:
            options += ["--unknown-text", f"{profile.unknown_text:g}"]
        return [_python(), "-m", "kallmodsyms", "link", *options]

    def command(self, goal: str) -> list[str]:
        """The words that run the tree's make.

        The hook is on its command line for every goal: without it make would link vmlinux anew.
        """
        profile, program = self.profile, shlex.join(self._hook())
        return [
            *("make", "-C", str(profile.tree)),
            *([] if self._in_the_tree else [f"O={self.objdir}"]),
            f"ARCH={profile.arch}",
            *(f"{name}={value}" for name, value in sorted(profile.variables.items())),
            f"-j{profile.jobs or os.cpu_count()}",
            *("--no-print-directory", goal),
            f'{self.link.variable}={program} -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"',
        ]


def _python() -> str:
    """This interpreter, under the same name whoever asks: `doit` and `kallmodsyms` may have been started by two."""
    plain = Path(sys.executable).with_name("python3")
    return str(plain) if plain.exists() and plain.samefile(sys.executable) else sys.executable


def _edited(tree: str) -> bool:
    """Whether git finds a file of the tree edited, as scripts/setlocalversion asks it (Linux 6.1)."""
    command = ["git", "-C", tree, "--no-optional-locks", "status", "-uno", "--porcelain"]
    return bool(subprocess.run(command, capture_output=True).stdout)


def _names_a_program(word: str) -> bool:
    return word[:1] not in ("-", "")
