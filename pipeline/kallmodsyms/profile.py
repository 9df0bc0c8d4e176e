"""What to build, from where, into where: a `config/*.yaml` file and `key=value` overrides in; a checked `Profile` out.

tree: toy_kernel                    # relative to the repository (where dodo.py is), or absolute
objdir: build/toy                   # relative to where the user stands
arch: x86
config: toy_kernel/arch/x86/configs/defconfig
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kallmodsyms import files, shipped
from kallmodsyms.errors import InputError
from kallmodsyms.names import SIZES


@dataclass(frozen=True)
class Profile:
    """One build.

    path: the YAML file it came from
    tree: the kernel source tree
    objdir: the build directory, made when missing
    arch: ARCH, as make knows it
    config: a .config, defconfig or fragment that the first `.config` is made of
    base: for a tree with a make of its own: the configuration target that `config` is merged into (`tinyconfig`,
        `defconfig`)
    required: symbols, without CONFIG_, that must be as `config` has them, or y where it says nothing of them; of others
        that are not as it has them, a warning tells
    make: variables for make's command line, such as LLVM: 1 or CROSS_COMPILE
    launcher: what goes before each compiler that makes an object: `ccache`, `distcc`; with options, if need be
    jobs: how many compilers the tree's own make may run at once; 0 means one a core
    sizes: how symbol sizes are stored: `compact`, `dense` or `none`
    objects: whether symbols of one name and one module are told apart by their objects
    modules: whether a real kernel gets module tables; without them it gets no sizes and no provider either
    provider: whether a real kernel gets /proc/kallmodsyms
    unknown_text: how many per cent of a real kernel's bytes of text may be of no known object; None for any
    """

    path: Path
    tree: Path
    objdir: Path
    arch: str
    config: Path
    base: str = "defconfig"
    required: tuple[str, ...] = ()
    make: Mapping[str, str] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()
    jobs: int = 0
    sizes: str = "compact"
    objects: bool = False
    modules: bool = True
    provider: bool = True
    unknown_text: float | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """What make's command line says, with the launcher before the compilers.

        They are called as the top Makefile of 6.1 does, by LLVM and CROSS_COMPILE; make could not expand these words
        itself, since LLVM_SUFFIX is not handed on to the makes below.
        """
        if not self.launcher or not self.has_make:
            return self.make  # what has no make of its own is compiled by our tasks, which know the launcher
        llvm, cross = (self.make.get(name, os.environ.get(name, "")) for name in ("LLVM", "CROSS_COMPILE"))
        clang = f"{llvm}clang" if llvm.endswith("/") else f"clang{llvm}" if llvm.startswith("-") else "clang"
        named = {"CC": clang if llvm else f"{cross}gcc", "HOSTCC": clang if llvm else "gcc", **self.make}
        return {**self.make, **{name: f"{shlex.join(self.launcher)} {named[name]}" for name in ("CC", "HOSTCC")}}

    @property
    def has_make(self) -> bool:
        """Whether the tree brings the make scripts that build its objects (the toy kernel does not: our tasks do)."""
        return (self.tree / "scripts" / "Makefile.build").is_file()


def words(chosen: Profile) -> list[str]:
    """The `profile=FILE` and `key=value` words that give a profile, wherever they are said."""
    found = [f"profile={chosen.path.absolute()}"]
    for key in _KEYS:
        value = getattr(chosen, key)
        if key == "make":
            found += [f"{name}={text}" for name, text in sorted(value.items())]
        elif isinstance(value, tuple):
            found += [f"{key}={shlex.join(value)}"] if value else []
        elif isinstance(value, Path):
            found.append(f"{key}={value.absolute()}")
        elif value is not None:
            found.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    return found


DEFAULT = "toy"
_KEYS = [field.name for field in dataclasses.fields(Profile) if field.name != "path"]


def chosen(words: Mapping[str, str], here: Path, root: Path = shipped.ROOT) -> Profile:
    """The profile that the `key=value` words of a command line ask for.

    profile: a file, or the name of one: NAME is `config/NAME.yaml`, of `here` or else of `root`. Without it: toy
    root: where dodo.py and config/ are. Relative paths in a profile start there if it is one of these; else at `here`

    Raises InputError as `load` does, and for a name of no profile.
    """
    words = dict(words)
    name = words.pop("profile", DEFAULT)
    path = here / os.path.expanduser(name)
    if "/" not in name and not path.is_file():
        places = [place / "config" for place in (here, root)]
        path = next((place / f"{name}.yaml" for place in places if (place / f"{name}.yaml").is_file()), path)
        if not path.is_file():
            names = sorted({file.stem for place in places for file in place.glob("*.yaml")})
            raise InputError(f"there is no profile {name}", cure=f"name a file, or one of: {' '.join(names)}")
    ours = path.resolve().is_relative_to(root.resolve())
    return load(path, root if ours else here, words, here)


def load(path: str | os.PathLike[str], root: Path, overrides: Mapping[str, str], here: Path | None = None) -> Profile:
    """The profile in `path`, with `overrides` in place of what it says.

    root: the directory that relative paths start from
    overrides: `key=value` words of the command line; a key that no profile has is a make variable where it is in upper
        case
    here: where relative paths in `overrides`, and a relative objdir, start, if not at `root`

    Raises InputError naming the file and, where it can, the line: unknown or missing key, wrong type, absent tree or
        tool.
    """
    found = _Settings(root / path, root, here or root)
    found.override(overrides)
    profile = Profile(
        path=root / path,
        tree=found.path("tree"),
        objdir=found.here / os.path.expanduser(found.text("objdir")),
        arch=found.text("arch"),
        config=found.path("config"),
        base=found.text("base", "defconfig"),
        required=found.words("required"),
        make=found.make,
        launcher=found.program("launcher"),
        jobs=found.number("jobs", 0),
        sizes=found.choice("sizes", SIZES),
        objects=found.switch("objects", False),
        modules=found.switch("modules", True),
        provider=found.switch("provider", True),
        unknown_text=found.percent("unknown_text"),
    )
    if not os.path.isfile(profile.tree / "Makefile"):  # which is False, too, where there could be none of that name
        cure = "unpack one, or say `doit tree=DIR`"
        raise found.wrong("tree", f"{profile.tree} is not a kernel tree: it has no Makefile", cure)
    if not os.path.isfile(profile.config):
        raise found.wrong("config", f"{profile.config} does not exist")
    if profile.has_make and shutil.which("make") is None:
        raise InputError("this profile needs make, which is not on the PATH", path=path, cure="apt-get install make")
    return profile


class _Settings:
    """What a file and the command line say, as far as it is of the type that is asked for. All methods raise
    InputError.
    """

    def __init__(self, file: Path, root: Path, here: Path) -> None:
        self.file, self.root, self.here = file, root, here
        self.values, self.lines = _parse(file)
        make = self.values.pop("make", None)
        if make is not None and not isinstance(make, dict):
            raise InputError("'make' must be a mapping of variables to values", path=file, line=self.lines["make"])
        self.make = {str(name): str(value) for name, value in (make or {}).items()}
        for key in self.values:
            if key not in _KEYS:
                raise self.wrong(key, f"unknown key '{key}'", f"keys are: {' '.join(_KEYS)}")

    def override(self, words: Mapping[str, str]) -> None:
        for key, value in words.items():
            if key in _KEYS and key != "make":
                self.values[key] = value
                self.lines.pop(key, None)
            elif key.isupper() and key.lower() not in (*_KEYS, "profile"):
                self.make[key] = value
            else:
                near = difflib.get_close_matches(key.lower(), ["profile", *_KEYS], 1)
                meant = f"did you mean {near[0]}={value}? " if near else ""
                cure = f"{meant}settings are: {' '.join(_KEYS)}, and MAKE_VARIABLES"
                raise InputError(f"unknown setting {key}={value}", cure=cure)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if value in (None, ""):
            raise self.wrong(key, f"'{key}' is missing", f"add it to the file, or say `doit {key}=…`")
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(str(self.values.get(key) or "").split())

    def program(self, key: str) -> tuple[str, ...]:
        try:
            words = tuple(shlex.split(self.text(key))) if key in self.values else ()
        except ValueError as error:
            raise self.wrong(key, f"'{key}' is not what a shell would take for words: {error}") from None
        if words and shutil.which(words[0]) is None:
            raise self.wrong(key, f"the program {words[0]} is not on the PATH")
        return words

    def path(self, key: str) -> Path:
        text = os.path.expanduser(self.text(key))
        return (self.root if key in self.lines else self.here) / text

    def number(self, key: str, default: int) -> int:
        try:
            return int(self.text(key, str(default)))
        except ValueError:
            raise self.wrong(key, f"'{key}' must be a number") from None

    def percent(self, key: str) -> float | None:
        if self.values.get(key) is None:
            return None
        try:
            return float(self.text(key))
        except ValueError:
            raise self.wrong(key, f"'{key}' must be a number, of per cent") from None

    def choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.text(key, choices[0])
        if value not in choices:
            raise self.wrong(key, f"'{key}' is none of {', '.join(choices)}")
        return value

    def switch(self, key: str, default: bool) -> bool:
        value = self.text(key, str(default)).lower()
        if value not in ("true", "false"):
            raise self.wrong(key, f"'{key}' must be true or false")
        return value == "true"

    def wrong(self, key: str, problem: str, cure: str | None = None) -> InputError:
        """The error about a key: of the file and its line, or of the command line."""
        text = f"{key}: {self.values[key]}" if key in self.values else None
        if key in self.lines or key not in self.values:
            return InputError(problem, path=self.file, line=self.lines.get(key), text=text, cure=cure)
        return InputError(problem, text=text, cure=cure)


def _parse(path: Path) -> tuple[dict[str, object], dict[str, int]]:
    """The mapping in a YAML file, and the line each key stands on."""
    try:
        node = yaml.compose(files.read_text(path), Loader=yaml.SafeLoader)
        settings = yaml.safe_load(files.read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"not valid YAML: {problem}", path=path, line=mark.line + 1 if mark else None) from None
    if not isinstance(settings, dict) or not isinstance(node, yaml.MappingNode):
        raise InputError("a profile must be a mapping of keys to values", path=path)
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    return {str(key): value for key, value in settings.items()}, lines
