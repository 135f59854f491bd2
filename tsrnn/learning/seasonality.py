"""Season lengths found in the data, for time axes whose steps say nothing (integers)."""

from __future__ import annotations

import numpy as np

from tsrnn.panel import Panel

__all__ = ["detect_seasons"]

SERIES = 100  # of a panel that are looked at, evenly chosen
ROWS = 4000  # newest rows of a series that are looked at
CLEAR = 0.12  # autocorrelation from which a peak may be a season
CERTAIN = 4.0  # standard errors of white noise that a peak must exceed, too
NEAR = 0.8  # share of the highest peak from which a shorter season is taken for the season
BEYOND = 0.03  # by which a second season must correlate better than the multiples before it


def detect_seasons(panel: Panel) -> tuple[int, ...]:
    """Return one or two season lengths, or (1,): peaks of the autocorrelation of the changes.

    Changes rather than values, so that a trend is no season; the mean over series, so that chance
    peaks of single series drop out. The shortest clear peak is the season; a multiple of it that
    correlates better than those around it is a second one (the week beside the day).

    Parameters
    ----------
    panel : Panel
    """
    chosen = np.unique(np.linspace(0, len(panel) - 1, min(SERIES, len(panel))).astype(int))
    curves = [curve for i in chosen if (curve := _autocorrelation(panel.series(i))) is not None]
    if not curves:
        return (1,)
    longest = int(np.median([len(curve) for curve in curves]))  # lags that half of the series have
    lags = np.arange(longest)
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve[:longest]
    mean = np.nanmean(padded, axis=0)
    rows = 3 * np.array([len(curve) for curve in curves])[:, None]
    pairs = np.where(np.isnan(padded), 0, rows - lags).sum(0)  # behind each lag
    clear = np.maximum(CLEAR, CERTAIN / np.sqrt(pairs))[1:-1]
    inner = mean[1:-1]
    peaks = 1 + np.flatnonzero((inner > mean[:-2]) & (inner >= mean[2:]) & (inner > clear))
    peaks = peaks[peaks >= 2]
    if not len(peaks):
        return (1,)
    season = int(peaks[mean[peaks] >= NEAR * mean[peaks].max()][0])
    second = _second_peak(mean[season::season], pairs[season::season])
    return (season,) if second is None else (season, season * (second + 1))


def _second_peak(multiples: np.ndarray, pairs: np.ndarray) -> int | None:
    """Return which multiple of the season stands out above those before it, or None."""
    before = np.minimum.accumulate(multiples)[:-2]
    inner = multiples[1:-1]
    beyond = np.maximum(BEYOND, 0.5 * CERTAIN / np.sqrt(pairs[1:-1]))
    peak = (inner > multiples[:-2]) & (inner >= multiples[2:]) & (inner - before > beyond)
    found = 1 + np.flatnonzero(peak)
    if not len(found):
        return None
    return int(found[multiples[found] >= multiples[found].max() - BEYOND][0])


def _autocorrelation(values: np.ndarray) -> np.ndarray | None:
    """Autocorrelation of the changes at lags 0, 1, ... up to a third of the rows; None if it has none."""
    known = values[-ROWS:].astype(np.float64)
    known = known[np.isfinite(known)]
    change = np.diff(known)
    lags = len(change) // 3
    if lags < 4:
        return None
    limit = 4 * np.median(np.abs(change - np.median(change)))
    change = np.clip(change, -limit, limit) if limit > 0 else change  # a single jump is no season
    change = change - change.mean()
    power = np.abs(np.fft.rfft(change, 2 * len(change))) ** 2
    covariance = np.fft.irfft(power)[:lags]
    if not covariance[0] > 0:
        return None
    unbiased = covariance / np.arange(len(change), len(change) - lags, -1)
    return np.asarray(unbiased / unbiased[0])
