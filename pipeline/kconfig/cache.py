"""Keep what the Kconfig files came to, between runs and between configurations: a tree's model, and the answers to
$(shell).

One file, which may be deleted at any time. It holds by content: of the Kconfig files and of those sources of the tree's
`conf` that are looked at; of the scripts that $(shell) runs, and the identity of its programs; of the variables that
any of these mention; of this program. That is more than make's own include/config/auto.conf.cmd, which knows neither
scripts nor compilers. What goes unnoticed is a tool that neither a command nor a script of the tree names: the
toolchain behind a `rustc` that only chooses one.

The answers are a part of their own, so that an edited Kconfig file does not cost the compiler probes (half of the
time). Two runs at once write a whole file each, under a name of its own; the later rename stays.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import InputError
from pipeline.kconfig.model import CONF_SOURCES, Choice, Dialect, Model
from pipeline.state import differs, fingerprint

_MAGIC = b"kallmodsyms kconfig cache\n"
_WORD = re.compile(r"""[^\s"'`;|&(){}<>=$]+""")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|py|pl|awk)\b")

Conditions = dict[str, dict[str, Any]]
"""What a part of the cache depends on: variables, name to value or None; files, path to fingerprint or None; programs,
name to [path, size, mtime in ns, ctime in ns] or None."""


def model(
    path: Path | None, tree: Path, objdir: Path, environment: Mapping[str, str]
) -> tuple[Model, str | None, list[str]]:
    """The model of `tree`; why its Kconfig files had to be read for that, None if they had not; warnings about the
    cache.

    path: the cache file; None keeps nothing
    environment: only the variables that matter are looked at, unless the Kconfig files are read
    Raises InputError for whatever is wrong with a Kconfig file.
    """
    record, reason, warnings = ({}, "nothing is kept", []) if path is None else _read(path, tree, objdir)
    answers = None
    if reason is None:
        reason = _why(record["answers"]["conditions"], environment)
        if reason is None:
            answers = record["answers"]["found"]
            reason = _why(record["symbols"]["conditions"], environment)
        if reason is None:
            return _unpacked(record["symbols"]["found"]), None, warnings

    from pipeline.kconfig import build, language  # not needed by most runs, for which kconfiglib takes long to import

    kconfig = language.parse(tree, objdir, environment, answers or {})
    built = build.build(kconfig)
    if path is not None:
        sources = [*kconfig.missing, *(str(tree / name) for name in (*CONF_SOURCES, *built.files))]
        symbols = {"conditions": _conditions(environment, kconfig.mentioned, sources, ()), "found": _packed(built)}
        if answers is None or answers.keys() != kconfig.answers.keys():
            record["answers"] = {
                "conditions": _of_commands(kconfig.answers, objdir, environment), "found": kconfig.answers
            }
        try:
            _write(path, {"place": [str(tree), str(objdir)], "answers": record["answers"], "symbols": symbols})
        except InputError as error:
            warnings.append(f"{error}; reading the Kconfig files takes seconds each time")
    return built, reason, warnings


def _why(recorded: Conditions, environment: Mapping[str, str]) -> str | None:
    """Why what was found under these conditions does not hold any more, or None."""
    for name, value in recorded["variables"].items():
        if _variable(environment, name) != value:
            return f"{name} is {_variable(environment, name)!r}, it was {value!r}"
    for name, identity in recorded["programs"].items():
        if _program(environment, name) != identity:
            return f"{name} is another program than it was"
    for name, previous in recorded["files"].items():
        if differs(name, previous):
            return f"{name} {'changed' if previous else 'appeared'}"
    return None


def _conditions(
    environment: Mapping[str, str], variables: Iterable[str], names: Iterable[str], programs: Iterable[str]
) -> Conditions:
    return {
        "variables": {name: _variable(environment, name) for name in sorted(variables)},
        "programs": {name: _program(environment, name) for name in sorted(programs)},
        "files": {name: fingerprint(name) for name in dict.fromkeys(names)},
    }


def _of_commands(commands: Iterable[str], objdir: Path, environment: Mapping[str, str]) -> Conditions:
    """What the answers of shell commands depend on, as far as their text and that of the scripts they run tells."""
    variables, programs, paths = {"PATH"}, set(), set()
    for command in commands:
        variables.update(_VARIABLE.findall(command))
        for word in _WORD.findall(command):
            if "/" not in word:
                if word[0].isalnum():
                    programs.add(word)
            elif not word.startswith("/dev/"):
                paths.add(str(objdir / word))
    todo = [path for path in paths if os.path.isfile(path)]
    while todo:
        path = todo.pop()
        text = files.read_text(path)
        if text.startswith("#!"):
            variables.update(_VARIABLE.findall(text))
            beside = {os.path.join(os.path.dirname(path), name) for name in _SCRIPT.findall(text)} - paths
            todo += [name for name in beside if os.path.isfile(name)]
            paths |= beside
    return _conditions(environment, variables, sorted(paths), programs)


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name, os.environ.get(name))


def _program(environment: Mapping[str, str], name: str) -> list | None:
    path = shutil.which(name, path=_variable(environment, "PATH"))
    if path is None:
        return None
    status = os.stat(path)
    return [path, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(path: Path, tree: Path, objdir: Path) -> tuple[dict[str, Any], str | None, list[str]]:
    """The record, why it is of no use, and warnings."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, f"{path} does not exist yet", []
    except OSError as error:
        return {}, f"{path} cannot be read", [f"{path}: cannot be read: {error.strerror}; going on without it"]
    head, payload = data[: len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    # marshal trusts its input, so nothing but what was written here reaches it.
    if head != _MAGIC + hashlib.blake2b(payload, digest_size=32).digest():
        return {}, f"{path} is damaged", [f"{path}: damaged, and ignored; it is written anew"]
    program, record = payload[:32], payload[32:]
    if program != _this_program():
        return {}, "this program is another version", []
    record = marshal.loads(record)
    if record["place"] != [str(tree), str(objdir)]:
        return {}, f"{path} is of another tree or build directory", []
    return record, None, []


def _write(path: Path, record: dict[str, Any]) -> None:
    payload = _this_program() + marshal.dumps(record)
    files.write(path, _MAGIC + hashlib.blake2b(payload, digest_size=32).digest() + payload)


@functools.cache
def _this_program() -> bytes:
    digest = hashlib.blake2b(sys.version.encode(), digest_size=32)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.digest()


def _packed(built: Model) -> tuple:
    """marshal takes plain tuples only."""
    fields = built._replace(choices={item: tuple(choice) for item, choice in built.choices.items()})
    return (*fields[:-1], tuple(built.dialect))


def _unpacked(fields: tuple) -> Model:
    found = Model(*fields)
    return found._replace(
        choices={item: Choice(*choice) for item, choice in found.choices.items()}, dialect=Dialect(*found.dialect)
    )
