"""Which module each text symbol of a built image belongs to, told by what our pipeline never reads.

Each object's own symbol table (`nm`) says which symbols it defines, and the KBUILD_MODFILE in its `.cmd` file which
modules it was compiled for. No map, no addresses: a name that several objects define has a multiset of owners, and so
has the listing.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

Owners = tuple[str, ...]
TEXT = "tTwW"


def linked(objdir: Path, archives: Iterable[str] = ("vmlinux.a",)) -> list[str]:
    """The objects that make links unconditionally, as `ar` lists them in archives; what is no archive is one."""
    found: list[str] = []
    for path in archives:
        if path.endswith(".a"):
            listed = subprocess.run(["ar", "t", path], cwd=objdir, capture_output=True, text=True, check=True).stdout
            found += listed.splitlines()
        else:
            found.append(path)
    return [path for path in found if path.endswith(".o")]


def tristate_modules(objdir: Path, targets: Iterable[str]) -> dict[str, Owners]:
    """Object -> its modules, told without our evaluator.

    KBUILD_MODFILE names what the object is compiled for, and the line of its Kbuild file that lists that module, by
    which symbol; scripts/kconfig's own word for a tristate is `tristate`.
    """
    tree = Path((objdir / "source").resolve())
    kconfig = "\n".join(path.read_text(errors="replace") for path in tree.rglob("Kconfig*") if path.is_file())
    tristates = set(
        re.findall(r"^(?:menu)?config (\w+)\n(?:[ \t].*\n|\n|#.*\n)*?[ \t]+(?:def_)?tristate\b", kconfig, re.MULTILINE)
    )
    owners = {}
    for target in targets:
        modules = []
        for module in modfile(objdir, target):
            directory, _, name = module.rpartition("/")
            makefile = next(p for p in (tree / directory / "Kbuild", tree / directory / "Makefile") if p.is_file())
            text = makefile.read_text().replace("\\\n", " ")
            symbols = re.findall(
                rf"^obj-\$\(CONFIG_(\w+)\)\s*[:+]?=(?:.*\s)?{re.escape(name)}\.o(?:\s|$)", text, re.MULTILINE
            )
            if any(symbol in tristates for symbol in symbols):
                modules.append(name.replace("-", "_"))
        owners[target] = tuple(sorted(modules))
    return owners


def modfile(objdir: Path, target: str) -> list[str]:
    """The modules that `target` was compiled for: `["fs/ext4/ext4"]`; none without KBUILD_MODFILE (assembler)."""
    path = objdir / target
    command = (path.parent / f".{path.name}.cmd").read_text()
    found = re.search(r"-DKBUILD_MODFILE='?\\?\"(.*?)\\?\"'?(?:\s|$)", command.splitlines()[0])
    return found[1].split() if found else []


def defined(objdir: Path, targets: Iterable[str], nm: str = "nm") -> list[tuple[str, str, str]]:
    """(object, letter, name) of each text symbol that objects define, in their order, as `nm` says."""
    command = [nm, "--defined-only", "-A", *targets]
    output = subprocess.run(command, cwd=objdir, capture_output=True, text=True, check=True).stdout
    found = (line.partition(":") for line in output.splitlines())
    symbols = ((target, *line.split(" ")[-2:]) for target, _, line in found if line.count(" ") >= 2)
    return [(target, letter, name) for target, letter, name in symbols if letter in TEXT]


def expected(
    objdir: Path, targets: Iterable[str], owners: Mapping[str, Owners], nm: str = "nm"
) -> dict[str, Counter[Owners]]:
    """name -> how many symbols of that name each list of owners has in the image.

    targets: the objects that were linked, in link order
    owners: object -> the modules it belongs to, sorted, () for always built in

    Of a global name there is one in the image: the first strong definition, or the first weak one.
    """
    result: dict[str, Counter[Owners]] = defaultdict(Counter)
    winners: dict[str, tuple[bool, Owners]] = {}
    for target, letter, name in defined(objdir, targets, nm):
        if letter == "t":
            result[name][owners[target]] += 1
        elif name not in winners or (winners[name][0] and letter == "T"):
            winners[name] = (letter in "wW", owners[target])
    for name, (_, owner) in winners.items():
        result[name][owner] += 1
    return result


def listed(listing: str) -> dict[str, Counter[Owners]]:
    """The same of a /proc/kallmodsyms listing, text symbols only."""
    result: dict[str, Counter[Owners]] = defaultdict(Counter)
    for line in listing.splitlines():
        symbol, _, brackets = line.partition("\t")
        letter, name = symbol.split(" ")[2:]
        if letter in TEXT:
            result[name][tuple(word.strip("[]") for word in brackets.split())] += 1
    return result


class Comparison:
    """Ours against the truth: counts of symbols, and the differing ones by name.

    inlined: whether the linker compiled the objects, so that the image may lack functions
    """

    def __init__(
        self, truth: Mapping[str, Counter[Owners]], ours: Mapping[str, Counter[Owners]], inlined: bool = False
    ) -> None:
        self.agree = 0
        self.missing: list[str] = []  # in a module, and we say nobody's
        self.extra: list[str] = []  # nobody's, and we say in a module
        self.wrong: list[str] = []  # in another module than we say
        self.unknown: list[str] = []  # no object defines it, and we say in a module
        for name in sorted(truth.keys() | ours.keys()):
            if name not in truth:
                self.unknown += [name] * sum(count for owner, count in ours[name].items() if owner)
                continue
            if name not in ours:
                continue  # not in the listing at all (a discarded section, a filtered name): nothing was said
            same = truth[name] & ours[name]
            self.agree += same.total()
            left, right = truth[name] - same, ours[name] - same
            if inlined and not right:
                continue
            gone = left[()], right[()]
            self.missing += [name] * gone[1]
            self.extra += [name] * gone[0]
            self.wrong += [name] * max(0, right.total() - gone[0] - gone[1])

    def __str__(self) -> str:
        return (
            f"agree {self.agree}, missing {len(self.missing)}, extra {len(self.extra)}, wrong {len(self.wrong)}, "
            f"unknown {len(self.unknown)}"
        )
