"""The GRU read by a single sequence in numpy, whose calls cost a fraction of torch's where a step is this small."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["read_one_gru"]


def read_one_gru(x: Tensor, start: Tensor, read: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    """Return the state after every step of one sequence, shape (step, hidden); without a gradient.

    ``r = (1 + tanh(a_r / 2)) / 2``, ``z`` likewise, ``n = tanh(a_n + r q)``, ``h' = n + z (h - n)``: the
    halves are taken into weights and biases.

    Parameters
    ----------
    x : Tensor of shape (step, feature)
    start : Tensor of shape (hidden,)
    read, recurrent : Tensor of shape (3 * hidden, feature) and (3 * hidden, hidden)
    bias : Tensor of shape (2, 3 * hidden)
        Those of ``read`` and of ``recurrent``.
    """
    size, steps = len(start), len(x)
    own = torch.addmm(bias[0], x, read.t())
    own[:, : 2 * size].add_(bias[1, : 2 * size]).mul_(0.5)
    beside = torch.cat([own[:, : 2 * size], (0.5 * bias[1, 2 * size :]).expand(steps, size)], 1)
    weight, fresh = (0.5 * recurrent).numpy(), own[:, 2 * size :].numpy()
    inner, n = np.empty(3 * size, fresh.dtype), np.empty(size, fresh.dtype)
    gates, r, z, q = inner[: 2 * size], inner[:size], inner[size : 2 * size], inner[2 * size :]
    one, half = np.ones_like(gates), np.full_like(n, 0.5)
    states, h = np.empty((steps, size), fresh.dtype), start.numpy()
    for given, new, state in zip(beside.numpy(), fresh, states, strict=True):
        np.dot(weight, h, out=inner)
        np.add(inner, given, out=inner)
        np.tanh(gates, out=gates)
        np.add(gates, one, out=gates)  # r and z, doubled
        np.multiply(r, q, out=n)
        np.add(n, new, out=n)
        np.tanh(n, out=n)
        np.subtract(h, n, out=state)
        np.multiply(state, z, out=state)
        np.multiply(state, half, out=state)
        np.add(state, n, out=state)
        h = state
    return torch.from_numpy(states)
