"""What the Kconfig files of a tree came to, and what a .config means in it, in the ledger: the steps `kconfig` and
`configuration:FILE`.

The first saw the Kconfig files and those places where one would have come first, the sources of the tree's `conf` that
are probed, the variables that `$(NAME)` mentions, and what the commands of `$(shell)` print. That is more than make's
own include/config/auto.conf.cmd, which knows neither scripts nor compilers. The second saw what the first came to, and
the .config.

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
from kallmodsyms.facts import DIGEST, Fact, Value, World, digest
from kallmodsyms.kconfig.configuration import Configuration
from kallmodsyms.kconfig.model import Choice, Model
from kallmodsyms.ledger import Done, Ledger
from kallmodsyms.release import CONF_SOURCES, ConfDialect

_STEP = "kconfig"


class Memory:
    """What a ledger knows of one tree."""

    def __init__(self, ledger: Ledger, tree: Path, objdir: Path, environment: Mapping[str, str]) -> None:
        """`environment`: only the variables that matter are looked at, unless the Kconfig files are read."""
        self.ledger, self.tree, self.objdir, self.environment = ledger, tree, objdir, environment
        self._answers = Answers(ledger, "kconfig", objdir)
        # A copy: while the Kconfig files are read, the process environment is another one (see `language`).
        self._outer = ChainMap(environment, dict(os.environ))  # type: ignore[arg-type]  # typeshed wants mutable ones
        self._world = ledger.world.under(environment=environment.get, answer=lambda command: tuple(self._ask(command)))
        self._words = (str(tree),)
        self._built = b""  # the digest of the model
        self._before: dict[Path, Value] = {}

    def model(self) -> tuple[Model, str | None]:
        """The model of the tree; and why its Kconfig files had to be read for that, None if they had not.

        Raises InputError for whatever is wrong with a Kconfig file.
        """
        reason, result = self._find()
        if reason is None:
            return _unpacked(marshal.loads(result)), None

        from kallmodsyms.kconfig import (
            build,
            language,
        )  # not needed by most runs, for which kconfiglib takes long to import

        look = self._world.look
        kconfig = language.parse(self.tree, self.objdir, self.environment, self._ask, self.ledger.files)
        built = build.build(kconfig)
        self._answers.save()
        sources = [*kconfig.missing, *(str(self.tree / name) for name in CONF_SOURCES)]
        reads = [
            *(Fact("environment", name, self.environment.get(name)) for name in sorted(kconfig.mentioned)),
            *(Fact("file", name, value) for name, value in kconfig.opened.items()),
            *(Fact("file", name, look("file", name)) for name in dict.fromkeys(sources)),
            self._code("kallmodsyms.kconfig.build"),
            *(Fact("answer", command, tuple(answer)) for command, answer in kconfig.answers.items()),
        ]
        result = marshal.dumps(_packed(built))
        self._built = digest(result)
        self.ledger.append([Done(_STEP, self._words, reads, result=self._built + result)])
        return built, reason

    def configuration(self, config_file: Path) -> Configuration | None:
        """What a .config means, if that is known."""
        self._before[config_file] = self._world.look("file", str(config_file))
        if self._find()[0] is not None:
            return None
        reason, result = self.ledger.find(_of(config_file), self._words, self._after())
        return None if reason is not None else Configuration._make((*marshal.loads(result or b""), None))

    def keep(self, config_file: Path, found: Configuration) -> None:
        """Remember what a .config means that was asked for before it was read."""
        config = Fact("file", str(config_file), self._before[config_file])
        reads = [Fact("kconfig", "", self._built), config, self._code("kallmodsyms.kconfig")]
        self.ledger.append([Done(_of(config_file), self._words, reads, result=marshal.dumps(found[:-1]))])

    def _find(self) -> tuple[str | None, bytes]:
        """Why the Kconfig files must be read; or None, and the packed model."""
        reason, result = self.ledger.find(_STEP, self._words, self._world)
        if reason is None:
            assert result is not None
            self._answers.save()
            self._built = result[:DIGEST]
            return None, result[DIGEST:]
        return reason, b""

    def _after(self) -> World:
        return self.ledger.world.under(kconfig=lambda name: self._built)

    def _ask(self, command: str) -> Answer:
        return self._answers.ask(command, self._outer)

    def _code(self, module: str) -> Fact:
        files = code.files_of(module)
        return Fact("code", files, self._world.look("code", files))


def known_model(ledger: Ledger) -> bytes | None:
    """What stands for all that the Kconfig files of a ledger's tree say, as they were read last."""
    record = ledger.record(_STEP)
    return None if record is None or record.result is None else record.result[:DIGEST]


def _of(config_file: Path) -> str:
    return f"configuration:{config_file}"


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
