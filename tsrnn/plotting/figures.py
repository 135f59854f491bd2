"""Five figures a person wants to look at: forecast, backtest folds, residuals, calibration, skill.

Each function takes frames or arrays and returns a :class:`matplotlib.figure.Figure` of its own, so
that no pyplot state, backend or style of the caller changes. Save it with ``figure.savefig(path)``;
a notebook shows it as it is. Loading this module loads matplotlib: import it where a plot is drawn.

The colours are those of Okabe & Ito (2008), which people with any colour vision tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tsrnn.exceptions import DataError
from tsrnn.plotting.drawing import (
    BASELINES,
    BLUE,
    DASHES,
    FAINT,
    INK,
    PAPER,
    VERMILION,
    autocorrelation,
    backtest_keys,
    choose_ids,
    date_axis,
    draw_fan,
    draw_fold,
    dress,
    floats,
    head,
    joined,
    new_figure,
    require,
    rows_of,
    stack,
    stamps_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_backtest", "plot_calibration", "plot_forecast", "plot_residuals", "plot_skill"]


class BacktestLike(Protocol):
    """What :func:`plot_backtest` reads of a :class:`tsrnn.backtesting.BacktestResult`."""

    forecasts: pd.DataFrame


def plot_forecast(
    history: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    id_col: str | None = None,
    time_col: str = "ds",
    target_col: str = "y",
    ids: Sequence[Any] | None = None,
    max_series: int = 4,
    history_steps: int | None = None,
    title: str = "Forecast",
    unit: str | None = None,
) -> Figure:
    """Draw the newest history of some series and the fan of their forecasts.

    Parameters
    ----------
    history : pandas.DataFrame
        Observed rows: ``time_col``, ``target_col`` and, for several series, ``id_col``.
    forecast : pandas.DataFrame
        What ``predict(level=...)`` returned: the same id and time columns, ``forecast``, and
        ``forecast-lo-80``, ``forecast-hi-80`` for every level to be shown as a band.
    id_col : str, optional
        Column that names the series; None where the frame is one series.
    time_col, target_col : str, default "ds" and "y"
        Columns of the time stamps and of the observed values.
    ids : sequence, optional
        Series to draw, in this order; the first ``max_series`` of ``forecast`` when not given.
    max_series : int, default 4
        Rows of the figure where ``ids`` is not given.
    history_steps : int, optional
        Observed steps to show; the newest six horizons, at least 60, when not given.
    title : str, default "Forecast"
        Heading of the figure.
    unit : str, optional
        Unit of the values, written at the axis ("USD", "°C").

    Returns
    -------
    matplotlib.figure.Figure
        One panel per series.

    Raises
    ------
    DataError
        A column or one of ``ids`` is not there.
    """
    require(history, "history", [id_col, time_col, target_col])
    require(forecast, "forecast", [id_col, time_col, "forecast"])
    names = choose_ids(forecast, id_col, ids, max_series)
    figure, panels = stack(len(names))
    for axes, name in zip(panels, names, strict=True):
        past = rows_of(history, id_col, name).sort_values(time_col)
        ahead = rows_of(forecast, id_col, name).sort_values(time_col)
        past = past.tail(history_steps or max(6 * len(ahead), 60))
        draw_fan(axes, joined(past, ahead, time_col, target_col), time_col)
        axes.plot(
            stamps_of(past[time_col]), floats(past[target_col]), color=INK, lw=1.4, label="observed"
        )
        if len(past):
            axes.axvline(
                stamps_of(past[time_col])[-1], color=FAINT, lw=0.8, ls=(0, (2, 2)), zorder=0
            )
        dress(axes, title="" if name is None else str(name), y=unit or target_col)
        date_axis(axes, past[time_col])
    head(figure, panels[0], title, first="observed")
    return figure


def plot_backtest(
    result: BacktestLike,
    *,
    ids: Sequence[Any] | None = None,
    max_series: int = 3,
    title: str = "Backtest: what was forecast at each cutoff, and what came",
    unit: str | None = None,
) -> Figure:
    """Draw the forecasts made at every cutoff of a backtest over what came true.

    Parameters
    ----------
    result : tsrnn.backtesting.BacktestResult
        Its ``forecasts`` frame is drawn: id (may be missing), ``cutoff``, time, ``actual``,
        ``forecast`` and the columns of the levels.
    ids : sequence, optional
        Series to draw; the first ``max_series`` when not given.
    max_series : int, default 3
        Rows of the figure where ``ids`` is not given.
    title, unit : str, optional
        Heading, and the unit of the values.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per series; a dotted line stands at each cutoff, the last row that was known.
    """
    frame = result.forecasts
    require(frame, "result.forecasts", ["cutoff", "actual", "forecast"])
    id_col, time_col = backtest_keys(frame)
    names = choose_ids(frame, id_col, ids, max_series)
    figure, panels = stack(len(names))
    for axes, name in zip(panels, names, strict=True):
        rows = rows_of(frame, id_col, name).sort_values([time_col, "cutoff"])
        for cutoff, fold in rows.groupby("cutoff", sort=True):
            draw_fold(axes, fold, time_col)
            axes.axvline(
                stamps_of(pd.Series([cutoff]))[0], color=FAINT, lw=0.8, ls=(0, (1, 2)), zorder=0
            )
        truth = rows.drop_duplicates(time_col)
        axes.plot(
            stamps_of(truth[time_col]), floats(truth["actual"]), color=INK, lw=1.4, label="observed"
        )
        dress(axes, title="" if name is None else str(name), y=unit or "value")
        date_axis(axes, truth[time_col])
    head(figure, panels[0], title, first="observed")
    return figure


def plot_residuals(
    actual: Any,
    forecast: Any,
    times: Any = None,
    *,
    title: str = "Residuals: observed minus forecast",
    unit: str | None = None,
) -> Figure:
    """Draw residuals over time, their histogram and their autocorrelation.

    Good residuals hover around zero, have one hump, and no autocorrelation outside the band of
    ±1.96/√n in which white noise stays (Box & Jenkins 1970). They should be of forecasts the same
    number of steps ahead: those of overlapping multi-step forecasts are correlated by construction.

    Parameters
    ----------
    actual, forecast : array-like of shape (steps,)
        Observed and forecast values in the units of the data; steps with NaN in either are left out.
    times : array-like of shape (steps,), optional
        Their time stamps; 0, 1, 2, ... when not given.
    title, unit : str, optional
        Heading, and the unit of the values.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    residual = np.asarray(actual, float) - np.asarray(forecast, float)
    stamps = pd.Series(np.arange(residual.size) if times is None else times)
    if residual.ndim != 1 or residual.size != stamps.size:
        raise DataError(
            f"actual, forecast and times must be of one shape (steps,). Got residuals of shape "
            f"{residual.shape} and {stamps.size} times."
        )
    seen = np.isfinite(residual)
    residual, stamps = residual[seen], stamps[seen]
    if residual.size < 2:
        raise DataError(f"Residuals need at least 2 finite steps. Got {residual.size}.")
    figure = new_figure(9.0, 5.6, title)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.15, 1])
    over_time, histogram = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, 0])
    correlation = figure.add_subplot(grid[1, 1])

    x = stamps_of(stamps)
    over_time.axhline(0, color=INK, lw=0.8)
    over_time.vlines(x, 0, residual, color=BLUE, lw=0.8, alpha=0.35)
    over_time.plot(x, residual, ".", color=BLUE, ms=4)
    dress(over_time, title="Over time", y=unit or "residual")
    date_axis(over_time, stamps)

    histogram.hist(
        residual, bins=min(40, max(8, int(2 * residual.size ** (1 / 3)))), color=BLUE, alpha=0.75
    )
    mean, spread = residual.mean(), residual.std()
    histogram.axvline(0, color=INK, lw=0.8)
    histogram.axvline(mean, color=VERMILION, lw=1.6, ls=(0, (4, 2)))
    dress(
        histogram,
        title=f"Histogram: mean {mean:.3g} (dashed), sd {spread:.3g}",
        y="count",
        x=unit or "residual",
    )

    lags, acf = autocorrelation(residual)
    bound = 1.96 / np.sqrt(residual.size)
    correlation.axhspan(-bound, bound, color=FAINT, alpha=0.2, lw=0)
    correlation.axhline(0, color=INK, lw=0.8)
    correlation.vlines(lags, 0, acf, color=BLUE, lw=2)
    correlation.plot(lags, acf, "o", color=BLUE, ms=3.5)
    dress(
        correlation,
        title="Autocorrelation (grey: white noise, 95 %)",
        y="correlation",
        x="lag (steps)",
    )
    correlation.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_calibration(nominal: Any, observed: Any, n: int, *, title: str = "Calibration") -> Figure:
    """Draw how many values fell inside the intervals against how many should have.

    Parameters
    ----------
    nominal : array-like of shape (levels,)
        Promised coverage as fractions of 1 (0.8 for an 80 % interval).
    observed : array-like of shape (levels,)
        Fraction of values inside.
    n : int
        Values that were counted; sets the width of the band.
    title : str, default "Calibration"
        Heading of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Points on the diagonal keep their promise; below it the intervals are too narrow. In the grey
        band, nominal ± 1.96 √(p(1-p)/n), the difference may be chance (n independent values).
    """
    nominal, observed = (
        np.atleast_1d(np.asarray(nominal, float)),
        np.atleast_1d(np.asarray(observed, float)),
    )
    if nominal.shape != observed.shape or n < 1 or not ((nominal >= 0) & (nominal <= 1)).all():
        raise DataError(
            f"nominal and observed must be fractions of 1 of one shape and n at least 1. "
            f"Got nominal={nominal.tolist()}, observed={observed.tolist()}, n={n}."
        )
    figure = new_figure(4.9, 4.9, title)
    axes = figure.add_subplot()
    p = np.linspace(0, 1, 201)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    axes.fill_between(
        p, np.maximum(p - half, 0), np.minimum(p + half, 1), color=FAINT, alpha=0.25, lw=0
    )
    axes.plot([0, 1], [0, 1], color=INK, lw=0.9)
    order = np.argsort(nominal)
    axes.plot(nominal[order], observed[order], "o-", color=BLUE, lw=1.6, ms=6, mec=PAPER)
    for promised, found in zip(nominal[order], observed[order], strict=True):
        above = found >= promised
        axes.annotate(
            f"{found:.0%}",
            (promised, found),
            xytext=(-7, 6) if above else (7, -11),
            textcoords="offset points",
            ha="right" if above else "left",
            fontsize=8.5,
            color=INK,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    dress(
        axes,
        title=f"{n:,} values; grey: chance, 95 %",
        x="promised coverage",
        y="observed coverage",
    )
    axes.grid(visible=True, axis="x", color="#e6e6e6", lw=0.7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def plot_skill(
    by_horizon: pd.DataFrame,
    *,
    model: str = "model",
    title: str = "Error by steps ahead",
    measure: str = "MAE",
    unit: str | None = None,
) -> Figure:
    """Draw the error of the model and of the baselines at each step ahead.

    Parameters
    ----------
    by_horizon : pandas.DataFrame
        Index: steps ahead, 1 to horizon; one column of errors per method.
    model : str, default "model"
        Column of the model, drawn thick; the others are the baselines.
    title, measure : str
        Heading, and the name of the error.
    unit : str, optional
        Unit of the error.

    Returns
    -------
    matplotlib.figure.Figure
        One line per method; lower is better.
    """
    require(by_horizon, "by_horizon", [model])
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    step = by_horizon.index.to_numpy()
    marker = "o" if len(step) <= 31 else None
    baselines = [name for name in by_horizon.columns if name != model]
    for i, name in enumerate(baselines):
        look = {"color": BASELINES[i % len(BASELINES)], "ls": DASHES[i % len(DASHES)]}
        axes.plot(step, floats(by_horizon[name]), lw=1.6, label=str(name).replace("_", " "), **look)
    axes.plot(
        step,
        floats(by_horizon[model]),
        color=BLUE,
        lw=2.6,
        marker=marker,
        ms=4.5,
        label=model,
        zorder=5,
    )
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    dress(axes, x="steps ahead", y=measure if unit is None else f"{measure} ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    head(figure, axes, title, first=model)
    return figure
