"""tsrnn: ``RNNForecaster`` with an LSTM of the job's size; the variant is its ``loss_at``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from timing import Job, Library, run

from tsrnn import RNNForecaster
from tsrnn.frames import read_panel
from tsrnn.panel import Panel
from tsrnn.windows import WindowSampler


class Tsrnn(Library):
    """The frame is taken as it is."""

    def read(self, frame: pd.DataFrame, job: Job) -> tuple[pd.DataFrame, Panel | None]:
        return frame, read_panel(frame)[0] if job.work == "read" else None

    def batches(self, data: tuple[pd.DataFrame, Panel], job: Job) -> Iterator[object]:
        panel, rng = data[1], np.random.default_rng(0)
        sampler = WindowSampler(
            panel,
            panel.lengths,
            look_back=0,
            context=job.window,
            horizon=job.horizon,
            patch=1,
        )
        while True:
            yield sampler.gather(*sampler.places(job.batch, rng))

    def fit(self, data: tuple[pd.DataFrame, None], job: Job) -> RNNForecaster:
        model = RNNForecaster(
            cell="lstm",
            context_length=job.window,
            horizon=job.horizon,
            hidden_size=job.hidden,
            batch_size=job.batch,
            max_steps=job.steps,
            loss_at=job.variant,
        )
        return model.fit(data[0])

    def predict(self, model: RNNForecaster, data: object, job: Job) -> np.ndarray:
        return model.predict()["forecast"].to_numpy().reshape(-1, job.horizon)


if __name__ == "__main__":
    run(Tsrnn())
