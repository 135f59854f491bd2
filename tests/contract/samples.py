"""Small frames and small forecasters that the contract's tests share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsrnn import BaselineForecaster, RNNForecaster

ROWS = 72
HORIZON = 4
DECODERS = ("direct", "shift", "recurrent", "attention")


def waves(*, series=2, rows=ROWS, noise=0.05, seed=0) -> pd.DataFrame:
    """Sines of period 11 at different levels: no season of the calendar explains them, a network does."""
    rng = np.random.default_rng(seed)
    step = np.arange(rows)
    values = [
        10 * i + np.sin(2 * np.pi * (step + 3 * i) / 11) + rng.normal(0, noise, rows)
        for i in range(series)
    ]
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{i}" for i in range(series)], rows),
            "ds": np.tile(pd.date_range("2024-01-01", periods=rows, freq="D"), series),
            "y": np.concatenate(values),
        }
    )


def tiny(**changes) -> RNNForecaster:
    """Return a forecaster that learns in a fraction of a second, and does learn."""
    small = {
        "horizon": HORIZON,
        "hidden_size": 8,
        "max_steps": 24,
        "learning_rate": 1e-2,
        "batch_size": 16,
        "context_length": 32,
        "season": 1,
    }
    return RNNForecaster(**{**small, **changes})


def baseline(**changes) -> BaselineForecaster:
    """Return the simplest forecaster of the same contract."""
    return BaselineForecaster(**{"method": "drift", "horizon": HORIZON, **changes})
