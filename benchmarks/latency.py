"""Time: fit of small and middling data, and a warm forecast of one series, against the goals.

    python benchmarks/latency.py

Fits the defaults to 144 monthly rows (and predicts) and to 50 price series of 2500 sessions; then
times ``predict(history)`` of one series with 250 rows and ``predict()`` from the end of the training
data, median of 200 calls; the latter once more of 200 days of hours, where a step reads a day and spreads
follow the network's own errors. Fits are in processor seconds, forecasts in milliseconds of wall clock.
The time to import torch and Lightning is paid before, once.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tables import machine, table, write_between
from tsrnn.datasets import garch_price, seasonal_trend

from tsrnn import RNNForecaster

GOALS = {"fit and predict, 144 monthly rows": 10.0, "fit, 50 series x 2500 sessions": 90.0}
LATENCY_GOAL = 5.0  # milliseconds
CALLS = 200


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work()
    return time.process_time() - started


def milliseconds(work: Callable[[], object], calls: int) -> float:
    """Return the median wall time of a warm call."""
    for _ in range(10):
        work()
    spent = []
    for _ in range(calls):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-steps", type=int, help="instead of the default")
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    given = {} if options.max_steps is None else {"max_steps": options.max_steps}
    cpu_seconds(lambda: RNNForecaster(max_steps=1).fit(seasonal_trend(n=60)))  # imports

    small, large = RNNForecaster(**given), RNNForecaster(**given)
    prices = garch_price(n=2500, n_series=50)[["unique_id", "ds", "y"]]
    spent = [
        cpu_seconds(lambda: small.fit(seasonal_trend(n=144)).predict(level=[80])),
        cpu_seconds(lambda: large.fit(prices)),
    ]
    rows = [
        [what, f"{seconds:.1f} CPU s", f"{goal:g} CPU s", "yes" if seconds < goal else "**no**"]
        for (what, goal), seconds in zip(GOALS.items(), spent, strict=True)
    ]
    history = prices[prices["unique_id"] == prices["unique_id"].iloc[0]].tail(250)
    one, hourly = RNNForecaster(max_steps=1), RNNForecaster(horizon=24, max_steps=100)
    cpu_seconds(lambda: one.fit(history))
    cpu_seconds(lambda: hourly.fit(seasonal_trend(n=200 * 24, period=24, freq="h")))
    power = float(hourly.network_.networks[0].hindsight.power)
    for what, work in {
        "predict(), one series, warm": lambda: one.predict(level=[80]),
        "predict(history of 250 rows), warm": lambda: one.predict(history, level=[80]),
        f"predict(), one hourly series, own errors to a power of {power:.2f}": lambda: (
            hourly.predict(level=[80])
        ),
    }.items():
        wall = milliseconds(work, CALLS)
        rows.append(
            [
                what,
                f"{wall:.1f} ms",
                f"{LATENCY_GOAL:g} ms",
                "yes" if wall < LATENCY_GOAL else "**no**",
            ]
        )
    text = f"{table(['what', 'measured', 'goal', 'met'], rows)}\n\n{machine()}"
    print(text)
    if options.write is not None:
        write_between(options.write, "latency", text)


if __name__ == "__main__":
    main()
