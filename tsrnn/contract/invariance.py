"""What may not move a forecast: order, names, types, units of time, other series."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsrnn.contract.case import Case, values
from tsrnn.contract.rules import must_be_close, must_equal, rule


@rule
def the_order_of_rows_does_not_matter(case: Case) -> None:
    """Rows in another order, columns in another order and another index move no forecast."""
    mixed = case.frame().sample(frac=1.0, random_state=3)[["y", "unique_id", "ds"]]
    must_equal(values(case.fit(mixed).predict()), values(case.fitted().predict()), "the forecast")


@rule
def the_order_of_rows_does_not_matter_at_predict(case: Case) -> None:
    """Rows in another order at predict move no forecast."""
    frame, fitted = case.frame(series=5), case.fitted()
    mixed = fitted.predict(frame.sample(frac=1.0, random_state=0))
    must_be_close(values(mixed), values(fitted.predict(frame)), "the forecast", tolerance=1e-6)


@rule
def ids_are_labels(case: Case) -> None:
    """Other ids in the same order move no forecast."""
    frame = case.frame()
    renamed = frame.assign(unique_id=frame["unique_id"].map({"s0": "alpha é", "s1": "beta 007"}))
    must_equal(values(case.fit(renamed).predict()), values(case.fitted().predict()), "the forecast")


@rule
def columns_that_nobody_named_do_not_matter(case: Case) -> None:
    """Columns that nobody named are not used."""
    extra = case.frame().assign(note="text", volume=np.arange(2 * case.rows))
    names = {"id_col": "unique_id", "time_col": "ds", "target_col": "y"}
    said = case.fit(extra, **names).predict()
    must_equal(values(said), values(case.fitted().predict()), "the forecast")


@rule
def the_type_of_a_number_does_not_matter(case: Case) -> None:
    """Equal numbers of other types (int16, float32, nullable) give equal forecasts."""
    frame = case.frame()
    frame["y"] = (8 * frame["y"]).round()
    expected = values(case.fit(frame).predict())
    for dtype in ("int16", "float32", "Int64"):
        said = case.fit(frame.astype({"y": dtype})).predict()
        must_equal(values(said), expected, f"the forecast of {dtype}")


@rule
def the_unit_of_time_does_not_matter(case: Case) -> None:
    """Times in seconds, milliseconds or nanoseconds give the same forecast at the same times."""
    expected = case.fitted().predict(case.frame(seed=4))
    for unit in ("s", "ms", "ns"):
        frame = case.frame(seed=4).astype({"ds": f"datetime64[{unit}]"})
        said = case.fitted().predict(frame)
        must_equal(values(said), values(expected), f"the forecast with times in {unit}")
        must_equal(said["ds"].to_numpy(), expected["ds"].to_numpy(), f"the time in {unit}")


@rule
def twenty_eight_years_later_the_forecast_is_the_same(case: Case) -> None:
    """Weekdays and leap years repeat after 28 years, and so does the forecast."""
    frame = case.frame()
    later = frame.assign(ds=frame["ds"] + pd.DateOffset(years=28))
    must_be_close(
        values(case.fit(later).predict()), values(case.fitted().predict()), "the forecast"
    )


@rule
def another_series_moves_no_forecast(case: Case) -> None:
    """At predict, one series times a million moves no forecast of the others."""
    frame, fitted = case.frame(series=3), case.fitted()
    loud = frame.assign(y=frame["y"].where(frame["unique_id"] != "s1", 1e6 * frame["y"]))
    quiet, other = fitted.predict(frame), fitted.predict(loud)
    mine = quiet["unique_id"] != "s1"
    must_be_close(values(other[mine]), values(quiet[mine]), "the forecast of another series")


@rule
def a_series_alone_is_forecast_as_among_others(case: Case) -> None:
    """At predict, a series alone is forecast as among others, also where lengths differ."""
    frame, fitted = case.frame(series=5), case.fitted()
    ragged = frame.drop(frame.index[: case.rows // 2])  # s0 is half as long
    alone = [fitted.predict(one) for _, one in ragged.groupby("unique_id")]
    must_be_close(
        values(pd.concat(alone)), values(fitted.predict(ragged)), "the forecast of a series alone"
    )
