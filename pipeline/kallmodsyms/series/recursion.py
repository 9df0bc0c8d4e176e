"""modules_thick.builtin in the way of the series, one make a directory: a configured tree enters; the makefiles and the
command, whose output is the list, leave.

What scripts/Makefile.modbuiltin of the series computes, in words of our own: a make for each directory includes
auto.conf and tristate.conf, the Kbuild file and scripts/Makefile.lib, prints the lines of this directory, and starts a
make for each directory below. A line that is there twice was printed twice, and counts once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kallmodsyms import files

AS_IN_THE_SERIES, ALL = "$(obj-y) $(obj-m)", "$(obj-y) $(obj-m) $(obj-Y)"
"""The lists whose directories are descended into. The series does not see what only a tristate y leads to."""

_TOP = """\
include {tree}/Makefile
starts := $(addprefix thick-,. $(patsubst %/,%,$(filter %/,$(ARCH_CORE) $(ARCH_LIB) $(ARCH_DRIVERS))))
.PHONY: thick $(starts)
thick: $(starts) ; @:
$(starts): thick-%:
	@$(MAKE) -f {directory} obj=$*
"""
_DIRECTORY = """\
src := {src}
.PHONY: here
here:
include include/config/auto.conf
include include/config/tristate.conf
-include $(srctree)/scripts/Kbuild.include
obj-Y :=
include $(or $(wildcard $(srctree)/$(obj)/Kbuild),$(srctree)/$(obj)/Makefile)
members = $($(1:.o=-objs)) $($(1:.o=-y)) $($(1:.o=-Y))
$(foreach m,$(filter %.o,$(obj-Y)),$(info $(obj)/$m:$(addprefix $(obj)/,$(sort $(call members,$m)))))
directories := $(addprefix below-,$(sort $(patsubst %/,$(obj)/%,$(filter %/,{below}))))
-include $(srctree)/scripts/Makefile.lib
.PHONY: $(directories)
here: $(directories) ; @:
$(directories): below-%:
	@$(MAKE) -f {directory} obj=$*
"""


def command(
    tree: Path, objdir: Path, arch: str, variables: Mapping[str, str], scratch: Path, below: str = AS_IN_THE_SERIES
) -> list[str]:
    """The command that prints the list.

    objdir: has include/config/auto.conf and tristate.conf
    scratch: a directory for the makefiles
    """
    directory, top = scratch / f"directory-{len(below)}.mk", scratch / f"top-{len(below)}.mk"
    script = tree / "scripts/Makefile.build"
    relative = script.is_file() and re.search(r"^src := \$\(obj\)$", files.read_text(script), re.MULTILINE)
    text = _DIRECTORY.replace("{directory}", str(directory)).replace("{below}", below)
    files.write(directory, text.replace("{src}", "$(obj)" if relative else "$(srctree)/$(obj)"))  # until 6.10, since
    files.write(top, _TOP.format(tree=tree, directory=directory))
    return [
        *("make", "-rRs", "--no-print-directory", "-I", str(tree), "-C", str(objdir), "-f", str(top), f"ARCH={arch}"),
        *(f"{name}={value}" for name, value in sorted(variables.items())),
        "thick",
    ]
