"""`python -m kallmodsyms` is the command `kallmodsyms`."""

from kallmodsyms.cli import command

command()
