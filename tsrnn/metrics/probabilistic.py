"""Accuracy of quantiles, samples and intervals; used as part of :mod:`tsrnn.metrics`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tsrnn.exceptions import DataError, ParameterError
from tsrnn.metrics.pairing import Axis, Score, average, numbers, pair, pair_last_axis, position
from tsrnn.metrics.scale import divisor
from tsrnn.parameters import check_real

__all__ = ["acd", "coverage", "crps_quantiles", "crps_samples", "msis", "pinball", "wql"]


def pinball(
    actual: ArrayLike,
    quantiles: ArrayLike,
    probabilities: float | Sequence[float],
    *,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Quantile (pinball) loss: mean of p (y - q) where y >= q, (1 - p) (q - y) elsewhere.

    Parameters
    ----------
    actual : array_like of any shape (...)
        What came true.
    quantiles : array_like of shape (..., quantile)
        Forecasts at ``probabilities``; of the shape of ``actual`` for a single probability.
    probabilities : float or sequence of float
        Between 0 and 1; the loss is the mean over them.
    axis, skipna
        As in :func:`tsrnn.metrics.mae`, about the axes of ``actual``.

    Returns
    -------
    float, or ndarray of the axes left

    References
    ----------
    Koenker & Bassett (1978), Regression quantiles, Econometrica 46(1).

    Examples
    --------
    >>> pinball([10.0], [8.0], 0.9)
    1.8
    """
    y, q, p = _with_quantiles(actual, quantiles, probabilities, skipna=skipna)
    return average(_pinball(y, q, p).mean(axis=-1), axis)


def wql(
    actual: ArrayLike,
    quantiles: ArrayLike,
    probabilities: float | Sequence[float],
    *,
    skipna: bool = False,
) -> float:
    """Weighted quantile loss: 2 sum of pinball losses / sum |y|, averaged over the probabilities.

    It has no units; large series weigh most. GluonTS calls it mean_weighted_sum_quantile_loss.
    Arguments as in :func:`pinball`.

    References
    ----------
    Salinas, Flunkert, Gasthaus & Januschowski (2020), DeepAR: probabilistic forecasting with
    autoregressive recurrent networks, International Journal of Forecasting 36(3): the rho-risk.
    """
    y, q, p = _with_quantiles(actual, quantiles, probabilities, skipna=skipna)
    total = np.nansum(np.abs(y))
    if total == 0:
        raise DataError(
            "WQL divides by the sum of |actual|, which must not be zero. Got only zeros or no "
            "values. Use pinball or crps_quantiles."
        )
    return float(2 * np.nansum(_pinball(y, q, p).mean(axis=-1)) / total)


def crps_quantiles(
    actual: ArrayLike,
    quantiles: ArrayLike,
    probabilities: Sequence[float],
    *,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Continuous ranked probability score from quantiles: twice the integral of the pinball loss.

    Each probability stands for the stretch of [0, 1] that is nearest to it, so that probabilities
    at unequal distances are weighted right; at (i - 1/2) / n it is 2 x :func:`pinball`. Arguments as
    there; more probabilities come closer to the integral. In the units of the data, and equal to the
    absolute error for a forecast without spread.

    References
    ----------
    Gneiting & Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted
    scoring rules, Journal of Business & Economic Statistics 29(3).
    """
    y, q, p = _with_quantiles(actual, quantiles, probabilities, skipna=skipna)
    order = np.argsort(p)
    q, p = q[..., order], p[order]
    edges = np.concatenate([[0.0], (p[1:] + p[:-1]) / 2, [1.0]])
    return average(2 * _pinball(y, q, p) @ np.diff(edges), axis)


def crps_samples(
    actual: ArrayLike,
    samples: ArrayLike,
    *,
    fair: bool = False,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Continuous ranked probability score from samples: mean |X - y| - mean |X - X'| / 2.

    Parameters
    ----------
    actual : array_like of any shape (...)
        What came true.
    samples : array_like of shape (..., sample)
        Draws from the forecast distribution.
    fair : bool, default False
        Divide by the pairs of different draws, which makes the estimate unbiased for few samples.
    axis, skipna
        As in :func:`tsrnn.metrics.mae`, about the axes of ``actual``.

    Returns
    -------
    float, or ndarray of the axes left; in the units of the data

    References
    ----------
    Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation, Journal of
    the American Statistical Association 102(477), eq. 21; fair: Ferro (2014), Fair scores for
    ensemble forecasts, Quarterly Journal of the Royal Meteorological Society 140(683).
    """
    y, x = pair_last_axis(actual, samples, "samples", skipna=skipna)
    n = x.shape[-1]
    if fair and n < 2:
        raise DataError(f"crps_samples(fair=True) needs at least 2 samples. Got {n}.")
    rank = 2 * np.arange(1, n + 1) - n - 1
    # sum over all pairs of |x_i - x_j| = 2 sum of rank_i x_(i), x sorted
    spread = np.sort(x, axis=-1) @ rank / (n * (n - 1 if fair else n))
    return average(np.abs(x - y[..., None]).mean(axis=-1) - spread, axis)


def coverage(
    actual: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Share of actual values with lower <= y <= upper: 0.8 is what an 80 % interval promises.

    Arguments as in :func:`tsrnn.metrics.mae`, with two bounds instead of one forecast; see
    :func:`tsrnn.metrics.significance.coverage_interval` for how far the share can be trusted.

    Examples
    --------
    >>> coverage([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0])
    0.75
    """
    y, low, high = _bounds(actual, lower, upper, skipna=skipna)
    inside = np.where(np.isnan(y), np.nan, (low <= y) & (y <= high))
    return average(inside, axis)


def acd(
    actual: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    level: float = 95,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Absolute coverage difference: |coverage - level / 100|, 0 for intervals that keep their promise.

    Arguments as in :func:`coverage`; ``level`` is the percent promised. M4 used 95, over all series
    and steps together.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods, International Journal of Forecasting 36(1), section 3.

    Examples
    --------
    >>> acd([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0], level=50)
    0.25
    """
    level = check_real("level", level, low=0, high=100, closed="neither")
    off = np.abs(coverage(actual, lower, upper, axis=axis, skipna=skipna) - level / 100)
    return float(off) if axis is None else off


def msis(
    actual: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    train: ArrayLike | None = None,
    season: int = 1,
    *,
    level: float = 95,
    scale: ArrayLike | None = None,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Mean scaled interval score: width plus 2/a times what lies outside, divided as in MASE.

    Parameters
    ----------
    actual, lower, upper : array_like of shape (..., horizon)
        What came true and the two bounds.
    train, season, scale
        The divisor, as in :func:`tsrnn.metrics.mase`.
    level : float, default 95
        Percent that the interval promises to hold; a = 1 - level / 100. M4 used 95.
    axis, skipna
        As in :func:`tsrnn.metrics.mase`.

    Returns
    -------
    float, or ndarray of the axes left

    References
    ----------
    Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation, Journal of
    the American Statistical Association 102(477), eq. 43; scaled as in Makridakis, Spiliotis &
    Assimakopoulos (2020), The M4 Competition, International Journal of Forecasting 36(1).
    """
    level = check_real("level", level, low=0, high=100, closed="neither")
    y, low, high = _bounds(actual, lower, upper, skipna=skipna)
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    score = (high - low) + 2 / (1 - level / 100) * outside
    return average(score / divisor(train, season, scale, shape=y.shape, skipna=skipna), axis)


# ---- shared steps -------------------------------------------------------------------------


def _pinball(y: np.ndarray, q: np.ndarray, p: np.ndarray) -> np.ndarray:
    over = y[..., None] - q  # (..., quantile)
    return np.maximum(p * over, (p - 1) * over)


def _with_quantiles(
    actual: ArrayLike,
    quantiles: ArrayLike,
    probabilities: float | Sequence[float],
    *,
    skipna: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = np.atleast_1d(numbers(probabilities, "probabilities"))
    if p.ndim > 1 or not p.size or not ((p > 0) & (p < 1)).all() or len(np.unique(p)) < p.size:
        raise ParameterError(
            "The 'probabilities' parameter must hold different numbers between 0 and 1. "
            f"Got {probabilities!r}."
        )
    if np.ndim(probabilities) == 0:
        y, q = pair(actual, quantiles, skipna=skipna, names=("quantiles",))
        return y, q[..., None], p
    y, q = pair_last_axis(actual, quantiles, "quantiles", skipna=skipna)
    if q.shape[-1] != p.size:
        raise DataError(
            f"quantiles must have one column per probability. Got {q.shape[-1]} columns for "
            f"{p.size} probabilities."
        )
    return y, q, p


def _bounds(
    actual: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, skipna: bool
) -> tuple[np.ndarray, ...]:
    y, low, high = pair(actual, lower, upper, skipna=skipna, names=("lower", "upper"))
    crossed = np.argwhere(low > high)
    if len(crossed):
        raise DataError(
            f"lower must not exceed upper. Got {low[tuple(crossed[0])]:g} > "
            f"{high[tuple(crossed[0])]:g} at position {position(crossed[0])}, the first of "
            f"{len(crossed)}. Were the bounds exchanged?"
        )
    return y, low, high
