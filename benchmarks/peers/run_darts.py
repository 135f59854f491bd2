"""darts: ``RNNModel`` and ``BlockRNNModel`` with LSTM cells, on scaled 32-bit series."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import torch
from darts import TimeSeries
from darts.dataprocessing.transformers import Scaler
from darts.models import BlockRNNModel, RNNModel
from pytorch_lightning import Callback
from runner import Forecast, Job, Limit, quiet, run


def fit(history: pd.DataFrame, job: Job, limit: Limit) -> Forecast:
    length = 2 * job.horizon
    settings = {
        "model": "LSTM",
        "input_chunk_length": length,
        "random_state": job.seed,
        "pl_trainer_kwargs": quiet(limit.callback(Callback)) | {"enable_checkpointing": False},
    }
    if job.smoke:
        settings["n_epochs"] = 1
    if job.model == "RNNModel":
        model = RNNModel(training_length=length + job.horizon, **settings)
    else:
        model = BlockRNNModel(output_chunk_length=job.horizon, **settings)
    scaler = Scaler()
    series = scaler.fit_transform(_series(history, length))
    model.fit([each for each in series if len(each) > length + job.horizon])

    def forecast(history: pd.DataFrame) -> tuple[np.ndarray, ...]:
        said = model.predict(job.horizon, series=scaler.transform(_series(history, length)))
        return (np.stack([each.values()[:, 0] for each in scaler.inverse_transform(said)]),)

    return forecast


def _series(history: pd.DataFrame, length: int) -> list[TimeSeries]:
    """Return one series each, counted by integers; a shorter one begins with its first value repeated."""
    values = [
        rows.to_numpy(dtype=np.float32) for _, rows in history.groupby("unique_id", sort=False)["y"]
    ]
    return [
        TimeSeries.from_values(np.pad(y, (max(0, length - len(y)), 0), mode="edge")) for y in values
    ]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    run(fit, ["darts", "torch", "pytorch-lightning", "pandas"])
