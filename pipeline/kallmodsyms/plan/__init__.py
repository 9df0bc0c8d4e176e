"""How a profile is built: a Profile in, steps out. The toy kernel has one for every command; a real tree is left to
its own make.
"""

from __future__ import annotations

from kallmodsyms.configured import Configured
from kallmodsyms.plan.lists import CONFIG
from kallmodsyms.plan.make import Make
from kallmodsyms.plan.toy import Toy
from kallmodsyms.profile import Profile
from kallmodsyms.step import Builder, Plan, Step


class Steps:
    """All steps of a profile.

    configured: the tree and the build directory
    plan: the steps, and what must run
    kinds: the steps by the kind of work they do
    default: the kinds that are wanted where nobody says which
    """

    def __init__(self, chosen: Profile, keep: bool = True) -> None:
        """`keep` is whether the ledger may be written. Raises InputError for what is wrong in the tree, as far as it
        is looked at.
        """
        if keep:
            chosen.objdir.mkdir(parents=True, exist_ok=True)
        existing = chosen.objdir / CONFIG
        config = existing if existing.is_file() or chosen.has_make else chosen.config
        self._has_make = chosen.has_make
        self.configured = Configured(chosen.tree, chosen.objdir, chosen.arch, chosen.variables, config, keep)
        self.default = ("listing", "times") if chosen.has_make else ("listing", "modules")
        build = Make(chosen, self.configured) if chosen.has_make else Toy(chosen, self.configured)
        self.plan = Plan(Builder(self.configured.ledger, build.world))
        self.kinds: dict[str, list[Step]] = {}
        for kind, steps in build.steps():
            self.kinds.setdefault(kind, []).extend(self.plan.add(steps))

    def tidy(self) -> list[str]:
        """Remove what is left of steps that do not exist any more, as a build from nothing would not have it; the names
        of the files. A real tree's make leaves such files, and makes one under the same name in another way.
        """
        return [] if self._has_make else self.plan.tidy()
