"""What a pipeline is: frozen dataclasses read from a YAML file in which a wrong key is an error."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from tsrnn.exceptions import ParameterError, SpecError
from tsrnn.parameters import check_integer, check_option, check_real

__all__ = ["BacktestSpec", "DataSpec", "ForecastSpec", "OutputSpec", "PipelineSpec", "read_spec"]

Section = TypeVar("Section")


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
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise SpecError(f"Can't read the spec {str(path)!r}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"The spec {str(path)!r} is no YAML: {_one_line(error)}.") from error
    try:
        for change in changes:
            content = _changed(content, change)
        return _build(PipelineSpec, content, "")
    except (SpecError, ParameterError) as error:
        raise SpecError(f"{path}: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags that make objects, in which a key may be given once only."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# Dates stay text: the data decides what kind of time they are.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _changed(content: Any, change: str) -> Any:
    key, equals, text = change.partition("=")
    if not equals or not all(key.split(".")):
        raise SpecError(
            f"--set must be key=value, as in --set model.max_steps=200. Got {change!r}."
        )
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {change}: the value is no YAML: {_one_line(error)}.") from error
    for part in reversed(key.split(".")):
        value = {part: value}
    return _merged(content, value)


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _build(section: type[Section], content: Any, where: str) -> Section:
    """Return the dataclass ``section`` made from ``content``, every key and type checked."""
    here = f"{where!r}" if where else "A spec"
    if not isinstance(content, Mapping):
        raise SpecError(f"{here} must be a mapping of keys to values. Got {content!r}.")
    known = {part.name: part for part in fields(section)}  # type: ignore[arg-type]
    hints = get_type_hints(section)
    made = {}
    for key, value in content.items():
        name = f"{where}.{key}" if where else f"{key}"
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise SpecError(f"Unknown key {name!r}.{hint} Known keys: {', '.join(known)}.")
        hint_type = hints[key]
        if hasattr(hint_type, "__dataclass_fields__"):
            made[key] = _build(hint_type, value, name)
        elif _fits(value, hint_type):
            made[key] = value
        else:
            raise SpecError(f"{name!r} must be {_words(hint_type)}. Got {value!r}.")
    for key, part in known.items():
        if key not in made and part.default is MISSING and part.default_factory is MISSING:
            raise SpecError(f"{here} needs the key {key!r}.")
    return section(**made)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether ``value`` is of the type ``hint`` (plain types, unions, lists and dicts of them)."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in {Union, types.UnionType}:
        return any(_fits(value, option) for option in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return type(value) is hint  # True is no int here


def _words(hint: Any) -> str:
    names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
    if get_origin(hint) in {Union, types.UnionType}:
        return " or ".join(_words(option) for option in get_args(hint))
    if get_origin(hint) is list:
        return f"a list (of {_words(get_args(hint)[0])})"
    return "a mapping" if get_origin(hint) is dict else names.get(hint, "empty")


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
