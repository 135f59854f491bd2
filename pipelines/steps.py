"""The steps of a run after loading, each a function from plain values to plain values."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.exceptions import SpecError
from tsrnn.frames import read_panel

from .files import write_figure, write_table
from .strict import hint

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from tsrnn.backtesting import BacktestResult
    from tsrnn.forecaster import RNNForecaster

    from .spec import BacktestSpec, PipelineSpec

__all__ = ["DataSummary", "backtest", "check", "draw", "make_forecaster", "write"]


@dataclass(frozen=True)
class DataSummary:
    """What the gate found in the data.

    Parameters
    ----------
    n_series, n_rows, n_missing : int
        Series, steps of all of them, and how many of those have no value.
    start, end : str
        First and last time.
    freq : str
        Length of a step.
    horizon : int
        Steps that will be forecast.
    id_col, time_col, target_col : str
        Columns as given or recognised; ``id_col`` is None where the frame is one series.
    """

    n_series: int
    n_rows: int
    n_missing: int
    start: str
    end: str
    freq: str
    horizon: int
    id_col: str | None
    time_col: str
    target_col: str


def make_forecaster(spec: PipelineSpec) -> RNNForecaster:
    """Return the unfitted forecaster of ``spec``.

    Raises
    ------
    SpecError
        ``model`` has a key that is no parameter of RNNForecaster.
    ParameterError
        A parameter can't be used, or the model can't forecast the levels of ``forecast``.
    """
    from tsrnn.checks import check_forecaster_parameters, check_probabilities
    from tsrnn.forecaster import RNNForecaster
    from tsrnn.intervals import interval_columns

    known = list(inspect.signature(RNNForecaster).parameters)
    for key in spec.model:
        if key not in known:
            raise SpecError(f"RNNForecaster has no parameter 'model.{key}'.{hint(key, known)}")
    data = spec.data
    forecaster = RNNForecaster(
        **spec.model,
        id_col=data.id_col,
        time_col=data.time_col,
        target_col=data.target_col,
        freq=data.freq,
        calendar=data.calendar,
    )
    check_forecaster_parameters(forecaster)
    asked = tuple(interval_columns(spec.forecast.level, None).values())
    check_probabilities(forecaster, asked, "The levels of 'forecast'")
    return forecaster


def check(forecaster: RNNForecaster, frame: pd.DataFrame) -> DataSummary:
    """Pass the rows through the gate, as ``fit`` does; nothing is trained.

    Raises
    ------
    DataError
        The rows can't be used; the message names column, series, time and the way out.
    """
    panel, names = read_panel(
        frame,
        id_col=forecaster.id_col,
        time_col=forecaster.time_col,
        target_col=forecaster.target_col,
        freq=forecaster.freq,
        calendar=forecaster.calendar,
        weight_col=forecaster.weight_col,
    )
    return DataSummary(
        n_series=len(panel),
        n_rows=len(panel.values),
        n_missing=int(np.isnan(panel.values.astype(float)).sum()),
        start=panel.axis.label(panel.times.min()),
        end=panel.axis.label(panel.times.max()),
        freq=str(panel.axis.freq),
        horizon=panel.axis.horizon if forecaster.horizon is None else forecaster.horizon,
        id_col=names.id_name if names.has_ids else None,
        time_col=names.time_name,
        target_col=names.target_name,
    )


def backtest(
    forecaster: RNNForecaster, frame: pd.DataFrame, spec: BacktestSpec, *, level: list[float]
) -> BacktestResult:
    """Return how the model and the baselines did at the cutoffs of ``spec``."""
    from tsrnn.backtesting import backtest as roll

    return roll(
        forecaster, frame, n_windows=spec.n_windows, step=spec.step, refit=spec.refit, level=level
    )


def draw(
    frame: pd.DataFrame,
    forecast: pd.DataFrame,
    result: BacktestResult,
    data: DataSummary,
    *,
    unit: str | None = None,
) -> dict[str, Figure]:
    """Return the figures of a run: forecast, backtest folds, error by steps ahead."""
    from tsrnn.plotting import plot_backtest, plot_forecast, plot_skill

    fan = plot_forecast(
        frame,
        forecast,
        id_col=data.id_col,
        time_col=data.time_col,
        target_col=data.target_col,
        title=f"Forecast of {data.horizon} steps after {data.end}",
        unit=unit,
    )
    folds = plot_backtest(result, unit=unit)
    return {"forecast": fan, "backtest": folds, "skill": plot_skill(result.by_horizon, unit=unit)}


def write(
    folder: Path,
    *,
    forecast: pd.DataFrame,
    result: BacktestResult,
    figures: dict[str, Any],
    forecaster: RNNForecaster,
    table_format: str,
) -> dict[str, Path]:
    """Write what a run leaves behind and return name -> path. Each file is replaced as a whole.

    Parameters
    ----------
    folder : Path
        Created where needed.
    forecast : pandas.DataFrame
        Goes to ``forecast.csv`` or ``forecast.parquet``.
    result : BacktestResult
        Its scores go to ``scores.csv``, its forecasts beside them.
    figures : dict of str to matplotlib Figure
        Each goes to ``<name>.png``.
    forecaster : RNNForecaster
        Goes to the folder ``model``.
    table_format : {"csv", "parquet"}
    """
    files = {
        "forecast": write_table(folder / f"forecast.{table_format}", forecast),
        "backtest": write_table(folder / f"backtest.{table_format}", result.forecasts),
        "scores": write_table(folder / "scores.csv", result.scores, index=True),
    }
    for name, figure in figures.items():
        files[f"{name} plot"] = write_figure(folder / f"{name}.png", figure)
    forecaster.save(folder / "model")
    return files | {"model": folder / "model"}
