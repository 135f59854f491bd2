"""What is known in advance: the rows after each history, read, checked for completeness, or made to be filled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrnn.exceptions import DataError, DataWarning, shown, warn
from tsrnn.frames.beside import place
from tsrnn.frames.columns import missing_column
from tsrnn.frames.covariates import CovariateColumn, read_column
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.layout import distinct_ids
from tsrnn.frames.stamps import in_unit_of, read_stamps
from tsrnn.frames.tables import Table, open_table
from tsrnn.panel import Panel

__all__ = ["RowsAhead", "covariate_values", "make_future", "read_future", "read_rows_ahead"]

SHOWN = 5  # missing rows that an error lists


def read_future(
    future_df: Any, panel: Panel, form: FrameFormat, *, needed: int, wanted: int
) -> np.ndarray:
    """Return the covariates of the steps after each series.

    Parameters
    ----------
    future_df : frame, or None
        Series, time and the columns known in advance; other rows and columns are not read. None: what
        came with the history.
    panel : Panel
        The histories.
    form : FrameFormat
    needed, wanted : int
        Steps that must be known, and steps that may be.

    Returns
    -------
    ndarray of float64, shape (series, wanted, column)

    Raises
    ------
    DataError
        A row or a value is missing; the message lists the first of them.
    """
    if panel.channels > 1:  # they have it in common
        known = read_future(future_df, panel.things(), form, needed=needed, wanted=wanted)
        return known.repeat(panel.channels, 0)
    if panel.covariates is None:
        raise ValueError("future covariates need a panel with covariates")
    stamps = panel.axis.future(panel.last_times, wanted)
    ahead = np.full((*stamps.shape, len(form.covariates.future)), np.nan)
    came = panel.covariates.ahead[:, :wanted]
    ahead[:, : came.shape[1]] = came
    if future_df is not None:
        rows = read_rows_ahead(future_df, panel, form)
        given = place(stamps, rows.series, rows.times, _columns(rows, panel, form))
        ahead = np.where(np.isnan(given), ahead, given)
    missing = np.isnan(ahead[:, :needed])
    if missing.any():
        raise _incomplete(missing, stamps, panel, form)
    return ahead


def make_future(panel: Panel, form: FrameFormat, horizon: int) -> Any:
    """Return the frame of the steps after each series, with what is known of the columns to fill.

    See :meth:`tsrnn.RNNForecaster.make_future`.
    """
    panel = panel.things()
    stamps = panel.axis.future(panel.last_times, horizon)
    columns: dict[Any, np.ndarray] = {}
    known = np.full((*stamps.shape, len(form.covariates.future)), np.nan)
    if panel.covariates is not None:
        came = panel.covariates.ahead[:, :horizon]
        known[:, : came.shape[1]] = came
    for i, column in enumerate(form.covariates.future):
        columns[column.name] = _decoded(column, known[:, :, i])
    return form.write_rows(panel.ids, stamps, panel.axis, columns)


def covariate_values(panel: Panel, form: FrameFormat) -> dict[Any, np.ndarray]:
    """Return the covariates of the rows of a panel by name, as the caller wrote them, each (rows,)."""
    if panel.covariates is None:
        return {}
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    columns, given = form.covariates, panel.covariates
    kinds = (
        (columns.future, given.future),
        (columns.past, given.past),
        (columns.static, given.static[series]),
    )
    return {
        column.name: _decoded(column, rows[:, i])
        for some, rows in kinds
        for i, column in enumerate(some)
    }


def _decoded(column: CovariateColumn, values: np.ndarray) -> np.ndarray:
    if column.categories is None:
        return values
    names = np.array([None, *column.categories], dtype=object)
    return names[np.nan_to_num(values).astype(int)]


class RowsAhead(NamedTuple):
    """The rows of ``future_df`` whose series are in a panel.

    ``here`` says which rows of the table they are; ``series`` and ``times`` are theirs.
    """

    table: Table
    here: np.ndarray
    series: np.ndarray
    times: np.ndarray


def read_rows_ahead(df: Any, panel: Panel, form: FrameFormat) -> RowsAhead:
    """Return the rows whose series are in the panel."""
    parameter = "future_df"
    if isinstance(df, pd.DataFrame):
        names = [name for name in df.index.names if name is not None]
        if form.kind == "indexed" or form.time_in_index or form.time_name in names:
            df = df.reset_index()
    table = open_table(df)
    columns = [column.name for column in form.covariates.future]
    time_name = "index" if form.time_name is None else form.time_name
    for name in (*((form.id_name,) if form.has_ids else ()), time_name, *columns):
        if name not in table.kinds:
            raise missing_column(parameter, name, list(table.kinds))
    said = f"column {time_name!r} of future_df"
    times = in_unit_of(panel.axis, read_stamps(table.column(time_name), said), said).times
    series = np.zeros(len(times), dtype=np.int64)
    if form.has_ids:
        ids, codes = distinct_ids(
            table.column(form.id_name), f"column {form.id_name!r} of {parameter}"
        )
        series = panel.ids.get_indexer(ids)[codes]
    here = series >= 0
    series, times = series[here], times[here]
    twice = pd.MultiIndex.from_arrays([series, times]).duplicated()
    if twice.any():
        row = int(twice.argmax())
        raise DataError(
            f"{parameter} must have one row per series and time. Got several for "
            f"{_pair(panel, form, series[row], times[row])}. Keep one with future_df.drop_duplicates([...])."
        )
    return RowsAhead(table, here, series, times)


def _columns(rows: RowsAhead, panel: Panel, form: FrameFormat) -> np.ndarray:
    """Return the columns known in advance of some rows, shape (row, column)."""
    parameter, arrays = "future_df", []
    table, here, series, times = rows
    for column in form.covariates.future:
        values = table.column(column.name)
        array, unknown = read_column(column, values)
        if (np.abs(array[here]) > 1e150).any():
            row = int((np.abs(array[here]) > 1e150).argmax())
            raise DataError(
                f"Column {column.name!r} of {parameter} must hold numbers to compute with. Got {array[here][row]!r} for "
                f"{_pair(panel, form, series[row], times[row])}. Correct it."
            )
        if unknown[here].any():
            row = int(unknown[here].argmax())
            warn(
                f"Column {column.name!r} of {parameter} has {int(unknown[here].sum())} values of categories that were not "
                f"fitted, the first {shown(values.iloc[int(np.flatnonzero(here)[row])])} for "
                f"{_pair(panel, form, series[row], times[row])}; they count as unknown.",
                DataWarning,
            )
        arrays.append(array[here])
    return np.stack(arrays, 1)


def _pair(panel: Panel, form: FrameFormat, series: int, time: int) -> str:
    label = panel.axis.label(time)
    return f"({shown(panel.ids[series])}, {label})" if form.has_ids else label


def _incomplete(
    missing: np.ndarray, stamps: np.ndarray, panel: Panel, form: FrameFormat
) -> DataError:
    names = [column.name for column in form.covariates.future]
    cells = np.argwhere(missing.any(2))
    shown = ", ".join(_pair(panel, form, i, stamps[i, k]) for i, k in cells[:SHOWN])
    more = f", ... ({len(cells)} in all)" if len(cells) > SHOWN else ""
    gone = [name for i, name in enumerate(names) if missing[:, :, i].any()]
    what = "series and time" if form.has_ids else "time"
    return DataError(
        f"A forecast of {missing.shape[1]} steps needs the future covariates {names} at every one of them. Got none of "
        f"{gone} for these values of {what}: {shown}{more}. Fill the frame of make_future() and give it as future_df=, or "
        "append rows without a target to df."
    )
