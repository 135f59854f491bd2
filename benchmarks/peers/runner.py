"""What every runner does: read the job, fit, forecast at every cutoff, write forecasts and seconds.

    python run_<library>.py FOLDER

runs in the environment of its library, which holds pandas, numpy and pyarrow, and not tsrnn. FOLDER holds
``job.json`` (a :class:`Job`) and ``history.parquet``: unique_id, ds, y, every row that the last forecast
may see. The runner adds ``forecast.parquet`` (unique_id, window, step, forecast, and lo and hi, the
bounds of the 80 % interval, where the library has them) and ``result.json``.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Forecast = Callable[[pd.DataFrame], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Job:
    """What to fit and to forecast.

    Parameters
    ----------
    model : str
        Which of the library's models.
    horizon : int
    freq : str
        Step of the data as a pandas offset; times may be integers all the same.
    windows : int
        Cutoffs, a horizon apart; the model is fitted before the first.
    seed : int
    limit : float
        CPU seconds after which training ends with what it has.
    smoke : bool
        Take a few steps only, to see that everything works.
    """

    model: str
    horizon: int
    freq: str
    windows: int
    seed: int
    limit: float
    smoke: bool


class Limit:
    """Ends training after so many CPU seconds of the process, and remembers whether it did."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reached = False

    def callback(self, base: type) -> Any:
        """Return an object of a Lightning ``Callback`` class, of whichever package."""
        end = time.process_time() + self.seconds

        def on_train_batch_end(_self: Any, trainer: Any, *_rest: Any, **_named: Any) -> None:
            if time.process_time() >= end:
                self.reached = True
                trainer.should_stop = True

        return type("StopAtLimit", (base,), {"on_train_batch_end": on_train_batch_end})()


def run(fit: Callable[[pd.DataFrame, Job, Limit], Forecast], packages: Sequence[str]) -> None:
    """Do the job of the folder named on the command line.

    Parameters
    ----------
    fit : callable
        Trains on a history and returns a function of a later history of the same series. That returns
        arrays of shape (series, horizon), series in the order in which they appear: the forecast,
        or the forecast and both bounds of its 80 % interval.
    packages : sequence of str
        Distributions whose versions are told.
    """
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text()))
    history = pd.read_parquet(folder / "history.parquet")
    rows_to_go = history.groupby("unique_id", sort=False).cumcount(ascending=False)
    limit = Limit(job.limit)

    def seen(window: int) -> pd.DataFrame:
        known = rows_to_go >= (job.windows - 1 - window) * job.horizon
        return history[known].reset_index(drop=True)

    start = _now()
    forecast = fit(seen(0), job, limit)
    fitted = _now()
    said = [forecast(seen(window)) for window in range(job.windows)]
    done = _now()
    ids = history["unique_id"].unique()
    pd.concat(
        [_tidy(each, ids, window) for window, each in enumerate(said)], ignore_index=True
    ).to_parquet(folder / "forecast.parquet")
    result = {
        "fit_cpu": fitted[0] - start[0],
        "fit_wall": fitted[1] - start[1],
        "forecast_cpu": done[0] - fitted[0],
        "forecast_wall": done[1] - fitted[1],
        "cut": limit.reached,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    (folder / "result.json").write_text(json.dumps(result))


def _now() -> tuple[float, float]:
    """Return CPU and wall seconds."""
    return time.process_time(), time.perf_counter()


def _tidy(said: tuple[np.ndarray, ...], ids: np.ndarray, window: int) -> pd.DataFrame:
    """Return one row per series and step."""
    horizon = said[0].shape[1]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(ids, horizon),
            "window": window,
            "step": np.tile(np.arange(1, horizon + 1), len(ids)),
        }
    )
    for name, values in zip(("forecast", "lo", "hi"), said, strict=False):
        frame[name] = np.asarray(values, dtype=np.float64).ravel()
    return frame


def quiet(*callbacks: Any) -> dict[str, Any]:
    """Return Lightning's ``Trainer`` arguments to say nothing and train on the processor."""
    silent = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    return {"accelerator": "cpu", **silent, **({"callbacks": list(callbacks)} if callbacks else {})}
