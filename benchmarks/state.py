"""The state on a record of 2,000,000 rows: memory of training, time of an update, a backtest of 500 cutoffs.

    python benchmarks/state.py

The record is ``ettm1`` (a sensor every 15 minutes), repeated with noise. Training is truncated
backpropagation over contiguous lanes; its memory is what a process needs beyond the rows themselves, each
length in a process of its own. ``update`` takes one row of one series, and one row of each of 100
series in one call: frame in, checks, network. One pass is the network reading the record once; the
backtest forecasts from 500 cutoffs, a day apart, with the network as it is fitted, beside the baselines.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from memory import added_memory
from tables import machine, table, write_between
from tsrnn.datasets import load, seasonal_trend

from tsrnn import RNNForecaster
from tsrnn.inference import torch_settings
from tsrnn.learning.planning import plan_data
from tsrnn.learning.training import fit_network
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.passes import states_at
from tsrnn.planned import plan_network, plan_training
from tsrnn.windows import Origins, WindowSampler

LONG, SHORT = 2_000_000, 200_000
CHANNELS, UPDATES, CUTOFFS, DAY = 100, 200, 500, 96
CHUNK, STEPS = 32, 60


def record(rows: int) -> pd.DataFrame:
    """Return so many rows of the sensor, repeated with noise."""
    if os.environ.get("TSRNN_DATA"):
        once = load("ettm1")["y"].to_numpy(dtype=np.float64)
    else:
        once = seasonal_trend(n=70_000, period=DAY, freq="15min")["y"].to_numpy()
    rng = np.random.default_rng(0)
    values = np.resize(once, rows) + rng.normal(0, 0.05 * once.std(), rows)
    return pd.DataFrame(
        {"ds": pd.date_range("2000-01-01", periods=rows, freq="15min"), "y": values}
    )


def training_memory(rows: int) -> float:
    """Return the MB that truncated training adds to a process that holds the record."""
    model = RNNForecaster(truncated_bptt=CHUNK, max_steps=STEPS, horizon=DAY, season=DAY)
    panel, model.format_ = model._read(record(rows))  # noqa: SLF001
    model.plan_, model.seed_ = plan_data(panel, DAY, model), 0
    plan = plan_network(model, panel)
    network = ForecastNetwork.build(plan, torch.Generator().manual_seed(0))
    sampler = WindowSampler(
        panel, panel.lengths, look_back=plan.look_back, context=plan.context,
        horizon=plan.horizon, patch=plan.patch,
    )  # fmt: skip

    def train(steps: int) -> None:
        training = replace(plan_training(model), max_steps=steps)
        fit_network(network, sampler, training, validate=None, notify=lambda *_: None)

    with torch_settings():
        train(2)  # imports, and the workspaces of torch
        return added_memory(lambda: train(STEPS))


def update_times(model: RNNForecaster, rows: pd.DataFrame) -> tuple[float, float]:
    """Return the median milliseconds of wall clock and of processor time of one update."""
    spent = []
    for _, row in rows.groupby("ds", sort=True):
        started = time.perf_counter(), time.process_time()
        model.update(row)
        spent.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, cpu = np.median(np.array(spent[20:]), axis=0) * 1000
    return float(wall), float(cpu)


def updates(channels: int) -> tuple[float, float]:
    """Return the time of one row of each of so many channels."""
    rows = 12 * DAY + UPDATES
    frame = record(rows)
    frame = pd.concat([frame.assign(unique_id=f"c{i}", y=frame["y"] + i) for i in range(channels)])
    stamp = frame["ds"].iloc[12 * DAY]
    model = RNNForecaster(max_steps=1, horizon=DAY).fit(frame[frame["ds"] < stamp])
    return update_times(model, frame[frame["ds"] >= stamp])


def passes(rows: int) -> tuple[float, float, float]:
    """Return the processor seconds of one pass, of all forecasts of a backtest, and of all of it."""
    frame = record(rows)
    model = RNNForecaster(max_steps=1, horizon=DAY).fit(frame[: 20 * DAY])
    panel, _ = model._read(frame, fitted=True)  # noqa: SLF001
    end = Origins(np.zeros(1, dtype=np.int64), panel.lengths)
    started = time.process_time()
    with torch_settings(), torch.inference_mode():
        states_at(model.network_, panel, end)
    once = time.process_time() - started
    known = panel.lengths[0] - DAY * np.arange(CUTOFFS, 0, -1)
    origins = Origins(np.zeros(CUTOFFS, dtype=np.int64), known)
    started = time.process_time()
    with torch_settings(), torch.inference_mode():
        model.forecasting_.from_origins(
            model.network_, panel, origins, DAY, (), context=model.plan_.context, ahead=None
        )
    forecasts = time.process_time() - started
    started = time.process_time()
    model.backtest(frame, n_windows=CUTOFFS, step=DAY, refit="never")
    return once, forecasts, time.process_time() - started


PARTS = {"memory": training_memory, "update": updates, "passes": passes}


def measured(part: str, rows: int) -> Any:
    """Return what a process of its own measures."""
    command = [sys.executable, __file__, "--part", part, "--rows", str(rows)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(f"{part} {rows:,}: {said.strip()}", file=sys.stderr, flush=True)
    return json.loads(said)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=LONG)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.part is not None:
        print(json.dumps(PARTS[options.part](options.rows)))
        return
    short, long = measured("memory", options.rows // 10), measured("memory", options.rows)
    one, many = measured("update", 1), measured("update", CHANNELS)
    once, forecasts, whole = measured("passes", options.rows)

    def judged(met: bool, /) -> str:  # noqa: FBT001
        return "yes" if met else "**no**"

    rows = [
        [f"truncated training, {options.rows // 10:,} rows", f"{short:.0f} MB", "", ""],
        [
            f"truncated training, {options.rows:,} rows",
            f"{long:.0f} MB",
            "as much",
            judged(long < 1.25 * short + 10),
        ],
        ["update, a row of one series", f"{one[0]:.2f} ms ({one[1]:.2f} CPU)", "1 ms", judged(one[0] < 1)],
        [
            f"update, a row of each of {CHANNELS} series",
            f"{many[0]:.2f} ms ({many[1]:.2f} CPU)",
            "3 ms",
            judged(many[0] < 3),
        ],
        [f"one pass over {options.rows:,} rows", f"{once:.1f} CPU s", "", ""],
        [
            f"forecasts from {CUTOFFS} cutoffs",
            f"{forecasts:.1f} CPU s",
            "3 passes",
            judged(forecasts < 3 * once),
        ],
        [
            "the same backtest with its baselines and tests",
            f"{whole:.1f} CPU s",
            "3 passes",
            judged(whole < 3 * once),
        ],
    ]  # fmt: skip
    text = f"{table(['what', 'measured', 'goal', 'met'], rows)}\n\n{machine()}"
    print(text)
    if options.write is not None:
        write_between(options.write, "state", text)


if __name__ == "__main__":
    main()
