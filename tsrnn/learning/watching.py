"""How far spreads follow recent errors: the powers of a network's watches, chosen on validation forecasts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tsrnn.learning.validation import Validation
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues, QuantileOutput
from tsrnn.nn.watch import Watch

__all__ = ["follow_itself", "follow_references"]

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
HALF_OF_REFERENCES = 20  # series and stretches of time at which half of the power is believed
HALF_OF_OWN = 5
OBJECTION = 2.0  # standard errors of the loss


@torch.no_grad()
def follow_references(
    network: ForecastNetwork,
    output: QuantileOutput,
    validation: Validation,
    head: HeadValues,
    recent: Tensor | None,
) -> tuple[HeadValues, float]:
    """Let spreads follow recent errors of the references, by the power that forecasts best.

    The power is shrunk where few series and stretches of time tell of it. The share of values inside the
    interval of four in five stays what it was, by a factor on all spreads.

    Parameters
    ----------
    network : ForecastNetwork
        Its head's watch, at rest, is set.
    output : QuantileOutput
        The network's; its spreads are multiplied by the factor.
    validation : Validation
    head : HeadValues
        What the network says there.
    recent : Tensor of shape (origin, 2), optional
        See :meth:`~tsrnn.nn.networks.ForecastNetwork.recent_error`; None where it tells of none.

    Returns
    -------
    head : HeadValues
        What the network says now.
    factor : float
    """
    count = _things(validation)

    def best(losses: dict[float, np.ndarray]) -> float:
        power = min(losses, key=lambda power: float(np.nanmean(losses[power])))
        return power * count / (count + HALF_OF_REFERENCES)

    return _follow(network, output, network.head.watch, validation, head, recent, best)


@torch.no_grad()
def follow_itself(
    network: ForecastNetwork,
    output: QuantileOutput,
    validation: Validation,
    head: HeadValues,
    recent: Tensor,
) -> tuple[HeadValues, float]:
    """Let spreads follow the network's own recent errors: in proportion, unless validation objects.

    The rows that choose lie right behind those that taught, and can't show how errors drift over the
    years. So a power is not asked to lower the loss there: it must not raise it by ``OBJECTION`` standard
    errors. Otherwise as :func:`follow_references`; ``recent`` is
    :meth:`~tsrnn.nn.networks.ForecastNetwork.own_error`.
    """
    count = _things(validation)

    def largest(losses: dict[float, np.ndarray]) -> float:
        still, *_ = losses.values()
        held = itertools.takewhile(
            lambda power: validation.evidence(losses[power], still) < OBJECTION, losses
        )
        return max(held) * count / (count + HALF_OF_OWN)

    return _follow(network, output, network.hindsight, validation, head, recent, largest)


def _follow(
    network: ForecastNetwork,
    output: QuantileOutput,
    watch: Watch,
    validation: Validation,
    head: HeadValues,
    recent: Tensor | None,
    choose: Callable[[dict[float, np.ndarray]], float],
) -> tuple[HeadValues, float]:
    """Set a watch to the power chosen by the losses of each, ascending."""
    size = _sizes(network, output, validation, head)
    known = size.isfinite()
    usual = _usual(recent)
    if recent is None or not usual > 0 or not bool(known.any()):
        return head, 1.0
    watch.usual.fill_(usual)
    relative = watch.relative(recent).unsqueeze(-1)
    inside = float((size[known] <= 1).double().mean())

    def level(power: float) -> float:
        return float(np.quantile((size / relative**power)[known].numpy(), inside))

    def loss(power: float) -> np.ndarray:
        said = head._replace(unit=head.unit * level(power) * relative**power)
        quantiles = network.quantiles(said, output.levels[None, None, :])
        return validation.loss_of(quantiles.numpy())

    power = choose({power: loss(power) for power in POWERS})
    factor = level(power)
    if not factor > 0:
        return head, 1.0
    watch.power.fill_(power)
    output.widen(torch.full_like(output.levels, factor).float())
    return head._replace(unit=head.unit * relative**power), factor


def _sizes(
    network: ForecastNetwork, output: QuantileOutput, validation: Validation, head: HeadValues
) -> Tensor:
    """Return errors in units of the bound of four in five on their side, shape (origin, horizon)."""
    truth = torch.from_numpy(validation.truth)[:, : network.plan.horizon]
    error = network.view.relative_target(truth, head) - head.location
    low, high = (int((output.levels - level).abs().argmin()) for level in (0.1, 0.9))
    offsets = output.trained(head) - head.location.unsqueeze(-1)
    return torch.where(error < 0, error / offsets[..., low], error / offsets[..., high])


def _usual(recent: Tensor | None) -> float:
    """Return the median of recent errors, 0 where there are none."""
    if recent is None:
        return 0.0
    heard = recent[recent[:, 1] > 0]
    return float((heard[:, 0] / heard[:, 1]).median()) if len(heard) else 0.0


def _things(validation: Validation) -> int:
    """Return how many series and stretches of time of theirs there are to judge by."""
    judged = np.isfinite(validation.truth).any(1)
    series = validation.origins.series // validation.panel.channels
    pairs = np.stack([series, validation.stretch])[:, judged]
    return np.unique(pairs, axis=1).shape[1]
