"""The same kind of frame out that went in, with its names, types, zone and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tsrnn.contract.case import Case, values
from tsrnn.contract.rules import NotAsked, must, must_be_close, must_equal, rule


@rule
def a_wide_frame_comes_back_wide(case: Case) -> None:
    """A wide frame comes back wide: the same columns, times as its index."""
    long = case.frame()
    wide = long.pivot(index="ds", columns="unique_id", values="y")
    said = case.fit(wide).predict()
    must(isinstance(said, pd.DataFrame), f"a {type(said).__name__}")
    must(list(said.columns) == ["s0", "s1"], f"columns {list(said.columns)}")
    expected = case.fitted().predict().pivot(index="ds", columns="unique_id", values="forecast")
    must_be_close(said.to_numpy(), expected.to_numpy(), "the forecast")
    must_equal(said.index.to_numpy(), expected.index.to_numpy(), "the time")


@rule
def a_series_comes_back_as_a_series(case: Case) -> None:
    """A Series comes back as a Series with times as its index."""
    said = case.fit(_one(case).set_index("ds")["y"]).predict()
    must(isinstance(said, pd.Series), f"a {type(said).__name__}")
    must(len(said) == case.horizon, f"{len(said)} rows")
    _must_follow(case, said.index)


@rule
def a_frame_without_ids_comes_back_without_ids(case: Case) -> None:
    """A frame without ids is one series, and comes back without ids."""
    said = case.fit(_one(case)).predict()
    must(list(said.columns) == ["ds", "forecast"], f"columns {list(said.columns)}")
    _must_follow(case, said["ds"])


@rule
def an_indexed_frame_comes_back_indexed(case: Case) -> None:
    """A frame with (id, time) as its index comes back with the same index."""
    said = case.fit(case.frame().set_index(["unique_id", "ds"])).predict()
    must(list(said.index.names) == ["unique_id", "ds"], f"index {list(said.index.names)}")
    must_be_close(values(said.reset_index()), values(case.fitted().predict()), "the forecast")


@rule
def other_names_come_back(case: Case) -> None:
    """Columns of other names are recognised and come back under their names."""
    names = {"unique_id": "sensor", "ds": "timestamp", "y": "kelvin"}
    said = case.fit(case.frame().rename(columns=names)).predict()
    must(list(said.columns) == ["sensor", "timestamp", "forecast"], f"{list(said.columns)}")
    back = said.rename(columns={"sensor": "unique_id", "timestamp": "ds"})
    must_be_close(values(back), values(case.fitted().predict()), "the forecast")


@rule
def integer_times_go_on(case: Case) -> None:
    """Whole numbers as times go on by the step between them."""
    steps = np.arange(10, 10 + 5 * case.rows, 5)
    said = case.fit(_one(case).assign(ds=steps)).predict()
    expected = steps[-1] + 5 * np.arange(1, case.horizon + 1)
    must_equal(said["ds"].to_numpy(), expected, "the time")


@rule
def a_time_zone_is_kept(case: Case) -> None:
    """Times with a zone come back in that zone, on the same wall clock."""
    frame = case.frame()
    zoned = frame.assign(ds=frame["ds"].dt.tz_localize("America/New_York"))
    said = case.fit(zoned).predict()
    must(said["ds"].dtype == zoned["ds"].dtype, f"type {said['ds'].dtype}")
    wall = said.assign(ds=said["ds"].dt.tz_localize(None))
    must_be_close(values(wall), values(case.fitted().predict()), "the forecast")


@rule
def integer_ids_keep_their_type(case: Case) -> None:
    """Ids that are numbers come back as numbers of the same type."""
    frame = case.frame()
    said = case.fit(frame.assign(unique_id=frame["unique_id"].map({"s0": 7, "s1": 12}))).predict()
    must(said["unique_id"].dtype == np.int64, f"type {said['unique_id'].dtype}")
    must(set(said["unique_id"]) == {7, 12}, f"ids {sorted(set(said['unique_id']))}")


@rule
def months_are_months(case: Case) -> None:
    """Months follow months, whatever their length."""
    months = pd.date_range("2010-01-31", periods=case.rows, freq="ME")
    said = case.fit(_one(case).assign(ds=months)).predict()
    expected = pd.date_range(months[-1], periods=case.horizon + 1, freq="ME")[1:]
    must_equal(said["ds"].to_numpy(), expected.to_numpy(), "the time")


@rule
def a_polars_frame_comes_back_as_one(case: Case) -> None:
    """A polars frame comes back as a polars frame with the same numbers."""
    polars = _module("polars")
    frame = case.frame()
    said = case.fit(polars.DataFrame({name: frame[name].to_numpy() for name in frame})).predict()
    must(isinstance(said, polars.DataFrame), f"a {type(said).__name__}")
    expected = case.fitted().predict()["forecast"]
    must_be_close(said["forecast"].to_numpy(), expected.to_numpy(), "the forecast")


@rule
def an_arrow_table_comes_back_as_one(case: Case) -> None:
    """An Arrow table comes back as an Arrow table with the same numbers."""
    pyarrow = _module("pyarrow")
    said = case.fit(pyarrow.Table.from_pandas(case.frame())).predict()
    must(isinstance(said, pyarrow.Table), f"a {type(said).__name__}")
    expected = case.fitted().predict()["forecast"]
    must_be_close(said["forecast"].to_numpy(), expected.to_numpy(), "the forecast")


def _one(case: Case) -> pd.DataFrame:
    return case.frame(series=1)[["ds", "y"]]


def _must_follow(case: Case, times: Any) -> None:
    last = case.frame()["ds"].max()
    expected = pd.date_range(last, periods=case.horizon + 1, freq="D")[1:]
    must_equal(np.asarray(times), expected.to_numpy(), "the time")


def _module(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotAsked(f"{name} is not installed") from None
