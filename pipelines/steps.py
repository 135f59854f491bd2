"""The steps of a run after loading, each a function from plain values to plain values."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrnn.backtesting.folds import cut_windows
from tsrnn.exceptions import SpecError
from tsrnn.frames import read_panel

from .files import write_bytes, write_table
from .joint import each_series, flat_forecast, flat_rows
from .strict import hint

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from tsrnn.backtesting import BacktestResult
    from tsrnn.forecaster import RNNForecaster

    from .sections import BacktestSpec
    from .spec import PipelineSpec

__all__ = [
    "FIGURES",
    "DataSummary",
    "check",
    "draw_backtest",
    "draw_forecast",
    "make_forecaster",
    "publish",
]

FIGURES = ("forecast", "backtest", "skill")


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
    targets : list of str
        Columns that are forecast together; empty where there is one target.
    tags : dict of str to str
        Size, span and fingerprint, as every run in MLflow has them.
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
    tags: dict[str, str]
    targets: list[str] = field(default_factory=list)


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


def check(
    forecaster: RNNForecaster, frame: pd.DataFrame, folds: BacktestSpec | None = None
) -> DataSummary:
    """Pass the rows through the gate, as ``fit`` does, and see that they hold the ``folds``; nothing is trained.

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
    from tsrnn.tracking.record import data_tags

    horizon = panel.axis.horizon if forecaster.horizon is None else forecaster.horizon
    if folds is not None:
        cut_windows(
            panel.lengths,
            horizon=horizon,
            n_windows=folds.n_windows,
            step=folds.step or horizon,
            least=horizon,
        )
    return DataSummary(
        n_series=len(panel) // panel.channels,
        n_rows=len(panel.values) // panel.channels,
        n_missing=int(np.isnan(panel.values.astype(float)).sum()),
        start=panel.axis.label(panel.times.min()),
        end=panel.axis.label(panel.times.max()),
        freq=str(panel.axis.freq),
        horizon=horizon,
        id_col=names.id_name if names.has_ids else None,
        time_col=names.time_name,
        target_col=", ".join(map(str, names.targets or (names.target_name,))),
        tags=data_tags(panel),
        targets=list(names.targets),
    )


def draw_backtest(result: BacktestResult, *, unit: str | None = None) -> dict[str, Figure]:
    """Return the figures of a backtest: folds, error by steps ahead."""
    from tsrnn.plotting import plot_backtest, plot_skill
    from tsrnn.tracking.folds import Judged

    shown: Any = Judged.of(result)  # frozen, where the protocol of drawing has a plain attribute
    return {
        "backtest": plot_backtest(shown, unit=unit),
        "skill": plot_skill(result.by_horizon, unit=unit),
    }


def draw_forecast(
    frame: pd.DataFrame, forecast: pd.DataFrame, data: DataSummary, *, unit: str | None = None
) -> Figure:
    """Return the figure of a forecast after its history."""
    from tsrnn.plotting import plot_forecast

    shown = each_series(data)
    return plot_forecast(
        flat_rows(frame, data),
        flat_forecast(forecast, data),
        id_col=shown.id_col,
        time_col=shown.time_col,
        target_col=shown.target_col,
        title=f"Forecast of {data.horizon} steps after {data.end}",
        unit=unit,
    )


def publish(
    source: Path, target: Path, *, table_format: str, model: RNNForecaster
) -> dict[str, Path]:
    """Make the results of one date the newest ones and return name -> path.

    Each file is replaced as a whole. What this date has none of (a backtest, figures) is removed, so
    that nothing of an earlier date stands beside it.

    Parameters
    ----------
    source, target : Path
        Folder of the date, and of the newest results.
    table_format : {"csv", "parquet"}
        Kind of the forecast and backtest tables.
    model : RNNForecaster
        What forecast; goes to the folder ``model``.
    """
    files = {}
    for name in ("forecast", "backtest"):
        table = source / f"{name}.parquet"
        goal = target / f"{name}.{table_format}"
        if table.is_file():
            files[name] = write_table(goal, pd.read_parquet(table))
        else:
            goal.unlink(missing_ok=True)
    for name in ("scores.csv", *(f"{figure}.png" for figure in FIGURES)):
        if (source / name).is_file():
            label = name.removesuffix(".csv").replace(".png", " plot")
            files[label] = write_bytes(target / name, (source / name).read_bytes())
        else:
            (target / name).unlink(missing_ok=True)
    model.save(target / "model")
    return files | {"model": target / "model"}
