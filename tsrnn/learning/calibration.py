"""Calibration: spreads and copulas of a network corrected by its validation forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tsrnn.learning.validation import Validation
from tsrnn.learning.watching import follow_itself, follow_references
from tsrnn.nn.joint import channel_factor
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import QuantileOutput
from tsrnn.nn.paths import copula_factor

__all__ = [
    "Correction",
    "allow_for_few",
    "beside_normal",
    "calibrate",
    "conformal_widening",
    "correct",
    "integral_transform",
]

PIT_GRID = 201
FEWEST = 5  # stretches of one horizon that spreads are taken to rest on at least


@dataclass(frozen=True)
class Correction:
    """What validation says about spreads.

    Parameters
    ----------
    widening : Tensor of shape (level,) or None
        Factor on the distance of each trained quantile from the median; None without quantiles.
    watches : tuple of dict
        States of :attr:`~tsrnn.nn.networks.ForecastNetwork.watches`.
    path_factor : Tensor of shape (horizon, horizon) or None
        Cholesky factor of the copula of paths; None for a network that rolls on by its own samples.
    channel_factor : Tensor of shape (channel, channel)
        The same over channels that share a state.
    """

    widening: Tensor | None
    watches: tuple[dict[str, Tensor], ...]
    path_factor: Tensor | None
    channel_factor: Tensor


@torch.no_grad()
def calibrate(network: ForecastNetwork, validation: Validation) -> Correction | None:
    """Correct the spread of each quantile, and fit the copula of paths, on validation forecasts.

    First spreads are made to follow recent errors (:mod:`tsrnn.learning.watching`).
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
    for watch in network.watches:
        watch.reset()
    head = network.say(*read)
    truth = torch.from_numpy(validation.truth)[:, : plan.horizon]
    widening = None
    if isinstance(network.output, QuantileOutput) and not rolls:
        output, recent = network.output, network.recent_error(*read)
        head, level = follow_references(network, output, validation, head, recent)
        if plan.looks_back:
            own = network.own_error(reading.rows, reading.covariates)
            head, factor = follow_itself(network, output, validation, head, own)
            level *= factor
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
    watches = tuple(watch.state_dict() for watch in network.watches)
    return Correction(widening, watches, path_factor, network.channel_factor)


@torch.no_grad()
def allow_for_few(network: ForecastNetwork, rows: np.ndarray) -> None:
    """Move the quantiles away from the median by what few stretches of time can't show.

    They are read off the errors of n stretches of one horizon, of all series together. The next value
    lies outside more often than those did: of a normal sample the interval for it is wider than the
    normal's own by Student's t with n - 1 degrees of freedom and the root of 1 + 1 / n (Geisser 1993,
    Predictive Inference). Of 8 stretches that is 17 % at 80 %, of 30 it is 4 %, of 100 it is 1 %.

    Parameters
    ----------
    network : ForecastNetwork
        Its spreads are those of the errors of what it learned from.
    rows : ndarray of int64, shape (series,)
        How many rows of each series that were.
    """
    output = network.output
    if not isinstance(output, QuantileOutput):
        return
    stretches = max(int((rows // network.plan.horizon).sum()), FEWEST)
    output.widen((beside_normal(output.levels, stretches - 1) * np.sqrt(1 + 1 / stretches)).float())


def beside_normal(levels: Tensor, degrees: int) -> Tensor:
    """Return Student's t quantiles divided by the normal ones: Abramowitz and Stegun 1964, 26.7.5."""
    square = torch.special.ndtri(levels) ** 2
    return (
        1
        + (square + 1) / (4 * degrees)
        + (5 * square**2 + 16 * square + 3) / (96 * degrees**2)
        + (3 * square**3 + 19 * square**2 + 17 * square - 15) / (384 * degrees**3)
    )


@torch.no_grad()
def integral_transform(quantiles: Callable[[Tensor], Tensor], truth: Tensor) -> Tensor:
    """Return the probability that was promised for values up to the truth, shape (sample, horizon).

    NaN where the truth is, and where a single value was promised: a series that has not moved says
    nothing of how steps go together. ``quantiles`` returns the values (sample, horizon, level) at probabilities (1, 1, level).
    """
    grid = torch.linspace(0.0025, 0.9975, PIT_GRID, dtype=torch.float64)
    curve = quantiles(grid[None, None, :]).contiguous()
    below = torch.searchsorted(curve, truth.nan_to_num(0.0).unsqueeze(-1).contiguous()).squeeze(-1)
    unsaid = truth.isnan() | (curve[..., -1] <= curve[..., 0])
    return grid[below.clamp(0, PIT_GRID - 1)].masked_fill(unsaid, torch.nan)


@torch.no_grad()
def correct(network: ForecastNetwork, correction: Correction) -> None:
    """Give a network the spreads and the copula that were right for one trained alike."""
    if correction.widening is not None and isinstance(network.output, QuantileOutput):
        network.output.widen(correction.widening)
    for watch, state in zip(network.watches, correction.watches, strict=True):
        watch.load_state_dict(state)
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
            wanted = np.quantile(
                known.double().numpy(), max(level, 1 - level)
            )  # torch's takes 2^24
            factor[i] = float(np.clip(wanted, 0.4, 2.5))
    return factor
