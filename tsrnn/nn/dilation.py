"""Dilated recurrence: a step goes on from the one ``dilation`` steps before it."""

from __future__ import annotations

import torch
from torch import Tensor

from tsrnn.nn.cells import State
from tsrnn.nn.dropout import Reader

__all__ = ["read_dilated"]


def read_dilated(
    layer: Reader, x: Tensor, queue: State | None, dilation: int
) -> tuple[Tensor, State]:
    """Read a sequence with h_t = f(x_t, h_(t-d)) (Chang et al. 2017, eq. 1).

    The d chains of steps that never meet are read side by side, as d times as many sequences.

    Parameters
    ----------
    layer : callable
        Reads (batch, step, feature) from a state, and returns hidden values and the state after it.
    x : Tensor of shape (batch, step, feature)
    queue : tuple of Tensor, each of shape (dilation, batch, size), optional
        The states after the last ``dilation`` steps, newest last. Without it, and without dilation, the
        layer starts from its own zero state.
    dilation : int

    Returns
    -------
    hidden : Tensor of shape (batch, step, hidden)
    queue : tuple of Tensor, each of shape (dilation, batch, size)
    """
    if dilation == 1:
        hidden, state = layer(x, None if queue is None else tuple(part[0] for part in queue))
        return hidden, tuple(part.unsqueeze(0) for part in state)
    if queue is None:
        raise ValueError("a dilated layer needs the states that it starts from")
    over = x.shape[1] % dilation
    rounds = x.shape[1] // dilation
    said = []
    if rounds:
        hidden, queue = _read_chains(layer, x[:, : rounds * dilation], queue)
        said.append(hidden)
    if over:  # one more step of the chains that waited longest; they are the newest after it
        hidden, newest = _read_chains(
            layer, x[:, rounds * dilation :], tuple(part[:over] for part in queue)
        )
        said.append(hidden)
        queue = tuple(
            torch.cat([part[over:], new]) for part, new in zip(queue, newest, strict=True)
        )
    return torch.cat(said, 1), queue


def _read_chains(layer: Reader, x: Tensor, states: State) -> tuple[Tensor, State]:
    """Read as many chains as there are states, the same number of steps of each."""
    chains, batch = states[0].shape[:2]
    apart = x.unflatten(1, (-1, chains)).permute(2, 0, 1, 3)  # (chain, batch, round, feature)
    hidden, after = layer(apart.flatten(0, 1), tuple(part.flatten(0, 1) for part in states))
    together = hidden.unflatten(0, (chains, batch)).permute(1, 2, 0, 3)
    return together.flatten(1, 2), tuple(part.unflatten(0, (chains, batch)) for part in after)
