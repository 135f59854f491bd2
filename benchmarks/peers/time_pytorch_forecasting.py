"""pytorch-forecasting: ``RecurrentNetwork`` with LSTM cells of the job's size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch import Trainer
from pytorch_forecasting import RecurrentNetwork, TimeSeriesDataSet
from pytorch_forecasting.data import EncoderNormalizer
from pytorch_forecasting.metrics import MAE
from run_pytorch_forecasting import _counted, _with_future
from runner import quiet
from timing import Job, Library, run


class PytorchForecasting(Library):
    """The frame, its rows counted, and its ``TimeSeriesDataSet``."""

    def read(self, frame: pd.DataFrame, job: Job) -> tuple[pd.DataFrame, TimeSeriesDataSet]:
        return frame, TimeSeriesDataSet(
            _counted(frame),
            time_idx="time_idx",
            target="y",
            group_ids=["unique_id"],
            max_encoder_length=job.window,
            min_encoder_length=job.window,
            max_prediction_length=job.horizon,
            min_prediction_length=job.horizon,
            time_varying_unknown_reals=["y"],
            target_normalizer=EncoderNormalizer(),
        )

    def batches(self, data: tuple[Any, TimeSeriesDataSet], job: Job) -> Iterator[Any]:
        return iter(data[1].to_dataloader(train=True, batch_size=job.batch, num_workers=0))

    def fit(self, data: tuple[Any, TimeSeriesDataSet], job: Job) -> RecurrentNetwork:
        model = RecurrentNetwork.from_dataset(
            data[1],
            cell_type="LSTM",
            hidden_size=job.hidden,
            rnn_layers=1,
            dropout=0.0,
            learning_rate=1e-3,
            loss=MAE(),
            optimizer="adam",
            log_interval=-1,
            logging_metrics=[],
        )
        trainer = Trainer(max_steps=job.steps, enable_checkpointing=False, **quiet())
        trainer.fit(
            model,
            train_dataloaders=data[1].to_dataloader(
                train=True, batch_size=job.batch, num_workers=0
            ),
        )
        return model

    def predict(self, model: RecurrentNetwork, data: tuple[Any, Any], job: Job) -> np.ndarray:
        frame = _counted(_with_future(data[0], job.horizon))
        ahead = TimeSeriesDataSet.from_dataset(
            data[1], frame, predict=True, stop_randomization=True
        )
        said = model.predict(
            ahead.to_dataloader(train=False, batch_size=1024, num_workers=0),
            trainer_kwargs=quiet(),
        )
        return said.numpy()


if __name__ == "__main__":
    run(PytorchForecasting())
