"""What the evaluation of each directory came to, in the ledger: `directory:fs/ext4`, and `modules:fs/ext4` for the
second evaluation.

Such a step saw variables from outside the directory, makefiles (there or not), what wildcards matched, and the
outputs of commands that it had to know. It sees markers in the place of all other outputs, and does not depend on
these (see make.promises). What a directory above sets is as good as what all directories begin with.
"""

from __future__ import annotations

import functools
import marshal
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kallmodsyms import code
from kallmodsyms.facts import Fact, Value, World
from kallmodsyms.kbuild.directory import Context, Directory
from kallmodsyms.ledger import OTHER_WORDS, Done, Ledger
from kallmodsyms.make import Evaluator, Origin, Variable, anonymous

Inherited = Mapping[str, Variable]
"""Exported variables that directories above changed."""


class Memory:
    """What a ledger knows of the directories of one tree.

    reasons: for each directory that had to be evaluated: why
    digests: what stands for what each directory came to in the first evaluation
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.reasons: dict[str, str] = {}
        self.digests: dict[str, Value] = {}
        self._plain = self._flipped = _Side(ledger.world, {})
        self._done: list[Done] = []

    def begin(self, context: Context) -> None:
        """Directories begin with the variables of `context`."""
        self._plain = _Side(self._world(context), context.base)

    def begin_flipped(self, context: Context) -> None:
        """In the second evaluation with these."""
        self._flipped = _Side(self._world(context).under(directory=self.digests.__getitem__), context.base)

    def find(
        self, path: str, built_in: bool, modular: bool, inherited: Inherited
    ) -> tuple[Directory, dict[str, Variable]] | None:
        """The directory and what it hands on (with anonymous markers), if known; else None, and a reason."""
        found = self._find("directory", path, _reached(built_in, modular), self._plain.world(inherited))
        if found is None:
            return None
        (*fields, reads), handed_on, self.digests[path] = found
        variables = {name: Variable(text, True, Origin.ENVIRONMENT, True) for name, text in handed_on.items()}
        return Directory(*fields, frozenset(reads)), variables  # type: ignore[call-arg]  # as `keep` packed them

    def keep(
        self,
        directory: Directory,
        modular: bool,
        evaluator: Evaluator,
        answers: Mapping[str, str],
        handed_on: Mapping[str, Variable],
    ) -> None:
        """Remember an evaluation. `answers`: the commands whose output it had to know, with that."""
        *fields, reads = directory
        texts = {name: anonymous(variable.value) for name, variable in handed_on.items()}
        self.digests[directory.path] = directory.digest
        result = ((*fields, sorted(reads)), texts, directory.digest)
        words = _reached(directory.built_in, modular)
        self._keep("directory", directory.path, words, self._plain.saw(evaluator, answers), result)

    def find_flipped(self, path: str, inherited: Inherited) -> Any | None:
        """The result of a directory's second evaluation, if known; else None, and a reason."""
        return self._find("modules", path, (), self._flipped.world(inherited))

    def keep_flipped(self, directory: Directory, evaluator: Evaluator, answers: Mapping[str, str], result: Any) -> None:
        """Remember a second evaluation; `directory` is what the first came to."""
        plain = Fact("directory", directory.path, self.digests[directory.path])
        self._keep("modules", directory.path, (), [plain, *self._flipped.saw(evaluator, answers)], result)

    def _world(self, context: Context) -> World:
        return self.ledger.world.under(answer=context.answer, configuration=lambda path: context.top.configuration)

    def save(self) -> None:
        """Put what is new into the ledger."""
        if self._done:
            self.ledger.append(self._done)
            self._done.clear()

    def _find(self, kind: str, path: str, words: tuple[str, ...], world: World) -> Any | None:
        name = f"{kind}:{path}"
        reason, result = self.ledger.find(name, words, world)
        if reason is not None:
            way = kind == "directory" and reason.startswith(OTHER_WORDS)
            self.reasons.setdefault(path, "it is reached in another way than before" if way else reason)
            return None
        return marshal.loads(result or b"")

    def _keep(self, kind: str, path: str, words: tuple[str, ...], reads: Iterable[Fact], result: Any) -> None:
        self._done.append(Done(f"{kind}:{path}", words, [*reads, self._code], result=marshal.dumps(result)))

    @functools.cached_property
    def _code(self) -> Fact:
        files = code.files_of("kallmodsyms.kbuild.modules")
        return Fact("code", files, self.ledger.world.look("code", files))


class _Side:
    """One of the two evaluations: the world with the variables that its directories begin with."""

    def __init__(self, world: World, base: Mapping[str, Variable]) -> None:
        self._base = base
        self._above = world
        self._forms: dict[str, Value] = {name: _form(variable) for name, variable in base.items()}
        self._forms[".VARIABLES"] = tuple(base)
        self._fact = functools.cache(lambda name: Fact("variable", name, self._forms.get(name)))
        self._worlds: dict[tuple[tuple[str, Value], ...], World] = {}

    def world(self, inherited: Inherited) -> World:
        """What a directory sees that inherits these variables; one world for all that inherit the same."""
        forms = {name: _form(variable) for name, variable in inherited.items()}
        key = tuple(sorted(forms.items()))
        if key not in self._worlds:
            known = {**self._forms, **forms} if forms else self._forms
            self._worlds[key] = self._above.under(variable=known.get)
        return self._worlds[key]

    def saw(self, evaluator: Evaluator, answers: Mapping[str, str]) -> Iterator[Fact]:
        """What an evaluation saw, cheapest to look at first."""
        base, known = evaluator.base, self._base
        for name in sorted(evaluator.base_reads):
            if base is known or base.get(name) is known.get(name):
                yield self._fact(name)
            else:
                yield Fact("variable", name, _form(base[name]))
        for path in evaluator.files:
            if path in evaluator.sources.virtual:
                yield Fact("configuration", path, self._above.look("configuration", path))
            else:
                yield Fact("file", path, evaluator.sources.digest(path))
        for pattern, found in evaluator.globs.items():
            yield Fact("wildcard", pattern, found)
        for command, output in sorted(answers.items()):
            yield Fact("answer", command, output)


def _reached(built_in: bool, modular: bool) -> tuple[str, ...]:
    return ("built in",) * built_in + ("listed",) * modular


def _form(variable: Variable) -> Value:
    """What an evaluation can see of a variable that forces nothing."""
    return anonymous(variable.value), variable.recursive, int(variable.origin), variable.exported
