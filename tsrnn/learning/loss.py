"""What training lowers: the loss of every step of every window, or of one chunk of each lane."""

from __future__ import annotations

import torch
from torch import Tensor

from tsrnn.nn.covariates import Covariates
from tsrnn.nn.decoders import Teacher
from tsrnn.nn.encoder import State
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues
from tsrnn.parallel import crew

__all__ = ["training_loss", "truncated_loss"]


def training_loss(
    network: ForecastNetwork,
    values: Tensor,
    weights: Tensor | None,
    generator: torch.Generator | None = None,
    steps: Tensor | None = None,
    covariates: Covariates | None = None,
    teacher: Teacher | None = None,
) -> Tensor:
    """Return the mean loss over every step of every window that has a known target.

    Parameters
    ----------
    network : ForecastNetwork
    values : Tensor of shape (batch, look_back + context + horizon), float64
    weights : Tensor of the same shape, optional
    generator : torch.Generator, optional
        Source of dropout.
    steps : Tensor of int64, optional
        Recurrent steps to forecast from; all when not given.
    covariates : Covariates, optional
        Of the same rows.
    teacher : Teacher, optional
        Which true values a recurrent decoder goes on from; without one it goes on from its own.
    """
    past, rows = _to_read(network, values, steps)
    truth = values[:, rows]
    fed = _fed(network, truth, teacher)
    head = network(past, generator, steps, covariates, fed)
    return _mean_loss(network, head, truth, None if weights is None else weights[:, rows])


def truncated_loss(
    network: ForecastNetwork,
    values: Tensor,
    weights: Tensor | None,
    state: State | None,
    fresh: Tensor,
    generator: torch.Generator | None = None,
    steps: Tensor | None = None,
    covariates: Covariates | None = None,
    teacher: Teacher | None = None,
) -> tuple[Tensor, State]:
    """Return the loss of one chunk of each lane, and the state after it, detached.

    Parameters
    ----------
    network, values, weights, generator, steps, covariates, teacher
        As in :func:`training_loss`.
    state : tuple of Tensor, optional
        The state after the chunks before.
    fresh : Tensor of bool, shape (batch,)
        Lanes that begin anew.

    References
    ----------
    Williams and Peng 1990, An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories, Neural Computation 2(4).
    """
    past, rows = _to_read(network, values, steps)
    truth = values[:, rows]
    fed = _fed(network, truth, teacher)
    head, after = network.go_on(past, state, generator, steps, covariates, fed, fresh)
    loss = _mean_loss(network, head, truth, None if weights is None else weights[:, rows])
    return loss, tuple(part.detach() for part in after)


def _to_read(
    network: ForecastNetwork, values: Tensor, steps: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the rows to read, and where the targets of each position lie, (position, horizon)."""
    horizon = network.plan.horizon
    past = values[:, : values.shape[1] - horizon]
    positions = network.positions(past.shape[1] - network.plan.look_back)
    positions = positions if steps is None else positions[steps]
    return past, positions[:, None] + torch.arange(1, horizon + 1, device=positions.device)


def _fed(network: ForecastNetwork, truth: Tensor, teacher: Teacher | None) -> Tensor | None:
    """Return the true values that a recurrent decoder goes on from."""
    return teacher.choose(truth) if teacher is not None and network.plan.stepwise else None


def _mean_loss(
    network: ForecastNetwork, head: HeadValues, truth: Tensor, weights: Tensor | None
) -> Tensor:
    """Return the mean over known targets (batch, position, horizon), each by its weight.

    Where processes share a batch it is this one's part of that mean: their parts add up to it.
    """
    target = network.view.relative_target(truth, head)
    known = ~target.isnan()
    loss = network.output.loss(head, target.nan_to_num(0.0))
    importance = known.float() if weights is None else known * weights.float()
    return (loss * importance).sum() / crew().total(importance.sum()).clamp_min(1e-12)
