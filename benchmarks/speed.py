"""Speed: each part against what bounds it, in one paired run on one thread.

    python benchmarks/speed.py

- Layers: training ``tsrnn.nn.kernels`` against ``torch.nn`` layers of the same size, rounds taken in turn.
- Training: ``fit_network`` (Lightning, windows, kernels) against a bare PyTorch loop over batches that lie
  ready, of the same network with torch's layers; 200 series, windows of 64 steps, 256 a batch.
- Data: a frame of 1e7 sorted rows read, as multiples of copying its values to float32; 256 windows gathered.
- Forecasts: ``predict()`` for 200 series against a forward pass of the bare network; one series.
- Start: from ``fit(df)`` to the first optimiser step; imports in a process of their own.

Ratios compare processor seconds of the same run, medians over the rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from tables import machine, table, write_between
from torch import nn

from tsrnn import RNNForecaster
from tsrnn.frames import read_panel
from tsrnn.learning.loss import training_loss
from tsrnn.learning.training import fit_network
from tsrnn.nn.kernels import GRU, LSTM
from tsrnn.windows import WindowSampler

SIZES = [(256, 64, 1, 64), (64, 64, 6, 64), (64, 24, 16, 64), (32, 24, 6, 32), (256, 64, 8, 128)]
ROWS = 10_000_000

Work = Callable[[], object]


def paired(works: Sequence[Work], rounds: int) -> list[float]:
    """Return the median processor seconds of each, taken in turn so that all see the same machine."""
    spent: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, seconds in zip(works, spent, strict=True):
            started = time.process_time()
            work()
            if turn:  # the first round warms up
                seconds.append(time.process_time() - started)
    return [float(np.median(seconds)) for seconds in spent]


# ---- layers ----------------------------------------------------------------------------------


def layers(rounds: int) -> str:
    """Return the table of layers: milliseconds a forward and backward pass, and the ratio."""
    rows = []
    for batch, steps, features, hidden in SIZES:
        x = torch.randn(batch, steps, features)
        for own, torchs in ((GRU, nn.GRU), (LSTM, nn.LSTM)):
            made = [own(features, hidden), torchs(features, hidden, batch_first=True)]
            ours, theirs = paired([_pass(layer, x) for layer in made], rounds)
            size = f"{batch} x {steps} x {features}, {hidden} units"
            rows.append(
                [
                    f"{own.__name__}, {size}",
                    f"{1e3 * theirs:.1f}",
                    f"{1e3 * ours:.1f}",
                    f"{theirs / ours:.2f}",
                ]
            )
    return table(["batch x steps x features", "torch.nn, ms", "tsrnn, ms", "ratio"], rows)


def _pass(layer: nn.Module, x: torch.Tensor) -> Work:
    def work() -> None:
        layer.zero_grad()
        layer(x)[0].sum().backward()

    return work


# ---- training --------------------------------------------------------------------------------


def prices(series: int, rows: int) -> pd.DataFrame:
    """Return random walks in a long frame."""
    walk = 100 + np.random.default_rng(0).normal(size=(series, rows)).cumsum(1)
    days = pd.date_range("2020-01-01", periods=rows, freq="D")
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series), rows),
            "ds": np.tile(days, series),
            "y": walk.ravel(),
        }
    )


def training(cell: str, rounds: int, steps: int = 16) -> list[str]:
    """Return a row: a step of the bare loop, one of the library, their ratio, what is not the network."""
    model = RNNForecaster(cell=cell, context_length=64, horizon=16, batch_size=256, max_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(prices(200, 984))
        panel, _ = read_panel(prices(200, 984))
    network, plan = model.network_.members[0], model.network_.plan
    network.head.share.fill_(1.0)  # all that is said is learned, as in training
    sampler = WindowSampler(
        panel,
        panel.lengths,
        look_back=plan.look_back,
        context=plan.context,
        horizon=plan.horizon,
        patch=plan.patch,
    )
    from tsrnn.planned import plan_training

    how = plan_training(model)
    how = type(how)(**{**vars(how), "max_steps": steps, "check_every": steps, "batch_size": 256})
    rng = np.random.default_rng(0)
    batches = [torch.from_numpy(sampler.gather(*sampler.places(256, rng))[0]) for _ in range(steps)]
    drawn = torch.arange(16)  # as many origins a window as the library forecasts from
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)

    def loop() -> None:
        for values in batches:
            optimizer.zero_grad()
            training_loss(network, values, None, None, drawn).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    def bare() -> None:
        network.encoder.eval()  # torch's own layers
        loop()

    def same() -> None:
        network.encoder.train()
        loop()

    def library() -> None:
        fit_network(network, sampler, how, validate=None, notify=_ignore)

    theirs, network_alone, ours = (
        seconds / steps for seconds in paired([bare, same, library], rounds)
    )
    return [
        f"{cell.upper()} 64, 256 windows of 64 steps",
        f"{1e3 * theirs:.1f}",
        f"{1e3 * ours:.1f}",
        f"{theirs / ours:.2f}",
        f"{max(ours - network_alone, 0) / ours:.0%}",
    ]


def _ignore(step: int, metrics: dict[str, float]) -> None:
    """Listen to nothing."""


# ---- data ------------------------------------------------------------------------------------


def data(rounds: int) -> list[list[str]]:
    """Return rows: reading 1e7 rows by kind of id, and gathering 256 windows."""
    series = ROWS // 1000
    ids = np.repeat(np.arange(series), 1000)
    df = pd.DataFrame(
        {
            "unique_id": ids,
            "ds": np.tile(pd.date_range("2000-01-01", periods=1000, freq="D"), series),
            "y": np.random.default_rng(0).normal(size=ROWS),
        }
    )
    names = (
        pd.Series([f"series {i:05d}" for i in range(series)]).repeat(1000).reset_index(drop=True)
    )
    kinds = {
        "integers": df,
        "categories": df.assign(unique_id=pd.Categorical(ids)),
        "text": df.assign(unique_id=names.astype("str")),
    }
    values = df["y"].to_numpy()
    copied, *read = paired(
        [
            lambda: values.astype(np.float32),
            *(lambda f=frame: read_panel(f) for frame in kinds.values()),
        ],
        rounds,
    )
    rows = [
        [f"1e7 rows, ids are {kind}", f"{seconds:.3f} s", f"{seconds / copied:.1f} copies"]
        for kind, seconds in zip(kinds, read, strict=True)
    ]
    panel, _ = read_panel(df)
    sampler = WindowSampler(panel, panel.lengths, look_back=0, context=64, horizon=16, patch=1)
    rng = np.random.default_rng(0)
    places = [sampler.places(256, rng) for _ in range(100)]
    (gathered,) = paired([lambda: [sampler.gather(*each) for each in places]], rounds)
    return [*rows, ["256 windows of 80 rows", f"{10 * gathered:.3f} ms", ""]]


# ---- forecasts and start ---------------------------------------------------------------------


def forecasts(rounds: int) -> list[list[str]]:
    """Return rows: forecasts of 200 series and of one."""
    return [row for series in (200, 1) for row in _forecast(series, rounds)]


def _forecast(series: int, rounds: int) -> list[list[str]]:
    model = RNNForecaster(context_length=64, horizon=16, max_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(prices(series, 984))
    history = prices(series, 984)
    x = torch.randn(series, 984, 1)
    bare = nn.GRU(1, 64, batch_first=True)

    def forward() -> None:
        with torch.inference_mode():
            bare(x)

    reading, from_memory, passed = paired(
        [lambda: model.predict(history), model.predict, forward], rounds
    )
    return [
        [f"predict(), {series} series, warm", f"{1e3 * from_memory:.1f} ms", ""],
        [
            f"predict(history), {series} x 984 rows",
            f"{1e3 * reading:.1f} ms",
            f"{reading / passed:.1f} x reading them with a bare GRU",
        ],
    ]


class _FirstStep(pl.Callback):
    """Notes when the first optimiser step begins."""

    began: float | None = None

    def on_train_batch_start(self, *_: object) -> None:
        self.began = self.began or time.perf_counter()


def start(rounds: int) -> list[list[str]]:
    """Return rows: seconds until fit takes its first step, and to import."""
    df, spent = prices(200, 984), []
    for _ in range(rounds):
        note = _FirstStep()
        model = RNNForecaster(max_steps=1, trainer_params={"callbacks": [note]})
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(df)
        spent.append((note.began or started) - started)
    rows = [["fit(200 series x 984 rows) to its first step", f"{np.median(spent):.2f} s", ""]]
    for what, code in {
        "import tsrnn": "import tsrnn",
        "tsrnn --help": "import sys; sys.argv = ['tsrnn', '--help']; from tsrnn.cli import main; main()",
    }.items():
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
            times.append(time.perf_counter() - started)
        rows.append([f"{what}, a process of its own", f"{np.median(times):.2f} s", ""])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    parts = [
        layers(options.rounds),
        table(
            ["a training step", "bare loop, ms", "tsrnn, ms", "ratio", "not the network"],
            [training(cell, options.rounds) for cell in ("gru", "lstm")],
        ),
        table(
            ["what", "measured", "against"],
            [*data(3), *forecasts(options.rounds), *start(options.rounds)],
        ),
    ]
    text = "\n\n".join([*parts, machine()])
    print(text)
    if options.write is not None:
        write_between(options.write, "speed", text)


if __name__ == "__main__":
    main()
