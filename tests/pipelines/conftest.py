"""A project folder with its own, ready store: copying one takes milliseconds, making one a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsrnn.tracking.store import create_store

SPEC = """
name: shop
data: {path: sales.csv}
model: {horizon: 2, max_steps: 1, hidden_size: 2, context_length: 8}
backtest: {n_windows: 2}
output: {figures: false}
"""


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "mlruns"
    create_store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A project folder with rows of 60 days and a spec, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.setenv("TSRNN_TRACKING_TIMEOUT", "300")
    for name in ("TRACKING_URI", "EXPERIMENT_ID", "EXPERIMENT_NAME"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    rows().to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "shop.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def store_uri(place, empty_store) -> str:
    """The address of the store of ``place``."""
    (place / "mlruns").mkdir()
    shutil.copy(empty_store, place / "mlruns" / "mlflow.db")
    return f"sqlite:///{place}/mlruns/mlflow.db"


def rows(n: int = 60) -> pd.DataFrame:
    noise = np.cumsum(np.random.default_rng(3).normal(size=n))
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=n), "y": 20 + noise})
