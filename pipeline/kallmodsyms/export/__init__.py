"""What a tracer reads: a kernel and the names of modules enter; a file, or a word, in the form of one tool leaves.

None of the tools has to be changed. `TOOLS` has one writer for each form; `--for NAME` chooses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kallmodsyms.export import functions, kprobes, listings, ranges, systemtap
from kallmodsyms.export.request import Export, Request


class Tool(NamedTuple):
    """A form.

    write: from a request to the text
    summary: what the text is, and how the tool is given it
    """

    write: Callable[[Request], Export]
    summary: str


TOOLS = {
    "bpftrace": Tool(functions.lines, "functions, a line each, for bpftrace --traceable-functions FILE (since 0.25)"),
    "bpftrace-probes": Tool(functions.bpftrace, "a bpftrace script that counts calls, for any version"),
    "ftrace": Tool(functions.ftrace, "filters, a line each: cat FILE > /sys/kernel/tracing/set_ftrace_filter"),
    "trace-cmd": Tool(functions.trace_cmd, "filters, an option each: trace-cmd record -p function $(cat FILE)"),
    "regex": Tool(functions.regex, "one regular expression over names, for bcc, pwru, retsnoop"),
    "kprobes": Tool(kprobes.events, "probes, a line each: cat FILE > /sys/kernel/tracing/kprobe_events"),
    "perf": Tool(listings.behind, "all symbols, `name [module]`: perf report --kallsyms FILE"),
    "perf-modules": Tool(listings.before, "all symbols, module`name: perf report --kallsyms FILE"),
    "trace-cmd-report": Tool(
        listings.before, "the same: trace-cmd report --kallsyms FILE, for a trace that has no symbols of its own"
    ),
    "kallsyms": Tool(listings.kallsyms, "all symbols, as /proc/kallsyms shows loaded modules: kallmodsyms exec"),
    "dtrace": Tool(ranges.builtin_ranges, "modules.builtin.ranges, to be put into /lib/modules/RELEASE"),
    "systemtap": Tool(systemtap.aliases, "a tapset with a probe alias a module: stap -I DIRECTORY"),
}
