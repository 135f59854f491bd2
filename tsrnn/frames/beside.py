"""The covariates of a frame: read beside the target, cut into history and what is known ahead of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, shown
from tsrnn.frames.columns import missing_column
from tsrnn.frames.covariates import (
    CovariateColumn,
    CovariateColumns,
    check_numbers,
    no_value,
    read_column,
    settle_column,
)
from tsrnn.frames.gaps import Filled
from tsrnn.frames.layout import Layout, distinct_ids
from tsrnn.frames.sources import Source
from tsrnn.frames.tables import open_table
from tsrnn.panel import PanelCovariates

__all__ = ["Beside", "parameters_of", "place", "read_beside", "read_static"]


@dataclass(frozen=True)
class Beside:
    """Covariates in the order of the panel, before gaps are filled.

    Parameters
    ----------
    columns : CovariateColumns
    future, past : ndarray of float64, shape (rows, column)
    static : ndarray of float64, shape (series, column)
    notes : list of str
        What the user should know.
    """

    columns: CovariateColumns
    future: np.ndarray
    past: np.ndarray
    static: np.ndarray
    notes: list[str]

    def panel(
        self, filled: Filled, history: np.ndarray, axis: TimeAxis, layout: Layout
    ) -> PanelCovariates:
        """Return the covariates of the history, and those of the rows behind it, by their stamps."""
        last = filled.times[filled.indptr[1:] - 1]
        series = np.repeat(np.arange(len(layout.ids)), np.diff(layout.indptr))
        later = ~history
        steps = int(np.bincount(series[later], minlength=1).max()) if later.any() else 0
        ahead = place(
            axis.future(last, steps), series[later], layout.times[later], self.future[later]
        )
        return PanelCovariates(
            filled.spread(self.future[history]),
            filled.spread(self.past[history]),
            self.static,
            ahead,
        )


def parameters_of(columns: CovariateColumns, *, static: bool) -> dict[Any, str]:
    """Return the parameter that names each column of a frame."""
    names = {each.name: "future_covariates" for each in columns.future}
    names |= {each.name: "past_covariates" for each in columns.past}
    return names | ({each.name: "static_covariates" for each in columns.static} if static else {})


def read_beside(
    source: Source,
    layout: Layout,
    history: np.ndarray,
    bare: TimeAxis,
    *,
    columns: CovariateColumns,
    fitted: bool,
    static_df: Any = None,
) -> Beside:
    """Return the covariates of a frame, the static ones from ``static_df`` where it is given.

    Parameters
    ----------
    source : Source
        Its ``beside`` are the columns.
    layout : Layout
    history : ndarray of bool, shape (rows,)
        Which rows are history; the others are known ahead of it.
    bare : TimeAxis
        How times are written in messages.
    columns : CovariateColumns
        Names only, or what was fitted.
    fitted : bool
        Whether what the columns hold is known.

    Raises
    ------
    DataError
        A column can't be used, or a static one changes within a series.
    """
    notes: list[str] = []

    def read_rows(some: tuple[CovariateColumn, ...], parameter: str) -> tuple[Any, np.ndarray]:
        settled, arrays = [], []
        for each in some:
            values = source.beside[each.name]
            kind = each if fitted else settle_column(each.name, values, parameter)
            array, unknown = read_column(kind, values)
            array, unknown = layout.arrange(array), layout.arrange(unknown)
            check_numbers(array, each.name, layout, bare)
            if not fitted and np.isnan(array[history]).all():
                raise no_value(each.name, parameter)
            missing = np.isnan(array) & history
            notes.extend(_notes(missing, unknown, kind, values, layout, bare))
            settled.append(kind)
            arrays.append(array)
        rows = np.stack(arrays, 1) if arrays else np.empty((len(layout.times), 0))
        return tuple(settled), rows

    future, future_rows = read_rows(columns.future, "future_covariates")
    past, past_rows = read_rows(columns.past, "past_covariates")
    if static_df is None:
        static, rows = read_rows(columns.static, "static_covariates")
        constant = _constant(rows, static, layout, bare)
    else:
        name = source.format.id_name
        static, constant = read_static(
            name, layout, columns.static, static_df, notes, fitted=fitted
        )
    settled = CovariateColumns(future, past, static)
    return Beside(settled, future_rows, past_rows, constant, notes)


def place(
    stamps: np.ndarray, series: np.ndarray, times: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return rows (row, column) at the stamps of each series, shape (series, step, column), else NaN."""
    placed = np.full((*stamps.shape, rows.shape[1]), np.nan)
    if stamps.size == 0 or len(series) == 0:
        return placed
    wanted = pd.MultiIndex.from_arrays(
        [np.repeat(np.arange(len(stamps)), stamps.shape[1]), stamps.ravel()]
    )
    found = pd.MultiIndex.from_arrays([series, times]).get_indexer(wanted)
    flat = placed.reshape(-1, rows.shape[1])
    flat[found >= 0] = rows[found[found >= 0]]
    return placed


def _notes(
    missing: np.ndarray,
    unknown: np.ndarray,
    column: CovariateColumn,
    values: pd.Series,
    layout: Layout,
    bare: TimeAxis,
) -> list[str]:
    notes = []
    if missing.any():
        notes.append(
            f"Column {column.name!r} has {int(missing.sum())} missing values, the first for "
            f"{layout.where(int(missing.argmax()), bare)}; they are masked."
        )
    if unknown.any():
        row = int(unknown.argmax())
        given = row if layout.order is None else int(layout.order[row])
        notes.append(
            f"Column {column.name!r} has {int(unknown.sum())} values of categories that were not fitted, the first "
            f"{shown(values.iloc[given])} for {layout.where(row, bare)}; they count as unknown."
        )
    return notes


def _constant(
    rows: np.ndarray, columns: tuple[CovariateColumn, ...], layout: Layout, bare: TimeAxis
) -> np.ndarray:
    """Return the one value of each column and series; missing rows have no say."""
    if not columns:
        return np.empty((len(layout.ids), 0))
    known = np.where(np.isnan(rows), -np.inf, rows)
    high = np.maximum.reduceat(known, layout.indptr[:-1])
    constant = np.where(np.isinf(high), np.nan, high)
    differs = rows != np.repeat(constant, np.diff(layout.indptr), axis=0)
    differs &= ~np.isnan(rows)
    if differs.any():
        row, column = (int(i) for i in np.argwhere(differs)[0])
        raise DataError(
            f"Column {columns[column].name!r} (static_covariates) must be constant for each series. It changes for "
            f"{layout.where(row, bare)}. Name it in past_covariates or future_covariates."
        )
    return constant


def read_static(
    name: Any,
    layout: Layout,
    columns: tuple[CovariateColumn, ...],
    static_df: Any,
    notes: list[str],
    *,
    fitted: bool,
) -> tuple[tuple[CovariateColumn, ...], np.ndarray]:
    """Return the static columns of ``static_df``, which has one row for each series, called ``name``."""
    if not columns:
        raise DataError(
            "static_df needs columns that are named in static_covariates. Got none of these names. "
            "Name them, or leave out static_df."
        )
    if isinstance(static_df, pd.DataFrame) and layout.named and name not in static_df.columns:
        static_df = static_df.reset_index()
    table = open_table(static_df)
    for column in (*((name,) if layout.named else ()), *(each.name for each in columns)):
        if column not in table.kinds:
            raise missing_column("static_df", column, list(table.kinds))
    where = np.zeros(1, dtype=np.int64)
    if layout.named:
        ids, codes = distinct_ids(table.column(name), f"column {name!r} of static_df")
        if len(ids) < len(codes):
            first = int(np.argmax(np.bincount(codes) > 1))
            raise DataError(
                f"static_df must have one row for each series. Got several for {shown(ids[first])}. "
                f"Keep one with static_df.drop_duplicates([{name!r}])."
            )
        where = ids.get_indexer(layout.ids)
        if (where < 0).any():
            raise DataError(
                f"static_df must have a row for each series. Got none for {shown(layout.ids[where < 0][0])} "
                f"(the first of {int((where < 0).sum())}). Add it, or leave the series out of df."
            )
    elif len(table.column(columns[0].name)) != 1:
        raise DataError(
            "static_df must have one row, for the one series of df. "
            f"Got {len(table.column(columns[0].name))}."
        )
    settled, arrays = [], []
    for each in columns:
        values = table.column(each.name)
        kind = each if fitted else settle_column(each.name, values, "static_covariates")
        array, unknown = read_column(kind, values)
        bad = np.abs(array) > 1e150
        if bad.any():
            raise DataError(
                f"Column {each.name!r} of static_df must hold numbers to compute with. Got {array[bad][0]!r}. Correct it."
            )
        if unknown[where].any():
            first = int(where[unknown[where]][0])
            notes.append(
                f"Column {each.name!r} has {int(unknown[where].sum())} values of categories that were not fitted, the "
                f"first {shown(values.iloc[first])}; they count as unknown."
            )
        settled.append(kind)
        arrays.append(array[where])
    return tuple(settled), np.stack(arrays, 1)
