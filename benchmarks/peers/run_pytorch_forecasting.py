"""pytorch-forecasting: ``DeepAR``, trained as its tutorial does."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from pytorch_forecasting import DeepAR, TimeSeriesDataSet
from pytorch_forecasting.data import NaNLabelEncoder
from runner import Forecast, Job, Limit, quiet, run
from torch.utils.data import RandomSampler

BATCH, BATCHES = 128, 50  # windows of a batch, batches of an epoch


def fit(history: pd.DataFrame, job: Job, limit: Limit) -> Forecast:
    seed_everything(job.seed, verbose=False)
    frame = _counted(history)
    rows_to_go = frame.groupby("unique_id", sort=False).cumcount(ascending=False)
    training = TimeSeriesDataSet(
        frame[rows_to_go >= job.horizon],
        time_idx="time_idx",
        target="y",
        group_ids=["unique_id"],
        static_categoricals=["unique_id"],
        categorical_encoders={"unique_id": NaNLabelEncoder().fit(frame["unique_id"])},
        time_varying_unknown_reals=["y"],
        max_encoder_length=3 * job.horizon,
        min_encoder_length=min(3 * job.horizon, max(2, job.horizon // 2)),
        max_prediction_length=job.horizon,
    )
    held_out = TimeSeriesDataSet.from_dataset(training, frame, predict=True)
    sampler = RandomSampler(training, replacement=True, num_samples=BATCHES * BATCH)
    stopping = EarlyStopping(monitor="val_loss", min_delta=1e-4, patience=10, mode="min")
    trainer = Trainer(
        max_epochs=1 if job.smoke else 30,
        gradient_clip_val=0.1,
        limit_train_batches=2 if job.smoke else BATCHES,
        **quiet(stopping, limit.callback(Callback)),
    )
    model = DeepAR.from_dataset(
        training, learning_rate=1e-2, hidden_size=30, rnn_layers=2, optimizer="adam"
    )
    trainer.fit(
        model,
        train_dataloaders=training.to_dataloader(
            train=True, batch_size=BATCH, num_workers=0, shuffle=False, sampler=sampler
        ),
        val_dataloaders=held_out.to_dataloader(train=False, batch_size=BATCH, num_workers=0),
    )
    best = trainer.checkpoint_callback.best_model_path
    model = DeepAR.load_from_checkpoint(best, weights_only=False) if best else model

    def forecast(history: pd.DataFrame) -> tuple[np.ndarray, ...]:
        frame = _counted(_with_future(history, job.horizon))
        data = TimeSeriesDataSet.from_dataset(training, frame, predict=True)
        said = model.predict(
            data.to_dataloader(train=False, batch_size=BATCH, num_workers=0),
            mode="quantiles",
            mode_kwargs={"quantiles": [0.1, 0.5, 0.9]},
            return_index=True,
            trainer_kwargs=quiet(),
        )
        order = said.index["unique_id"].to_numpy()
        rows = pd.Index(order).get_indexer(history["unique_id"].unique())
        low, median, high = np.moveaxis(said.output.numpy()[rows], -1, 0)
        return median, low, high

    return forecast


def _counted(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the number of each in its series, and names as text."""
    count = history.groupby("unique_id", sort=False).cumcount()
    return history.assign(time_idx=count, unique_id=history["unique_id"].astype(str))


def _with_future(history: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Append the rows to be forecast, which the library wants to see: the last value, repeated."""
    last = history.groupby("unique_id", sort=False).tail(1)
    future = last.loc[last.index.repeat(horizon)]
    order = pd.Index(history["unique_id"].unique())
    return pd.concat([history, future]).sort_values(
        "unique_id", key=order.get_indexer, kind="stable", ignore_index=True
    )[["unique_id", "y"]]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    run(fit, ["pytorch-forecasting", "torch", "lightning", "pandas"])
