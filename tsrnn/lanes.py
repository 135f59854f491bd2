"""Lanes: a panel read from end to end, side by side, chunk after chunk, for truncated backpropagation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tsrnn.windows import of_channels

__all__ = ["walk_lanes"]

Places = tuple[np.ndarray, np.ndarray, np.ndarray]


def walk_lanes(
    stop: np.ndarray,
    *,
    lanes: int,
    chunk: int,
    patch: int,
    rng: np.random.Generator,
    channels: int = 1,
) -> Iterator[Places]:
    """Walk through a panel for ever, each lane from one chunk to the next of the same series.

    Series are cut into about as many pieces of equal length as there are lanes; a lane that ends a piece
    goes on with another, drawn without repetition until each was read.

    Parameters
    ----------
    stop : ndarray of int64, shape (series,)
        Rows of each series that may be seen; those with fewer than two are left out.
    lanes : int
    chunk : int
        Rows of a chunk, whole patches.
    patch : int
        Rows of a recurrent step; their grid is drawn anew for each walk through the panel.
    rng : numpy Generator
    channels : int
        Neighbouring series that are read side by side in one lane.

    Yields
    ------
    series, start : ndarray of int64, shape (lane * channels,)
        Where each lane's chunk begins.
    fresh : ndarray of bool, shape (lane * channels,)
        Whether it is the first of a piece, read without what came before.
    """
    pieces = _pieces(np.where(stop >= 2, stop, 0)[::channels], lanes, chunk, patch, rng)
    series, start, end = (np.zeros(lanes, dtype=np.int64) for _ in range(3))
    while True:
        fresh = start >= end
        for lane in np.flatnonzero(fresh):
            series[lane], start[lane], end[lane] = next(pieces)
        yield of_channels(series.copy(), channels), start.repeat(channels), fresh.repeat(channels)
        start += chunk


def _pieces(
    stop: np.ndarray, lanes: int, chunk: int, patch: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Draw pieces (series, first row, last row and one), every row once before any comes again."""
    length = -(-int(stop.sum()) // (lanes * chunk)) * chunk
    while True:
        shift = rng.integers(0, patch, len(stop))
        counts = np.where(stop > 0, -(-(stop + shift) // length), 0)
        series = np.repeat(np.arange(len(stop)), counts)
        number = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = number * length - shift[series]
        last = np.minimum(first + length, stop[series])
        for i in rng.permutation(len(series)):
            yield int(series[i]), int(first[i]), int(last[i])
