"""Several targets of one series as channels of a panel, and their columns in what is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.panel import Panel, PanelCovariates

if TYPE_CHECKING:
    from tsrnn.frames.formats import FrameFormat

__all__ = ["channel_ids", "each_target", "interleave", "target_column"]


def interleave(panel: Panel, values: list[np.ndarray], form: FrameFormat) -> Panel:
    """Return the panel whose series ``i * channels + c`` is channel ``c`` of series ``i`` of ``panel``.

    Parameters
    ----------
    panel : Panel
        Steps, names, weights and covariates, which the channels have in common.
    values : list of ndarray of shape (rows,)
        Of each channel.
    form : FrameFormat
        Its ``targets`` are the names of the channels.
    """
    count, series, rows = len(values), len(panel), len(panel.values)
    starts = panel.indptr[:-1] + rows * np.arange(count)[:, None]
    beside = panel.covariates
    if beside is not None:
        beside = PanelCovariates(
            np.tile(beside.future, (count, 1)),
            np.tile(beside.past, (count, 1)),
            np.tile(beside.static, (count, 1)),
            np.tile(beside.ahead, (count, 1, 1)),
        )
    one_after_the_other = replace(
        panel,
        values=np.concatenate(values),
        indptr=np.append(starts.ravel(), count * rows),
        ids=pd.RangeIndex(count * series),
        times=np.tile(panel.times, count),
        weights=None if panel.weights is None else np.tile(panel.weights, count),
        covariates=beside,
        channels=count,
    )
    by_thing = np.arange(count * series).reshape(count, series).T.ravel()
    neighbours = one_after_the_other if series == 1 else one_after_the_other.select(by_thing)
    return replace(neighbours, ids=channel_ids(panel.ids, form))


def channel_ids(ids: pd.Index, form: FrameFormat) -> pd.Index:
    """Return the names of all channels: pairs (series, target), or targets where series have no name."""
    if form.has_ids:
        return pd.MultiIndex.from_product([ids, form.targets])
    return pd.Index(form.targets, tupleize_cols=False)


def target_column(name: str, target: Any) -> str:
    """Return a column's name for one of several targets.

    >>> target_column("forecast-lo-80", "pressure")
    'forecast-pressure-lo-80'
    """
    kind, *rest = name.split("-", 1)
    return "-".join([kind, str(target), *rest])


def each_target(frame: pd.DataFrame, targets: Sequence[Any], id_col: Any = None) -> pd.DataFrame:
    """Return a forecast or backtest of several targets as one of series with one target each.

    Parameters
    ----------
    frame : pandas.DataFrame
        With columns such as ``forecast-<target>`` and ``actual-<target>``.
    targets : sequence
        Their names.
    id_col : str, optional
        Column of the series, which comes back as text, "series target"; without it the column "target".
    """
    parts = []
    for target in targets:
        form = re.compile(
            rf"(actual|forecast)-{re.escape(str(target))}((?:-lo-|-hi-|-q)[\d.]+)?", re.ASCII
        )
        found = {column: form.fullmatch(str(column)) for column in frame.columns}
        own = {column: f"{m[1]}{m[2] or ''}" for column, m in found.items() if m}
        beside = [c for c in frame.columns if not str(c).startswith(("actual-", "forecast-"))]
        part = frame[[*beside, *own]].rename(columns=own)
        if id_col is None:
            part.insert(0, "target", str(target))
        else:
            part[id_col] = part[id_col].astype(str) + f" {target}"
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
