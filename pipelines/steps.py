"""The steps of a run, each a function from plain values to plain values."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tsrnn.frames import read_panel

from tsrnn.exceptions import DataError, SpecError

from .files import write_figure, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tsrnn.backtest import BacktestResult

    from tsrnn.forecaster import RNNForecaster

    from .spec import BacktestSpec, DataSpec, PipelineSpec

__all__ = ["DataSummary", "backtest", "check", "draw", "load", "make_forecaster", "write"]


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


def load(data: DataSpec, *, as_of: str | None = None) -> pd.DataFrame:
    """Return the rows of ``data``, as they were known at ``as_of``.

    Parameters
    ----------
    data : DataSpec
        Loader or file, and what to keep of it.
    as_of : str, optional
        Last time to keep; all when not given.

    Returns
    -------
    pandas.DataFrame
        Long frame: time, target and, for several series, id; other columns as they come.

    Raises
    ------
    SpecError
        There is no such loader, or it takes other arguments.
    DataError
        The file can't be read, or no rows are left.
    """
    frame = _read_loader(data) if data.path is None else _read_file(data)
    if data.series is not None:
        frame = _keep_series(frame, data)
    if data.start is not None or as_of is not None:
        frame = _keep_times(frame, data, start=data.start, stop=as_of)
    if frame.empty:
        raise DataError("No rows are left. Widen data.start, data.series or --as-of.")
    return frame.reset_index(drop=True)


def make_forecaster(spec: PipelineSpec) -> RNNForecaster:
    """Return the unfitted forecaster of ``spec``.

    Raises
    ------
    SpecError
        ``model`` has a key that is no parameter of RNNForecaster.
    """
    from tsrnn.forecaster import RNNForecaster

    known = list(inspect.signature(RNNForecaster).parameters)
    for key in spec.model:
        if key not in known:
            raise SpecError(f"RNNForecaster has no parameter 'model.{key}'.{_hint(key, known)}")
    data = spec.data
    return RNNForecaster(
        **spec.model,
        id_col=data.id_col,
        time_col=data.time_col,
        target_col=data.target_col,
        freq=data.freq,
        calendar=data.calendar,
    )


def check(forecaster: RNNForecaster, frame: pd.DataFrame) -> DataSummary:
    """Pass parameters and rows through the checks that ``fit`` makes; nothing is trained.

    Raises
    ------
    ParameterError
        A parameter of the model can't be used.
    DataError
        The rows can't be used; the message names column, series, time and the way out.
    """
    from tsrnn.checks import check_forecaster_parameters

    check_forecaster_parameters(forecaster)
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
    from tsrnn.backtest import backtest as roll

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


# ---- reading -------------------------------------------------------------------------------------


def _read_loader(data: DataSpec) -> pd.DataFrame:
    from tsrnn import datasets

    sets = datasets.catalogue().set_index("name")["comes_from"]
    if data.loader not in sets.index:
        raise SpecError(
            f"There is no data set {data.loader!r}.{_hint(str(data.loader), list(sets.index))} "
            "tsrnn.datasets.catalogue() lists them all."
        )
    try:
        if sets[data.loader] == "generator":
            return getattr(datasets, data.loader)(**data.arguments)
        return datasets.load(data.loader, **data.arguments)
    except TypeError as error:
        raise SpecError(f"data.arguments of {data.loader!r}: {error}.") from error
    except ValueError as error:
        raise DataError(f"data.loader {data.loader!r}: {error}") from error


def _read_file(data: DataSpec) -> pd.DataFrame:
    path = Path(str(data.path))
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        text = {data.id_col: str} if data.id_col else None  # "007" stays "007"
        frame = pd.read_csv(path, dtype=text)
    except OSError as error:
        raise DataError(
            f"Can't read data.path {str(path)!r}: {error.strerror or error}."
        ) from error
    except Exception as error:  # pandas and pyarrow raise many kinds for a damaged file
        raise DataError(f"data.path {str(path)!r} is no readable table: {error}") from error
    return _with_times(frame, data)


def _with_times(frame: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    """Return ``frame`` with the time column of a CSV read as dates (ISO 8601) where it is text."""
    column = data.time_col
    if column is None:
        texts = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
        column = next((c for c in texts if str(c).lower() in _TIME_NAMES), None)
    if (
        column is None
        or column not in frame.columns
        or pd.api.types.is_numeric_dtype(frame[column])
    ):
        return frame
    try:
        return frame.assign(**{column: pd.to_datetime(frame[column], format="ISO8601")})
    except ValueError as error:
        raise DataError(
            f"The time column {column!r} of {data.path!r} must hold ISO dates such as 2024-12-31 or "
            f"2024-12-31T18:30. {error}"
        ) from error


_TIME_NAMES = {"ds", "time", "timestamp", "date", "datetime"}


def _keep_series(frame: pd.DataFrame, data: DataSpec) -> pd.DataFrame:
    column = data.id_col or ("unique_id" if "unique_id" in frame.columns else None)
    if column is None or column not in frame.columns:
        raise SpecError("data.series needs data.id_col: the column that names the series.")
    present = list(pd.unique(frame[column]))
    for name in data.series or []:
        if name not in present:
            raise DataError(
                f"Series {name!r} of data.series is not in the data."
                f"{_hint(str(name), [str(p) for p in present])} Got {len(present)} series, first {present[:5]}."
            )
    return frame[frame[column].isin(data.series)]


def _keep_times(
    frame: pd.DataFrame, data: DataSpec, *, start: str | int | None, stop: str | int | None
) -> pd.DataFrame:
    column = data.time_col or _only_time(frame)
    if column not in frame.columns:
        raise DataError(f"There is no time column {column!r}. Got columns {list(frame.columns)}.")
    times = frame[column]
    for word, bound in (("data.start", start), ("--as-of", stop)):
        if bound is None:
            continue
        limit = _bound(bound, times, word)
        frame = frame[times >= limit] if bound is start else frame[times <= limit]
        times = frame[column]
    return frame


def _only_time(frame: pd.DataFrame) -> str:
    kinds = ("datetime64", "datetimetz")
    found = [c for c in frame.columns if isinstance(frame[c].dtype, pd.PeriodDtype)]
    found += list(frame.select_dtypes(include=kinds).columns)
    if len(found) != 1:
        raise SpecError(f"--as-of and data.start need data.time_col. Candidates: {found}.")
    return str(found[0])


def _bound(value: str | int, times: pd.Series, word: str) -> Any:
    """Return ``value`` as a time comparable with ``times``; a plain date means the whole day."""
    try:
        if pd.api.types.is_numeric_dtype(times):
            return int(value)
        if isinstance(times.dtype, pd.PeriodDtype):
            return pd.Period(str(value), freq=times.dtype.freq)
        limit = pd.Timestamp(str(value))
        zone = getattr(times.dt, "tz", None)
        if zone is not None:
            limit = limit.tz_localize(zone) if limit.tzinfo is None else limit.tz_convert(zone)
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"{word} must be a time such as {times.iloc[0] if len(times) else '2024-12-31'}. Got {value!r}."
        ) from error
    whole_day = word == "--as-of" and len(str(value)) == len("2024-12-31")
    return limit + pd.Timedelta(days=1) - pd.Timedelta(1, "us") if whole_day else limit


def _hint(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""
