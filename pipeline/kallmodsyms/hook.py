"""The program for make's cmd_link_vmlinux hook: what make exports in; vmlinux, linked step by step, out.

The order of the steps is that of scripts/link-vmlinux.sh since Linux 6.1; what the script did besides before that, it
still does (docs/design.md, "The hook").
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from kallmodsyms import archives, errors, files, kbuild, names, provider, release
from kallmodsyms.configured import Configured
from kallmodsyms.link import after, btf, recipe, relocatable, script, tables
from kallmodsyms.link.exports import Exports, packed
from kallmodsyms.link.passes import Passes
from kallmodsyms.link.recipe import NAMES
from kallmodsyms.programs import run

VERSION_OBJECT = "init/version-timestamp.o"


def link_vmlinux(
    environment: Mapping[str, str],
    thick: str | None = None,
    sizes: str = "compact",
    objects: bool = False,
    with_modules: bool = True,
    with_provider: bool = True,
    limit: float | None = None,
) -> None:
    """Do what the tree's scripts/link-vmlinux.sh does in the current directory, and add the module tables.

    environment: the variables that make exports to the recipe of vmlinux
    thick: a modules_thick.builtin that is there already; None to make it here from the tree
    sizes, objects: as in `Profile`
    with_modules: whether the kernel gets module tables; without, it gets nothing but what the script would give it
    with_provider: whether the kernel gets /proc/kallmodsyms, if it has a /proc
    limit: how many per cent of the bytes of text may be of no known object; None for any

    Raises InputError; then the previous vmlinux is still what it was.
    """
    exports = Exports.read(environment)
    if with_modules:
        relocatable.require_evidence(exports.config)
    link = release.link_dialect(exports.tree)
    dialect = release.kallsyms_dialect(exports.tree)
    stage = environment.get(names.STAGE)
    if stage and stage != "objects":
        after.finish(exports, dialect, link, stage)
        return
    words = []
    if link.script_makes_objects:
        words = script.image_link(exports)
    else:
        exports.make("scripts/Makefile.build", "obj=init", VERSION_OBJECT)
    extra = []
    if with_modules and with_provider and provider.possible(exports.config):
        exports.say("CC", names.FOLDER)
        extra += provider.build(exports.tree, exports.make)
    if wanted := environment.get(names.EXPORTS):
        files.write(wanted, packed({**environment, names.OBJECTS: shlex.join(extra)}))
    config = exports.config
    plan = recipe.recorded(words, environment, extra) if words else recipe.of(environment, config, link, extra)
    describe = functools.partial(btf.describe, exports, link) if "DEBUG_INFO_BTF" in config else None
    if not with_modules:
        thick, sizes, objects = None, "none", False
    elif thick is None:
        thick = _thick(exports)
    if "KALLSYMS" not in config:
        after.finish(exports, dialect, link, _without_tables(exports, plan, describe))
        return

    options = tables.options(config, dialect, sizes, objects)
    whole = exports.words("KBUILD_VMLINUX_OBJS") if words else ["vmlinux.a"]
    inside = relocatable.read(exports, whole) if plan.relocatable else relocatable.NOTHING
    if stage:
        return
    linked = () if "LD_DEAD_CODE_DATA_ELIMINATION" in config else _linked(whole)
    passes = Passes(plan, ".", tables.Contents(options, dialect, thick, linked, limit), inside)
    # The linker need not compile this object first.
    known = passes.begin("vmlinux.o" if plan.relocatable or words else VERSION_OBJECT)
    number = passes.settle(1, not known, describe, exports.say)
    after.finish(exports, dialect, link, passes.last(number))
    passes.keep(number)


def _linked(whole: Sequence[str]) -> tuple[str, ...]:
    """The objects that are linked unconditionally; `whole`: they, or the archives that they are in."""
    found: list[str] = []
    for path in whole:
        if not path.endswith(".a"):
            found.append(path)
        elif archives.is_thin(path):
            found += archives.members(path)
    return tuple(found)


def _thick(exports: Exports) -> str:
    """Make modules_thick.builtin from the tree; its name."""
    exports.say("MODTHICK", names.THICK)
    found = configured(exports)
    files.write(names.THICK, kbuild.format_thick(found.modules))
    found.save()
    errors.warn(found.ledger.warnings)
    return names.THICK


def configured(exports: Exports) -> Configured:
    """The tree, as make was told to configure it."""
    return Configured(exports.tree, ".", exports.environment.get("ARCH"), command_line(exports.environment))


def command_line(environment: Mapping[str, str]) -> dict[str, str]:
    r"""The variables of make's command line, as GNU make 4.3 hands them on: behind ` -- ` in MAKEFLAGS.

    Blanks in values are quoted there, and dollars doubled. Left out are the hook itself, which nothing reads that is
    evaluated here, and the build directory, which is the current one.

    >>> command_line({"MAKEFLAGS": r"rR --no-print-directory -- CC=clang O=out KCFLAGS=-g\ -O1 cmd_link_vmlinux=x"})
    {'CC': 'clang', 'KCFLAGS': '-g -O1'}
    """
    _, found, words = f" {environment.get('MAKEFLAGS', '')}".partition(" -- ")
    quoted = re.findall(r"(?:[^\s\\]|\\.)+", words, re.DOTALL) if found else []
    assigned = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL).replace("$$", "$").partition("=") for word in quoted]
    ours = ("O", "KBUILD_OUTPUT", "cmd_link_vmlinux", "cmd_link-vmlinux")
    return {name: value for name, equals, value in assigned if equals and name not in ours}


def _without_tables(exports: Exports, plan: recipe.Recipe, describe: Callable[[str], list[str]] | None) -> str:
    """Link where CONFIG_KALLSYMS is off; the name of the image."""
    first, last = NAMES.image(1), NAMES.image(2)
    described = []
    if describe is not None:
        exports.say("LD", first)
        run(plan.link_command(first, NAMES.map(1), draft=True, debug=True))
        described = describe(first)
    exports.say("LD", last)
    run(plan.link_command(last, NAMES.map(2), described))
    return last
