"""The sections of a spec: frozen dataclasses that check their own values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tsrnn.exceptions import SpecError
from tsrnn.parameters import check_integer, check_option, check_real

__all__ = [
    "BacktestSpec",
    "DataSpec",
    "FitSpec",
    "ForecastSpec",
    "GateSpec",
    "MonitorSpec",
    "OutputSpec",
    "ScheduleSpec",
]

_TABLES = {".csv", ".parquet"}


@dataclass(frozen=True)
class DataSpec:
    """Where the rows come from and what their columns mean.

    Parameters
    ----------
    loader : str, optional
        Name of a set of :mod:`tsrnn.datasets` ("us_markets"). One of this, ``path`` and ``query``
        is given.
    arguments : dict, optional
        Arguments of that loader: ``ids`` of a set, the parameters of a generator.
    path : str or list of str, optional
        CSV or parquet files, relative to the folder the command runs in; ``*`` and ``?`` stand for
        any letters.
    query : str, optional
        A SELECT; ``:as_of`` in it stands for the date of the run.
    url : str, optional
        SQLAlchemy's address of the database of ``query``; ``${NAME}`` is an environment variable.
    series : list, optional
        Ids to keep; all when not given.
    start : str, optional
        First time to keep; all when not given.
    id_col, time_col, target_col, freq, calendar : optional
        As in :class:`tsrnn.RNNForecaster`; recognised from the data when not given. A list of targets is
        forecast together.
    unit : str, optional
        Unit of the values, written at the axes of the plots.
    """

    loader: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    path: str | list[str] | None = None
    query: str | None = None
    url: str | None = None
    series: list[str | int] | None = None
    start: str | int | None = None
    id_col: str | None = None
    time_col: str | None = None
    target_col: str | list[str] | None = None
    freq: str | int | None = None
    calendar: str | list[str] | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        sources = (self.loader, self.path, self.query)
        if sum(source is not None for source in sources) != 1:
            raise SpecError(
                "data needs either 'loader' (a set of tsrnn.datasets), or 'path' (CSV or parquet files), or "
                f"'query' (SQL, with 'url'). Got loader={self.loader!r}, path={self.path!r}, query={self.query!r}."
            )
        if (self.query is None) != (self.url is None):
            raise SpecError(
                f"data.query and data.url belong together. Got query={self.query!r} and url={self.url!r}."
            )
        if self.path is not None and not self.paths:
            raise SpecError("data.path must name at least one file. Got [].")
        for path in self.paths:
            if Path(path).suffix.lower() not in _TABLES:
                raise SpecError(f"data.path must end in .csv or .parquet. Got {path!r}.")
        if self.loader is None and self.arguments:
            raise SpecError(
                "data.arguments belong to data.loader. Remove them where data.path or data.query is given."
            )

    @property
    def paths(self) -> list[str]:
        """The files or patterns of ``path``."""
        if self.path is None:
            return []
        return [self.path] if isinstance(self.path, str) else self.path


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
class FitSpec:
    """When a model is trained.

    Parameters
    ----------
    when : {"always", "due"}, default "always"
        "always" trains a challenger in every run. With "due" the champion's state is moved on by the
        rows that came since it was fitted, and it forecasts; a challenger is trained where monitoring
        asks for one, or where the champion can't forecast these rows.
    every : int, optional
        With "due": also after this many steps of the data.
    """

    when: str = "always"
    every: int | None = None

    def __post_init__(self) -> None:
        check_option("fit.when", self.when, ["always", "due"])
        check_integer("fit.every", self.every, low=1, optional=True)
        if self.every is not None and self.when == "always":
            raise SpecError("fit.every goes with 'when: due'. Got when='always'.")


@dataclass(frozen=True)
class GateSpec:
    """When a challenger may forecast, and when it replaces the champion.

    Parameters
    ----------
    metric : {"mase", "mae", "rmse", "smape", "crps", "pinball"}, default "mase"
        What is compared, on the folds of the backtest.
    margin : float, default 0
        Percent by which a challenger must be better than the champion.
    beat : {"naive", "seasonal_naive", "drift", "theta"}, optional
        A challenger that is not better than this method is refused.
    """

    metric: str = "mase"
    margin: int | float = 0
    beat: str | None = None

    def __post_init__(self) -> None:
        check_option(
            "gate.metric", self.metric, ["mase", "mae", "rmse", "smape", "crps", "pinball"]
        )
        check_real("gate.margin", self.margin, low=0, high=100)
        if self.beat is not None:
            check_option("gate.beat", self.beat, ["naive", "seasonal_naive", "drift", "theta"])


@dataclass(frozen=True)
class MonitorSpec:
    """When forecasts that have come true ask for a new fit.

    Parameters
    ----------
    dates : int, default 20
        Newest dates whose forecasts are compared with what came true.
    tolerance : float, default 50
        Percent by which their error may be above that of the backtest.
    """

    dates: int = 20
    tolerance: int | float = 50

    def __post_init__(self) -> None:
        check_integer("monitor.dates", self.dates, low=1)
        check_real("monitor.tolerance", self.tolerance, low=0)


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
        Folder of the newest results and of the records of each date, relative to the folder the
        command runs in; ``runs/<name>`` when not given.
    format : {"csv", "parquet"}, default "csv"
        Kind of the forecast table.
    figures : bool, default True
        Whether plots are drawn.
    table : str, optional
        A database table that the forecasts go to as well, created where needed.
    url : str, optional
        SQLAlchemy's address of its database; ``${NAME}`` is an environment variable.
    """

    folder: str | None = None
    format: str = "csv"
    figures: bool = True
    table: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        check_option("output.format", self.format, ["csv", "parquet"])
        if (self.table is None) != (self.url is None):
            raise SpecError(
                f"output.table and output.url belong together. Got table={self.table!r} and url={self.url!r}."
            )


@dataclass(frozen=True)
class ScheduleSpec:
    """When ``tsrnn pipeline serve`` runs the pipeline, and what it does about failures.

    Parameters
    ----------
    cron : str
        Minute, hour, day, month and weekday ("30 6 * * mon-fri"); six fields begin with seconds.
    timezone : str, default "UTC"
        Of ``cron``.
    timeout : float, default 3600
        Seconds after which a run is ended.
    retries : int, default 2
        Further tries after a failure that may pass (not after a bad spec or a refusal of the gate).
    delay : float, default 60
        Seconds before the first of them; doubled for each further one.
    """

    cron: str
    timezone: str = "UTC"
    timeout: int | float = 3600
    retries: int = 2
    delay: int | float = 60

    def __post_init__(self) -> None:
        if len(self.cron.split()) not in {5, 6}:
            raise SpecError(
                "schedule.cron must have five fields (minute hour day month weekday), or six that begin "
                f"with seconds. Got {self.cron!r}."
            )
        check_real("schedule.timeout", self.timeout, low=0, closed="right")
        check_integer("schedule.retries", self.retries, low=0)
        check_real("schedule.delay", self.delay, low=0)
