"""The sizes of symbols in the forms that the letter has: the RFC's dense table, and the sparse one that it proposes and
nobody built: pairs of symbol index and size, for those that are not immediately followed by a subsequent symbol.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dense(sizes: NDArray[np.uint64], bits: int, byteorder: str) -> bytes:
    """`kallsyms_sizes`: a word a symbol."""
    return sizes.astype(f"{'<' if byteorder == 'little' else '>'}u{bits // 8}").tobytes()


def sparse(addresses: NDArray[np.uint64], sizes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The (index, size) rows of the symbols at ascending `addresses` that do not end where the next one begins."""
    following = np.append(addresses[1:], addresses[-1:])
    which = np.flatnonzero(addresses + sizes != following)
    return np.column_stack([which.astype(np.uint64), sizes[which]])


def from_sparse(addresses: NDArray[np.uint64], rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sizes again."""
    sizes = np.append(addresses[1:], addresses[-1:]) - addresses
    sizes[rows[:, 0].astype(np.int64)] = rows[:, 1]
    return sizes


def words(values: NDArray[np.unsignedinteger], byteorder: str) -> bytes:
    """Numbers of 32 bits."""
    return values.astype(f"{'<' if byteorder == 'little' else '>'}u4").tobytes()
