"""What an image carries, whoever linked it: vmlinux enters; nothing, or an error that says what is there instead of our
tables, leaves.
"""

from __future__ import annotations

from pathlib import Path

from kallmodsyms import symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import reader
from kallmodsyms.names import TEXT_LETTERS

_PROVIDER = b"kallmodsyms_linked"


def confirm(image: Path, variable: str, with_provider: bool) -> None:
    """Raise InputError unless `image` has module tables, made of its own symbols, and the provider if it is wanted.

    variable: what make was told our command in
    """
    if not image.is_file():
        raise InputError("make ended well, but linked no image", path=image)
    table = symbols.read(image)
    names = frozenset(table.names)
    ignored = f"make did not run the command in {variable}"
    cure = f"see what overrides {variable} in the tree's makefiles, then build again"
    if b"kallsyms_num_syms" not in names:
        raise InputError(f"was linked without kallsyms tables: {ignored}", path=image, cure=cure)
    if b"kallsyms_num_modules" not in names:
        raise InputError(f"has the tree's own kallsyms tables, without modules: {ignored}", path=image, cure=cure)
    if with_provider and _PROVIDER not in names:
        raise InputError("has module tables, but not the provider of /proc/kallmodsyms", path=image, cure=cure)
    own = set(zip(table.addresses.tolist(), table.names, strict=True))
    found = reader.read(image)
    for address, letter, name in zip(found.addresses.tolist(), found.types, found.names, strict=True):
        # Since Linux 6.16 some data of the linked image, .modinfo, do not reach vmlinux.
        if letter in TEXT_LETTERS and (address, name) not in own:
            problem = f"its tables are those of another link: they say that {name.decode('utf-8', 'replace')}"
            raise InputError(f"{problem} is at {address:#x}, its own symbols do not", path=image, cure=cure)
