"""Where runs are kept: the embedded store ``mlruns/mlflow.db``, unless the user named another one.

The store is a SQLite file beside a folder of artifacts. MLflow fills a fresh database table by
table, and two processes doing that at once leave it half made for good; here it is made under a
file lock in a file of another name and renamed, so that ``mlflow.db`` is whole whenever it exists.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException

from tsrnn.exceptions import ParameterError
from tsrnn.tracking.quiet import quiet

__all__ = [
    "DEFAULT_EXPERIMENT",
    "create_store",
    "default_experiment",
    "experiment_id",
    "find_root",
    "is_embedded",
    "resolve_uri",
    "terminate",
]

DEFAULT_EXPERIMENT = "tsrnn"
_FOLDER = "mlruns"
_DATABASE = "mlflow.db"
_SQLITE = "sqlite:///"


def find_root(start: str | Path | None = None) -> Path:
    """Return the folder that holds, or will hold, ``mlruns``.

    Parameters
    ----------
    start : str or Path, optional
        Where to begin looking; the current folder when not given.

    Returns
    -------
    Path
        ``$TSRNN_HOME`` where that is set, else the nearest folder from ``start`` upwards that has
        ``mlruns`` or ``pyproject.toml``, else ``start`` itself.
    """
    home = os.environ.get("TSRNN_HOME")
    if home:
        return Path(home).expanduser().resolve()
    here = Path.cwd() if start is None else Path(start).resolve()
    for folder in (here, *here.parents):
        if (folder / _FOLDER).is_dir() or (folder / "pyproject.toml").is_file():
            return folder
    return here


def resolve_uri(tracking_uri: str | None = None) -> str:
    """Return the address of the store to write to; nothing is created.

    Parameters
    ----------
    tracking_uri : str, optional
        Wins over everything when given.

    Returns
    -------
    str
        ``tracking_uri``, else what MLflow was told (``MLFLOW_TRACKING_URI`` or
        ``mlflow.set_tracking_uri``, looked up at this moment), else the embedded store.
    """
    if tracking_uri is not None:
        return str(tracking_uri)
    if mlflow.is_tracking_uri_set():
        return str(mlflow.get_tracking_uri())
    return _SQLITE + (find_root() / _FOLDER / _DATABASE).as_posix()


def is_embedded(uri: str) -> bool:
    """Return whether ``uri`` is a store of the embedded layout (``.../mlruns/mlflow.db``)."""
    return uri.startswith(_SQLITE) and uri.endswith(f"/{_FOLDER}/{_DATABASE}")


def create_store(uri: str) -> None:
    """Create the embedded store of ``uri`` where it does not exist yet; other stores are left alone.

    Safe for any number of processes at once: one creates, the others wait for it.

    Raises
    ------
    ParameterError
        The folder holds runs of MLflow's old file store, which would stay invisible: the message
        has the command that brings them over.
    """
    if not is_embedded(uri):
        return
    database = _database(uri)
    if database.is_file():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.parent / ".init.lock"):
        if not database.is_file():
            _refuse_legacy(database)
            with quiet():
                _build(database)


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of the experiment ``name``, creating it where needed (by several at once, too).

    In the embedded store its artifacts get the folder ``mlruns/artifacts/<name>``, wherever the
    process that created it was running.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        location = _artifacts(uri, name) if is_embedded(uri) else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise ParameterError(
            f"The experiment {name!r} is in the trash of the MLflow store. Restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or use another name."
        )
    return str(found.experiment_id)


def default_experiment() -> str | None:
    """Return the experiment to write to when none is named: MLflow's own choice, else "tsrnn".

    None means that ``mlflow.set_experiment`` or ``MLFLOW_EXPERIMENT_ID`` chose one by its id.
    """
    if mlflow.is_tracking_uri_set() and os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return None
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def terminate(client: MlflowClient, run_id: str, status: str, time: int) -> None:
    """End a run as "FINISHED", "FAILED" or "KILLED" at ``time`` (milliseconds since 1970)."""
    # client.set_terminated would print addresses to the terminal
    store = client._tracking_client.store  # noqa: SLF001
    store.update_run_info(run_id, RunStatus.from_string(status), time, None)


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE))


def _artifacts(uri: str, name: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "experiment"
    return (_database(uri).parent / "artifacts" / slug).as_uri()


def _refuse_legacy(database: Path) -> None:
    folder = database.parent
    if any(path.parent.name.isdigit() for path in folder.glob("*/meta.yaml")):
        raise ParameterError(
            f"The folder {str(folder)!r} holds runs of MLflow's old file store, which MLflow 3 no longer "
            "reads. Bring them over once with "
            f"`mlflow migrate-filestore --source {folder} --target {_SQLITE}{database.as_posix()}`, "
            "or move the folder away."
        )


def _build(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    draft = database.with_name(f".{_DATABASE}.draft")
    for leftover in database.parent.glob(f"{draft.name}*"):  # of a process killed in here
        leftover.unlink()
    uri = _SQLITE + draft.as_posix()
    store: Any = SqlAlchemyStore(uri, (database.parent / "artifacts").as_uri())
    store.engine.dispose()
    SqlAlchemyStore._engine_map.pop(uri, None)  # noqa: SLF001 - the name is reused by the next draft
    draft.replace(database)
