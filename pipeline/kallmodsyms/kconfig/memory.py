"""What the Kconfig files of a tree came to, in the ledger: the step `kconfig`.

It saw the Kconfig files and those places where one would have come first, the sources of the tree's `conf` that are
probed, the variables that `$(NAME)` mentions, and what the commands of `$(shell)` print. That is more than make's own
include/config/auto.conf.cmd, which knows neither scripts nor compilers.

An answer is a step of its own (see `commands`), so that an edited Kconfig file does not cost the compiler probes,
half of the time.
"""

from __future__ import annotations

import marshal
import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kallmodsyms import code
from kallmodsyms.commands import Answer, Answers
from kallmodsyms.facts import Fact
from kallmodsyms.kconfig.model import Choice, Model
from kallmodsyms.ledger import Done, Ledger
from kallmodsyms.release import CONF_SOURCES, ConfDialect

_STEP = "kconfig"


def model(ledger: Ledger, tree: Path, objdir: Path, environment: Mapping[str, str]) -> tuple[Model, str | None]:
    """The model of `tree`; and why its Kconfig files had to be read for that, None if they had not.

    environment: only the variables that matter are looked at, unless the Kconfig files are read
    Raises InputError for whatever is wrong with a Kconfig file.
    """
    answers = Answers(ledger, "kconfig", objdir)
    # A copy: while the Kconfig files are read, the process environment is another one (see `language`).
    outer = ChainMap(environment, dict(os.environ))  # type: ignore[arg-type]  # typeshed wants mutable ones

    def ask(command: str) -> Answer:
        return answers.ask(command, outer)

    world = ledger.world.under(environment=environment.get, answer=lambda command: tuple(ask(command)))
    words = (str(tree),)
    reason, result = ledger.find(_STEP, words, world)
    if reason is None:
        answers.save()
        return _unpacked(marshal.loads(result or b"")), None

    from kallmodsyms.kconfig import (
        build,
        language,
    )  # not needed by most runs, for which kconfiglib takes long to import

    kconfig = language.parse(tree, objdir, environment, ask, ledger.files)
    built = build.build(kconfig)
    answers.save()
    files = code.files_of("kallmodsyms.kconfig.build")
    sources = [*kconfig.missing, *(str(tree / name) for name in CONF_SOURCES)]
    reads = [
        *(Fact("environment", name, environment.get(name)) for name in sorted(kconfig.mentioned)),
        *(Fact("file", name, value) for name, value in kconfig.opened.items()),
        *(Fact("file", name, world.look("file", name)) for name in dict.fromkeys(sources)),
        Fact("code", files, world.look("code", files)),
        *(Fact("answer", command, tuple(answer)) for command, answer in kconfig.answers.items()),
    ]
    ledger.append([Done(_STEP, words, reads, result=marshal.dumps(_packed(built)))])
    return built, reason


def _packed(built: Model) -> tuple[Any, ...]:
    """marshal takes plain tuples only."""
    choices = {item: tuple(choice) for item, choice in built.choices.items()}
    fields = built._replace(choices=choices)  # type: ignore[arg-type]
    return (*fields[:-1], tuple(built.dialect))


def _unpacked(fields: tuple[Any, ...]) -> Model:
    found = Model(*fields)
    return found._replace(
        choices={item: Choice(*choice) for item, choice in found.choices.items()}, dialect=ConfDialect(*found.dialect)
    )
