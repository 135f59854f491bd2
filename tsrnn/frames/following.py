"""New rows of known series: read like any frame, and checked to follow what is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, DataWarning, shown, warn
from tsrnn.frames.axes import check_axis
from tsrnn.frames.beside import parameters_of, place, read_beside
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.gaps import Filled, fill_gaps
from tsrnn.frames.layout import Layout
from tsrnn.frames.next_rows import next_rows
from tsrnn.frames.read import (
    arrange,
    called,
    check_values,
    history_rows,
    missing_notes,
    target_labels,
)
from tsrnn.frames.sources import open_source
from tsrnn.frames.stamps import in_unit_of, read_stamps
from tsrnn.panel import Panel

__all__ = ["NewRows", "read_following"]


@dataclass(frozen=True, eq=False)
class NewRows:
    """New rows of some known series, gaps filled with rows without a value, end to end like a panel.

    Parameters
    ----------
    series : ndarray of int64, shape (new series,)
        Which of the known series they belong to.
    indptr : ndarray of int64, shape (new series + 1,)
    values : ndarray of float64, shape (rows,)
    times : ndarray of int64, shape (rows,)
    dtype : numpy dtype
        Of the values as they were given.
    past : ndarray of float64, shape (rows, column), or None
        Covariates, columns known in advance first; None where the series have none of any kind.
    ahead : ndarray of float64, shape (new series, step, column)
        Future covariates that came for the steps after the rows.
    """

    series: np.ndarray
    indptr: np.ndarray
    values: np.ndarray
    times: np.ndarray
    dtype: np.dtype
    past: np.ndarray | None
    ahead: np.ndarray

    def panel(self, ids: pd.Index, axis: TimeAxis) -> Panel:
        """Return values and times as a panel, for checks; ``ids`` are those of all known series."""
        return Panel(self.values, self.indptr, ids[self.series], self.times, axis)


def read_following(
    df: Any,
    *,
    form: FrameFormat,
    axis: TimeAxis,
    ids: pd.Index,
    last_times: np.ndarray,
    known: np.ndarray,
    ahead: np.ndarray,
    places: Mapping[Any, int],
    id_col: Any = None,
    time_col: Any = None,
    target_col: Any = None,
) -> NewRows:
    """Read rows that follow the newest of known series.

    Parameters
    ----------
    df : frame
        Of the kind that was fitted: one row or more, of some or all series.
    form, axis : FrameFormat and TimeAxis
        What was fitted.
    ids : pandas.Index of shape (series,)
        The known series; of channels, what they are channels of.
    last_times : ndarray of int64, shape (series,)
        Time of the newest known row of each.
    known : ndarray of int64, shape (series,)
        How many rows of each are known.
    ahead : ndarray of shape (series, step, column)
        What is known of the future covariates after it, for steps that have no row.
    places : mapping
        Position of each id among the known series.
    id_col, time_col, target_col : str, optional
        As the forecaster was told.

    Returns
    -------
    NewRows
        Of each channel, where the frame has several targets: as in
        :func:`tsrnn.frames.joint.interleave`.

    Raises
    ------
    DataError
        The frame can't be used, a series is not known, or a row does not follow.

    Warns
    -----
    DataWarning
        Values or rows are missing; once per call.
    """
    plain = next_rows(df, form=form, axis=axis, ids=ids, places=places, last_times=last_times)
    if plain is not None:
        series, times, targets = plain
        indptr, dtype = np.arange(len(series) + 1), np.result_type(*targets)
        # copied: the caller's may not be written to
        own = [np.array(values, dtype=np.float64) for values in targets]
        rows = NewRows(series, indptr, own[0], times, dtype, None, ahead[series, :0])
        return _by_channel(rows, own)
    columns = replace(form.covariates, static=())
    source = open_source(
        df,
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        beside=parameters_of(columns, static=False),
        like=form,
    )
    if len(source.times) == 0:
        raise DataError("df needs at least one row. Got a frame without rows.")
    time_name = called(source.format.time_name, "the index")
    names = target_labels(source.format)
    stamps = in_unit_of(axis, read_stamps(source.times, time_name), time_name)
    layout, targets, _ = arrange(source, stamps)
    for values, name in zip(targets, names, strict=True):
        if not np.isnan(values).all():
            check_values(values, layout, axis, name)
    series = _known(layout, ids)
    _check_later(layout, last_times[series], axis)
    history = history_rows(targets, layout, ends=bool(columns.future), some=False)
    # the newest known row of each series goes before its new ones: they are checked as one
    joined, new = _joined(layout, last_times[series])
    check_axis(axis, joined, time_name)
    kept = np.ones(len(joined.times), dtype=bool)
    kept[new] = history
    past = joined.keep(kept)
    channels = []
    for values in targets:
        given = np.zeros(len(joined.times), dtype=values.dtype)
        given[new] = values
        channels.append(fill_gaps(axis, past, given[kept], None, known[series] - 1))
    filled = channels[0]
    missing = [bool(np.isnan(values).any()) for values in targets]
    notes = missing_notes(channels, names, past, axis, missing=missing)
    first = np.zeros(len(filled.values), dtype=bool)
    first[filled.indptr[:-1]] = True
    beside, later = None, np.empty((len(series), 0, len(columns.future)))
    if form.covariates:
        read = read_beside(source, layout, history, axis, columns=columns, fitted=True)
        notes += read.notes
        full = [np.full((len(kept), each.shape[1]), np.nan) for each in (read.future, read.past)]
        for whole, each in zip(full, (read.future, read.past), strict=True):
            whole[new] = each
        future, other = (filled.spread(whole[kept]) for whole in full)
        future = _known_in_gaps(future, filled, ahead[series])
        beside = np.concatenate([future, other], 1)[~first]
        later = _later(layout, history, axis, filled, read.future)
    if notes:
        warn(" ".join(notes), DataWarning)
    own = [each.values[~first].astype(np.float64, copy=False) for each in channels]
    rows = NewRows(
        series,
        filled.indptr - np.arange(len(filled.indptr)),
        own[0],
        filled.times[~first],
        np.result_type(*targets),
        beside,
        later,
    )
    return _by_channel(rows, own)


def _by_channel(new: NewRows, values: list[np.ndarray]) -> NewRows:
    """Return rows of each channel, from those of what they are channels of and the values of each."""
    count, lengths = len(values), np.diff(new.indptr)
    if count == 1:
        return new
    indptr = np.append(0, np.cumsum(lengths.repeat(count)))
    row = np.arange(indptr[-1]) + np.repeat(
        new.indptr[:-1].repeat(count) - indptr[:-1], lengths.repeat(count)
    )
    channel = np.repeat(np.tile(np.arange(count), len(lengths)), lengths.repeat(count))
    return replace(
        new,
        series=(new.series[:, None] * count + np.arange(count)).ravel(),
        indptr=indptr,
        values=np.stack(values)[channel, row],
        times=new.times[row],
        past=None if new.past is None else new.past[row],
        ahead=new.ahead.repeat(count, 0),
    )


def _known(layout: Layout, ids: pd.Index) -> np.ndarray:
    """Return which of the known series those of a frame are."""
    series = np.asarray(ids.get_indexer(layout.ids), dtype=np.int64)
    if (series < 0).any():
        raise DataError(
            f"update(df) needs series that were fitted. Got {shown(layout.ids[series < 0][0])} (the first of "
            f"{int((series < 0).sum())} others). Leave them out; predict(df) forecasts the history of any series, "
            "and fit learns new ones."
        )
    return series


def _check_later(layout: Layout, last: np.ndarray, axis: TimeAxis) -> None:
    """Raise DataError for rows at or before the newest known one."""
    early = layout.times <= np.repeat(last, np.diff(layout.indptr))
    if early.any():
        row = int(early.argmax())
        i = layout.series_of(row)
        of = f" of series {shown(layout.ids[i])}" if layout.named else ""
        raise DataError(
            f"Rows of update(df) must follow the newest row{of}, {axis.label(last[i])}. Got {layout.where(row, axis)} "
            f"(the first of {int(early.sum())} such rows). Leave out rows that are known already; to correct the past, "
            "take back an earlier state with set_state, or forecast from the corrected history with predict(df)."
        )


def _joined(layout: Layout, last: np.ndarray) -> tuple[Layout, np.ndarray]:
    """Return the layout with the newest known row before each series, and where the new rows are in it."""
    lengths = np.diff(layout.indptr)
    indptr = layout.indptr + np.arange(len(layout.indptr))
    new = np.arange(len(layout.times)) + np.repeat(np.arange(1, len(lengths) + 1), lengths)
    times = np.empty(len(layout.times) + len(lengths), dtype=np.int64)
    times[indptr[:-1]], times[new] = last, layout.times
    return Layout(layout.ids, indptr, times, None, layout.named), new


def _known_in_gaps(future: np.ndarray, filled: Filled, ahead: np.ndarray) -> np.ndarray:
    """Return future covariates (rows, column) with what was known in advance of steps without a row."""
    if not future.shape[1]:
        return future
    lengths = np.diff(filled.indptr)
    step = np.arange(len(future)) - np.repeat(filled.indptr[:-1], lengths) - 1
    series = np.repeat(np.arange(len(lengths)), lengths)
    inside = (step >= 0) & (step < ahead.shape[1])
    if filled.offset is not None:
        inside[filled.offset] = False
    else:
        inside[:] = False
    future[inside] = ahead[series[inside], step[inside]]
    return future


def _later(
    layout: Layout, history: np.ndarray, axis: TimeAxis, filled: Filled, future: np.ndarray
) -> np.ndarray:
    """Return the future covariates of rows behind the newest values, by their steps."""
    behind = ~history
    if not behind.any():
        return np.empty((len(layout.ids), 0, future.shape[1]))
    series = np.repeat(np.arange(len(layout.ids)), np.diff(layout.indptr))
    last = filled.times[filled.indptr[1:] - 1]
    newest = layout.times[layout.indptr[1:] - 1]
    steps = int(((axis.position(newest) - axis.position(last)) // axis.step).max())
    return place(axis.future(last, steps), series[behind], layout.times[behind], future[behind])
