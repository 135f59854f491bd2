"""Reading a column of numbers exactly, or refusing it with the conversion to make."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError

__all__ = ["is_number_like", "read_numbers"]


def is_number_like(dtype: Any) -> bool:
    """Return whether a column of this dtype holds real numbers (no booleans, no text)."""
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_complex_dtype(dtype):
        return False
    return pd.api.types.is_numeric_dtype(dtype) or "decimal" in str(dtype)


def read_numbers(column: pd.Series, name: str) -> np.ndarray:
    """Return the values of ``column`` as float32 or float64, missing ones as NaN, shape (rows,).

    float32 and float64 columns come back as a view; integers, booleans (as 0 and 1), nullable,
    Arrow, sparse, float16 and Decimal columns are read exactly. ``name`` is what messages call it.

    Raises
    ------
    DataError
        The column holds something else: text, complex numbers, times, categories, mixed objects.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return read_numbers(pd.Series(np.asarray(column.array)), name)
    if isinstance(dtype, pd.CategoricalDtype):
        raise _refused(
            column, name, "Convert it with .astype(float) if its categories are numbers."
        )
    if pd.api.types.is_complex_dtype(dtype):
        raise _refused(column, name, "Take .to_numpy().real, or its absolute value.")
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        raise _refused(column, name, "Name the column of values with target_col.")
    if pd.api.types.is_timedelta64_dtype(dtype):
        raise _refused(column, name, "Convert it with .dt.total_seconds().")
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        values = column.to_numpy()
        return (
            values.astype(np.float32)
            if dtype.itemsize == 2
            else values
            if dtype.itemsize <= 8
            else values.astype(np.float64)
        )
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return column.to_numpy().astype(np.float64)
    if is_number_like(dtype) or pd.api.types.is_bool_dtype(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return _read_objects(column, name)


def _read_objects(column: pd.Series, name: str) -> np.ndarray:
    missing = column.isna().to_numpy()
    if missing.all():
        return np.full(len(column), np.nan)
    values = column.to_numpy(dtype=object)
    for row in np.flatnonzero(~missing):
        if not isinstance(values[row], (Real, Decimal, np.bool_)):
            raise _bad_object(column, values, int(row), name)
    return np.array(
        [np.nan if gone else float(value) for value, gone in zip(values, missing, strict=True)]
    )


def _bad_object(column: pd.Series, values: np.ndarray, row: int, name: str) -> DataError:
    value = values[row]
    if isinstance(value, str):
        parsed = pd.to_numeric(column, errors="coerce")
        unread = (parsed.isna() & column.notna()).to_numpy()
        if unread.any():
            row = int(unread.argmax())
            return DataError(
                f"{name} must be numeric. Got text, the first that is no number is {values[row]!r} at position {row} "
                f"({int(unread.sum())} such values). Correct it, or make it missing with pd.to_numeric(df[...], errors='coerce')."
            )
        return DataError(
            f"{name} must be numeric. Got text such as {value!r}. Convert it with pd.to_numeric."
        )
    text = repr(value)
    return DataError(
        f"{name} must hold one number per row. Got {text if len(text) < 60 else text[:57] + '...'} of type "
        f"{type(value).__name__} at position {row}. Convert the column with pd.to_numeric."
    )


def _refused(column: pd.Series, name: str, remedy: str) -> DataError:
    return DataError(f"{name} must be numeric. Got dtype {column.dtype}. {remedy}")
