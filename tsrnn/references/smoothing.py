"""Exponential smoothing and the theta method, for all series at once.

Each takes ``history`` of shape (series, steps), NaN where there is no value: left of a short series,
or inside, where the level stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsrnn.references.decomposition import seasonal_index
from tsrnn.references.simple import Outlook, first_seen, last_seen

__all__ = ["ses", "theta"]

LOWEST, HIGHEST = 1e-4, 1 - 1e-4  # range of alpha
_GRID, _ROUNDS = 11, 5  # points of a search round; each looks between the neighbours of the best


@dataclass(frozen=True)
class _Smoothed:
    """Fit of simple exponential smoothing, each of shape (series,)."""

    alpha: np.ndarray
    first_level: np.ndarray
    level: np.ndarray
    count: np.ndarray


def ses(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return simple exponential smoothing: the last level, for seasonally adjusted values.

    Smoothing parameter and first level have the least squared one-step errors; the deviation grows
    like sqrt(1 + alpha^2 (h - 1)).

    References
    ----------
    Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, table 6.1 (the
    variance); seasonal adjustment as in M4, see :func:`tsrnn.references.decomposition.seasonal_index`.
    """
    return _seasonally_adjusted(history, horizon, season, trend=False)


def theta(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the theta method: smoothing with half the slope of the trend line, seasonally adjusted.

    The standard method (two theta lines, 0 and 2, at equal weights) in its closed form: the level of
    simple exponential smoothing plus b/2 (h - 1 + (1 - (1 - alpha)^n) / alpha), with the slope b of
    the least-squares line.

    References
    ----------
    Assimakopoulos & Nikolopoulos (2000), The theta model: a decomposition approach to forecasting,
    International Journal of Forecasting 16(4); Hyndman & Billah (2003), Unmasking the Theta method,
    International Journal of Forecasting 19(2), section 2.
    """
    return _seasonally_adjusted(history, horizon, season, trend=True)


def _seasonally_adjusted(history: np.ndarray, horizon: int, season: int, *, trend: bool) -> Outlook:
    if not history.shape[1]:
        unknown = np.full((len(history), horizon), np.nan)
        return Outlook(unknown, unknown)
    index = seasonal_index(history, season)
    steps = history.shape[1]
    # relative to a value of the series, so that nothing is lost at high levels
    adjusted = index.remove(history, first=0)
    _, origin = first_seen(adjusted)
    adjusted = adjusted - origin[:, None]
    slope = _slope(adjusted) if trend else np.zeros(len(history))
    fit = _fit_level(adjusted)
    sigma = _one_step_sigma(adjusted, fit, slope / 2, parameters=2 + trend)
    last, _ = last_seen(history)
    ahead = (steps - 1 - last)[:, None] + np.arange(1, horizon + 1)
    alpha, drift = fit.alpha[:, None], slope[:, None] / 2
    lag = (1 - (1 - alpha) ** fit.count[:, None]) / alpha
    point = origin[:, None] + fit.level[:, None] + drift * (ahead - 1 + lag)
    spread = sigma[:, None] * np.sqrt(1 + alpha**2 * (ahead - 1))
    return Outlook(index.restore(point, first=steps), index.stretch(spread, first=steps))


def _fit_level(history: np.ndarray) -> _Smoothed:
    """Return the alpha and first level of least squared one-step errors, by ever finer grids."""
    low = np.full(len(history), LOWEST)
    high = np.full(len(history), HIGHEST)
    share = np.linspace(0, 1, _GRID)
    rows = np.arange(len(history))
    for _ in range(_ROUNDS):
        alpha = low[:, None] + (high - low)[:, None] * share
        error, first_level, level = _filter(history, alpha)
        best = error.argmin(axis=1)
        low = alpha[rows, np.maximum(best - 1, 0)]
        high = alpha[rows, np.minimum(best + 1, _GRID - 1)]
    return _Smoothed(
        alpha[rows, best],
        first_level[rows, best],
        level[rows, best],
        (~np.isnan(history)).sum(axis=1),
    )


def _filter(history: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth with each ``alpha`` (series, grid): squared error, best first level, last level.

    The level is ``known + weight * first_level``, so the best first level is a linear regression.
    """
    known, weight = np.zeros_like(alpha), np.ones_like(alpha)
    errors, products, weights = np.zeros_like(alpha), np.zeros_like(alpha), np.zeros_like(alpha)
    error, product = np.empty_like(alpha), np.empty_like(alpha)
    missing = np.isnan(history).T
    gaps = missing.any(axis=1)
    for i, value in enumerate(np.ascontiguousarray(history.T)):
        np.subtract(value[:, None], known, out=error)
        sensed = weight
        if gaps[i]:
            error[missing[i]] = 0.0
            sensed = weight * ~missing[i][:, None]
        errors += np.multiply(error, error, out=product)
        products += np.multiply(error, sensed, out=product)
        weights += np.multiply(sensed, sensed, out=product)
        known += np.multiply(alpha, error, out=product)
        weight -= np.multiply(alpha, sensed, out=product)
    first_level = products / np.maximum(weights, np.finfo(float).tiny)
    return errors - products * first_level, first_level, known + weight * first_level


def _one_step_sigma(
    history: np.ndarray, fit: _Smoothed, drift: np.ndarray, *, parameters: int
) -> np.ndarray:
    """Return the deviation of the one-step errors of smoothing with ``drift`` a step, shape (series,)."""
    level, total = fit.first_level.copy(), np.zeros(len(history))
    faded = np.ones(len(history))  # weight of the first level
    for value in np.ascontiguousarray(history.T):
        seen = ~np.isnan(value)
        error = np.where(seen, value - level, 0.0)
        total += np.where(seen, error - drift * (1 - faded) / fit.alpha, 0.0) ** 2
        level += fit.alpha * error
        faded = np.where(seen, (1 - fit.alpha) * faded, faded)
    degrees = fit.count - parameters
    return np.sqrt(total / np.where(degrees > 0, degrees, np.nan))


def _slope(history: np.ndarray) -> np.ndarray:
    """Return the slope of the least-squares line through each series, shape (series,)."""
    seen = ~np.isnan(history)
    count = np.maximum(seen.sum(axis=1), 1)
    position = (
        np.arange(history.shape[1])
        - (seen * np.arange(history.shape[1])).sum(axis=1)[:, None] / count[:, None]
    )
    value = np.where(seen, history, 0.0)
    square = (seen * position**2).sum(axis=1)
    return (position * value).sum(axis=1) / np.where(square > 0, square, np.inf)
