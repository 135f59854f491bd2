"""Speed: each part against what bounds it, in one paired run on one thread.

    python benchmarks/speed.py --write docs/benchmarks.md
    python benchmarks/speed.py --only layers steps

- layers, long: training ``tsrnn.nn.kernels`` against ``torch.nn`` layers of the same size; windows of 256
  steps from fresh weights.
- bf16: training with ``precision="bfloat16"`` against float32: layers, and the forecasts of a set.
- steps, scaling: ``fit_network`` against a bare PyTorch loop of the same network with torch's layers;
  200 series, windows of 64 steps, 256 a batch, and other sizes.
- reading, reading-scales: frames of 1e7 sorted rows and others, as multiples of copying their values to float32.
- forecasts, backtests: ``predict()`` for 200 series and for one; 500 cutoffs against 500 calls of it.
- start, cold: from ``fit(df)`` to the first optimiser step; imports; a cold process to a forecast.
- libraries, accuracy: other libraries, each in its environment (``make bench-peers`` builds them): their
  steps, reading, forecasts, imports and memory; the time to reach the accuracy of GluonTS's DeepAR.

Ratios compare processor seconds of the same run, medians over the rounds. A part is written between markers of
its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from speed.accuracy import time_to_accuracy
from speed.data import reading, reading_scales
from speed.forecasts import backtests, forecasts
from speed.layers import layers, long_windows
from speed.libraries import libraries
from speed.precision import bf16
from speed.start import cold_forecast, start
from speed.training import scaling, steps
from tables import machine, write_between

PARTS: dict[str, Callable[[int], str]] = {
    "layers": layers,
    "long": long_windows,
    "bf16": bf16,
    "steps": steps,
    "scaling": scaling,
    "reading": reading,
    "reading-scales": reading_scales,
    "forecasts": forecasts,
    "backtests": backtests,
    "start": start,
    "cold": cold_forecast,
    "libraries": libraries,
    "accuracy": time_to_accuracy,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="markdown file with the markers of the parts")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for part in options.only:
        text = f"{PARTS[part](options.rounds)}\n\n{machine()}"
        print(f"## {part}\n\n{text}\n", flush=True)
        if options.write is not None:
            write_between(options.write, f"speed-{part}", text)


if __name__ == "__main__":
    main()
