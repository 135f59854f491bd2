"""The registry: a model is uploaded, loaded back and tried, and only then registered and named champion.

A process may be killed between any two of these calls. What it leaves is never a version that does
not load, nor an alias on one: the files come first, the version points at files that have been
tried, the alias comes last. Doing it again goes on from the version that is there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.tracking.artifact_utils import _download_artifact_from_uri
from mlflow.utils.file_utils import local_file_uri_to_path

from tsrnn.exceptions import ModelFileError
from tsrnn.tracking import flavor
from tsrnn.tracking.courier import Courier, is_remote, patience
from tsrnn.tracking.store import create_store, terminate

if TYPE_CHECKING:
    from tsrnn.base import Forecaster
    from tsrnn.tracking.recorder import TrackedRun

__all__ = ["CHAMPION", "Version", "close_runs", "fetch", "find", "register", "upload"]

CHAMPION = "champion"
_MODEL = "model"
_QUESTION, _TRANSFER = 30.0, 300.0
"""Seconds that a local store may take to answer, and any to take or give a model."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Version:
    """A registered version of a model.

    Parameters
    ----------
    name, version : str
        Of the registered model, and its number there.
    run_id, source : str
        The run it comes from, and the address of its files.
    tags : dict
        What was said when it was registered.
    """

    name: str
    version: str
    run_id: str
    source: str
    tags: dict[str, str] = field(default_factory=dict)


def find(name: str, *, uri: str, alias: str = CHAMPION) -> Version | None:
    """Return the version of ``name`` that ``alias`` names; None where there is none.

    Raises
    ------
    ConnectionError
        The store does not answer.
    """
    return _ask(uri, lambda client: _aliased(client, name, alias))


def fetch(version: Version, *, uri: str, folder: Path) -> Path:
    """Return a folder with the files of ``version``: its own, or ``folder`` for those of a server."""
    return _ask(uri, lambda client: _files(client, version.source, uri, folder), seconds=_TRANSFER)


def upload(
    forecaster: Forecaster,
    run: TrackedRun,
    *,
    beside: Mapping[str, Path],
    probe: Callable[[Any], Any],
) -> str:
    """Upload a fitted forecaster to ``run``, load it back and try it; return the id of the model.

    Parameters
    ----------
    forecaster : Forecaster
        Fitted, with a method ``save``.
    run : TrackedRun
        The open run it belongs to. What an earlier, killed attempt uploaded there is dropped.
    beside : mapping of str to Path
        Folders that are kept with the model, by name.
    probe : callable
        Gets a forecaster and returns its forecast; that of the model that was loaded back must be
        the same.

    Raises
    ------
    ModelFileError
        The model that was loaded back forecasts something else.
    ConnectionError
        The store does not answer.
    """

    def send(client: MlflowClient) -> str:
        for stale in _logged_models(client, run):
            client.delete_logged_model(stale)
        model = client.create_logged_model(
            run.experiment_id,
            name=_MODEL,
            source_run_id=run.run_id,
            model_type=type(forecaster).__name__,
        )
        model_id = str(model.model_id)
        description = Model(
            artifact_path=_MODEL, run_id=run.run_id, model_uuid=model_id, model_id=model_id
        )
        with tempfile.TemporaryDirectory(dir=run.scratch) as scratch:
            flavor.save_model(forecaster, Path(scratch, _MODEL), mlflow_model=description)
            client.log_model_artifacts(model_id, str(Path(scratch, _MODEL)))
            for name, folder in beside.items():
                client.log_model_artifacts(model_id, str(folder), name)
        client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)
        with tempfile.TemporaryDirectory(dir=run.scratch) as scratch:
            files = _files(client, f"models:/{model_id}", run.uri, Path(scratch))
            back = flavor.load_model(str(files))
        if not probe(back).equals(probe(forecaster)):
            client.finalize_logged_model(model_id, LoggedModelStatus.FAILED)
            raise ModelFileError(
                f"The uploaded model must forecast what the fitted one does. Got another forecast from "
                f"models:/{model_id}; it was not registered."
            )
        return model_id

    _ask(
        run.uri, lambda client: client.get_run(run.run_id)
    )  # a server that is gone says so at once
    return _ask(run.uri, send, seconds=_TRANSFER)


def register(
    model_id: str, run: TrackedRun, name: str, *, tags: Mapping[str, object], newest: str
) -> Version:
    """Make an uploaded model the newest version of ``name`` and its champion; the alias comes last.

    Parameters
    ----------
    model_id : str
        What :func:`upload` returned.
    run : TrackedRun
        The run it belongs to; a version that it has already is the one.
    name : str
        Of the registered model, created where needed.
    tags : mapping
        Tags of the version.
    newest : str
        Tag that orders versions: a champion for whom it is greater keeps the alias.

    Raises
    ------
    ConnectionError
        The store does not answer.
    """
    words = {key: str(value) for key, value in tags.items()}

    def enter(client: MlflowClient) -> Version:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        mine = [v for v in client.search_model_versions(f"name='{name}'") if v.run_id == run.run_id]
        found = mine[0] if mine else None
        if found is None:
            found = client.create_model_version(
                name, f"models:/{model_id}", run.run_id, tags=words, model_id=model_id
            )
        champion = _aliased(client, name, CHAMPION)
        if champion is None or champion.tags.get(newest, "") <= words.get(newest, ""):
            client.set_registered_model_alias(name, CHAMPION, str(found.version))
        return _version(found)

    return _ask(run.uri, enter)


def close_runs(uri: str, experiment: str, *, tags: Mapping[str, str], but: str | None) -> None:
    """End the open runs of ``experiment`` that have ``tags``, and those below them, all but one, as KILLED.

    Only for whoever knows that no process works on them, such as the holder of a lock.
    """

    def close(client: MlflowClient) -> None:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return
        for run in client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'"):
            above = run.data.tags.get("mlflow.parentRunId")
            known = run.data.tags if above is None else _tags(client, above)
            if run.info.run_id != but and tags.items() <= known.items():
                terminate(client, run.info.run_id, "KILLED", run.info.start_time)

    _ask(uri, close)


def _ask(
    uri: str, question: Callable[[MlflowClient], _Answer], *, seconds: float | None = None
) -> _Answer:
    """Return the answer of the store, within ``seconds``; those of a question when not given."""
    if seconds is None:
        seconds = patience(uri) if is_remote(uri) else _QUESTION
    answers: list[_Answer] = []
    problems: list[Exception] = []

    def ask() -> None:
        try:
            create_store(uri)
            answers.append(question(MlflowClient(uri)))
        except ModelFileError as error:
            problems.append(error)

    courier = Courier(uri)
    courier.send(ask, seconds=seconds)
    courier.close()
    delivered = courier.drain()
    if problems:
        raise problems[0]
    if not delivered:
        raise ConnectionError(f"The MLflow store did not do it: {courier.failure}.")
    return answers[0]


def _aliased(client: MlflowClient, name: str, alias: str) -> Version | None:
    try:
        return _version(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        absent = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
        if error.error_code in absent:
            return None
        raise


def _version(found: Any) -> Version:
    return Version(
        str(found.name), str(found.version), str(found.run_id), str(found.source), dict(found.tags)
    )


def _tags(client: MlflowClient, run_id: str) -> dict[str, str]:
    """Return the tags of a run; none where it has been deleted."""
    try:
        return dict(client.get_run(run_id).data.tags)
    except MlflowException:
        return {}


def _logged_models(client: MlflowClient, run: TrackedRun) -> list[str]:
    found = client.search_logged_models(
        [run.experiment_id], filter_string=f"source_run_id = '{run.run_id}'"
    )
    return [str(model.model_id) for model in found]


def _files(client: MlflowClient, source: str, uri: str, folder: Path) -> Path:
    """Return the folder of a model's files, downloaded to ``folder`` where they are on a server."""
    if source.startswith("models:/"):
        source = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    if source.startswith("file:"):
        return Path(local_file_uri_to_path(source))
    folder.mkdir(parents=True, exist_ok=True)
    return Path(_download_artifact_from_uri(source, output_path=str(folder), tracking_uri=uri))
