"""What a kernel tree builds: a tree and a configuration in, directories, objects and built-in modules out."""

from kallmodsyms.kbuild.check import check
from kallmodsyms.kbuild.directory import Directory
from kallmodsyms.kbuild.flags import compile_flags
from kallmodsyms.kbuild.modules import Module, builtin_modules, format_thick, parse_thick
from kallmodsyms.kbuild.top import Environment, Place, environment, place
from kallmodsyms.kbuild.tree import KernelTree, load

__all__ = [
    "Directory",
    "Environment",
    "KernelTree",
    "Module",
    "Place",
    "builtin_modules",
    "check",
    "compile_flags",
    "environment",
    "format_thick",
    "load",
    "parse_thick",
    "place",
]
