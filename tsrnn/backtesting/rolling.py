"""Backtest: forecast from several past origins, next to the naive forecasts, and compare."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrnn.backtesting.comparison import MODEL, BacktestResult, Folds, compare
from tsrnn.backtesting.folds import Window, cut_windows
from tsrnn.base import Forecaster
from tsrnn.baselines import panel_forecast
from tsrnn.exceptions import DataError, DataWarning, ParameterError, SkillWarning, warn
from tsrnn.frames.formats import FrameFormat
from tsrnn.intervals import interval_columns
from tsrnn.panel import Panel
from tsrnn.parameters import check_integer
from tsrnn.references import ROWS_READ

__all__ = ["BASELINES", "backtest"]

BASELINES = ("naive", "seasonal_naive", "drift", "theta")
ROWS_TOGETHER = 1_000_000  # of pasts that a baseline reads in one call
LONGEST_PAST = 20_000  # rows that the baselines read: no more of a long series at every cutoff


def backtest(
    forecaster: Forecaster,
    df: Any,
    *,
    n_windows: int = 5,
    step: int | None = None,
    horizon: int | None = None,
    refit: bool | int | str = True,
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
        Fitted or not; a clone is fitted, unless ``refit="never"``.
    df : frame
        Any frame that ``fit`` takes.
    n_windows : int, default 5
        Number of cutoffs.
    step : int, optional
        Rows from one cutoff to the next; ``horizon`` when not given, so that no row judges twice.
    horizon : int, optional
        Steps to forecast; the forecaster's own when not given.
    refit : bool, int or "never", default True
        True fits at every cutoff, False once at the oldest one, ``k`` at every k-th; "never" takes the
        forecaster as it is fitted, to rows before those that judge if the result is to be believed.
        A network that is not fitted at a cutoff reads each series once for all of them.
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
    if not isinstance(forecaster, Forecaster):
        got = (
            f"the class {forecaster.__name__}" if isinstance(forecaster, type) else type(forecaster)
        )
        raise ParameterError(
            f"The 'forecaster' parameter must be a forecaster such as RNNForecaster(), the frame comes after it. Got {got}."
        )
    forecaster._check_parameters()  # noqa: SLF001
    if every is None:
        forecaster._check_is_fitted()  # noqa: SLF001
    panel, format_ = forecaster._read(df, fitted=every is None, static_df=static_df)  # noqa: SLF001
    format_.check_names({"cutoff"} | format_.names_by_target(("actual", "forecast", *columns)))
    model = forecaster
    if every is not None:
        model = clone(forecaster)
        if model.horizon is None:
            model.set_params(horizon=panel.axis.horizon if horizon is None else horizon)
    if horizon is None:
        horizon = int(model.horizon_ if every is None or model.horizon is None else model.horizon)
    step = horizon if step is None else step
    windows = _windows(panel, horizon=horizon, n_windows=n_windows, step=step)
    probabilities = tuple(sorted({*columns.values(), 0.5})) if columns else ()
    folds = Folds.empty(n_windows, len(panel), horizon, probabilities)
    _roll(model, panel, format_, windows, every=every, folds=folds)
    season = panel.axis.season if forecaster.season is None else forecaster.season
    _compare_with(panel, windows, season=season, folds=folds)
    return compare(folds, panel, format_, columns=columns, step=step)


def _roll(
    model: Forecaster,
    panel: Panel,
    format_: FrameFormat,
    windows: list[Window],
    *,
    every: int | None,
    folds: Folds,
) -> None:
    """Fill ``folds`` window by window; a forecaster learns from ``window.past(panel)`` and nothing else."""
    horizon, probabilities = folds.actual.shape[2], folds.probabilities
    for begin in range(0, len(windows), len(windows) if every is None else every):
        first, stretch = begin, windows[begin : None if every is None else begin + every]
        if every is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SkillWarning)  # the backtest itself is the verdict
                model = clone(model)._fit_read(stretch[0].past(panel), format_)  # noqa: SLF001
            forecast = model._say(None, horizon, probabilities, stretch[0].ahead(panel))  # noqa: SLF001
            folds.put(MODEL, begin, stretch[0].series, forecast.point, forecast.quantiles)
            first, stretch = begin + 1, stretch[1:]
        said = model._forecast_each(panel, stretch, horizon, probabilities)  # noqa: SLF001
        for number, (window, forecast) in enumerate(zip(stretch, said, strict=True), first):
            folds.put(MODEL, number, window.series, forecast.point, forecast.quantiles)


def _compare_with(panel: Panel, windows: list[Window], *, season: int, folds: Folds) -> None:
    """Fill ``folds`` with what came true, what the baselines say, and what errors are measured by."""
    horizon, probabilities = folds.actual.shape[2], folds.probabilities
    scales = _Scales(panel, season)
    for number, window in enumerate(windows):
        series, rows = window.series, window.future(panel)
        folds.actual[number, series] = panel.values[rows]
        folds.times[number, series] = panel.times[rows]
        folds.cutoffs[number, series] = panel.times[rows[:, 0] - 1]
        folds.taking_part[number, series] = True
        folds.scale[number, series] = scales.before(window)
    for method in BASELINES:
        longest = ROWS_READ.get(method, LONGEST_PAST)
        for block in _blocks(windows, longest):
            pasts = _pasts(panel, [windows[number] for number in block], longest)
            cuts = np.cumsum([len(windows[number].series) for number in block])[:-1]
            forecast = panel_forecast(method, pasts, horizon, season, probabilities)
            parts = np.split(forecast.point, cuts), np.split(forecast.quantiles, cuts)
            for number, point, quantiles in zip(block, *parts, strict=True):
                folds.put(method, number, windows[number].series, point, quantiles)
    folds.previous[:] = folds.point["naive"][:, :, 0]


def _blocks(windows: list[Window], longest: int) -> list[list[int]]:
    """Return groups of windows whose pasts together stay small."""
    blocks: list[list[int]] = []
    room = 0
    for number, window in enumerate(windows):
        size = int(np.minimum(window.known, longest).sum())
        if not blocks or size > room:
            blocks.append([])
            room = ROWS_TOGETHER
        blocks[-1].append(number)
        room -= size
    return blocks


def _pasts(panel: Panel, windows: list[Window], longest: int) -> Panel:
    """Return the newest rows before each cutoff of each window as series of their own, for the baselines."""
    series = np.concatenate([window.series for window in windows])
    known = np.concatenate([window.known for window in windows])
    counts = np.minimum(known, longest)
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    first = panel.indptr[series] + known - counts
    rows = np.arange(indptr[-1]) + np.repeat(first - indptr[:-1], counts)
    ids = pd.RangeIndex(len(series))
    return Panel(panel.values[rows], indptr, ids, panel.times[rows], panel.axis)


class _Scales:
    """The in-sample seasonal naive error before any cutoff, from sums over the rows taken once."""

    def __init__(self, panel: Panel, season: int) -> None:
        values = panel.values.astype(np.float64, copy=False)
        change = np.full(len(values), np.nan)
        change[season:] = np.abs(values[season:] - values[:-season])
        for first in panel.indptr[:-1]:
            change[first : first + season] = np.nan
        self.first = panel.indptr[:-1]
        self.count = np.append(0, np.cumsum(~np.isnan(change)))
        self.total = np.append(0.0, np.cumsum(np.nan_to_num(change)))

    def before(self, window: Window) -> np.ndarray:
        """Return it for each series of a window; NaN where no pair of values is a season apart."""
        first = self.first[window.series]
        count, total = (
            sums[first + window.known] - sums[first] for sums in (self.count, self.total)
        )
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _windows_per_fit(*, refit: bool | int | str, n_windows: int) -> int | None:
    if refit == "never":
        return None
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
