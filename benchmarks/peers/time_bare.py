"""No library: a bare PyTorch loop of ``torch.nn.LSTM`` and a linear map of its last state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from timing import Job, Library, run
from torch import Tensor, nn


class Direct(nn.Module):
    """The horizon from the last state."""

    def __init__(self, hidden: int, horizon: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, horizon)

    def forward(self, past: Tensor) -> Tensor:
        return self.head(self.rnn(past[..., None])[0][:, -1])


class Bare(Library):
    """Series of one length, as one table."""

    def read(self, frame: pd.DataFrame, job: Job) -> Tensor:
        codes, names = pd.factorize(frame["unique_id"])
        if not (codes[1:] >= codes[:-1]).all():
            raise ValueError("The frame must be sorted. Sort it by unique_id and ds.")
        return torch.from_numpy(frame["y"].to_numpy().astype(np.float32)).reshape(len(names), -1)

    def batches(self, data: Tensor, job: Job) -> Iterator[Tensor]:
        windows = data.unfold(1, job.window + job.horizon, 1)
        while True:
            at = (torch.randint(size, (job.batch,)) for size in windows.shape[:2])
            yield windows[tuple(at)]

    def fit(self, data: Tensor, job: Job) -> Direct:
        model = Direct(job.hidden, job.horizon)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        batches = self.batches(data, job)
        for _ in range(job.steps):
            window, _, _ = _scaled(next(batches), job.window)
            loss = nn.functional.l1_loss(model(window[:, : job.window]), window[:, job.window :])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    @torch.inference_mode()
    def predict(self, model: Direct, data: Tensor, job: Job) -> np.ndarray:
        window, level, scale = _scaled(data[:, -job.window :], job.window)
        return (model(window) * scale + level).numpy()


def _scaled(window: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the window relative to the mean and the spread of its past."""
    past = window[:, :count]
    level, scale = past.mean(1, keepdim=True), past.std(1, keepdim=True) + 1e-6
    return (window - level) / scale, level, scale


if __name__ == "__main__":
    run(Bare())
