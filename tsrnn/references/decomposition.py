"""Is a series seasonal, and what is its seasonal pattern: the test and the indices of M4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsrnn.references.simple import first_seen, last_seen

__all__ = ["SeasonalIndex", "is_seasonal", "seasonal_index"]

_QUANTILE = 1.645  # two-sided 90 %


@dataclass(frozen=True)
class SeasonalIndex:
    """Seasonal pattern of each series: value = adjusted * factor + shift.

    Parameters
    ----------
    factor, shift : ndarray of shape (series, season)
        One factor or shift per phase; phase 0 is that of the first step of the history. 1 and 0
        where a series is not seasonal.
    """

    factor: np.ndarray
    shift: np.ndarray

    def remove(self, values: np.ndarray, *, first: int) -> np.ndarray:
        """Return seasonally adjusted ``values`` (series, steps), the first at step ``first``."""
        phase = self._phases(values, first)
        return np.asarray((values - self.shift[:, phase]) / self.factor[:, phase])

    def restore(self, values: np.ndarray, *, first: int) -> np.ndarray:
        """Return the values (series, steps) that :meth:`remove` adjusted."""
        phase = self._phases(values, first)
        return np.asarray(values * self.factor[:, phase] + self.shift[:, phase])

    def stretch(self, spread: np.ndarray, *, first: int) -> np.ndarray:
        """Return deviations (series, steps) of adjusted values in units of the values."""
        return np.asarray(spread * self.factor[:, self._phases(spread, first)])

    def _phases(self, values: np.ndarray, first: int) -> np.ndarray:
        return (first + np.arange(values.shape[1])) % self.factor.shape[1]


def seasonal_index(history: np.ndarray, season: int) -> SeasonalIndex:
    """Return the seasonal pattern by classical decomposition, where there is one.

    Multiplicative where all values are positive, additive elsewhere; no pattern where
    :func:`is_seasonal` says so. Missing values are left out of the averages.

    Parameters
    ----------
    history : ndarray of shape (series, steps)
    season : int
        Steps of one season; 1: none.

    References
    ----------
    Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, 3rd ed., section 3.4;
    Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods, International Journal of Forecasting 36(1): when to adjust.
    """
    factor, shift = np.ones((len(history), season)), np.zeros((len(history), season))
    which = np.flatnonzero(is_seasonal(history, season))
    if not len(which):
        return SeasonalIndex(factor, shift)
    values = history[which]
    trend = _moving_average(values, season)
    multiplies = np.fmin.reduce(values, axis=1) > 0
    ratio = values / np.where(trend == 0, np.nan, trend)
    detrended = np.where(multiplies[:, None], ratio, values - trend)
    pattern = _mean_by_phase(detrended, season)
    middle = pattern.mean(axis=1, keepdims=True)
    known = ~np.isnan(middle[:, 0])
    factors, shifts = known & multiplies, known & ~multiplies
    factor[which[factors]] = (pattern / np.where(middle == 0, np.nan, middle))[factors]
    shift[which[shifts]] = (pattern - middle)[shifts]
    return SeasonalIndex(factor, shift)


def is_seasonal(history: np.ndarray, season: int) -> np.ndarray:
    """Return whether the autocorrelation at lag ``season`` differs from 0 at 90 %, shape (series,).

    A series needs three seasons of values. The limit is 1.645 sqrt((1 + 2 sum r_k^2) / n) over the
    lags k below the season (Bartlett's formula), as in the M4 benchmarks.
    """
    seen = ~np.isnan(history)
    count = seen.sum(axis=1)
    if season == 1 or history.shape[1] < 3 * season:
        return np.zeros(len(history), dtype=bool)
    known = np.maximum(count, 1)
    offset = np.where(seen, history - np.fmin.reduce(history, axis=1)[:, None], 0.0)
    centred = np.where(seen, offset - (offset.sum(axis=1) / known)[:, None], 0.0)
    power = (centred**2).sum(axis=1)
    power = np.where(power > 0, power, np.inf)
    total = np.zeros(len(history))
    for lag in range(1, season):
        total += ((centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / power) ** 2
    at_season = (centred[:, season:] * centred[:, :-season]).sum(axis=1) / power
    limit = _QUANTILE * np.sqrt((1 + 2 * total) / known)
    return np.asarray((np.abs(at_season) > limit) & (count >= 3 * season))


def _moving_average(values: np.ndarray, season: int) -> np.ndarray:
    """Return centred means over one season, NaN where it reaches beyond the first or the last value."""
    seen = ~np.isnan(values)
    low = np.fmin.reduce(values, axis=1)[:, None]
    total = _window_sums(np.where(seen, values - low, 0.0), season)
    weight = _window_sums(seen.astype(np.float64), season)
    half, steps = season // 2, values.shape[1]
    trend = np.full(values.shape, np.nan)
    trend[:, half : steps - half] = total / np.where(weight > 0, weight, np.nan) + low
    # the empty steps left of a short series are not part of it
    first, last = first_seen(values)[0][:, None], last_seen(values)[0][:, None]
    position = np.arange(steps)
    return np.where((position - half >= first) & (position + half <= last), trend, np.nan)


def _window_sums(values: np.ndarray, season: int) -> np.ndarray:
    """Return sums over ``season`` neighbours; an even season has one more, both ends at half weight."""
    sums = np.cumsum(np.concatenate([np.zeros((len(values), 1)), values], axis=1), axis=1)
    plain = sums[:, season:] - sums[:, :-season]
    return plain if season % 2 else (plain[:, 1:] + plain[:, :-1]) / 2


def _mean_by_phase(values: np.ndarray, season: int) -> np.ndarray:
    """Return the mean of each phase over all seasons, shape (series, season); NaN where it has none."""
    series, steps = values.shape
    cycles = -(-steps // season)
    padded = np.full((series, cycles * season), np.nan)
    padded[:, :steps] = values
    cycle = padded.reshape(series, cycles, season)
    count = (~np.isnan(cycle)).sum(axis=1)
    return np.asarray(np.nansum(cycle, axis=1) / np.where(count > 0, count, np.nan))
