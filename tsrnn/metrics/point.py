"""Point forecasts: absolute, squared, percentage and scaled errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tsrnn.exceptions import DataError
from tsrnn.metrics.pairing import Axis, Score, average, numbers, pair, position
from tsrnn.metrics.scale import divisor

__all__ = ["mae", "mape", "mase", "mse", "owa", "rmse", "skill", "smape"]


def mae(
    actual: ArrayLike, forecast: ArrayLike, *, axis: Axis = None, skipna: bool = False
) -> Score:
    """Mean absolute error: mean |y - f|, in the units of the data.

    Parameters
    ----------
    actual, forecast : array_like of the same shape, such as (series, horizon)
        What came true and what was said.
    axis : int or tuple of int, optional
        Axes to average over; all of them when not given.
    skipna : bool, default False
        Leave out steps whose actual value is missing, instead of refusing them.

    Returns
    -------
    float, or ndarray of the axes left

    Raises
    ------
    DataError
        Shapes differ, a value is not finite, or the indexes of two pandas objects differ.

    Examples
    --------
    >>> mae([1.0, 2.0], [1.5, 2.0])
    0.25
    """
    y, f = pair(actual, forecast, skipna=skipna)
    return average(np.abs(y - f), axis)


def mse(
    actual: ArrayLike, forecast: ArrayLike, *, axis: Axis = None, skipna: bool = False
) -> Score:
    """Mean squared error: mean (y - f)^2, in squared units; arguments as in :func:`mae`."""
    y, f = pair(actual, forecast, skipna=skipna)
    return average((y - f) ** 2, axis)


def rmse(
    actual: ArrayLike, forecast: ArrayLike, *, axis: Axis = None, skipna: bool = False
) -> Score:
    """Root mean squared error: sqrt(mean (y - f)^2), in the units of the data.

    The mean stands inside the root: over all steps asked, not a mean of each series' RMSE.
    Arguments as in :func:`mae`.
    """
    root = np.sqrt(mse(actual, forecast, axis=axis, skipna=skipna))
    return float(root) if axis is None else root


def mape(
    actual: ArrayLike, forecast: ArrayLike, *, axis: Axis = None, skipna: bool = False
) -> Score:
    """Mean absolute percentage error: mean 100 |y - f| / |y|, in percent.

    Arguments as in :func:`mae`. utilsforecast gives the same as a fraction, without the factor 100.

    Raises
    ------
    DataError
        An actual value is zero: the error has no percentage there. Use :func:`smape` or
        :func:`mase`.
    """
    y, f = pair(actual, forecast, skipna=skipna)
    zeros = np.argwhere(y == 0)
    if len(zeros):
        raise DataError(
            f"MAPE divides by the actual values, which must not be zero. Got 0 at position "
            f"{position(zeros[0])}, the first of {len(zeros)}. Use smape or mase."
        )
    return average(100 * np.abs((y - f) / y), axis)


def smape(
    actual: ArrayLike, forecast: ArrayLike, *, axis: Axis = None, skipna: bool = False
) -> Score:
    """Symmetric MAPE of the M4 competition: mean 200 |y - f| / (|y| + |f|), from 0 to 200 percent.

    Where both are zero, the error is 0. utilsforecast's ``smape`` is half of it, as a fraction:
    multiply that by 200 before comparing. Arguments as in :func:`mae`.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods, International Journal of Forecasting 36(1).

    Examples
    --------
    >>> smape([100.0], [300.0])
    100.0
    """
    y, f = pair(actual, forecast, skipna=skipna)
    total = np.abs(y) + np.abs(f)
    return average(200 * np.abs(y - f) / np.where(total == 0, 1.0, total), axis)


def mase(
    actual: ArrayLike,
    forecast: ArrayLike,
    train: ArrayLike | None = None,
    season: int = 1,
    *,
    scale: ArrayLike | None = None,
    axis: Axis = None,
    skipna: bool = False,
) -> Score:
    """Mean absolute error divided by the in-sample seasonal naive error (Hyndman & Koehler 2006).

    Parameters
    ----------
    actual, forecast : array_like of shape (..., horizon)
        What came true and what was said.
    train : array_like of shape (..., steps), optional
        The past of each series, NaN where it has no value; see :func:`naive_scale`.
    season : int, default 1
        Steps of one season in ``train``.
    scale : array_like of shape (...), optional
        The divisor of each series, instead of ``train``.
    axis : int or tuple of int, optional
        Axes of ``actual`` to average over; -1 gives one value per series.
    skipna : bool, default False
        Leave out steps without an actual value and series without a scale.

    Returns
    -------
    float, or ndarray of the axes left

    Raises
    ------
    DataError
        As in :func:`mae`; or a series has scale zero (it never changed, seasonally) or none.
    ParameterError
        Neither or both of ``train`` and ``scale`` are given.

    References
    ----------
    Hyndman & Koehler (2006), Another look at measures of forecast accuracy, International Journal
    of Forecasting 22(4), section 3; seasonal form as in the M4 competition.

    Examples
    --------
    >>> mase([6.0, 8.0], [5.0, 5.0], train=[1.0, 2.0, 3.0, 4.0, 5.0])
    2.0
    """
    y, f = pair(actual, forecast, skipna=skipna)
    scales = divisor(train, season, scale, shape=y.shape, skipna=skipna)  # (..., 1)
    return average(np.abs(y - f) / scales, axis)


def owa(
    *, smape: ArrayLike, mase: ArrayLike, naive2_smape: ArrayLike, naive2_mase: ArrayLike
) -> Score:
    """Overall weighted average of M4: (sMAPE / sMAPE of Naive2 + MASE / MASE of Naive2) / 2.

    Divide averages over all series, as the competition did, not series by series. Below 1 is
    better than Naive2 (the naive forecast of the seasonally adjusted series).

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), The M4 Competition: 100,000 time series and 61
    forecasting methods, International Journal of Forecasting 36(1).

    Examples
    --------
    >>> round(owa(smape=11.374, mase=1.536, naive2_smape=13.564, naive2_mase=1.912), 3)
    0.821
    """
    relative = np.divide(smape, naive2_smape) + np.divide(mase, naive2_mase)
    return float(relative / 2) if np.ndim(relative) == 0 else relative / 2


def skill(error: ArrayLike, reference: ArrayLike) -> Score:
    """Skill score 1 - error / error of the reference: 1 is perfect, 0 as good, below 0 worse.

    Where the reference makes no error, the skill is 0 for a forecast without error and -inf for
    any other; NaN stays NaN.

    Examples
    --------
    >>> skill(3.0, 4.0)
    0.25
    """
    e, r = np.broadcast_arrays(numbers(error, "error"), numbers(reference, "reference"))
    beyond = np.where(e > 0, -np.inf, 0.0 * e)
    value = np.where(r == 0, beyond, 1 - e / np.where(r == 0, 1.0, r))
    return float(value) if value.ndim == 0 else value
