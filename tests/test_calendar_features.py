"""Features of stamps as columns known in advance, and categories as one-hot codes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import HORIZON, tiny, waves
from tsrnn import load
from tsrnn.calendars.features import calendar_codes, choose_features, with_calendar
from tsrnn.exceptions import DataError, ParameterError
from tsrnn.nn.covariates import ColumnEncoder

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def panel_of(index) -> object:
    frame = pd.DataFrame({"ds": index, "y": np.arange(len(index), dtype=float)})
    return tiny()._read(frame)[0]


@pytest.mark.parametrize("zone", [None, "Australia/Melbourne"])
def test_codes_are_sine_and_cosine_of_the_place_in_the_cycle(zone):
    panel = panel_of(pd.date_range("2024-03-04", periods=60, freq="h", tz=zone))  # a Monday

    codes = calendar_codes(panel.axis, panel.times, ("hour", "weekday"))

    hour = 2 * np.pi * (np.arange(60) % 24) / 24
    week = 2 * np.pi * np.arange(60) / 168
    expected = np.stack([np.sin(hour), np.cos(hour), np.sin(week), np.cos(week)], 1)
    np.testing.assert_allclose(codes, expected, atol=1e-12)


def test_codes_of_the_year():
    panel = panel_of(pd.period_range("2024-01", periods=14, freq="M"))

    codes = calendar_codes(panel.axis, panel.times, ("month", "day_of_year"))

    month = 2 * np.pi * np.arange(14) / 12
    np.testing.assert_allclose(codes[:, 0], np.sin(month), atol=1e-12)
    np.testing.assert_allclose(codes[0, 2:], [0, 1], atol=1e-12)
    np.testing.assert_allclose(codes[12, 2:], [0, 1], atol=1e-12)


def test_codes_come_last_and_go_on_ahead():
    panel = panel_of(pd.date_range("2024-01-01", periods=20))

    dated = with_calendar(panel, ("weekday",))

    assert dated.covariates.future.shape == (20, 2)
    assert dated.covariates.ahead.shape == (1, 0, 2)
    assert with_calendar(panel, ()) is panel


@pytest.mark.parametrize(
    ("index", "seasons", "chosen"),
    [
        (pd.date_range("2020-01-01", periods=900), (7,), ("day_of_year",)),
        (pd.date_range("2020-01-01", periods=600), (7,), ()),
        (pd.date_range("2020-01-01", periods=900), (365,), ()),
        (pd.bdate_range("2020-01-01", periods=900), (1,), ("day_of_year",)),
        (pd.date_range("2010-01-01", periods=200, freq="MS"), (12,), ()),
        (pd.RangeIndex(3000), (7,), ()),
    ],
)
def test_auto_takes_the_year_of_long_daily_records_alone(index, seasons, chosen):
    assert choose_features(panel_of(index), seasons) == chosen


def test_a_forecast_with_the_calendar_keeps_the_contract(tmp_path):
    df = waves(series=3)
    model = tiny(calendar_features=["weekday", "month"]).fit(df)

    said = model.predict(level=80)

    assert model.plan_.calendar == ("weekday", "month")
    assert list(said.columns) == ["unique_id", "ds", "forecast", "forecast-lo-80", "forecast-hi-80"]
    pd.testing.assert_frame_equal(model.predict(df, level=80), said, rtol=1e-6)
    alone = model.predict(df[df["unique_id"] == "s2"], level=80)
    kept = said[said["unique_id"] == "s2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, kept, rtol=1e-6)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(level=80), said, check_exact=True)
    longer = model.simulate(2, horizon=2 * HORIZON + 1)
    pd.testing.assert_frame_equal(
        again.simulate(2, horizon=2 * HORIZON + 1), longer, check_exact=True
    )
    assert "ds" in model.make_future().columns
    assert np.isfinite(model.score(df.assign(ds=df["ds"] + pd.Timedelta(days=3))))


def test_the_calendar_stands_beside_covariates_of_the_user():
    rng = np.random.default_rng(0)
    df = waves(series=2).assign(driver=lambda rows: rng.normal(size=len(rows)))
    newest = df.groupby("unique_id").cumcount(ascending=False) < HORIZON
    model = tiny(calendar_features=["weekday"], future_covariates=["driver"]).fit(df[~newest])

    future = model.make_future()

    assert list(future.columns) == ["unique_id", "ds", "driver"]
    said = model.predict(future_df=df[newest])
    assert said["forecast"].notna().all()
    assert model.network_.plan.covariates.future == (None, None, None)


@pytest.mark.slow
def test_a_pattern_of_the_calendar_that_lags_cant_see_is_learned():
    """Weekends are low; rows come at every fifth day, so that no lag of a season falls on them alike."""
    days = pd.date_range("2018-01-01", periods=500, freq="5D")
    rng = np.random.default_rng(0)
    y = 10.0 * (days.day_of_week >= 5) + rng.normal(0, 0.5, len(days))
    df = pd.DataFrame({"ds": days, "y": y})
    how = {"season": 1, "max_steps": 200, "patience": None}

    plain = tiny(**how).fit(df[:-HORIZON])
    dated = tiny(calendar_features=["weekday"], **how).fit(df[:-HORIZON])

    truth = 10.0 * (days[-HORIZON:].day_of_week >= 5)
    error = np.abs(dated.predict()["forecast"] - truth).mean()
    assert error < 1.5
    assert dated.skill_.scores.loc["model", "mae"] < 0.5 * plain.skill_.scores.loc["naive", "mae"]


def test_integer_times_have_no_calendar():
    df = pd.DataFrame({"ds": range(60), "y": np.sin(np.arange(60.0))})

    with pytest.raises(DataError, match="Got integer times"):
        tiny(calendar_features=["weekday"]).fit(df)
    assert tiny(calendar_features="auto", max_steps=2).fit(df).plan_.calendar == ()


@pytest.mark.parametrize("wrong", [True, "weekday", ["weekdays"], ["month", "month"], 3])
def test_features_that_there_are_not_are_refused(wrong):
    with pytest.raises(ParameterError, match="calendar_features"):
        tiny(calendar_features=wrong).fit(waves())


# ---- one-hot ------------------------------------------------------------------------------


def test_one_hot_codes_are_unit_vectors_and_unknown_ones_zero():
    encoder = ColumnEncoder(((2, 5, 6),), one_hot=True)
    encoder.initialise(torch.Generator().manual_seed(0))

    inputs = encoder(torch.tensor([[2.0], [6.0], [3.0], [float("nan")]], dtype=torch.float64))

    assert inputs.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert not list(encoder.parameters())


def test_categories_can_be_read_one_hot(tmp_path):
    df = waves(series=3).assign(kind=lambda rows: rows["unique_id"])
    model = tiny(static_covariates=["kind"], categorical="one_hot", max_steps=4).fit(df)

    model.save(tmp_path / "model")

    again = load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)
    assert again.network_.plan.covariates.one_hot
    with pytest.raises(ParameterError, match="'embedding', 'one_hot'"):
        tiny(categorical="onehot").fit(df)
