"""Random walks, the test a price forecaster must not fail: nothing beats the last value.

    python benchmarks/random_walk.py

Trains the defaults on 60 Gaussian random walks with unit steps (300 rows each, business days) that
start at levels 0, 100 and 10000, and forecasts 24 steps of 1500 fresh walks (200 rows each). Printed
for steps 1 and 24, and the worst of the 24 for the error:

- RMSE divided by that of the last value: 1 is perfect, the goal is at most 1.05 at every step;
- the share of values inside the 80 % interval: the goal is 77 to 83 %;
- the width of that interval, which should be 2 x 1.2816 x sqrt(step): 2.56 and 12.56.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tables import machine, table, write_between

from tsrnn import RNNForecaster

LEVELS = (0, 100, 10_000)
HORIZON = 24
TRAINED, TRAIN_ROWS = 60, 300
JUDGED, HISTORY_ROWS = 1500, 200
Z = 1.2815515655  # standard normal quantile at 0.9


def walks(level: float, count: int, rows: int, seed: int) -> np.ndarray:
    """Return Gaussian random walks of shape (count, rows)."""
    steps = np.random.default_rng(seed).normal(size=(count, rows))
    return np.asarray(level + steps.cumsum(1))


def long(values: np.ndarray) -> pd.DataFrame:
    """Return the long frame unique_id, ds, y of values of shape (series, rows)."""
    series, rows = values.shape
    return pd.DataFrame(
        {
            "unique_id": np.arange(series).repeat(rows),
            "ds": np.tile(pd.bdate_range("2015-01-01", periods=rows), series),
            "y": values.ravel(),
        }
    )


def measure(level: float, *, max_steps: int | None) -> list[str]:
    """Return one row of the table."""
    model = RNNForecaster(horizon=HORIZON)
    if max_steps is not None:
        model.set_params(max_steps=max_steps)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no model has skill here: that is the point
        model.fit(long(walks(level, TRAINED, TRAIN_ROWS, seed=0)))
    cpu = time.process_time() - started
    fresh = walks(level, JUDGED, HISTORY_ROWS + HORIZON, seed=99)
    past, truth = fresh[:, :HISTORY_ROWS], fresh[:, HISTORY_ROWS:]
    said = model.predict(long(past), level=[80])
    point, low, high = (
        said[name].to_numpy().reshape(JUDGED, HORIZON)
        for name in ("forecast", "forecast-lo-80", "forecast-hi-80")
    )
    error, naive = (
        np.sqrt(((truth - each) ** 2).mean(0))
        for each in (point, np.repeat(past[:, -1:], HORIZON, 1))
    )
    ratio = error / naive
    inside = ((truth >= low) & (truth <= high)).mean(0)
    width = (high - low).mean(0)
    return [
        f"{level:,}", f"{ratio[0]:.3f}", f"{ratio[-1]:.3f}", f"**{ratio.max():.3f}**",
        f"{inside[0]:.1%}", f"{inside[-1]:.1%}", f"{width[0]:.2f}", f"{width[-1]:.2f}", f"{model.best_step_}", f"{cpu:.1f}",
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-steps", type=int, help="instead of the default")
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    head = [
        "level", "RMSE ratio, step 1", "step 24", "worst step", "in 80 %, step 1", "step 24",
        "width, step 1", "step 24", "best step", "fit, CPU s",
    ]  # fmt: skip
    rows = [measure(level, max_steps=options.max_steps) for level in LEVELS]
    wanted = f"True widths: {2 * Z:.2f} and {2 * Z * np.sqrt(HORIZON):.2f}."
    text = f"{table(head, rows)}\n\n{wanted} {machine()}"
    print(text)
    if options.write is not None:
        write_between(options.write, "random-walk", text)


if __name__ == "__main__":
    main()
