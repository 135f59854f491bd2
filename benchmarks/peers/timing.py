"""What every script that times a library does: read the job, do it, write what it took.

    python time_<library>.py FOLDER

runs in the environment of its library, like the runners of accuracy (``runner.py``). FOLDER holds ``job.json``
(a :class:`Job`) and ``frame.parquet``: unique_id, ds, y, sorted. The script adds ``result.json`` and, where it
trained, ``forecast.npy`` of shape (series, horizon).
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

sys.path.append(str(Path(__file__).resolve().parents[1]))
from memory import added_memory

WARM_UP, BATCHES = 8, 20  # steps that are not counted, batches that are drawn


@dataclass(frozen=True)
class Job:
    """What to time.

    Parameters
    ----------
    work : str
        "train": a fit of so many steps, then forecasts. "read": from the long frame to its first batch.
    freq : str
        Step of the data as a pandas offset.
    window, horizon, hidden, batch, steps : int
        Rows that are read and forecast, units of the one layer, windows a step, optimiser steps.
    variant : str
        Which of the library's models, where it has more than one.
    """

    work: str
    freq: str
    window: int
    horizon: int
    hidden: int
    batch: int
    steps: int
    variant: str = ""


class Library(ABC):
    """The calls of a library that are timed."""

    @abstractmethod
    def read(self, frame: pd.DataFrame, job: Job) -> Any:
        """Return the frame as what the library takes."""

    @abstractmethod
    def batches(self, data: Any, job: Job) -> Iterator[Any]:
        """Return batches of training windows."""

    @abstractmethod
    def fit(self, data: Any, job: Job) -> Any:
        """Return a model after ``job.steps`` optimiser steps."""

    @abstractmethod
    def predict(self, model: Any, data: Any, job: Job) -> np.ndarray:
        """Return the point forecast of every series, shape (series, horizon)."""


def run(library: Library) -> None:
    """Do the job of the folder named on the command line."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text()))
    frame = pd.read_parquet(folder / "frame.parquet")
    if job.work == "read":
        result = read(library, frame, job)
    else:
        result, said = train(library, frame, job)
        np.save(folder / "forecast.npy", said)
    result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / "result.json").write_text(json.dumps(result))


def train(library: Library, frame: pd.DataFrame, job: Job) -> tuple[dict[str, float], np.ndarray]:
    """Fit and forecast; return processor seconds and the forecast."""
    data = library.read(frame, job)
    steps: list[float] = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(time.process_time()))
    started = time.process_time()
    model = library.fit(data, job)
    fitted = time.process_time()
    hook.remove()
    spent = []
    for _ in range(4):
        began = time.process_time()
        said = library.predict(model, data, job)
        spent.append(time.process_time() - began)
    return (
        {
            "steps": len(steps),
            "step": float(
                np.median(np.diff(steps)[WARM_UP:])
            ),  # what stands between steps is not one
            "first_step": steps[0],
            "fit": fitted - started,
            "predict": float(np.median(spent[1:])),
        },
        said,
    )


def read(library: Library, frame: pd.DataFrame, job: Job) -> dict[str, float]:
    """Read the frame and draw batches; return processor seconds and MB."""
    few = frame[frame["unique_id"].isin(frame["unique_id"].unique()[:20])].reset_index(drop=True)
    next(library.batches(library.read(few, job), job))  # imports
    found: dict[str, float] = {}

    def work() -> Any:
        started = time.process_time()
        data = library.read(frame, job)
        batches = library.batches(data, job)
        first = next(batches)
        found["read"] = time.process_time() - started
        kept.append(batches)
        return data, first

    kept: list[Iterator[Any]] = []
    found["added"] = added_memory(work)
    began = time.process_time()
    for _ in range(BATCHES):
        next(kept[0])
    return found | {"batch": (time.process_time() - began) / BATCHES}
