"""Rolling origins: which rows of each series a forecaster may know, and which rows judge it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsrnn.exceptions import DataError
from tsrnn.frames.layout import lay_out
from tsrnn.frames.sources import open_source
from tsrnn.frames.stamps import read_stamps
from tsrnn.panel import Panel
from tsrnn.parameters import check_integer

__all__ = ["RollingOriginSplit", "Window", "cut_windows"]


@dataclass(frozen=True)
class Window:
    """One cutoff of every series that is long enough for it.

    Parameters
    ----------
    series : ndarray of int64, shape (series in the window,)
        Positions of the series that take part.
    known : ndarray of int64, shape (series in the window,)
        Rows of each before the cutoff; the next ``horizon`` rows judge.
    horizon : int
        Steps that are judged.
    """

    series: np.ndarray
    known: np.ndarray
    horizon: int

    def past(self, panel: Panel) -> Panel:
        """Return the rows up to the cutoff, and nothing after it."""
        if len(self.series) < len(panel):
            panel = panel.select(self.series)
        return panel.take_rows(np.zeros_like(self.known), self.known)

    def future(self, panel: Panel) -> np.ndarray:
        """Return the rows that judge, as positions in ``panel``, shape (series in the window, horizon)."""
        first = panel.indptr[:-1][self.series] + self.known
        return np.asarray(first[:, None] + np.arange(self.horizon))

    def ahead(self, panel: Panel) -> np.ndarray | None:
        """Return the future covariates of the rows that judge; None where there are none."""
        if panel.covariates is None or not panel.covariates.future.shape[1]:
            return None
        return panel.covariates.future[self.future(panel)]


def cut_windows(
    lengths: np.ndarray, *, horizon: int, n_windows: int, step: int, least: int = 1
) -> list[Window]:
    """Return the windows, oldest first, their cutoffs counted from the end of each series.

    Parameters
    ----------
    lengths : ndarray of int64, shape (series,)
        Rows of each series.
    horizon : int
        Rows after each cutoff.
    n_windows : int
        Number of cutoffs.
    step : int
        Rows from one cutoff to the next.
    least : int, default 1
        Rows that a series must have before a cutoff to take part in that window.

    Raises
    ------
    DataError
        No series is long enough for the oldest window.
    """
    windows = []
    for ago in reversed(range(n_windows)):
        known = lengths - horizon - ago * step
        series = np.flatnonzero(known >= least)
        windows.append(Window(series, known[series], horizon))
    if not len(windows[0].series):
        longest = int(lengths.max())
        need = least + horizon + (n_windows - 1) * step
        fits = (longest - horizon - least) // step + 1
        remedy = f"Ask for at most n_windows={fits}" if fits > 0 else "Shorten the horizon"
        raise DataError(
            f"n_windows={n_windows} with horizon={horizon} and step={step} needs a series of at least "
            f"{need} rows. Got at most {longest}. {remedy}, or give longer series."
        )
    return windows


class RollingOriginSplit:
    """Cross-validation splitter of scikit-learn for frames of time series.

    In each split, the training rows are all rows of each series up to its cutoff, the test rows the
    next ``horizon``. Cutoffs are counted from the end of each series, oldest first; a series too
    short for a window has no rows in it.

    Parameters
    ----------
    horizon : int
        Rows of each series in a test set.
    n_windows : int, default 5
        Number of splits.
    step : int, optional
        Rows from one cutoff to the next; ``horizon`` when not given.
    id_col, time_col, target_col : str (target_col: or a list of them), optional
        Recognised in the frame as ``fit`` does.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrnn import RollingOriginSplit
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=5), "y": range(5)})
    >>> for train, test in RollingOriginSplit(horizon=1, n_windows=2).split(df):
    ...     print(train, test)
    [0 1 2] [3]
    [0 1 2 3] [4]
    """

    def __init__(
        self,
        horizon: int,
        n_windows: int = 5,
        step: int | None = None,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | Sequence[str] | None = None,
    ) -> None:
        self.horizon = horizon
        self.n_windows = n_windows
        self.step = step
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; the arguments are not used."""
        del X, y, groups
        return int(check_integer("n_windows", self.n_windows, low=1))

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the positions of training and test rows in the frame ``X``, each ascending.

        Parameters
        ----------
        X : frame
            Any frame that ``fit`` takes; of a wide frame, a row holds all series.
        y, groups : None
            Not used; here because scikit-learn passes them.

        Yields
        ------
        train, test : ndarray of int64

        Raises
        ------
        DataError
            The frame can't be read, or no series is long enough.
        """
        del y, groups
        horizon = check_integer("horizon", self.horizon, low=1)
        step = check_integer("step", self.step, low=1, optional=True) or horizon
        source = open_source(
            X, id_col=self.id_col, time_col=self.time_col, target_col=self.target_col
        )
        stamps = read_stamps(source.times, "the times")
        layout = lay_out(source.ids, "the ids", stamps.times, stamps.bare, "X")
        row = np.arange(len(stamps.times)) if layout.order is None else layout.order
        windows = cut_windows(
            np.diff(layout.indptr), horizon=horizon, n_windows=self.get_n_splits(), step=step
        )
        for window in windows:
            first = layout.indptr[:-1][window.series]
            train = [np.arange(a, a + count) for a, count in zip(first, window.known, strict=True)]
            test = first[:, None] + window.known[:, None] + np.arange(horizon)
            yield np.sort(row[np.concatenate(train)]), np.sort(row[test.ravel()])

    def __repr__(self) -> str:
        return f"RollingOriginSplit(horizon={self.horizon}, n_windows={self.n_windows}, step={self.step})"
