"""darts: ``BlockRNNModel`` with LSTM cells of the job's size, on 32-bit series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from darts import TimeSeries
from darts.models import BlockRNNModel
from darts.models.forecasting.torch_forecasting_model import _batch_collate_fn_train
from darts.utils.data.torch_datasets.training_dataset import SequentialTorchTrainingDataset
from runner import quiet
from timing import Job, Library, run
from torch.utils.data import DataLoader


class Darts(Library):
    """A list of ``TimeSeries``."""

    def read(self, frame: pd.DataFrame, job: Job) -> list[TimeSeries]:
        return TimeSeries.from_group_dataframe(
            frame.astype({"y": np.float32}),
            group_cols="unique_id",
            time_col="ds",
            value_cols="y",
            freq=job.freq,
            drop_group_cols="unique_id",
        )

    def batches(self, data: list[TimeSeries], job: Job) -> Iterator[Any]:
        windows = SequentialTorchTrainingDataset(
            data, input_chunk_length=job.window, output_chunk_length=job.horizon
        )
        return iter(
            DataLoader(
                windows, batch_size=job.batch, shuffle=True, collate_fn=_batch_collate_fn_train
            )
        )

    def fit(self, data: list[TimeSeries], job: Job) -> BlockRNNModel:
        model = BlockRNNModel(
            input_chunk_length=job.window,
            output_chunk_length=job.horizon,
            model="LSTM",
            hidden_dim=job.hidden,
            n_rnn_layers=1,
            batch_size=job.batch,
            n_epochs=1000,
            use_reversible_instance_norm=True,
            random_state=0,
            pl_trainer_kwargs=quiet() | {"enable_checkpointing": False, "max_steps": job.steps},
        )
        return model.fit(data, verbose=False)

    def predict(self, model: BlockRNNModel, data: list[TimeSeries], job: Job) -> np.ndarray:
        said = model.predict(job.horizon, series=data, verbose=False)
        return np.stack([each.values()[:, 0] for each in said])


if __name__ == "__main__":
    run(Darts())
