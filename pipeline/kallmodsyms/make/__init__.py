"""The GNU make 4.3 language: makefiles and variables in, variable values out. Knows nothing of Kbuild.

Each module knows only those above it:

lines         text -> logical lines
functions     functions of text
promises      what a shell command will have printed
scope         variables, and all else that an expansion looks at
program       logical lines -> what each of them is
sources       path -> program
special       functions that look at a scope
expression    text -> its expansion
conditionals  `ifeq` and its kin -> which lines count
evaluator     programs -> variables
"""

from kallmodsyms.make.evaluator import Evaluator
from kallmodsyms.make.program import Program
from kallmodsyms.make.promises import MARK, Promises, anonymous, process_environment
from kallmodsyms.make.scope import Origin, Variable
from kallmodsyms.make.sources import Sources, include_directories
from kallmodsyms.wildcards import glob

__all__ = [
    "MARK",
    "Evaluator",
    "Origin",
    "Program",
    "Promises",
    "Sources",
    "Variable",
    "anonymous",
    "glob",
    "include_directories",
    "process_environment",
]
