"""Forecasts that came true: known errors, known coverage, and steps of another kind."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines.monitor import Findings, Said, compare, drift
from tsrnn.pipelines.sections import MonitorSpec

DATA = SimpleNamespace(id_col="id", time_col="ds", target_col="y")
SPEC = MonitorSpec()


def truth(n=40, ids=("a", "b")):
    days = pd.date_range("2024-01-01", periods=n)
    return pd.concat([pd.DataFrame({"id": i, "ds": days, "y": 10.0}) for i in ids])


def said(as_of, *, error=1.0, half=2.0, expected=1.0, steps=3):
    days = pd.date_range(pd.Timestamp(as_of) + pd.Timedelta(days=1), periods=steps)
    parts = [pd.DataFrame({"id": i, "ds": days, "forecast": 10.0 + error}) for i in ("a", "b")]
    forecast = pd.concat(parts, ignore_index=True)
    low, high = forecast["forecast"] - half, forecast["forecast"] + half
    return Said(as_of, forecast.assign(**{"forecast-lo-80": low, "forecast-hi-80": high}), expected)


def test_nothing_is_found_before_a_forecast_came_true():
    found = compare([said("2024-02-09")], truth(), DATA, SPEC)

    assert found == Findings()
    assert found.words == "no earlier forecast has come true yet"


def test_error_and_coverage_are_those_of_the_steps_that_came_true():
    earlier = [said("2024-02-07", error=1.0), said("2024-02-08", error=4.0, expected=2.0)]

    found = compare(earlier, truth(), DATA, SPEC)

    # 2 steps of the first and 1 of the second, for two series
    assert (found.n_points, found.n_dates) == (6, 2)
    assert found.mae == pytest.approx((4 * 1 + 2 * 4) / 6)
    assert found.expected == pytest.approx((4 * 1 + 2 * 2) / 6)
    assert found.coverage == {"80": pytest.approx(4 / 6)}
    assert found.reasons == []


def test_missing_values_do_not_count():
    frame = truth()
    frame.loc[frame["ds"] == "2024-02-08", "y"] = np.nan

    assert compare([said("2024-02-07")], frame, DATA, SPEC).n_points == 2


def test_a_far_larger_error_than_in_the_backtest_asks_for_a_fit():
    earlier = [said(f"2024-01-{day:02d}", error=1.6, half=9) for day in range(10, 20)]

    found = compare(earlier, truth(), DATA, SPEC)

    assert found.reasons == ["the error is 60 % above that of the backtests"]
    assert compare(earlier, truth(), DATA, MonitorSpec(tolerance=61)).reasons == []
    assert compare(earlier[:4], truth(), DATA, SPEC).reasons == []  # too few to say


def test_an_interval_that_never_holds_asks_for_a_fit():
    earlier = [said(f"2024-01-{day:02d}", error=1.0, half=0.5) for day in range(10, 20)]

    found = compare(earlier, truth(), DATA, SPEC)

    assert found.reasons == ["the 80 % interval holds 0.0% of the values"]
    assert "a new fit is due: the 80 %" in found.words


def test_steps_of_another_kind_are_found_and_the_series_named():
    noise = np.random.default_rng(1).normal(size=300)
    scale = np.where(np.arange(300) < 200, 1.0, 4.0)
    days = pd.date_range("2024-01-01", periods=300)
    frame = pd.concat(
        [
            pd.DataFrame({"id": "a", "ds": days, "y": noise.cumsum()}),
            pd.DataFrame({"id": "b", "ds": days, "y": (noise * scale).cumsum()}),
        ]
    )

    found, reasons = drift(frame, DATA, since=days[199])

    assert found["chance"] < 1e-3
    assert reasons == [
        f"the steps of 'b' have changed since the champion was fitted (distance {found['distance']:.2f})"
    ]


def test_the_same_kind_of_steps_and_too_few_of_them_are_no_drift():
    days = pd.date_range("2024-01-01", periods=300)
    noise = np.random.default_rng(1).normal(size=300)
    frame = pd.DataFrame({"id": "a", "ds": days, "y": noise.cumsum()})

    found, reasons = drift(frame, DATA, since=days[199])

    assert found["chance"] > 0.01
    assert reasons == []
    assert drift(frame, DATA, since=days[290]) == ({}, [])
