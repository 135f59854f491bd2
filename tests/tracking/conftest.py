"""One template database for all tests of tracking: copying it takes milliseconds, making it a second."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.base import clone

from tsrnn.base import Forecast, Forecaster
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


class LastValue(Forecaster):
    """Repeats the last value; notifies ``epochs`` times and then fails with ``error``, if any."""

    def __init__(
        self,
        *,
        horizon=None,
        id_col=None,
        time_col=None,
        target_col=None,
        freq=None,
        calendar=None,
        season=None,
        epochs=3,
        error=None,
        inner=None,
    ):
        self.horizon = horizon
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.freq = freq
        self.calendar = calendar
        self.season = season
        self.epochs = epochs
        self.error = error
        self.inner = inner

    def _check_parameters(self):
        pass

    def _fit_panel(self, panel, notify):
        if self.inner is not None:
            clone(self.inner).fit(FRAME)
        for epoch in range(1, self.epochs + 1):
            notify(epoch * 10, {"train_loss": 1.0 / epoch, "val_loss": float("nan")})
        if self.error is not None:
            raise self.error
        self.last_ = panel.values[panel.indptr[1:] - 1].astype(float)
        self.tail_ = panel.tail(14)
        self.plan_ = {"representation": "difference", "lags": [1, 7]}
        self.skill_ = SimpleNamespace(
            scores=pd.DataFrame(
                {"mae": [1.0, 2.0], "mase": [0.5, np.inf]}, index=["model", "naive"]
            ),
            by_horizon=pd.DataFrame({"model": [1.0, 3.0], "naive": [2.0, 4.0]}, index=[1, 2]),
            verdict="better than naive",
            beats_naive=True,
        )

    def _forecast_panel(self, panel, horizon, probabilities):
        last = self.last_ if panel is None else panel.values[panel.indptr[1:] - 1].astype(float)
        point = np.repeat(last[:, None], horizon, axis=1)
        return Forecast(point, np.repeat(point[:, :, None], max(len(probabilities), 1), axis=2))

    def _history_tail(self):
        return self.tail_


FRAME = pd.DataFrame(
    {
        "id": ["a"] * 5 + ["b"] * 4,
        "ds": [*pd.date_range("2024-01-01", periods=5), *pd.date_range("2024-01-02", periods=4)],
        "y": [1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0],
    }
)


@pytest.fixture
def frame() -> pd.DataFrame:
    return FRAME.copy()


@pytest.fixture
def last_value() -> type[LastValue]:
    return LastValue
