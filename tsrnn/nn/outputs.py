"""Outputs: what the network says about a value, and the loss that teaches it.

The head gives three numbers for each step of the horizon, in units of the causal scale: a location
and the logarithms of two spreads. An output turns them into a distribution. ``unit`` below is the
typical error of the reference forecast at that step of the horizon, learned from the training data
before the network, so that zeros from the head already are a calibrated reference forecast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tsrnn.nn.pinball import pinball
from tsrnn.nn.special import negative_binomial_icdf, student_t_icdf

__all__ = [
    "OUTPUTS",
    "HeadValues",
    "NegativeBinomialOutput",
    "NormalOutput",
    "Output",
    "PointOutput",
    "QuantileOutput",
    "StudentTOutput",
    "make_output",
]

LOG_SPREAD_LIMIT = 3.0
NORMAL_MAE = 0.7978845608  # mean absolute deviation of a standard normal


class HeadValues(NamedTuple):
    """What the head says at each position, relative to the anchor and in units of the scale.

    ``location`` and ``unit`` have shape (..., horizon), ``log_spread`` (..., 2, horizon): below and
    above. ``anchor`` and ``scale`` (..., 1) are float64 and lead back to the represented values.
    """

    location: Tensor
    log_spread: Tensor
    unit: Tensor
    anchor: Tensor
    scale: Tensor

    def spread(self) -> Tensor:
        """Return unit times the two spreads, shape (..., 2, horizon)."""
        # a tanh, taken from the sigmoid, which is vectorised on every CPU
        halved = torch.sigmoid(self.log_spread * (2 / LOG_SPREAD_LIMIT))
        bounded = halved * (2 * LOG_SPREAD_LIMIT) - LOG_SPREAD_LIMIT
        return self.unit.unsqueeze(-2) * bounded.exp()

    def sizes(self, target: Tensor) -> Tensor:
        """Return errors of the location in units of the spread on their side, (..., horizon), NaN kept."""
        error, spread = target - self.location, self.spread()
        return error.abs() / torch.where(error < 0, spread[..., 0, :], spread[..., 1, :])


class Output(nn.Module, ABC):
    """A family of predictive distributions over relative values."""

    has_quantiles = True

    @abstractmethod
    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Return the loss of each target, shape (..., horizon); ``target`` is relative like the location."""

    @abstractmethod
    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Return relative quantiles.

        Parameters
        ----------
        head : HeadValues
            Of shape (..., horizon).
        probability : Tensor
            Broadcastable to (..., horizon, quantile), strictly between 0 and 1; also the way to draw
            samples (inverse transform).
        step : int, optional
            The step of the horizon that ``head`` is about, where it is a single one.

        Returns
        -------
        Tensor of shape (..., horizon, quantile)
        """

    @abstractmethod
    def calibrate(self, residual: Tensor) -> None:
        """Set the starting shape from residuals of the reference forecast, in units of ``unit``.

        Parameters
        ----------
        residual : Tensor of shape (sample,)
        """


class PointOutput(Output):
    """The median alone: absolute error as the loss, no quantiles."""

    has_quantiles = False

    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Absolute error."""
        return (head.location - target).abs()

    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Return the location at every probability: a point is all there is."""
        del step
        return head.location.unsqueeze(-1).expand(*head.location.shape, probability.shape[-1])

    def calibrate(self, residual: Tensor) -> None:
        """Do nothing: a point has no shape."""


class QuantileOutput(Output):
    """Quantiles that never cross: a median, and gaps below and above that are positive.

    The loss is the mean pinball loss over the trained quantiles (Koenker and Bassett 1978), twice, so
    that with the median alone it is the absolute error. Between trained quantiles the quantile
    function is linear; beyond the outermost ones it goes on with an exponential tail.

    Parameters
    ----------
    quantiles : tuple of float
        Probabilities, ascending, with 0.5 among them.
    horizon : int
    """

    levels: Tensor

    def __init__(self, quantiles: tuple[float, ...], horizon: int) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(quantiles, dtype=torch.float64))
        self.middle = quantiles.index(0.5)
        self.log_gap = nn.Parameter(torch.zeros(horizon, len(quantiles) - 1))

    def calibrate(self, residual: Tensor) -> None:
        """Start from the empirical quantiles of the reference forecast's residuals.

        Ten quantiles of Laplace's distribution stand beside them, whose mean absolute value is their unit:
        a few residuals that happen to be alike do not promise that all will be.
        """
        middles = (torch.arange(10, dtype=torch.float64, device=residual.device) + 0.5) / 10
        side = 2 * middles - 1
        prior = -side.sign() * torch.log1p(-side.abs())
        beside = torch.cat([residual.double().flatten(), prior])
        empirical = torch.quantile(beside, self.levels.to(residual.device))
        gap = empirical.diff()
        floor = 0.02 * (empirical[-1] - empirical[0]).clamp_min(1e-3) / len(gap)
        with torch.no_grad():
            gap = torch.maximum(gap, floor).float()
            self.log_gap.copy_(_softplus_inverse(gap).expand_as(self.log_gap))

    def trained(self, head: HeadValues, step: int | None = None) -> Tensor:
        """Return the trained quantiles, shape (..., horizon, level), ascending."""
        spread = head.spread().unsqueeze(-1)  # (..., 2, horizon, 1)
        below, above = (_of_step(offsets, step) for offsets in self.offsets())
        centre = torch.zeros_like(head.location).unsqueeze(-1)
        around = torch.cat([below * spread[..., 0, :, :], centre, above * spread[..., 1, :, :]], -1)
        return head.location.unsqueeze(-1) + around

    def offsets(self) -> tuple[Tensor, Tensor]:
        """Return the quantiles below and above the median in units of the spread, each (horizon, level)."""
        gap = softplus(self.log_gap)
        below = -gap[:, : self.middle].flip(-1).cumsum(-1).flip(-1)
        return below, gap[:, self.middle :].cumsum(-1)

    def widen(self, factor: Tensor) -> None:
        """Multiply the distance of each quantile from the median, shape (level,); they stay in order."""
        below, above = self.offsets()
        gap = softplus(self.log_gap)
        moved = torch.cat([below, torch.zeros(len(gap), 1), above], -1) * factor
        wider = torch.maximum(moved.diff(dim=-1), 0.05 * gap)
        self.log_gap.copy_(_softplus_inverse(wider))

    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Twice the mean pinball loss over the trained quantiles."""
        error, lean = target - head.location, 2 * self.levels - 1
        loss = pinball(error, head.spread(), *self.offsets(), lean.to(error.dtype))
        return loss / len(self.levels)

    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Interpolate the trained quantiles."""
        values = self.trained(head, step).double()  # (..., horizon, level)
        levels = self.levels
        p, _ = torch.broadcast_tensors(probability.double(), values[..., :1])
        right = torch.searchsorted(levels, p.contiguous()).clamp(1, len(levels) - 1)
        spread_out = values.expand(*p.shape[:-1], len(levels))
        low, high = spread_out.gather(-1, right - 1), spread_out.gather(-1, right)
        q_low, q_high = levels[right - 1], levels[right]
        inside = low + (high - low) * ((p - q_low) / (q_high - q_low)).clamp(0, 1)
        # exponential tails whose density meets that of the outermost gap
        first, last = levels[0], levels[-1]
        rate_low = (values[..., 1:2] - values[..., :1]) * first / (levels[1] - first)
        rate_high = (values[..., -1:] - values[..., -2:-1]) * (1 - last) / (last - levels[-2])
        lower = rate_low * torch.log((p / first).clamp(max=1.0))
        upper = -rate_high * torch.log(((1 - p) / (1 - last)).clamp(max=1.0))
        return inside + lower + upper


class NormalOutput(Output):
    """A normal distribution; negative log-likelihood as the loss."""

    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Negative log-likelihood, without the constant, in units of the reference's error."""
        sigma = head.spread().mean(-2) / NORMAL_MAE
        return 0.5 * ((target - head.location) / sigma) ** 2 + (sigma / head.unit).log()

    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Quantiles of the normal distribution."""
        del step
        sigma = (head.spread().mean(-2) / NORMAL_MAE).double().unsqueeze(-1)
        return head.location.double().unsqueeze(-1) + sigma * torch.special.ndtri(
            probability.double()
        )

    def calibrate(self, residual: Tensor) -> None:
        """Do nothing: the unit already is the normal's mean absolute deviation."""


class StudentTOutput(Output):
    """Student's t distribution, heavy-tailed; negative log-likelihood as the loss.

    The degrees of freedom are learned for each step of the horizon and stay above 2.
    """

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.raw_df = nn.Parameter(torch.full((horizon,), 3.0))

    def degrees(self) -> Tensor:
        """Return the degrees of freedom of each step, shape (horizon,)."""
        return 2 + softplus(self.raw_df)

    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Negative log-likelihood in units of the reference's error."""
        df, sigma = self.degrees(), head.spread().mean(-2) / NORMAL_MAE
        z = (target - head.location) / sigma
        constant = torch.lgamma(df / 2) - torch.lgamma((df + 1) / 2) + 0.5 * (df * torch.pi).log()
        return constant + 0.5 * (df + 1) * torch.log1p(z**2 / df) + (sigma / head.unit).log()

    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Quantiles of the t distribution."""
        sigma = (head.spread().mean(-2) / NORMAL_MAE).double().unsqueeze(-1)
        df = _of_step(self.degrees(), step).double().unsqueeze(-1)
        return head.location.double().unsqueeze(-1) + sigma * student_t_icdf(probability, df)

    def calibrate(self, residual: Tensor) -> None:
        """Do nothing: the degrees of freedom start heavy-tailed and are learned."""


class NegativeBinomialOutput(Output):
    """Counts: negative binomial with a scaled mean; negative log-likelihood of the raw counts.

    Works on represented values that are the counts themselves (representation "level").
    """

    def _mean_and_dispersion(self, head: HeadValues) -> tuple[Tensor, Tensor]:
        scale = head.scale.clamp_min(1e-12)
        raw = head.anchor + scale * head.location.double()
        mean = scale * softplus(raw / scale, beta=4.0) + 1e-6
        sigma = scale * head.spread().mean(-2).double() / NORMAL_MAE
        # the dispersion that gives this variance beside the mean (the NB2 form)
        return mean, ((sigma**2 - mean) / mean**2).clamp_min(0) + 1e-3

    def loss(self, head: HeadValues, target: Tensor) -> Tensor:
        """Negative log-likelihood of the counts."""
        mean, dispersion = self._mean_and_dispersion(head)
        count = (head.anchor + head.scale * target.double()).round().clamp_min(0)
        r = dispersion.reciprocal()
        log_p = (r / (r + mean)).log()
        log_q = (mean / (r + mean)).log()
        likelihood = torch.lgamma(count + r) - torch.lgamma(r) - torch.lgamma(count + 1)
        return -(likelihood + r * log_p + count * log_q).to(target.dtype)

    def quantile(self, head: HeadValues, probability: Tensor, step: int | None = None) -> Tensor:
        """Quantiles of the negative binomial, whole counts, relative to anchor and scale."""
        del step
        mean, dispersion = self._mean_and_dispersion(head)
        count = negative_binomial_icdf(probability, mean.unsqueeze(-1), dispersion.unsqueeze(-1))
        scale = head.scale.clamp_min(1e-12).unsqueeze(-1)
        return (count - head.anchor.unsqueeze(-1)) / scale

    def calibrate(self, residual: Tensor) -> None:
        """Do nothing: the unit already sets the variance."""


def _of_step(values: Tensor, step: int | None) -> Tensor:
    """Return what belongs to one step of the horizon, (1, ...), or all of it."""
    return values if step is None else values[step : step + 1]


def _softplus_inverse(y: Tensor) -> Tensor:
    """Return x with log(1 + exp(x)) = y, without overflow for a large y."""
    return y + torch.log(-torch.expm1(-y))


OUTPUTS = ("quantiles", "point", "normal", "student_t", "negative_binomial")


def make_output(name: str, *, quantiles: tuple[float, ...], horizon: int) -> Output:
    """Return the output called ``name`` (one of ``OUTPUTS``)."""
    if name == "quantiles":
        return QuantileOutput(quantiles, horizon)
    if name == "student_t":
        return StudentTOutput(horizon)
    plain: dict[str, Callable[[], Output]] = {
        "point": PointOutput,
        "normal": NormalOutput,
        "negative_binomial": NegativeBinomialOutput,
    }
    return plain[name]()
