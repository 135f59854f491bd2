"""How far spreads follow recent errors: the power of a network's watch, chosen on validation forecasts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsrnn.learning.validation import Validation
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues, QuantileOutput
from tsrnn.nn.watch import Watch

__all__ = ["follow_errors"]

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
FEW = 20  # series and stretches of time at which half of the power that was best is believed
FEWER = 5  # at which spreads go half way in proportion to the network's own errors
AGAINST = 2.0  # standard errors


@torch.no_grad()
def follow_errors(
    network: ForecastNetwork,
    watch: Watch,
    validation: Validation,
    head: HeadValues,
    recent: Tensor | None,
) -> tuple[HeadValues, float]:
    """Let spreads follow recent errors.

    Those of the references by the power that forecasts best, since they tell little of some series; the
    network's own in proportion, unless validation speaks against it by ``AGAINST`` standard errors: how
    errors drift over years, rows right behind those that taught can't show. Either power is shrunk where
    few series and stretches of time tell of it. The share of values inside the interval of four in five
    stays what it was, by a factor on all spreads.

    Parameters
    ----------
    network : ForecastNetwork
        With quantiles; its spreads are multiplied by the factor.
    watch : Watch
        Of the network, at rest; it is set.
    validation : Validation
    head : HeadValues
        What the network says there.
    recent : Tensor of shape (origin, 2), optional
        What the watch heeds there; None where that tells of nothing.

    Returns
    -------
    head : HeadValues
        What the network says now.
    factor : float
    """
    output = network.output
    if not isinstance(output, QuantileOutput):
        raise TypeError(
            f"only quantiles can be made to follow errors. Got {network.plan.output!r}."
        )
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

    def said(power: float) -> HeadValues:
        return head._replace(unit=head.unit * level(power) * relative**power)

    losses = {
        power: validation.loss_of(
            network.quantiles(said(power), output.levels[None, None, :]).numpy()
        )
        for power in POWERS
    }
    count = _things(validation)
    if watch is network.hindsight:
        held = [p for p in POWERS if validation.evidence(losses[p], losses[POWERS[0]]) < AGAINST]
        power = max(held) * count / (count + FEWER)
    else:
        best = min(POWERS, key=lambda power: float(np.nanmean(losses[power])))
        power = best * count / (count + FEW)
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
