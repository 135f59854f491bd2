"""What a pipeline is: frozen dataclasses read from a YAML file in which a wrong key is an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tsrnn.exceptions import ParameterError, SpecError
from tsrnn.parameters import check_integer, check_option, check_real

from .strict import build, changed, parse

__all__ = ["BacktestSpec", "DataSpec", "ForecastSpec", "OutputSpec", "PipelineSpec", "read_spec"]


@dataclass(frozen=True)
class DataSpec:
    """Where the rows come from and what their columns mean.

    Parameters
    ----------
    loader : str, optional
        Name of a set of :mod:`tsrnn.datasets` ("us_markets"). Either this or ``path`` is given.
    arguments : dict, optional
        Arguments of that loader: ``ids`` of a set, the parameters of a generator.
    path : str, optional
        A CSV or parquet file, relative to the folder the command runs in.
    series : list, optional
        Ids to keep; all when not given.
    start : str, optional
        First time to keep; all when not given.
    id_col, time_col, target_col, freq, calendar : optional
        As in :class:`tsrnn.RNNForecaster`; recognised from the data when not given.
    unit : str, optional
        Unit of the values, written at the axes of the plots.
    """

    loader: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    series: list[str | int] | None = None
    start: str | int | None = None
    id_col: str | None = None
    time_col: str | None = None
    target_col: str | None = None
    freq: str | int | None = None
    calendar: str | list[str] | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if (self.loader is None) == (self.path is None):
            raise SpecError(
                "data needs either 'loader' (a set of tsrnn.datasets) or 'path' (a CSV or parquet file). "
                f"Got loader={self.loader!r} and path={self.path!r}."
            )
        if self.path is not None and Path(self.path).suffix.lower() not in {".csv", ".parquet"}:
            raise SpecError(f"data.path must end in .csv or .parquet. Got {self.path!r}.")
        if self.path is not None and self.arguments:
            raise SpecError(
                "data.arguments belong to data.loader. Remove them where data.path is given."
            )


@dataclass(frozen=True)
class BacktestSpec:
    """How the model is compared with the baselines before it is used.

    Parameters
    ----------
    n_windows : int, default 5
        Cutoffs, counted from the end of each series.
    step : int, optional
        Rows from one cutoff to the next; the horizon when not given.
    refit : bool or int, default False
        False fits once before the first cutoff, True at every cutoff, k at every k-th.
    """

    n_windows: int = 5
    step: int | None = None
    refit: bool | int = False

    def __post_init__(self) -> None:
        check_integer("backtest.n_windows", self.n_windows, low=1)
        check_integer("backtest.step", self.step, low=1, optional=True)
        if not isinstance(self.refit, bool):
            check_integer("backtest.refit", self.refit, low=1)


@dataclass(frozen=True)
class ForecastSpec:
    """What is forecast; the number of steps is ``model.horizon``.

    Parameters
    ----------
    level : list of float, default [80, 95]
        Central intervals in percent.
    """

    level: list[int | float] = field(default_factory=lambda: [80, 95])

    def __post_init__(self) -> None:
        for percent in self.level:
            check_real("forecast.level", percent, low=0, high=100, closed="neither")


@dataclass(frozen=True)
class OutputSpec:
    """Where the results go.

    Parameters
    ----------
    folder : str, optional
        Folder of the newest results, relative to the folder the command runs in; ``runs/<name>``
        when not given. Earlier ones stay in MLflow.
    format : {"csv", "parquet"}, default "csv"
        Kind of the forecast table.
    """

    folder: str | None = None
    format: str = "csv"

    def __post_init__(self) -> None:
        check_option("output.format", self.format, ["csv", "parquet"])


@dataclass(frozen=True)
class PipelineSpec:
    """One pipeline: data in, checked, backtested, fitted, forecast, written and tracked.

    Parameters
    ----------
    name : str
        Letters, digits, ``_``, ``-`` and ``.``; names the output folder and the experiment.
    data : DataSpec
        Where the rows come from.
    model : dict, optional
        Parameters of :class:`tsrnn.RNNForecaster`.
    backtest, forecast, output : optional
        See :class:`BacktestSpec`, :class:`ForecastSpec`, :class:`OutputSpec`.
    experiment : str, optional
        MLflow experiment; ``name`` when not given.
    """

    name: str
    data: DataSpec
    model: dict[str, Any] = field(default_factory=dict)
    backtest: BacktestSpec = field(default_factory=BacktestSpec)
    forecast: ForecastSpec = field(default_factory=ForecastSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    experiment: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", self.name):
            raise SpecError(
                f"name must be letters, digits, '_', '-' or '.', at most 128 of them. Got {self.name!r}."
            )
        double = sorted(set(self.model) & {"id_col", "time_col", "target_col", "freq", "calendar"})
        if double:
            raise SpecError(f"{double[0]!r} belongs under 'data', not under 'model'.")

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return Path(self.output.folder or f"runs/{self.name}")

    @property
    def experiment_name(self) -> str:
        """MLflow experiment of the runs."""
        return self.experiment or self.name


def read_spec(path: str | Path, changes: Sequence[str] = ()) -> PipelineSpec:
    """Read a spec and apply ``key=value`` changes to it.

    Parameters
    ----------
    path : str or Path
        YAML file.
    changes : sequence of str, optional
        ``"model.max_steps=200"``: dotted key, equals sign, YAML value.

    Returns
    -------
    PipelineSpec

    Raises
    ------
    SpecError
        The file can't be read, is no YAML, or has a key or value that a spec can't have.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"Can't read the spec {str(path)!r}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"The spec {str(path)!r} is no UTF-8 text: {error}.") from error
    content = parse(text, f"The spec {str(path)!r}")
    try:
        for change in changes:
            content = changed(content, change)
        return build(PipelineSpec, content, "")
    except (SpecError, ParameterError) as error:
        raise SpecError(f"{path}: {error}") from error
