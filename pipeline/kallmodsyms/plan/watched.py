"""What a goal of the tree's make could look at: a built directory and its tree in; kinds and names of facts out.

Of most files of the tree nothing is made but objects that have steps of their own (`replay`). What else there is:

- what any other recorded command read, and the configuration symbols that it saw;
- makefiles, Kconfig files, scripts and data: whatever is no C or assembler source, in each directory that is built or
  that something was made from; all that is in scripts/, and in the parts of tools/ that were used;
- sources whose names stand in a makefile: something may be made of them that no command records;
- which files there are in these directories, in include/ and in those of the architecture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from kallmodsyms import depfile, facts, files
from kallmodsyms.configured import Configured
from kallmodsyms.depfile import Recorded
from kallmodsyms.names import FOLDER

SYMBOL = re.compile(r"\bCONFIG_(\w+)")
_SOURCE = re.compile(r".*\.[chS]")
_NAMED_SOURCE = re.compile(r"[\w+-]+\.[hcS]\b")
_NAMED_PLACE = re.compile(r"[\w.+-]+(?:/[\w.%*+-]+)+")
_MAKEFILE = re.compile(r"Makefile(?:[._].*)?|Kbuild(?:\..*)?|.*\.mk")
_ARCH = re.compile(r"(?:arch|\.\.)/([a-z0-9]+)/")
_OF_TOOLS = ("build", "scripts")
"""Parts of tools/ that all others use."""


def commands(base: str, folders: Iterable[str] | None = None) -> dict[str, Recorded]:
    """What make has recorded a command for below `base`, a build directory, to what the command saw.

    folders: look only into these, relative to `base`, and not below them
    """
    found = {}
    places = ((os.path.join(base, folder), os.listdir(os.path.join(base, folder))) for folder in folders or ())
    for place, names in _below(base) if folders is None else places:
        folder = os.path.relpath(place, base)
        for name in names:
            if name.startswith(".") and name.endswith(".cmd"):
                target = os.path.normpath(os.path.join(folder, name[1:-4]))
                found[target] = depfile.recorded(files.read_text(os.path.join(place, name)))
    return found


def _below(base: str) -> Iterator[tuple[str, list[str]]]:
    for place, below, names in os.walk(base):
        below[:] = sorted(name for name in below if name != FOLDER)
        yield place, names


class Watched:
    """What is watched of one tree, for one build directory."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured
        self._tree, self._base = os.path.realpath(configured.tree), os.path.realpath(configured.objdir)

    def of(
        self, recorded: Mapping[str, Recorded], objects: Collection[str], only: Iterable[str] | None = None
    ) -> Iterator[tuple[str, str]]:
        """Kinds and names of facts. `objects` have steps of their own.

        only: not everything, but what has come with these directories, of which `recorded` are the commands
        """
        own = set(objects)
        others = [saw for target, saw in recorded.items() if target not in own]
        read = {path for saw in others for path in map(self._place, saw.files) if self._in_tree(path)}
        places = None if only is None else (f"{self._tree}/{path}" for path in only)
        folders = self._folders(read) if places is None else self._look_into({}, places)
        makefiles = {
            path: files.read_text(path)
            for folder, names in folders.items()
            for path in (os.path.join(folder, name) for name in names if _MAKEFILE.fullmatch(name))
        }
        # Places that makefiles name besides the directories that they descend into, as $(src)/reg_srcs/%.
        self._look_into(folders, _places(makefiles, self._tree))
        named = {name for text in makefiles.values() for name in _NAMED_SOURCE.findall(text)}
        values = self._configured.configuration
        headers = "IKHEADERS" in values.values  # an archive of all headers is built in
        yield from (("names", folder) for folder in sorted(folders))
        for folder, names in folders.items():
            whole = folder.startswith((f"{self._tree}/scripts", f"{self._tree}/tools/"))
            read.update(
                os.path.join(folder, name)
                for name in names
                if whole or not _SOURCE.fullmatch(name) or name in named or (headers and name[-2:] == ".h")
            )
        read.update(os.path.join(self._tree, path) for path in values.files)
        yield from (("file", path) for path in sorted(read))
        mine = {path for directory in self._configured.kernel.directories.values() for path in directory.files}
        texts = [text for path, text in makefiles.items() if path not in mine]
        texts += [files.read_text(path) for path in read if path.startswith(f"{self._tree}/scripts/")]
        symbols = {symbol for text in texts for symbol in SYMBOL.findall(text)}
        symbols.update(symbol for saw in others for symbol in saw.symbols)
        yield from (("symbol", symbol) for symbol in sorted(symbols))

    def _place(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._base, path))

    def _in_tree(self, place: str) -> bool:
        return place.startswith(f"{self._tree}/") and not place.startswith(f"{self._base}/")

    def _folders(self, read: Iterable[str]) -> dict[str, list[str]]:
        """The directories of the tree, with the names of the files in each."""
        tree, found = self._tree, dict[str, list[str]]()
        built = self._configured.kernel.directories
        self._look_into(found, [tree, f"{tree}/Documentation", *(f"{tree}/{path}" for path in built)])
        self._look_into(found, map(os.path.dirname, read))
        tools = {path.split("/")[0] for path in (os.path.relpath(place, f"{tree}/tools") for place in found)}
        self._look_below(found, [f"{tree}/include", f"{tree}/scripts"])
        self._look_below(found, (f"{tree}/tools/{name}" for name in {*tools, *_OF_TOOLS} if name not in (".", "..")))
        main = f"{tree}/arch/{self._configured.environment.get('SRCARCH', '')}"
        self._look_below(found, [main])
        ours = [f"{folder}/{name}" for folder, names in found.items() if folder.startswith(main) for name in names]
        makefiles = [path for path in ours if _MAKEFILE.fullmatch(os.path.basename(path)) or path.endswith("/Kconfig")]
        arches = {name for path in makefiles for name in _ARCH.findall(files.read_text(path))}
        self._look_below(found, (f"{tree}/arch/{name}" for name in arches))
        return found

    def _look_into(self, found: dict[str, list[str]], folders: Iterable[str]) -> dict[str, list[str]]:
        """Add these directories and those above them."""
        for folder in map(os.path.normpath, folders):
            while folder not in found and (folder == self._tree or self._in_tree(folder)):
                try:
                    with os.scandir(folder) as entries:
                        names = [entry.name for entry in entries if entry.is_file()]
                except OSError:
                    break
                found[folder] = [name for name in names if not facts.NOISE.fullmatch(name)]
                folder = os.path.dirname(folder)
        return found

    def _look_below(self, found: dict[str, list[str]], folders: Iterable[str]) -> None:
        """Add these directories and those below them."""
        for folder in folders:
            for place, below, _ in os.walk(folder):
                below[:] = [name for name in below if os.path.join(place, name) != self._base]
                self._look_into(found, [place])


def _places(makefiles: Mapping[str, str], tree: str) -> Iterator[str]:
    """The directories of what makefiles name with a slash in it, as far as there are such."""
    for path, text in makefiles.items():
        for word in set(_NAMED_PLACE.findall(text)):
            folder = os.path.dirname(word)
            for above in (os.path.dirname(path), tree):
                yield os.path.normpath(os.path.join(above, folder))
