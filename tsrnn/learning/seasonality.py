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
BEYOND = 0.03  # by which a longer season must correlate better to be a second one


def detect_seasons(panel: Panel) -> tuple[int, ...]:
    """Return one or two season lengths, or (1,): peaks of the autocorrelation of the changes.

    Changes rather than values, so that a trend is no season; the mean over series, so that chance
    peaks of single series drop out. The shortest clear peak is the season; a longer multiple of it
    that correlates better is a second one (the week beside the day).

    Parameters
    ----------
    panel : Panel
    """
    chosen = np.unique(np.linspace(0, len(panel) - 1, min(SERIES, len(panel))).astype(int))
    curves = [curve for i in chosen if (curve := _autocorrelation(panel.series(i))) is not None]
    if not curves:
        return (1,)
    lags = int(np.median([len(curve) for curve in curves]))
    long_enough = [curve[:lags] for curve in curves if len(curve) >= lags]
    mean = np.mean(long_enough, axis=0)
    pairs = len(long_enough) * np.arange(3 * lags, 2 * lags, -1)  # behind each lag, at least
    clear = np.maximum(CLEAR, CERTAIN / np.sqrt(pairs))[1:-1]
    inner = mean[1:-1]
    peaks = 1 + np.flatnonzero((inner > mean[:-2]) & (inner >= mean[2:]) & (inner > clear))
    peaks = peaks[peaks >= 2]
    if not len(peaks):
        return (1,)
    season = int(peaks[mean[peaks] >= NEAR * mean[peaks].max()][0])
    longer = peaks[(peaks > season) & (peaks % season == 0)]
    if len(longer):
        best = int(longer[np.argmax(mean[longer])])
        if mean[best] > mean[season] + BEYOND:
            return (season, best)
    return (season,)


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
