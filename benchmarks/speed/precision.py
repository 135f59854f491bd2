"""Precision: training with products of bfloat16 beside that in float32, its speed and its accuracy."""

from __future__ import annotations

import os

import torch
from competition import COMPETITIONS
from tables import table
from torch import nn
from trial import Trial

from speed.pairs import Work, paired, said_by
from tsrnn.nn.kernels import GRU, LSTM
from tsrnn.nn.kernels.products import PRECISIONS, cpu_has_bfloat16

__all__ = ["bf16", "fit_and_score"]

BATCH, STEPS, FEATURES = 256, 64, 8
UNITS = (64, 128, 256)
SET, HIDDEN, MOST = "m3_monthly", 128, 200


def bf16(rounds: int) -> str:
    """Return two tables: layers of each size, and a set that is forecast after either training."""
    if not cpu_has_bfloat16():
        return "Not measured: this CPU has no instructions for bfloat16."
    return f"{_layers(rounds)}\n\n{_accuracy()}"


def _layers(rounds: int) -> str:
    torch.manual_seed(0)
    rows = []
    x = torch.randn(BATCH, STEPS, FEATURES)
    for kind in (GRU, LSTM):
        for units in UNITS:
            exact, rounded = (kind(FEATURES, units, precision=name) for name in PRECISIONS)
            rounded.load_state_dict(exact.state_dict())
            slow, fast = paired([_pass(exact, x), _pass(rounded, x)], rounds)
            wanted, found = _gradient(exact), _gradient(rounded)
            rows.append(
                [
                    f"{kind.__name__}, {BATCH} x {STEPS} x {FEATURES}, {units} units",
                    f"{1e3 * slow:.1f}",
                    f"{1e3 * fast:.1f}",
                    f"{slow / fast:.2f}",
                    f"{float((found - wanted).norm() / wanted.norm()):.2%}",
                ]
            )
    head = ["a training pass", "float32, ms", "bfloat16, ms", "ratio", "gradient off by"]
    return table(head, rows)


def _pass(layer: nn.Module, x: torch.Tensor) -> Work:
    def work() -> None:
        layer.zero_grad()
        layer(x)[0].square().sum().backward()

    return work


def _gradient(layer: nn.Module) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in layer.parameters()])


def _accuracy() -> str:
    if not os.environ.get("TSRNN_DATA"):
        return f"{SET}: not measured, TSRNN_DATA names no folder."
    rows = []
    for precision in PRECISIONS:
        found = said_by("speed.precision", "fit_and_score", precision)
        rows.append(
            [
                precision,
                f"{found['mase']:.3f}",
                f"{found['smape']:.3f}",
                str(found["step"]),
                f"{found['cpu']:.1f}",
            ]
        )
    return table(
        [
            f"{SET}, hidden_size={HIDDEN}, max_steps={MOST}",
            "MASE",
            "sMAPE",
            "best step",
            "fit, CPU s",
        ],
        rows,
    )


def fit_and_score(precision: str, first: int | None = None) -> dict[str, float]:
    """Return how far off the defaults are with this precision, and the processor seconds of the fit."""
    settings = {"hidden_size": HIDDEN, "max_steps": MOST, "precision": precision}
    outcome = COMPETITIONS[SET].run(Trial(0, first=first, settings=settings))
    return {
        "mase": outcome.scores["mase"]["tsrnn"],
        "smape": outcome.scores["smape"]["tsrnn"],
        "step": outcome.model.best_step_,
        "cpu": outcome.clock.cpu["fit"],
    }
