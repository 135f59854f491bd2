"""Start: from ``fit(df)`` to the first optimiser step; imports; a forecast from a cold process."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from tables import table

from speed.pairs import process, said_by
from speed.series import airline, prices
from tsrnn import RNNForecaster

__all__ = ["cold_forecast", "forecast_airline", "start"]

AHEAD, SEASON = 12, 12
PROCESSES = {
    "import torch": "import torch",
    "import tsrnn": "import tsrnn",
    "load a saved model and forecast": "import sys, tsrnn; tsrnn.load(sys.argv[1]).predict(level=80)",
    "tsrnn --help": "import sys; sys.argv = ['tsrnn', '--help']\ntry:\n from tsrnn.cli import main; main()\nexcept SystemExit: pass",
}


class _FirstStep(pl.Callback):
    """Notes when the first optimiser step begins."""

    began: float | None = None

    def on_train_batch_start(self, *_: object) -> None:
        self.began = self.began or time.process_time()


def start(rounds: int) -> str:
    """Return the table of seconds until fit takes its first step, and to import."""
    df, spent = prices(200, 984), []
    for _ in range(rounds):
        note = _FirstStep()
        model = RNNForecaster(max_steps=1, trainer_params={"callbacks": [note]})
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(df)
        spent.append((note.began or started) - started)
    rows = [["fit(200 series x 984 rows) to its first step", "", f"{np.median(spent):.2f} s"]]
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model"
        model.save(saved)
        for what, code in PROCESSES.items():
            runs = [process([sys.executable, "-c", code, str(saved)]) for _ in range(rounds)]
            wall, cpu = np.median(runs, axis=0)
            rows.append([f"{what}, a process of its own", f"{wall:.2f} s", f"{cpu:.2f} s"])
    return table(["what", "wall", "CPU"], rows)


def cold_forecast(rounds: int) -> str:
    """Return the table of an airline-like series: from a cold process to its forecast, and how good."""
    rows = []
    for seed in range(3):
        runs, found = [], {}
        for _ in range(min(rounds, 3)):
            started = time.perf_counter()
            found = said_by("speed.start", "forecast_airline", seed)
            runs.append((time.perf_counter() - started, found["cpu"]))
        wall, cpu = np.median(runs, axis=0)
        rows.append(
            [f"seed {seed}", f"{wall:.1f} s", f"{cpu:.1f} s", *(f"{found[k]:.3f}" for k in MASES)]
        )
    return table(["144 months, 12 ahead", "wall", "CPU", *MASES.values()], rows)


MASES = {"mase": "MASE", "naive": "seasonal naive"}


def forecast_airline(seed: int) -> dict[str, float]:
    """Fit and forecast in this process; return the processor seconds of it all, and MASE."""
    df = airline(seed=seed)
    past, future = df[:-AHEAD], df["y"].to_numpy()[-AHEAD:]
    said = RNNForecaster(horizon=AHEAD).fit(past).predict()["forecast"].to_numpy()
    spent = time.process_time()
    y = past["y"].to_numpy()
    scale = np.abs(y[SEASON:] - y[:-SEASON]).mean()
    naive = np.abs(y[-SEASON:] - future).mean() / scale
    return {
        "cpu": spent,
        "mase": float(np.abs(said - future).mean() / scale),
        "naive": float(naive),
    }
