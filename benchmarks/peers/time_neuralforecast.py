"""neuralforecast: ``LSTM`` of the job's size, direct."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import LSTM
from neuralforecast.tsdataset import TimeSeriesDataModule, TimeSeriesDataset
from runner import quiet
from timing import Job, Library, run


class Neuralforecast(Library):
    """The frame is taken as it is to train, and is a ``TimeSeriesDataset`` to draw windows from."""

    def read(self, frame: pd.DataFrame, job: Job) -> Any:
        return TimeSeriesDataset.from_df(frame)[0] if job.work == "read" else frame

    def batches(self, data: TimeSeriesDataset, job: Job) -> Iterator[Any]:
        model = _model(job)
        while True:
            for batch in TimeSeriesDataModule(data, batch_size=32).train_dataloader():
                windows, static, names, usable, weight, columns = model._create_windows(  # noqa: SLF001
                    batch, step="train"
                )
                yield model._sample_windows(  # noqa: SLF001
                    windows_temporal=windows,
                    static=static,
                    static_cols=names,
                    temporal_cols=columns,
                    w_idxs=torch.randperm(len(usable))[: job.batch],
                    final_condition=usable,
                    sample_weight=weight,
                )

    def fit(self, data: pd.DataFrame, job: Job) -> NeuralForecast:
        forecaster = NeuralForecast([_model(job)], freq=job.freq)
        forecaster.fit(data)
        return forecaster

    def predict(self, model: NeuralForecast, data: object, job: Job) -> np.ndarray:
        return model.predict()["LSTM"].to_numpy().reshape(-1, job.horizon)


def _model(job: Job) -> LSTM:
    return LSTM(
        h=job.horizon,
        input_size=job.window,
        encoder_n_layers=1,
        encoder_hidden_size=job.hidden,
        decoder_layers=1,
        decoder_hidden_size=job.hidden,
        max_steps=job.steps,
        windows_batch_size=job.batch,
        scaler_type="standard",
        **quiet() | {"enable_checkpointing": False},
    )


if __name__ == "__main__":
    run(Neuralforecast())
