"""Rows in order: series end to end, times increasing, every row nameable in a message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, shown

__all__ = ["Layout", "distinct_ids", "lay_out"]

FEW = 4096  # rows of text up to which telling all apart is faster than comparing neighbours first
BLOCK = 32_768  # rows compared at a time: they stay in the processor's cache


@dataclass(frozen=True)
class Layout:
    """Which rows belong to which series, in the order of the panel.

    Parameters
    ----------
    ids : pandas.Index of shape (series,)
        Names in order of first appearance.
    indptr : ndarray of int64, shape (series + 1,)
        Offsets of the series.
    times : ndarray of int64, shape (rows,)
        Times, increasing within each series.
    order : ndarray of int64, shape (rows,), optional
        Caller's row of each row; None: the caller's rows are in order already.
    named : bool
        Whether the caller names the series.
    even : int, optional
        The difference of neighbouring times, where it is one and the same within every series.
    """

    ids: pd.Index
    indptr: np.ndarray
    times: np.ndarray
    order: np.ndarray | None = None
    named: bool = True
    even: int | None = None

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Return ``values`` (rows,) of the caller in the panel's order (a view where nothing moves)."""
        return values if self.order is None else values[self.order]

    def keep(self, rows: np.ndarray) -> Layout:
        """Return the layout of the rows where ``rows`` (bool) holds, some of each series."""
        counts = np.add.reduceat(rows, self.indptr[:-1], dtype=np.int64)
        order = np.arange(len(rows)) if self.order is None else self.order
        indptr = np.append(0, np.cumsum(counts))
        return replace(self, indptr=indptr, times=self.times[rows], order=order[rows], even=None)

    def series_of(self, row: int) -> int:
        """Return the series of a row."""
        return int(np.searchsorted(self.indptr, row, side="right")) - 1

    def where(self, row: int, axis: TimeAxis) -> str:
        """Return "series 'A' at 2020-01-31" for messages."""
        time = axis.label(self.times[row])
        return f"series {shown(self.ids[self.series_of(row)])} at {time}" if self.named else time


def lay_out(
    ids: pd.Series | None, name: str, times: np.ndarray, axis: TimeAxis, single: Any
) -> Layout:
    """Return the layout of rows with these ids and times.

    Neighbouring rows are compared; nothing is sorted or grouped unless the rows are out of order.

    Parameters
    ----------
    ids : Series of shape (rows,), or None
        Series of each row; None: one series, called ``single``.
    name : str
        What messages call the ids ("column 'unique_id'").
    times : ndarray of int64, shape (rows,)
        Time of each row.
    axis : TimeAxis
        How times are written in messages.
    single : hashable
        Name of the only series.

    Raises
    ------
    DataError
        An id is missing or of another type, or a series has two rows at one time.
    """
    if ids is None:
        codes = None
        names = pd.Index([single])
        indptr = np.array([0, len(times)], dtype=np.int64)
    else:
        names, starts, run_codes = _runs(ids, name)
        indptr = np.append(starts, len(times)).astype(np.int64)
        codes = None if len(names) == len(starts) else np.repeat(run_codes, np.diff(indptr))
    order = None
    if codes is not None:
        order = np.argsort(codes.astype(np.int16) if len(names) < 2**15 else codes, kind="stable")
        indptr = np.append(0, np.cumsum(np.bincount(codes))).astype(np.int64)
        times = times[order]
    named, even = ids is not None, _even_step(times, indptr)
    if even is not None and even > 0:
        return Layout(names, indptr, times, order, named, even)
    gaps = _gaps(times, indptr)
    if (gaps < 0).any():
        series = np.repeat(np.arange(len(names)), np.diff(indptr))
        again = np.lexsort((times, series))
        times = times[again]
        order = again if order is None else order[again]
        gaps = _gaps(times, indptr)
    layout = Layout(names, indptr, times, order, named, _even_step(times, indptr))
    if (gaps == 0).any():
        raise _repeated(layout, gaps, axis)
    return layout


def _even_step(times: np.ndarray, indptr: np.ndarray) -> int | None:
    """Return the one difference of neighbouring rows within the series, None where there are others."""
    several = np.flatnonzero(np.diff(indptr) > 1)
    if not len(several):
        return None
    start = indptr[several[0]]
    step = times[start + 1] - times[start]
    ends = indptr[1:-1] - 1  # differences that go from one series to the next
    for first in range(0, len(times) - 1, BLOCK):
        part = times[first : first + BLOCK + 1]
        gaps = part[1:] - part[:-1]
        low, high = np.searchsorted(ends, (first, first + BLOCK))
        gaps[ends[low:high] - first] = step
        if (gaps != step).any():
            return None
    return int(step)


def _gaps(times: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the difference to the row before, 1 where a series starts, shape (rows,)."""
    gaps = np.empty(len(times), dtype=np.int64)
    np.subtract(times[1:], times[:-1], out=gaps[1:])
    gaps[indptr[:-1]] = 1
    return gaps


def _repeated(layout: Layout, gaps: np.ndarray, axis: TimeAxis) -> DataError:
    row = int((gaps == 0).argmax())
    count = int((gaps == 0).sum())
    remedy = "Keep one row per stamp with df.drop_duplicates([...], keep='last'), or aggregate with df.groupby([...]).mean()."
    if not layout.named:
        remedy = f"If the rows belong to several series, name them with id_col=. {remedy}"
    return DataError(
        f"Each series must have one row per time. Got more than one for {layout.where(row, axis)} "
        f"({count} such rows in all). {remedy}"
    )


def distinct_ids(ids: pd.Series, name: str) -> tuple[pd.Index, np.ndarray]:
    """Return the ids in order of first appearance, and the position of each row's id among them."""
    names, starts, codes = _runs(ids, name)
    return names, np.repeat(codes, np.diff(np.append(starts, len(ids))))


def _runs(ids: pd.Series, name: str) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Return the distinct ids, the first row of each run of equal ids, and the code of each run."""
    if len(ids) <= FEW and isinstance(ids.dtype, pd.StringDtype):
        codes, texts = pd.factorize(ids.array)
        if codes.min(initial=0) == 0:  # -1: missing
            starts = np.append(0, np.flatnonzero(codes[1:] != codes[:-1]) + 1)
            return pd.Index(texts), starts, codes[starts]
    missing = np.asarray(ids.array.isna())
    if missing.any():
        raise DataError(
            f"Every row needs an id in {name}. Got {int(missing.sum())} rows without one, the first at position "
            f"{int(missing.argmax())}. Drop them with df.dropna(subset=[...]), or give them a name."
        )
    keys = ids.cat.codes if isinstance(ids.dtype, pd.CategoricalDtype) else ids
    array = keys.to_numpy() if isinstance(keys.dtype, np.dtype) else keys.array
    changed = np.asarray(array[1:] != array[:-1], dtype=bool)
    starts = np.append(0, np.flatnonzero(changed) + 1)
    first = ids.iloc[starts]
    if isinstance(ids.dtype, pd.CategoricalDtype):
        first = first.cat.remove_unused_categories()
    try:
        codes, names = pd.factorize(first)
    except TypeError as error:
        raise DataError(
            f"Ids in {name} must be numbers or text. Got {type(ids.iloc[0]).__name__}. Convert them with .astype(str)."
        ) from error
    _check_one_type(names, name)
    return pd.Index(names, name=None), starts, codes


def _check_one_type(names: pd.Index, name: str) -> None:
    if not pd.api.types.is_object_dtype(names.dtype):
        return
    by_type: dict[str, Any] = {}
    for value in names:
        by_type.setdefault(type(value).__name__, value)
    if len(by_type) > 1:
        shown = ", ".join(f"{kind} ({value!r})" for kind, value in by_type.items())
        raise DataError(
            f"Ids in {name} must be of one type. Got {shown}. Convert them with .astype(str)."
        )
