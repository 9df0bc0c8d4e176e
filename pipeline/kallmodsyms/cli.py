"""The command `kallmodsyms`: one subcommand a stage, each from files to a file. Arguments in, an exit status out.

0: done; 1: something is wrong with the input; 2: wrong usage (argparse's own).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kallmodsyms import attribute_command, errors, files, kernel_commands, progress
from kallmodsyms.errors import InputError
from kallmodsyms.names import SIZES
from kallmodsyms.report import command as report_command

if TYPE_CHECKING:
    from kallmodsyms.configured import Configured


def command() -> None:
    """The console command. A run is short and keeps what it makes, so that looking for garbage would find little and
    take long.
    """
    gc.disable()
    status = main()
    gc.freeze()
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for as long as we run): or print() takes standard output
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete  # Not otherwise: a shell sets this when somebody presses the tab key.

        argcomplete.autocomplete(parser)
    try:
        try:
            options = parser.parse_args(arguments)
            return options.run(options) or 0
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while there is somebody to say what is wrong with it
    except InputError as error:
        print(f"kallmodsyms: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our standard output went away (`| head`): that is its right, and nothing is left to say.
        _abandon_output()
        return 1
    except OSError as error:
        # The disk is full, a file is gone, a place is forbidden: what the system says is what there is to say.
        print(f"kallmodsyms: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        _abandon_output()
        return 1


def _abandon_output() -> None:
    """Let what is still to be written to standard output go nowhere: Python would try once more, and complain."""
    if sys.stdout is not None:
        with contextlib.suppress(ValueError):  # there is none behind what a test puts there
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of one width, whatever the terminal. argparse makes one of these for each option that is declared, and would
    ask for the terminal's size each time.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


class _Version(argparse.Action):
    """Prints the version, and ends the program as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"kallmodsyms {version('kallmodsyms')}")
        parser.exit()


def _configured(options: argparse.Namespace) -> Configured:
    from kallmodsyms import commands
    from kallmodsyms.configured import Configured

    if options.no_shell:
        commands.forbid()
    return Configured(options.tree, options.objdir, options.arch, dict(options.variable))


def _tristate(options: argparse.Namespace) -> None:
    from kallmodsyms import kconfig

    found = _configured(options)
    text = kconfig.tristate_conf(found.configuration)
    found.save()
    errors.warn(found.warnings)
    _deliver(options, text)


def _thick(options: argparse.Namespace) -> int:
    from kallmodsyms import kbuild

    found = _configured(options)
    earlier = sum(name.startswith("directory:") for name in found.ledger.steps)
    with progress.ticking("directories", earlier or None):
        modules = found.modules
    found.save()
    errors.warn(found.warnings, found.messages)
    if options.explain:
        for path, reason in found.kernel.memory.reasons.items():
            print(f"kallmodsyms: {path} is evaluated: {reason}", file=sys.stderr)
    if not options.check:
        _deliver(options, kbuild.format_thick(modules))
        return 0
    disagreements = kbuild.check(found.kernel, modules)
    _deliver(options, "".join(f"{line}\n" for line in disagreements))
    return 1 if disagreements else 0


def _ranges(options: argparse.Namespace) -> None:
    from kallmodsyms.link import tables
    from kallmodsyms.link.relocatable import Relocatable
    from kallmodsyms.linkmap import ranges

    found = tables.ranges(options.map, Relocatable(options.object_map), options.image, options.directory)
    _deliver(options, ranges.text(found))


def _builtin_ranges(options: argparse.Namespace) -> None:
    from kallmodsyms import kbuild, linkmap
    from kallmodsyms.linkmap import builtin_ranges

    modules = kbuild.parse_thick(files.read_text(options.thick), options.thick)
    _deliver(options, builtin_ranges.text(linkmap.read(options.map, options.object_map), modules))


def _tables(options: argparse.Namespace) -> None:
    from kallmodsyms import release
    from kallmodsyms.kallsyms import assembly, select
    from kallmodsyms.kallsyms.tables import layout
    from kallmodsyms.link import tables
    from kallmodsyms.linkmap import ranges
    from kallmodsyms.series import source

    dialect = release.kallsyms_dialect(options.tree)
    chosen = select.Options(
        all_symbols=options.all_symbols,
        absolute_percpu=options.absolute_percpu,
        base_relative=options.base_relative or dialect.base_relative,
        lto_clang=options.lto_clang,
        objects=options.objects,
        sizes=options.sizes or ("dense" if options.encoding == "series" else "compact"),
    )
    contents = tables.Contents(chosen, dialect, options.thick)
    found = ranges.parse(options.ranges)
    if options.encoding == "series":
        made, modules = source.build(options.symbols, found, contents)
        laid_out = source.layout(modules)
    else:
        made, laid_out = tables.of_image(options.symbols, found, contents), layout
    errors.warn(made.warnings)
    if options.format == "text":
        _deliver(options, assembly.text(made, laid_out))
        return
    if options.output in (None, "-"):
        raise InputError(
            "--format=incbin writes two files", cure="say where with -o FILE.s; the binary goes to FILE.s.bin"
        )
    text, data = assembly.blob(made, f"{options.output}.bin", laid_out)
    files.deliver(f"{options.output}.bin", data)
    files.deliver(options.output, text)


def _link(options: argparse.Namespace) -> None:
    from kallmodsyms import hook

    environment = dict(os.environ)
    environment.update(zip(("LD", "KBUILD_LDFLAGS", "LDFLAGS_vmlinux"), options.linker, strict=False))
    asked = options
    hook.link_vmlinux(
        environment, asked.thick, asked.sizes, asked.objects, asked.modules, asked.provider, asked.unknown_text
    )


def _build(options: argparse.Namespace) -> int:
    if options.words[:1] in (["-h"], ["--help"]):  # the words are doit's, options too
        options.show_help()
        return 0
    from kallmodsyms import tasks

    return tasks.build(options.words)


def _demo(options: argparse.Namespace) -> int:
    from pathlib import Path

    from kallmodsyms import shipped, tasks

    shipped.unpack(Path(options.directory))
    os.chdir(options.directory)
    return tasks.build([])


def _why(options: argparse.Namespace) -> int:
    from pathlib import Path

    from kallmodsyms import profile, why
    from kallmodsyms.plan import Steps

    chosen = profile.chosen(dict(options.words), Path.cwd())
    reason = why.answer(Steps(chosen, keep=False), options.what)
    print(f"{options.what}: {reason or 'up to date'}")
    return 1 if reason else 0


def _boot(options: argparse.Namespace) -> None:
    from kallmodsyms import boot

    _deliver(options, boot.listing(options.objdir, options.busybox, options.seconds))


def _deliver(options: argparse.Namespace, text: str | bytes) -> None:
    """Write an output where `-o` says; without it, or with `-`, to standard output."""
    if options.output not in (None, "-"):
        files.deliver(options.output, text)
    else:
        _print(text)


def _print(text: str | bytes) -> None:
    if sys.stdout is None:
        raise InputError("standard output is closed")
    sys.stdout.flush()
    sys.stdout.buffer.write(files.encoded(text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kallmodsyms",
        description="Which module does a kernel symbol belong to, built in or not.\n"
        "The subcommands are the steps of one pipeline, in this order; `doit` runs them all.",
        epilog="kallmodsyms COMMAND --help shows an example of each.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    commands = parser.add_subparsers(title="commands", prog=parser.prog, metavar="COMMAND", required=True)

    def command(
        name: str,
        run: Callable[[argparse.Namespace], int | None],
        summary: str,
        example: str,
        output: bool = True,
        **more: Any,
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
            formatter_class=_Help,
            **more,
        )
        sub.set_defaults(run=run, wrong=sub.error)
        if output:
            sub.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
        return sub

    def tree_options(sub: argparse.ArgumentParser, objdir: bool = True) -> None:
        sub.add_argument("--tree", required=True, help="the kernel source tree")
        if objdir:
            sub.add_argument("--objdir", required=True, help="the build directory, with its .config")
        sub.add_argument("--arch", help="ARCH as make knows it (default: $ARCH, else this machine's)")
        sub.add_argument(
            "--variable",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            type=_assignment,
            help="a variable of make's command line, such as LLVM=1; may be repeated",
        )

        sub.add_argument(
            "--no-shell",
            action="store_true",
            help="run no command of the tree's makefiles and Kconfig files; one whose output is needed is an error",
        )

    def map_options(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("map", metavar="MAP", help="what the final link wrote with -Map")
        sub.add_argument(
            "--object-map",
            metavar="VMLINUX_O_MAP",
            help="the map of the `ld -r` that made vmlinux.o, where there is one",
        )

    def sizes_option(sub: argparse.ArgumentParser, default: str | None = "compact", of: str = "compact") -> None:
        sub.add_argument(
            "--sizes",
            choices=SIZES,
            default=default,
            help=f"how symbol sizes are stored (default: {of})",
        )

    def objects_option(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--objects",
            action="store_true",
            help="tell symbols of one name and one module apart by their objects: {core.o}",
        )

    sub = command(
        "tristate",
        _tristate,
        "tristate.conf: the tristate symbols of a .config that are not n, in upper case",
        "kallmodsyms tristate --tree linux-6.1 --objdir build -o build/include/config/tristate.conf",
    )
    tree_options(sub)

    sub = command(
        "thick",
        _thick,
        "modules_thick.builtin: the would-be modules that are built in, and their objects",
        "kallmodsyms thick --tree linux-6.1 --objdir build -o build/modules_thick.builtin",
    )
    tree_options(sub)
    sub.add_argument("--explain", action="store_true", help="say of each directory that is evaluated again why")
    sub.add_argument(
        "--check",
        action="store_true",
        help="say where the objects in the build directory disagree with the list; exit status 1 if any does",
    )

    sub = command(
        "ranges",
        _ranges,
        "address ranges of objects, from a linker map",
        "kallmodsyms ranges build/.tmp_vmlinux.map -o build/.tmp_vmlinux.ranges",
    )
    map_options(sub)
    sub.add_argument(
        "--image", metavar="VMLINUX", help="what was linked: check that the map is its own, and find local end labels"
    )
    sub.add_argument(
        "--directory", default=".", metavar="DIR", help="with --image: where the linker ran (default: here)"
    )

    sub = command(
        "builtin-ranges",
        _builtin_ranges,
        "modules.builtin.ranges as Linux 6.12 has it, for a kernel of any version (DTrace reads it)",
        "kallmodsyms builtin-ranges build/.tmp_vmlinux2.map --thick build/modules_thick.builtin -o build/ranges",
    )
    map_options(sub)
    sub.add_argument("--thick", required=True, metavar="FILE", help="what `kallmodsyms thick` wrote")

    sub = command(
        "tables",
        _tables,
        "assembler source of the kallsyms tables with module tables",
        "kallmodsyms tables --symbols build/.tmp_vmlinux1 --ranges build/.tmp_vmlinux.ranges \\\n"
        "    --thick build/modules_thick.builtin --all-symbols --absolute-percpu --base-relative -o kallsyms.S",
    )
    sub.add_argument(
        "--symbols",
        required=True,
        metavar="VMLINUX_OR_NM_TEXT",
        help="an ELF image, or what `nm -n` or `nm -nS` said of it",
    )
    sub.add_argument("--ranges", required=True, metavar="FILE", help="what `kallmodsyms ranges` wrote")
    sub.add_argument("--thick", required=True, metavar="FILE", help="what `kallmodsyms thick` wrote")
    sub.add_argument("--all-symbols", action="store_true", help="data symbols too (CONFIG_KALLSYMS_ALL)")
    sub.add_argument(
        "--absolute-percpu", action="store_true", help="per-CPU symbols are absolute (CONFIG_KALLSYMS_ABSOLUTE_PERCPU)"
    )
    sub.add_argument("--base-relative", action="store_true", help="32-bit offsets (CONFIG_KALLSYMS_BASE_RELATIVE)")
    sub.add_argument(
        "--lto-clang", action="store_true", help="names end at .llvm. when they are compared (CONFIG_LTO_CLANG)"
    )
    sub.add_argument(
        "--format",
        choices=("text", "incbin"),
        default="text",
        help="text: as scripts/kallsyms writes it, for the C preprocessor; incbin: a few lines and a binary file",
    )
    objects_option(sub)
    sub.add_argument(
        "--tree", help="take over what this kernel tree's scripts/kallsyms does differently from Linux 6.1"
    )
    sub.add_argument(
        "--encoding",
        choices=("ours", "series"),
        default="ours",
        help="series: as version 7 of the patch series has it, for a kernel that is patched with that",
    )
    sizes_option(sub, None, "compact; dense with --encoding series, which has no compact ones")

    sub = command(
        "link",
        _link,
        "link vmlinux with module tables: the program for make's cmd_link_vmlinux hook",
        'make vmlinux cmd_link_vmlinux=\'kallmodsyms link -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"\'',
        output=False,
    )
    sub.add_argument(
        "--thick", metavar="FILE", help="a modules_thick.builtin that is there already (default: make it from the tree)"
    )
    objects_option(sub)
    sub.add_argument(
        "--no-modules",
        dest="modules",
        action="store_false",
        help="what the tree's own link gives, and nothing of ours: no module tables, no sizes",
    )
    sub.add_argument(
        "--unknown-text",
        type=float,
        metavar="PERCENT",
        help="fail if more of the bytes of text are of no known object (default: say how many)",
    )
    sub.add_argument(
        "--no-provider", dest="provider", action="store_false", help="leave /proc/kallmodsyms out of the kernel"
    )
    sizes_option(sub)
    sub.add_argument(
        "linker", nargs="*", metavar="LD KBUILD_LDFLAGS LDFLAGS_vmlinux", help="default: the variables of these names"
    )

    kernel_commands.declare(command, _deliver)
    attribute_command.declare(command, lambda sub: tree_options(sub, objdir=False))
    report_command.declare(command, _deliver)

    sub = command(
        "build",
        _build,
        "what doit does with our dodo.py: builds the toy kernel, or with profile= and tree= a real one",
        "kallmodsyms build profile=linux-small tree=linux-6.1 objdir=build\nkallmodsyms build list --all",
        output=False,
        prefix_chars="\0",
        add_help=False,
    )
    sub.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="WORD",
        help="a word of doit's: a task, -n 2, list, info, clean, help; or KEY=VALUE, where profile=toy is the default",
    )
    sub.set_defaults(show_help=sub.print_help)

    sub = command(
        "demo",
        _demo,
        "the toy kernel: unpacked into a directory, and built there",
        "kallmodsyms demo toy && cd toy && build/toy/vmlinux kallmodsyms",
        output=False,
    )
    sub.add_argument("directory", metavar="DIR", help="made when missing; gets dodo.py, config/, toy_kernel/, build/")

    sub = command(
        "why",
        _why,
        "why a task, a directory or a file of a build must be made again; exit status 1 if it must",
        "kallmodsyms why compile:fs/minix/inode.o\n"
        "kallmodsyms why fs/ext4 profile=config/linux-small.yaml tree=linux-6.1",
        output=False,
    )
    sub.add_argument(
        "what", metavar="WHAT", help="a task as doit lists it, a directory of the tree, an object, an output"
    )
    sub.add_argument(
        "words", nargs="*", type=_assignment, metavar="KEY=VALUE", help="which build: the words that doit is given"
    )

    sub = command(
        "boot",
        _boot,
        "the /proc/kallmodsyms of a running kernel: boots what was built, under qemu or as a process (UML)",
        "kallmodsyms boot build/linux-small | grep '\\[ext4\\]'",
    )
    sub.add_argument("objdir", metavar="OBJDIR")
    sub.add_argument(
        "--busybox", metavar="FILE", help="a static busybox for the kernel's machine (default: the one on the PATH)"
    )
    sub.add_argument("--seconds", type=float, default=300, help="how long the kernel may run (default: %(default)s)")
    return parser


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value
