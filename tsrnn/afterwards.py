"""The rows that came true after the training data, beside what was said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError, shown
from tsrnn.panel import Panel

__all__ = ["mean_skill", "rows_ahead"]


def rows_ahead(truth: Panel, tail: Panel, horizon: int) -> tuple[int, np.ndarray]:
    """Place rows among the steps after ``tail``.

    Parameters
    ----------
    truth : Panel
        Rows of series that ``tail`` has, in any order of series, before and after its end.
    tail : Panel
    horizon : int

    Returns
    -------
    horizon : int
        As given, or more where a series of ``truth`` goes on for longer.
    cell : ndarray of shape (row,)
        Index of each row of ``truth`` into (series of ``tail``, step), -1 where it is none of them.

    Raises
    ------
    DataError
        A series is not in ``tail``.
    """
    fitted = tail.ids.get_indexer(truth.ids)
    if (fitted < 0).any():
        raise DataError(
            f"score(df) needs series that were fitted. Got {truth.ids[fitted < 0][0]!r} "
            f"(the first of {(fitted < 0).sum()}). Leave them out."
        )
    last = tail.last_times
    series = np.repeat(fitted, truth.lengths)
    horizon = max(horizon, int(np.bincount(series, truth.times > last[series]).max()))
    ahead = pd.MultiIndex.from_arrays(
        [np.repeat(np.arange(len(tail)), horizon), tail.axis.future(last, horizon).ravel()]
    )
    return horizon, ahead.get_indexer(pd.MultiIndex.from_arrays([series, truth.times]))


def mean_skill(
    truth: Panel, tail: Panel, cell: np.ndarray, said: np.ndarray, naive: np.ndarray
) -> float:
    """Return 1 - MAE / MAE of a naive forecast over the rows that were forecast, the mean over channels.

    Parameters
    ----------
    truth, tail, cell
        As in :func:`rows_ahead`.
    said, naive : ndarray of shape (series of ``tail``, step)

    Raises
    ------
    DataError
        No row can be compared.
    """
    value = truth.values.astype(np.float64)
    known = np.isfinite(said + naive).ravel()  # not for a series without any value
    scored = (cell >= 0) & np.isfinite(value) & known[cell]
    if not scored.any():
        raise DataError(
            "score(df) needs rows that follow the training data. Got none within "
            f"{said.shape[1]} steps of its end ({tail.axis.label(tail.last_times[0])} for series "
            f"{shown(tail.ids[0])}). Give the rows that came true after the training rows."
        )
    cell, value = cell[scored], value[scored]
    error = np.abs(said.ravel()[cell] - value)
    reference = np.abs(naive.ravel()[cell] - value)
    channel = cell // said.shape[1] % tail.channels
    each = [
        _skill(error[channel == c].mean(), reference[channel == c].mean())
        for c in np.unique(channel)
    ]
    return float(np.mean(each))


def _skill(error: float, reference: float) -> float:
    if reference == 0:
        return 0.0 if error == 0 else -1.0
    return 1 - error / reference
