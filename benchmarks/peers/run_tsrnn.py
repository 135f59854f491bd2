"""tsrnn: ``RNNForecaster`` with the horizon and nothing else."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from runner import Forecast, Job, Limit, run

import tsrnn.learning.training  # noqa: F401  torch and Lightning, loaded before the clock starts as elsewhere
from tsrnn import RNNForecaster


def fit(history: pd.DataFrame, job: Job, _: Limit) -> Forecast:
    model = RNNForecaster(horizon=job.horizon)
    if job.seed:
        model.set_params(random_state=job.seed)
    if job.smoke:
        model.set_params(max_steps=5)
    model.fit(history)

    def forecast(history: pd.DataFrame) -> tuple[np.ndarray, ...]:
        said = model.predict(history, level=[80])
        order = pd.Index(history["unique_id"].unique())
        said = said.sort_values("unique_id", key=order.get_indexer, kind="stable")
        names = ("forecast", "forecast-lo-80", "forecast-hi-80")
        return tuple(said[name].to_numpy().reshape(-1, job.horizon) for name in names)

    return forecast


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(fit, ["tsrnn", "torch", "pandas"])
