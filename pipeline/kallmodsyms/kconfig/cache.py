"""Keep what the Kconfig files came to, between runs and between configurations: a tree's model, and the answers to
$(shell).

One file (module `kallmodsyms.kept`). It holds by content: of the Kconfig files and of those sources of the tree's `conf` that are
looked at; of what the commands depend on (module `kallmodsyms.commands`); of the variables that any of these mention. That is
more than make's own include/config/auto.conf.cmd, which knows neither scripts nor compilers.

The answers are a part of their own, so that an edited Kconfig file does not cost the compiler probes (half of the time).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kallmodsyms import commands, kept
from kallmodsyms.errors import InputError
from kallmodsyms.kconfig.model import Choice, Model
from kallmodsyms.release import CONF_SOURCES, ConfDialect


def model(
    path: Path | None, tree: Path, objdir: Path, environment: Mapping[str, str]
) -> tuple[Model, str | None, list[str]]:
    """The model of `tree`; why its Kconfig files had to be read for that, None if they had not; warnings about the
    cache.

    path: the cache file; None keeps nothing
    environment: only the variables that matter are looked at, unless the Kconfig files are read
    Raises InputError for whatever is wrong with a Kconfig file.
    """
    place = (str(tree), str(objdir))
    record, reason, warnings = (None, "nothing is kept", []) if path is None else kept.read(path, place)
    answers = None
    if record is not None:
        reason = commands.why(record["answers"]["conditions"], environment)
        if reason is None:
            answers = record["answers"]["found"]
            reason = commands.why(record["symbols"]["conditions"], environment)
        if reason is None:
            return _unpacked(record["symbols"]["found"]), None, warnings

    from kallmodsyms.kconfig import (
        build,
        language,
    )  # not needed by most runs, for which kconfiglib takes long to import

    kconfig = language.parse(tree, objdir, environment, answers or {})
    built = build.build(kconfig)
    if path is not None:
        sources = [*kconfig.missing, *(str(tree / name) for name in (*CONF_SOURCES, *built.files))]
        symbols = {"conditions": commands.conditions(environment, kconfig.mentioned, sources), "found": _packed(built)}
        if record is None or answers is None or answers.keys() != kconfig.answers.keys():
            asked = {"conditions": commands.of(kconfig.answers, objdir, environment), "found": kconfig.answers}
        else:
            asked = record["answers"]
        try:
            kept.write(path, place, {"answers": asked, "symbols": symbols})
        except InputError as error:
            warnings.append(f"{error}; reading the Kconfig files takes seconds each time")
    return built, reason, warnings


def _packed(built: Model) -> tuple:
    """marshal takes plain tuples only."""
    fields = built._replace(choices={item: tuple(choice) for item, choice in built.choices.items()})
    return (*fields[:-1], tuple(built.dialect))


def _unpacked(fields: tuple) -> Model:
    found = Model(*fields)
    return found._replace(
        choices={item: Choice(*choice) for item, choice in found.choices.items()}, dialect=ConfDialect(*found.dialect)
    )
