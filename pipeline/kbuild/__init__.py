"""What a kernel tree builds: a tree and a configuration in, directories, objects and built-in modules out."""

from pipeline.kbuild.check import check
from pipeline.kbuild.directory import Directory
from pipeline.kbuild.flags import compile_flags
from pipeline.kbuild.modules import Module, builtin_modules, format_thick, parse_thick
from pipeline.kbuild.top import Environment, environment
from pipeline.kbuild.tree import KernelTree, load

__all__ = ["Directory", "Environment", "KernelTree", "Module", "builtin_modules", "check", "compile_flags", "environment",
           "format_thick", "load", "parse_thick"]  # fmt: skip
