"""What a date has in MLflow: its run, the champion it meets, the model it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

import tsrnn
from tsrnn.exceptions import TrackingWarning

from . import steps
from .judge import AS_OF, END, MAE
from .kept import kept
from .ledger import Ledger, order

if TYPE_CHECKING:
    from tsrnn.tracking import TrackedRun
    from tsrnn.tracking.registry import Version

    from .spec import PipelineSpec

__all__ = ["DATA", "log", "meet_champion", "register", "tracked"]

PIPELINE, ORDER, DATA = "tsrnn.pipeline", "tsrnn.order", "tsrnn.data"

_NOT_LOGGED = {"rows.parquet", "backtest.parquet", "backtest.png", "skill.png"}
"""The rows are the user's; the backtest is logged with its folds."""


@contextmanager
def tracked(spec: PipelineSpec, ledger: Ledger) -> Iterator[TrackedRun]:
    """Open the run of a date, or go on with it; close what killed runs of the pipeline left open."""
    from tsrnn.tracking import registry

    opened = ledger.read("run") or {"run_id": None}
    with tsrnn.track(
        experiment=spec.experiment_name,
        run_name=f"{spec.name} {ledger.as_of}",
        tags={PIPELINE: spec.name, AS_OF: ledger.as_of},
        log_models=False,
        resume=opened["run_id"],
    ) as run:
        if run.run_id is not None:
            ledger.write("run", run_id=run.run_id)
        if run.is_on:
            try:  # the lock is ours: whatever is still open was killed
                registry.close_runs(
                    run.uri, spec.experiment_name, tags={PIPELINE: spec.name}, but=run.run_id
                )
            except ConnectionError as error:
                warnings.warn(str(error), TrackingWarning, stacklevel=2)
        yield run


def meet_champion(spec: PipelineSpec, ledger: Ledger, run: TrackedRun) -> Version | None:
    """Return the champion; where it has changed since the date was begun, the gate decides anew.

    None where there is none, where it is this date's own, and where MLflow can't be reached.
    """
    from tsrnn.tracking import registry

    champion = None
    if spec.register and run.is_on:
        with suppress(ConnectionError):
            champion = registry.find(spec.name, uri=run.uri)
    if champion is not None and champion.run_id == run.run_id:
        return None
    looked, known = ledger.read("monitor"), champion and champion.version
    if looked and looked["champion"] != known and not ledger.read("register"):
        for step in ("monitor", "update", "gate", "forecast", "deliver"):
            ledger.forget(step)
    return champion


def register(
    spec: PipelineSpec, ledger: Ledger, run: TrackedRun, data: steps.DataSummary, model: Any
) -> str | None:
    """Keep ``model`` in MLflow and, where the gate promoted it, make it champion; return its version.

    Without MLflow there is a TrackingWarning, and the model forecasts all the same.
    """
    try:
        return _register(spec, ledger, run, data, model)
    except ConnectionError as error:
        message = f"The model was not registered: {error} It forecasts all the same."
        warnings.warn(message, TrackingWarning, stacklevel=2)
        return None


def _register(
    spec: PipelineSpec, ledger: Ledger, run: TrackedRun, data: steps.DataSummary, model: Any
) -> str | None:
    from tsrnn.tracking import registry

    def forecast(fitted: Any) -> pd.DataFrame:
        return fitted.predict(level=spec.forecast.level)

    done, kept = ledger.read("register"), ledger.read("upload")
    if done is not None:
        return str(done["version"])
    if not run.is_on:
        raise ConnectionError("MLflow can't be reached.")
    if kept is None or kept["run"] != run.run_id:
        beside = {"twin": ledger.folder / "twin"}
        uploaded = registry.upload(model, run, beside=beside, probe=forecast)
        kept = ledger.write("upload", run=run.run_id, model=uploaded)
    verdict = ledger.read("gate") or {}
    if verdict["outcome"] != "promoted" or not spec.register:
        return None
    tags = {
        PIPELINE: spec.name,
        ORDER: order(ledger.as_of),
        AS_OF: ledger.as_of,
        END: data.end,
        MAE: verdict["mae"],
        DATA: data.tags[DATA],
    }
    version = registry.register(kept["model"], run, spec.name, tags=tags, newest=ORDER)
    ledger.write("register", version=version.version)
    return version.version


def log(
    spec: PipelineSpec,
    ledger: Ledger,
    run: TrackedRun,
    data: steps.DataSummary,
) -> None:
    """Log what the ledger knows beside what the fit has logged, the backtest with its folds as runs below."""
    from tsrnn.tracking.record import fit_params

    looked, verdict = ledger.read("monitor") or {}, ledger.read("gate") or {}
    run.set_tags(data.tags)
    if ledger.read("fit") is None:  # the fit has logged its own
        run.log_params(fit_params(steps.make_forecaster(spec)))
    for section in ("backtest", "gate"):
        settings = asdict(getattr(spec, section))
        run.log_params({f"{section}/{name}": value for name, value in settings.items()})
    tags = {"tsrnn.gate": verdict["words"], "tsrnn.outcome": verdict["outcome"]}
    if (backtest := ledger.read("backtest")) is not None:
        judged = kept(ledger.folder, backtest["verdict"], data)
        run.log_backtest(judged, figures=spec.output.figures)
    inside = {f"coverage_{level}": share for level, share in looked["coverage"].items()}
    found = {"mae": looked["mae"], "expected_mae": looked["expected"], **inside}
    found |= {f"drift_{name}": value for name, value in looked["drift"].items()}
    run.log_metrics({f"monitor/{name}": value for name, value in found.items()})
    said = ledger.read("forecast") or {"model": "none", "words": "no forecast was made"}
    tags |= {"tsrnn.model": said["model"], "tsrnn.model_words": said["words"]}
    run.set_tags({**tags, "tsrnn.monitor": looked["words"]})
    for path in sorted(ledger.folder.glob("*.*")):
        if path.is_file() and path.name not in _NOT_LOGGED:
            run.log_artifact(path, "pipeline")
