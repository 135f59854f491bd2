"""The words users say: ``track`` and ``autolog``, and the listener that turns a fit into a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from tsrnn.exceptions import ParameterError, TrackingWarning
from tsrnn.listeners import add_listener
from tsrnn.parameters import check_flag
from tsrnn.tracking import report
from tsrnn.tracking.ambient import active
from tsrnn.tracking.courier import Courier
from tsrnn.tracking.quiet import warn
from tsrnn.tracking.recorder import TrackedRun
from tsrnn.tracking.store import create_store, default_experiment, resolve_uri

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.listeners import FitListener
    from tsrnn.panel import Panel

__all__ = ["autolog", "runs", "track", "untracked"]

_SEARCH = 30.0
"""Seconds that a store may take to list its runs."""


@dataclass(frozen=True)
class _Autolog:
    experiment: str | None
    log_models: bool


_autolog: _Autolog | None = None
_tracked: ContextVar[TrackedRun | None] = ContextVar("tsrnn_tracked", default=None)
_fitting: ContextVar[bool] = ContextVar("tsrnn_fitting", default=False)
_lock = threading.Lock()
_holds_a_fit: set[str] = set()


def autolog(
    experiment: str | None = None, *, log_models: bool = True, disable: bool = False
) -> None:
    """Make every fit from now on a run of MLflow.

    Parameters
    ----------
    experiment : str, optional
        Where the runs go; MLflow's current experiment, else "tsrnn", when not given.
    log_models : bool
        Whether a run also keeps the fitted model.
    disable : bool
        Stop doing so.

    Notes
    -----
    A fit inside :func:`track` or inside an active MLflow run is logged there. docs/tracking.md
    tells where the store is and what is logged.
    """
    global _autolog  # noqa: PLW0603 - a switch of the process, like mlflow.autolog
    check_flag("disable", disable)
    check_flag("log_models", log_models)
    _check_name("experiment", experiment)
    _autolog = None if disable else _Autolog(experiment, log_models)


@contextmanager
def track(
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, object] | None = None,
    *,
    tracking_uri: str | None = None,
    log_models: bool = True,
    resume: str | None = None,
) -> Iterator[TrackedRun]:
    """Log the fits of a ``with`` block to one run of MLflow.

    The first fit inside writes into the run itself; each further one gets a nested run. MLflow's own
    ``mlflow.log_metric`` and the rest work inside, too. When the block ends, so does the run
    (FINISHED, FAILED after an error, KILLED after an interrupt), and MLflow's tracking address is
    what it was before.

    Parameters
    ----------
    experiment : str, optional
        Name of the experiment, created where needed; MLflow's current one, else "tsrnn".
    run_name : str, optional
        Name of the run; MLflow invents one when not given.
    tags : mapping, optional
        Tags of the run.
    tracking_uri : str, optional
        The store; see :func:`tsrnn.tracking.resolve_uri` for what happens without it.
    log_models : bool
        Whether a fit inside also keeps its model.
    resume : str, optional
        Id of a run to go on with, such as that of a process that was killed; a new run where there is
        no such run any more.

    Yields
    ------
    TrackedRun
        With ``run_id``, and methods to log more that never fail.

    Examples
    --------
    >>> with tsrnn.track(experiment="prices") as run:        # doctest: +SKIP
    ...     model = RNNForecaster().fit(df)
    """
    _check_name("experiment", experiment)
    _check_name("run_name", run_name)
    uri = resolve_uri(tracking_uri)
    outer = mlflow.active_run()
    run = TrackedRun(
        uri,
        experiment=experiment or default_experiment(),
        name=run_name,
        tags=tags,
        parent=None if outer is None else outer.info.run_id,
        resume=resume,
        log_models=log_models,
    )
    token = _tracked.set(run)
    status = "FAILED"
    try:
        run.wait()
        with active(run):
            yield run
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        _tracked.reset(token)
        run.end(status)


@contextmanager
def untracked() -> Iterator[None]:
    """Log nothing of the fits in a ``with`` block, such as those of a backtest inside a tracked run."""
    token = _fitting.set(True)
    try:
        yield
    finally:
        _fitting.reset(token)


def runs(
    experiment: str | None = None, *, nested: bool = True, tracking_uri: str | None = None
) -> pd.DataFrame:
    """Return the runs of the store as a table, newest first.

    Parameters
    ----------
    experiment : str, optional
        Only this one; all experiments when not given.
    nested : bool, default True
        List the runs below others (folds, trials), too.
    tracking_uri : str, optional
        The store; see :func:`tsrnn.tracking.resolve_uri` for what happens without it.

    Returns
    -------
    pandas.DataFrame
        One row per run: ``run_id``, ``experiment_id``, ``run_name``, ``status``, ``start_time`` (UTC), then
        ``metrics.*``, ``params.*`` and ``tags.*``.

    Raises
    ------
    ConnectionError
        The store can't be read, or does not answer.
    """
    uri = resolve_uri(tracking_uri)
    found: list[Run] = []
    courier = Courier(uri)
    courier.send(lambda: found.extend(_search(uri, experiment)), seconds=_SEARCH)
    courier.close()
    if not courier.drain():
        raise ConnectionError(f"The MLflow store could not be read: {courier.failure}.")
    rows = [
        {
            "run_id": run.info.run_id,
            "experiment_id": run.info.experiment_id,
            "run_name": run.info.run_name,
            "status": run.info.status,
            "start_time": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
            **{f"metrics.{key}": value for key, value in run.data.metrics.items()},
            **{f"params.{key}": value for key, value in run.data.params.items()},
            **{f"tags.{key}": value for key, value in run.data.tags.items()},
        }
        for run in found
        if nested or "mlflow.parentRunId" not in run.data.tags
    ]
    return pd.DataFrame(
        rows,
        columns=None if rows else ["run_id", "experiment_id", "run_name", "status", "start_time"],
    )


def _search(uri: str, experiment: str | None) -> list[Run]:
    create_store(uri)
    client = MlflowClient(uri)
    experiments = [
        found.experiment_id
        for found in client.search_experiments()
        if experiment is None or found.name == experiment
    ]
    found: list[Run] = []
    page = None
    while experiments:
        answer = client.search_runs(experiments, max_results=1000, page_token=page)
        found += list(answer)
        page = answer.token
        if not page:
            break
    return found


class _FitRun:
    """Listens to one fit and logs it; an error in here becomes one TrackingWarning."""

    def __init__(self, run: TrackedRun, *, log_models: bool) -> None:
        self._run = run
        self._log_models = log_models
        self._epochs = 0
        self._off = False
        self._since = time.monotonic()

    def on_fit_start(self, forecaster: Forecaster, panel: Panel) -> None:
        _fitting.set(True)
        self._guard(lambda: report.start(self._run, forecaster, panel))

    def on_epoch_end(self, forecaster: Forecaster, step: int, metrics: dict[str, float]) -> None:
        del forecaster
        self._epochs += 1
        self._guard(lambda: self._run.log_metrics(metrics, step))

    def on_fit_end(self, forecaster: Forecaster) -> None:
        seconds = time.monotonic() - self._since
        try:
            self._guard(
                lambda: report.finish(
                    self._run,
                    forecaster,
                    seconds=seconds,
                    curve=self._epochs == 0,
                    log_model=self._log_models,
                )
            )
            self._guard(lambda: self._run.end("FINISHED"), always=True)
        finally:
            _fitting.set(False)

    def on_fit_error(self, forecaster: Forecaster, error: BaseException) -> None:
        del forecaster
        _fitting.set(False)
        killed = isinstance(error, (KeyboardInterrupt, SystemExit))
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._guard(lambda: self._run.set_tags({"tsrnn.error": text[:500]}), always=True)
        self._guard(lambda: self._run.end("KILLED" if killed else "FAILED"), always=True)

    def _guard(self, step: Callable[[], object], *, always: bool = False) -> None:
        if self._off and not always:
            return
        try:
            step()
        except TrackingWarning:  # the caller made warnings errors, and gets them
            raise
        except Exception as error:  # noqa: BLE001 - tracking never stops a fit
            if not self._off:
                self._off = True
                warn(f"MLflow has only a part of this fit: {type(error).__name__}: {error}")


def _listen(forecaster: Forecaster) -> FitListener | None:
    """Return a listener where the user asked for tracking in one of the three ways."""
    if _fitting.get():
        return None  # a fit within a fit is a detail of the outer one
    tracked, current = _tracked.get(), mlflow.active_run()
    if tracked is None and current is None and _autolog is None:
        return None
    name = type(forecaster).__name__
    log_models = _autolog is None or _autolog.log_models
    log_models = log_models and (tracked is None or tracked.log_models)
    if current is not None:
        info = current.info
        uri = (
            tracked.uri if tracked and tracked.run_id == info.run_id else mlflow.get_tracking_uri()
        )
        with _lock:
            first = info.run_id not in _holds_a_fit
            _holds_a_fit.add(info.run_id)
        if first:
            run = TrackedRun(uri, join=info.run_id)
        else:
            run = TrackedRun(uri, experiment_id=info.experiment_id, name=name, parent=info.run_id)
    elif tracked is not None:
        run = TrackedRun(tracked.uri, experiment=tracked.experiment, name=name)
    else:
        experiment = _autolog.experiment if _autolog is not None else None
        run = TrackedRun(resolve_uri(), experiment=experiment or default_experiment(), name=name)
    return _FitRun(run, log_models=log_models)


add_listener(_listen)


def _check_name(parameter: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ParameterError(f"The {parameter!r} parameter must be a name or None. Got {value!r}.")
