"""Where a stamp stands in the day, the week and the year, as columns that are known in advance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tsrnn.calendars.axis import TimeAxis
from tsrnn.panel import Panel, PanelCovariates

__all__ = ["FEATURES", "calendar_codes", "choose_features", "dated_ahead", "with_calendar"]

FEATURES = ("hour", "weekday", "day_of_year", "month")
YEARS = 2  # that a record must span for its day of the year to say something
YEAR = 365.25  # days


def calendar_codes(axis: TimeAxis, times: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return sine and cosine of the place of each time in its cycle, shape (..., 2 * names).

    Parameters
    ----------
    axis : TimeAxis
        Of datetimes or periods.
    times : ndarray of int64
    names : tuple of str
        Of ``FEATURES``: the time of day, the day of the week, of the year (both with the time of day), the month.
    """
    if not names:
        return np.empty((*times.shape, 0))
    index = axis.to_index(times.ravel())
    stamps = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else pd.DatetimeIndex(index)
    seconds = stamps.hour * 3600 + stamps.minute * 60 + stamps.second
    day = seconds.to_numpy() / 86400
    place = {
        "hour": day,
        "weekday": (stamps.day_of_week.to_numpy() + day) / 7,
        "day_of_year": (stamps.day_of_year.to_numpy() - 1 + day) / YEAR,
        "month": (stamps.month.to_numpy() - 1) / 12,
    }
    angle = 2 * np.pi * np.stack([place[name] for name in names], 1)
    codes = np.stack([np.sin(angle), np.cos(angle)], 2)
    return codes.reshape(*times.shape, 2 * len(names))


def choose_features(panel: Panel, seasons: tuple[int, ...]) -> tuple[str, ...]:
    """Return the features of cycles that no season covers, and that the longest series shows twice.

    Lags of ``seasons`` cover the day and the week of the usual frequencies; what is left is the year of
    records by the day or by shorter steps.
    """
    axis = panel.axis
    if axis.kind == "integer":
        return ()
    times = panel.series_times(int(panel.lengths.argmax()))
    index = axis.to_index(times[[0, -1]])
    first, last = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    days = (last - first) / pd.Timedelta(days=1)
    per_day = len(times) / max(days, 1.0)
    whole_year = any(abs(season - YEAR * per_day) < 0.05 * YEAR * per_day for season in seasons)
    return ("day_of_year",) if days >= YEARS * YEAR and per_day > 0.6 and not whole_year else ()


def with_calendar(panel: Panel, names: tuple[str, ...]) -> Panel:
    """Return the panel with the codes of its stamps as the last columns that are known in advance."""
    if not names:
        return panel
    codes = calendar_codes(panel.axis, panel.times, names)
    beside = panel.covariates
    if beside is None:
        none = np.empty((len(panel.values), 0))
        beside = PanelCovariates(
            none, none, np.empty((len(panel), 0)), np.empty((len(panel), 0, 0))
        )
    beside = replace(
        beside,
        future=np.concatenate([beside.future, codes], 1),
        ahead=dated_ahead(panel.axis, panel.last_times, beside.ahead, names),
    )
    return replace(panel, covariates=beside)


def dated_ahead(
    axis: TimeAxis, last_times: np.ndarray, ahead: np.ndarray, names: tuple[str, ...]
) -> np.ndarray:
    """Return covariates of the steps after each series (series, step, column) with the codes of their stamps."""
    if not names:
        return ahead
    codes = calendar_codes(axis, axis.future(last_times, ahead.shape[1]), names)
    return np.concatenate([ahead, codes], 2)
