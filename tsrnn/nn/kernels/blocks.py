"""What the kernels share: rows that hold state, inputs and bias, views of blocks, derivatives in place."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["halved_tanh_", "read_rows", "sigmoid_backward", "tanh_backward", "views"]

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input

_MINUS_ONE = torch.tensor(-1.0)


def halved_tanh_(x: Tensor) -> Tensor:
    """Return ``tanh(x / 2) = 2 sigmoid(x) - 1`` in place of x.

    Torch's sigmoid is vectorised on every CPU; its tanh is left to a library that is eight times as slow on some.
    """
    return torch.add(_MINUS_ONE, x.sigmoid_(), alpha=2, out=x)


def read_rows(x: Tensor, start: Tensor) -> Tensor:
    """Return room for [h, x, 1] at every step, shape (step + 1, hidden + feature + 1, batch).

    Filled in are all x, all ones, and h before the first step; a kernel fills in the others.
    """
    steps, features, batch = x.shape
    size = len(start)
    rows = x.new_empty(steps + 1, size + features + 1, batch)
    rows[0, :size] = start
    rows[:-1, size:-1] = x
    rows[:, -1] = 1.0
    return rows


def views(inner: Tensor, size: int, *blocks: tuple[int, int]) -> list[tuple[Tensor, ...]]:
    """Return for each (first, last) blocks of ``size`` rows their views at every step."""
    return [inner[:, first * size : last * size].unbind() for first, last in blocks]
