"""Series without a history: named by their static attributes, dated by what is known of their future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, DataWarning, FrequencyError, shown, warn
from tsrnn.frames.beside import read_static
from tsrnn.frames.columns import missing_column
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.future import read_rows_ahead
from tsrnn.frames.layout import Layout, distinct_ids
from tsrnn.frames.tables import open_table
from tsrnn.panel import Panel, PanelCovariates

__all__ = ["read_newcomers"]


def read_newcomers(
    static_df: Any, future_df: Any, form: FrameFormat, axis: TimeAxis, *, fitted: Panel
) -> Panel:
    """Return series that have no history yet: of each, one row without a value before its first step.

    Parameters
    ----------
    static_df : frame
        One row for each series: its name and the columns of ``static_covariates``.
    future_df : frame, optional
        The first stamp of a series here is its first step; series that it does not hold begin after the
        newest fitted row.
    form : FrameFormat
    axis : TimeAxis
    fitted : Panel
        Newest rows of the series that were fitted, which are refused.
    """
    if not form.has_ids:
        raise DataError(
            "Series without a history need names: static_df without df must hold series that were not fitted. "
            "Got a forecaster of one series without a name. Give df."
        )
    if isinstance(static_df, pd.DataFrame) and form.id_name not in static_df.columns:
        static_df = static_df.reset_index()
    table = open_table(static_df)
    if form.id_name not in table.kinds:
        raise missing_column("static_df", form.id_name, list(table.kinds))
    column = table.column(form.id_name)
    if len(column) == 0:
        raise DataError("static_df needs at least one row. Got a frame without rows.")
    ids, _ = distinct_ids(column, f"column {form.id_name!r} of static_df")
    known = fitted.things().ids.get_indexer(ids) >= 0
    if known.any():
        raise DataError(
            f"static_df without df must hold series that were not fitted. Got {shown(ids[known][0])} (the first of "
            f"{int(known.sum())}), which has a history. Leave it out: predict() forecasts it."
        )
    count = len(ids)
    layout = Layout(ids, np.arange(count + 1), np.zeros(count, dtype=np.int64))
    notes: list[str] = []
    _, static = read_static(
        form.id_name, layout, form.covariates.static, static_df, notes, fitted=True
    )
    if notes:
        warn(" ".join(notes), DataWarning)
    before = np.full(count, fitted.last_times.max())
    columns = len(form.covariates.future), len(form.covariates.past)
    panel = Panel(
        np.full(count, np.nan),
        layout.indptr,
        ids,
        before,
        axis,
        covariates=PanelCovariates(
            np.full((count, columns[0]), np.nan),
            np.full((count, columns[1]), np.nan),
            static,
            np.empty((count, 0, columns[0])),
        ),
    )
    if future_df is not None:
        before[:] = _before_first(future_df, panel, form)
    return panel


def _before_first(future_df: Any, panel: Panel, form: FrameFormat) -> np.ndarray:
    """Return the stamp one step before the first of each series in ``future_df``."""
    axis = panel.axis
    rows = read_rows_ahead(future_df, panel, form)
    first = np.full(len(panel), np.iinfo(np.int64).max)
    np.minimum.at(first, rows.series, rows.times)
    dated = first < np.iinfo(np.int64).max
    before = panel.times.copy()
    start = first[dated]
    before[dated] = axis.stamp(axis.position(start) - axis.step, start)
    wrong = axis.future(before[dated], 1)[:, 0] != start
    if wrong.any():
        raise FrequencyError(
            f"Times in future_df must follow the fitted frequency {axis.freq!r}. Got {axis.label(start[wrong][0])} "
            f"for series {shown(panel.ids[dated][wrong][0])}. Correct its times."
        )
    return before
