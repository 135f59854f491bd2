"""Tracking with MLflow: the only part of tsrnn that imports it.

    store      where runs are kept
    quiet      no chatter of MLflow on the terminal
    ambient    MLflow's active run and address inside track(), set and put back
    courier    a thread that carries calls, and gives up in time
    leases     which runs are open, so that those of a killed process get closed
    journal    what is kept in a file when it does
    recorder   one run, written to without ever failing
    record     what a fit says about itself
    report     what of it goes into the run, and when
    flavor     the model, as MLflow saves and serves it
    registry   upload, try, register, alias last
    words      the words users say: track, autolog, runs

A fit is logged after ``tsrnn.autolog()``, inside ``with tsrnn.track(...)``, or inside an active
MLflow run. MLflow's usage reports to its makers are off unless ``MLFLOW_DISABLE_TELEMETRY`` is set
to false before.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is first imported

from tsrnn.tracking.flavor import (
    FLAVOR_NAME,
    _load_pyfunc,
    get_default_pip_requirements,
    load_model,
    log_model,
    save_model,
)
from tsrnn.tracking.journal import replay
from tsrnn.tracking.recorder import TrackedRun
from tsrnn.tracking.store import resolve_uri
from tsrnn.tracking.words import autolog, runs, track, untracked

__all__ = [
    "FLAVOR_NAME",
    "TrackedRun",
    "_load_pyfunc",
    "autolog",
    "get_default_pip_requirements",
    "load_model",
    "log_model",
    "replay",
    "resolve_uri",
    "runs",
    "save_model",
    "track",
    "untracked",
]
