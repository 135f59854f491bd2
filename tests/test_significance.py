"""Significance: tests against scipy and plain formulas, the lag-copy detector on known forecasts."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tsrnn.exceptions import DataError, ParameterError
from tsrnn.metrics.significance import (
    LagCopy,
    best_naive,
    coverage_interval,
    diebold_mariano,
    lag_copy,
    verdict,
)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def plain_diebold_mariano(a, b, horizon, power):
    """Harvey, Leybourne & Newbold (1997) as the paper writes it, term by term."""
    d = np.abs(a) ** power - np.abs(b) ** power
    n, mean = len(d), np.mean(d)
    gamma = [
        sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n for k in range(horizon)
    ]
    s1 = mean / math.sqrt((gamma[0] + 2 * sum(gamma[1:])) / n)
    corrected = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n) * s1
    return corrected, 2 * stats.t.sf(abs(corrected), n - 1)


# ---- Diebold-Mariano ------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_diebold_mariano_is_the_formula_of_the_paper(rng, horizon, power):
    a, b = rng.normal(size=40), 1.2 * rng.normal(size=40)

    ours = diebold_mariano(a, b, horizon, power=power)

    assert ours == pytest.approx(plain_diebold_mariano(a, b, horizon, power), rel=1e-9)


def test_diebold_mariano_of_one_step_is_the_paired_t_test_of_losses(rng):
    a, b = rng.normal(size=25), 1.5 * rng.normal(size=25)

    ours = diebold_mariano(a, b, 1)

    theirs = stats.ttest_rel(np.abs(a), np.abs(b))
    assert ours == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_exchanging_the_methods_turns_the_sign_alone(rng):
    a, b = rng.normal(size=(2, 30))

    statistic, p_value = diebold_mariano(a, b, 2)

    assert diebold_mariano(b, a, 2) == pytest.approx((-statistic, p_value), rel=1e-12)


def test_smaller_errors_give_a_negative_statistic(rng):
    errors = rng.normal(size=100)

    statistic, p_value = diebold_mariano(0.5 * errors, errors, 1)

    assert statistic < 0
    assert p_value < 0.001


def test_losses_of_one_origin_count_as_one(rng):
    a, b = rng.normal(size=(2, 12, 3, 4))

    ours = diebold_mariano(a, b, 1)

    theirs = stats.ttest_rel(np.abs(a).mean(axis=(1, 2)), np.abs(b).mean(axis=(1, 2)))
    assert ours == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_repeating_each_series_does_not_make_a_difference_significant(rng):
    a, b = rng.normal(size=(2, 10, 1))

    repeated = diebold_mariano(np.repeat(a, 50, axis=1), np.repeat(b, 50, axis=1), 1)

    assert repeated == pytest.approx(diebold_mariano(a, b, 1), rel=1e-9)


def test_missing_errors_and_origins_without_any_are_left_out(rng):
    a, b = rng.normal(size=(2, 10, 4))
    a[2], b[3, 1] = np.nan, np.nan

    ours = diebold_mariano(a, b, 1)

    loss = np.delete(np.abs(a) - np.abs(b), 2, axis=0)
    theirs = stats.ttest_1samp(np.nanmean(loss, axis=1), 0)
    assert ours == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


@pytest.mark.parametrize("horizon", [1, 3])
def test_equal_methods_are_called_different_in_about_five_percent(rng, horizon):
    def overlapping():
        shocks = rng.normal(size=60 + horizon - 1)
        return np.convolve(shocks, np.ones(horizon), "valid")

    p_values = np.array(
        [diebold_mariano(overlapping(), overlapping(), horizon)[1] for _ in range(1500)]
    )

    assert 0.03 < (p_values < 0.05).mean() < 0.08


def test_a_variance_estimate_below_zero_gives_way_to_bartletts():
    d = np.array([1.0, -1.0] * 4) + 0.1  # lag-1 autocovariance near minus the variance
    b = np.full(8, 3.0)

    statistic, p_value = diebold_mariano(b + d, b, 2)

    centred = d - d.mean()
    gamma = [centred @ centred / 8, centred[1:] @ centred[:-1] / 8]
    assert gamma[0] + 2 * gamma[1] < 0
    variance = (gamma[0] + gamma[1]) / 8  # Newey-West: weight 1 - 1/2 on the first lag, twice
    assert statistic == pytest.approx(math.sqrt((8 + 1 - 4 + 2 / 8) / 8 / variance) * 0.1)
    assert 0 < p_value < 1


@pytest.mark.parametrize(("n", "horizon"), [(1, 1), (0, 1), (5, 5), (5, 9)])
def test_too_few_origins_give_no_test(rng, n, horizon):
    a, b = rng.normal(size=(2, n))

    assert np.isnan(diebold_mariano(a, b, horizon)).all()


def test_the_same_errors_are_no_difference(rng):
    errors = rng.normal(size=20)

    assert diebold_mariano(errors, -errors, 3) == (0.0, 1.0)


def test_a_difference_that_never_varies_is_certain():
    assert diebold_mariano(np.full(9, 0.1), np.full(9, 0.3), 1) == (-math.inf, 0.0)


def test_diebold_mariano_refuses_what_it_cannot_pair():
    with pytest.raises(DataError, match=r"same shape.*Got \(3,\) and \(4,\)"):
        diebold_mariano(np.ones(3), np.ones(4), 1)
    with pytest.raises(ParameterError, match="horizon"):
        diebold_mariano(np.ones(3), np.ones(3), 0)
    with pytest.raises(ParameterError, match="power"):
        diebold_mariano(np.ones(3), np.ones(3), 1, power=3)


# ---- lag copies -----------------------------------------------------------------------------


def rolling(y, forecast_at, horizon, first=10):
    """Return actual, forecast (origins, horizon) and previous (origins,) of a function of the past."""
    origins = range(first, len(y) - horizon)
    actual = np.array([y[t + 1 : t + 1 + horizon] for t in origins])
    forecast = np.array([forecast_at(y[: t + 1]) for t in origins])
    return actual, forecast, y[first : len(y) - horizon]


@pytest.mark.parametrize("level", [0, 1e4])
@pytest.mark.parametrize("horizon", [1, 5])
def test_naive_on_a_random_walk_is_a_copy(rng, horizon, level):
    walk = level + rng.normal(size=300).cumsum()

    found = lag_copy(*rolling(walk, lambda past: np.repeat(past[-1], horizon), horizon))

    assert found.is_copy
    assert found.with_previous == pytest.approx(1)
    assert abs(found.with_actual) < 0.2
    assert found.moves == found.moved == 0


def test_a_smoothed_copy_is_a_copy(rng):
    walk = rng.normal(size=400).cumsum()

    found = lag_copy(*rolling(walk, lambda past: [past[-3:].mean()], 1))

    assert found.is_copy
    assert found.with_previous > found.with_actual


def test_a_noisy_copy_is_a_copy(rng):
    walk = rng.normal(size=400).cumsum()

    found = lag_copy(*rolling(walk, lambda past: [past[-1] + 0.3 * rng.normal()], 1))

    assert found.is_copy
    assert found.moved > 0.2


def test_a_forecast_that_knows_the_season_is_no_copy(rng):
    sine = np.sin(np.arange(300) * 2 * np.pi / 12) + 0.1 * rng.normal(size=300)

    found = lag_copy(*rolling(sine, lambda past: past[-12:-6], 6, first=24))

    assert not found.is_copy
    assert found.with_actual > 0.8
    assert found.moves > 0.9


def test_drift_on_a_trend_is_no_copy(rng):
    trend = np.arange(200.0) + rng.normal(size=200).cumsum()

    def drift(past):
        return past[-1] + (past[-1] - past[0]) / (len(past) - 1) * np.arange(1, 4)

    assert not lag_copy(*rolling(trend, drift, 3)).is_copy


def test_mean_reversion_that_is_known_is_no_copy(rng):
    y = np.zeros(600)
    for t in range(1, 600):
        y[t] = 0.7 * y[t - 1] + rng.normal()

    found = lag_copy(*rolling(y, lambda past: [0.7 * past[-1]], 1))

    assert not found.is_copy
    assert found.with_previous == pytest.approx(1)


def test_the_mean_of_white_noise_is_no_copy(rng):
    noise = rng.normal(size=300)

    assert not lag_copy(*rolling(noise, lambda past: [past.mean()], 1)).is_copy


def test_series_of_other_units_weigh_alike(rng):
    walks = rng.normal(size=(200, 5)).cumsum(axis=0)
    noise = rng.normal(size=(199, 5))
    units = np.array([1, 1024, 2.0**-10, 2.0**20, 8])

    def found(walks, noise):
        return lag_copy(walks[1:, :, None], (walks[:-1] + noise)[:, :, None], walks[:-1])

    assert found(walks * units, noise * units) == found(walks, noise)


def test_one_origin_shows_only_whether_the_forecast_moves(rng):
    actual, previous = rng.normal(size=(1, 8, 24)), rng.normal(size=(1, 8))

    flat = lag_copy(actual, np.broadcast_to(previous[..., None], actual.shape), previous)
    perfect = lag_copy(actual, actual, previous)

    assert flat.is_copy
    assert not perfect.is_copy
    assert math.isnan(flat.with_previous)
    assert flat.n_forecasts == 8


def test_a_series_that_never_changes_is_no_copy():
    constant = np.full((9, 3), 5.0)

    found = lag_copy(constant, constant, constant[:, 0])

    assert not found.is_copy
    assert math.isnan(found.moved)


def test_missing_steps_are_left_out(rng):
    walk = rng.normal(size=300).cumsum()
    actual, forecast, previous = rolling(walk, lambda past: np.repeat(past[-1], 2), 2)
    holes = actual.copy()
    holes[::7, 1] = np.nan
    holes[5] = np.nan

    found = lag_copy(holes, forecast, previous)

    assert found.is_copy
    assert found.n_forecasts == len(actual) - 1


def test_lag_copy_says_what_it_found(rng):
    walk = rng.normal(size=50).cumsum()

    found = lag_copy(walk[1:], walk[:-1], walk[:-1])

    assert str(found).startswith("Copies the last value (correlation of changes with y(t-1) 1.00")
    assert LagCopy(**found.to_dict()) == found


def test_lag_copy_refuses_shapes_that_do_not_fit():
    with pytest.raises(DataError, match="same shape"):
        lag_copy(np.ones((3, 2)), np.ones((3, 1)), np.ones(3))
    with pytest.raises(DataError, match=r"one value per forecast, shape \(3,\)"):
        lag_copy(np.ones((3, 2)), np.ones((3, 2)), np.ones(2))


# ---- the verdict ----------------------------------------------------------------------------


def table(model, naive=6.0, seasonal=5.0, drift=7.0, mase=None):
    """Return scores by method; mase in the same order as the arguments."""
    methods = ["model", "naive", "seasonal_naive", "drift"]
    frame = pd.DataFrame({"mae": [model, naive, seasonal, drift]}, index=methods)
    return frame if mase is None else frame.assign(mase=mase)


def test_the_verdict_names_the_best_naive_and_the_gain():
    said = verdict(table(4.4), p_value=0.03, n_steps=24)

    assert (
        said
        == "Beats the best naive forecast (seasonal naive) by 12 % in MAE on 24 held-out steps, p = 0.03."
    )


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (4.9, {"p_value": 0.4}, "Beats the best naive forecast (seasonal naive) by 2 % in MAE, which may be chance (p = 0.40)."),
        (4.4, {"p_value": 0.0002}, "Beats the best naive forecast (seasonal naive) by 12 % in MAE, p < 0.001."),
        (4.4, {"p_value": 0.0499}, "Beats the best naive forecast (seasonal naive) by 12 % in MAE, p = 0.050."),
        (4.4, {"p_value": 0.05}, "Beats the best naive forecast (seasonal naive) by 12 % in MAE, which may be chance (p = 0.05)."),
        (4.4, {"p_value": math.nan}, "Beats the best naive forecast (seasonal naive) by 12 % in MAE, too few origins for a test."),
        (5.5, {"n_steps": 1200}, "Does not beat the best naive forecast (seasonal naive): 10 % worse in MAE on 1,200 held-out steps."),
        (50.0, {"n_steps": 1}, "Does not beat the best naive forecast (seasonal naive): 900 % worse in MAE on 1 held-out step."),
        (5.0, {"p_value": 1.0}, "Does not beat the best naive forecast (seasonal naive): the same MAE."),
        (5.0 * (1 + 1e-15), {"p_value": 0.8}, "Does not beat the best naive forecast (seasonal naive): the same MAE."),
        (5.0, {"lag_copy": True}, "Does not beat the best naive forecast (seasonal naive): the same MAE; it copies the last observed value."),
        (4.4, {"lag_copy": False}, "Beats the best naive forecast (seasonal naive) by 12 % in MAE."),
        (math.nan, {"n_steps": 3}, "Can't be compared with the naive forecasts: no MAE on 3 held-out steps."),
    ],
)  # fmt: skip
def test_the_verdict_is_one_honest_sentence(model, options, said):
    assert verdict(table(model), **options) == said


def test_the_verdict_takes_what_the_detector_found(rng):
    walk = rng.normal(size=50).cumsum()

    said = verdict(table(5.5), lag_copy=lag_copy(walk[1:], walk[:-1], walk[:-1]))

    assert said.endswith("; it copies the last observed value.")


def test_nothing_beats_a_naive_forecast_without_error():
    said = verdict(table(0.1, naive=0.0))

    assert said == "Does not beat the best naive forecast (naive), which makes no error."


def test_the_verdict_tells_where_mase_disagrees():
    better = verdict(table(4.4, mase=[1.2, 1.5, 1.1, 2.0]), p_value=0.03)
    worse = verdict(table(5.5, mase=[0.9, 1.5, 1.1, 2.0]))
    alike = verdict(table(4.4, mase=[0.9, 1.5, 1.1, 2.0]))

    assert better.endswith("by 12 % in MAE, p = 0.03, but not in MASE (1.2 against 1.1).")
    assert worse.endswith("10 % worse in MAE, though better in MASE (0.9 against 1.1).")
    assert "MASE" not in alike


def test_another_metric_can_decide():
    scores = table(4.4, mase=[1.2, 1.5, 1.6, 2.0])

    assert best_naive(scores, "mase") == "naive"
    assert verdict(scores, metric="mase").startswith(
        "Beats the best naive forecast (naive) by 20 % in MASE"
    )


def test_the_best_naive_is_the_smallest_known_one():
    assert best_naive(table(1.0)) == "seasonal_naive"
    assert best_naive(table(1.0, seasonal=math.nan)) == "naive"
    assert best_naive(table(1.0, naive=5.0)) == "naive"
    assert best_naive(table(1.0).loc[["drift"]]) == "drift"


def test_scores_without_what_is_compared_are_refused():
    with pytest.raises(DataError, match=r"column 'rmse'. Got \['mae'\]"):
        verdict(table(1.0), metric="rmse")
    with pytest.raises(DataError, match="row 'model'"):
        verdict(table(1.0).drop("model"))
    with pytest.raises(DataError, match="one of naive, seasonal_naive, drift"):
        best_naive(table(1.0).loc[["model"]])


# ---- coverage -------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "n"), [(0.8, 50), (0.0, 20), (1.0, 1000), (0.123, 1000)])
def test_coverage_interval_is_wilsons(share, n):
    theirs = stats.binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")

    assert coverage_interval(share, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_thousand_points_tell_coverage_within_three_points():
    low, high = coverage_interval(0.8, 1000)

    assert low > 0.77
    assert high < 0.83


def test_three_good_seasonal_forecasts_are_not_called_a_copy():
    t = np.arange(72)
    y = (100 + t) * (1 + 0.3 * np.sin(t * np.pi / 6))
    cutoffs = np.array([36, 48, 60])
    actual = np.stack([y[c : c + 12] for c in cutoffs])

    found = lag_copy(actual, actual * 1.03, y[cutoffs - 1])

    assert not found.is_copy
