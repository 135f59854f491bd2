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
from collections.abc import Sequence
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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("hidden", 64), ("steps", 64), ("batch", 256), ("inputs", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    x = torch.empty(options.batch, options.steps, options.inputs).normal_(generator=generator)
    layers = {name: make_layer(name, options.inputs, options.hidden) for name in CELLS}
    for layer in layers.values():
        layer.initialise(generator)
        milliseconds(layer, x)
    spent = np.array(
        [[milliseconds(layer, x) for layer in layers.values()] for _ in range(options.rounds)]
    )
    own = spent[:, list(layers).index(YARDSTICK)]
    rows = []
    for (name, layer), each in zip(layers.items(), spent.T, strict=True):
        speed = float(np.median(own / each))
        rows.append(
            [
                name,
                f"{sum(weight.numel() for weight in layer.parameters()):,}",
                f"{np.median(each):.1f}",
                f"{speed:.2f}" if speed >= LEAST else f"**{speed:.2f}**",
            ]
        )
    text = (
        f"{table(['cell', 'parameters', 'forward and back, ms', f'speed, torch {YARDSTICK} = 1'], rows)}\n\n"
        f"Hidden size {options.hidden}, {options.steps} steps of {options.inputs} inputs, batch of "
        f"{options.batch}; medians of {options.rounds} rounds, processor time. {machine()}"
    )
    print(text)
    if options.write is not None:
        write_between(options.write, "cells", text)


if __name__ == "__main__":
    main()
