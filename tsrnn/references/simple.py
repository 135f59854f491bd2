"""Forecasts without parameters to search: naive, seasonal naive, drift, mean; all series at once.

Each takes ``history`` of shape (series, steps), NaN where there is no value (left of a short series,
or inside), and returns point forecasts with the standard deviation of their errors.

References
----------
R. J. Hyndman and G. Athanasopoulos (2021), Forecasting: Principles and Practice, 3rd ed.,
section 5.2 (the methods) and table 5.2 in section 5.5 (the standard deviations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Outlook", "drift", "first_seen", "last_seen", "mean", "naive", "seasonal_naive"]


@dataclass(frozen=True)
class Outlook:
    """Point forecasts and the standard deviation of their errors, both of shape (series, horizon).

    Both are NaN for a series without any value; the deviation is NaN, too, where the history is too
    short to tell.
    """

    point: np.ndarray
    spread: np.ndarray


def naive(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the last value; the deviation grows like the square root of the step.

    Steps missing at the end count as steps ahead; differences across a gap of ``g`` steps count as
    ``g`` steps of a random walk.
    """
    del season
    last, value = last_seen(history)
    ahead = _steps_ahead(history, last, horizon)
    sigma = _walk_sigma(history, np.zeros(len(history)), parameters=0)
    return Outlook(np.repeat(value[:, None], horizon, axis=1), sigma[:, None] * np.sqrt(ahead))


def drift(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the line through the first and the last value, continued."""
    del season
    first, start = first_seen(history)
    last, value = last_seen(history)
    span = np.maximum(last - first, 1)
    slope = np.where(last > first, (value - start) / span, 0.0)
    ahead = _steps_ahead(history, last, horizon)
    sigma = _walk_sigma(history, slope, parameters=1)
    spread = sigma[:, None] * np.sqrt(ahead * (1 + ahead / span[:, None]))
    return Outlook(value[:, None] + slope[:, None] * ahead, spread)


def mean(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the mean of all values."""
    del season
    seen = ~np.isnan(history)
    count = seen.sum(axis=1)
    known = np.where(count > 0, count, np.nan)
    # relative to one of the values, so that a constant gives itself, at any level
    _, origin = last_seen(history)
    offset = np.where(seen, history - origin[:, None], 0.0)
    centre = offset.sum(axis=1) / known
    square = np.where(seen, (offset - centre[:, None]) ** 2, 0.0).sum(axis=1)
    sigma = np.sqrt(square / np.where(count > 1, count - 1, np.nan))
    spread = sigma * np.sqrt(1 + 1 / known)
    return Outlook(*(np.repeat(a[:, None], horizon, axis=1) for a in (origin + centre, spread)))


def seasonal_naive(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the newest value of the same phase of the season.

    Where that is missing, an older one of the same phase; where there is none, or the series is
    shorter than a season, the last value.
    """
    plain = naive(history, horizon)
    if season == 1 or not history.size:
        return plain
    series, steps = history.shape
    cycles = -(-steps // season)
    padded = np.full((series, cycles * season), np.nan)
    padded[:, cycles * season - steps :] = history
    cycle = padded.reshape(series, cycles, season)
    phases = np.arange(horizon) % season
    age, same_phase = _newest(np.moveaxis(cycle, 1, 2))  # (series, season)
    first, _ = first_seen(history)
    usable = ~np.isnan(same_phase) & (steps - first >= season)[:, None]
    seasons_ahead = age[:, phases] + np.arange(horizon) // season + 1
    sigma = _seasonal_sigma(cycle)
    spread = sigma[:, None] * np.sqrt(seasons_ahead)
    spread = np.where(np.isnan(spread), plain.spread, spread)
    return Outlook(
        np.where(usable[:, phases], same_phase[:, phases], plain.point),
        np.where(usable[:, phases], spread, plain.spread),
    )


def last_seen(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position and value of the last value of each series (position 0, NaN where there is none)."""
    age, value = _newest(history)
    steps = history.shape[1]
    return np.where(np.isnan(value), 0, steps - 1 - age), value


def first_seen(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position and value of the first value of each series (position 0, NaN where there is none)."""
    if not history.shape[1]:
        return np.zeros(len(history), dtype=np.int64), np.full(len(history), np.nan)
    position = (~np.isnan(history)).argmax(axis=1)
    return position, history[np.arange(len(history)), position]


def _newest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return age (0: the last) and value of the newest value along the last axis."""
    if not values.shape[-1]:
        shape = values.shape[:-1]
        return np.zeros(shape, dtype=np.int64), np.full(shape, np.nan)
    age = (~np.isnan(values[..., ::-1])).argmax(axis=-1)
    newest = np.take_along_axis(values, values.shape[-1] - 1 - age[..., None], axis=-1)
    return age, newest[..., 0]


def _steps_ahead(history: np.ndarray, last: np.ndarray, horizon: int) -> np.ndarray:
    return (history.shape[1] - 1 - last)[:, None] + np.arange(1, horizon + 1)


def _walk_sigma(history: np.ndarray, slope: np.ndarray, *, parameters: int) -> np.ndarray:
    """Return the deviation of one step of a random walk with drift ``slope``, shape (series,)."""
    if np.isnan(history).any():
        square, count = _squared_steps(history, slope)
    else:
        step = np.diff(history, axis=1) - slope[:, None]
        square, count = np.einsum("st,st->s", step, step), np.full(len(step), step.shape[1])
    known = count > parameters
    return np.sqrt(square / np.where(known, count - parameters, np.nan))


def _squared_steps(history: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of squared steps of each series, and of how many; one across a gap counts by its length."""
    row, position = np.nonzero(~np.isnan(history))
    same = row[1:] == row[:-1]
    row_of = row[1:][same]
    gap = (position[1:] - position[:-1])[same]
    value = history[row, position]
    step = (value[1:] - value[:-1])[same] - slope[row_of] * gap
    square = np.bincount(row_of, step**2 / gap, minlength=len(history))
    return square, np.bincount(row_of, minlength=len(history))


def _seasonal_sigma(cycle: np.ndarray) -> np.ndarray:
    """Return the deviation of one seasonal step; ``cycle`` has shape (series, cycles, season)."""
    square = (cycle[:, 1:] - cycle[:, :-1]) ** 2
    count = (~np.isnan(square)).sum(axis=(1, 2))
    return np.sqrt(np.nansum(square, axis=(1, 2)) / np.where(count > 0, count, np.nan))
