"""The GNU make 4.3 language: makefiles and variables in, variable values out. Knows nothing of Kbuild."""

from kallmodsyms.make.evaluator import Evaluator, Origin, Sources, Variable, glob, include_directories
from kallmodsyms.make.program import Program
from kallmodsyms.make.promises import MARK, Promises, anonymous, process_environment

__all__ = ["MARK", "Evaluator", "Origin", "Program", "Promises", "Sources", "Variable", "anonymous", "glob", "include_directories",
           "process_environment"]  # fmt: skip
