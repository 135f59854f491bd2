"""Layers: ``tsrnn.nn.kernels`` against ``torch.nn`` layers of the same size."""

from __future__ import annotations

import torch
from tables import table
from torch import nn

from speed.pairs import Work, paired
from tsrnn.nn.kernels import GRU, LSTM

__all__ = ["layers", "long_windows"]

SIZES = [(256, 64, 1, 64), (64, 64, 6, 64), (64, 24, 16, 64), (32, 24, 6, 32), (256, 64, 8, 128)]
BATCH, LONG, HIDDEN, HORIZON = 256, 256, 64, 16
SMALLEST = torch.finfo(torch.float32).tiny


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


def long_windows(rounds: int) -> str:
    """Return the table of windows of 256 steps from fresh weights, where gradients fade to denormals.

    A layer and a linear map of its last state learn 16 values. The bare loop runs as torch does,
    where denormals are computed; and with them flushed, as they are during ``fit``.
    """
    rows = []
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, LONG, 1), torch.randn(BATCH, HORIZON)
    for own, torchs in ((GRU, nn.GRU), (LSTM, nn.LSTM)):
        ours, theirs = own(1, HIDDEN), torchs(1, HIDDEN, batch_first=True)
        ours.load_state_dict(theirs.state_dict())
        head = nn.Linear(HIDDEN, HORIZON)
        plain, flushed, kernel = paired(
            [
                _last_state(theirs, head, x, y, flush=False),
                _last_state(theirs, head, x, y, flush=True),
                _last_state(ours, head, x, y, flush=True),
            ],
            rounds,
        )
        rows.append(
            [
                f"{own.__name__}, 256 x 256 x 1, 64 units",
                f"{_denormal(torchs, head, x, y):.0%}",
                f"{1e3 * plain:.0f}",
                f"{1e3 * flushed:.0f}",
                f"{1e3 * kernel:.0f}",
                f"{plain / kernel:.2f}",
            ]
        )
    head = ["fresh weights", "denormal", "torch.nn, ms", "flushed, ms", "tsrnn, ms", "ratio"]
    return table(head, rows)


def _last_state(
    layer: nn.Module, head: nn.Module, x: torch.Tensor, y: torch.Tensor, *, flush: bool
) -> Work:
    def work() -> None:
        torch.set_flush_denormal(flush)
        layer.zero_grad()
        (head(layer(x)[0][:, -1]) - y).abs().mean().backward()
        torch.set_flush_denormal(True)

    return work


def _denormal(kind: type[nn.RNNBase], head: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of the gradients of the states that are denormal, over all steps."""
    torch.set_flush_denormal(False)
    layer, state, states = kind(1, HIDDEN, batch_first=True), None, []
    for step in x.split(1, dim=1):
        out, state = layer(step, state)
        out.retain_grad()
        states.append(out)
        state = (out.transpose(0, 1), state[1]) if isinstance(state, tuple) else out.transpose(0, 1)
    (head(states[-1][:, 0]) - y).abs().mean().backward()
    size = torch.stack([each.grad for each in states]).abs()
    share = ((size > 0) & (size < SMALLEST)).double().mean().item()
    torch.set_flush_denormal(True)
    return share
