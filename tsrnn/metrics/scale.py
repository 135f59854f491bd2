"""The error that MASE and MSIS divide by: how wrong the seasonal naive forecast was in the past."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tsrnn.exceptions import DataError, ParameterError
from tsrnn.metrics.pairing import average, numbers, position
from tsrnn.parameters import check_integer

__all__ = ["divisor", "naive_scale"]


def naive_scale(train: ArrayLike, season: int = 1) -> np.ndarray:
    """In-sample mean absolute error of the seasonal naive forecast: mean |y_t - y_(t - season)|.

    Parameters
    ----------
    train : array_like of shape (..., steps)
        The past of each series, regular in time. NaN (heads of shorter series, missing values)
        counts for nothing: only pairs with both values do.
    season : int, default 1
        Steps of one season. M4 uses 1, 4, 12, 1, 1 and 24 for yearly to hourly series.

    Returns
    -------
    ndarray of shape (...)
        NaN where a series has no pair that far apart, 0 where it repeats itself exactly.

    References
    ----------
    Hyndman & Koehler (2006), Another look at measures of forecast accuracy, International Journal
    of Forecasting 22(4), section 3.
    """
    season = check_integer("season", season, low=1)
    past = numbers(train, "train")
    if np.isinf(past).any():
        raise DataError("train must not be infinite. Make such values missing.")
    return np.asarray(average(np.abs(past[..., season:] - past[..., :-season]), -1))


def divisor(
    train: ArrayLike | None,
    season: int,
    scale: ArrayLike | None,
    *,
    shape: tuple[int, ...],
    skipna: bool,
) -> np.ndarray:
    """Return what divides errors of ``shape`` (..., horizon), shape (..., 1).

    Where a series has no positive finite scale, that is an error, or NaN with ``skipna``.
    """
    if train is not None and scale is None:
        value = naive_scale(train, season)
    elif scale is not None and train is None:
        value = numbers(scale, "scale")
    else:
        raise ParameterError("Give either 'train' (with 'season') or 'scale', and not both.")
    if not _stretches(value.shape, shape[:-1]):
        raise DataError(
            f"There must be one scale per series, shape {shape[:-1]} for actual of shape {shape}. "
            f"Got {value.shape}. The steps of train are its last axis."
        )
    usable = (value > 0) & np.isfinite(value)
    if not (usable.all() or skipna):
        where = np.argwhere(~usable)
        of_series = (
            f" for series {position(where[0])}, the first of {len(where)}" if value.ndim else ""
        )
        raise DataError(
            "The in-sample seasonal naive error, which scales the errors, must be positive. Got "
            f"{value[tuple(where[0])]:g}{of_series}: the past is too short, or repeats itself. "
            "Leave such series out with skipna=True, or give another scale."
        )
    return np.where(usable, value, np.nan)[..., None]


def _stretches(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether arrays of ``shape`` broadcast to ``target`` without making it larger."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
