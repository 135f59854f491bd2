"""The next row of each series, the usual update, recognised at a glance; anything else is read in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.frames.formats import FrameFormat

__all__ = ["next_rows"]

_LARGEST = 1e150


def next_rows(
    df: Any,
    *,
    form: FrameFormat,
    axis: TimeAxis,
    ids: pd.Index,
    places: Mapping[Any, int],
    last_times: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]] | None:
    """Return series, times and the values of each target of a pandas frame that holds exactly the next row of some series.

    None says nothing about the frame but that this is not plain to see: a missing value, a gap, an
    unknown series, another type, covariates. What is returned would pass every check of
    :func:`tsrnn.frames.following.read_following`.

    Parameters
    ----------
    df, form, axis, ids, last_times
        As there.
    places : mapping
        Position of each id.
    """
    if form.covariates or form.backend != "pandas":
        return None
    if form.kind == "long" and not form.time_in_index:
        found = _long(df, form, axis, ids, places)
    elif form.kind in {"wide", "series"}:
        found = _by_index(df, form, axis, ids)
    else:
        found = None
    if found is None:
        return None
    series, times, targets = found
    if not len(times) or not all(map(_plain, targets)):
        return None
    if not np.array_equal(axis.future(last_times[series], 1)[:, 0], times):
        return None
    return series, times, targets


def _plain(values: np.ndarray) -> bool:
    if values.dtype.kind not in "if" or values.dtype.itemsize not in (4, 8):
        return False
    return bool((np.abs(values) <= _LARGEST).all())  # NaN is not


def _long(
    df: Any, form: FrameFormat, axis: TimeAxis, ids: pd.Index, places: Mapping[Any, int]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]] | None:
    if not isinstance(df, pd.DataFrame) or isinstance(df.index, pd.MultiIndex):
        return None
    columns = df.columns
    targets = form.targets or (form.target_name,)
    names = [form.time_name, *targets, *([form.id_name] if form.has_ids else [])]
    if isinstance(columns, pd.MultiIndex) or not columns.is_unique:
        return None
    if not all(name in columns for name in names):
        return None
    times = _ticks(df[form.time_name], axis)
    if times is None:
        return None
    series = np.zeros(1, dtype=np.int64)
    if form.has_ids:
        named = df[form.id_name]
        if named.dtype != ids.dtype:
            return None
        try:
            series = np.array([places[name] for name in named.tolist()], dtype=np.int64)
        except (KeyError, TypeError):
            return None
    if len(series) != len(times) or (len(series) > 1 and len(np.unique(series)) < len(series)):
        return None
    given = [df[name] for name in targets]
    if not all(isinstance(each.dtype, np.dtype) for each in given):
        return None
    return series, times, [each.to_numpy() for each in given]


def _by_index(
    df: Any, form: FrameFormat, axis: TimeAxis, ids: pd.Index
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]] | None:
    if not isinstance(df, pd.Series if form.kind == "series" else pd.DataFrame):
        return None
    if len(df) != 1 or isinstance(df.index, pd.MultiIndex):
        return None
    if form.kind == "wide" and not df.columns.equals(ids):
        return None
    times = _ticks(df.index, axis)
    values = df.to_numpy()
    if times is None or not isinstance(values.dtype, np.dtype):
        return None
    return np.arange(len(ids)), np.repeat(times, len(ids)), [values.reshape(-1)]


def _ticks(stamps: pd.Series | pd.Index, axis: TimeAxis) -> np.ndarray | None:
    """Return times in the unit of the axis, where they are of its own type."""
    if axis.kind == "datetime" and axis.tz is None:
        right = stamps.dtype == np.dtype(f"M8[{axis.unit}]")
    else:
        right = axis.kind == "integer" and stamps.dtype == np.dtype(np.int64)
    return stamps.to_numpy().view(np.int64) if right else None
