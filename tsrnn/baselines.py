"""The forecasts every model must beat: naive, seasonal naive, drift, mean, smoothing, theta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from tsrnn.base import Forecast, Forecaster
from tsrnn.exceptions import DataError
from tsrnn.parameters import check_integer, check_option
from tsrnn.references import METHODS, baseline, panel_outlook

if TYPE_CHECKING:
    from tsrnn.panel import Panel

__all__ = ["METHODS", "BaselineForecaster", "baseline", "panel_forecast", "panel_outlook"]


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


class BaselineForecaster(Forecaster):
    """A simple method with the interface of every forecaster; what a model has to beat.

    Intervals are normal around the point forecast, with the standard deviation that the method
    itself implies, estimated from its one-step errors in the history (Hyndman and Athanasopoulos
    2021, section 5.5). A series without any value is refused.

    Parameters
    ----------
    method : {"naive", "seasonal_naive", "naive2", "drift", "mean", "ses", "theta"}, default "naive"
        See :func:`baseline`; of a long series, "ses" and "theta" read the newest 2,000 rows.
    horizon : int, optional
        Steps that ``predict`` writes; from the frequency when None.
    id_col, time_col, target_col, freq : str, optional
        Recognised in the frame when None. ``target_col`` may be a list: each target is forecast by itself.
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
        target_col: str | Sequence[str] | None = None,
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
