"""Seeded series whose best possible forecast is known.

Each docstring gives the formula and the forecast that no model can beat on average (minimum squared
error, or the median where that is said), given the past. A random series ``i`` of a call depends
on ``seed`` and ``i``, and not on how many series there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from .entries import Entry

__all__ = [
    "GENERATED",
    "ar1",
    "counts",
    "garch_price",
    "random_walk",
    "seasonal_trend",
    "sensor_with_gaps",
    "sine",
]

_START = "2020-01-01"


def random_walk(
    *,
    level: float = 100.0,
    step: float = 1.0,
    n_series: int = 1,
    n: int = 500,
    seed: int = 0,
    freq: str = "B",
) -> pd.DataFrame:
    """Random walk: y[0] = level, y[t] = y[t-1] + step * e[t] with e standard normal.

    Best forecast: the last value, at every horizon h; the error has standard deviation
    ``step * sqrt(h)``.

    Parameters
    ----------
    level, step : float
        First value, and standard deviation of one step.
    n_series, n : int
        Series, and steps of each.
    seed : int
    freq : str
        Pandas offset alias of the time axis, from 2020-01-01.

    Returns
    -------
    pandas.DataFrame
        Columns unique_id ("s0", "s1", ...), ds, y: ``n_series * n`` rows.
    """

    def one(rng: np.random.Generator) -> np.ndarray:
        moves = step * rng.standard_normal(n)
        moves[0] = level
        return np.cumsum(moves)

    return _long((one(rng) for rng in _streams(seed, n_series)), freq)


def sine(
    *,
    period: float = 24.0,
    amplitude: float = 1.0,
    level: float = 0.0,
    n_series: int = 1,
    n: int = 500,
    freq: str = "h",
) -> pd.DataFrame:
    """Sine without noise: y[t] = level + amplitude * sin(2 pi (t / period + i / n_series)).

    Best forecast: the same formula continued; the error is 0. Parameters and columns as in
    :func:`random_walk`.
    """
    t = np.arange(n)
    waves = (
        level + amplitude * np.sin(2 * np.pi * (t / period + i / n_series)) for i in range(n_series)
    )
    return _long(waves, freq)


def ar1(
    *,
    phi: float = 0.8,
    sigma: float = 1.0,
    mean: float = 0.0,
    n_series: int = 1,
    n: int = 500,
    seed: int = 0,
    freq: str = "h",
) -> pd.DataFrame:
    """Autoregression: y[t] - mean = phi (y[t-1] - mean) + sigma e[t], started in its stationary law.

    Best forecast at horizon h: ``mean + phi**h * (y[T] - mean)``; the error has variance
    ``sigma**2 * (1 - phi**(2 h)) / (1 - phi**2)`` (Box & Jenkins 1970, section 5.4). ``phi`` is
    between -1 and 1. Other parameters and columns as in :func:`random_walk`.
    """
    return _long((mean + _ar1(rng, n, phi, sigma) for rng in _streams(seed, n_series)), freq)


def seasonal_trend(
    *,
    level: float = 100.0,
    slope: float = 0.1,
    amplitude: float = 10.0,
    period: int = 12,
    sigma: float = 1.0,
    n_series: int = 1,
    n: int = 240,
    seed: int = 0,
    freq: str = "MS",
) -> pd.DataFrame:
    """Line, season and noise: y[t] = level + slope t + amplitude sin(2 pi t / period) + sigma e[t].

    Best forecast: the formula without the noise; the error has standard deviation ``sigma`` at every
    horizon. Other parameters and columns as in :func:`random_walk`.
    """
    t = np.arange(n)
    clean = level + slope * t + amplitude * np.sin(2 * np.pi * t / period)
    return _long((clean + sigma * rng.standard_normal(n) for rng in _streams(seed, n_series)), freq)


def garch_price(
    *,
    level: float = 100.0,
    omega: float = 2e-6,
    alpha: float = 0.1,
    beta: float = 0.88,
    n_series: int = 1,
    n: int = 1000,
    seed: int = 0,
    freq: str = "B",
) -> pd.DataFrame:
    """Price with calm and wild weeks: log-returns r[t] = sqrt(v[t]) e[t], v[t+1] = omega + alpha r[t]^2 + beta v[t].

    GARCH(1, 1) of Bollerslev (1986). Best forecast (median): the last price. The variance is
    forecastable: ``v[T+h] = w + (alpha + beta)**(h - 1) * (v[T+1] - w)`` with
    ``w = omega / (1 - alpha - beta)`` (1 % a day with the defaults). Starts with v = w;
    ``alpha + beta < 1``. Other parameters as in :func:`random_walk`.

    Returns
    -------
    pandas.DataFrame
        Columns unique_id, ds, y, and ``volatility``: sqrt(v[t]), which no observer sees.
    """
    prices, volatility = [], []
    for rng in _streams(seed, n_series):
        e = rng.standard_normal(n)
        v, r = np.empty(n), np.zeros(n)
        v[0] = omega / (1 - alpha - beta)
        for t in range(1, n):
            v[t] = omega + alpha * r[t - 1] ** 2 + beta * v[t - 1]
            r[t] = np.sqrt(v[t]) * e[t]
        prices.append(level * np.exp(np.cumsum(r)))
        volatility.append(np.sqrt(v))
    return _long(prices, freq, volatility=volatility)


def sensor_with_gaps(
    *,
    level: float = 20.0,
    amplitude: float = 5.0,
    period: int = 96,
    phi: float = 0.9,
    sigma: float = 0.3,
    stuck: float = 0.02,
    missing: float = 0.05,
    n_series: int = 1,
    n: int = 2000,
    seed: int = 0,
    freq: str = "15min",
) -> pd.DataFrame:
    """Sensor with a daily cycle, drifting noise, stuck values and missing stretches.

    True value: level + amplitude sin(2 pi t / period) + u[t], u an AR(1) with ``phi`` and ``sigma``.
    Measured: the true value, but in stretches of 4 to 24 steps the last one repeated (a share ``stuck``
    of the record) or NaN (a share ``missing``). Step 0 is always measured.

    Best forecast of the true value at horizon h after a good measurement:
    ``level + amplitude sin(2 pi (T + h) / period) + phi**h u[T]``, with the error of :func:`ar1`.
    Other parameters as in :func:`random_walk`.

    Returns
    -------
    pandas.DataFrame
        Columns unique_id, ds, y (measured), ``truth`` (the true value) and ``state`` ("good", "stuck"
        or "missing").
    """
    t = np.arange(n)
    cycle = level + amplitude * np.sin(2 * np.pi * t / period)
    measured, truths, states = [], [], []
    for rng in _streams(seed, n_series):
        truth = cycle + _ar1(rng, n, phi, sigma)
        state = np.full(n, "good", dtype=object)
        for name, share in (("stuck", stuck), ("missing", missing)):
            while (state == name).mean() < share:
                first = int(rng.integers(1, n))
                state[first : first + int(rng.integers(4, 25))] = name
        fresh = np.maximum.accumulate(np.where(state == "good", t, 0))  # newest good step
        measured.append(np.where(state == "missing", np.nan, truth[fresh]))
        truths.append(truth)
        states.append(state)
    return _long(measured, freq, truth=truths, state=states)


def counts(
    *,
    level: float = 5.0,
    amplitude: float = 0.5,
    period: int = 7,
    size: float = 3.0,
    n_series: int = 1,
    n: int = 730,
    seed: int = 0,
    freq: str = "D",
) -> pd.DataFrame:
    """Seasonal counts: negative binomial, mean m[t] = level (1 + amplitude sin(2 pi t / period)).

    Variance m + m^2 / ``size``; the values are independent given t. Best forecast: m[t] (mean), and the
    quantiles of the negative binomial with ``size`` and probability ``size / (size + m[t])``.
    ``amplitude`` is below 1. Other parameters as in :func:`random_walk`.

    Returns
    -------
    pandas.DataFrame
        Columns unique_id, ds, y (whole numbers as float64).
    """
    m = level * (1 + amplitude * np.sin(2 * np.pi * np.arange(n) / period))
    drawn = (rng.negative_binomial(size, size / (size + m)) for rng in _streams(seed, n_series))
    return _long(drawn, freq)


def _streams(seed: int, n_series: int) -> Iterable[np.random.Generator]:
    return (np.random.default_rng([seed, i]) for i in range(n_series))


def _ar1(rng: np.random.Generator, n: int, phi: float, sigma: float) -> np.ndarray:
    e = sigma * rng.standard_normal(n)
    e[0] /= np.sqrt(1 - phi**2)
    for t in range(1, n):
        e[t] += phi * e[t - 1]
    return e


def _long(series: Iterable[np.ndarray], freq: str, **columns: list[np.ndarray]) -> pd.DataFrame:
    values = [np.asarray(one, dtype=np.float64) for one in series]
    n = len(values[0])
    times = pd.date_range(_START, periods=n, freq=freq).as_unit("us")
    frame = pd.DataFrame(
        {
            "unique_id": pd.Series(
                np.repeat([f"s{i}" for i in range(len(values))], n), dtype="str"
            ),
            "ds": np.tile(times.to_numpy(), len(values)),
            "y": np.concatenate(values),
        }
    )
    for name, parts in columns.items():
        frame[name] = pd.Series(np.concatenate(parts)).infer_objects()
    return frame


def _entry(name: str, title: str, freq: str, horizon: int, season: int, rows: int) -> Entry:
    return Entry(
        name,
        title,
        "seeded generator",
        "none needed",
        "none",
        freq,
        horizon,
        season,
        1,
        rows,
        "generator",
    )


GENERATED: dict[Entry, Callable[[], pd.DataFrame]] = {
    _entry("random_walk", "Random walk: nothing beats the last value", "B", 24, 1, 500): random_walk,
    _entry("sine", "Sine without noise: continued exactly", "h", 24, 24, 500): sine,
    _entry("ar1", "Autoregression with a known optimal forecast", "h", 24, 1, 500): ar1,
    _entry("seasonal_trend", "Line, season and noise", "MS", 12, 12, 240): seasonal_trend,
    _entry("garch_price", "Price with volatility clustering", "B", 21, 1, 1000): garch_price,
    _entry("sensor_with_gaps", "Sensor with noise, stuck and missing values", "15min", 96, 96, 2000): sensor_with_gaps,
    _entry("counts", "Negative binomial counts with a week", "D", 28, 7, 730): counts,
}  # fmt: skip
