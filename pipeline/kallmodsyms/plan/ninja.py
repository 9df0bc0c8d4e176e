"""The steps of a real tree for another engine: what its make has built, and what the ledger knows of that, in; a
build.ninja out. ninja compiles, archives and links by the same makefiles as `replay` and `stages`, and has doit write
the file anew where something changed that ninja cannot judge: `.config`, makefiles, which files there are.

Three files are written into the build directory: build.ninja; .kallmodsyms/ninja.sh, which the commands call, with the
environment that the top Makefile exported; and .kallmodsyms/.ninja_deps, where ninja keeps what compilers read in, so
that nothing is compiled that make or doit has compiled already.

The edges are marked `generator`: then ninja goes by times, as make does, and not by its own log, which says nothing of
what others made. A configuration symbol is no file. So a compilation has a digest of the symbols that it saw, and
where that is another one than in the build.ninja before, the object is removed when the file is written.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping

from kallmodsyms import facts, files, profile
from kallmodsyms.depfile import Recorded
from kallmodsyms.errors import InputError
from kallmodsyms.link import exports
from kallmodsyms.names import FOLDER, THICK
from kallmodsyms.plan import stages, watched
from kallmodsyms.plan.adoption import above
from kallmodsyms.plan.replay import Replay
from kallmodsyms.plan.submake import EXPORTS, command_file
from kallmodsyms.profile import Profile
from kallmodsyms.step import Step

BUILD = "build.ninja"
_SCRIPT = f"{FOLDER}/ninja.sh"
_DEPS = f"{FOLDER}/.ninja_deps"
_LOG = f"{FOLDER}/.ninja_log"
_DECIDING = re.compile(
    r"config|tristate_conf|auto_conf|modules_thick|make|directories|kconfig|(?:configuration|directory|modules|ask):.*"
)
"""Steps of which doit knows alone, and that decide what ninja is to do."""
_DIGEST = re.compile(r"^build (\S+): object\n  directory = .*\n  symbols = (\w+)$", re.MULTILINE)

_RULES = f"""\
# Made by doit for ninja, which has it made again.
ninja_required_version = 1.8
builddir = {FOLDER}
rule object
  command = sh {_SCRIPT} object $directory $out
  description = CC $out
  depfile = $out.prerequisites
  deps = gcc
  generator = 1
rule archive
  command = sh {_SCRIPT} archive $out
  description = AR $out
  generator = 1
rule vmlinux
  command = sh {_SCRIPT} vmlinux
  description = LINK $out
  generator = 1
rule again
  command = $doit
  description = DOIT ninja
  generator = 1
"""

_FUNCTIONS = r"""
submake() {
	makefile=$1
	shift
	$MAKE -f "$srctree/$makefile" "$@"
}

# What the .cmd of a target names, as a compiler would have written it.
prerequisites() {
	printf '%s: \\\n' "$1"
	sed -n -e 's/^source_[^ ]* := \(.*\)$/ \1 \\/p' -e 's/^  \([^ $].*\) \\$/ \1 \\/p' \
		-e 's/^[^ ]*: \$(wildcard \(.*\))$/ \1 \\/p' "$2"
	echo
}

case $1 in
object)
	rm -f "$3"
	quiet=silent_ submake scripts/Makefile.build "obj=$2" "$3"
	prerequisites "$3" "${3%/*}/.${3##*/}.cmd" >"$3.prerequisites"
	;;
archive)
	case $2 in */*) command=${2%/*}/.${2##*/}.cmd ;; *) command=.$2.cmd ;; esac
	sh -e -c "$(sed -n -e 's/^\(saved\)\{0,1\}cmd_[^ ]* := //' -e 't it' -e d -e ': it' -e 's/\$(pound)/#/g' \
		-e 's/\$\$/$/g' -e p "$command")" || { rm -f "$2"; exit 1; }
	;;
vmlinux)
	# Without its command make takes neither for done: what is linked may be the same, the linker another one.
	rm -f .vmlinux.o.cmd "$linked"
	for makefile in $makefiles; do
		submake "$makefile" "-j$jobs"
	done
	;;
esac
"""


class Ninja:
    """Writes the files for one build directory."""

    def __init__(self, chosen: Profile, replay: Replay) -> None:
        self.profile, self.replay, self.ledger = chosen, replay, replay.ledger
        self.submake, self.objdir = replay.submake, chosen.objdir

    def step(self) -> Step:
        return Step(
            "ninja",
            (),
            self._write,
            writes=(BUILD,),
            follows=("tristate_conf", "modules_thick", "make", "directories"),
            always="whoever asks for it gets it as things are now",
        )

    def _write(self) -> None:
        """Raises InputError where make has to link everything itself."""
        if not self.replay.objects or not self.replay.stages.are_known():
            raise InputError(
                "this release's make does the link on its own (before Linux 6.1): ninja has nothing to take over",
                path=self.profile.tree,
                cure="leave it to `doit`",
            )
        recorded = watched.commands(self.submake.base)
        saw = {target: recorded[target] for target in self.replay.made}
        symbols = {target: self._digest(recorded.symbols) for target, recorded in saw.items()}
        self.replay.date_archives()  # of some, make has made a member anew that came out as it was
        self._remove_stale(symbols)
        files.write(self.objdir / _SCRIPT, self._script())
        files.write(self.objdir / _DEPS, dependencies(saw, self.submake.time))
        (self.objdir / _LOG).unlink(missing_ok=True)
        files.deliver(self.objdir / BUILD, "".join((_RULES, *self._edges(symbols))))  # newer than what decides

    def _digest(self, symbols: Iterable[str]) -> str:
        values = (f"{symbol}={self.replay.world.look('symbol', symbol)}\n" for symbol in symbols)
        return facts.digest("".join(values).encode()).hex()[:16]

    def _remove_stale(self, symbols: Mapping[str, str]) -> None:
        """Remove objects that saw other values than those that hold now. The ledger knows of what doit made, the last
        build.ninja of what ninja did.
        """
        path = self.objdir / BUILD
        before = dict(_DIGEST.findall(files.read_text(path))) if path.is_file() else {}
        for step in (*self.replay.compilations(), *self.replay.linker_script()):
            (target,) = step.writes
            if before.get(target) != symbols[target] and self.ledger.why(step.name, step.identity, self.replay.world):
                (self.objdir / target).unlink(missing_ok=True)

    def _script(self) -> str:
        own = dict(exports.unpacked(files.read_bytes(self.objdir / EXPORTS)))
        environment = {name: value for name, value in self.submake.environment().items() if name in own}
        lines = [
            f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()) if _is_name(name)
        ]
        settings = {
            "linked": command_file(self.replay.stages.dialect.output),
            "makefiles": " ".join(stages.MAKEFILES),
            "jobs": str(self.profile.jobs or os.cpu_count()),
        }
        lines += [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        return "".join(("set -e\n", *lines, 'MAKE="${MAKE:-make}"\n', _FUNCTIONS))

    def _edges(self, symbols: Mapping[str, str]) -> Iterator[str]:
        replay, kernel = self.replay, self.replay.configured.kernel
        for target in replay.made:
            directory = kernel.directory_of(target)
            folder = directory.path if directory is not None else os.path.dirname(target)
            yield f"build {_words([target])}: object\n  directory = {folder}\n  symbols = {symbols[target]}\n"
        parts = {path: self.submake.members(path) for path in replay.archives}
        for path in replay.archives[:-1]:
            parts[_archive_above(path, parts)].append(path)
        for path, members in parts.items():
            yield f"build {_words([path])}: archive {_words(members)}\n"
        libraries = exports.words(self.submake.exports(), "KBUILD_VMLINUX_LIBS")
        script = self.submake.exports()["KBUILD_LDS"]
        linked = ["vmlinux.a", *libraries, script, THICK, f"{self.submake.tree}/scripts/link-vmlinux.sh"]
        image = self.replay.stages.dialect.output
        yield f"build {image}: vmlinux {_words(dict.fromkeys(linked))}\n"
        doit = [sys.executable, "-m", "kallmodsyms", "build", "ninja"]
        yield f"doit = {_value(shlex.join([*doit, *profile.words(self.profile)]))}\n"
        decides = sorted(self._decides())
        yield f"build {BUILD}: again | {_words(decides)}\n"
        # What has no edge and is gone would be an error; with this one it is a reason.
        yield f"build {_words(decides)}: phony\n"
        yield f"default {image}\n"

    def _decides(self) -> set[str]:
        """The files and directories that decide what build.ninja says."""
        found = set()
        made = {*self.replay.made, *self.replay.archives, *self.replay.stages.all_left(), BUILD, THICK}
        for name in self.ledger.steps:
            if _DECIDING.fullmatch(name):
                for fact in self.ledger.reads(name):
                    place = self._place(fact)
                    if place is not None and place not in made:
                        found.add(place)
        return found

    def _place(self, fact: facts.Fact) -> str | None:
        """The file whose time tells that a fact may be another one, or the directory; None if nothing tells."""
        if fact.kind == "program":
            return fact.value[0] if isinstance(fact.value, tuple) else None
        if fact.kind not in ("file", "names", "folder", "wildcard"):
            return None
        place = os.path.normpath(os.path.join(self.submake.base, fact.name))
        while not os.path.exists(place) or "*" in place:
            place = os.path.dirname(place)  # which gets another time when there is such a file
        inside = place.startswith(f"{self.submake.base}/")
        if place == self.submake.base or (inside and os.path.isdir(place)):
            return None  # what is built comes and goes there
        return os.path.relpath(place, self.submake.base) if inside else place


def dependencies(saw: Mapping[str, Recorded], time: Callable[[str], int]) -> bytes:
    """ninja's file of what compilers read in: src/deps_log.h of ninja 1.11, version 4.

    Words of 32 bits in the byte order of the machine. A record of a path has its number of bytes, the path filled up
    with NUL, and the complement of its number; one of dependencies has its number of bytes with the highest bit set,
    the number of the output, the output's time in ns in two words, and the numbers of what it depends on.

    saw: what each output depends on; time: the time of a file, in ns
    """
    numbers: dict[str, int] = {}
    records = [b"# ninjadeps\n", struct.pack("=i", 4)]

    def number(path: str) -> int:
        known = numbers.get(path)
        if known is None:
            known = numbers[path] = len(numbers)
            name = path.encode("utf-8", "surrogateescape")
            name += bytes(-len(name) % 4)
            records.append(struct.pack(f"=I{len(name)}sI", len(name) + 4, name, ~known & 0xFFFFFFFF))
        return known

    normal = functools.cache(os.path.normpath)  # as ninja calls a file
    for target, recorded in saw.items():
        words = array("I", [number(target)])
        words.frombytes(struct.pack("=q", time(target)))
        words.extend(number(normal(path)) for path in recorded.files)
        records += [struct.pack("=I", 4 * len(words) | 1 << 31), words.tobytes()]
    return b"".join(records)


def _archive_above(path: str, archives: Mapping[str, list[str]]) -> str:
    """The archive that takes in another one, or what of it is in there."""
    folder = os.path.dirname(path)
    places = (os.path.normpath(f"{place}/built-in.a") for place in above(folder))
    return next((place for place in places if place in archives), "vmlinux.a")


def _is_name(name: str) -> bool:
    """Whether a shell takes a name for a variable's."""
    return re.fullmatch(r"[A-Za-z_]\w*", name) is not None


def _value(text: str) -> str:
    return text.replace("$", "$$")


def _words(paths: Iterable[str]) -> str:
    return " ".join(re.sub(r"[$ :]", r"$\g<0>", os.path.normpath(path)) for path in paths)
