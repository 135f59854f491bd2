"""Baselines: plain loops, statsmodels and closed forms say what the vectorised methods must say."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from sklearn.base import clone
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.holtwinters import SimpleExpSmoothing
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import acf

from tsrnn import BaselineForecaster, DataError, ParameterError
from tsrnn.baselines import METHODS, baseline, panel_outlook
from tsrnn.panel import Panel
from tsrnn.references.decomposition import is_seasonal, seasonal_index
from tsrnn.references.simple import drift, mean, naive, seasonal_naive
from tsrnn.references.smoothing import ses, theta

SEASON = 4
MONTHS = np.arange(144)


def ragged(seed=0, series=6, steps=23):
    rng = np.random.default_rng(seed)
    history = rng.normal(size=(series, steps)).cumsum(axis=1) + 50
    history[rng.random(history.shape) < 0.15] = np.nan
    for i in range(series):
        history[i, : 3 * i] = np.nan
    return history


def seasonal_series(seed=3):
    rng = np.random.default_rng(seed)
    wave = 1 + 0.2 * np.sin(MONTHS * np.pi / 6)
    return (100 + MONTHS) * wave * np.exp(0.02 * rng.normal(size=MONTHS.size))


# ---- points -------------------------------------------------------------------------------


def test_naive_is_the_last_value_seen():
    history = ragged()

    forecast = baseline("naive", history, 3)

    for row, said in zip(history, forecast, strict=True):
        assert (said == row[~np.isnan(row)][-1]).all()


def test_seasonal_naive_is_the_newest_value_of_the_same_phase():
    history = ragged(series=4)

    forecast = baseline("seasonal_naive", history, 2 * SEASON + 1, SEASON)

    for row, said in zip(history, forecast, strict=True):
        for k in range(said.size):
            same_phase = row[(np.arange(row.size) - row.size - k) % SEASON == 0]
            assert said[k] == same_phase[~np.isnan(same_phase)][-1]


def test_seasonal_naive_is_naive_where_a_season_or_a_phase_was_never_seen():
    short = np.array([[np.nan, np.nan, np.nan, 1.0, 2.0]])
    phase_missing = np.array([[np.nan, 1.0, 2.0, 3.0, np.nan, 5.0, 6.0, 7.0]])

    assert baseline("seasonal_naive", short, 4, SEASON).tolist() == [[2.0] * 4]
    assert baseline("seasonal_naive", phase_missing, 4, SEASON).tolist() == [[7.0, 5.0, 6.0, 7.0]]


def test_drift_is_the_line_through_first_and_last_value():
    history = ragged()

    forecast = baseline("drift", history, 5)

    for row, said in zip(history, forecast, strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        slope = (row[seen[-1]] - row[seen[0]]) / (seen[-1] - seen[0])
        line = row[seen[-1]] + slope * (np.arange(5) + row.size - seen[-1])
        np.testing.assert_allclose(said, line, rtol=1e-12)


def test_mean_is_the_mean_of_the_values_seen():
    history = ragged()

    np.testing.assert_allclose(
        baseline("mean", history, 1)[:, 0], np.nanmean(history, axis=1), rtol=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 1e9, -3.5])
def test_a_constant_stays_constant(method, level):
    history = np.full((1, 30), level)

    assert (baseline(method, history, 5, SEASON) == level).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_single_value_is_continued(method):
    assert (baseline(method, np.array([[np.nan, 7.0]]), 3, SEASON) == 7.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_series_without_a_value_has_no_forecast_and_disturbs_no_other(method):
    history = ragged(series=3)
    history[1] = np.nan

    forecast = baseline(method, history, 3, SEASON)

    assert np.isnan(forecast[1]).all()
    np.testing.assert_array_equal(forecast[[0, 2]], baseline(method, history[[0, 2]], 3, SEASON))


@pytest.mark.parametrize("method", METHODS)
def test_missing_steps_on_the_left_change_nothing(method):
    history = ragged(series=3)
    padded = np.concatenate([np.full((3, 5), np.nan), history], axis=1)

    np.testing.assert_allclose(
        baseline(method, padded, 6, SEASON), baseline(method, history, 6, SEASON), rtol=1e-9
    )


@pytest.mark.parametrize("method", ["ses", "theta"])
@pytest.mark.parametrize("origin", [0.0, 150.0])
@pytest.mark.parametrize("padding", [1, 5, 30])
def test_missing_steps_around_a_seasonal_series_do_not_change_its_season(method, origin, padding):
    history = seasonal_series()[None, :50] - origin
    padded = np.pad(history, ((0, 0), (padding, 0)), constant_values=np.nan)
    assert is_seasonal(history, 12).all()

    np.testing.assert_allclose(
        baseline(method, padded, 14, 12), baseline(method, history, 14, 12), rtol=1e-9
    )


@pytest.mark.parametrize("method", METHODS)
def test_forecasts_follow_a_change_of_unit_and_origin(method):
    history = seasonal_series()[None] - 150  # both signs: adjusted additively

    moved = baseline(method, 1024 * history - 4096, 14, 12)

    np.testing.assert_allclose(moved, 1024 * baseline(method, history, 14, 12) - 4096, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_history_of_the_caller_is_not_changed(method):
    history = ragged()
    before = history.copy()
    history.flags.writeable = False

    baseline(method, history, 3, SEASON)

    np.testing.assert_array_equal(history, before)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(ParameterError, match="Did you mean 'theta'"):
        baseline("tetha", np.zeros((1, 3)), 1)


# ---- smoothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_ses_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    y = 100 + rng.normal(size=60).cumsum() + 2 * rng.normal(size=60)
    fit = SimpleExpSmoothing(y, initialization_method="estimated").fit()

    outlook = ses(y[None], 2)

    np.testing.assert_allclose(outlook.point[0], fit.forecast(2), rtol=1e-5)
    sigma = np.sqrt(fit.sse / (y.size - 2))
    alpha = fit.params["smoothing_level"]
    np.testing.assert_allclose(outlook.spread[0], sigma * np.sqrt([1, 1 + alpha**2]), rtol=1e-3)


def test_ses_steps_over_missing_values():
    y = np.random.default_rng(0).normal(size=40).cumsum()
    gappy = np.insert(y, [10, 10, 25], np.nan)

    assert ses(gappy[None], 1).point == pytest.approx(ses(y[None], 1).point, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_theta_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    y = 100 + rng.normal(size=300).cumsum() + rng.normal(size=300) + 0.3 * np.arange(300)
    expected = ThetaModel(y, deseasonalize=False).fit().forecast(8)

    np.testing.assert_allclose(theta(y[None], 8).point[0], expected, rtol=2e-4)


@pytest.mark.parametrize("shift", [0, -400])
def test_seasonal_theta_agrees_with_statsmodels(shift):
    y = seasonal_series() + shift  # multiplicative where positive, additive elsewhere
    expected = ThetaModel(y, period=12).fit().forecast(14)

    np.testing.assert_allclose(theta(y[None], 14, 12).point[0], expected, rtol=1e-3)


def test_theta_continues_a_line_at_half_its_slope_from_where_it_is():
    line = 5 + 2.0 * np.arange(50)[None]

    forecast = theta(line, 3).point

    np.testing.assert_allclose(np.diff(forecast), 1.0, rtol=1e-9)  # Hyndman and Billah: drift b/2
    assert forecast[0, 0] == pytest.approx(line[0, -1] + 1, abs=0.01)


def test_naive2_is_the_last_adjusted_value_with_the_season_put_back():
    y = seasonal_series()[:130]
    pattern = seasonal_decompose(y, model="multiplicative", period=12).seasonal

    forecast = baseline("naive2", y[None], 15, 12)[0]

    ahead = pattern[np.arange(130, 145) % 12]
    np.testing.assert_allclose(forecast, y[-1] / pattern[-1] * ahead, rtol=1e-9)


def test_naive2_of_a_series_without_a_season_is_naive():
    walk = np.random.default_rng(0).normal(size=(1, 60)).cumsum(axis=1)
    assert not is_seasonal(walk, 7).any()

    assert (baseline("naive2", walk, 5, 7) == walk[0, -1]).all()


@pytest.mark.parametrize("season", [4, 7, 12])
def test_seasonal_indices_agree_with_classical_decomposition(season):
    rng = np.random.default_rng(season)
    phase = np.arange(6 * season + 2) % season
    y = (50 + phase) * np.exp(0.01 * rng.normal(size=phase.size))

    index = seasonal_index(np.stack([y, -y]), season)

    times = seasonal_decompose(y, model="multiplicative", period=season).seasonal[:season]
    plus = seasonal_decompose(-y, model="additive", period=season).seasonal[:season]
    np.testing.assert_allclose(index.factor, [times, np.ones(season)], rtol=1e-9)
    np.testing.assert_allclose(index.shift, [np.zeros(season), plus], atol=1e-9)


def test_a_series_is_seasonal_where_bartletts_limit_says_so():
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(60) * np.pi / 6)
    series = np.stack([wave * a + rng.normal(size=60) for a in np.linspace(0, 2, 9)])

    expected = []
    for y in series:
        r = acf(y, nlags=12, fft=False)[1:]
        expected.append(abs(r[11]) > 1.645 * np.sqrt((1 + 2 * (r[:11] ** 2).sum()) / 60))

    assert is_seasonal(series, 12).tolist() == expected
    assert {True, False} == set(expected)
    assert not is_seasonal(series[:, -35:], 12).any()  # less than three seasons


# ---- deviations ---------------------------------------------------------------------------


def test_deviations_are_those_of_table_5_2():
    y = np.random.default_rng(0).normal(size=(1, 41)).cumsum(axis=1)
    h = np.arange(1, 10)
    step, seasonal = np.diff(y[0]), y[0, SEASON:] - y[0, :-SEASON]
    walk = np.sqrt((step**2).mean())
    around = np.sqrt(((step - step.mean()) ** 2).sum() / 39)
    of_season = np.sqrt((seasonal**2).mean())

    np.testing.assert_allclose(naive(y, 9).spread[0], walk * np.sqrt(h))
    np.testing.assert_allclose(drift(y, 9).spread[0], around * np.sqrt(h * (1 + h / 40)))
    np.testing.assert_allclose(mean(y, 9).spread[0], y.std(ddof=1) * np.sqrt(1 + 1 / 41))
    np.testing.assert_allclose(
        seasonal_naive(y, 9, SEASON).spread[0], of_season * np.sqrt((h - 1) // SEASON + 1)
    )


@pytest.mark.parametrize("method", [naive, drift])
def test_whole_series_beside_one_with_gaps_have_the_deviation_they_have_alone(method):
    whole = np.random.default_rng(0).normal(size=(3, 50)).cumsum(1)
    with_gaps = whole[:1].copy()
    with_gaps[0, [0, 7, 8]] = np.nan

    together = method(np.concatenate([whole, with_gaps]), 4)

    np.testing.assert_allclose(together.spread[:3], method(whole, 4).spread, rtol=1e-12)


def test_intervals_of_naive_cover_a_random_walk_at_every_step():
    walk = np.random.default_rng(0).normal(size=(4000, 212)).cumsum(axis=1)
    outlook = naive(walk[:, :200], 12)

    inside = np.abs(walk[:, 200:] - outlook.point) <= ndtri(0.9) * outlook.spread

    assert np.abs(inside.mean(axis=0) - 0.8).max() < 0.025


def test_missing_steps_at_the_end_count_as_steps_ahead():
    y = np.random.default_rng(0).normal(size=(1, 30)).cumsum(axis=1)
    gone = np.concatenate([y, np.full((1, 2), np.nan)], axis=1)

    for method in (naive, drift):
        later, now = method(gone, 3), method(y, 5)
        np.testing.assert_allclose(later.point, now.point[:, 2:])
        np.testing.assert_allclose(later.spread, now.spread[:, 2:])


# ---- the forecaster -----------------------------------------------------------------------


def frame(rows=30, ids=("a", "b")):
    ds = pd.date_range("2024-01-01", periods=rows)
    parts = [
        pd.DataFrame(
            {"shop": name, "day": ds[: rows - 5 * i], "sold": 10.0 * i + np.arange(rows - 5 * i)}
        )
        for i, name in enumerate(ids)
    ]
    return pd.concat(parts, ignore_index=True)


def test_forecasts_start_one_step_after_each_series():
    forecast = BaselineForecaster(horizon=2).fit(frame()).predict()

    assert forecast.columns.tolist() == ["shop", "day", "forecast"]
    assert forecast["shop"].tolist() == ["a", "a", "b", "b"]
    expected = ["2024-01-31", "2024-02-01", "2024-01-26", "2024-01-27"]
    assert forecast["day"].astype(str).tolist() == expected
    assert forecast["forecast"].tolist() == [29.0, 29.0, 34.0, 34.0]


def test_a_wide_frame_comes_back_wide():
    days = pd.date_range("2024-01-01", periods=30, name="day")
    wide = pd.DataFrame({"a": np.arange(30.0), "b": -np.arange(30.0)}, index=days)

    forecast = BaselineForecaster("drift", horizon=2).fit(wide).predict()

    assert forecast.to_numpy().tolist() == [[30.0, -30.0], [31.0, -31.0]]
    assert forecast.index.name == "day"


def test_quantiles_are_normal_around_the_point():
    y = np.random.default_rng(0).normal(size=50).cumsum()
    df = pd.DataFrame({"ds": pd.RangeIndex(50), "y": y})
    walk = np.sqrt((np.diff(y) ** 2).mean())

    forecast = BaselineForecaster(horizon=4).fit(df).predict(level=80, quantiles=[0.5])

    np.testing.assert_allclose(
        forecast["forecast-hi-80"], y[-1] + ndtri(0.9) * walk * np.sqrt([1, 2, 3, 4])
    )
    np.testing.assert_allclose(forecast["forecast-q50"], forecast["forecast"])


@pytest.mark.parametrize("method", METHODS)
def test_predict_equals_predict_of_the_training_frame_and_survives_pickle_and_clone(method):
    model = BaselineForecaster(method, horizon=3).fit(frame())
    forecast = model.predict(level=[80])

    pd.testing.assert_frame_equal(model.predict(frame(), level=[80]), forecast)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).predict(level=[80]), forecast)
    pd.testing.assert_frame_equal(clone(model).fit(frame()).predict(level=[80]), forecast)
    assert clone(model).get_params() == model.get_params()


def test_what_happens_to_the_frame_after_fit_changes_nothing():
    values = np.arange(30.0)
    df = pd.DataFrame({"ds": pd.RangeIndex(30), "y": values}, copy=False)
    model = BaselineForecaster(horizon=1).fit(df)

    values[:] = -1

    assert model.predict()["forecast"].tolist() == [29.0]


def test_score_is_the_skill_against_seasonal_naive():
    history = frame(ids="a")
    after = pd.DataFrame(
        {"shop": "a", "day": pd.date_range("2024-01-31", periods=3), "sold": [30.0, 31.0, 32.0]}
    )

    assert BaselineForecaster("drift", horizon=3).fit(history).score(after) == 1.0
    assert BaselineForecaster("seasonal_naive", horizon=3).fit(history).score(after) == 0.0
    assert BaselineForecaster("naive", horizon=3).fit(history).score(after) == 1 - 2 / 7


def test_a_series_without_a_value_is_refused_by_name():
    df = frame()
    df.loc[df["shop"] == "b", "sold"] = np.nan

    with pytest.warns(UserWarning, match="'b' has no value"), pytest.raises(DataError, match="'b'"):
        BaselineForecaster().fit(df)


@pytest.mark.parametrize("wrong", [{"method": "tehta"}, {"horizon": 0}, {"season": 1.5}])
def test_wrong_parameters_are_refused_in_fit(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        BaselineForecaster(**wrong).fit(frame())


@pytest.mark.parametrize("method", METHODS)
def test_series_of_any_lengths_are_forecast_as_if_alone(method, monkeypatch):
    monkeypatch.setattr("tsrnn.references.outlooks._BLOCK", 40)  # several blocks
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, size=12)
    indptr = np.append(0, lengths.cumsum())
    values = rng.normal(size=indptr[-1]).cumsum()
    panel = Panel(values, indptr, pd.RangeIndex(12), np.arange(indptr[-1]), axis=None)

    together = panel_outlook(method, panel, 5, SEASON).point

    for i in range(12):
        alone = baseline(method, panel.series(i)[None], 5, SEASON)[0]
        np.testing.assert_allclose(together[i], alone, rtol=1e-9)
