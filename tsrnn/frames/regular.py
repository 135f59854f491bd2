"""Irregular rows put on a regular grid of time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars.axis import LAST_BUSINESS_DAY, MONTH_END, TimeAxis
from tsrnn.calendars.offsets import axis_from_freq
from tsrnn.exceptions import DataError, FrequencyError
from tsrnn.frames.columns import find_columns
from tsrnn.frames.layout import distinct_ids
from tsrnn.frames.stamps import Stamps, read_stamps, write_times
from tsrnn.frames.tables import Table, open_table
from tsrnn.parameters import check_option

__all__ = ["regularize"]

_HOW = ("mean", "median", "first", "last", "min", "max", "sum")
_MOST_STEPS = 100  # per given row; more are a wrong freq or a wrong stamp


def regularize(
    df: Any, freq: Any, *, id_col: Any = None, time_col: Any = None, how: str = "mean"
) -> Any:
    """Put irregular rows on a regular grid: one row per step and series, numbers aggregated.

    A row belongs to the step that contains its time. Hours, days and months are named by their
    start ("h", "D", "MS", "QS"); weeks and the ends of months by their last day ("W-SUN", "ME",
    "QE"); business days take the weekend after them. Steps without a row are NaN.

    Parameters
    ----------
    df : pandas.DataFrame or pandas.Series
        A long frame (with or without ids), or anything with a time index. It is not changed.
    freq : str, int or pandas offset
        The step: "5min", "h", "D", "B", "W-SUN", "MS"; an integer for integer times.
    id_col, time_col : str, optional
        Columns of series and time; recognised when not given.
    how : {"mean", "median", "first", "last", "min", "max", "sum"}, default "mean"
        How the rows of one step become one.

    Returns
    -------
    pandas.DataFrame or pandas.Series
        The same kind of frame with the numeric columns, sorted by series (in order of first
        appearance) and time. Columns that are not numeric are left out.

    Raises
    ------
    DataError
        A time is missing, or there is no numeric column.
    FrequencyError
        The grid would have more than a hundred steps per row.
    ParameterError
        ``freq`` or ``how`` is not understood.

    Examples
    --------
    >>> times = pd.to_datetime(["2024-01-01 00:02", "2024-01-01 00:58", "2024-01-01 02:01"])
    >>> regularize(pd.Series([1.0, 3.0, 5.0], index=times), "h").tolist()
    [2.0, nan, 5.0]
    """
    check_option("how", how, _HOW)
    if isinstance(df, pd.Series):
        name = "y" if df.name is None else df.name
        frame = regularize(df.to_frame(name), freq, how=how)
        return frame[name].rename(df.name)
    if not isinstance(df, pd.DataFrame) or isinstance(df.index, pd.MultiIndex):
        raise DataError(
            "df must be a pandas Series or DataFrame with one row index. "
            f"Got {type(df).__name__}. Convert it with .to_pandas() or .reset_index()."
        )
    table = open_table(df)
    id_col, time_col = _find(table, df, id_col, time_col)
    times = pd.Series(df.index) if time_col is None else df[time_col]
    stamps = read_stamps(times, "the index" if time_col is None else f"column {time_col!r}")
    axis = axis_from_freq(stamps.bare, freq)
    numbers = [
        name
        for name, kind in table.kinds.items()
        if name not in {id_col, time_col} and kind in {"number", "integer"}
    ]
    if not numbers:
        raise DataError(
            "df needs a numeric column to aggregate. Got none. Convert text with pd.to_numeric."
        )
    if id_col is None:
        ids, codes = pd.Index([0]), np.zeros(len(df), dtype=np.int64)
    else:
        ids, codes = distinct_ids(df[id_col], f"column {id_col!r}")
    bucket = _bucket(axis, stamps.times)
    grid_codes, grid_bucket = _grid(axis, codes, bucket)
    keys = pd.MultiIndex.from_arrays([codes, bucket])
    grouped = df[numbers].set_axis(keys, axis=0).groupby(level=[0, 1], sort=False)
    found = grouped.sum(min_count=1) if how == "sum" else grouped.agg(how)
    full = found.reindex(pd.MultiIndex.from_arrays([grid_codes, grid_bucket])).reset_index(
        drop=True
    )
    return _written(df, full, axis, stamps, ids.take(grid_codes), grid_bucket, id_col, time_col)


def _find(table: Table, df: pd.DataFrame, id_col: Any, time_col: Any) -> tuple[Any, Any]:
    """Return the columns of series and time (None: the index)."""
    in_index = time_col is None and isinstance(df.index, (pd.DatetimeIndex, pd.PeriodIndex))
    columns = find_columns(
        table,
        id_col=id_col,
        time_col=time_col,
        target_col=None,
        taken=set(),
        index_times=pd.Series(df.index) if in_index else None,
        needs_target=False,
    )
    return columns.id, columns.time


def _bucket(axis: TimeAxis, times: np.ndarray) -> np.ndarray:
    """Return the position of the step that contains each time, int64 of shape (rows,)."""
    position = axis.position(times)
    if axis.grid == "tick":
        # steps of a quarter of an hour or longer start on the hour of the wall clock
        shift = axis.wall(times[:1]) - times[:1]
        return position - (position + shift) % axis.step
    if axis.grid == "session":
        position = position - ~axis.fits(times)
    anchor = 0 if axis.anchor is None else axis.anchor
    past = (position - anchor) % axis.step
    at_end = (
        axis.day in {MONTH_END, LAST_BUSINESS_DAY}
        if axis.grid == "month"
        else axis.anchor is not None
    )
    return position + (axis.step - past) % axis.step if at_end else position - past


def _grid(axis: TimeAxis, codes: np.ndarray, bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return series code and position of every step from the first to the last of each series."""
    by_series = pd.Series(bucket).groupby(codes)
    first, last = by_series.min().to_numpy(), by_series.max().to_numpy()
    steps = (last - first) // axis.step + 1
    if steps.sum() > _MOST_STEPS * (len(bucket) + 10):
        raise FrequencyError(
            f"The grid must have at most {_MOST_STEPS} steps per row. Got {int(steps.sum())} steps of {axis.freq!r} for "
            f"{len(bucket)} rows. Give a longer freq, or correct the first and last times."
        )
    starts = np.cumsum(steps) - steps
    ahead = np.arange(steps.sum()) - np.repeat(starts, steps)
    return np.repeat(np.arange(len(steps)), steps), np.repeat(first, steps) + ahead * axis.step


def _written(
    df: pd.DataFrame,
    full: pd.DataFrame,
    axis: TimeAxis,
    stamps: Stamps,
    ids: pd.Index,
    bucket: np.ndarray,
    id_col: Any,
    time_col: Any,
) -> pd.DataFrame:
    """Return the aggregated rows with the caller's columns and index."""
    midnight = np.zeros(1, dtype=np.int64)
    if axis.tz is not None:
        midnight = -axis.wall(midnight)
        midnight -= axis.wall(midnight)
    time = write_times(axis, axis.stamp(bucket, midnight), stamps.written)
    columns: dict[Any, Any] = {}
    for name in df.columns:
        if name == id_col:
            columns[name] = ids
        elif name == time_col:
            columns[name] = time
        elif name in full.columns:
            columns[name] = full[name].to_numpy()
    index = pd.Index(time, name=df.index.name) if time_col is None else None
    result = pd.DataFrame(columns, index=index)
    result.columns.name = df.columns.name
    return result
