"""Which column is the series, which the time, which the target: by usual names, or the only candidate."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from tsrnn.exceptions import DataError
from tsrnn.frames.tables import Table

__all__ = ["Columns", "find_columns", "missing_column"]

# Each row of names is tried before the next; within a row two hits are an ambiguity.
MENTIONED = 12  # columns that an error names
_IDS = (
    {"unique_id", "item_id", "series_id"},
    {
        "id",
        "symbol",
        "ticker",
        "sensor",
        "sensor_id",
        "series",
        "station",
        "station_id",
        "store",
        "store_id",
        "asset",
        "sku",
        "device",
        "device_id",
    },
)
_TIMES = (
    {"ds"},
    {
        "timestamp",
        "datetime",
        "date_time",
        "date",
        "time",
        "period",
        "month",
        "week",
        "day",
        "hour",
        "quarter",
        "year",
        "t",
        "step",
    },
)
# Every usual name of a time column.
TIME_NAMES = frozenset().union(*_TIMES)
_TARGETS = (
    {"y", "target"},
    {
        "value",
        "values",
        "close",
        "price",
        "sales",
        "demand",
        "load",
        "consumption",
        "temperature",
        "reading",
    },
)
# Columns of one series, rather than series of their own.
_VARIABLES = {
    "open",
    "high",
    "low",
    "close",
    "adj close",
    "adj_close",
    "volume",
    "vwap",
    "value",
    *_TARGETS[0],
}


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; None: not in the columns."""

    id: Any
    time: Any
    target: Any


def missing_column(parameter: str, name: Any, present: list[Any]) -> DataError:
    """Return the error for a column that is not there; it names the nearest one that is."""
    texts = {str(other): other for other in present}
    lower = {text.lower(): text for text in texts}
    near = get_close_matches(str(name).lower(), list(lower), 1, cutoff=0.5)
    hint = f" Did you mean {texts[lower[near[0]]]!r}?" if near else ""
    columns = f"the columns {_listed(present)}" if present else "no columns"
    return DataError(f"df needs the column {name!r} ({parameter}). Got {columns}.{hint}")


def _listed(names: list[Any]) -> str:
    """Return the first names as a list, and how many there are."""
    if len(names) <= MENTIONED:
        return str(names)
    return f"{str(names[:MENTIONED])[:-1]}, ... ({len(names)} in all)]"


def _by_name(usual: tuple[set[str], ...], names: list[Any], parameter: str) -> Any:
    for group in usual:
        hits = [name for name in names if isinstance(name, str) and name.lower() in group]
        if len(hits) > 1:
            raise DataError(
                f"Several columns could be the {parameter[:-4]}: {hits}. Name one with {parameter}=."
            )
        if hits:
            return hits[0]
    return None


def find_columns(
    table: Table,
    *,
    id_col: Any,
    time_col: Any,
    target_col: Any,
    taken: set[Any],
    index_times: pd.Series | None = None,
    needs_target: bool = True,
) -> Columns:
    """Return the columns of series, time and target of a long table.

    Parameters
    ----------
    table : Table
        The caller's table.
    id_col, time_col, target_col : str, optional
        What the caller names; checked to be there.
    taken : set
        Columns with another use (weights, covariates).
    index_times : Series, optional
        The times where they are the index, so that neither time nor target is looked for.
    needs_target : bool, default True
        Look for a target where none is named.

    Raises
    ------
    DataError
        A named column is missing, or several columns fit: the message lists them.
    """
    names = list(table.kinds)
    for parameter, name in (("id_col", id_col), ("time_col", time_col), ("target_col", target_col)):
        if name is not None and name not in table.kinds:
            raise missing_column(parameter, name, names)
    taken = taken | {name for name in (id_col, time_col, target_col) if name is not None}
    free = [name for name in names if name not in taken]
    if time_col is None and index_times is None:
        time_col = _find_time(table, free)
        free = [name for name in free if name != time_col]
    if id_col is None:
        id_col = _by_name(_IDS, [name for name in free if table.kinds[name] != "number"], "id_col")
        if id_col is None:
            times = table.column(time_col) if index_times is None else index_times
            id_col = _text_id(table, free, times, target_col)
        free = [name for name in free if name != id_col]
    if target_col is None and index_times is None and needs_target:
        target_col = _find_target(table, free)
    return Columns(id_col, time_col, target_col)


def _find_time(table: Table, free: list[Any]) -> Any:
    typed = [name for name in free if table.kinds[name] == "time"]
    if len(typed) == 1:
        return typed[0]
    if typed:
        named = _by_name(_TIMES, typed, "time_col")
        if named is None:
            raise DataError(
                f"Several columns hold times: {_listed(typed)}. Name one with time_col=."
            )
        return named
    named = _by_name(_TIMES, [name for name in free if table.kinds[name] != "other"], "time_col")
    if named is None:
        raise DataError(
            f"df needs a time column. Got none of datetimes and none with a usual name (ds, date, timestamp, time) among {_listed(free)}. "
            "Name it with time_col=, or set it as the index with df.set_index(...)."
        )
    return named


def _text_id(table: Table, free: list[Any], times: pd.Series, target_col: Any) -> Any:
    """Return the only text column where the stamps show that it tells series apart."""
    texts = [name for name in free if table.kinds[name] == "text"]
    numbers = [name for name in free if table.kinds[name] in {"number", "integer"}]
    if not texts or (target_col is None and not numbers):
        return None
    if times.is_unique:
        for name in texts:
            column = table.column(name)
            if column.nunique() == 1 and column.notna().all() and len(texts) == 1:
                return name
        return None
    if len(texts) > 1:
        raise DataError(
            f"The times repeat, so that a column must name the series. Candidates: {_listed(texts)}. Name one with id_col=."
        )
    return texts[0]


def _find_target(table: Table, free: list[Any]) -> Any:
    named = _by_name(_TARGETS, free, "target_col")
    if named is not None:
        return named
    numbers = [name for name in free if table.kinds[name] in {"number", "integer"}]
    if len(numbers) > 1:
        raise DataError(
            f"Several columns could be the target: {_listed(numbers)}. Name one with target_col=, or, where each is a "
            "series of its own, set the time as the index with df.set_index(...)."
        )
    if numbers:
        return numbers[0]
    if len(free) == 1:
        return free[0]
    raise DataError(
        f"df needs a numeric target column. Got {_listed(free) if free else 'no column besides series and time'}. Name it with target_col=, "
        "or convert text with pd.to_numeric."
    )


def single_target(free: list[Any]) -> Any:
    """Return the target of a frame with a time index: the only column, or one called y or target; else None."""
    named = _by_name(_TARGETS[:1], free, "target_col")
    return free[0] if named is None and len(free) == 1 else named


def check_alike(table: Table, df: pd.DataFrame, free: list[Any]) -> None:
    """Raise DataError unless the columns ``free`` look like series of one kind (a wide frame)."""
    variables = [name for name in free if isinstance(name, str) and name.lower() in _VARIABLES]
    others = [name for name in free if table.kinds[name] not in {"number", "integer"}]
    whole = {name for name in free if table.kinds[name] == "integer"}
    fractional = [
        name
        for name in free
        if table.kinds[name] == "number" and whole and bool((df[name].dropna() % 1 != 0).any())
    ]
    if variables or others or (whole and fractional):
        mixed = f" {others[0]!r} is {df[others[0]].dtype}." if others else ""
        candidates = [name for name in free if name not in others]
        raise DataError(
            f"The columns of a frame with a time index must be series of one kind. Got {_listed(free)}.{mixed} "
            f"Give target_col= (candidates: {_listed(candidates)}), or pass only the columns that are series."
        )
