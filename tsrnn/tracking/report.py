"""What a fit writes into its run, in order: before training, and after it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.data import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from tsrnn.exceptions import DataError, ParameterError
from tsrnn.inspection import plot_network
from tsrnn.plotting import plot_forecast
from tsrnn.tracking import flavor, record

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.panel import Panel
    from tsrnn.tracking.recorder import TrackedRun

__all__ = ["finish", "start"]

_MODEL = "model"
_DATA = "training data"


def start(run: TrackedRun, forecaster: Forecaster, panel: Panel) -> None:
    """Log parameters, tags and the data a fit is about to learn from."""
    tags = record.data_tags(panel)
    run.set_tags({**tags, **record.environment()})
    run.log_params(record.fit_params(forecaster))
    run.dataset = (_DATA, tags["tsrnn.data"])
    head, size = record.head_frame(panel), {"num_rows": len(panel.values), "num_series": len(panel)}

    def log_data(client: MlflowClient) -> None:
        # MLflow profiles the whole frame it is given (9 s for 2 million rows): it gets the head
        source = from_pandas(head, name=_DATA, targets="value", digest=tags["tsrnn.data"])
        dataset = Dataset(**{**source.to_dict(), "profile": json.dumps(size)})
        entry = DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
        _persist(lambda: client.log_inputs(run.run_id, [entry]))

    run.call(log_data, optional=True)


def finish(
    run: TrackedRun,
    forecaster: Forecaster,
    *,
    seconds: float,
    curve: bool,
    log_model: bool,
) -> None:
    """Log what a fit learned: plan, curve, held-out scores, forecast, plot and model."""
    run.log_params(record.learned_params(forecaster))
    run.log_metrics({"fit_seconds": seconds})
    if curve:
        _log_curve(run, forecaster)
    log_model = log_model and hasattr(forecaster, "save")
    if log_model:
        run.call(lambda client: _announce_model(run, client, forecaster), optional=True)
    if not run.wait():
        _log_scores(run, forecaster)
        return
    _log_scores(run, forecaster)
    _log_forecast(run, forecaster)
    _log_inside(run, forecaster)
    if log_model and run.model_id is not None:
        _log_model(run, forecaster)
    run.wait()


def _log_scores(run: TrackedRun, forecaster: Forecaster) -> None:
    for point in record.held_out(forecaster):
        run.log_metrics({point.key: point.value}, point.step)
    text = record.verdict(forecaster)
    if text is not None:
        run.set_tags({"tsrnn.verdict": text})
        run.flush()


def _log_curve(run: TrackedRun, forecaster: Forecaster) -> None:
    history = getattr(forecaster, "history_", None)
    if isinstance(history, pd.DataFrame) and "step" in history:
        for row in history.to_dict("records"):
            step = int(row.pop("step"))
            run.log_metrics({str(key): value for key, value in row.items()}, step)


def _log_forecast(run: TrackedRun, forecaster: Forecaster) -> None:
    try:
        forecast = _forecast(forecaster)
    except DataError:
        if forecaster.format_.covariates.future:  # they are not known yet
            return
        raise
    run.log_table(_as_frame(forecast), "forecast")
    plot = getattr(forecaster, "plot", None)
    figure = _draw(forecaster) if plot is None else plot()
    run.log_figure(figure, "forecast")


def _log_inside(run: TrackedRun, forecaster: Forecaster) -> None:
    """Log a look inside the network of a forecaster that has one."""
    look = getattr(forecaster, "diagnose", None)
    if look is None:
        return
    run.log_diagnosis(look())
    run.log_figure(plot_network(forecaster), "diagnosis/network")


def _draw(forecaster: Forecaster) -> Any:
    """Draw the newest history and the forecast of a forecaster that has no ``plot`` of its own."""
    past, axis, steps = forecaster._history_tail(), forecaster.axis_, forecaster.horizon_  # noqa: SLF001
    ahead = forecaster._forecast_panel(None, steps, ())  # noqa: SLF001
    stamps = axis.future(past.last_times, steps)

    def rows(counts: Any, times: np.ndarray, **values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {"id": past.labels.repeat(counts), "ds": axis.to_index(times), **values}
        )

    return plot_forecast(
        rows(past.lengths, past.times, y=past.values),
        rows(steps, stamps.ravel(), forecast=ahead.point.ravel()),
        id_col="id",
    )


def _announce_model(run: TrackedRun, client: MlflowClient, forecaster: Forecaster) -> None:
    model = client.create_logged_model(
        run.experiment_id,
        name=_MODEL,
        source_run_id=run.run_id,
        model_type=type(forecaster).__name__,
    )
    run.model_id = model.model_id


def _log_model(run: TrackedRun, forecaster: Forecaster) -> None:
    model_id = run.model_id
    folder = Path(tempfile.mkdtemp(dir=run.scratch)) / _MODEL
    description = Model(
        artifact_path=_MODEL, run_id=run.run_id, model_uuid=model_id, model_id=model_id
    )
    flavor.save_model(forecaster, folder, mlflow_model=description)

    def upload(client: MlflowClient) -> None:
        client.log_model_artifacts(model_id, str(folder))
        client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)

    run.call(upload, files=folder, optional=True)


def _forecast(forecaster: Forecaster) -> Any:
    try:
        return forecaster.predict(level=[80])
    except ParameterError:  # a forecaster of points only
        return forecaster.predict()


def _persist(call: Callable[[], object], attempts: int = 3) -> None:
    # MLflow stores a data set that two runs bring at the same moment twice, and one of them fails
    for _ in range(attempts - 1):
        with suppress(MlflowException):
            call()
            return
    call()


def _as_frame(forecast: Any) -> pd.DataFrame:
    if isinstance(forecast, pd.Series):
        return forecast.to_frame()
    if isinstance(forecast, pd.DataFrame):
        return forecast
    return pd.DataFrame(forecast.to_pandas())
