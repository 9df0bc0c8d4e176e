"""The Python API: a vmlinux, a listing, an attribution file or a running kernel enters; a `Kernel` leaves, which knows
whose an address is.

Addresses are bytes, ends are exclusive. What the tables of an image say is docs/design.md, "Module tables".
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from kallmodsyms import elf, files, running, symbols
from kallmodsyms.errors import InputError
from kallmodsyms.kallsyms import attributed, reader, saved
from kallmodsyms.kallsyms.listing import Found as Found
from kallmodsyms.kallsyms.listing import Kallsyms, Places, Row

Symbol = Row


@dataclass(frozen=True)
class Module:
    """A module, as far as the symbols tell.

    name: as in brackets
    loaded: whether it is no part of the image: a loaded module, or a name such as bpf
    text: bytes that stay after boot, including those that it shares with another module
    init: bytes that the kernel frees after boot, from __init_begin to __init_end
    symbols: by address
    """

    name: str
    loaded: bool
    text: int
    init: int
    symbols: Sequence[Symbol]


class Kernel:
    """The symbols of a kernel, and the modules that they belong to.

    path: where it came from
    table: the decoded tables, as columns
    image: the ELF file behind it; None for a listing
    distance: how much higher than in the image its addresses are

    >>> kernel = Kernel.parse(b'''ffffffff81000000 40 T _text
    ... ffffffff81000040 1d t ext4_sync_file\\t[ext4]
    ... ffffffff81000060 20 t lio_get_regs_len\\t[liquidio] [liquidio_vf]
    ... ''')
    >>> len(kernel.symbols), kernel.symbols[1].name, list(kernel.modules)
    (3, 'ext4_sync_file', ['ext4', 'liquidio', 'liquidio_vf'])
    >>> kernel.find("ext4_sync_file")
    [Row(address=18446744071578845248, size=29, type='t', name='ext4_sync_file', modules=('ext4',), object='')]
    >>> found = kernel.find(0xffffffff81000068)
    >>> found.symbol.name, found.offset, found.modules
    ('lio_get_regs_len', 8, ('liquidio', 'liquidio_vf'))
    >>> kernel.find(0x1000) is None, kernel.find("no_such_symbol")
    (True, [])
    >>> kernel.modules["ext4"].text
    29
    """

    def __init__(
        self,
        table: Kallsyms,
        path: str = "",
        image: elf.Elf | None = None,
        distance: int = 0,
        build_id: str | None = None,
    ) -> None:
        self.table = table
        self.path = path
        self.image = image
        self.distance = distance
        self._build_id = build_id

    @property
    def build_id(self) -> str | None:
        """What the linker's --build-id made, in hexadecimal; None if that is not known."""
        return self._build_id if self.image is None else self.image.build_id()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Kernel:
        """The kernel in `path`: an image with kallsyms tables, a listing, which may be /proc/kallmodsyms itself, or
        what `kallmodsyms attribute` made of an image.

        Raises InputError if it is none of these.
        """
        if not _is_binary(path):
            return cls.parse(files.read_bytes(path), path)
        image = elf.Elf(path)
        return cls(reader.decode(image), os.fspath(path), image)

    @classmethod
    def parse(cls, listing: bytes, path: str | os.PathLike[str] = "listing") -> Kernel:
        """The kernel that a listing or an attribution file is of; `path` is for messages. Raises InputError if it is
        neither.
        """
        if listing.startswith(attributed.MAGIC):
            found = attributed.parse(listing, path)
            return cls(found.table, os.fspath(path), build_id=found.build_id)
        return cls(saved.parse(listing, path), os.fspath(path))

    @classmethod
    def live(cls, path: str | os.PathLike[str] | None = None, root: str | os.PathLike[str] = "/") -> Kernel:
        """The running kernel: its own /proc/kallmodsyms, or the image or attribution file `path` of its build,
        relocated.

        root: where /proc and /sys are

        Raises InputError if there is neither, or if `path` is of another build.
        """
        if path is None:
            own = Path(root, running.KALLMODSYMS)
            if not own.exists():
                cure = "give its image, from a build with `kallmodsyms link`, with --from"
                raise InputError("the running kernel has no such file", path=own, cure=cure)
            return cls.open(own)
        kernel = cls.open(path)
        ours, theirs = kernel.build_id, running.build_id(root)
        if ours is None or ours != theirs:
            problem = f"its build id is {ours or 'unknown'}, the running kernel's is {theirs or 'unknown'}"
            raise InputError(f"is not of the running kernel: {problem}", path=path)
        return kernel.moved(running.address_of("_text", root) - (kernel.address_of("_text") or 0))

    @property
    def bits(self) -> int:
        """The word size."""
        return self.table.bits

    @functools.cached_property
    def symbols(self) -> Symbols:
        """All symbols, by address."""
        return Symbols(self.table, np.arange(len(self.table)))

    @functools.cached_property
    def modules(self) -> Mapping[str, Module]:
        """The modules by name, sorted. What belongs to several counts for each of them."""
        table = self.table
        numbers: dict[str, list[int]] = {}
        for number, names in enumerate(table.lists):
            for name in names:
                numbers.setdefault(name, []).append(number)
        by_list = np.argsort(table.of_symbols, kind="stable")
        bounds = np.searchsorted(table.of_symbols[by_list], np.arange(len(table.lists) + 1)).tolist()
        text, init = self._bytes()
        found = {}
        for name in sorted(numbers):
            which = np.sort(np.concatenate([by_list[bounds[n] : bounds[n + 1]] for n in numbers[name]]))
            found[name] = Module(
                name=name,
                loaded=bool(len(which)) and not bool(self.inside[which].any()),
                text=int(text[numbers[name]].sum()),
                init=int(init[numbers[name]].sum()),
                symbols=Symbols(table, which),
            )
        return found

    @functools.cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Which symbols are part of the image, and not of a loaded module; in a listing, those from _text to _end."""
        image = self.extent
        addresses = self.table.addresses
        if image is None:
            return np.ones(len(self.table), np.bool_)
        within = (addresses >= np.uint64(image[0])) & (addresses <= np.uint64(image[1]))
        return within | self.table.absolute

    @functools.cached_property
    def extent(self) -> tuple[int, int] | None:
        """(start, end) of the image; None if the table does not say."""
        start = self.address_of("_text") or self.address_of("_stext")
        # Without CONFIG_KALLSYMS_ALL a listing has text alone.
        end = self.address_of("_end") or self.address_of("_einittext") or self.address_of("_etext")
        return None if start is None or end is None else (start, end)

    def address_of(self, name: str) -> int | None:
        """The address of a label, also if it is in the image's symbol table alone; None if there is none."""
        if at := self.table.numbers(name.encode("utf-8", "surrogateescape")):
            return int(self.table.addresses[at[0]])
        address = self._labels.get(name.encode("utf-8", "surrogateescape"))
        return None if address is None else address + self.distance

    @overload
    def find(self, what: int) -> Found | None: ...

    @overload
    def find(self, what: str) -> list[Symbol]: ...

    def find(self, what: int | str) -> Found | list[Symbol] | None:
        """The symbol that an address lies in or behind, as the kernel's own lookup has it; or the symbols of a name.

        An address in padding or behind a label without a size has an offset that is not below the symbol's size; one
        that no section holds is in no symbol, unless one begins there: a label at the end of a section.
        """
        found = self.table.lookup(what)
        if isinstance(what, str):
            return [one.symbol for one in found]
        return found[0] if found else None

    def locate(self, addresses: NDArray[np.uint64]) -> Places:
        """`find` for many addresses at once."""
        return self.table.locate(addresses)

    def moved(self, distance: int) -> Kernel:
        """This kernel where KASLR put it: `distance` bytes higher. Per-CPU symbols stay."""
        table = self.table
        mask, step = np.uint64(2**self.bits - 1), np.uint64(distance % 2**64)
        moved = replace(
            table,
            addresses=np.where(table.absolute, table.addresses, table.addresses + step & mask),
            runs=table.runs + step & mask,
            sections=tuple((start + distance, end + distance) for start, end in table.sections),
        )
        return Kernel(moved, self.path, self.image, self.distance + distance, self._build_id)

    def choose(self, names: Sequence[str]) -> list[Module]:
        """The modules of these names, `-` for `_` allowed. Raises InputError for one that is not there."""
        chosen = []
        for name in names:
            module = self.modules.get(name.replace("-", "_"))
            if module is None:
                cure = f"`kallmodsyms modules {self.path}` lists them"
                raise InputError(f"has no module {name}", path=self.path or None, cure=cure)
            chosen.append(module)
        return chosen

    @functools.cached_property
    def _labels(self) -> dict[bytes, int]:
        if self.image is None:
            return {}
        table = symbols.from_elf(self.image)
        return dict(zip(table.names, table.addresses.tolist(), strict=True))

    def _bytes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bytes of each list of modules: those that stay, those of init."""
        table = self.table
        sizes = np.append(table.runs[1:] - table.runs[:-1], np.uint64(0)).astype(np.int64)[: len(table.runs)]
        begin, end = self.address_of("__init_begin"), self.address_of("__init_end")
        init = np.zeros(len(table.runs), np.bool_)
        if begin is not None and end is not None:
            init = (table.runs >= np.uint64(begin)) & (table.runs < np.uint64(end))
        count = len(table.lists)
        return tuple(  # type: ignore[return-value]
            np.bincount(table.of_runs[which], weights=sizes[which], minlength=count).astype(np.int64)
            for which in (~init, init)
        )


class Symbols(Sequence[Symbol]):
    """Some symbols of a table, made when they are asked for. numbers: theirs in the table"""

    def __init__(self, table: Kallsyms, numbers: NDArray[np.int64]) -> None:
        self._table = table
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Symbol: ...

    @overload
    def __getitem__(self, index: slice) -> Symbols: ...

    def __getitem__(self, index: int | slice) -> Symbol | Symbols:
        if isinstance(index, slice):
            return Symbols(self._table, self.numbers[index])
        return self._table.symbol(int(self.numbers[index]))

    def __iter__(self) -> Iterator[Symbol]:
        return map(self._table.symbol, self.numbers.tolist())


def _is_binary(path: str | os.PathLike[str]) -> bool:
    """Whether `path` begins as no text does; an empty file does not begin as a listing, either."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    return not head.isascii() or b"\0" in head or not head
