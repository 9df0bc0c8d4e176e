"""The commands that ask a kernel: its image, its listing or the running one enters; answers leave.

`cli.py` calls `declare` with its own `command`, which makes a subcommand, and `_deliver`, which writes where -o says.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kallmodsyms import errors
from kallmodsyms.errors import InputError

if TYPE_CHECKING:
    from kallmodsyms.export.request import Export
    from kallmodsyms.forms import Record
    from kallmodsyms.kernel import Kernel

Deliver = Callable[[argparse.Namespace, "str | bytes"], None]
Command = Callable[..., argparse.ArgumentParser]

_ROOT = Path("/")
_FORMS = ("kallsyms", "perf", "perf-modules")
"""What a command that is run by `exec` may find in the place of /proc/kallsyms: a form of `export`."""


def declare(command: Command, deliver: Deliver) -> None:
    """Add the subcommands."""

    def show(options: argparse.Namespace) -> None:
        deliver(options, _shown(options))

    sub = command(
        "show",
        show,
        "the /proc/kallmodsyms listing, decoded from a vmlinux",
        "kallmodsyms show build/vmlinux --match '*_write*' --module ext4 --type t",
    )
    _image_options(sub)
    sub.add_argument("--kallsyms", action="store_true", help="the /proc/kallsyms listing instead")
    sub.add_argument(
        "--relocate-from",
        metavar="KALLSYMS",
        help="addresses as in this copy of a running kernel's /proc/kallsyms (KASLR)",
    )
    _module_option(sub, "symbols of this module; may be repeated")
    sub.add_argument("--type", metavar="LETTERS", help="symbols of these types, such as tTwW")
    sub.add_argument(
        "--section", action="append", default=[], metavar="NAME", help="symbols in this section; repeatable"
    )
    sub.add_argument(
        "--range",
        action="append",
        default=[],
        type=_range,
        metavar="START-END",
        help="symbols that begin there; hexadecimal",
    )
    sub.add_argument("--match", metavar="PATTERN", help="symbols of such a name; * ? [a-z] as for names of files")
    _form_options(sub, "symbols")

    def lookup(options: argparse.Namespace) -> int:
        text, missing = _looked_up(options)
        deliver(options, text)
        for query in missing:
            print(f"kallmodsyms: {options.source or 'the running kernel'}: no symbol for {query}", file=sys.stderr)
        return 1 if missing else 0

    sub = command(
        "lookup",
        lookup,
        "the symbols at addresses, or of names",
        "kallmodsyms lookup build/vmlinux 0xffffffff812f3a40 ext4_fill_super ext4:ext4_fill_super+0x10",
    )
    _kernel_options(sub)
    sub.add_argument(
        "words",
        nargs="+",
        metavar="QUESTION",
        help="a name, module:name, an address (hexadecimal), name+offset, START-END, or - for questions in standard "
        "input, a word each; without --from and --live the first word is the VMLINUX",
    )
    sub.add_argument("--file", metavar="FILE", help="questions in a file, a word each")
    _form_options(sub, "answers")

    def modules(options: argparse.Namespace) -> None:
        deliver(options, _modules(options))

    sub = command(
        "modules",
        modules,
        "the modules of a kernel: bytes of text and init code, of data where the build is there, symbols, objects",
        "kallmodsyms modules build/vmlinux --csv -o modules.csv",
    )
    _image_options(sub)
    sub.add_argument("--tree", metavar="TREE", help="the source tree, for the options (default: that of the build)")
    _module_option(sub, "this module; may be repeated")
    _form_options(sub, "modules")

    def export(options: argparse.Namespace) -> None:
        made = _exported(options, options.tool)
        errors.warn(made.warnings)
        deliver(options, made.text)

    sub = command(
        "export",
        export,
        "what a tracer needs to know built-in modules, in the form that it reads",
        "kallmodsyms export --for bpftrace --module ext4 --from build/vmlinux -o ext4.functions",
    )
    sub.add_argument(
        "--for", dest="tool", required=True, type=_tool, metavar="TOOL", help="one of those that --list names"
    )
    sub.add_argument("--list", action=_List, nargs=0, help="say which tools there are, and what each one gets")
    _kernel_options(sub)
    _module_option(sub, "a built-in module; may be repeated (default: all of them)")

    def diff(options: argparse.Namespace) -> None:
        from kallmodsyms import compare
        from kallmodsyms.kernel import Kernel

        changes = compare.kernels(Kernel.open(options.old), Kernel.open(options.new))
        if options.form is None:
            deliver(options, "".join(f"{change}\n" for change in changes))
        else:
            records = (change.record() for change in changes)
            deliver(options, _formed(options.form, "changes", compare.KEYS, records))

    sub = command(
        "diff",
        diff,
        "what changed from one kernel to another, module by module",
        "kallmodsyms diff build-old/vmlinux build/vmlinux",
    )
    sub.add_argument("old", metavar="OLD", help="an image with tables, or a saved listing")
    sub.add_argument("new", metavar="NEW", help="another one")
    _form_options(sub, "changes")

    sub = command(
        "exec",
        _exec,
        "run a command that sees built-in modules in /proc/kallsyms, and nobody else does (as root)",
        "kallmodsyms exec --module ext4 --live -- trace-bpfcc -K ext4_sync_file",
        output=False,
    )
    _kernel_options(sub)
    _module_option(sub, "a built-in module; may be repeated (default: all of them)")
    sub.add_argument(
        "--as",
        dest="tool",
        choices=_FORMS,
        default=_FORMS[0],
        help="the form of `export --for` that the command finds (default: %(default)s); perf-modules for trace-cmd "
        "record, which keeps what it finds",
    )
    sub.add_argument("words", nargs="+", metavar="COMMAND", help="the command, behind --")

    sub = command(
        "explain",
        _explain,
        "a text from a kernel, with the module behind each symbol and address: an oops, a stack, perf script",
        "dmesg | kallmodsyms explain --from build/vmlinux",
        output=False,
    )
    _kernel_options(sub)
    sub.add_argument(
        "--offset",
        type=_hexadecimal,
        metavar="HEX",
        help="how far KASLR moved the kernel, where the text does not say; 0 without KASLR",
    )
    sub.add_argument(
        "--more", action="store_true", help="also object, source, CONFIG option and sections of MAINTAINERS, in braces"
    )
    sub.add_argument("--tree", metavar="TREE", help="with --more: the source tree (default: that of the build)")


def _kernel_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--from", dest="source", metavar="VMLINUX", help="an image with tables, or a saved listing")
    sub.add_argument(
        "--live", action="store_true", help="the running kernel; with --from, by the image of its build, relocated"
    )


def _image_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("source", nargs="?", metavar="VMLINUX", help="an image with tables, or a saved listing")
    sub.add_argument(
        "--live", action="store_true", help="the running kernel; with VMLINUX, by the image of its build, relocated"
    )


def _module_option(sub: argparse.ArgumentParser, what: str) -> None:
    sub.add_argument("--module", action="append", default=[], metavar="M", help=what)


def _form_options(sub: argparse.ArgumentParser, what: str) -> None:
    forms = sub.add_mutually_exclusive_group()
    forms.add_argument(
        "--json", dest="form", action="store_const", const="json", help=f'one JSON document, {{"{what}": [...]}}'
    )
    forms.add_argument("--jsonl", dest="form", action="store_const", const="jsonl", help="a JSON object a line")
    forms.add_argument("--csv", dest="form", action="store_const", const="csv", help="CSV, with a line of headings")


def _kernel(options: argparse.Namespace) -> Kernel:
    from kallmodsyms.kernel import Kernel

    if options.live:
        return Kernel.live(options.source, _ROOT)
    if options.source is None:
        options.wrong("which kernel? Name a VMLINUX, or say --live")
    return Kernel.open(options.source)


def _formed(form: str, what: str, keys: Sequence[str], records: Iterable[Record]) -> str:
    from kallmodsyms import forms

    if form == "json":
        return forms.document(what, records)
    return forms.lines(records) if form == "jsonl" else forms.table(keys, records)


def _shown(options: argparse.Namespace) -> str | bytes:
    from kallmodsyms import questions
    from kallmodsyms.kallsyms import listing
    from kallmodsyms.kernel import Kernel

    kernel = _kernel(options)
    if options.relocate_from is not None:
        kernel = Kernel(kernel.table.relocated(options.relocate_from), kernel.path, kernel.image)
    wanted = questions.Selection(options.module, options.type, options.section, options.range, options.match)
    rows = kernel.table.kallsyms_rows() if options.kallsyms else kernel.table.rows()
    if wanted != questions.Selection([], None, [], [], None):
        rows = itertools.compress(rows, wanted.of(kernel).tolist())
    if options.form is None:
        return listing.text(rows, kernel.bits)
    return _formed(options.form, "symbols", questions.KEYS, listing.records(rows))


def _looked_up(options: argparse.Namespace) -> tuple[str, list[str]]:
    """The answers, and the questions that have none."""
    from kallmodsyms import files, questions

    words = list(options.words)
    if options.source is None and not options.live:
        options.source = words.pop(0)
    queries: list[str] = []
    for word in words:
        queries += (
            _input("which questions").read().decode("utf-8", "surrogateescape").split() if word == "-" else [word]
        )
    if options.file is not None:
        queries += files.read_text(options.file).split()
    if not queries and not words and options.file is None:
        options.wrong("nothing is asked: name a symbol, an address or - behind the VMLINUX")
    kernel = _kernel(options)
    found = questions.answers(kernel, queries)
    missing = [answer.query for answer in found if not answer.symbols and not answer.places]
    if options.form is None:
        return "".join(answer.text(kernel.bits) for answer in found), missing
    records = (record for answer in found for record in answer.records())
    return _formed(options.form, "answers", questions.PLACE_KEYS, records), missing


def _modules(options: argparse.Namespace) -> str:
    from kallmodsyms import origin

    kernel = _kernel(options)
    origins = origin.Origins(kernel, options.tree) if origin.ranges_of(kernel) is not None else None
    data, built = (origins.data(), origins.modules()) if origins else (None, {})
    chosen = kernel.choose(options.module) if options.module else kernel.modules.values()
    records: list[Record] = []
    for module in chosen:
        objects = built[module.name].objects if module.name in built else ()
        option = origins.option(built[module.name].object) if origins and objects else ""
        records.append(
            {
                "module": module.name,
                "text": module.text,
                "init": module.init,
                "data": None if data is None or module.loaded else data[module.name],
                "symbols": len(module.symbols),
                "objects": len(objects) or None,
                "option": f"CONFIG_{option}" if option else None,
                "loaded": "yes" if module.loaded else "no",
            }
        )
    keys = ("module", "text", "init", "data", "symbols", "objects", "option", "loaded")
    if options.form is not None:
        return _formed(options.form, "modules", keys, records)
    cells = [list(keys), *(["-" if record[key] is None else str(record[key]) for key in keys] for record in records)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    form = "  ".join(f"{{:{'>' if 1 <= at <= 5 else '<'}{width}}}" for at, width in enumerate(widths))
    return "".join(f"{form.format(*row).rstrip()}\n" for row in cells)


def _exported(options: argparse.Namespace, tool: str) -> Export:
    from kallmodsyms import traceable
    from kallmodsyms.export import TOOLS
    from kallmodsyms.export.request import Request

    kernel = _kernel(options)
    can = traceable.live(kernel, _ROOT) if options.live else traceable.of(kernel)
    return TOOLS[tool].write(Request(kernel, can, options.module, _ROOT if options.live else None))


def _exec(options: argparse.Namespace) -> int:
    program = Path(options.words[0]).name
    if program == "drgn":
        raise InputError(
            "drgn finds the kernel itself by /proc/kallsyms, and stops at the first bracket",
            cure="run it as it is: kallmodsyms is a plugin of it",
        )
    if shutil.which(options.words[0]) is None:
        raise InputError("is not a command on the PATH", path=options.words[0])
    with tempfile.NamedTemporaryFile(prefix="kallsyms-") as prepared:
        made = _exported(options, options.tool)
        prepared.write(made.text.encode("utf-8", "surrogateescape"))
        prepared.flush()
        mount = 'mount --bind "$0" /proc/kallsyms && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mount, prepared.name, *options.words]
        try:
            return subprocess.run(command, check=False).returncode
        except FileNotFoundError:
            raise InputError("unshare is not on the PATH", cure="apt-get install util-linux") from None


def _explain(options: argparse.Namespace) -> None:
    from kallmodsyms.explain import Explainer

    source = _input("which text")
    if sys.stdout is None:
        raise InputError("standard output is closed")
    kernel = _kernel(options)
    more = _more(kernel, options.tree) if options.more else None
    explainer = Explainer(kernel, 0 if options.live else options.offset, more)
    if source.seekable():
        # A panic says where the kernel was in its last line: read the text for that first.
        for line in source:
            explainer.learn(line)
        source.seek(0)
    for line in explainer.lines(iter(source.readline, b"")):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _more(kernel: Kernel, tree: str | None) -> Callable[[int], str]:
    from kallmodsyms.origin import Origins

    origins = Origins(kernel, tree)
    return lambda address: str(origins.of(address - kernel.distance) or "")


def _input(what: str) -> BinaryIO:
    """Standard input. Raises InputError if that is a terminal, where nobody means to write `what`."""
    if sys.stdin is None:
        raise InputError("standard input is closed")
    if sys.stdin.isatty():
        raise InputError(f"standard input is a terminal: {what}?", cure="pipe a text into it, or put one there with <")
    return sys.stdin.buffer


class _List(argparse.Action):
    """Prints the tools, and ends the program as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from kallmodsyms.export import TOOLS

        print("".join(f"{name:18}{tool.summary}\n" for name, tool in TOOLS.items()), end="")
        parser.exit()


def _tool(name: str) -> str:
    from kallmodsyms.export import TOOLS

    if name not in TOOLS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(TOOLS)}")
    return name


def _range(text: str) -> tuple[int, int]:
    from kallmodsyms.questions import parse_range

    found = parse_range(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text} is not START-END, of hexadecimal numbers with 0x or of 8 digits and more"
        )
    return found


def _hexadecimal(text: str) -> int:
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", text):
        raise argparse.ArgumentTypeError(f"{text} is no hexadecimal number")
    return int(text, 16)
