"""Time of the cells: a layer of each trains on whole sequences, beside torch's own LSTM of the same size.

    python benchmarks/cells.py

One optimiser step without the optimiser: read a batch from zeros, and the gradient of the mean square of
the hidden states by all weights. Each round times every cell in turn, in processor seconds; the ratio is
taken in each round, so that what else runs on the machine falls on both sides, and the median of the rounds
is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tables import machine, table, write_between

from tsrnn.nn.cells import CELLS, Cell, make_layer

YARDSTICK = "lstm"  # torch's own
LEAST = 0.5  # of its speed


def milliseconds(layer: Cell, x: torch.Tensor) -> float:
    """Return the processor time of one pass forward and back."""
    layer.zero_grad()
    started = time.process_time()
    layer(x)[0].square().mean().backward()
    return 1000 * (time.process_time() - started)


def measure(layers: Mapping[str, Cell], x: torch.Tensor, rounds: int) -> np.ndarray:
    """Return the times of shape (round, cell); each cell has run once before."""
    for layer in layers.values():
        milliseconds(layer, x)
    return np.array([[milliseconds(layer, x) for layer in layers.values()] for _ in range(rounds)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("hidden", 64), ("steps", 64), ("inputs", 16), ("rounds", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 64])
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    layers = {name: make_layer(name, options.inputs, options.hidden) for name in CELLS}
    for layer in layers.values():
        layer.initialise(generator)
    head = ["cell", "parameters"]
    rows = [
        [name, f"{sum(weight.numel() for weight in layer.parameters()):,}"]
        for name, layer in layers.items()
    ]
    for batch in options.batch:
        x = torch.empty(batch, options.steps, options.inputs).normal_(generator=generator)
        spent = measure(layers, x, options.rounds)
        speeds = np.median(spent[:, [list(layers).index(YARDSTICK)]] / spent, 0)
        head += [f"batch {batch}, ms", f"speed, torch {YARDSTICK} = 1"]
        for row, each, speed in zip(rows, np.median(spent, 0), speeds, strict=True):
            row += [f"{each:.1f}", f"{speed:.2f}" if speed >= LEAST else f"**{speed:.2f}**"]
    text = (
        f"{table(head, rows)}\n\n"
        f"Forward and back, hidden size {options.hidden}, {options.steps} steps of {options.inputs} inputs; "
        f"medians of {options.rounds} rounds, processor time. {machine()}"
    )
    print(text)
    if options.write is not None:
        write_between(options.write, "cells", text)


if __name__ == "__main__":
    main()
