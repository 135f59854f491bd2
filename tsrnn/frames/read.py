"""The gate: any frame of a user becomes a Panel, or an error that says what to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from tsrnn.calendars.axis import PER_SECOND, TimeAxis
from tsrnn.exceptions import DataError, DataWarning, warn
from tsrnn.frames.axes import check_axis, settle_axis
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.gaps import Filled, fill_gaps
from tsrnn.frames.layout import Layout, lay_out
from tsrnn.frames.numeric import read_numbers
from tsrnn.frames.regular import regularize
from tsrnn.frames.sources import Source, open_source
from tsrnn.frames.stamps import Stamps, read_stamps
from tsrnn.panel import Panel

__all__ = ["FrameFormat", "read_panel", "regularize"]

_LARGEST = 1e150  # beyond it, squares leave float64


def read_panel(
    df: Any,
    *,
    id_col: Any = None,
    time_col: Any = None,
    target_col: Any = None,
    freq: Any = None,
    calendar: Any = None,
    weight_col: Any = None,
    like: FrameFormat | None = None,
    axis: TimeAxis | None = None,
) -> tuple[Panel, FrameFormat]:
    """Read a user's frame as a Panel and remember what kind of frame it was.

    Parameters
    ----------
    df : pandas.DataFrame, pandas.Series, polars.DataFrame or pyarrow.Table
        A long frame, a (series, time) index, a wide frame, or a Series. It is not changed.
    id_col, time_col, target_col : str, optional
        Columns of series, time and target; the usual names or the only candidates when not given.
    freq : str, int or pandas offset, optional
        The step, checked against the times; inferred when not given.
    calendar : str, list of dates, pandas offset or holiday calendar, optional
        Trading sessions: an exchange ("XNYS"), days without a session, or a CustomBusinessDay.
    weight_col : str, optional
        Column of row weights, finite and not negative.
    like, axis : FrameFormat and TimeAxis, optional
        What was fitted: the frame must have the same kind of columns and the same step; one row
        per series is enough, and any series may come.

    Returns
    -------
    panel : Panel
        Values in the source's precision (a view of the caller's column where rows are in order and
        complete); missing values and gaps are NaN.
    format : FrameFormat
        Kind, names and types of the frame.

    Raises
    ------
    DataError
        The frame can't be used; the message names column, series, time and the way out.
    FrequencyError
        The times fit no frequency, or not the stated one.
    ParameterError
        ``freq`` or ``calendar`` is not understood.

    Warns
    -----
    DataWarning
        Values or rows are missing, or future sessions follow the weekday pattern; once per call.
    """
    source = open_source(
        df,
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        weight_col=weight_col,
        like=like,
    )
    if len(source.times) == 0:
        raise DataError("df needs at least one row. Got a frame without rows.")
    time_name = _called(source.format.time_name, "the index")
    stamps = read_stamps(source.times, time_name)
    if axis is not None:
        stamps = _in_unit_of(axis, stamps, time_name)
    layout, values, weights = _arrange(source, stamps)
    target_name = _called(source.format.target_name, "the target", upper=True)
    _check_values(values, layout, stamps.bare, target_name)
    notes: list[str] = []
    if axis is None:
        axis = settle_axis(
            stamps.bare, layout, time_name, freq=freq, calendar=calendar, notes=notes
        )
    else:
        check_axis(axis, layout, time_name)
    filled = fill_gaps(axis, layout, values, weights)
    notes = [*_missing_notes(filled, layout, axis, target_name), *notes]
    if notes:
        warn(" ".join(notes), DataWarning)
    panel = Panel(filled.values, filled.indptr, layout.ids, filled.times, axis, filled.weights)
    return panel, replace(source.format, written=stamps.written)


def _called(name: Any, nameless: str, *, upper: bool = False) -> str:
    text = nameless if name is None else f"column {name!r}"
    return text[0].upper() + text[1:] if upper else text


def _in_unit_of(axis: TimeAxis, stamps: Stamps, name: str) -> Stamps:
    """Return new times in the unit of the fitted ones, exactly."""
    bare, times = stamps.bare, stamps.times
    periods = axis.kind == "period" and bare.freq != axis.freq
    if bare.kind != axis.kind or (bare.tz is None) != (axis.tz is None) or periods:
        raise DataError(
            f"Times in {name} must be like the fitted ones, {_kind_text(axis)}. Got {_kind_text(bare)}. "
            "Convert them with pd.to_datetime, .dt.tz_localize or .dt.to_timestamp."
        )
    if bare.kind == "datetime" and bare.unit != axis.unit:
        old, new = PER_SECOND[bare.unit], PER_SECOND[axis.unit]
        if new >= old:
            limit = np.iinfo(np.int64).max // (new // old)
            if np.abs(times).max() > limit:
                raise DataError(
                    f"Times in {name} must lie within the range of datetime64[{axis.unit}]. "
                    f"Got {bare.label(times[np.abs(times).argmax()])}. Correct it, or fit on times in a coarser unit."
                )
            times = times * (new // old)
        else:
            if (times % (old // new)).any():
                raise DataError(
                    f"Times in {name} must be whole {axis.unit}, as those fitted. "
                    f"Got {bare.label(times[(times % (old // new)).argmax()])}. Round them with .dt.round({axis.unit!r})."
                )
            times = times // (old // new)
    return Stamps(times, axis, stamps.written)


def _kind_text(axis: TimeAxis) -> str:
    if axis.kind == "datetime":
        return f"datetimes in the zone {axis.tz}" if axis.tz else "datetimes without a time zone"
    return f"periods of frequency {axis.freq!r}" if axis.kind == "period" else "integers"


def _arrange(source: Source, stamps: Stamps) -> tuple[Layout, np.ndarray, np.ndarray | None]:
    """Return the layout, the target and the weights in its order."""
    if isinstance(source.values, pd.DataFrame):
        layout, values = _arrange_wide(source.values, stamps)
        return layout, values, None
    name = source.format.target_name
    values = read_numbers(source.values, _called(name, "the values", upper=True))
    single = "y" if name is None else name
    id_name = _called(source.format.id_name, "the index")
    layout = lay_out(source.ids, id_name, stamps.times, stamps.bare, single)
    if source.format.kind == "indexed":
        # index levels come as codes; their names keep the type of the level
        levels = cast(pd.CategoricalIndex, layout.ids)
        layout = replace(layout, ids=levels.categories[levels.codes])
    weights = None
    if source.weights is not None:
        weights = layout.arrange(read_numbers(source.weights, f"Column {source.weights.name!r}"))
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"Weights in column {source.weights.name!r} must be finite and not negative. "
                f"Got {weights[row]!r} for {layout.where(row, stamps.bare)}. Correct it, or leave out weight_col."
            )
        if not weights.any():
            raise DataError(
                f"Weights in column {source.weights.name!r} must not all be 0. Give those rows weight "
                "that the training should learn from, or leave out weight_col."
            )
    return layout, _read_only(layout.arrange(values)), weights


def _arrange_wide(df: pd.DataFrame, stamps: Stamps) -> tuple[Layout, np.ndarray]:
    names = df.columns.rename(None)
    if names.hasnans:
        raise DataError(
            "Each column of a wide frame must have a name. Got NaN as a name. Rename it with df.rename."
        )
    once = lay_out(None, "the columns", stamps.times, stamps.bare, "df")
    matrix = df.to_numpy()
    plain = matrix.dtype in (np.dtype(np.float32), np.dtype(np.float64))
    if plain and once.order is None:
        values = matrix.T.reshape(-1)
    else:
        columns = [once.arrange(read_numbers(df[name], f"Column {name!r}")) for name in df.columns]
        values = np.concatenate(columns)
    indptr = np.arange(len(names) + 1, dtype=np.int64) * len(stamps.times)
    return Layout(names, indptr, np.tile(once.times, len(names))), _read_only(values)


def _read_only(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False
    return view


def _check_values(values: np.ndarray, layout: Layout, axis: TimeAxis, name: str) -> None:
    """Raise DataError for infinities, values near overflow, and a target without any value."""
    high, low = np.fmax.reduce(values), np.fmin.reduce(values)
    if np.isnan(high):
        raise DataError(
            f"{name} must hold at least one value. Got {len(values)} missing ones. Check target_col."
        )
    if max(abs(float(high)), abs(float(low))) <= _LARGEST:
        return
    bad = np.isinf(values)
    what, remedy = (
        "infinite",
        "Make them missing with df.replace([np.inf, -np.inf], np.nan), or correct them.",
    )
    if not bad.any():
        bad = np.abs(values) > _LARGEST
        what, remedy = (
            f"beyond {_LARGEST:g} in size",
            "Correct them, or divide the column by its unit.",
        )
    row = int(bad.argmax())
    raise DataError(
        f"{name} must hold numbers to compute with. Got {int(bad.sum())} values {what}, the first "
        f"{float(values[row])!r} for {layout.where(row, axis)}. {remedy}"
    )


def _missing_notes(filled: Filled, layout: Layout, axis: TimeAxis, name: str) -> list[str]:
    notes = []
    if filled.gap_steps:
        notes.append(
            f"{filled.gap_steps} steps have no row, the first before {layout.where(filled.first_gap, axis)}."
        )
    missing = np.isnan(filled.given)
    count = int(np.count_nonzero(missing))
    if count:
        row = int(missing.argmax())
        notes.append(f"{name} has {count} missing values, the first for {layout.where(row, axis)}.")
        per_series = np.add.reduceat(missing, layout.indptr[:-1])
        empty = np.flatnonzero(per_series == layout_lengths(layout))
        if empty.size:
            notes.append(
                f"Series {layout.ids[empty[0]]!r} has no value at all ({empty.size} such series)."
            )
    if notes:
        notes.append("These steps are masked, not filled in.")
    return notes


def layout_lengths(layout: Layout) -> np.ndarray:
    """Return the rows of each series, shape (series,)."""
    return np.diff(layout.indptr)
