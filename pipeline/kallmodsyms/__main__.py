"""`python -m kallmodsyms` is the command `kallmodsyms`."""

from kallmodsyms.cli import command

if __name__ == "__main__":
    command()
