"""A backtest in files: what a run that was killed needs to log it all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tsrnn.tracking.folds import Judged

from .files import write_table
from .joint import flat_forecast

if TYPE_CHECKING:
    from pathlib import Path

    from tsrnn.backtesting import BacktestResult

    from .steps import DataSummary

__all__ = ["keep", "kept"]

_TABLES = ("by_horizon", "by_series", "by_window")
_FOLDER = "tables"


def keep(folder: Path, result: BacktestResult) -> None:
    """Write forecasts, scores and errors of ``result``."""
    judged = Judged.of(result)
    write_table(folder / "backtest.parquet", result.forecasts)
    write_table(folder / "scores.csv", result.scores, index=True)
    for name in _TABLES:
        write_table(folder / _FOLDER / f"{name}.parquet", getattr(judged, name), index=True)


def kept(folder: Path, verdict: str, data: DataSummary) -> Judged:
    """Return what :func:`keep` wrote, to be logged."""
    tables = {name: pd.read_parquet(folder / _FOLDER / f"{name}.parquet") for name in _TABLES}
    return Judged(
        forecasts=flat_forecast(pd.read_parquet(folder / "backtest.parquet"), data),
        scores=pd.read_csv(folder / "scores.csv", index_col=0),
        verdict=verdict,
        **tables,
    )
