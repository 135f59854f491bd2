"""Joint targets as series of their own, for what looks at one value at a time: reports, figures, monitoring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from tsrnn.frames.joint import each_target

if TYPE_CHECKING:
    from .steps import DataSummary

__all__ = ["each_series", "flat_forecast", "flat_rows"]

VALUE = "value"


def each_series(data: DataSummary) -> DataSummary:
    """Return the columns of :func:`flat_rows`; ``data`` itself where there is one target."""
    if not data.targets:
        return data
    return replace(data, id_col=data.id_col or "target", target_col=VALUE, targets=[])


def flat_rows(frame: pd.DataFrame, data: DataSummary) -> pd.DataFrame:
    """Return the rows with one value each."""
    if not data.targets:
        return frame
    keys = [data.time_col] if data.id_col is None else [data.id_col, data.time_col]
    rows = frame[[*keys, *data.targets]]
    rows = rows.rename(columns={target: f"actual-{target}" for target in data.targets})
    return each_target(rows, data.targets, data.id_col).rename(columns={"actual": VALUE})


def flat_forecast(forecast: pd.DataFrame, data: DataSummary) -> pd.DataFrame:
    """Return a forecast or backtest with one value and its intervals in each row."""
    return each_target(forecast, data.targets, data.id_col) if data.targets else forecast
