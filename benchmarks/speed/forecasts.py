"""Forecasts: ``predict()`` against a forward pass of the bare network; a backtest against calls of it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import torch
from tables import table
from torch import nn

from speed.pairs import paired
from speed.series import prices
from tsrnn import RNNForecaster
from tsrnn.inference import torch_settings
from tsrnn.windows import Origins

__all__ = ["backtests", "forecasts"]

ROWS, CUTOFFS, STEP, CALLS = 3000, 500, 5, 50


def forecasts(rounds: int) -> str:
    """Return the table of forecasts of 200 series and of one."""
    rows = [row for series in (200, 1) for row in _forecast(series, rounds)]
    return table(["what", "measured", "against"], rows)


def _forecast(series: int, rounds: int) -> list[list[str]]:
    history = prices(series, 984)
    model = fitted(history)
    x = torch.randn(series, 984, 1)
    bare = nn.GRU(1, 64, batch_first=True)
    window = torch.randn(series, 64, 1)
    head = nn.Linear(64, 16)

    def reads() -> None:
        with torch.inference_mode():
            bare(x)

    def forward() -> None:
        with torch.inference_mode():
            head(bare(window)[0][:, -1])

    reading, from_memory, passed, newest = paired(
        [lambda: model.predict(history), model.predict, reads, forward], rounds
    )
    return [
        [
            f"predict(), {series} series, warm",
            f"{1e3 * from_memory:.1f} ms",
            f"{from_memory / newest:.1f} x a bare GRU over the newest 64 rows",
        ],
        [
            f"predict(history), {series} x 984 rows",
            f"{1e3 * reading:.1f} ms",
            f"{reading / passed:.1f} x reading them with a bare GRU",
        ],
    ]


def backtests(rounds: int) -> str:
    """Return the table of 500 cutoffs: calls of predict, forecasts in one pass, the whole backtest."""
    history = prices(1, ROWS)
    model = fitted(history)
    known = ROWS - model.horizon - STEP * np.arange(CUTOFFS)[::-1]
    pasts = [history[:end] for end in known[:: CUTOFFS // CALLS]]
    panel, _ = model._read(history, fitted=True)  # noqa: SLF001
    origins = Origins(np.zeros(CUTOFFS, dtype=np.int64), known)

    def calls() -> None:
        for past in pasts:
            model.predict(past)

    def at_once() -> None:
        with torch_settings(), torch.inference_mode():
            model.forecasting_.from_origins(
                model.network_, panel, origins, model.horizon, (), context=64, ahead=None
            )

    def whole() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.backtest(history, n_windows=CUTOFFS, step=STEP, refit="never")

    called, forecast, judged = paired([calls, at_once, whole], rounds)
    called *= CUTOFFS / CALLS
    said = {
        f"{CUTOFFS} calls of predict(history)": called,
        "the same forecasts in one pass": forecast,
        "backtest(): the forecasts, four baselines, scores and tests": judged,
    }
    rows = [[what, f"{each:.2f} s", f"{called / each:.0f}"] for what, each in said.items()]
    return table([f"{CUTOFFS} cutoffs in {ROWS:,} rows", "CPU time", "times faster"], rows)


def fitted(history: pd.DataFrame) -> RNNForecaster:
    """Return a forecaster that took one step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RNNForecaster(context_length=64, horizon=16, max_steps=1).fit(history)
