"""One template database for all tests of tracking: copying it takes milliseconds, making it a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.last_value import FRAME, LastValue
from tsrnn.tracking import autolog
from tsrnn.tracking.store import create_store


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "mlruns"
    create_store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An empty TSRNN_HOME, which is the current folder, and no trace of another store."""
    for name in ("TRACKING_URI", "EXPERIMENT_ID", "EXPERIMENT_NAME"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("TSRNN_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store_uri(home, template) -> str:
    """The address of a fresh embedded store."""
    (home / "mlruns").mkdir()
    shutil.copy(template, home / "mlruns" / "mlflow.db")
    return f"sqlite:///{home}/mlruns/mlflow.db"


@pytest.fixture
def client(store_uri) -> MlflowClient:
    return MlflowClient(store_uri)


@pytest.fixture
def autologged():
    autolog()
    yield
    autolog(disable=True)


@pytest.fixture
def frame() -> pd.DataFrame:
    return FRAME.copy()


@pytest.fixture
def last_value() -> type[LastValue]:
    return LastValue
