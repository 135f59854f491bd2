"""Naive2 of the M competitions: the last value, seasonally adjusted."""

from __future__ import annotations

import numpy as np

from tsrnn.references.decomposition import seasonal_index
from tsrnn.references.simple import Outlook, naive

__all__ = ["naive2"]


def naive2(history: np.ndarray, horizon: int, season: int = 1) -> Outlook:
    """Return the last seasonally adjusted value, with the season put back.

    A series is adjusted where its autocorrelation at one season is significant at 90 %, by classical
    decomposition: the forecast that the overall weighted average (OWA) of M4 divides by.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods, International Journal of Forecasting 36(1), section 3.
    """
    index = seasonal_index(history, season)
    adjusted = naive(index.remove(history, first=0), horizon)
    first = history.shape[1]
    return Outlook(
        index.restore(adjusted.point, first=first), index.stretch(adjusted.spread, first=first)
    )
