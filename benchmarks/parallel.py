"""A fit by one process and by two that share it: seconds, and whether the losses are the same.

    OMP_NUM_THREADS=1 python benchmarks/parallel.py --write docs/benchmarks.md

Series are drawn (a season, a level that walks, noise), 200 of 600 days. Each size of network is fitted
``--repeats`` times by one process and by two under torchrun, in turn, so that a noisy machine is noisy
for both; the fastest counts. The time is that of ``fit`` alone, without the start of the processes. CPU
seconds are those of the busiest process: what the time would be on cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from tables import machine, table, write_between

from tsrnn import RNNForecaster
from tsrnn.parallel import shared_fit

SERIES, DAYS = 200, 600
STEPS = 100
SIZES = ((64, 64), (64, 256))  # hidden_size, batch_size


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    day = np.arange(DAYS)
    parts = []
    for name in range(SERIES):
        season = rng.normal(1, 0.3) * np.sin(2 * np.pi * (day / 7 + rng.random()))
        level = 10 + 0.1 * rng.normal(size=DAYS).cumsum()
        y = level + season + 0.5 * rng.normal(size=DAYS)
        dates = pd.date_range("2022-01-01", periods=DAYS)
        parts.append(pd.DataFrame({"unique_id": name, "ds": dates, "y": y}))
    return pd.concat(parts, ignore_index=True)


def fit(hidden_size: int, batch_size: int) -> dict[str, object] | None:
    """Fit once, alone or shared; what the first process found."""
    warnings.simplefilter("ignore")
    with shared_fit() as processes:
        frame = panel()
        model = RNNForecaster(
            hidden_size=hidden_size, batch_size=batch_size, max_steps=STEPS, patience=None
        )
        start, busy = time.perf_counter(), time.process_time()
        model.fit(frame)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        busiest = float(processes.joined(np.array([busy])).max())
    if not processes.is_first:
        return None
    last = model.history_.iloc[-1]
    return {
        "seconds": seconds,
        "cpu": busiest,
        "train": last["train_loss"],
        "val": last["val_score"],
    }


def measure(processes: int, hidden_size: int, batch_size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--fit", str(hidden_size), str(batch_size)]
    if processes > 1:
        run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *run, *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", type=Path, help="page with the markers of 'parallel'")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--fit", type=int, nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.fit:
        found = fit(*given.fit)
        if found is not None:
            print(json.dumps(found))
        return
    rows = []
    for hidden_size, batch_size in SIZES:
        found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for _ in range(given.repeats):
            for processes, runs in found.items():
                runs.append(measure(processes, hidden_size, batch_size))
        fastest = {
            (processes, what): min(run[what] for run in runs)
            for processes, runs in found.items()
            for what in ("seconds", "cpu")
        }
        apart = max(abs(found[2][0][score] / found[1][0][score] - 1) for score in ("train", "val"))
        name = f"hidden_size {hidden_size}, batch_size {batch_size}"
        times = [f"{fastest[n, what]:.1f}" for what in ("seconds", "cpu") for n in (1, 2)]
        ratio = fastest[1, "cpu"] / fastest[2, "cpu"]
        rows.append([name, *times, f"{ratio:.2f}", f"{apart:.0e}"])
        print(rows[-1], flush=True)
    head = ["", "one, s", "two, s", "one, CPU s", "two, CPU s each", "ratio", "losses apart"]
    text = f"{table(head, rows)}\n\n{machine()} Two processes have a thread each."
    print(text)
    if given.write:
        write_between(given.write, "parallel", text)


if __name__ == "__main__":
    main()
