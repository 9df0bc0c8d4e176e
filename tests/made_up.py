"""Small made-up trees that speak the link interface of one release each: the names of variables, what the script of the
link is told, what it links, and what make does before and after it.

    5.10    the top Makefile calls the script by cmd_link-vmlinux; the script makes init/, vmlinux.o and modules.builtin
    6.1     scripts/Makefile.vmlinux calls it by cmd_link_vmlinux; init/version-timestamp.o, .vmlinux.export.o
    6.16    a fourth argument, vmlinux.unstripped; .builtin-dtbs.o, vmlinux.arch.o; make goes on to vmlinux by objcopy
    7.0     as 6.16, with another option for vmlinux.o, and tables of distances

Each tree is complete for GNU make: without our command its own script links the image. Three sources, of which two are
ext4's; no table of symbols by the tree itself, which nothing here needs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

INTERFACES = ("5.10", "6.1", "6.16", "7.0")
PACKAGE = Path(__file__).parents[1] / "pipeline"

SETTINGS = """\
MAKEFLAGS += -rR --no-print-directory
export srctree := {tree}
export objtree := .
export MAKE
export VPATH := $(srctree)
export CONFIG_SHELL := sh
export SRCARCH := x86
export CC := gcc
export LD := ld
export NM := nm
export AR := ar
export OBJCOPY := objcopy
export KBUILD_LDS := arch/x86/kernel/vmlinux.lds
export KBUILD_LDFLAGS := -m elf_x86_64
export LDFLAGS_vmlinux := -z noexecstack --no-warn-rwx-segments
export KBUILD_VMLINUX_LIBS := lib/lib.a
export PAHOLE := true
export RESOLVE_BTFIDS := true
build = $(MAKE) -f $(srctree)/scripts/Makefile.build obj
FORCE:
.PHONY: FORCE
lib/lib.a: FORCE
	@$(build)=lib $@
$(KBUILD_LDS): $(srctree)/vmlinux.lds
	@mkdir -p $(dir $@); cp $< $@
include/config/auto.conf: $(srctree)/config
	@mkdir -p $(dir $@); cp $< $@
-include include/config/auto.conf
"""

BUILD = """\
# obj=FOLDER: its built-in.a or lib.a, or what goals name, of all its sources.
objects := $(patsubst $(srctree)/%.c,%.o,$(wildcard $(srctree)/$(obj)/*.c))
$(obj)/built-in.a $(obj)/lib.a: $(objects)
	@rm -f $@; $(AR) cDPrT $@ $^
$(obj)/%.o: $(srctree)/$(obj)/%.c FORCE
	@mkdir -p $(obj); $(CC) -O2 -fno-pie -c -o $@ $<
FORCE:
"""

TOP = {
    "5.10": """\
export KBUILD_VMLINUX_OBJS := init/built-in.a kernel/built-in.a fs/ext4/built-in.a
vmlinux-deps := $(KBUILD_VMLINUX_OBJS) $(KBUILD_VMLINUX_LIBS)
if_changed = $(cmd_$(1))
%/built-in.a: FORCE
	@$(build)=$* $@
cmd_link-vmlinux = $(CONFIG_SHELL) $< "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"
vmlinux: scripts/link-vmlinux.sh $(vmlinux-deps) $(KBUILD_LDS) include/config/auto.conf FORCE
	+$(call if_changed,link-vmlinux)
.DEFAULT_GOAL := vmlinux
""",
    "6.1": """\
folders := kernel fs/ext4
%/built-in.a: FORCE
	@$(build)=$* $@
vmlinux.a: $(patsubst %,%/built-in.a,$(folders))
	@rm -f $@; $(AR) cDPrST $@ $^
vmlinux.o: vmlinux.a $(KBUILD_VMLINUX_LIBS)
	@$(LD) $(KBUILD_LDFLAGS) -r -o $@ --whole-archive vmlinux.a --no-whole-archive $(KBUILD_VMLINUX_LIBS)
vmlinux: vmlinux.o $(KBUILD_LDS) include/config/auto.conf FORCE
	+@$(MAKE) -f $(srctree)/scripts/Makefile.vmlinux
.DEFAULT_GOAL := vmlinux
""",
}

COMPILED = """\
{name}.o: FORCE
	@mkdir -p $(dir $@); echo 'const char {symbol}[] = "{name}";' | $(CC) -x c -c -o $@ -
"""

LINK = {
    "6.1": """\
if_changed_dep = $(cmd_$(1))
cmd_link_vmlinux = $< "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"
vmlinux: scripts/link-vmlinux.sh vmlinux.o $(KBUILD_LDS) FORCE
	+$(call if_changed_dep,link_vmlinux)
	@grep -q '^vmlinux: ' .vmlinux.d
vmlinux: .vmlinux.export.o
FORCE:
.DEFAULT_GOAL := vmlinux
""",
    "6.16": """\
if_changed_dep = $(cmd_$(1))
all: vmlinux modules.builtin
cmd_link_vmlinux = $< "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)" "$@"
vmlinux.unstripped: scripts/link-vmlinux.sh vmlinux.o .vmlinux.export.o $(KBUILD_LDS) FORCE
	+$(call if_changed_dep,link_vmlinux)
	@grep -q '^vmlinux.unstripped: ' .vmlinux.unstripped.d
vmlinux.unstripped: .builtin-dtbs.o arch/x86/tools/vmlinux.arch.o
vmlinux: vmlinux.unstripped
	@$(OBJCOPY) --remove-section=.modinfo $< $@
modules.builtin: vmlinux.unstripped
	@$(OBJCOPY) -j .modinfo -O binary $< $@.modinfo; tr '\\0' '\\n' < $@.modinfo | sed -n 's:.*[.]file=:kernel/:p' > $@
FORCE:
.DEFAULT_GOAL := all
""",
}

SCRIPT_5_10 = """\
#!/bin/sh
set -e
LD="$1" KBUILD_LDFLAGS="$2" LDFLAGS_vmlinux="$3"
trap 'test $? = 0 || rm -f vmlinux vmlinux.o System.map .tmp_vmlinux*' EXIT
all="--whole-archive ${KBUILD_VMLINUX_OBJS} --no-whole-archive --start-group ${KBUILD_VMLINUX_LIBS} --end-group"
vmlinux_link() {
	output=$1
	shift
	${LD} ${KBUILD_LDFLAGS} ${LDFLAGS_vmlinux} --strip-debug -o ${output} -T ${objtree}/${KBUILD_LDS} ${all} $@
}
echo $(($(cat .version 2> /dev/null || echo 0) + 1)) > .version
${MAKE} -f ${srctree}/scripts/Makefile.build obj=init init/built-in.a
${LD} ${KBUILD_LDFLAGS} -r -o vmlinux.o ${all}
${OBJCOPY} -j .modinfo -O binary vmlinux.o .modinfo
tr '\\0' '\\n' < .modinfo | sed -n 's:.*[.]file=:kernel/:p' > modules.builtin
vmlinux_link .tmp_vmlinux.kallsyms1 ""
test ! -x scripts/kallsyms || ${NM} -n .tmp_vmlinux.kallsyms1 | scripts/kallsyms > .tmp_vmlinux.S
vmlinux_link vmlinux ""
${NM} -n vmlinux > System.map
"""

SCRIPT = """\
#!/bin/sh
set -e
LD="$1" KBUILD_LDFLAGS="$2" LDFLAGS_vmlinux="$3" output="${{4:-vmlinux}}"
is_enabled() {{
	grep -q "^$1=y" include/config/auto.conf
}}
${{MAKE}} -f "${{srctree}}/scripts/Makefile.build" obj=init init/version-timestamp.o
if {relocatable}; then
	objs=vmlinux.o
	libs=
else
	objs=vmlinux.a
	libs="${{KBUILD_VMLINUX_LIBS}}"
fi
{objects}
{btf}${{LD}} ${{KBUILD_LDFLAGS}} ${{LDFLAGS_vmlinux}} --script=${{objtree}}/${{KBUILD_LDS}} -o ${{output}} \\
	--whole-archive ${{objs}} --no-whole-archive --start-group ${{libs}} --end-group {last}
${{NM}} -n ${{output}} > System.map
echo "${{output}}: $0" > .${{output}}.d
"""

BTF = """\
btf_vmlinux_bin_o=
if is_enabled CONFIG_DEBUG_INFO_BTF; then
	sh ${srctree}/scripts/gen-btf.sh .tmp_vmlinux1
	btf_vmlinux_bin_o=.tmp_vmlinux1.btf.o
fi
"""
GEN_BTF = """\
# Types of an image: here its name, in an object, and numbers for another tool.
echo "$1" >> btf.calls
echo "const char types[] __attribute__((section(\\".BTF\\"))) = \\"of $1\\";" | ${CC} -x c -c -o $1.btf.o -
${OBJCOPY} --strip-all $1.btf.o
echo numbers > $1.BTF_ids
"""

OBJECTS = {
    "6.1": """\
if is_enabled CONFIG_MODULES; then
	objs="${objs} .vmlinux.export.o"
fi
objs="${objs} init/version-timestamp.o"
""",
    "6.16": """\
if is_enabled CONFIG_GENERIC_BUILTIN_DTB; then
	objs="${objs} .builtin-dtbs.o"
fi
objs="${objs} .vmlinux.export.o"
objs="${objs} init/version-timestamp.o"
arch_vmlinux_o=
if is_enabled CONFIG_ARCH_WANTS_PRE_LINK_VMLINUX; then
	arch_vmlinux_o=arch/${SRCARCH}/tools/vmlinux.arch.o
fi
""",
}

TABLES = {
    "5.10": "addresses offsets relative_base num_syms names markers token_table token_index",
    "6.1": "addresses offsets relative_base num_syms names markers seqs_of_names token_table token_index",
    "6.16": "num_syms names markers token_table token_index offsets relative_base seqs_of_names",
    "7.0": "num_syms names markers token_table token_index offsets seqs_of_names",
}
OPTIONS = {"5.10": "--base-relative", "6.1": "base-relative", "6.16": "", "7.0": "pc-relative"}

LDS = """\
ENTRY(_text)
SECTIONS
{
	. = 0xffffffff81000000;
	.text : { _text = .; _stext = .; *(.text .text.*) _etext = .; }
	.init.text : { _sinittext = .; *(.init.text) _einittext = .; }
	.rodata : { *(.rodata .rodata.*) }
	.modinfo : { *(.modinfo) }
	.BTF : { *(.BTF) }
	.data : { *(.data .bss) }
	/DISCARD/ : { *(.note* .comment .eh_frame) }
}
"""
SOURCES = {
    "kernel/fork.c": "int argv_one(int);\nint fork_one(int x) { return argv_one(x) * 3; }\n",
    "fs/ext4/inode.c": "int inode_one(int x) { return x * 5; }\n",
    "fs/ext4/super.c": "int super_one(int x) { return x * 7; }\nstatic const char __UNIQUE_ID_modinfo_1[] "
    '__attribute__((used, section(".modinfo"))) = "ext4.file=fs/ext4/ext4";\n',
    "lib/argv.c": "int argv_one(int x) { return x * 9; }\n",
}
THICK = "fs/ext4/ext4.o: fs/ext4/inode.o fs/ext4/super.o\n"
ALL_OPTIONS = ("MODULES", "GENERIC_BUILTIN_DTB", "ARCH_WANTS_PRE_LINK_VMLINUX")
"""The options that make a made-up tree link something more."""


class Tree:
    """A tree of one of the INTERFACES, and a build directory beside it."""

    def __init__(self, directory: Path, interface: str, options: tuple[str, ...] = ALL_OPTIONS) -> None:
        self.interface, self.tree, self.objdir = interface, directory / "tree", directory / "objdir"
        self.objdir.mkdir(parents=True)
        old, new = interface == "5.10", interface in ("6.16", "7.0")
        self.variable = "cmd_link-vmlinux" if old else "cmd_link_vmlinux"
        self.output = "vmlinux.unstripped" if new else "vmlinux"
        settings = SETTINGS.format(tree=self.tree)
        self.write("Makefile", settings + TOP["5.10" if old else "6.1"])
        self.write("scripts/Makefile.build", BUILD)
        if old:
            self.write("scripts/link-vmlinux.sh", SCRIPT_5_10)
        else:
            extra = [(".vmlinux.export", "exported")]
            extra += [(".builtin-dtbs", "trees"), ("arch/x86/tools/vmlinux.arch", "arch")] if new else []
            rules = "".join(COMPILED.format(name=name, symbol=symbol) for name, symbol in extra)
            self.write("scripts/Makefile.vmlinux", LINK["6.16" if new else "6.1"] + rules)
            enabled = ["LTO_CLANG", "X86_KERNEL_IBT", *(["KLP_BUILD"] if interface == "7.0" else [])]
            script = SCRIPT.format(
                relocatable=" || ".join(f"is_enabled CONFIG_{option}" for option in enabled),
                objects=OBJECTS["6.16" if new else "6.1"],
                last=" ".join(["${arch_vmlinux_o}"] * new + ["${btf_vmlinux_bin_o}"] * (interface == "7.0")),
                btf=BTF if interface == "7.0" else "",
            )
            self.write("scripts/gen-btf.sh", GEN_BTF)
            self.write("scripts/link-vmlinux.sh", script)
        (self.tree / "scripts/link-vmlinux.sh").chmod(0o755)
        labels = "".join(f'\toutput_label("kallsyms_{name}");\n' for name in TABLES[interface].split())
        balign = 'printf("\\t.balign 4\\n");' if interface == "7.0" else ""
        options_text = f'\tconst char *option = "{OPTIONS[interface]}";\n'
        self.write("scripts/kallsyms.c", f"int main(void)\n{{\n{options_text}\t{balign}\n{labels}}}\n")
        self.write("scripts/mksysmap", "$NM -n $1 | grep -v '\\( [aNUw] \\)'\n" if old else "/ [aNUw] /d\n")
        version = "init/version.c" if old else "init/version-timestamp.c"
        self.write(version, 'const char linux_banner[] = "Linux";\n')
        for path, text in SOURCES.items():
            self.write(path, text)
        self.write("vmlinux.lds", LDS)
        known = ["KALLSYMS", "KALLSYMS_ALL", "KALLSYMS_BASE_RELATIVE", "64BIT", *options]
        self.write("config", "".join(f"CONFIG_{option}=y\n" for option in known))
        (self.objdir / "thick").write_text(THICK)

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The outcome of GNU make; without words the tree links by itself."""
        command = ["make", "-f", self.tree / "Makefile", *words]
        return subprocess.run(command, cwd=self.objdir, capture_output=True, text=True)

    def hook(self, *options: str) -> str:
        """The word for make's command line that puts our program in the place of the script."""
        program = f"PYTHONPATH={PACKAGE} {sys.executable} -m kallmodsyms link --thick thick --no-provider"
        return f'{self.variable}={" ".join([program, *options])} -- "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)"'
