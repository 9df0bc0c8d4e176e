"""The path of a makefile in, its program out, each file read once; and where else make looks for an included file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kallmodsyms.facts import Files, Value
from kallmodsyms.make.lines import split_words
from kallmodsyms.make.program import Program


class Sources:
    """Makefiles, each read and cut into lines once.

    virtual: what stands in for files, by absolute path, whether or not they exist; None says that there is no such file
    digests: of the content of each other file; None where there was none
    """

    def __init__(
        self,
        virtual: Mapping[str, Program | None] | None = None,
        like: Sources | None = None,
        files: Files | None = None,
    ) -> None:
        """What `like` has read is not read again. `files` learn what was read."""
        self.virtual = dict(virtual or {})
        self.digests: dict[str, bytes | None] = {} if like is None else like.digests
        self._programs: dict[str, Program | None] = {} if like is None else like._programs
        self._files = files or Files("/")

    def program(self, path: str) -> Program | None:
        """The program at an absolute path, or None where there is no such file. Raises InputError on a bad one."""
        if path in self.virtual:
            return self.virtual[path]
        if path not in self._programs:
            self._programs[path] = self.digests[path] = None
            if os.path.isfile(path):
                data, self.digests[path] = self._files.read(path)
                self._programs[path] = Program(data.decode("utf-8", "surrogateescape"), path)
        return self._programs[path]

    def digest(self, path: str) -> Value:
        """What stands for the content of a file that is no stand-in, as it was read."""
        return self.digests[path] if path in self.digests else self._files.look(path)


def include_directories(flags: str) -> list[str]:
    """The directories of the -I and --include-dir options in a MAKEFLAGS, each once."""
    found = (re.fullmatch(r"(?:-I|--include-dir=)(.+)", flag) for flag in split_words(flags))
    return list(dict.fromkeys(match[1] for match in found if match))
