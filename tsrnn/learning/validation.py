"""Validation: honest scores of a network that forecasts freely, and spreads calibrated by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tsrnn.inference import Forecasting, Reading, read_origins
from tsrnn.metrics.pairing import average
from tsrnn.nn.joint import channel_factor
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.nn.outputs import QuantileOutput
from tsrnn.nn.paths import copula_factor
from tsrnn.panel import Panel
from tsrnn.parallel import crew
from tsrnn.references import panel_scale
from tsrnn.windows import Origins, gather_rows

__all__ = ["Correction", "Validation", "calibrate", "conformal_widening", "correct"]

PIT_GRID = 201
ALL = slice(None)
COMMON = 0.06  # share of the loss by which an improvement differs between stretches of time


class Validation:
    """Scores a network the way it will be used: it reads, then forecasts freely.

    The score is twice the mean pinball loss over the trained quantiles, in units of each series'
    naive error; with a point output that is the mean absolute scaled error.

    Parameters
    ----------
    panel : Panel
    origins : Origins
    stop : ndarray of int64, shape (series,)
        Rows of each series that may be looked at.
    horizon, context : int
    season : int
    probabilities : tuple of float
    forecasting : Forecasting
    """

    def __init__(
        self,
        panel: Panel,
        origins: Origins,
        stop: np.ndarray,
        *,
        horizon: int,
        context: int,
        season: int,
        probabilities: tuple[float, ...],
        forecasting: Forecasting,
    ) -> None:
        observed = np.concatenate([[0], np.cumsum(~np.isnan(panel.values))])
        first = panel.indptr[origins.series]
        seen = observed[first + origins.known] > observed[first]  # something to go by
        whole = seen.reshape(-1, panel.channels).any(1).repeat(panel.channels)
        origins, seen = origins[whole], seen[whole]
        self.panel, self.origins, self.stop = panel, origins, stop
        self.horizon, self.context = horizon, context
        self.probabilities, self.forecasting = probabilities, forecasting
        self.truth = gather_rows(
            panel.values, panel.indptr, origins.series, origins.known, stop[origins.series], horizon
        )
        self.truth[~seen] = np.nan
        scale = panel_scale(panel.take_rows(np.zeros_like(stop), stop), season)
        self.scale = np.where(scale > 0, scale, 1.0)[origins.series]

    def __bool__(self) -> bool:
        return bool(np.isfinite(self.truth).any())

    @property
    def stretch(self) -> np.ndarray:
        """Which stretch of one horizon each origin lies in, counted from the end, shape (origin,)."""
        return (self.stop[self.origins.series] - self.origins.known) // self.horizon

    @property
    def can_compare(self) -> bool:
        """Whether there are several series, or several stretches of time."""
        things = self.origins.series // self.panel.channels
        return len(np.unique(things)) > 1 or len(np.unique(self.stretch)) > 1

    def reading(self, network: ForecastNetwork, part: slice = ALL) -> Reading:
        """Read the rows before each origin, about as many as a training window has."""
        return self._read(network, self.origins[part], 2 * self.context)

    def glance(self, network: ForecastNetwork) -> Reading:
        """Read the newest step before each origin: all for an untrained head, which heeds no state yet."""
        return self._read(network, self.origins, network.plan.patch)

    def _read(self, network: ForecastNetwork, origins: Origins, rows: int) -> Reading:
        with torch.inference_mode():
            return read_origins(network, self.panel, origins, context=self.context, max_rows=rows)

    def __call__(self, network: ForecastNetwork) -> float:
        """Return the score of ``network``; lower is better."""
        return self.score(self.losses(network))

    @staticmethod
    def score(losses: np.ndarray) -> float:
        """Return the score of a network with these losses."""
        score = float(np.nanmean(losses))
        return score if np.isfinite(score) else float("inf")

    def evidence(self, before: np.ndarray, after: np.ndarray) -> float:
        """Return by how many standard errors the second losses are lower than the first.

        Losses of origins within one horizon share their truth, and series often move together: the
        standard error is the larger of those over series and over stretches of one horizon in time.
        It is never below what moves a whole stretch at once, which a few stretches can't show: a share
        ``COMMON`` of the loss. A single series over a single stretch is no evidence: 0.
        """
        gain = average(before - after, 1)  # NaN where nothing of a horizon was observed
        groups = (self.origins.series // self.panel.channels, self.stretch)
        errors = [_clustered_error(gain, group) for group in groups]
        if not np.nanmax([*errors, 0.0]) > 0:
            return 0.0
        stretches = len(np.unique(self.stretch[np.isfinite(gain)]))
        errors.append(COMMON * float(np.nanmean(before)) / np.sqrt(stretches))
        return float(np.nanmean(gain) / np.nanmax(errors))

    def losses(self, network: ForecastNetwork, reading: Reading | None = None) -> np.ndarray:
        """Return the loss of each forecast step, shape (origin, horizon); NaN where the truth is.

        ``reading`` is what the network has read already, where only its head has changed since.
        """
        part = crew().part(len(self.origins), channels=self.panel.channels)
        return crew().joined(self._losses(network, part, reading))

    def _losses(self, network: ForecastNetwork, part: slice, reading: Reading | None) -> np.ndarray:
        truth = self.truth[part]
        if not len(truth):  # there are fewer origins than processes that share them
            return truth
        with torch.inference_mode():
            reading = self.reading(network, part) if reading is None else reading[part]
            point, quantiles = self.forecasting(network, reading, self.horizon, self.probabilities)
        if network.output.has_quantiles:
            error = truth[:, :, None] - quantiles
            level = np.array(self.probabilities)
            loss = 2 * np.maximum(level * error, (level - 1) * error).mean(2)
        else:
            loss = np.abs(truth - point)
        return loss / self.scale[part, None]


def _clustered_error(gain: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of the mean gain, origins being alike within groups; NaN for one group."""
    known = np.isfinite(gain)
    members, index = np.unique(groups[known], return_inverse=True)
    if len(members) < 2:
        return float("nan")
    total = np.bincount(index, gain[known] - gain[known].mean())
    many = len(members) / (len(members) - 1)
    return float(np.sqrt(many * (total**2).sum()) / known.sum())


@dataclass(frozen=True)
class Correction:
    """What validation says about spreads.

    Parameters
    ----------
    widening : Tensor of shape (level,) or None
        Factor on the distance of each trained quantile from the median; None without quantiles.
    path_factor : Tensor of shape (horizon, horizon) or None
        Cholesky factor of the copula of paths; None for a network that rolls on by its own samples.
    channel_factor : Tensor of shape (channel, channel)
        The same over channels that share a state.
    """

    widening: Tensor | None
    path_factor: Tensor | None
    channel_factor: Tensor


@torch.no_grad()
def calibrate(network: ForecastNetwork, validation: Validation) -> Correction | None:
    """Correct the spread of each quantile, and fit the copula of paths, on validation forecasts.

    A quantile at probability p is moved away from the median by the factor that would have put a share
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
    head = network.say(reading.rows, reading.state, reading.covariates)
    truth = torch.from_numpy(validation.truth)[:, : plan.horizon]
    widening = None
    if isinstance(network.output, QuantileOutput) and not rolls:
        error = network.view.relative_target(truth, head) - head.location
        stretches = len(np.unique(validation.stretch))
        share = (stretches - 1) / (stretches + 3)
        trained = network.output.trained(head)
        widening = conformal_widening(network.output, error, trained, head.location) ** share
        network.output.widen(widening)
    probability = integral_transform(partial(network.quantiles, head), truth)
    if not rolls:
        network.path_factor.copy_(copula_factor(probability))
    if plan.channels > 1:
        known = probability[:, :1] if rolls else probability  # later steps depend on the path
        by_channel = known.unflatten(0, (-1, plan.channels))
        network.channel_factor.copy_(channel_factor(by_channel))
    return Correction(widening, None if rolls else network.path_factor, network.channel_factor)


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
            wanted = torch.quantile(known.double(), max(level, 1 - level)).clamp(0.4, 2.5)
            factor[i] = float(wanted)
    return factor
