"""The gate: any frame of a user becomes a Panel, or an error that says what to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, DataWarning, shown, warn
from tsrnn.frames.axes import check_axis, settle_axis
from tsrnn.frames.beside import parameters_of, read_beside
from tsrnn.frames.covariates import CovariateColumns
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.gaps import Filled, fill_gaps
from tsrnn.frames.joint import interleave
from tsrnn.frames.layout import Layout, lay_out
from tsrnn.frames.numeric import read_numbers
from tsrnn.frames.regular import regularize
from tsrnn.frames.sources import Source, open_source
from tsrnn.frames.stamps import Stamps, in_unit_of, read_stamps
from tsrnn.panel import Panel

__all__ = [
    "FrameFormat",
    "arrange",
    "called",
    "check_values",
    "history_rows",
    "missing_notes",
    "read_panel",
    "regularize",
    "target_labels",
]

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
    covariates: CovariateColumns | None = None,
    static_df: Any = None,
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
        A list of targets makes each a channel of its series.
    freq : str, int or pandas offset, optional
        The step, checked against the times; inferred when not given.
    calendar : str, list of dates, pandas offset or holiday calendar, optional
        Trading sessions: an exchange ("XNYS"), days without a session, or a CustomBusinessDay.
    weight_col : str, optional
        Column of row weights, finite and not negative.
    covariates : CovariateColumns, optional
        Names of columns beside the target. With columns that are known in advance, the rows after the
        newest value of each series are its known future, not its history.
    static_df : frame, optional
        The static columns, one row for each series.
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
    covariates = CovariateColumns() if covariates is None else covariates
    source = open_source(
        df,
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        weight_col=weight_col,
        beside=parameters_of(covariates, static=static_df is None),
        like=like,
    )
    if len(source.times) == 0:
        raise DataError("df needs at least one row. Got a frame without rows.")
    time_name = called(source.format.time_name, "the index")
    stamps = read_stamps(source.times, time_name)
    if axis is not None:
        stamps = in_unit_of(axis, stamps, time_name)
    layout, targets, weights = arrange(source, stamps)
    names = target_labels(source.format)
    missing = [
        check_values(values, layout, stamps.bare, name)
        for values, name in zip(targets, names, strict=True)
    ]
    notes: list[str] = []
    if axis is None:
        axis = settle_axis(
            stamps.bare, layout, time_name, freq=freq, calendar=calendar, notes=notes
        )
    else:
        check_axis(axis, layout, time_name)
    beside, history, past = None, None, layout
    if covariates or static_df is not None:
        history = history_rows(targets, layout, ends=bool(covariates.future))
        beside = read_beside(
            source,
            layout,
            history,
            stamps.bare,
            columns=covariates,
            fitted=like is not None,
            static_df=static_df,
        )
        past, targets = layout.keep(history), [values[history] for values in targets]
        weights = None if weights is None else weights[history]
    channels = [fill_gaps(axis, past, values, weights) for values in targets]
    filled = channels[0]
    notes = [*missing_notes(channels, names, past, axis, missing=missing), *notes]
    if beside is not None:
        notes += beside.notes
    if notes:
        warn(" ".join(notes), DataWarning)
    panel = Panel(filled.values, filled.indptr, layout.ids, filled.times, axis, filled.weights)
    form = replace(source.format, written=stamps.written)
    if beside is not None and history is not None:
        panel = replace(panel, covariates=beside.panel(filled, history, axis, layout))
        form = replace(form, covariates=beside.columns)
    if len(channels) > 1:
        panel = interleave(panel, [each.values for each in channels], form)
    return panel, form


def history_rows(
    targets: list[np.ndarray], layout: Layout, *, ends: bool, some: bool = True
) -> np.ndarray:
    """Return which rows are history: where it ``ends`` with the newest value, those up to it.

    Of a series without a value all rows are, or with ``some=False`` none.
    """
    row = np.arange(len(layout.times))
    if not ends:
        return np.ones(len(row), dtype=bool)
    missing = np.logical_and.reduce([np.isnan(values) for values in targets])
    newest = np.maximum.reduceat(np.where(missing, -1, row), layout.indptr[:-1])
    if some:
        newest = np.where(newest < 0, layout.indptr[1:] - 1, newest)
    return row <= np.repeat(newest, np.diff(layout.indptr))


def called(name: Any, nameless: str, *, upper: bool = False) -> str:
    """Return what messages call a column."""
    text = nameless if name is None else f"column {name!r}"
    return text[0].upper() + text[1:] if upper else text


def target_labels(form: FrameFormat) -> list[str]:
    """Return how messages call each target of a frame, at the start of a sentence."""
    return [called(name, "the target", upper=True) for name in _target_names(form)]


def _target_names(form: FrameFormat) -> tuple[Any, ...]:
    return form.targets or (form.target_name,)


def arrange(source: Source, stamps: Stamps) -> tuple[Layout, list[np.ndarray], np.ndarray | None]:
    """Return the layout, the targets and the weights in its order."""
    if isinstance(source.values, pd.DataFrame):
        layout, values = _arrange_wide(source.values, stamps)
        return layout, [values], None
    names = _target_names(source.format)
    columns = source.targets or {names[0]: source.values}
    targets = [
        read_numbers(column, called(name, "the values", upper=True))
        for name, column in columns.items()
    ]
    single = "y" if names[0] is None else names[0]
    id_name = called(source.format.id_name, "the index")
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
                f"Got {shown(weights[row])} for {layout.where(row, stamps.bare)}. Correct it, or leave out weight_col."
            )
        if not weights.any():
            raise DataError(
                f"Weights in column {source.weights.name!r} must not all be 0. Give those rows weight "
                "that the training should learn from, or leave out weight_col."
            )
    return layout, [_read_only(layout.arrange(values)) for values in targets], weights


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


def check_values(values: np.ndarray, layout: Layout, axis: TimeAxis, name: str) -> bool:
    """Return whether values are missing; refuse infinities, values near overflow, and no value at all."""
    high, low = values.max(), values.min()
    missing = bool(np.isnan(high))
    if missing:
        high, low = np.fmax.reduce(values), np.fmin.reduce(values)
    if np.isnan(high):
        raise DataError(
            f"{name} must hold at least one value. Got {len(values)} missing ones. Check target_col."
        )
    if max(abs(float(high)), abs(float(low))) <= _LARGEST:
        return missing
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


def missing_notes(
    channels: list[Filled], names: list[str], layout: Layout, axis: TimeAxis, *, missing: list[bool]
) -> list[str]:
    """Return what the user should know of missing rows and values."""
    notes = []
    gaps = channels[0]
    if gaps.gap_steps:
        notes.append(
            f"{gaps.gap_steps} steps have no row, the first before {layout.where(gaps.first_gap, axis)}."
        )
    for filled, name, some in zip(channels, names, missing, strict=True):
        if not some:
            continue
        unknown = np.isnan(filled.given)
        count = int(np.count_nonzero(unknown))
        if not count:
            continue
        row = int(unknown.argmax())
        notes.append(f"{name} has {count} missing values, the first for {layout.where(row, axis)}.")
        per_series = np.add.reduceat(unknown, layout.indptr[:-1])
        empty = np.flatnonzero(per_series == layout_lengths(layout))
        if empty.size:
            where = f" in {name[0].lower()}{name[1:]}" if len(channels) > 1 else ""
            notes.append(
                f"Series {shown(layout.ids[empty[0]])} has no value at all{where} ({empty.size} such series)."
            )
    if notes:
        notes.append("These steps are masked, not filled in.")
    return notes


def layout_lengths(layout: Layout) -> np.ndarray:
    """Return the rows of each series, shape (series,)."""
    return np.diff(layout.indptr)
