"""Text that a kernel wrote enters, line by line; the same text, with modules behind symbols and addresses, leaves.

    RIP: 0010:ext4_sync_file+0x10/0x80                   RIP: 0010:ext4_sync_file+0x10/0x80 [ext4]
    [<0>] lio_get_regs_len+0x5/0x30                      [<0>] lio_get_regs_len+0x5/0x30 [liquidio] [liquidio_vf]
    ffffffffa2b15f40 ext4_sync_file+0x10 ([kernel.…      ffffffffa2b15f40 ext4_sync_file+0x10 [ext4] ([kernel.…

An oops, the stacks of dmesg, /proc/PID/stack, perf script and bpftrace have their symbols so: a name, an offset and,
from the kernel itself (lib/vsprintf.c, %pS), the distance to the next symbol, which tells functions of one name apart.
What is not known stays as it is, and so does what may be several modules'.

For a bare address it must be known where KASLR put the kernel. The text says it in a panic's last line (`Kernel
Offset:`) and wherever an address stands in front of its symbol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from kallmodsyms.kernel import Kernel
from kallmodsyms.names import ModuleList

_PLACE = {
    bits: re.compile(
        rb"(?<![\w.$])(?:(?:(?P<before>(?:0x)?[0-9a-f]{%d})[>\])]*[ \t]+\(?)?"
        rb"(?P<name>[A-Za-z_.$][\w.$]*)\+(?P<offset>0x[0-9a-f]+|[0-9]+)(?:/0x(?P<size>[0-9a-f]+))?(?![\w/])"
        rb"|(?P<address>(?:0x)?[0-9a-f]{%d})(?![\w.$]))" % (bits // 4, bits // 4)
    )
    for bits in (32, 64)
}
_KASLR = re.compile(rb"Kernel Offset: (?:0x([0-9a-f]+) from 0x[0-9a-f]+|disabled)")
_SAID = re.compile(rb"[ \t]*\[[\w ]+\]")
_PAGE = 4096


class Explainer:
    """Explains lines of one text.

    distance: how much higher the kernel of the text lies than `kernel`; None as long as that is not known
    more: what else to say of an address of `kernel`, in braces behind the modules; None for nothing
    """

    def __init__(self, kernel: Kernel, distance: int | None = None, more: Callable[[int], str] | None = None) -> None:
        self.kernel = kernel
        self.distance = distance
        self._more = more
        self._pattern = _PLACE[kernel.bits]
        addresses = kernel.table.addresses
        following = np.searchsorted(addresses, addresses, side="right")
        self._spans = np.append(addresses, addresses[-1:])[following] - addresses

    def lines(self, text: Iterable[bytes]) -> Iterator[bytes]:
        """Each line as soon as it is there."""
        for line in text:
            self.learn(line)
            yield self._pattern.sub(lambda found: found[0] + self._behind(found), line)

    def learn(self, line: bytes) -> None:
        """Take in where a line says that KASLR put the kernel."""
        if b"Kernel Offset: " in line and (found := _KASLR.search(line)):
            self.distance = int(found[1] or b"0", 16)

    def _behind(self, found: re.Match[bytes]) -> bytes:
        """What belongs behind a place, nothing in most cases."""
        if _SAID.match(found.string, found.end()):
            return b""
        if found["address"] is not None:
            return self._of_address(int(found["address"], 16))
        offset = int(found["offset"], 0)
        symbols = self._called(found["name"], found["size"])
        if found["before"] is not None:
            symbols = self._at(symbols, int(found["before"], 16) - offset)
        lists = {int(self.kernel.table.of_symbols[index]) for index in symbols}
        if len(lists) != 1:
            return b""
        place = int(self.kernel.table.addresses[symbols[0]]) + offset if len(symbols) == 1 else None
        return self._text(self.kernel.table.lists[lists.pop()], place)

    def _called(self, name: bytes, size: bytes | None) -> Sequence[int]:
        """The symbols of a name, and, where the text says one, of a size."""
        symbols = self.kernel.table.numbers(name)
        if size is None:
            return symbols
        return [index for index in symbols if int(self._spans[index]) == int(size, 16)]

    def _at(self, symbols: Sequence[int], address: int) -> Sequence[int]:
        """Those of `symbols` that begin at an address of the text, from which the distance is learnt, too."""
        distances = {index: address - int(self.kernel.table.addresses[index]) for index in symbols}
        whole = [distance for distance in distances.values() if distance % _PAGE == 0]
        if len(symbols) == 1 and whole:
            self.distance = whole[0]
        return [index for index, distance in distances.items() if distance == self.distance]

    def _of_address(self, address: int) -> bytes:
        place = address - self.distance if self.distance is not None else -1
        if not 0 <= place < 2**self.kernel.bits:
            return b""
        table = self.kernel.table
        found = table.locate(np.array([place], np.uint64))
        number = int(found.symbols[0])
        # A small number is in no per-CPU variable: these are offsets.
        return b"" if number < 0 or table.absolute[number] else self._text(table.lists[int(found.lists[0])], place)

    def _text(self, modules: ModuleList, place: int | None) -> bytes:
        words = [f"[{name}]" for name in modules]
        if self._more is not None and place is not None and (said := self._more(place)):
            words.append(f"{{{said}}}")
        return "".join(f" {word}" for word in words).encode("utf-8", "surrogateescape")
