"""What may not move a forecast: the future, other series, order, names, types, units."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import DECODERS, HORIZON, ROWS, baseline, fit_tiny, tiny, waves
from tsrnn.exceptions import SkillWarning

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def values(forecast: pd.DataFrame) -> np.ndarray:
    return forecast.set_index(["unique_id", "ds"]).sort_index().to_numpy(np.float64)


def fitted_values(frame, **changes) -> np.ndarray:
    return values(fit_tiny(frame, **changes).predict(level=80))


# ---- the future ---------------------------------------------------------------------------


def test_rows_after_the_cutoff_never_reach_a_fold(direct):
    frame = waves(rows=80)
    poisoned = frame.copy()
    poisoned.loc[poisoned.groupby("unique_id").cumcount() >= 80 - HORIZON, "y"] *= 1e6

    clean = direct.backtest(frame, n_windows=2, refit=False).forecasts
    dirty = direct.backtest(poisoned, n_windows=2, refit=False).forecasts

    np.testing.assert_array_equal(clean["forecast"], dirty["forecast"])
    assert (clean["actual"] != dirty["actual"]).sum() == 2 * HORIZON


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_the_rows_that_judge_choose_nothing(decoder):
    """With the newest horizon poisoned, plan and training curve stay the same to the last bit."""
    frame = waves().assign(y=lambda rows: rows["y"] + 30)
    newest = frame.groupby("unique_id").cumcount() >= ROWS - HORIZON
    poisoned = frame.assign(y=frame["y"].where(~newest, 1e3 * frame["y"] + 7))

    clean = tiny(decoder=decoder, max_steps=5).fit(frame)
    dirty = tiny(decoder=decoder, max_steps=5).fit(poisoned)

    assert clean.plan_ == dirty.plan_
    pd.testing.assert_frame_equal(clean.history_, dirty.history_, check_exact=True)
    assert clean.best_step_ == dirty.best_step_


@pytest.mark.slow
def test_the_rows_that_choose_teach_nothing_before_the_choice():
    """Validation rows times forty: the losses of training stay, the scores of validation move."""
    frame = waves()
    place = frame.groupby("unique_id").cumcount()
    held = (place >= ROWS - 4 * HORIZON) & (place < ROWS - HORIZON)
    poisoned = frame.assign(y=frame["y"].where(~held, 40 * frame["y"] + 1000))
    fixed = {"val_size": 3 * HORIZON, "representation": "level", "patience": None}

    clean, dirty = tiny(**fixed).fit(frame), tiny(**fixed).fit(poisoned)

    for column in ("train_loss", "gradient_norm", "learning_rate"):
        np.testing.assert_array_equal(clean.history_[column], dirty.history_[column])
    assert (clean.history_["val_score"] != dirty.history_["val_score"]).all()


# ---- order, names, types ------------------------------------------------------------------


def test_the_order_of_series_and_rows_does_not_matter_at_predict(network):
    frame = waves(series=5)

    expected = values(network.predict(frame, level=80))
    mixed = network.predict(frame.sample(frac=1.0, random_state=0), level=80)

    # a row's place in a matrix product may move its last bit, on some processors
    np.testing.assert_allclose(values(mixed), expected, rtol=1e-6, atol=1e-6)


def test_the_type_of_a_number_does_not_matter():
    dtype = "float64[pyarrow]"  # the contract's rule has the others
    frame = waves()
    frame["y"] = (8 * frame["y"]).round()

    expected = fitted_values(frame, max_steps=4)

    np.testing.assert_array_equal(fitted_values(frame.astype({"y": dtype}), max_steps=4), expected)


@pytest.mark.parametrize("dtype", ["datetime64[s]", "datetime64[ms]", "datetime64[ns]"])
def test_the_unit_of_time_does_not_matter(dtype, network):
    frame = waves(seed=4)

    expected = network.predict(frame)
    got = network.predict(frame.astype({"ds": dtype}))

    np.testing.assert_array_equal(got["forecast"], expected["forecast"])
    assert (got["ds"].to_numpy() == expected["ds"].to_numpy()).all()


def test_a_time_zone_is_a_label():
    frame = waves()
    zoned = frame.assign(ds=frame["ds"].dt.tz_localize("America/New_York"))

    model = tiny(max_steps=4).fit(zoned)

    np.testing.assert_array_equal(
        model.predict()["forecast"], fit_tiny(frame, max_steps=4).predict()["forecast"]
    )
    assert str(model.predict()["ds"].dt.tz) == "America/New_York"


def test_twenty_eight_years_later_the_forecast_is_the_same():
    """Weekdays and leap years repeat after 28 years."""
    frame = waves()
    later = frame.assign(ds=frame["ds"] + pd.DateOffset(years=28))

    now, then = (fit_tiny(f, max_steps=4).predict() for f in (frame, later))

    np.testing.assert_array_equal(then["forecast"], now["forecast"])
    assert (then["ds"] == now["ds"] + pd.DateOffset(years=28)).all()


# ---- level and scale ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("representation", "season", "factor"),
    [("difference", 1, 2.0**10), ("level", 7, 2.0**-30)],
)
def test_another_unit_changes_the_unit_of_the_forecast_and_nothing_else(
    representation, season, factor
):
    """A factor that is a power of two is exact in binary, so every bit is the same."""
    frame = waves()
    fixed = {"representation": representation, "season": season, "max_steps": 8}

    expected = fitted_values(frame, **fixed)
    scaled = fitted_values(frame.assign(y=factor * frame["y"]), **fixed)

    np.testing.assert_array_equal(scaled, factor * expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("representation", "shift", "decoder"),
    [
        ("difference", 4096.0, "direct"),
        ("difference", 2.0**24, "direct"),
        ("difference", 4096.0, "shift"),
        ("level", 4096.0, "direct"),
    ],
)
def test_another_level_moves_the_forecast_with_it(representation, shift, decoder):
    """Values on a grid of 2**-20 keep every digit at the other level; a smoothed one loses some at 2**24.

    There, what is rounded at 2**-29 moves the fit of the mixture, and training a little more.
    """
    frame = waves()
    frame["y"] = np.round(frame["y"] * 2**20) / 2**20
    fixed = {"representation": representation, "decoder": decoder, "max_steps": 8}

    expected = fitted_values(frame, **fixed)
    moved = fitted_values(frame.assign(y=frame["y"] + shift), **fixed)

    atol = 1e-5 if shift < 2**24 else 2e-3
    np.testing.assert_allclose(moved - shift, expected, rtol=0, atol=atol)


def test_logarithms_scale_with_the_data():
    frame = waves()
    frame["y"] = np.exp(frame["y"] / 10)

    expected = fitted_values(frame, representation="log", max_steps=8)
    scaled = fitted_values(frame.assign(y=1000 * frame["y"]), representation="log", max_steps=8)

    np.testing.assert_allclose(scaled, 1000 * expected, rtol=1e-5)


# ---- company ------------------------------------------------------------------------------


def test_another_series_times_a_million_moves_no_forecast(network):
    frame = waves(series=3)
    loud = frame.assign(y=frame["y"].where(frame["unique_id"] != "s1", 1e6 * frame["y"]))

    quiet, other = network.predict(frame, level=80), network.predict(loud, level=80)

    mine = quiet["unique_id"] != "s1"
    pd.testing.assert_frame_equal(quiet[mine], other[mine], check_exact=True)


def test_a_series_alone_is_forecast_as_among_others(network):
    """To a hundred-thousandth: matrix products of another size may round another way."""
    frame = waves(series=9)
    ragged = frame.drop(frame.index[: ROWS // 2])  # s0 is half as long

    together = network.predict(ragged, level=80, horizon=9)

    alone = [network.predict(one, level=80, horizon=9) for _, one in ragged.groupby("unique_id")]
    np.testing.assert_allclose(values(pd.concat(alone)), values(together), rtol=0, atol=1e-5)


def test_simulated_paths_do_not_feel_company(network):
    frame = waves(series=3)

    together = network.simulate(5, frame)
    alone = network.simulate(5, frame[frame["unique_id"] == "s2"])

    mine = together[together["unique_id"] == "s2"]["value"]
    np.testing.assert_allclose(alone["value"], mine, rtol=0, atol=1e-5)


# ---- purity -------------------------------------------------------------------------------


def test_predict_is_predict_of_the_training_frame(network):
    np.testing.assert_allclose(
        values(network.predict(waves(), level=80)),
        values(network.predict(level=80)),
        rtol=0,
        atol=1e-6,
    )


def test_predicting_anything_changes_nothing(network):
    before = network.predict(level=[50, 80])
    frame = waves(series=4, seed=8)
    kept = frame.copy(deep=True)

    network.predict(frame)
    network.predict(horizon=11)
    network.simulate(2, frame)
    network.score(later_rows())

    pd.testing.assert_frame_equal(network.predict(level=[50, 80]), before, check_exact=True)
    pd.testing.assert_frame_equal(frame, kept, check_exact=True)


def later_rows() -> pd.DataFrame:
    longer = waves(rows=ROWS + HORIZON)
    return longer[longer.groupby("unique_id").cumcount() >= ROWS]


def test_a_baseline_is_pure_too():
    model = baseline().fit(waves())
    before = model.predict()

    model.predict(waves(series=3, seed=1))
    model.score(later_rows())

    pd.testing.assert_frame_equal(model.predict(), before, check_exact=True)


# ---- horizon and quantiles ----------------------------------------------------------------


@pytest.mark.parametrize("beyond", [1, 3, HORIZON, HORIZON + 1, 3 * HORIZON])
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(network, beyond):
    whole = network.predict(horizon=4 * HORIZON, level=80)

    part = network.predict(horizon=beyond, level=80)

    first = whole.groupby("unique_id").head(beyond).reset_index(drop=True)
    pd.testing.assert_frame_equal(part, first, check_exact=True)


def test_a_forecast_starts_one_step_after_the_last_time(network):
    forecast = network.predict(horizon=2 * HORIZON)

    start = waves()["ds"].max() + pd.Timedelta("1D")
    expected = pd.date_range(start, periods=2 * HORIZON, freq="D")
    for _, one in forecast.groupby("unique_id"):
        assert (one["ds"].to_numpy() == expected.to_numpy()).all()


def test_quantiles_ascend_and_are_not_equal(network):
    probabilities = np.round(np.arange(0.025, 0.976, 0.025), 3)

    forecast = network.predict(quantiles=probabilities.tolist(), horizon=3 * HORIZON)

    columns = forecast.iloc[:, 3:].to_numpy()
    assert columns.shape[1] == len(probabilities)
    assert (np.diff(columns, axis=1) > 0).all()
    np.testing.assert_array_equal(forecast["forecast"], forecast["forecast-q50"])


def test_the_order_in_which_quantiles_are_asked_orders_columns_only(network):
    one = network.predict(quantiles=[0.9, 0.1], level=[80])

    other = network.predict(quantiles=[0.1, 0.9], level=[80])

    assert list(one.columns[-2:]) == ["forecast-q90", "forecast-q10"]
    pd.testing.assert_frame_equal(one[other.columns], other, check_exact=True)
    np.testing.assert_array_equal(one["forecast-lo-80"], one["forecast-q10"])


def test_the_weights_that_are_kept_are_the_best_on_validation(network):
    scores = network.history_.set_index("step")["val_score"]

    assert network.best_step_ == scores.idxmin()
    assert np.isfinite(scores).all()


# ---- seeds --------------------------------------------------------------------------------


def test_another_seed_says_something_else():
    frame = waves()

    one, other = (fitted_values(frame, random_state=seed) for seed in (0, 1))

    assert (one != other).all()


def test_no_seed_draws_one_and_remembers_it():
    frame = waves()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkillWarning)
        model = tiny(random_state=None, max_steps=4).fit(frame)

    assert model.random_state is None
    again = tiny(random_state=model.seed_, max_steps=4).fit(frame)
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)
