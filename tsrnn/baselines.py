"""The forecasts every model must beat: naive, seasonal naive, drift, mean, smoothing, theta."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from tsrnn.base import Forecast, Forecaster
from tsrnn.exceptions import DataError
from tsrnn.parameters import check_integer, check_option
from tsrnn.simple import Outlook, drift, mean, naive, seasonal_naive
from tsrnn.smoothing import ses, theta

if TYPE_CHECKING:
    from tsrnn.panel import Panel

__all__ = [
    "METHODS",
    "BaselineForecaster",
    "baseline",
    "panel_forecast",
    "panel_outlook",
    "reference_forecast",
]

_BLOCK = 2_000_000  # entries of a matrix of similar lengths
_SMOOTHED = 2_000  # newest rows of a series that the smoothing methods read in a panel

METHODS: dict[str, Callable[[np.ndarray, int, int], Outlook]] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "drift": drift,
    "mean": mean,
    "ses": ses,
    "theta": theta,
}


def baseline(method: str, history: np.ndarray, horizon: int, season: int = 1) -> np.ndarray:
    """Forecast every series with a simple method.

    Parameters
    ----------
    method : {"naive", "seasonal_naive", "drift", "mean", "ses", "theta"}
        The last value; the last value of the same phase; the line through first and last value; the
        mean of all; simple exponential smoothing; the theta method. The last two are seasonally
        adjusted where the series is seasonal.
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
    smooth = method in {"ses", "theta"}
    lengths = np.minimum(panel.lengths, _SMOOTHED) if smooth else panel.lengths
    for rows in _blocks(lengths):
        history = panel.select(rows).matrix(int(lengths[rows].max()))
        outlook = METHODS[method](history, horizon, season)
        point[rows], spread[rows] = outlook.point, outlook.spread
    return Outlook(point, spread)


def panel_forecast(
    method: str, panel: Panel, horizon: int, season: int, probabilities: tuple[float, ...]
) -> Forecast:
    """Return forecasts and normal quantiles after each series of a panel.

    Where the history is too short to tell the deviation, the quantiles are the point forecast.
    """
    outlook = panel_outlook(method, panel, horizon, season)
    spread = np.nan_to_num(outlook.spread)
    return Forecast(
        outlook.point, outlook.point[..., None] + spread[..., None] * ndtri(np.array(probabilities))
    )


def reference_forecast(forecaster: Forecaster, horizon: int) -> np.ndarray:
    """Return seasonal naive after the training data of a fitted forecaster, shape (series, horizon)."""
    tail = forecaster._history_tail()  # noqa: SLF001
    return panel_outlook("seasonal_naive", tail, horizon, forecaster.season_).point


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


class BaselineForecaster(Forecaster):
    """A simple method with the interface of every forecaster; what a model has to beat.

    Intervals are normal around the point forecast, with the standard deviation that the method
    itself implies, estimated from its one-step errors in the history (Hyndman and Athanasopoulos
    2021, section 5.5). A series without any value is refused.

    Parameters
    ----------
    method : {"naive", "seasonal_naive", "drift", "mean", "ses", "theta"}, default "naive"
        See :func:`baseline`; of a long series, "ses" and "theta" read the newest 2,000 rows.
    horizon : int, optional
        Steps that ``predict`` writes; from the frequency when None.
    id_col, time_col, target_col, freq : str, optional
        Recognised in the frame when None.
    calendar : str, sequence or offset, optional
        Sessions of a trading calendar: an exchange name, holidays, or a pandas offset.
    season : int, optional
        Steps of one season (1: none); from the frequency when None.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrnn import BaselineForecaster
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=4), "y": [1.0, 2.0, 3.0, 4.0]})
    >>> BaselineForecaster("drift", horizon=2).fit(df).predict()["forecast"].tolist()
    [5.0, 6.0]
    """

    def __init__(
        self,
        method: str = "naive",
        *,
        horizon: int | None = None,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | None = None,
        freq: Any = None,
        calendar: Any = None,
        season: int | None = None,
    ) -> None:
        self.method = method
        self.horizon = horizon
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.freq = freq
        self.calendar = calendar
        self.season = season

    def _check_parameters(self) -> None:
        check_option("method", self.method, METHODS)
        check_integer("horizon", self.horizon, low=1, optional=True)
        check_integer("season", self.season, low=1, optional=True)

    def _fit_panel(self, panel: Panel, notify: Callable[[int, dict[str, float]], None]) -> None:
        del notify
        _check_some_value(panel)
        # a copy, since a panel may be a view of the caller's frame
        self.panel_ = replace(panel, values=panel.values.copy(), times=panel.times.copy())

    def _forecast_panel(
        self, panel: Panel | None, horizon: int, probabilities: tuple[float, ...]
    ) -> Forecast:
        if panel is None:
            panel = self.panel_
        else:
            _check_some_value(panel)
        return panel_forecast(self.method, panel, horizon, self.season_, probabilities)

    def _history_tail(self) -> Panel:
        return self.panel_


def _check_some_value(panel: Panel) -> None:
    seen = np.concatenate([[0], np.cumsum(~np.isnan(panel.values))])
    empty = np.flatnonzero(np.diff(seen[panel.indptr]) == 0)
    if empty.size:
        raise DataError(
            f"Every series needs at least one value. Got none for series {panel.ids[empty[0]]!r} "
            f"({empty.size} such series). Leave it out."
        )
