"""A backtest in MLflow: its scores, curves and pictures in a run, and its folds as runs below it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from tsrnn.exceptions import DataError
from tsrnn.frames.joint import each_target
from tsrnn.plotting import plot_backtest, plot_calibration, plot_residuals, plot_skill
from tsrnn.plotting.drawing import backtest_keys
from tsrnn.tracking.journal import log_in_batches
from tsrnn.tracking.record import metric_name
from tsrnn.tracking.store import terminate

if TYPE_CHECKING:
    from tsrnn.backtesting import BacktestResult
    from tsrnn.tracking.recorder import TrackedRun

__all__ = ["Judged", "judged_by", "log_backtest"]

_FOLD = "tsrnn.fold"
_SERIES_BY_NAME = 60
"""Up to so many series get a metric each; the table has them all."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What of a backtest is logged; of several targets, each is a series of its own.

    Parameters
    ----------
    forecasts, scores, by_horizon, by_series, by_window, verdict
        As in :class:`~tsrnn.backtesting.BacktestResult`.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    by_horizon: pd.DataFrame
    by_series: pd.DataFrame
    by_window: pd.DataFrame
    verdict: str

    @classmethod
    def of(cls, result: BacktestResult) -> Judged:
        """Return what is logged of ``result``."""
        forecasts, by_series = result.forecasts, result.by_series
        if isinstance(result.by_target.index, pd.MultiIndex):
            targets = list(result.by_target.index.get_level_values(0).unique())
            several = isinstance(by_series.index, pd.MultiIndex)
            id_col = by_series.index.names[0] if several else None
            forecasts = each_target(forecasts, targets, id_col)
            if several:
                labels = [f"{series} {target}" for series, target in by_series.index]
                by_series = by_series.set_axis(pd.Index(labels, name=id_col))
        return cls(
            forecasts,
            result.scores,
            result.by_horizon,
            by_series,
            result.by_window,
            result.verdict,
        )


def log_backtest(
    run: TrackedRun, result: BacktestResult | Judged, name: str, *, figures: bool = True
) -> None:
    """Log all of a backtest into ``run``; see :meth:`TrackedRun.log_backtest`.

    Doing it again in the same run goes on with the runs of its folds.
    """
    judged = result if isinstance(result, Judged) else Judged.of(result)
    run.set_tags({f"tsrnn.{name}": judged.verdict, **judged_by(judged.forecasts)})
    for method, row in judged.scores.iterrows():
        run.log_metrics({f"{name}/{method}/{score}": value for score, value in row.items()})
    for method, curve in judged.by_horizon.items():
        for step, value in zip(curve.index.tolist(), curve.tolist(), strict=True):
            run.log_metrics({f"{name}/{method}/mae_by_step": value}, step)
    for level, curve in _coverage_by_step(judged.forecasts).items():
        for step, value in zip(curve.index.tolist(), curve.tolist(), strict=True):
            run.log_metrics({f"{name}/model/coverage_{level}_by_step": value}, step)
    if len(judged.by_series) <= _SERIES_BY_NAME:
        for series, value in judged.by_series["model"].items():
            run.log_metrics({f"{name}/series/{series}/mae": value})
    run.log_table(judged.forecasts, f"{name}/forecasts")
    run.log_table(judged.by_series.rename(index=str), f"{name}/by_series")
    run.log_table(judged.by_horizon, f"{name}/by_horizon")
    if figures:
        for picture, figure in _pictures(judged):
            run.log_figure(figure, f"{name}/{picture}")
    known: dict[str, str] = {}
    run.call(lambda client: known.update(_known_folds(client, run, name)), optional=True)
    for number, (cutoff, scores) in enumerate(_folds(judged, name), 1):
        log = partial(_log_fold, run, known, f"{name}/{number:02d}", cutoff, scores)
        run.call(log, optional=True)


def judged_by(forecasts: pd.DataFrame) -> dict[str, str]:
    """Return as tags what judged a backtest: horizon, cutoffs, and a fingerprint of what came true.

    Scores of two backtests can be compared where all of them are equal.
    """
    id_col, time_col = backtest_keys(forecasts)
    keys = [name for name in (id_col, "cutoff", time_col) if name is not None]
    rows = forecasts.sort_values(keys)
    cutoffs = rows["cutoff"].drop_duplicates().sort_values()
    per_fold = rows.groupby(keys[:-1], sort=False).size()
    return {
        "tsrnn.backtest_horizon": str(int(per_fold.max())),
        "tsrnn.backtest_cutoffs": f"{len(cutoffs)} from {cutoffs.iloc[0]} to {cutoffs.iloc[-1]} "
        f"({_digest(rows[keys[:-1]].drop_duplicates())})",
        "tsrnn.backtest_data": _digest(rows[[*keys, "actual"]]),
    }


def _digest(frame: pd.DataFrame) -> str:
    plain = {
        name: values.astype(np.float64) if name == "actual" else values.astype(str)
        for name, values in frame.items()
    }
    hashes = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False, categorize=True)
    return hashlib.blake2b(hashes.to_numpy().tobytes(), digest_size=8).hexdigest()


def _levels(forecasts: pd.DataFrame) -> list[str]:
    marks = "forecast-lo-"
    return [str(c).removeprefix(marks) for c in forecasts.columns if str(c).startswith(marks)]


def _inside(forecasts: pd.DataFrame, level: str) -> pd.Series:
    inside = forecasts["actual"].between(
        forecasts[f"forecast-lo-{level}"], forecasts[f"forecast-hi-{level}"]
    )
    return inside.where(forecasts["actual"].notna()).astype(float)


def _steps(forecasts: pd.DataFrame) -> pd.Series:
    """Return how many steps after its cutoff each row is."""
    id_col, time_col = backtest_keys(forecasts)
    keys = ["cutoff"] if id_col is None else [id_col, "cutoff"]
    return forecasts.groupby(keys)[time_col].rank(method="first").astype(int)


def _coverage_by_step(forecasts: pd.DataFrame) -> dict[str, pd.Series]:
    steps = _steps(forecasts)
    return {
        level: _inside(forecasts, level).groupby(steps).mean().dropna()
        for level in _levels(forecasts)
    }


def _pictures(result: Judged) -> Iterator[tuple[str, Any]]:
    forecasts = result.forecasts
    drawn: Any = result  # frozen, where the protocol of drawing has a plain attribute
    yield "folds", plot_backtest(drawn)
    yield "error_by_step", plot_skill(result.by_horizon)
    id_col, time_col = backtest_keys(forecasts)
    one = forecasts if id_col is None else forecasts[forecasts[id_col] == forecasts[id_col].iloc[0]]
    first = one[_steps(one) == 1]
    with suppress(DataError):  # two values are needed
        title = "Residuals, one step ahead"
        title += "" if id_col is None else f", of series {first[id_col].iloc[0]}"
        yield (
            "residuals",
            plot_residuals(
                first["actual"].to_numpy(),
                first["forecast"].to_numpy(),
                first[time_col].reset_index(drop=True),
                title=title,
            ),
        )
    levels = _levels(forecasts)
    if levels:
        observed = [_inside(forecasts, level).mean() for level in levels]
        nominal = [float(level) / 100 for level in levels]
        n = int(forecasts["actual"].notna().sum())
        yield "calibration", plot_calibration(nominal, observed, n)


def _folds(result: Judged, name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the newest cutoff of each fold, and its scores."""
    forecasts = result.forecasts
    id_col, _ = backtest_keys(forecasts)
    whole = forecasts if id_col is None else forecasts.groupby(id_col, sort=False)
    # counted from the end of each series: the k-th fold from the end is everybody's k-th from the end
    ago = (
        forecasts["cutoff"].rank(method="dense", ascending=False)
        if id_col is None
        else whole["cutoff"].rank(method="dense", ascending=False)
    )
    for window, row in result.by_window.iterrows():
        mine = forecasts[ago == len(result.by_window) - int(str(window)) + 1]
        scores = {f"{name}/{method}/mae": float(value) for method, value in row.items()}
        for level in _levels(forecasts):
            scores[f"{name}/model/coverage_{level}"] = float(_inside(mine, level).mean())
        yield str(mine["cutoff"].max()), scores


def _known_folds(client: MlflowClient, run: TrackedRun, name: str) -> dict[str, str]:
    """Return the runs that an earlier, killed attempt made, by fold."""
    below = f"tags.`mlflow.parentRunId` = '{run.run_id}' and tags.`{_FOLD}` LIKE '{name}/%'"
    found = client.search_runs([run.experiment_id], below, max_results=5000)
    return {each.data.tags[_FOLD]: str(each.info.run_id) for each in found}


def _log_fold(
    run: TrackedRun,
    known: dict[str, str],
    fold: str,
    cutoff: str,
    scores: dict[str, float],
    client: MlflowClient,
) -> None:
    assert run.entity is not None, "the first call of the courier opens the run"
    started = run.entity.info.start_time
    if fold not in known:
        tags = {
            "mlflow.parentRunId": str(run.run_id),
            "tsrnn.task": "fold",
            "tsrnn.cutoff": cutoff,
            _FOLD: fold,
        }
        label = f"fold {fold.rpartition('/')[2]}"
        child = client.create_run(run.experiment_id, start_time=started, tags=tags, run_name=label)
        known[fold] = child.info.run_id
    found = [
        Metric(metric_name(key), value, started, 0)
        for key, value in scores.items()
        if np.isfinite(value)
    ]
    log_in_batches(client, known[fold], metrics=found)
    terminate(client, known[fold], "FINISHED", started)
