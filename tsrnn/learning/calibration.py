"""Calibration: spreads and copulas of a network corrected by its validation forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tsrnn.learning.validation import Validation
from tsrnn.nn.joint import channel_factor
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import HeadValues, QuantileOutput
from tsrnn.nn.paths import copula_factor

__all__ = ["Correction", "calibrate", "conformal_widening", "correct", "integral_transform"]

PIT_GRID = 201
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of recent errors, by which spreads may go
FEW = 20  # series and stretches of time at which half of the power is believed


@dataclass(frozen=True)
class Correction:
    """What validation says about spreads.

    Parameters
    ----------
    widening : Tensor of shape (level,) or None
        Factor on the distance of each trained quantile from the median; None without quantiles.
    watch : dict
        State of the head's :class:`~tsrnn.nn.watch.Watch`.
    path_factor : Tensor of shape (horizon, horizon) or None
        Cholesky factor of the copula of paths; None for a network that rolls on by its own samples.
    channel_factor : Tensor of shape (channel, channel)
        The same over channels that share a state.
    """

    widening: Tensor | None
    watch: dict[str, Tensor]
    path_factor: Tensor | None
    channel_factor: Tensor


@torch.no_grad()
def calibrate(network: ForecastNetwork, validation: Validation) -> Correction | None:
    """Correct the spread of each quantile, and fit the copula of paths, on validation forecasts.

    First spreads are made to follow recent errors as far as that lowers the loss (:func:`_follow_errors`).
    Then a quantile at probability p is moved away from the median by the factor that would have put a share
    p of the validation values below it (split conformal prediction; Romano, Patterson and Candes 2019),
    shrunk towards no change where there are few stretches of time: what moves a whole stretch says more
    about it than about the spread, and a single one says nothing.

    Returns
    -------
    Correction or None
        What was corrected, for other networks trained alike; None for a network of one channel that
        rolls on and draws its own paths.
    """
    plan = network.plan
    rolls = plan.conditional and validation.horizon > 1
    if rolls and plan.channels == 1:
        return None
    reading = validation.reading(network)
    read = reading.rows, reading.state, reading.covariates
    network.head.watch.reset()
    head = network.say(*read)
    truth = torch.from_numpy(validation.truth)[:, : plan.horizon]
    widening = None
    if isinstance(network.output, QuantileOutput) and not rolls:
        recent = network.recent_error(*read)
        head, level = _follow_errors(network, network.output, validation, head, recent)
        error = network.view.relative_target(truth, head) - head.location
        stretches = len(np.unique(validation.stretch))
        share = (stretches - 1) / (stretches + 3)
        trained = network.output.trained(head)
        widening = conformal_widening(network.output, error, trained, head.location) ** share
        network.output.widen(widening)
        widening = level * widening
    probability = integral_transform(partial(network.quantiles, head), truth)
    if not rolls:
        network.path_factor.copy_(copula_factor(probability))
    if plan.channels > 1:
        known = probability[:, :1] if rolls else probability  # later steps depend on the path
        by_channel = known.unflatten(0, (-1, plan.channels))
        network.channel_factor.copy_(channel_factor(by_channel))
    path_factor = None if rolls else network.path_factor
    return Correction(
        widening, network.head.watch.state_dict(), path_factor, network.channel_factor
    )


def _follow_errors(
    network: ForecastNetwork,
    output: QuantileOutput,
    validation: Validation,
    head: HeadValues,
    recent: Tensor | None,
) -> tuple[HeadValues, float]:
    """Let spreads follow recent errors, by the power that forecasts best; return what is said then.

    The power is shrunk where few series and stretches of time tell of it. The share of values inside the
    interval of four in five stays what it was, by a factor on all spreads that is returned, too.
    """
    watch, view = network.head.watch, network.view
    if recent is None:
        return head, 1.0
    heard = recent[recent[:, 1] > 0]
    usual = (heard[:, 0] / heard[:, 1]).median() if len(heard) else torch.zeros(())
    truth = torch.from_numpy(validation.truth)[:, : network.plan.horizon]
    error = view.relative_target(truth, head) - head.location
    low, high = (int((output.levels - level).abs().argmin()) for level in (0.1, 0.9))
    offsets = output.trained(head) - head.location.unsqueeze(-1)
    size = torch.where(error < 0, error / offsets[..., low], error / offsets[..., high])
    known = size.isfinite()
    if not usual > 0 or not bool(known.any()):
        return head, 1.0
    watch.usual.copy_(usual)
    relative = watch.relative(recent).unsqueeze(-1)
    inside = float((size[known] <= 1).double().mean())

    def said(power: float) -> tuple[HeadValues, float]:
        factor = relative**power
        level = float(np.quantile((size / factor)[known].numpy(), inside))
        return head._replace(unit=head.unit * level * factor), level

    def loss(power: float) -> float:
        quantiles = network.quantiles(said(power)[0], output.levels[None, None, :])
        return float(np.nanmean(validation.loss_of(quantiles.numpy())))

    judged = np.isfinite(validation.truth).any(1)
    series = validation.origins.series // network.plan.channels
    count = np.unique(np.stack([series, validation.stretch])[:, judged], axis=1).shape[1]
    power = min(POWERS, key=loss) * count / (count + FEW)
    after, level = said(power)
    if not level > 0:
        return head, 1.0
    watch.power.fill_(power)
    output.widen(torch.full_like(output.levels, level).float())
    return after._replace(unit=after.unit / level), level


@torch.no_grad()
def integral_transform(quantiles: Callable[[Tensor], Tensor], truth: Tensor) -> Tensor:
    """Return the probability that was promised for values up to the truth, shape (sample, horizon), NaN kept.

    ``quantiles`` returns the values (sample, horizon, level) at probabilities (1, 1, level).
    """
    grid = torch.linspace(0.0025, 0.9975, PIT_GRID, dtype=torch.float64)
    curve = quantiles(grid[None, None, :]).contiguous()
    below = torch.searchsorted(curve, truth.nan_to_num(0.0).unsqueeze(-1).contiguous()).squeeze(-1)
    return grid[below.clamp(0, PIT_GRID - 1)].masked_fill(truth.isnan(), torch.nan)


@torch.no_grad()
def correct(network: ForecastNetwork, correction: Correction) -> None:
    """Give a network the spreads and the copula that were right for one trained alike."""
    if correction.widening is not None and isinstance(network.output, QuantileOutput):
        network.output.widen(correction.widening)
    network.head.watch.load_state_dict(correction.watch)
    if correction.path_factor is not None:
        network.path_factor.copy_(correction.path_factor)
    network.channel_factor.copy_(correction.channel_factor)


def conformal_widening(
    output: QuantileOutput, error: Tensor, trained: Tensor, location: Tensor
) -> Tensor:
    """Return the factor on the distance of each quantile from the median that validation asks for."""
    offset = trained - location.unsqueeze(-1)  # (origin, horizon, level)
    ratio = error.unsqueeze(-1) / offset
    factor = torch.ones(len(output.levels))
    for i, level in enumerate(output.levels.tolist()):
        if i == output.middle:
            continue
        known = ratio[..., i][torch.isfinite(ratio[..., i])]
        if len(known):
            wanted = np.quantile(known.double().numpy(), max(level, 1 - level))  # torch's takes 2^24
            factor[i] = float(np.clip(wanted, 0.4, 2.5))
    return factor
