"""Accuracy of forecasts, and whether a difference means anything; numpy only.

Every metric takes ``actual`` of any shape and forecasts of the same shape; the last axis is the
step wherever a scale belongs to each series, as in (series, horizon). Arrays are paired by
position; two pandas objects must carry the same index. Computation is in float64.

A missing ``actual`` is an error, because a mean over the rest would silently be about other steps
than the user thinks; ``skipna=True`` leaves those steps out. A missing or infinite forecast is
always an error: a forecaster that says nothing can't be scored as if it had not been asked.
``axis`` names axes of ``actual`` to average over, as in numpy; where nothing is left, the answer
is NaN.
"""

from tsrnn.metrics.point import mae, mape, mase, mse, owa, rmse, skill, smape
from tsrnn.metrics.probabilistic import (
    acd,
    coverage,
    crps_quantiles,
    crps_samples,
    msis,
    pinball,
    wql,
)
from tsrnn.metrics.scale import naive_scale

__all__ = [
    "acd",
    "coverage",
    "crps_quantiles",
    "crps_samples",
    "mae",
    "mape",
    "mase",
    "mse",
    "msis",
    "naive_scale",
    "owa",
    "pinball",
    "rmse",
    "skill",
    "smape",
    "wql",
]
