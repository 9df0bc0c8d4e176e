"""The path of a makefile in, its program out, each file read once; and where else make looks for an included file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

from kallmodsyms.files import Fingerprint, read_bytes
from kallmodsyms.make.lines import split_words
from kallmodsyms.make.program import Program


class Sources:
    """Makefiles, each read and cut into lines once.

    virtual: what stands in for files, by absolute path, whether or not they exist; None says that there is no such file
    fingerprints: of each other file that was read; None where there was none
    """

    def __init__(self, virtual: Mapping[str, Program | None] | None = None, like: Sources | None = None) -> None:
        """What `like` has read is not read again."""
        self.virtual = dict(virtual or {})
        self.fingerprints: dict[str, Fingerprint | None] = {} if like is None else like.fingerprints
        self._programs: dict[str, Program | None] = {} if like is None else like._programs

    def program(self, path: str) -> Program | None:
        """The program at an absolute path, or None where there is no such file. Raises InputError on a bad one."""
        if path in self.virtual:
            return self.virtual[path]
        if path not in self._programs:
            self._programs[path] = self.fingerprints[path] = None
            if os.path.isfile(path):
                # The fingerprint describes what was read even while somebody writes: stat comes first, and the digest
                # is that of the very bytes.
                stat = os.stat(path)
                data = read_bytes(path)
                digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
                self.fingerprints[path] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest]
                self._programs[path] = Program(data.decode("utf-8", "surrogateescape"), path)
        return self._programs[path]


def include_directories(flags: str) -> list[str]:
    """The directories of the -I and --include-dir options in a MAKEFLAGS, each once."""
    found = (re.fullmatch(r"(?:-I|--include-dir=)(.+)", flag) for flag in split_words(flags))
    return list(dict.fromkeys(match[1] for match in found if match))
