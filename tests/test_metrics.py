"""Metrics: against utilsforecast, scoringrules, published numbers and closed forms."""

import inspect
import math

import numpy as np
import pandas as pd
import pytest
import scoringrules
import utilsforecast.losses as peer
from scipy.stats import norm

from tsrnn import metrics
from tsrnn.exceptions import DataError, ParameterError

SERIES, HORIZON, PAST = 4, 6, 30
LEVELS = np.arange(1, 10) / 10
POINT_METRICS = [metrics.mae, metrics.mse, metrics.rmse, metrics.mape, metrics.smape]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def data(rng):
    """Return actual and forecast (series, horizon), past (series, steps), all positive."""
    level = np.array([[1.0], [10.0], [100.0], [1e4]])
    return {
        "actual": level * rng.uniform(1, 2, (SERIES, HORIZON)),
        "forecast": level * rng.uniform(1, 2, (SERIES, HORIZON)),
        "past": level * rng.uniform(1, 2, (SERIES, PAST)),
    }


def long(columns):
    """Return (series, steps) arrays as the long frame that utilsforecast reads."""
    first = next(iter(columns.values()))
    frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    frame.insert(0, "unique_id", np.repeat(np.arange(len(first)), first.shape[1]))
    frame.insert(1, "ds", np.tile(np.arange(first.shape[1]), len(first)))
    return frame


def expected(frame, column="model"):
    """Return utilsforecast's answer per series."""
    return frame.sort_values("unique_id")[column].to_numpy()


# ---- against other implementations ----------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "factor"),
    [
        (metrics.mae, peer.mae, 1),
        (metrics.mse, peer.mse, 1),
        (metrics.rmse, peer.rmse, 1),
        (metrics.mape, peer.mape, 100),
        (metrics.smape, peer.smape, 200),
    ],
)
def test_point_metrics_per_series_are_those_of_utilsforecast(data, ours, theirs, factor):
    frame = long({"y": data["actual"], "model": data["forecast"]})

    per_series = ours(data["actual"], data["forecast"], axis=-1)

    np.testing.assert_allclose(per_series, factor * expected(theirs(frame, ["model"])), rtol=1e-12)


@pytest.mark.parametrize("season", [1, 4, 12])
def test_mase_per_series_is_that_of_utilsforecast(data, season):
    frame = long({"y": data["actual"], "model": data["forecast"]})
    train = long({"y": data["past"]})

    per_series = metrics.mase(data["actual"], data["forecast"], data["past"], season, axis=-1)

    theirs = peer.mase(frame, ["model"], seasonality=season, train_df=train)
    np.testing.assert_allclose(per_series, expected(theirs), rtol=1e-12)


def test_pinball_is_the_quantile_loss_of_utilsforecast_and_scoringrules(data):
    frame = long({"y": data["actual"], "model": data["forecast"]})

    per_series = metrics.pinball(data["actual"], data["forecast"], 0.3, axis=-1)

    theirs = peer.quantile_loss(frame, {"model": "model"}, q=0.3)
    np.testing.assert_allclose(per_series, expected(theirs), rtol=1e-12)
    score = scoringrules.quantile_score(data["actual"], data["forecast"], 0.3)
    np.testing.assert_allclose(per_series, score.mean(axis=-1), rtol=1e-12)


def test_pinball_of_many_quantiles_is_their_mean(data, rng):
    quantiles = np.sort(data["actual"][..., None] * rng.uniform(0.5, 1.5, (SERIES, HORIZON, 9)))
    columns = {f"q{i}": quantiles[..., i] for i in range(9)}
    frame = long({"y": data["actual"], **columns})

    per_series = metrics.pinball(data["actual"], quantiles, LEVELS, axis=-1)

    theirs = peer.mqloss(frame, {"model": list(columns)}, quantiles=LEVELS)
    np.testing.assert_allclose(per_series, expected(theirs), rtol=1e-12)


def test_wql_of_one_series_is_the_scaled_crps_of_utilsforecast(data, rng):
    actual = data["actual"][:1]
    quantiles = np.sort(actual[..., None] * rng.uniform(0.5, 1.5, (1, HORIZON, 9)))
    columns = {f"q{i}": quantiles[..., i] for i in range(9)}
    frame = long({"y": actual, **columns})

    theirs = peer.scaled_crps(frame, {"model": list(columns)}, quantiles=LEVELS)

    assert metrics.wql(actual, quantiles, LEVELS) == pytest.approx(expected(theirs)[0], rel=1e-9)


def test_coverage_is_that_of_utilsforecast(data):
    low, high = 0.8 * data["forecast"], 1.2 * data["forecast"]
    frame = long({"y": data["actual"], "model-lo-80": low, "model-hi-80": high})

    per_series = metrics.coverage(data["actual"], low, high, axis=-1)

    np.testing.assert_array_equal(per_series, expected(peer.coverage(frame, ["model"], level=80)))


def test_acd_is_the_distance_of_the_coverage_from_its_promise(data):
    low, high = 0.8 * data["forecast"], 1.2 * data["forecast"]
    share = metrics.coverage(data["actual"], low, high, axis=-1)

    assert metrics.acd(data["actual"], low, high) == pytest.approx(abs(share.mean() - 0.95))
    np.testing.assert_allclose(
        metrics.acd(data["actual"], low, high, level=50, axis=-1), np.abs(share - 0.5)
    )


def test_msis_times_its_scale_is_the_interval_score_of_scoringrules(data):
    low, high = 0.8 * data["forecast"], 1.2 * data["forecast"]

    score = metrics.msis(data["actual"], low, high, level=90, scale=1.0)

    theirs = scoringrules.interval_score(data["actual"], low, high, 0.1)
    assert score == pytest.approx(theirs.mean(), rel=1e-12)


@pytest.mark.parametrize(("fair", "estimator"), [(False, "nrg"), (True, "fair")])
def test_crps_of_samples_is_that_of_scoringrules(data, rng, fair, estimator):
    samples = data["forecast"][..., None] * rng.uniform(0.5, 1.5, (SERIES, HORIZON, 20))

    per_series = metrics.crps_samples(data["actual"], samples, fair=fair, axis=-1)

    theirs = scoringrules.crps_ensemble(data["actual"], samples, estimator=estimator)
    np.testing.assert_allclose(per_series, theirs.mean(axis=-1), rtol=1e-10)


def test_crps_of_quantiles_at_midpoints_is_that_of_scoringrules(data, rng):
    levels = (np.arange(10) + 0.5) / 10
    quantiles = np.sort(data["forecast"][..., None] * rng.uniform(0.5, 1.5, (SERIES, HORIZON, 10)))

    score = metrics.crps_quantiles(data["actual"], quantiles, levels)

    theirs = scoringrules.crps_quantile(data["actual"], quantiles, levels)
    assert score == pytest.approx(theirs.mean(), rel=1e-12)


def test_crps_of_quantiles_at_unequal_distances_nears_that_of_the_normal(rng):
    actual = rng.normal(size=50)
    levels = norm.cdf(np.linspace(-4, 4, 401))
    quantiles = np.broadcast_to(norm.ppf(levels), (50, 401))

    score = metrics.crps_quantiles(actual, quantiles, levels)

    assert score == pytest.approx(scoringrules.crps_normal(actual, 0, 1).mean(), rel=1e-4)


def test_crps_of_quantiles_does_not_depend_on_their_order(data, rng):
    quantiles = np.sort(data["forecast"][..., None] * rng.uniform(0.5, 1.5, (SERIES, HORIZON, 9)))
    order = rng.permutation(9)

    shuffled = metrics.crps_quantiles(data["actual"], quantiles[..., order], LEVELS[order])

    assert shuffled == metrics.crps_quantiles(data["actual"], quantiles, LEVELS)


def test_crps_of_a_forecast_without_spread_is_its_absolute_error(data):
    spike = np.repeat(data["forecast"][..., None], 9, axis=-1)
    error = metrics.mae(data["actual"], data["forecast"])

    assert metrics.crps_samples(data["actual"], spike) == pytest.approx(error, rel=1e-12)
    assert metrics.crps_quantiles(data["actual"], spike, LEVELS) == pytest.approx(error, rel=1e-12)


# ---- against numbers known beforehand -------------------------------------------------------


@pytest.mark.parametrize(
    ("smape", "mase", "owa"),
    [(11.374, 1.536, 0.821), (13.564, 1.912, 1.0)],
    ids=["ES-RNN", "Naive2"],
)
def test_owa_is_the_published_one_of_m4(smape, mase, owa):
    ours = metrics.owa(smape=smape, mase=mase, naive2_smape=13.564, naive2_mase=1.912)

    assert round(ours, 3) == owa


def test_smape_reaches_from_0_to_200_and_counts_two_zeros_as_no_error():
    per_step = metrics.smape(
        np.array([[0.0, 0.0, 1.0, -1.0]]), np.array([[0.0, 3.0, 1.0, 1.0]]), axis=0
    )

    assert per_step.tolist() == [0, 200, 0, 200]


def test_mase_of_the_naive_forecast_inside_its_training_data_is_one(rng):
    walk = rng.normal(size=100).cumsum()

    assert metrics.mase(walk[1:], walk[:-1], train=walk) == pytest.approx(1, rel=1e-12)


def test_naive_scale_counts_only_pairs_that_are_known():
    past = [[np.nan, np.nan, 1.0, 2.0, 4.0], [1.0, np.nan, 5.0, 6.0, np.nan]]

    scale = metrics.naive_scale(past)
    seasonal = metrics.naive_scale(past, season=2)

    assert scale.tolist() == [1.5, 1.0]
    assert seasonal.tolist() == [3.0, 4.0]


def test_naive_scale_of_a_past_shorter_than_a_season_is_missing():
    assert np.isnan(metrics.naive_scale(np.ones((2, 5)), season=12)).all()


def test_msis_adds_two_over_alpha_times_what_lies_outside():
    actual, low, high = [0.0, 5.0, 12.0], [1.0, 1.0, 1.0], [10.0, 10.0, 10.0]

    score = metrics.msis(actual, low, high, level=95, scale=2.0)

    assert score == pytest.approx((9 + 40 * (1 + 2) / 3) / 2)


@pytest.mark.parametrize(
    ("error", "reference", "skill"),
    [(3, 4, 0.25), (0, 4, 1), (8, 4, -1), (0, 0, 0), (1, 0, -math.inf)],
)
def test_skill_is_the_share_of_the_reference_error_that_is_gone(error, reference, skill):
    assert metrics.skill(error, reference) == skill


def test_skill_of_unknown_errors_is_unknown():
    assert np.isnan(metrics.skill([np.nan, 1.0, np.nan], [1.0, np.nan, 0.0])).all()


# ---- honesty --------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", POINT_METRICS)
def test_a_perfect_forecast_has_no_error(data, metric):
    assert metric(data["actual"], data["actual"]) == 0


@pytest.mark.parametrize("metric", POINT_METRICS)
def test_the_order_of_rows_does_not_change_the_error(data, rng, metric):
    order = rng.permutation(SERIES)

    shuffled = metric(data["actual"][order], data["forecast"][order])

    assert shuffled == pytest.approx(metric(data["actual"], data["forecast"]), rel=1e-12)


@pytest.mark.parametrize("metric", [metrics.smape, metrics.mape])
def test_percentage_errors_do_not_depend_on_units(data, metric):
    scaled = metric(1024 * data["actual"], 1024 * data["forecast"])

    assert scaled == metric(data["actual"], data["forecast"])


def test_mase_does_not_depend_on_units_or_level(data):
    moved = metrics.mase(*(1024 * data[name] + 4096 for name in ("actual", "forecast", "past")))

    still = metrics.mase(data["actual"], data["forecast"], data["past"])
    assert moved == pytest.approx(still, rel=1e-9)


def with_extra(metric, actual, forecast, **options):
    """Call any metric of the module with what else it needs."""
    names = list(inspect.signature(metric).parameters)[1:]
    made = {
        "forecast": forecast,
        "lower": forecast - 1,
        "upper": forecast + 1,
        "samples": forecast[..., None] + np.array([-1.0, 0.0, 1.0]),
        "scale": 2.0,
        "quantiles": forecast[..., None] + np.array([-1.0, 0.0, 1.0]),
        "probabilities": [0.1, 0.5, 0.9],
    }
    chosen = {name: made[name] for name in names if name in made}
    return metric(actual, **chosen, **options)


OF_ACTUAL = [
    getattr(metrics, name)
    for name in metrics.__all__
    if "skipna" in inspect.signature(getattr(metrics, name)).parameters
]


@pytest.mark.parametrize("metric", OF_ACTUAL)
def test_a_missing_actual_value_is_refused_by_position(data, metric):
    actual = data["actual"].copy()
    actual[[1, 2], [3, 0]] = np.nan

    with pytest.raises(
        DataError,
        match=r"actual must be finite. Got nan at position \(1, 3\), the first of 2.*skipna=True",
    ):
        with_extra(metric, actual, data["forecast"])


@pytest.mark.parametrize("metric", OF_ACTUAL)
def test_skipna_scores_exactly_the_steps_that_are_known(data, metric):
    actual = data["actual"].copy()
    actual[:, 2:] = np.nan

    skipped = with_extra(metric, actual, data["forecast"], skipna=True)

    known = with_extra(metric, actual[:, :2], data["forecast"][:, :2])
    assert skipped == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("metric", [m for m in OF_ACTUAL if m is not metrics.wql])
def test_a_series_without_any_known_step_scores_nan_alone(data, metric):
    actual = data["actual"].copy()
    actual[1] = np.nan

    per_series = with_extra(metric, actual, data["forecast"], skipna=True, axis=-1)

    assert np.isnan(per_series).tolist() == [False, True, False, False]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", OF_ACTUAL)
def test_a_forecast_that_is_not_finite_is_refused_even_with_skipna(data, metric, value):
    forecast = data["forecast"].copy()
    forecast[2, 1] = value

    with pytest.raises(DataError, match=r"must be finite. Got -?(nan|inf) at position \(2, 1"):
        with_extra(metric, data["actual"], forecast, skipna=True)


@pytest.mark.parametrize("metric", OF_ACTUAL)
def test_shapes_are_never_stretched_to_fit(data, metric):
    with pytest.raises(DataError, match="shape"):
        with_extra(metric, data["actual"], data["forecast"][:1])


def test_infinite_truth_is_refused_even_with_skipna(data):
    data["actual"][0, 0] = np.inf

    with pytest.raises(DataError, match=r"actual must be finite. Got inf at position \(0, 0\)"):
        metrics.mae(data["actual"], data["forecast"], skipna=True)


def test_pandas_objects_of_another_order_are_refused():
    actual = pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"])

    with pytest.raises(DataError, match=r"same index.*reindex"):
        metrics.mae(actual, actual[::-1])
    assert metrics.mae(actual, actual[::-1].reindex(actual.index)) == 0


@pytest.mark.parametrize(
    "values", [["1", "2"], [[1.0], [1.0, 2.0]], np.array(["2020-01-01"], "M8[D]")]
)
def test_what_is_no_array_of_numbers_is_refused(values):
    with pytest.raises(DataError, match="actual must be an array of numbers"):
        metrics.mae(values, [1.0, 2.0])


def test_nothing_to_score_is_refused():
    with pytest.raises(DataError, match="at least one value"):
        metrics.mae([], [])


def test_mape_refuses_zero_and_names_what_to_use():
    with pytest.raises(DataError, match=r"Got 0 at position 1, the first of 2. Use smape or mase"):
        metrics.mape([1.0, 0.0, 0.0], [1.0, 1.0, 1.0])


def test_wql_refuses_a_sum_of_zero():
    with pytest.raises(DataError, match="WQL divides by the sum"):
        metrics.wql([0.0, 0.0], [1.0, 1.0], 0.5)


def test_mase_refuses_a_series_that_repeats_itself_or_leaves_it_out(data):
    data["past"][2] = 5.0

    with pytest.raises(DataError, match=r"must be positive. Got 0 for series 2, the first of 1"):
        metrics.mase(data["actual"], data["forecast"], data["past"])
    kept = metrics.mase(data["actual"], data["forecast"], data["past"], skipna=True, axis=-1)
    assert np.isnan(kept).tolist() == [False, False, True, False]


def test_mase_wants_a_scale_per_series(data):
    with pytest.raises(DataError, match=r"one scale per series, shape \(4,\).*Got \(6,\)"):
        metrics.mase(data["actual"], data["forecast"], scale=np.ones(HORIZON))
    with pytest.raises(ParameterError, match="either 'train'"):
        metrics.mase(data["actual"], data["forecast"])
    with pytest.raises(ParameterError, match="either 'train'"):
        metrics.mase(data["actual"], data["forecast"], data["past"], scale=1.0)


def test_exchanged_bounds_are_refused(data):
    low, high = data["forecast"] - 1, data["forecast"] + 1

    with pytest.raises(DataError, match=r"lower must not exceed upper.*position \(0, 0\).*24"):
        metrics.coverage(data["actual"], high, low)


@pytest.mark.parametrize("probabilities", [0.0, 1.0, [0.1, 0.1], [], np.nan, [[0.1], [0.2]]])
def test_probabilities_are_different_numbers_between_0_and_1(data, probabilities):
    with pytest.raises(ParameterError, match="probabilities"):
        metrics.pinball(data["actual"], data["forecast"], probabilities)


def test_quantiles_have_one_column_per_probability(data):
    with pytest.raises(DataError, match="Got 3 columns for 2 probabilities"):
        metrics.pinball(data["actual"], np.ones((SERIES, HORIZON, 3)), [0.1, 0.9])


def test_a_fair_score_needs_two_samples(data):
    with pytest.raises(DataError, match="at least 2 samples"):
        metrics.crps_samples(data["actual"], data["forecast"][..., None], fair=True)


@pytest.mark.parametrize("metric", OF_ACTUAL)
def test_inputs_are_left_as_they_were(data, metric):
    actual, forecast = data["actual"].copy(), data["forecast"].copy()
    actual.flags.writeable = forecast.flags.writeable = False

    with_extra(metric, actual, forecast)

    np.testing.assert_array_equal(actual, data["actual"])


def test_errors_of_float32_at_high_levels_are_taken_in_float64():
    actual = np.full(1000, 1e6, np.float32)
    forecast = np.full(1000, 1e6 + 0.5, np.float32)

    assert metrics.mae(actual, forecast) == 0.5
    assert metrics.rmse(actual, forecast) == 0.5
