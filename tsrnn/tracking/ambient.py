"""MLflow's own words inside ``track()``: its active run and its address, set and put back."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.tracking import fluent
from mlflow.tracking._tracking_service import utils

from tsrnn.tracking.recorder import TrackedRun

__all__ = ["active"]

_VARIABLE = "MLFLOW_TRACKING_URI"
_lock = threading.Lock()
_inside: list[TrackedRun] = []
_outside: tuple[str | None, str | None] = (None, None)


@contextmanager
def active(run: TrackedRun) -> Iterator[None]:
    """Make ``run`` MLflow's active run and its store MLflow's store, and undo both."""
    if run.entity is None:
        yield
        return
    # mlflow.start_run and end_run would ask the server again, for minutes where it is gone
    stack = fluent._active_run_stack.get()  # noqa: SLF001
    entry = mlflow.ActiveRun(run.entity)
    _enter(run)
    stack.append(entry)
    try:
        yield
    finally:
        if entry in stack:
            stack.remove(entry)
        _leave(run)


def _enter(run: TrackedRun) -> None:
    global _outside  # noqa: PLW0603 - MLflow's tracking address is one per process
    with _lock:
        if not _inside:
            # get_tracking_uri could not tell an address that was set from the default
            _outside = (utils._tracking_uri, os.environ.get(_VARIABLE))  # noqa: SLF001
        _inside.append(run)
        mlflow.set_tracking_uri(run.uri)


def _leave(run: TrackedRun) -> None:
    with _lock:
        _inside.remove(run)
        if _inside:
            mlflow.set_tracking_uri(_inside[-1].uri)
            return
        address, variable = _outside
        mlflow.set_tracking_uri(address)
        if variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = variable
