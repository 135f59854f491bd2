"""GluonTS: ``DeepAREstimator`` for PyTorch, from the frequency and the horizon."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import torch
from gluonts.torch import DeepAREstimator
from lightning.pytorch import Callback, seed_everything
from runner import Forecast, Job, Limit, quiet, run

PERIODS = {"MS": "M", "QS": "Q", "YS": "Y"}  # what pandas calls a period of these steps


def fit(history: pd.DataFrame, job: Job, limit: Limit) -> Forecast:
    seed_everything(job.seed, verbose=False)
    freq = PERIODS.get(job.freq, job.freq)
    trainer = quiet(limit.callback(Callback))
    if job.smoke:
        trainer["max_epochs"] = 1
    estimator = DeepAREstimator(freq=freq, prediction_length=job.horizon, trainer_kwargs=trainer)
    predictor = estimator.train(_entries(history, freq))

    def forecast(history: pd.DataFrame) -> tuple[np.ndarray, ...]:
        said = list(predictor.predict(_entries(history, freq)))
        return tuple(np.stack([each.quantile(q) for each in said]) for q in (0.5, 0.1, 0.9))

    return forecast


def _entries(history: pd.DataFrame, freq: str) -> list[dict]:
    """Return one entry per series; integer times count from the year 2000."""
    dated = not pd.api.types.is_integer_dtype(history["ds"])
    return [
        {
            "item_id": name,
            "start": pd.Period(rows["ds"].iloc[0] if dated else "2000-01-01", freq=freq),
            "target": rows["y"].to_numpy(dtype=np.float32),
        }
        for name, rows in history.groupby("unique_id", sort=False)
    ]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    run(fit, ["gluonts", "torch", "lightning", "pandas"])
