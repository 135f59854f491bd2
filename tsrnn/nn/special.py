"""Distribution functions that torch lacks: Student-t and negative binomial quantiles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["betainc", "negative_binomial_icdf", "student_t_cdf", "student_t_icdf"]

_TINY = 1e-300


def betainc(a: Tensor, b: Tensor, x: Tensor, *, iterations: int = 200) -> Tensor:
    """Regularised incomplete beta function I_x(a, b), float64, elementwise.

    Continued fraction of Press et al. 2007, Numerical Recipes, 3rd ed., section 6.4, by Lentz's
    method; it converges in about sqrt(max(a, b)) iterations.
    """
    a, b, x = torch.broadcast_tensors(a.double(), b.double(), x.double())
    swap = x > (a + 1) / (a + b + 2)
    a, b = torch.where(swap, b, a), torch.where(swap, a, b)
    y = torch.where(swap, 1 - x, x).clamp(0, 1)
    log_front = (
        torch.lgamma(a + b)
        - torch.lgamma(a)
        - torch.lgamma(b)
        + a * y.clamp_min(_TINY).log()
        + b * (1 - y).clamp_min(_TINY).log()
    )
    c = torch.ones_like(y)
    d = _away_from_zero(1 - (a + b) * y / (a + 1)).reciprocal()
    fraction = d.clone()
    for m in range(1, iterations + 1):
        even = m * (b - m) * y / ((a + 2 * m - 1) * (a + 2 * m))
        d = _away_from_zero(1 + even * d).reciprocal()
        c = _away_from_zero(1 + even / c)
        fraction = fraction * d * c
        odd = -(a + m) * (a + b + m) * y / ((a + 2 * m) * (a + 2 * m + 1))
        d = _away_from_zero(1 + odd * d).reciprocal()
        c = _away_from_zero(1 + odd / c)
        step = d * c
        fraction = fraction * step
        if bool(((step - 1).abs() < 1e-15).all()):
            break
    result = torch.where(y > 0, log_front.exp() * fraction / a, torch.zeros_like(y))
    return torch.where(swap, 1 - result, result)


def _away_from_zero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _TINY, torch.full_like(x, _TINY), x)


def student_t_cdf(x: Tensor, df: Tensor) -> Tensor:
    """Distribution function of Student's t with ``df`` degrees of freedom, float64."""
    square = x.double() ** 2
    return 0.5 + 0.5 * x.sign() * betainc(torch.full_like(df, 0.5), df / 2, square / (df + square))


def student_t_icdf(probability: Tensor, df: Tensor) -> Tensor:
    """Quantile function of Student's t, float64, by Newton's method on the distribution function.

    Parameters
    ----------
    probability, df : Tensor
        Broadcastable; probabilities strictly between 0 and 1.
    """
    probability, df = torch.broadcast_tensors(probability.double(), df.double())
    upper = torch.maximum(probability, 1 - probability)
    # t = sqrt(df) * tan(angle) maps the line to (-pi/2, pi/2). Above the median the distribution
    # function of the angle is concave, and the normal quantile lies below t's: steps never overshoot.
    angle = (torch.special.ndtri(upper) / df.sqrt()).atan()
    peak = (torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2)).exp() / math.sqrt(math.pi)
    for _ in range(40):
        error = upper - student_t_cdf(df.sqrt() * angle.tan(), df)
        step = error / (peak * angle.cos() ** (df - 1))
        angle = angle + step
        if bool((step.abs() <= 1e-9 * angle).all()):
            break
    return torch.where(probability < 0.5, -1.0, 1.0) * df.sqrt() * angle.tan()


def negative_binomial_icdf(probability: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    """Smallest count whose distribution function reaches ``probability``, float64.

    The variance is ``mean + dispersion * mean**2`` (the NB2 form; Hilbe 2011, Negative Binomial
    Regression, 2nd ed., section 8.2), so r = 1 / dispersion and P(X <= k) = I_p(r, k + 1) with
    p = r / (r + mean).
    """
    probability, mean, dispersion = torch.broadcast_tensors(
        probability.double(), mean.double(), dispersion.double()
    )
    r = dispersion.reciprocal()
    p = r / (r + mean)
    low = torch.full_like(mean, -1.0)
    high = (mean + 40 * (mean + dispersion * mean**2).sqrt() + 40).ceil()
    for _ in range(int(high.max().log2().ceil()) + 2):
        middle = ((low + high) / 2).floor()
        below = betainc(r, middle.clamp_min(0) + 1, p) < probability
        below = below | (middle < 0)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high
