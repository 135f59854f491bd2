"""What a backtest found: the forecasts of all methods beside what came true, and the judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsrnn import metrics
from tsrnn.exceptions import DataError
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.joint import target_column
from tsrnn.metrics.pairing import average
from tsrnn.metrics.significance import LagCopy, best_naive, diebold_mariano, lag_copy, verdict
from tsrnn.panel import Panel, thing_ids

__all__ = ["BacktestResult", "DieboldMariano", "Folds", "compare"]

MODEL = "model"


class DieboldMariano(NamedTuple):
    """Test of the model against the best of the naive forecasts; negative: the model is better."""

    against: str
    statistic: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Folds:
    """Forecasts of every window, series and step; NaN where a series is not in a window.

    Parameters
    ----------
    actual : ndarray of shape (window, series, horizon)
        What came true; NaN where the value is missing.
    times : ndarray of int64, shape (window, series, horizon)
        Stamps of the steps.
    cutoffs : ndarray of int64, shape (window, series)
        Stamps of the last rows that were known.
    taking_part : ndarray of bool, shape (window, series)
        Which series are in which window.
    previous : ndarray of shape (window, series)
        Last value known at each cutoff.
    scale : ndarray of shape (window, series)
        In-sample seasonal naive error before each cutoff, which MASE divides by.
    probabilities : tuple of float
        Of the quantiles, ascending.
    point : dict of str to ndarray of shape (window, series, horizon)
        Forecasts by method.
    quantiles : dict of str to ndarray of shape (window, series, horizon, quantile)
        Quantiles by method.
    """

    actual: np.ndarray
    times: np.ndarray
    cutoffs: np.ndarray
    taking_part: np.ndarray
    previous: np.ndarray
    scale: np.ndarray
    probabilities: tuple[float, ...]
    point: dict[str, np.ndarray] = field(default_factory=dict)
    quantiles: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def empty(
        cls, n_windows: int, n_series: int, horizon: int, probabilities: tuple[float, ...]
    ) -> Folds:
        """Return folds without any series in any window."""
        each = (n_windows, n_series)
        return cls(
            actual=np.full((*each, horizon), np.nan),
            times=np.zeros((*each, horizon), dtype=np.int64),
            cutoffs=np.zeros(each, dtype=np.int64),
            taking_part=np.zeros(each, dtype=bool),
            previous=np.full(each, np.nan),
            scale=np.full(each, np.nan),
            probabilities=probabilities,
        )

    def of_series(self, which: slice) -> Folds:
        """Return the folds of some series."""
        return Folds(
            actual=self.actual[:, which],
            times=self.times[:, which],
            cutoffs=self.cutoffs[:, which],
            taking_part=self.taking_part[:, which],
            previous=self.previous[:, which],
            scale=self.scale[:, which],
            probabilities=self.probabilities,
            point={name: said[:, which] for name, said in self.point.items()},
            quantiles={name: said[:, which] for name, said in self.quantiles.items()},
        )

    def put(
        self, method: str, window: int, series: np.ndarray, point: np.ndarray, quantiles: np.ndarray
    ) -> None:
        """Enter the forecasts of a method for some series of a window."""
        shape = self.actual.shape
        at = self.point.setdefault(method, np.full(shape, np.nan))
        at[window, series] = point
        if self.probabilities:
            spread = np.full((*shape, len(self.probabilities)), np.nan)
            self.quantiles.setdefault(method, spread)[window, series] = quantiles


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """What a backtest found; printing it shows the scores and the verdict.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        One row per series, cutoff and step: id (where the frame has ids), ``cutoff`` (time of the
        last known row), time, ``actual``, ``forecast`` and the columns of levels and quantiles.
    scores : pandas.DataFrame
        Rows: "model" and the baselines. Columns: ``mae``, ``rmse``, ``smape``, ``mase``; with levels
        or quantiles ``pinball``, ``crps`` and ``coverage_80`` per level. Over all scored steps; MASE
        leaves out series that repeat themselves exactly or are shorter than a season.
    by_horizon, by_series, by_window : pandas.DataFrame
        MAE per step ahead, per series and per window (1: the oldest), one column per method.
    by_target : pandas.DataFrame
        The columns of ``scores`` for each target and method; of one target, ``scores`` itself.
    skill : pandas.Series
        1 - error / error of each baseline, in :attr:`metric`: above 0 the model is better.
    metric : str
        What decides: "mae" for one series, "mase" for several.
    dm_test : DieboldMariano
        Test against the best of the naive forecasts.
    lag_copy : LagCopy
        Whether the model only repeats the last value.
    verdict : str
        The finding as a sentence.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    by_horizon: pd.DataFrame
    by_series: pd.DataFrame
    by_window: pd.DataFrame
    by_target: pd.DataFrame
    skill: pd.Series
    metric: str
    dm_test: DieboldMariano
    lag_copy: LagCopy
    verdict: str

    def __repr__(self) -> str:
        """Return size, scores and verdict, to be read at a glance."""
        windows, series, steps = len(self.by_window), len(self.by_series), len(self.by_horizon)
        size = ", ".join(
            f"{count:,} {noun}" if count == 1 or noun == "series" else f"{count:,} {noun}s"
            for count, noun in ((windows, "window"), (series, "series"), (steps, "step"))
        )
        table = self.scores.to_string(float_format=lambda value: f"{value:.4g}")
        return f"Backtest: {size}\n\n{table}\n\n{self.verdict}"


def compare(
    folds: Folds, panel: Panel, format_: FrameFormat, *, columns: Mapping[str, float], step: int
) -> BacktestResult:
    """Score all methods of ``folds``, the model beside the baselines.

    Parameters
    ----------
    folds : Folds
        With the method "model" and at least one naive forecast.
    panel, format_ : Panel and FrameFormat
        Names of series and columns.
    columns : dict of str to float
        Columns to write and their probabilities, as from :func:`tsrnn.intervals.interval_columns`.
    step : int
        Rows from one cutoff to the next.

    Raises
    ------
    DataError
        No step after a cutoff has a value.
    """
    n_steps = int(np.isfinite(folds.actual).sum())
    if not n_steps:
        raise DataError(
            "A backtest needs values after the cutoffs. Got only missing ones in "
            f"{folds.actual.size} steps. Give more windows, or drop the empty rows at the end."
        )
    scores = pd.DataFrame({name: _scores(folds, name, columns) for name in folds.point}).T
    several = len(panel) > 1 and bool(np.isfinite(scores["mase"]).all())
    metric = "mase" if several else "mae"
    against = best_naive(scores, metric)
    horizon = folds.actual.shape[2]
    test = diebold_mariano(
        _errors(folds, MODEL, metric), _errors(folds, against, metric), -(-horizon // step)
    )
    copies = lag_copy(folds.actual, folds.point[MODEL], folds.previous)
    error = scores[metric]
    others = [name for name in scores.index if name != MODEL]
    return BacktestResult(
        forecasts=_forecasts(folds, panel, format_, columns),
        scores=scores,
        by_horizon=_errors_by(folds, 2, pd.RangeIndex(1, horizon + 1, name="step")),
        by_series=_errors_by(folds, 1, _named(panel.ids, format_)),
        by_window=_errors_by(folds, 0, pd.RangeIndex(1, len(folds.actual) + 1, name="window")),
        by_target=_by_target(folds, format_, columns, scores),
        skill=pd.Series(
            {name: metrics.skill(error[MODEL], error[name]) for name in others}, name="skill"
        ),
        metric=metric,
        dm_test=DieboldMariano(against, *test),
        lag_copy=copies,
        verdict=verdict(scores, p_value=test[1], lag_copy=copies, n_steps=n_steps, metric=metric),
    )


def _named(ids: pd.Index, format_: FrameFormat) -> pd.Index:
    if isinstance(ids, pd.MultiIndex):
        return ids.set_names([format_.id_name, "target"])
    return ids.rename("target" if format_.single and format_.targets else format_.id_name)


def _by_target(
    folds: Folds, format_: FrameFormat, columns: Mapping[str, float], scores: pd.DataFrame
) -> pd.DataFrame:
    """Return the scores of each target by itself."""
    targets = format_.targets
    if not targets:
        return scores
    each = {
        target: {
            name: _scores(folds.of_series(slice(c, None, len(targets))), name, columns)
            for name in folds.point
        }
        for c, target in enumerate(targets)
    }
    tables = {target: pd.DataFrame(by_method).T for target, by_method in each.items()}
    return pd.concat(tables, names=["target", "method"])


def _scores(folds: Folds, method: str, columns: Mapping[str, float]) -> dict[str, float]:
    part = folds.taking_part
    y, f, scale = folds.actual[part], folds.point[method][part], folds.scale[part]
    found = {
        "mae": metrics.mae(y, f, skipna=True),
        "rmse": metrics.rmse(y, f, skipna=True),
        "smape": metrics.smape(y, f, skipna=True),
        "mase": metrics.mase(y, f, scale=scale, skipna=True),
    }
    if not folds.probabilities:
        return found
    q, p = folds.quantiles[method][part], list(folds.probabilities)
    asked = [p.index(probability) for probability in sorted(set(columns.values()))]
    found["pinball"] = metrics.pinball(y, q[..., asked], [p[k] for k in asked], skipna=True)
    found["crps"] = metrics.crps_quantiles(y, q, p, skipna=True)
    for name, probability in columns.items():
        if name.startswith("forecast-lo-"):
            level = name.removeprefix("forecast-lo-")
            low, high = (
                q[..., p.index(probability)],
                q[..., p.index(columns[f"forecast-hi-{level}"])],
            )
            found[f"coverage_{level}"] = metrics.coverage(y, low, high, skipna=True)
    return found


def _errors(folds: Folds, method: str, metric: str) -> np.ndarray:
    """Return forecast errors (window, series, horizon), in units of the scale for MASE."""
    error = folds.actual - folds.point[method]
    if metric != "mase":
        return error
    scale = np.where(folds.scale > 0, folds.scale, np.nan)
    return np.asarray(error / scale[..., None])


def _errors_by(folds: Folds, axis: int, index: pd.Index) -> pd.DataFrame:
    """Return the MAE along one axis of the folds, one column per method."""
    others = tuple(k for k in range(3) if k != axis)
    return pd.DataFrame(
        {name: average(np.abs(_errors(folds, name, "mae")), others) for name in folds.point},
        index=index,
    )


def _forecasts(
    folds: Folds, panel: Panel, format_: FrameFormat, columns: Mapping[str, float]
) -> pd.DataFrame:
    """Return the model's forecasts as a tidy frame, series by series, oldest cutoff first."""
    horizon, channels = folds.actual.shape[2], panel.channels
    series, window = np.nonzero(folds.taking_part[:, ::channels].T)
    series *= channels
    frame: dict[object, object] = {}
    if not format_.single:
        name = "unique_id" if format_.id_name is None else format_.id_name
        frame[name] = thing_ids(panel.ids, channels)[(series // channels).repeat(horizon)]
    frame["cutoff"] = panel.axis.to_index(folds.cutoffs[window, series].repeat(horizon))
    time = "ds" if format_.time_name is None else format_.time_name
    frame[time] = panel.axis.to_index(folds.times[window, series].ravel())
    said = {"actual": folds.actual, "forecast": folds.point[MODEL]}
    for name, probability in columns.items():
        said[name] = folds.quantiles[MODEL][..., folds.probabilities.index(probability)]
    for c, target in enumerate(format_.targets or (None,)):
        for name, values in said.items():
            column = target_column(name, target) if format_.targets else name
            frame[column] = values[window, series + c].ravel()
    return pd.DataFrame(frame)
