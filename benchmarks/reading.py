"""Reading /proc/kallmodsyms against reading /proc/kallsyms, alternately in one boot of a built kernel.

    python benchmarks/reading.py OBJDIR [--rounds 10]

An x86 kernel runs under qemu, which counts instructions: a nanosecond of the guest's clock is one instruction, whatever
else this machine does. A User Mode Linux runs as it is, in seconds of this machine. A round is ten reads of one file by
one process, then of the other. The files have the same number of lines, but ours are longer, so the ratio is given for
a byte too. Exit status 1 if the target of the project is missed.
"""

from __future__ import annotations

import statistics
import sys

import measure

from kallmodsyms import boot
from kallmodsyms.kconfig import autoconf

TARGET = 1.2
READS = 10
FILES = ("/proc/kallsyms", "/proc/kallmodsyms")


def commands(rounds: int) -> str:
    """A line of /times for each round of each file: its name, and the uptime before and after in seconds."""
    uptime = f"$({boot.BUSYBOX} cut -d' ' -f1 /proc/uptime)"
    once = [
        f"before={uptime}; {boot.BUSYBOX} cat{f' {name}' * READS} > /dev/null; echo {name} $before {uptime} >> /times"
        for name in FILES
    ]
    # The first reads fill caches.
    warm = f"{boot.BUSYBOX} cat {' '.join(FILES)} > /dev/null"
    return "\n".join([warm, *(once * rounds)])


def main() -> int:
    parser = measure.parser(__doc__)
    parser.add_argument("objdir")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()

    counted = "UML" not in autoconf.read(options.objdir)
    emulator = ["-icount", "shift=0,sleep=off"] if counted else []
    setup = boot.Setup(emulator=emulator, seconds=3600)
    found = boot.run(options.objdir, ["/times", *FILES], commands(options.rounds), setup=setup)
    times, *contents = found.contents
    taken: dict[str, list[float]] = {name: [] for name in FILES}
    for line in times.decode().splitlines():
        name, before, after = line.split()
        taken[name].append((float(after) - float(before)) / READS)
    figures = []
    unit, scale = ("million instructions", 1000) if counted else ("ms", 1000)
    for name, content in zip(FILES, contents, strict=True):
        median = statistics.median(taken[name])
        figures.append((median, len(content)))
        spread = f"{min(taken[name]) * scale:.2f} to {max(taken[name]) * scale:.2f}"
        size = f"{len(content.splitlines()):7} lines {len(content):9} bytes"
        print(f"{name:<18} {size} {median * scale:8.2f} {unit} a read ({spread})")
    (theirs, their_bytes), (ours, our_bytes) = figures
    ratio = ours / theirs
    print(f"ratio {ratio:.3f}, for a byte {ratio * their_bytes / our_bytes:.3f}; target {TARGET}")
    theirs_taken, ours_taken = ([value * scale for value in taken[name]] for name in FILES)
    measure.figure("a read of the file", {FILES[0]: theirs_taken, f"ours: {FILES[1]}": ours_taken}, unit)
    return measure.verdict({f"at most {TARGET} of {FILES[0]}": ratio <= TARGET}, options.json)


if __name__ == "__main__":
    sys.exit(main())
