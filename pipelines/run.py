"""The order of a run: load, check, backtest, fit, forecast, write; each step logged to MLflow."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import tsrnn
from tsrnn.exceptions import SkillWarning, TsrnnError

from . import steps
from .files import write_text
from .load import load
from .report import describe_data, describe_run, describe_scores
from .ui import experiment_page

if TYPE_CHECKING:
    from tsrnn.backtesting import BacktestResult
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.tracking import TrackedRun

    from .spec import PipelineSpec
    from .steps import DataSummary

__all__ = ["PipelineResult", "check_pipeline", "run_pipeline"]


@dataclass(frozen=True)
class PipelineResult:
    """What a run found and where it is.

    Parameters
    ----------
    spec : PipelineSpec
        What was run.
    data : DataSummary
        What the gate found.
    history : pandas.DataFrame
        The rows that were learned from.
    backtest : BacktestResult
        Model and baselines at the cutoffs.
    forecast : pandas.DataFrame
        Id, time, ``forecast`` and the columns of the levels.
    forecaster : RNNForecaster
        Fitted on all rows.
    files : dict of str to Path
        What was written.
    runs : pandas.DataFrame
        The finished runs of the experiment, newest first, this one on top; empty where MLflow could
        not be reached.
    page : str or None
        Address of the comparison while ``tsrnn ui`` runs, or on the MLflow server.
    seconds : float
        Wall-clock time of the whole run.
    """

    spec: PipelineSpec
    data: DataSummary
    history: pd.DataFrame
    backtest: BacktestResult
    forecast: pd.DataFrame
    forecaster: RNNForecaster
    files: dict[str, Path]
    runs: pd.DataFrame
    page: str | None
    seconds: float


def check_pipeline(spec: PipelineSpec, *, as_of: str | None = None) -> DataSummary:
    """Load and check what ``spec`` names; nothing is trained or written."""
    forecaster = steps.make_forecaster(spec)
    return steps.check(forecaster, load(spec.data, as_of=as_of))


def run_pipeline(
    spec: PipelineSpec,
    *,
    as_of: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> PipelineResult:
    """Run ``spec`` from data to forecast, as one MLflow run.

    Parameters
    ----------
    spec : PipelineSpec
        See :func:`tsrnn.pipelines.spec.read_spec`.
    as_of : str, optional
        Last time to use; all rows when not given.
    announce : callable, optional
        Gets one line per finished step.

    Returns
    -------
    PipelineResult

    Raises
    ------
    SpecError, ParameterError
        The spec can't be used.
    DataError
        The data can't be used.
    OSError
        A result can't be written; the earlier file is still there.

    Notes
    -----
    An error after the data were checked ends the MLflow run as FAILED; where MLflow can't be
    reached the run goes on without it (TrackingWarning).
    """
    from tsrnn.tracking import untracked

    began = time.monotonic()
    say = announce or _nothing
    forecaster = steps.make_forecaster(spec)
    frame = load(spec.data, as_of=as_of)
    data = steps.check(forecaster, frame)
    say(f"data      {describe_data(spec.name, data)}")

    tags = {"tsrnn.pipeline": spec.name, "tsrnn.as_of": as_of or data.end}
    run_name = f"{spec.name} {as_of or data.end}"
    with tsrnn.track(experiment=spec.experiment_name, run_name=run_name, tags=tags) as run:
        with untracked(), warnings.catch_warnings():  # the run is about the model that is kept,
            warnings.simplefilter("ignore", SkillWarning)  # and the backtest has its own verdict
            result = steps.backtest(forecaster, frame, spec.backtest, level=spec.forecast.level)
        say(f"backtest  {describe_scores(result)}  ({_since(began)})")
        forecaster.fit(frame)
        say(f"fit       on all rows  ({_since(began)})")
        forecast = forecaster.predict(level=spec.forecast.level)
        figures = steps.draw(frame, forecast, result, data, unit=spec.data.unit)
        files = steps.write(
            spec.folder,
            forecast=forecast,
            result=result,
            figures=figures,
            forecaster=forecaster,
            table_format=spec.output.format,
        )
        say(f"forecast  {data.horizon} steps of {data.n_series} series  ({_since(began)})")
        log_run(run, spec, result, files)
    done = PipelineResult(
        spec=spec,
        data=data,
        history=frame,
        backtest=result,
        forecast=forecast,
        forecaster=forecaster,
        files=files,
        runs=_finished_runs(spec, run),
        page=None if run.experiment_id is None else experiment_page(run.uri, run.experiment_id),
        seconds=time.monotonic() - began,
    )
    write_text(spec.folder / "report.txt", describe_run(done))
    return done


def log_run(
    run: TrackedRun, spec: PipelineSpec, result: BacktestResult, files: dict[str, Path]
) -> None:
    """Log the backtest beside what the fit has logged already: ``backtest/model/mase`` and so on."""
    run.log_params(
        {
            "backtest/n_windows": spec.backtest.n_windows,
            "backtest/step": spec.backtest.step,
            "backtest/refit": spec.backtest.refit,
        }
    )
    for method, row in result.scores.iterrows():
        run.log_metrics({f"backtest/{method}/{name}": value for name, value in row.items()})
    run.set_tags({"tsrnn.backtest": str(result.verdict)})
    for name, path in files.items():
        if name != "model":  # the fit has logged it, as MLflow serves it
            run.log_artifact(path, "pipeline")


def _finished_runs(spec: PipelineSpec, run: TrackedRun) -> pd.DataFrame:
    """Return the finished runs of the experiment; empty where the store does not answer."""
    from tsrnn.tracking import runs

    if run.run_id is None or not run.is_on:
        return pd.DataFrame()
    try:
        found = runs(spec.experiment_name, tracking_uri=run.uri)
    except (TsrnnError, OSError):
        return pd.DataFrame()
    whole = found["tags.tsrnn.pipeline"] == spec.name
    return found[whole & (found["status"] == "FINISHED")].reset_index(drop=True)


def _nothing(message: str) -> None:
    """Announce to nobody."""


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
