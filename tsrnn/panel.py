"""Panel: many series of different lengths as one flat array and offsets (like CSR)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tsrnn.calendars import TimeAxis

__all__ = ["Panel", "PanelCovariates", "thing_ids"]


@dataclass(frozen=True, eq=False)
class PanelCovariates:
    """Columns beside the target: float64, missing values NaN, categories as codes from 1 (0: unknown).

    Parameters
    ----------
    future : ndarray of shape (rows, column)
        Columns that are known in advance.
    past : ndarray of shape (rows, column)
        Columns that are known up to now.
    static : ndarray of shape (series, column)
        Columns that are constant for each series.
    ahead : ndarray of shape (series, step, column)
        ``future`` at the steps after the newest row, as far as it came with the rows.
    """

    future: np.ndarray
    past: np.ndarray
    static: np.ndarray
    ahead: np.ndarray

    @property
    def width(self) -> int:
        """Number of columns by row."""
        return self.future.shape[1] + self.past.shape[1]

    def take_rows(self, rows: slice | np.ndarray, *, to_the_end: bool) -> PanelCovariates:
        """Return those of some rows; what is ahead stays where the newest rows do."""
        ahead = self.ahead if to_the_end else self.ahead[:, :0]
        return replace(self, future=self.future[rows], past=self.past[rows], ahead=ahead)

    def select(self, rows: np.ndarray, which: np.ndarray) -> PanelCovariates:
        """Return those of some series, which have these rows."""
        return PanelCovariates(
            self.future[rows], self.past[rows], self.static[which], self.ahead[which]
        )


@dataclass(frozen=True, eq=False)
class Panel:
    """Series laid end to end, each on consecutive steps of one time axis.

    Row ``indptr[i] + j`` is step ``j`` of series ``i``; a step without a value is NaN, so that
    neighbouring rows of a series are always one step apart.

    Parameters
    ----------
    values : ndarray of shape (rows,)
        Target values in the source's precision; a view of the caller's column where that is possible.
    indptr : ndarray of int64, shape (series + 1,)
        Offsets: series ``i`` is ``values[indptr[i]:indptr[i + 1]]``.
    ids : pandas.Index of shape (series,)
        Names of the series, with the caller's dtype.
    times : ndarray of int64, shape (rows,)
        Time of each row in the axis' own unit (see :class:`tsrnn.calendars.TimeAxis`).
    axis : TimeAxis
        What a step is.
    weights : ndarray of shape (rows,), optional
        Importance of each row in the training loss.
    covariates : PanelCovariates, optional
        Columns beside the target.
    channels : int
        Neighbouring series that are channels of one thing, on the same steps: series
        ``i * channels + c`` is channel ``c`` of thing ``i``. What selects series takes all of a thing.
    """

    values: np.ndarray
    indptr: np.ndarray
    ids: pd.Index
    times: np.ndarray
    axis: TimeAxis
    weights: np.ndarray | None = None
    covariates: PanelCovariates | None = None
    channels: int = 1

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each series, shape (series,)."""
        return np.diff(self.indptr)

    @property
    def last_times(self) -> np.ndarray:
        """Time of the newest row of each series, shape (series,)."""
        return self.times[self.indptr[1:] - 1]

    @property
    def labels(self) -> pd.Index:
        """Names of the series in one word each: of channels, the thing and the channel."""
        if isinstance(self.ids, pd.MultiIndex):
            return pd.Index([f"{thing} {channel}" for thing, channel in self.ids])
        return self.ids

    def series(self, i: int) -> np.ndarray:
        """Return the values of series ``i`` (a view)."""
        return self.values[self.indptr[i] : self.indptr[i + 1]]

    def series_times(self, i: int) -> np.ndarray:
        """Return the times of series ``i`` (a view)."""
        return self.times[self.indptr[i] : self.indptr[i + 1]]

    def take_rows(self, start: np.ndarray, stop: np.ndarray) -> Panel:
        """Return the panel of rows ``start[i]:stop[i]`` (within each series), series kept in order.

        Parameters
        ----------
        start, stop : ndarray of int64, shape (series,)
            Positions within each series, ``0 <= start <= stop <= lengths``.
        """
        counts = stop - start
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        if len(self) == 1:
            rows: slice | np.ndarray = slice(int(start[0]), int(stop[0]))
        else:
            rows = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1] + start - indptr[:-1], counts)
        covariates = self.covariates
        if covariates is not None:
            whole = np.array_equal(stop, self.lengths)
            covariates = covariates.take_rows(rows, to_the_end=whole)
        return replace(
            self,
            values=self.values[rows],
            times=self.times[rows],
            indptr=indptr,
            weights=None if self.weights is None else self.weights[rows],
            covariates=covariates,
        )

    def drop_last(self, steps: int) -> Panel:
        """Return the panel without the newest ``steps`` rows of each series (at least 0 are left)."""
        stop = np.maximum(self.lengths - steps, 0)
        return self.take_rows(np.zeros_like(stop), stop)

    def tail(self, steps: int) -> Panel:
        """Return the panel of the newest ``steps`` rows of each series."""
        stop = self.lengths
        return self.take_rows(np.maximum(stop - steps, 0), stop)

    def select(self, which: np.ndarray) -> Panel:
        """Return the panel of the series at the positions ``which``, in that order."""
        which = np.asarray(which)
        counts = self.lengths[which]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1][which] - indptr[:-1], counts)
        return replace(
            self,
            values=self.values[rows],
            times=self.times[rows],
            indptr=indptr,
            ids=self.ids[which],
            weights=None if self.weights is None else self.weights[rows],
            covariates=None if self.covariates is None else self.covariates.select(rows, which),
        )

    def things(self) -> Panel:
        """Return the first channel of each thing, named by the thing alone."""
        if self.channels == 1:
            return self
        first = self.select(np.arange(0, len(self), self.channels))
        return replace(first, ids=thing_ids(self.ids, self.channels), channels=1)

    def matrix(self, steps: int) -> np.ndarray:
        """Return the newest ``steps`` values of each series as float64, shape (series, steps).

        Shorter series are filled with NaN on the left.
        """
        position = np.arange(-steps, 0)[None, :] + self.indptr[1:, None]
        inside = position >= self.indptr[:-1, None]
        values = self.values[np.where(inside, position, 0)].astype(np.float64)
        return np.where(inside, values, np.nan)


def thing_ids(ids: pd.Index, channels: int) -> pd.Index:
    """Return the name of each thing from those of its channels, which are pairs (thing, channel)."""
    first = ids[::channels]
    return first.get_level_values(0) if isinstance(first, pd.MultiIndex) else first
