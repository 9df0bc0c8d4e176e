"""What to build, from where, into where: a `config/*.yaml` file and `key=value` overrides in; a checked `Profile` out.

tree: toy_kernel                    # relative to the repository (where dodo.py is), or absolute
objdir: build/toy
arch: x86
config: toy_kernel/arch/x86/configs/defconfig
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kallmodsyms import files
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
    base: for a tree with a make of its own: the configuration target that `config` is merged into (`tinyconfig`, `defconfig`)
    make: variables for make's command line, such as LLVM: 1 or CROSS_COMPILE
    jobs: how many compilers the tree's own make may run at once; 0 means one a core
    sizes: how symbol sizes are stored: `compact`, `dense` or `none`
    objects: whether symbols of one name and one module are told apart by their objects
    modules: whether a real kernel gets module tables; without them it gets no sizes and no provider either
    provider: whether a real kernel gets /proc/kallmodsyms
    """

    path: Path
    tree: Path
    objdir: Path
    arch: str
    config: Path
    base: str = "defconfig"
    make: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 0
    sizes: str = "compact"
    objects: bool = False
    modules: bool = True
    provider: bool = True

    @property
    def has_make(self) -> bool:
        """Whether the tree brings the make scripts that build its objects (the toy kernel does not: our tasks do)."""
        return (self.tree / "scripts" / "Makefile.build").is_file()


_PATHS = ("tree", "objdir", "config")
_SWITCHES = ("objects", "modules", "provider")
_KEYS = [f.name for f in dataclasses.fields(Profile) if f.name != "path"]
_REQUIRED = [
    f.name
    for f in dataclasses.fields(Profile)
    if f.name != "path" and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
]


def load(path: str | os.PathLike[str], root: Path, overrides: Mapping[str, str]) -> Profile:
    """The profile in `path`, with `overrides` in place of what it says.

    root: the directory that relative paths in the YAML file start from; relative paths in `overrides` start from there too
    overrides: `key=value` words of the command line; a key that no profile has is a make variable where it is upper case

    Raises InputError naming the file and, where it can, the line: unknown or missing key, wrong type, absent tree or tool.
    """
    path = root / path
    settings, lines = _parse(path)
    make = {str(name): str(value) for name, value in (settings.pop("make", None) or {}).items()}
    for key, value in overrides.items():
        if key in _KEYS and key != "make":
            settings[key] = value
            lines.pop(key, None)
        elif key.isupper():
            make[key] = value
        else:
            raise InputError(
                f"unknown setting {key}={value}", cure=f"settings are: {' '.join(_KEYS)}, and MAKE_VARIABLES"
            )

    def wrong(key: str, problem: str, cure: str | None = None) -> InputError:
        if key in lines or key not in settings:
            return InputError(problem, path=path, line=lines.get(key), text=_shown(settings, key), cure=cure)
        return InputError(problem, text=_shown(settings, key), cure=cure)

    for key in settings:
        if key not in _KEYS:
            raise wrong(key, f"unknown key '{key}'", f"keys are: {' '.join(_KEYS)}")
    for key in _REQUIRED:
        if settings.get(key) in (None, ""):
            raise wrong(key, f"'{key}' is missing", f"add it to the file, or say `doit {key}=…`")
    for key in _PATHS:
        settings[key] = root / os.path.expanduser(str(settings[key]))
    settings["arch"] = str(settings["arch"])
    try:
        settings["jobs"] = int(settings.get("jobs", 0))
    except (TypeError, ValueError):
        raise wrong("jobs", "'jobs' is not a number") from None
    if settings.setdefault("sizes", "compact") not in SIZES:
        raise wrong("sizes", f"'sizes' is none of {', '.join(SIZES)}")
    for key in _SWITCHES:
        if key in settings:
            if str(settings[key]).lower() not in ("true", "false"):
                raise wrong(key, f"'{key}' is neither true nor false")
            settings[key] = str(settings[key]).lower() == "true"

    profile = Profile(path=path, make=make, **settings)
    if not (profile.tree / "Makefile").is_file():
        raise wrong(
            "tree", f"{profile.tree} is not a kernel tree: it has no Makefile", "unpack one, or say `doit tree=DIR`"
        )
    if not profile.config.is_file():
        raise wrong("config", f"{profile.config} does not exist")
    if profile.has_make and shutil.which("make") is None:
        raise InputError("this profile needs make, which is not on the PATH", path=path, cure="apt-get install make")
    return profile


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
        raise InputError("a profile is a mapping of keys to values", path=path)
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    if settings.get("make") is not None and not isinstance(settings["make"], dict):
        raise InputError("'make' is a mapping of make variables", path=path, line=lines["make"])
    return {str(key): value for key, value in settings.items()}, lines


def _shown(settings: Mapping[str, object], key: str) -> str | None:
    return f"{key}: {settings[key]}" if key in settings else None
