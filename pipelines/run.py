"""Run a pipeline for a date: once, whatever happens on the way.

A date is worked on under the lock of its pipeline, step by step (``day``); each step leaves a record
(``ledger``), so that a run that was killed is gone on with. A date that is finished is answered from
its records.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import tsrnn
from tsrnn.exceptions import TsrnnError

from . import steps
from .cron import trigger
from .day import Day
from .files import write_text
from .joint import each_series, flat_forecast, flat_rows
from .ledger import Ledger
from .load import load
from .lock import hold
from .report import Story, describe_run, nobody

if TYPE_CHECKING:
    from .spec import PipelineSpec

__all__ = ["WAIT", "PipelineResult", "check_pipeline", "run_pipeline"]

WAIT = 600.0
"""Seconds that a run waits for another one of the same pipeline."""


@dataclass(frozen=True)
class PipelineResult:
    """What a run found and where it is.

    Parameters
    ----------
    spec : PipelineSpec
        What was run.
    as_of : str
        For which date.
    outcome : {"promoted", "kept", "refused"}
        The model of this date became champion; it did not; the gate let nothing forecast.
    words : str
        Why, as a sentence.
    run_id : str or None
        The run in MLflow; None where it could not be reached.
    report : str
        What ``tsrnn pipeline run`` prints.
    is_new : bool
        False where the date had been finished before, and nothing was done.
    """

    spec: PipelineSpec
    as_of: str
    outcome: str
    words: str
    run_id: str | None
    report: str
    is_new: bool

    @property
    def folder(self) -> Path:
        """The results of this date."""
        return Ledger(self.spec.folder, self.as_of).folder

    @property
    def forecast(self) -> pd.DataFrame | None:
        """Id, time, ``forecast`` and the columns of the levels; None where the gate refused."""
        file = self.folder / "forecast.parquet"
        return pd.read_parquet(file) if file.is_file() else None

    @property
    def scores(self) -> pd.DataFrame | None:
        """Model and baselines in the backtest; None where no fit was due."""
        file = self.folder / "scores.csv"
        return pd.read_csv(file, index_col=0) if file.is_file() else None

    @property
    def forecaster(self) -> Any:
        """The model that made the newest forecast of the pipeline."""
        return tsrnn.load(self.spec.folder / "model")


def check_pipeline(spec: PipelineSpec, *, as_of: str | None = None) -> steps.DataSummary:
    """Load and check what ``spec`` names; nothing is trained or written."""
    forecaster = steps.make_forecaster(spec)
    if spec.schedule is not None:
        trigger(spec.schedule)
    return steps.check(forecaster, load(spec.data, as_of=as_of), spec.backtest)


def run_pipeline(
    spec: PipelineSpec,
    *,
    as_of: str | None = None,
    wait: float = WAIT,
    again: bool = False,
    announce: Callable[[str], None] | None = None,
) -> PipelineResult:
    """Run ``spec`` for a date, from data to forecast, as one MLflow run.

    Parameters
    ----------
    spec : PipelineSpec
        See :func:`tsrnn.pipelines.spec.read_spec`.
    as_of : str, optional
        Last time to use, and the date of the run; that of the newest row when not given.
    wait : float, default 600
        Seconds to wait where another run holds the pipeline.
    again : bool, default False
        Run a finished date anew, as a new run in MLflow.
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
    TimeoutError
        Another run holds the pipeline.
    OSError
        A result can't be written; the earlier file is still there.

    Notes
    -----
    An error after the data were checked ends the MLflow run as FAILED; the next try goes on with both,
    date and run. Where MLflow can't be reached the run goes on without it (TrackingWarning).
    """
    say = announce or nobody
    if as_of is not None and not again and (known := _finished(spec, as_of)) is not None:
        return known
    with hold(spec.folder, wait=wait, announce=say):
        frame = None
        if as_of is None:
            frame = load(spec.data)
            as_of = steps.check(steps.make_forecaster(spec), frame).end
        if not again and (known := _finished(spec, as_of)) is not None:
            return known
        ledger = Ledger(spec.folder, as_of)
        ledger.begin(spec.digest, again=again)
        day = Day(spec, ledger, frame, say)
        try:
            day.work()
        except TsrnnError:
            if ledger.read("ingest") is None:  # a date without rows is none
                shutil.rmtree(ledger.folder)
            raise
        return _close(day)


def _finished(spec: PipelineSpec, as_of: str) -> PipelineResult | None:
    """Return the result of a date that is finished, from its records."""
    ledger = Ledger(spec.folder, as_of)
    if ledger.finished(spec.digest) is None:
        return None
    return _result(spec, ledger, is_new=False)


def _result(spec: PipelineSpec, ledger: Ledger, *, is_new: bool) -> PipelineResult:
    """Return what a closed date found, and drop what only its steps needed."""
    for name in ("twin", "champion", *(["model"] if ledger.read("upload") else [])):
        shutil.rmtree(ledger.folder / name, ignore_errors=True)
    (ledger.folder / "rows.parquet").unlink(missing_ok=True)
    done = ledger.read("done") or {}
    report = (ledger.folder / "report.txt").read_text(encoding="utf-8")
    return PipelineResult(
        spec, ledger.as_of, done["outcome"], done["words"], done["run_id"], report, is_new=is_new
    )


def _close(day: Day) -> PipelineResult:
    """Write the report and close the date."""
    spec, ledger = day.spec, day.ledger
    verdict = ledger.read("gate") or {}
    delivered = (ledger.read("deliver") or {"files": {}})["files"]
    forecast = ledger.folder / "forecast.parquet"
    story = Story(
        spec=spec,
        as_of=ledger.as_of,
        data=each_series(day.data),
        history=flat_rows(day.frame, day.data),
        scores=day.scores,
        verdict=(ledger.read("backtest") or {}).get("verdict"),
        notes={
            "Gate": verdict["words"],
            "Monitor": (ledger.read("monitor") or {})["words"],
            "Model": (ledger.read("forecast") or {"words": ""})["words"],
        },
        forecast=None
        if verdict["forecaster"] == "none"
        else flat_forecast(pd.read_parquet(forecast), day.data),
        files={name: Path(path) for name, path in delivered.items()},
        runs=_finished_runs(spec, day),
        page=day.page,
        seconds=time.monotonic() - day.began,
    )
    text = describe_run(story)
    write_text(ledger.folder / "report.txt", text)
    if delivered:
        write_text(spec.folder / "report.txt", text)
    ledger.close(
        outcome=verdict["outcome"],
        words=verdict["words"],
        mae=verdict["mae"],
        run_id=(ledger.read("run") or {"run_id": None})["run_id"],
    )
    return _result(spec, ledger, is_new=True)


def _finished_runs(spec: PipelineSpec, day: Day) -> pd.DataFrame:
    """Return the finished runs of the experiment; empty where the store does not answer."""
    from tsrnn.tracking import runs

    if day.page is None:
        return pd.DataFrame()
    try:
        found = runs(spec.experiment_name, nested=False, tracking_uri=day.uri)
    except (TsrnnError, OSError):
        return pd.DataFrame()
    whole = found["tags.tsrnn.pipeline"] == spec.name
    return found[whole & (found["status"] == "FINISHED")].reset_index(drop=True)
