"""A backtest in MLflow: its scores, curves and pictures in a run, and its folds as runs below it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from tsrnn.exceptions import DataError
from tsrnn.plotting import plot_backtest, plot_calibration, plot_residuals, plot_skill
from tsrnn.plotting.drawing import backtest_keys
from tsrnn.tracking.journal import log_in_batches
from tsrnn.tracking.record import metric_name
from tsrnn.tracking.store import terminate

if TYPE_CHECKING:
    from tsrnn.backtesting import BacktestResult
    from tsrnn.tracking.recorder import TrackedRun

__all__ = ["judged_by", "log_backtest"]

_SERIES_BY_NAME = 60
"""Up to so many series get a metric each; the table has them all."""


def log_backtest(run: TrackedRun, result: BacktestResult, name: str) -> None:
    """Log all of a backtest into ``run``; see :meth:`TrackedRun.log_backtest`."""
    run.set_tags({f"tsrnn.{name}": result.verdict, **judged_by(result.forecasts)})
    for method, row in result.scores.iterrows():
        run.log_metrics({f"{name}/{method}/{score}": value for score, value in row.items()})
    for method, curve in result.by_horizon.items():
        for step, value in zip(curve.index.tolist(), curve.tolist(), strict=True):
            run.log_metrics({f"{name}/{method}/mae_by_step": value}, step)
    for level, curve in _coverage_by_step(result.forecasts).items():
        for step, value in zip(curve.index.tolist(), curve.tolist(), strict=True):
            run.log_metrics({f"{name}/model/coverage_{level}_by_step": value}, step)
    if len(result.by_series) <= _SERIES_BY_NAME:
        for series, value in result.by_series["model"].items():
            run.log_metrics({f"{name}/series/{series}/mae": value})
    run.log_table(result.forecasts, f"{name}/forecasts")
    run.log_table(result.by_series.rename(index=str), f"{name}/by_series")
    run.log_table(result.by_horizon, f"{name}/by_horizon")
    for picture, figure in _pictures(result):
        run.log_figure(figure, f"{name}/{picture}")
    rows = list(_folds(result, name))
    run.call(lambda client: _log_folds(client, run, rows), optional=True)


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


def _pictures(result: BacktestResult) -> Iterator[tuple[str, Any]]:
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


def _folds(result: BacktestResult, name: str) -> Iterator[tuple[str, dict[str, float]]]:
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


def _log_folds(
    client: MlflowClient, run: TrackedRun, folds: list[tuple[str, dict[str, float]]]
) -> None:
    started = client.get_run(run.run_id).info.start_time
    for number, (cutoff, scores) in enumerate(folds, 1):
        tags = {"mlflow.parentRunId": run.run_id, "tsrnn.task": "fold", "tsrnn.cutoff": cutoff}
        child = client.create_run(
            run.experiment_id, start_time=started, run_name=f"fold {number:02d}"
        )
        found = [
            Metric(metric_name(key), value, started, 0)
            for key, value in scores.items()
            if np.isfinite(value)
        ]
        marks = [RunTag(key, str(value)) for key, value in tags.items()]
        log_in_batches(client, child.info.run_id, metrics=found, tags=marks)
        terminate(client, child.info.run_id, "FINISHED", started)
