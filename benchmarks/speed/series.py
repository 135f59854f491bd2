"""The series that speed is measured on, seeded."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["airline", "prices", "weekly_panel"]


def prices(series: int, rows: int) -> pd.DataFrame:
    """Return random walks in a long frame."""
    walk = 100 + np.random.default_rng(0).normal(size=(series, rows)).cumsum(1)
    return _long(walk, "D", np.arange(series))


def weekly_panel(series: int = 200, rows: int = 1000, *, seed: int = 0) -> pd.DataFrame:
    """Return daily series with a level, a slow trend, a week, a year and noise that lasts.

    Level, slope, the seven days, height and phase of the year, and the autocorrelation of the noise
    (0.3 to 0.9) differ from series to series. All grow with the level.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(rows)
    level = rng.lognormal(3.0, 0.8, (series, 1))
    slope = level * rng.normal(0, 0.3, (series, 1)) / 1000
    days = level * rng.uniform(0.05, 0.3, (series, 1)) * rng.normal(size=(series, 7))
    phase = rng.uniform(0, 2 * np.pi, (series, 1))
    height = level * rng.uniform(0.05, 0.3, (series, 1))
    lasts = rng.uniform(0.3, 0.9, series)
    shocks = rng.normal(size=(rows, series)) * 0.05 * level[:, 0]
    noise = np.zeros((rows, series))
    for i in range(rows):
        noise[i] = shocks[i] + (lasts * noise[i - 1] if i else 0)
    year = height * np.sin(2 * np.pi * t / 365.25 + phase)
    return _long(level + slope * t + days[:, t % 7] + year + noise.T, "D")


def airline(rows: int = 144, *, seed: int = 0) -> pd.DataFrame:
    """Return one monthly series like that of air passengers: a growing level times a year, and noise."""
    t = np.arange(rows)
    year = 1 + 0.2 * np.sin(2 * np.pi * (t - 3) / 12) + 0.08 * np.sin(4 * np.pi * t / 12)
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.03, rows))
    return _long((110 * np.exp(0.0101 * t) * year * noise)[None], "MS")


def _long(values: np.ndarray, freq: str, names: np.ndarray | None = None) -> pd.DataFrame:
    series, rows = values.shape
    if names is None:
        names = np.array([f"s{i:06d}" for i in range(series)], dtype=object)
    stamps = pd.date_range("2020-01-01", periods=rows, freq=freq)
    return pd.DataFrame(
        {
            "unique_id": pd.Series(np.repeat(names, rows)).infer_objects(),
            "ds": np.tile(stamps, series),
            "y": values.ravel(),
        }
    )
