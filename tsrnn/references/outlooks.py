"""Simple methods by name: for arrays of series, and for panels of any lengths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsrnn.panel import Panel
from tsrnn.parameters import check_integer, check_option
from tsrnn.references.adjusted import naive2
from tsrnn.references.simple import Outlook, drift, mean, naive, seasonal_naive
from tsrnn.references.smoothing import ses, theta

__all__ = ["METHODS", "ROWS_READ", "baseline", "panel_outlook", "panel_scale"]

_BLOCK = 2_000_000  # entries of a matrix of similar lengths
ROWS_READ = {"ses": 2_000, "theta": 2_000}  # newest rows of a series in a panel; of the others all

METHODS: dict[str, Callable[[np.ndarray, int, int], Outlook]] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "naive2": naive2,
    "drift": drift,
    "mean": mean,
    "ses": ses,
    "theta": theta,
}


def baseline(method: str, history: np.ndarray, horizon: int, season: int = 1) -> np.ndarray:
    """Forecast every series with a simple method.

    Parameters
    ----------
    method : {"naive", "seasonal_naive", "naive2", "drift", "mean", "ses", "theta"}
        The last value; the last value of the same phase; the last value, seasonally adjusted; the line
        through first and last value; the mean of all; simple exponential smoothing; the theta method.
        Naive2 and the last two adjust where the series is seasonal.
    history : ndarray of shape (series, steps)
        Values, newest on the right; NaN where there is none.
    horizon : int
        Steps to forecast.
    season : int, default 1
        Steps of one season (1: none).

    Returns
    -------
    ndarray of shape (series, horizon)
        Forecasts; NaN for a series without any value.

    Examples
    --------
    >>> import numpy as np
    >>> baseline("seasonal_naive", np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), horizon=4, season=3)
    array([[3., 4., 5., 3.]])
    """
    check_option("method", method, METHODS)
    check_integer("horizon", horizon, low=1)
    check_integer("season", season, low=1)
    return METHODS[method](np.asarray(history, dtype=np.float64), horizon, season).point


def panel_outlook(method: str, panel: Panel, horizon: int, season: int) -> Outlook:
    """Return forecasts and deviations after each series of a panel.

    Series of similar length are computed together. Of a long series, "ses" and "theta" read the
    newest 2,000 rows.
    """
    point = np.full((len(panel), horizon), np.nan)
    spread = point.copy()
    lengths = np.minimum(panel.lengths, ROWS_READ.get(method, panel.lengths))
    for rows in _blocks(lengths):
        history = panel.select(rows).matrix(int(lengths[rows].max()))
        outlook = METHODS[method](history, horizon, season)
        point[rows], spread[rows] = outlook.point, outlook.spread
    return Outlook(point, spread)


def _blocks(lengths: np.ndarray) -> list[np.ndarray]:
    """Return groups of series whose matrix stays small, shortest first."""
    order = np.argsort(lengths, kind="stable")
    groups, start = [], 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= _BLOCK:
            stop += 1
        groups.append(order[start:stop])
        start = stop
    return groups


def panel_scale(panel: Panel, season: int) -> np.ndarray:
    """Return the in-sample seasonal naive error of each series, shape (series,).

    The denominator of the mean absolute scaled error, as :func:`tsrnn.metrics.naive_scale`; NaN where
    a series has no pair of values a season apart.
    """
    values = panel.values.astype(np.float64, copy=False)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    change = np.abs(values[season:] - values[:-season])
    usable = (series[season:] == series[:-season]) & ~np.isnan(change)
    series = series[season:][usable]
    count = np.bincount(series, minlength=len(panel))
    total = np.bincount(series, change[usable], minlength=len(panel))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
