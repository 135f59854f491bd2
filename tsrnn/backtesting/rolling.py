"""Backtest: forecast from several past origins, next to the naive forecasts, and compare."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from tsrnn.backtesting.comparison import MODEL, BacktestResult, Folds, compare
from tsrnn.backtesting.folds import Window, cut_windows
from tsrnn.base import Forecaster
from tsrnn.baselines import panel_forecast
from tsrnn.exceptions import DataError, DataWarning, SkillWarning, warn
from tsrnn.frames.formats import FrameFormat
from tsrnn.intervals import interval_columns
from tsrnn.panel import Panel
from tsrnn.parameters import check_integer
from tsrnn.references import panel_scale

__all__ = ["BASELINES", "backtest"]

BASELINES = ("naive", "seasonal_naive", "drift", "theta")


def backtest(
    forecaster: Forecaster,
    df: Any,
    *,
    n_windows: int = 5,
    step: int | None = None,
    horizon: int | None = None,
    refit: bool | int = True,
    level: float | Sequence[float] | None = None,
    quantiles: Sequence[float] | None = None,
    static_df: Any = None,
) -> BacktestResult:
    """Forecast from ``n_windows`` past origins of each series and compare with what came true.

    At each cutoff the forecaster sees the rows up to it, the future covariates of the rows that judge,
    and nothing else; ``forecaster`` itself is not changed. Cutoffs are counted from the end of each series, so series may end at different times. A
    series takes part in a window if at least ``horizon`` rows, one value among them, come before the
    cutoff. Steps whose value is missing are forecast and not scored.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted or not; a clone is fitted.
    df : frame
        Any frame that ``fit`` takes.
    n_windows : int, default 5
        Number of cutoffs.
    step : int, optional
        Rows from one cutoff to the next; ``horizon`` when not given, so that no row judges twice.
    horizon : int, optional
        Steps to forecast; the forecaster's own when not given.
    refit : bool or int, default True
        True fits at every cutoff, False once at the oldest one, ``k`` at every k-th.
    level : float or sequence of float, optional
        Central intervals in percent, scored by coverage, pinball loss and CRPS.
    quantiles : sequence of float, optional
        Probabilities, scored by pinball loss and CRPS.
    static_df : frame, optional
        The columns of ``static_covariates``, one row for each series.

    Returns
    -------
    BacktestResult

    Raises
    ------
    DataError
        The frame can't be used, or no series is long enough for the oldest window.
    ParameterError
        A parameter can't be used.

    Warns
    -----
    DataWarning
        Series are left out of some windows; once, with the first of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrnn import BaselineForecaster, backtest
    >>> ds = pd.date_range("2024-01-01", periods=28)
    >>> df = pd.DataFrame({"ds": ds, "y": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0] * 4})
    >>> result = backtest(BaselineForecaster("seasonal_naive", horizon=7), df, n_windows=2)
    >>> result.scores["mae"].round(2).to_dict()
    {'model': 0.0, 'naive': 4.71, 'seasonal_naive': 0.0, 'drift': 6.75, 'theta': 1.52}
    """
    n_windows = check_integer("n_windows", n_windows, low=1)
    step = check_integer("step", step, low=1, optional=True)
    horizon = check_integer("horizon", horizon, low=1, optional=True)
    every = _windows_per_fit(refit=refit, n_windows=n_windows)
    columns = interval_columns(level, quantiles)
    forecaster._check_parameters()  # noqa: SLF001
    panel, format_ = forecaster._read(df, static_df=static_df)  # noqa: SLF001
    format_.check_names({"cutoff"} | format_.names_by_target(("actual", "forecast", *columns)))
    model = clone(forecaster)
    if model.horizon is None:
        model.set_params(horizon=panel.axis.horizon if horizon is None else horizon)
    horizon = model.horizon if horizon is None else horizon
    step = horizon if step is None else step
    windows = _windows(panel, horizon=horizon, n_windows=n_windows, step=step)
    probabilities = tuple(sorted({*columns.values(), 0.5})) if columns else ()
    folds = Folds.empty(n_windows, len(panel), horizon, probabilities)
    _roll(model, panel, format_, windows, every=every, folds=folds)
    return compare(folds, panel, format_, columns=columns, step=step)


def _roll(
    model: Forecaster,
    panel: Panel,
    format_: FrameFormat,
    windows: list[Window],
    *,
    every: int,
    folds: Folds,
) -> None:
    """Fill ``folds`` window by window; nothing but ``window.past(panel)`` reaches a forecaster."""
    season = panel.axis.season if model.season is None else model.season
    horizon, probabilities = folds.actual.shape[2], folds.probabilities
    for number, window in enumerate(windows):
        past, series = window.past(panel), window.series
        if number % every == 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SkillWarning)  # the backtest itself is the verdict
                model = clone(model)._fit_read(past, format_)  # noqa: SLF001
        rows = window.future(panel)
        ahead = None
        if panel.covariates is not None and panel.covariates.future.shape[1]:
            ahead = panel.covariates.future[rows]
        forecast = model._say(  # noqa: SLF001
            None if number % every == 0 else past, horizon, probabilities, ahead
        )
        folds.put(MODEL, number, series, forecast.point, forecast.quantiles)
        for method in BASELINES:
            forecast = panel_forecast(method, past, horizon, season, probabilities)
            folds.put(method, number, series, forecast.point, forecast.quantiles)
        folds.actual[number, series] = panel.values[rows]
        folds.times[number, series] = panel.times[rows]
        folds.cutoffs[number, series] = past.last_times
        folds.taking_part[number, series] = True
        folds.previous[number, series] = panel_forecast("naive", past, 1, 1, ()).point[:, 0]
        folds.scale[number, series] = panel_scale(past, season)


def _windows_per_fit(*, refit: bool | int, n_windows: int) -> int:
    if isinstance(refit, bool):
        return 1 if refit else n_windows
    return int(check_integer("refit", refit, low=1))


def _windows(panel: Panel, *, horizon: int, n_windows: int, step: int) -> list[Window]:
    """Return the windows with the series that can take part; warn of those that can't in all."""
    windows = cut_windows(
        panel.lengths, horizon=horizon, n_windows=n_windows, step=step, least=horizon
    )
    seen = np.concatenate([[0], np.cumsum(~np.isnan(panel.values))])
    for number, window in enumerate(windows):
        first = panel.indptr[:-1][window.series]
        some = seen[first + window.known] > seen[first]
        some = some.reshape(-1, panel.channels).any(1).repeat(panel.channels)
        windows[number] = Window(window.series[some], window.known[some], horizon)
    if not all(len(window.series) for window in windows):
        raise DataError(
            "Every window needs a series with a value before its cutoff. Got none for the oldest of "
            f"{n_windows} windows. Ask for fewer windows, or drop the empty rows at the start."
        )
    counts = np.bincount(np.concatenate([w.series for w in windows]), minlength=len(panel))
    short = np.flatnonzero(counts < n_windows)
    if len(short):
        which, count = panel.ids[short[0]], counts[short[0]]
        need = 2 * horizon + (n_windows - 1) * step
        warn(
            f"Series {which!r} with {panel.lengths[short[0]]} rows is in {count} of {n_windows} windows "
            f"(the first of {len(short)} such series); all of them need {need} rows, with a value among "
            f"the first {horizon}.",
            DataWarning,
        )
    return windows
