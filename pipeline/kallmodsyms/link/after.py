"""What the tree does after the link: the last image enters; vmlinux (since Linux 6.16 vmlinux.unstripped, of which make
makes vmlinux), System.map and .vmlinux.d leave.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from kallmodsyms import files, provider, release, symbols
from kallmodsyms.kallsyms import select
from kallmodsyms.link import btf
from kallmodsyms.link.exports import Exports
from kallmodsyms.names import beyond_makefiles
from kallmodsyms.programs import run
from kallmodsyms.release import KallsymsDialect, LinkDialect


def finish(exports: Exports, dialect: KallsymsDialect, link: LinkDialect, image: str) -> None:
    """Everything that the tree does to the image after the link; then it gets its name.

    Raises InputError if something fails; then the image that was there before is there again.
    """
    config, output = exports.config, link.output
    if "DEBUG_INFO_BTF" in config and "BPF" in config:
        exports.say("BTFIDS", output)
        run([*exports.tool("RESOLVE_BTFIDS"), *(btf.ids_options() if link.btf_script else []), image])
    exports.say("NM", "System.map")
    names = ".tmp_System.map"
    files.write(names, system_map(image, dialect))
    # sorttable of 6.1 looks into System.map for the places that ftrace patches.
    with Replaced("System.map", names):
        if "BUILDTIME_TABLE_SORT" in config:
            exports.say("SORTTAB", output)
            _sort_tables(exports, image)
        with Replaced(output, image):
            _after_naming(exports, output, image)


def _after_naming(exports: Exports, output: str, image: str) -> None:
    """What the tree does to the image `output`, which `image` was until now, once it has its name."""
    postlink = f"arch/{exports.environment['SRCARCH']}/Makefile.postlink"
    if (exports.tree / postlink).is_file():
        exports.make(postlink, output)
    files.write(f".{output}.d", _dependencies(exports, output))
    if "VMLINUX_MAP" in exports.config:
        files.write("vmlinux.map", files.read_bytes(f"{image}.map"))


def system_map(image: str | os.PathLike[str], dialect: KallsymsDialect) -> bytes:
    """System.map of an image: what `nm -n` says, as the tree's scripts/mksysmap filters it."""
    return select.system_map(symbols.read(image), dialect)


def _sort_tables(exports: Exports, image: str) -> None:
    """Have the tree's scripts/sorttable sort the exception tables of the image."""
    options = []
    if release.sorttable_wants_symbols(exports.tree):
        listed = ".tmp_vmlinux.nm-sort"
        run([*exports.tool("NM"), "-S", image], output=listed)
        options = ["-s", listed]
    run([str(exports.objtree / "scripts/sorttable"), *options, image])


def _dependencies(exports: Exports, output: str) -> str:
    """For fixdep: what the image depends on besides its prerequisites: the tree's script, the program in its place.

    That is left out where fixdep could not read its path, which has no way to write a blank.
    """
    package = Path(__file__).parents[1]
    own = [] if beyond_makefiles(package) else [*package.rglob("*.py"), *provider.SOURCES.iterdir()]
    return " \\\n ".join([f"{output}: {exports.tree}/scripts/link-vmlinux.sh", *sorted(map(str, own))]) + "\n"


class Replaced:
    """Within the block `path` is what `new` was; if the block fails, it is what it was before, timestamp and all."""

    def __init__(self, path: str, new: str) -> None:
        self.path, self.new, self.kept = path, new, f".{path}.previous"

    def __enter__(self) -> None:
        if os.path.exists(self.path):
            os.replace(self.path, self.kept)
        os.replace(self.new, self.path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            os.unlink(self.path)
            if os.path.exists(self.kept):
                os.replace(self.kept, self.path)
        elif os.path.exists(self.kept):
            os.unlink(self.kept)
