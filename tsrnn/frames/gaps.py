"""Steps without a row become rows without a value, so that neighbours are always one step apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsrnn.calendars import TimeAxis
from tsrnn.calendars.frequency import is_complete
from tsrnn.exceptions import FrequencyError, shown
from tsrnn.frames.layout import Layout

__all__ = ["Filled", "fill_gaps"]

_MOST_EMPTY = 10  # rows after filling, per row before
_SLACK = 20  # a few rows with one hole are no other frequency


@dataclass(frozen=True)
class Filled:
    """Rows with every step of the axis present.

    Parameters
    ----------
    values, times, weights : ndarray of shape (rows,)
        As in :class:`~tsrnn.panel.Panel`; added steps are NaN and weigh 0.
    indptr : ndarray of int64, shape (series + 1,)
        Offsets of the series.
    given : ndarray
        The values as they were given.
    gap_steps : int
        Number of added steps.
    first_gap : int
        Given row that follows the first of them.
    offset : ndarray of int64, shape (given rows,), optional
        Row of each given row; None: nothing was added.
    """

    values: np.ndarray
    times: np.ndarray
    weights: np.ndarray | None
    indptr: np.ndarray
    given: np.ndarray
    gap_steps: int = 0
    first_gap: int = 0
    offset: np.ndarray | None = None

    def spread(self, columns: np.ndarray) -> np.ndarray:
        """Return columns (given rows, column) with NaN at the added steps."""
        if self.offset is None:
            return columns
        full = np.full((len(self.times), columns.shape[1]), np.nan)
        full[self.offset] = columns
        return full


def fill_gaps(
    axis: TimeAxis,
    layout: Layout,
    values: np.ndarray,
    weights: np.ndarray | None,
    before: np.ndarray | int = 0,
) -> Filled:
    """Return the rows with a row for every step between the first and the last of each series.

    ``before`` is how many rows of each series, all on their steps, came before these.

    Raises
    ------
    FrequencyError
        A series would grow more than tenfold: its times follow another step.
    """
    given = Filled(values, layout.times, weights, layout.indptr, values)
    if axis.observed or is_complete(axis, layout.times, layout.indptr, even=layout.even):
        return given
    position = axis.position(layout.times)
    steps = np.diff(position)
    steps[layout.indptr[1:-1] - 1] = axis.step
    steps //= axis.step
    offset = np.concatenate([[0], np.cumsum(steps)])
    rows = int(offset[-1]) + 1
    starts = offset[layout.indptr[:-1]]
    indptr = np.append(starts, rows).astype(np.int64)
    _check_not_empty(axis, layout, np.diff(indptr), before)
    # rows of one time of day: the first stamp of the series says which
    series = np.repeat(np.arange(len(layout.ids)), np.diff(indptr))
    first = layout.indptr[:-1][series]
    ahead = (np.arange(rows) - starts[series]) * axis.step
    times = axis.stamp(position[first] + ahead, layout.times[first])
    times[offset] = layout.times
    full = np.full(rows, np.nan, dtype=values.dtype)
    full[offset] = values
    if weights is not None:
        spread = np.zeros(rows, dtype=weights.dtype)
        spread[offset] = weights
        weights = spread
    added = rows - len(layout.times)
    first_gap = int((steps > 1).argmax()) + 1
    return Filled(full, times, weights, indptr, values, added, first_gap, offset)


def _check_not_empty(
    axis: TimeAxis, layout: Layout, lengths: np.ndarray, before: np.ndarray | int
) -> None:
    given = np.diff(layout.indptr)
    empty = lengths + before > _MOST_EMPTY * (given + before) + _SLACK
    if not empty.any():
        return
    i = int(empty.argmax())
    name = f"Series {shown(layout.ids[i])}" if layout.named else "The series"
    raise FrequencyError(
        f"{name} must have rows on most steps of its frequency {axis.freq!r}. Got {given[i]} rows on {lengths[i]} steps "
        f"from {axis.label(layout.times[layout.indptr[i]])} to {axis.label(layout.times[layout.indptr[i + 1] - 1])}. "
        "Check the first and last times, give freq=, or aggregate with tsrnn.regularize(df, freq)."
    )
