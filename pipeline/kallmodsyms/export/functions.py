"""Tools that are told functions by name: a request enters; names, filters, probes or a regular expression leave."""

from __future__ import annotations

import re

from kallmodsyms import running
from kallmodsyms.errors import InputError
from kallmodsyms.export.request import Export, Request

_ARGUMENT = 128 * 1024
"""What Linux takes for one word of a command line (MAX_ARG_STRLEN)."""

_BPFTRACE_PROBES = 512
"""What bpftrace attaches in one script unless BPFTRACE_MAX_PROBES says more (0.17; later ones take 1024)."""


def lines(request: Request) -> Export:
    """A name a line. With it `kprobe:*` of bpftrace is the functions of the module, and nothing else."""
    found = request.named(request.traceable.by_kprobes, all_of_a_name=False)
    return Export("".join(f"{name}\n" for name in found.names), request.left_out(found.ambiguous))


def bpftrace(request: Request) -> Export:
    """A script with one probe list. The list is as long as the module; what bpftrace must be told then is on top."""
    found = request.named(request.traceable.by_kprobes, all_of_a_name=False)
    _need(request, found.names)
    limit = ""
    if len(found.names) > _BPFTRACE_PROBES:
        limit = f"// {len(found.names)} probes: run this with BPFTRACE_MAX_PROBES={len(found.names)}\n"
    probes = ",\n".join(f"kprobe:{name}" for name in found.names)
    return Export(f"{limit}{probes}\n{{\n\t@calls[func] = count();\n}}\n", request.left_out(found.ambiguous))


def ftrace(request: Request) -> Export:
    """Names; where somebody else has the name too, the line of available_filter_functions, counted from 1.

    The kernel takes lines since 5.1, and says since 6.5, in available_filter_functions_addrs, which line is whose.
    """
    found = request.named(request.traceable.by_ftrace, all_of_a_name=True)
    numbers = _lines(request) if found.ambiguous else {}
    addresses = request.kernel.table.addresses
    by_line = [numbers.get(int(addresses[index])) for index in found.ambiguous]
    unknown = [index for index, line in zip(found.ambiguous, by_line, strict=True) if line is None]
    filters = [*found.names, *(str(line) for line in by_line if line is not None)]
    _need(request, filters)
    return Export("".join(f"{word}\n" for word in filters), request.left_out(unknown))


def trace_cmd(request: Request) -> Export:
    """The same filters, each as an option of trace-cmd."""
    filters, warnings = ftrace(request)
    return Export("".join(f"-l {word}\n" for word in filters.splitlines()), warnings)


def regex(request: Request) -> Export:
    """One word that matches the names from end to end, in the syntax that Python, Go and POSIX ERE have in common."""
    found = request.named(request.traceable.by_kprobes, all_of_a_name=True)
    _need(request, found.names)
    word = f"^({'|'.join(name.replace('.', '[.]') for name in found.names)})$"
    if len(word) >= _ARGUMENT:
        raise InputError(
            f"the names of these modules take {len(word)} bytes; a word of a command line has room for {_ARGUMENT - 1}",
            cure="choose fewer modules with --module",
        )
    return Export(f"{word}\n", request.left_out(found.ambiguous))


def _need(request: Request, names: list[str]) -> None:
    """Raise InputError if nothing is left: a filter of no names would let everything through."""
    if not names:
        raise InputError(
            f"no function of {', '.join(request.names) or 'a built-in module'} can be traced in this way",
            path=request.kernel.path or None,
        )


def _lines(request: Request) -> dict[int, int]:
    """For the address of each function that the running kernel can trace, its line in available_filter_functions."""
    listed = running.tracing("available_filter_functions_addrs", request.root) if request.root is not None else None
    addresses = re.findall(rb"^([0-9a-f]+) ", listed or b"", re.MULTILINE)
    return {int(address, 16): number for number, address in enumerate(addresses, 1)}
