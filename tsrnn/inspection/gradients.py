"""How much the state still feels what it was some steps ago: the norm of dh_t/dh_(t-k) by lag k."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, autograd

from tsrnn.nn.encoder import RecurrentEncoder, State

__all__ = ["gradient_by_lag", "spread_lags"]

EXACT = 128  # hidden units up to which every direction is followed
DIRECTIONS = 24  # random ones beyond, and as many lags give one of their own
STEP = 1e-6  # of a difference quotient
STEPS_AT_ONCE = 25_000  # rows times steps of one graph: bounds memory, changes nothing else


def spread_lags(longest: int) -> list[int]:
    """Return lags from 1 to ``longest``: each of the first 32, then some 8 % apart.

    >>> spread_lags(40)[30:]
    [31, 32, 35, 38, 40]
    """
    lags = list(range(1, min(longest, 32) + 1))
    while lags and lags[-1] < longest:
        lags.append(min(longest, int(lags[-1] * 1.08) + 1))
    return lags


def gradient_by_lag(
    encoder: RecurrentEncoder, x: Tensor, lags: Sequence[int], static: Tensor | None = None
) -> Tensor:
    """Return the largest singular value of the Jacobian dh_t/ds_(t-k) for each lag k.

    h is what the top layer says at the last step of ``x``, s all that the encoder carries from step to step:
    h itself for an Elman network or a GRU, h and c for an LSTM, whose memory would be missed otherwise; of
    all layers. It is the factor by which backpropagation through time multiplies (Pascanu, Mikolov and
    Bengio 2013, eq. 5). Up to 128 units every direction of h is followed and the value is exact. Of wider
    encoders it is a bound from below, close for the few directions that a long way leaves: one step of
    subspace iteration from random directions.

    Parameters
    ----------
    encoder : RecurrentEncoder
        Any cell; its parameters need no gradient. In float64, small values are exact, too.
    x : Tensor of shape (series, step, feature)
    lags : sequence of int
        From 1 to step - 1.
    static : Tensor of shape (series, static), optional
        What the encoder's initial state is made of.

    Returns
    -------
    Tensor of shape (series, lag)

    References
    ----------
    Hochreiter (1991); Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks.
    """
    longest = max(lags)
    with torch.no_grad():
        _, start = encoder(x[:, : x.shape[1] - longest], static=static)
    newest = x[:, -longest:]
    size = start[0].shape[-1]
    if size <= EXACT:
        directions = torch.eye(size, dtype=x.dtype).expand(len(x), -1, -1)
        return _norms(_pull_back(encoder, newest, start, directions, lags))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.empty(len(x), size, DIRECTIONS, dtype=x.dtype).normal_(generator=generator)
    some = lags[:: -(-len(lags) // DIRECTIONS)]
    first = torch.linalg.qr(drawn).Q.transpose(1, 2)  # (series, direction, hidden)
    strongest = torch.linalg.svd(
        _pull_back(encoder, newest, start, first, some), full_matrices=False
    ).Vh[:, :, 0]  # (lag, series, state)
    pushed = [
        _push_forward(encoder, newest, start, lag, tangent)
        for lag, tangent in zip(some, strongest, strict=True)
    ]
    basis = torch.cat([torch.stack(pushed, -1), first.transpose(1, 2)], -1)
    unit = basis / basis.norm(dim=1, keepdim=True).clamp_min(1e-300)
    followed = torch.linalg.qr(unit).Q.transpose(1, 2)
    return _norms(_pull_back(encoder, newest, start, followed, lags))


def _norms(jacobians: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(jacobians, 2).T


def _pull_back(
    encoder: RecurrentEncoder, x: Tensor, start: State, directions: Tensor, lags: Sequence[int]
) -> Tensor:
    """Return directions (series, direction, hidden) times dh_t/ds_(t-k), shape (lag, series, direction, state)."""
    at_once = max(1, STEPS_AT_ONCE // (x.shape[0] * x.shape[1]))
    blocks = [_pull_some(encoder, x, start, some, lags) for some in directions.split(at_once, 1)]
    return torch.cat(blocks, 2)


def _pull_some(
    encoder: RecurrentEncoder, x: Tensor, start: State, directions: Tensor, lags: Sequence[int]
) -> Tensor:
    series, count, _ = directions.shape
    x = x.repeat_interleave(count, 0)
    state = tuple(part.repeat_interleave(count, 1).requires_grad_() for part in start)
    passed = [state]
    for step in range(x.shape[1]):
        _, state = encoder(x[:, step : step + 1], state)
        passed.append(state)
    wanted = [part for lag in lags for part in passed[-1 - lag]]
    gradients = autograd.grad(
        state[0][-1], wanted, directions.flatten(0, 1), materialize_grads=True
    )
    parts = len(start)
    rows = [  # (series, direction, state) for each lag
        torch.cat(
            [part.transpose(0, 1).reshape(series, count, -1) for part in gradients[i : i + parts]],
            -1,
        )
        for i in range(0, len(gradients), parts)
    ]
    return torch.stack(rows)


@torch.no_grad()
def _push_forward(
    encoder: RecurrentEncoder, x: Tensor, start: State, lag: int, tangent: Tensor
) -> Tensor:
    """Return dh_t/ds_(t-k) times a tangent (series, state) of the state ``lag`` steps ago, (series, hidden).

    A difference quotient: it only points where to look, and what it misses for want of precision is too small
    to be of interest.
    """
    state = encoder(x[:, :-lag], start)[1] if lag < x.shape[1] else start
    sizes = [part.shape[0] * part.shape[2] for part in state]
    moved = tuple(
        part + STEP * some.reshape(len(x), part.shape[0], part.shape[2]).transpose(0, 1)
        for part, some in zip(state, tangent.split(sizes, -1), strict=True)
    )
    there, here = (encoder(x[:, -lag:], each)[1][0][-1] for each in (moved, state))
    return (there - here) / STEP
