"""What a run wanted to log, kept until it is delivered: in memory, then in a local file."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from tsrnn.exceptions import ParameterError
from tsrnn.tracking.quiet import quiet
from tsrnn.tracking.store import (
    DEFAULT_EXPERIMENT,
    create_store,
    experiment_id,
    find_root,
    resolve_uri,
    terminate,
)

__all__ = ["BATCH", "Journal", "log_in_batches", "replay"]

BATCH = 1000
"""Metrics in one call, MLflow's limit."""


class Journal:
    """Lines of one run; :meth:`spill` moves them to a file that later lines are added to."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def add(self, kind: str, **content: Any) -> None:
        """Add a line; ``kind`` is "run", "params", "tags", "metrics" or "end"."""
        line = json.dumps({"kind": kind, **content}, default=str)
        with self._lock:
            if self.path is None:
                self._lines.append(line)
            else:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")

    def spill(self) -> Path:
        """Write the lines to a file of JSON lines and return it."""
        with self._lock:
            if self.path is None:
                name = (
                    f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}.jsonl"
                )
                text = "".join(line + "\n" for line in self._lines)
                self.path = _write(_folders(), name, text)
                self._lines.clear()
            return self.path


def replay(path: str | Path, *, tracking_uri: str | None = None) -> str:
    """Log a file of kept metrics to a store that answers again, and remove the file.

    Parameters
    ----------
    path : str or Path
        A file that a TrackingWarning named.
    tracking_uri : str, optional
        The store to log to; see :func:`tsrnn.tracking.resolve_uri` for what happens without it.

    Returns
    -------
    str
        The id of the run: the one that was open when the store went away, where it exists, else
        a new one in the same experiment.

    Raises
    ------
    ParameterError
        The file is not one of tsrnn's.
    """
    path = Path(path)
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        head = lines[0]
        _ = head["name"], head["joined"], head["experiment"], head["time"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ParameterError(
            f"replay needs a file of kept metrics (mlruns/pending/*.jsonl). Got {str(path)!r}: {error}."
        ) from None
    uri = resolve_uri(tracking_uri)
    with quiet():
        run_id = _log_lines(uri, head, lines)
    path.unlink()
    return run_id


def _log_lines(uri: str, head: dict[str, Any], lines: list[dict[str, Any]]) -> str:
    create_store(uri)
    client = MlflowClient(uri)
    opened = [str(line["run_id"]) for line in lines if line["kind"] == "opened"]
    exists = bool(opened) and _exists(client, opened[-1])
    if exists:
        run_id = opened[-1]
    else:
        experiment = experiment_id(client, uri, head["experiment"] or DEFAULT_EXPERIMENT)
        created = client.create_run(experiment, start_time=head["time"], run_name=head["name"])
        run_id = str(created.info.run_id)
    metrics, params, tags = (
        [item for line in lines if line["kind"] == kind for item in line[kind]]
        for kind in ("metrics", "params", "tags")
    )
    known = client.get_run(run_id).data.params
    log_in_batches(
        client,
        run_id,
        metrics=[Metric(*metric) for metric in metrics],
        params=[Param(*param) for param in params if param[0] not in known],
        tags=[RunTag(*tag) for tag in tags],
    )
    if not (exists and head["joined"]):
        ends = [line for line in lines if line["kind"] == "end"]
        status, end = (ends[-1]["status"], ends[-1]["time"]) if ends else ("KILLED", head["time"])
        terminate(client, run_id, status, end)
    return run_id


def log_in_batches(
    client: MlflowClient,
    run_id: str,
    *,
    metrics: list[Metric] | None = None,
    params: list[Param] | None = None,
    tags: list[RunTag] | None = None,
) -> None:
    """Log everything in as few calls as MLflow's limits allow (1000 metrics, 100 params, 100 tags)."""
    metrics, params, tags = metrics or [], params or [], tags or []
    calls = max(-(-len(metrics) // (BATCH - 200)), -(-len(params) // 100), -(-len(tags) // 100))
    for k in range(calls):
        client.log_batch(
            run_id,
            metrics=metrics[k * (BATCH - 200) : (k + 1) * (BATCH - 200)],
            params=params[k * 100 : (k + 1) * 100],
            tags=tags[k * 100 : (k + 1) * 100],
        )


def _exists(client: MlflowClient, run_id: str) -> bool:
    try:
        client.get_run(run_id)
    except Exception:  # noqa: BLE001 - another store, another run: a new one is made
        return False
    return True


def _folders() -> Iterable[Path]:
    # a folder mlruns is not started for this: it would be litter in a foreign place
    home = find_root() / "mlruns"
    if home.is_dir() or os.environ.get("TSRNN_HOME"):
        yield home / "pending"
    yield Path(tempfile.gettempdir()) / "tsrnn-pending"
    yield Path(tempfile.mkdtemp(prefix="tsrnn-pending-"))


def _write(folders: Iterable[Path], name: str, text: str) -> Path:
    problem: OSError | None = None
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            problem = error
        else:
            return folder / name
    raise OSError(f"No folder takes the kept metrics: {problem}")
