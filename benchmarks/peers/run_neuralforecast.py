"""neuralforecast: LSTM, GRU and DeepAR with their defaults."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import GRU, LSTM, DeepAR
from pytorch_lightning import Callback
from runner import Forecast, Job, Limit, quiet, run

MODELS = {"LSTM": LSTM, "GRU": GRU, "DeepAR": DeepAR}


def fit(history: pd.DataFrame, job: Job, limit: Limit) -> Forecast:
    settings = quiet(limit.callback(Callback)) | {"enable_checkpointing": False}
    if job.smoke:
        settings["max_steps"] = 5
    if job.model == "DeepAR":
        settings["scaler_type"] = (
            "standard"  # as its documentation does; the default scales nothing
        )
    if history["unique_id"].value_counts().min() < 3 * job.horizon:
        settings["start_padding_enabled"] = True  # or it refuses series shorter than its input
    model = MODELS[job.model](h=job.horizon, random_seed=job.seed, **settings)
    counted = pd.api.types.is_integer_dtype(history["ds"])
    forecaster = NeuralForecast([model], freq=1 if counted else job.freq)
    forecaster.fit(history)

    def forecast(history: pd.DataFrame) -> tuple[np.ndarray, ...]:
        said = forecaster.predict(df=history)
        order = pd.Index(history["unique_id"].unique())
        said = said.sort_values("unique_id", key=order.get_indexer, kind="stable")
        names = [job.model]
        if f"{job.model}-lo-80" in said:
            names = [f"{job.model}-{what}" for what in ("median", "lo-80", "hi-80")]
        return tuple(said[name].to_numpy().reshape(-1, job.horizon) for name in names)

    return forecast


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    run(fit, ["neuralforecast", "torch", "pytorch-lightning", "pandas"])
