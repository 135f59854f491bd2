"""What every metric does first and last: pair forecasts with what came true, average the losses."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tsrnn.exceptions import DataError

__all__ = ["Axis", "Score", "average", "numbers", "pair", "pair_last_axis", "position"]

Axis: TypeAlias = int | tuple[int, ...] | None
Score: TypeAlias = Any  # float without axis, ndarray of the axes left with it


def pair(
    actual: ArrayLike, *forecasts: ArrayLike, skipna: bool, names: tuple[str, ...] = ("forecast",)
) -> tuple[np.ndarray, ...]:
    """Return ``actual`` and ``forecasts`` as float64 of one shape; only ``actual`` may hold NaN.

    Raises
    ------
    DataError
        Shapes or pandas indexes differ, or a value is missing or infinite that may not be.
    """
    y = _truth(actual, skipna=skipna)
    paired = [y]
    for name, forecast in zip(names, forecasts, strict=True):
        _refuse_other_index(actual, forecast, name)
        f = numbers(forecast, name)
        if f.shape != y.shape:
            raise DataError(
                f"actual and {name} must have the same shape. Got {y.shape} and {f.shape}."
            )
        _refuse_not_finite(f, name)
        paired.append(f)
    return tuple(paired)


def pair_last_axis(
    actual: ArrayLike, draws: ArrayLike, name: str, *, skipna: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``actual`` (...) and ``draws`` (..., any) as float64; only ``actual`` may hold NaN."""
    y, x = _truth(actual, skipna=skipna), numbers(draws, name)
    if x.ndim != y.ndim + 1 or x.shape[:-1] != y.shape or x.shape[-1] == 0:
        raise DataError(
            f"{name} must have the shape of actual and one more axis at the end. "
            f"Got {x.shape} for actual of shape {y.shape}."
        )
    _refuse_not_finite(x, name)
    return y, x


def average(losses: np.ndarray, axis: Axis) -> Score:
    """Return the mean over ``axis`` of the losses that are not NaN; NaN where there is none."""
    known = ~np.isnan(losses)
    total = np.where(known, losses, 0.0).sum(axis=axis)
    count = known.sum(axis=axis)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return float(mean) if axis is None else mean[()]


def numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Return ``values`` as float64; text, times and ragged lists are refused by ``name``."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "buifO":
            return array.astype(np.float64, copy=False)
        got = f"dtype {array.dtype}"
    except (TypeError, ValueError) as error:
        got = str(error)
    raise DataError(
        f"{name} must be an array of numbers. Got {got}. Convert it with astype(float)."
    )


def position(index: np.ndarray) -> str:
    """Return an array index as a reader says it.

    >>> position(np.array([2, 0]))
    '(2, 0)'
    """
    return str(int(index[0])) if len(index) == 1 else str(tuple(int(i) for i in index))


def _truth(actual: ArrayLike, *, skipna: bool) -> np.ndarray:
    y = numbers(actual, "actual")
    if y.size == 0:
        raise DataError(f"actual must hold at least one value. Got shape {y.shape}.")
    infinite = np.argwhere(np.isinf(y))
    if len(infinite):
        raise _not_finite(y, "actual", infinite, "Remove it or make it missing.")
    missing = np.argwhere(np.isnan(y))
    if len(missing) and not skipna:
        raise _not_finite(
            y,
            "actual",
            missing,
            "Leave such steps out with skipna=True, and say so beside the number.",
        )
    return y


def _refuse_not_finite(forecast: np.ndarray, name: str) -> None:
    bad = np.argwhere(~np.isfinite(forecast))
    if len(bad):
        raise _not_finite(
            forecast, name, bad, "A forecast is needed for every step, also for those not scored."
        )


def _not_finite(values: np.ndarray, name: str, where: np.ndarray, remedy: str) -> DataError:
    first = f", the first of {len(where)}" if len(where) > 1 else ""
    return DataError(
        f"{name} must be finite. Got {values[tuple(where[0])]} at position {position(where[0])}"
        f"{first}. {remedy}"
    )


def _refuse_other_index(actual: Any, forecast: Any, name: str) -> None:
    # pandas objects are told by what they can do: metrics need no pandas
    labelled = hasattr(actual, "iloc") and hasattr(forecast, "iloc")
    if labelled and not actual.index.equals(forecast.index):
        raise DataError(
            f"actual and {name} must have the same index, since values are paired by position. "
            f"Align them with {name}.reindex(actual.index), or give arrays."
        )
