"""Images made smaller in one pass over their own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cath_perception.compiled import compiled

Floats = NDArray[np.float32]
Places = NDArray[np.uint64]
"""Unsigned, for which numba needs no test whether an index counts from the end: half of a kernel's time."""


def covering(length: int, target: int) -> tuple[Places, Floats]:
    """Of ``target`` px that ``length`` px shrink to, each one's first px, ``(target,)``, and the parts that it has of that
    and the next ones, ``(taps, target)``: the mean of what it covers, as OpenCV's INTER_AREA.
    """
    edges = np.arange(target + 1) * (length / target)
    taps = min(int(np.ceil(length / target)) + 1, length)
    first = np.minimum(np.floor(edges[:-1] + 1e-9).astype(np.int64), length - taps)
    px = first + np.arange(taps)[:, None]
    covered = np.maximum(np.minimum(edges[1:], px + 1) - np.maximum(edges[:-1], px), 0.0)
    return first.astype(np.uint64), (covered / covered.sum(axis=0)).astype(np.float32)


_PIXELS = "u1[:, ::1]", "u2[:, ::1]", "f4[:, ::1]"


@compiled(*(f"({pixels}, u8[::1], f4[:, ::1], u8[::1], f4[:, ::1], f4[:, :])" for pixels in _PIXELS))
def shrink(
    pixels: NDArray[np.generic],
    first_row: Places,
    row_parts: Floats,
    first_column: Places,
    column_parts: Floats,
    shrunk: Floats,
) -> None:
    """Fill ``(h, w)`` from larger ``pixels``, with what ``covering`` says of rows and columns."""
    row = np.empty(pixels.shape[1], np.float32)
    for i in range(len(first_row)):
        _mean_row(pixels, first_row[i], row_parts[:, i], row)
        if len(column_parts) == 3:
            _thirds(row, first_column, column_parts, shrunk[i])
        else:
            shrunk[i] = 0.0
            for k in range(len(column_parts)):
                parts, out, offset = column_parts[k], shrunk[i], np.uint64(k)
                for j in range(len(first_column)):
                    out[j] += parts[j] * row[first_column[j] + offset]


@compiled()
def _mean_row(pixels: NDArray[np.generic], first: int, parts: Floats, row: Floats) -> None:
    """The weighted sum of as many rows as there are parts."""
    for k in range(len(parts)):
        source, part = pixels[first + np.uint64(k)], parts[k]
        if k == 0:
            for j in range(len(row)):
                row[j] = part * np.float32(source[j])
        else:
            for j in range(len(row)):
                row[j] += part * np.float32(source[j])


@compiled()
def _thirds(row: Floats, first: Places, parts: Floats, shrunk: Floats) -> None:
    """Weighted sums of three px: twice as fast as a loop over them."""
    here, after, last, one, two = parts[0], parts[1], parts[2], np.uint64(1), np.uint64(2)
    for j in range(len(first)):
        at = first[j]
        shrunk[j] = here[j] * row[at] + after[j] * row[at + one] + last[j] * row[at + two]
