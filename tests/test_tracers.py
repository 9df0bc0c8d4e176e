"""Real tracers in a booted kernel, told by `export`, `exec`, `explain` and the plugin what is built in.

One boot does everything (`SCRIPT`), and the tests look at what the tools left. The oracles are the tools themselves,
the kernel's own files in tracefs, and addr2line.
"""

import csv
import io
import os
import re
import subprocess
from collections import Counter

import pytest
import tracer_guest

from kallmodsyms import Kernel, depfile, traceable
from kallmodsyms.origin import Origins

pytestmark = pytest.mark.long

# jbd2 where a tool needs seconds for each hundred functions under emulation.
SCRIPT = r"""#!/bin/sh
exec > /out/said 2>&1
export PYTHONPATH=/site PATH=/usr/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
T=/sys/kernel/tracing
K="python3 -m kallmodsyms"
step() { echo "$1 $2 after $(cut -d' ' -f1 /proc/uptime)"; }
cp $T/available_filter_functions /sys/kernel/debug/kprobes/blacklist /proc/kallsyms /out
for tool in ftrace kprobes regex; do $K export --for $tool --live --module ext4 -o /out/$tool; done
for tool in trace-cmd bpftrace-probes; do $K export --for $tool --live --module jbd2 -o /out/$tool; done
for tool in perf perf-modules; do $K export --for $tool --live --from /in/vmlinux -o /out/$tool; done
step export $?

cat /out/ftrace > $T/set_ftrace_filter; step ftrace $?
cat $T/set_ftrace_filter > /out/ftrace.set; echo > $T/set_ftrace_filter

cat /out/kprobes > $T/kprobe_events; step kprobe_events $?
cat $T/kprobe_events > /out/kprobes.set; cp /sys/kernel/debug/kprobes/list /out/kprobes.list
echo 1 > $T/events/builtin_ext4/enable; step kprobes_enable $?
echo hello > /file; sync; echo 0 > $T/events/builtin_ext4/enable
head -c 300000 $T/trace > /out/kprobes.trace; echo > $T/trace; echo > $T/kprobe_events

$K exec --live --as perf-modules -- \
    trace-cmd record -q -o /out/trace.dat -p function $(cat /out/trace-cmd) sh -c 'echo hello > /file; sync'
step trace-cmd $?
trace-cmd report -i /out/trace.dat > /out/trace-cmd.report 2>/out/trace-cmd.error

perf record -q -e cpu-clock -F 500 -g -a -o /out/perf.data \
    sh -c 'i=0; while [ $i -lt 400 ]; do echo $i > /file$i; i=$((i+1)); done; sync'; step perf $?
perf script -i /out/perf.data > /out/perf.script
for form in perf perf-modules; do
    perf report -i /out/perf.data --stdio --no-children -g none --sort symbol --kallsyms /out/$form > /out/$form.report
done
$K explain --from /in/vmlinux < /out/perf.script > /out/perf.explained; step explain $?

ulimit -n 4096
timeout 300 bpftrace -c '/usr/bin/cp /file /copy' /out/bpftrace-probes > /out/bpftrace.said 2>&1; step bpftrace $?
python3 /in/bcc_check.py > /out/bcc.plain; step bcc $?
$K exec --live -- python3 /in/bcc_check.py > /out/bcc.exec; step exec $?
$K exec --live -- drgn > /out/exec.drgn 2>&1; step refused $?
python3 /in/drgn_check.py > /out/drgn.said; step drgn $?
$K modules --live --csv -o /out/modules; step modules $?
(sleep 3 & cat /proc/$!/stack; sleep 1; cat /proc/$!/stack) > /out/stack; step stack $?
$K explain --live < /out/stack > /out/stack.explained

echo BUG | cat > /sys/kernel/debug/provoke-crash/DIRECT
dmesg > /out/dmesg; $K explain --from /in/vmlinux --offset 0 < /out/dmesg > /out/dmesg.explained; step oops $?
wait
"""

BCC = """
from bcc import BPF

pattern = open("/out/regex").read().strip()
wanted = set(pattern[2:-2].replace("[.]", ".").split("|"))
found = {name.decode() for name in BPF.get_kprobe_functions(pattern.encode())}
print(len(found), len(wanted), len(found ^ wanted))
address = next(int(line.split()[0], 16) for line in open("/proc/kallsyms") if line.split()[2] == "ext4_sync_file")
print(BPF.ksym(address + 4, show_module=True, show_offset=True).decode())
"""

DRGN = """
import os
import drgn
from kallmodsyms.drgn_plugin import kernel, whose

prog = drgn.Program()
prog.set_kernel()
assert "kallmodsyms" in prog.registered_symbol_finders()
prog.set_enabled_symbol_finders(["kallmodsyms"])
symbol = prog.symbol("ext4_sync_file")
print(symbol.name, hex(symbol.size), symbol.kind.name, prog.symbol(symbol.address + 5).name)
print(whose(prog, symbol.address + 5).modules)
os.environ["KALLMODSYMS"] = "/in/vmlinux"
prog.cache.clear()
found = whose(prog, symbol.address + 5)
print(found.symbol.name, found.offset, found.symbol.size, found.modules, kernel(prog).build_id)
"""


@pytest.fixture(scope="module")
def objdir(linux_6_1, tmp_path_factory):
    kept = os.environ.get("KALLMODSYMS_BUILDS")
    directory = tmp_path_factory.mktemp("tracing")
    objdir = tracer_guest.Path(kept, "linux-tracing-6.1") if kept else directory / "objdir"
    tracer_guest.build(linux_6_1, objdir, directory)
    return objdir


@pytest.fixture(scope="module")
def out(objdir, tmp_path_factory):
    directory = tmp_path_factory.mktemp("guest")
    checks = []
    for name, text in (("bcc_check.py", BCC), ("drgn_check.py", DRGN)):
        checks.append(directory / name)
        checks[-1].write_text(text)
    out = tracer_guest.run(objdir, directory, SCRIPT, checks)
    print((out / "said").read_text())
    return out


@pytest.fixture(scope="module")
def kernel(objdir):
    return Kernel.open(objdir / "vmlinux")


def statuses(out):
    return dict(re.findall(r"^(\S+) (\d+) after ", (out / "said").read_text(), re.MULTILINE))


def read(out, name):
    return (out / name).read_text(errors="surrogateescape")


def functions(kernel, module):
    return {symbol.name for symbol in kernel.modules[module].symbols}


def test_everything_ran(out):
    found = statuses(out)
    assert {step for step, status in found.items() if status != "0"} == {"refused"}
    assert len(found) == 15


def test_the_image_says_what_can_be_traced(out, kernel):
    """Its tables, against what the running kernel made of them."""
    can = traceable.of(kernel)
    address = kernel.table.addresses
    traced, refused = (set(address[which].tolist()) for which in (can.by_ftrace, can.refused & can.functions))
    # Of several names at one place ftrace has one; a weak function that another one replaced has none.
    listed = set(read(out, "available_filter_functions").split())
    listed = {name for name in listed if not name.startswith("__ftrace_invalid_address")}
    places = {name: [symbol.address for symbol in kernel.find(name)] for name in listed}
    assert {found[0] for found in places.values() if len(found) == 1} <= traced and len(traced) > 10_000
    assert traced <= {place for found in places.values() for place in found}
    theirs = {int(start, 16) for start in re.findall(r"^0x([0-9a-f]+)-", read(out, "blacklist"), re.MULTILINE)}
    assert theirs & set(address[can.functions].tolist()) == refused and len(refused) > 50


def test_ftrace_takes_each_filter(out, kernel):
    """What the kernel says it filters is all of ext4 that can be traced, and nothing else."""
    can = Counter(read(out, "available_filter_functions").split())
    everywhere = Counter(symbol.name for symbol in kernel.symbols)
    unique = {name for name in functions(kernel, "ext4") if name in can and everywhere[name] == 1}
    assert len(unique) > 700
    taken = set(read(out, "ftrace.set").split())
    assert unique <= taken and taken <= functions(kernel, "ext4")
    assert taken == set(read(out, "ftrace").split())


def test_kprobes_are_at_the_functions(out, kernel):
    asked = read(out, "kprobes").splitlines()
    assert len(asked) > 800 and len(read(out, "kprobes.set").splitlines()) == len(asked)
    # Where the kernel itself says that each probe is: address, k, symbol+0x0, and how it does it.
    placed = re.findall(r"^[0-9a-f]+ +k +(\S+)\+0x0 ", read(out, "kprobes.list"), re.MULTILINE)
    assert len(placed) == len(asked) and set(placed) <= functions(kernel, "ext4")
    hit = set(re.findall(r": ([a-z]\w+): \((\S+)\+0x0", read(out, "kprobes.trace")))
    assert any(name == "ext4_file_write_iter" for name, _ in hit) and len(hit) > 50


def test_trace_cmd_records_and_names_modules(out, kernel):
    seen = re.findall(r"function: +(\S+)", read(out, "trace-cmd.report"))
    assert len(seen) > 100 and {name for name in seen if not name.startswith("jbd2`")} == set()
    assert {name.removeprefix("jbd2`") for name in seen} <= functions(kernel, "jbd2")


def test_perf_reports_modules(out, kernel):
    behind = re.findall(r"\[k\] (\S+) \[(\w+)\]\s", read(out, "perf.report"))
    before = re.findall(r"\[k\] (\w+)`(\S+)", read(out, "perf-modules.report"))
    assert len(before) > 1 and {(module, name) for name, module in behind} == set(before)
    assert all(name in functions(kernel, module) for module, name in before)
    assert any(module == "ext4" for module, _ in before)


def test_perf_script_is_explained(out, kernel):
    plain, explained = (read(out, name).splitlines() for name in ("perf.script", "perf.explained"))
    marked = [line for line in explained if re.search(r" \[ext4\]", line)]
    assert len(plain) == len(explained) and len(marked) > 5
    for before, after in zip(plain, explained, strict=True):
        frame = re.match(r"\s+([0-9a-f]{16}) (\S+)\+0x([0-9a-f]+) \(\[kernel", before)
        said = re.sub(r"^(\s+[0-9a-f]{16} \S+)((?: \[\w+\])*)( \(.*)$", r"\1\3|\2", after)
        if frame is None:
            assert after == before
            continue
        line, _, modules = said.partition("|")
        # Names repeat; the address tells which one it is.
        start = int(frame[1], 16) - int(frame[3], 16)
        found = next(symbol for symbol in kernel.find(frame[2]) if symbol.address == start)
        assert line == before and modules.split() == [f"[{name}]" for name in found.modules]


def test_bpftrace_counts_calls(out, kernel):
    counted = re.findall(r"@calls\[(\S+)\]: \d+", read(out, "bpftrace.said"))
    assert len(counted) > 3 and set(counted) <= functions(kernel, "jbd2")
    assert f"Attaching {read(out, 'bpftrace-probes').count('kprobe:')} probes..." in read(out, "bpftrace.said")


def test_bcc_finds_the_functions_and_under_exec_the_module(out):
    plain, there = read(out, "bcc.plain").splitlines(), read(out, "bcc.exec").splitlines()
    found, wanted, different = map(int, plain[0].split())
    assert found == wanted > 700 and not different
    assert (plain[1], there[1]) == ("ext4_sync_file+0x4 [kernel]", "ext4_sync_file+0x4 [ext4]")
    assert "drgn finds the kernel itself by /proc/kallsyms" in read(out, "exec.drgn")


def test_drgn_has_the_plugin(out, kernel):
    symbol = kernel.find("ext4_sync_file")[0]
    assert read(out, "drgn.said").splitlines() == [
        f"ext4_sync_file {symbol.size:#x} FUNC ext4_sync_file",
        "('ext4',)",
        f"ext4_sync_file 5 {symbol.size} ('ext4',) {kernel.build_id}",
    ]


def test_modules_of_the_running_kernel(out, kernel):
    """And what ftrace and the like made there, which is not of the image."""
    rows = list(csv.DictReader(io.StringIO(read(out, "modules"))))
    sizes = [(row["module"], int(row["text"]), int(row["init"])) for row in rows if row["loaded"] == "no"]
    assert sizes == [(module.name, module.text, module.init) for module in kernel.modules.values()]


FRAME = re.compile(r"^(?:\[ *[\d.]+\])? *(?:\? |RIP: 0010:)?(\S+)\+0x([0-9a-f]+)/0x[0-9a-f]+((?: \[\w+\])*)$")


def test_an_oops_is_explained(out, kernel, objdir):
    """The frames of the oops, each with addr2line's source, from which the module of the object follows."""
    plain, explained = (read(out, name).splitlines() for name in ("dmesg", "dmesg.explained"))
    origins = Origins(kernel)
    owners = {path: (module.name,) for module in origins.modules().values() for path in module.objects}
    frames = []
    for before, after in zip(plain, explained, strict=True):
        found = FRAME.match(after)
        if found is None:
            continue
        name, offset, said = found[1], int(found[2], 16), found[3]
        assert after == before + said
        address = kernel.find(name)[0].address + offset
        command = ["addr2line", "-i", "-e", objdir / "vmlinux", f"{address - 1:x}"]
        source = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        origin = origins.of(address - 1)
        # That is the object's source or, as for the table of system calls, a file that it includes.
        recorded = (objdir / depfile.beside(origin.object, ".cmd")).read_text()
        below = source.partition(":")[0].removeprefix(f"{objdir.resolve()}/").removeprefix("./")
        assert below.endswith(f"/{origin.source}") or f" {below} " in recorded, (after, source)
        assert said.split() == [f"[{one}]" for one in owners.get(origin.object, ())]
        frames.append((name, said))
    assert len(frames) >= 10
    assert ("lkdtm_do_action", " [lkdtm]") in frames and ("vfs_write", "") in frames
