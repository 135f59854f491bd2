"""GluonTS: ``DeepAREstimator`` of the job's size; the variant "week" has the lags of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from gluonts.dataset.pandas import PandasDataset
from gluonts.itertools import Cached
from gluonts.torch import DeepAREstimator
from runner import quiet
from timing import Job, Library, run


class GluonTS(Library):
    """A ``PandasDataset`` of the long frame."""

    def read(self, frame: pd.DataFrame, job: Job) -> PandasDataset:
        return PandasDataset.from_long_dataframe(
            frame, item_id="unique_id", timestamp="ds", target="y", freq=job.freq
        )

    def batches(self, data: PandasDataset, job: Job) -> Iterator[Any]:
        estimator = _estimator(job)
        entries = Cached(estimator.create_transformation().apply(data, is_train=True))
        module = estimator.create_lightning_module()
        return iter(estimator.create_training_data_loader(entries, module))

    def fit(self, data: PandasDataset, job: Job) -> Any:
        return _estimator(job).train(data, cache_data=True)

    def predict(self, model: Any, data: PandasDataset, job: Job) -> np.ndarray:
        return np.stack([each.median for each in model.predict(data, num_samples=100)])


def _estimator(job: Job) -> DeepAREstimator:
    return DeepAREstimator(
        freq=job.freq,
        prediction_length=job.horizon,
        context_length=job.window,
        num_layers=1,
        hidden_size=job.hidden,
        dropout_rate=0.0,
        lags_seq=list(range(1, 8)) if job.variant == "week" else None,
        batch_size=job.batch,
        num_batches_per_epoch=job.steps,
        trainer_kwargs=quiet() | {"max_epochs": 1},
    )


if __name__ == "__main__":
    run(GluonTS())
