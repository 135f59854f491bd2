"""Cold start: series without a history, forecast from their static attributes alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import tiny
from tsrnn import load
from tsrnn.exceptions import DataError, DataWarning, FrequencyError

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

HORIZON = 4
LEVELS = {"small": 10.0, "middle": 30.0, "large": 100.0}


def shops(*, series=60, rows=24, seed=0, factor=1.0) -> pd.DataFrame:
    """Series around a level that their category tells, give or take two."""
    rng = np.random.default_rng(seed)
    kinds = list(LEVELS)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "unique_id": f"s{i:02d}",
                    "ds": pd.date_range("2024-01-01", periods=rows, freq="D"),
                    "y": factor * (LEVELS[kinds[i % 3]] + 2 * rng.normal() + rng.normal(size=rows)),
                    "kind": kinds[i % 3],
                }
            )
            for i in range(series)
        ],
        ignore_index=True,
    )


def newcomers(*kinds) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": [f"new{i}" for i in range(len(kinds))], "kind": kinds})


def small(**changes):
    return tiny(**{"horizon": HORIZON, "max_steps": 2, "static_covariates": ["kind"], **changes})


@pytest.fixture(scope="module")
def frame():
    return shops()


@pytest.fixture(scope="module")
def fitted(frame):
    return small().fit(frame)


# ---- known answers ------------------------------------------------------------------------


def test_a_new_series_is_forecast_at_the_level_of_its_category(fitted):
    said = fitted.predict(static_df=newcomers(*LEVELS), level=80)

    for i, level in enumerate(LEVELS.values()):
        mine = said[said["unique_id"] == f"new{i}"]
        np.testing.assert_allclose(mine["forecast"], level, atol=3, rtol=0.02)
        width = (mine["forecast-hi-80"] - mine["forecast-lo-80"]).to_numpy()
        assert (width < 20).all()


def test_an_unknown_category_has_the_pooled_distribution(fitted, frame):
    with pytest.warns(DataWarning, match=r"not fitted, the first 'huge'"):
        said = fitted.predict(static_df=newcomers("huge"), level=80)

    low, high = frame["y"].quantile([0.1, 0.9])
    width = said["forecast-hi-80"] - said["forecast-lo-80"]
    assert (width > 0.5 * (high - low)).all()
    assert said["forecast"].between(low, high).all()


def test_intervals_of_new_series_cover(fitted):
    fresh = shops(series=300, rows=HORIZON, seed=1)
    attributes = fresh[["unique_id", "kind"]].drop_duplicates()
    attributes["unique_id"] = "new" + attributes["unique_id"]

    said = fitted.predict(static_df=attributes, level=80)

    inside = fresh["y"].between(said["forecast-lo-80"], said["forecast-hi-80"]).mean()
    assert 0.65 < inside < 0.95


def test_levels_that_differ_by_orders_of_magnitude_stay_positive():
    df = shops().assign(y=lambda rows: np.exp(rows["y"] / 15))
    said = small().fit(df).predict(static_df=newcomers("small", "large"), quantiles=[0.025])

    assert (said["forecast-q2.5"] > 0).all()
    medians = df[df["kind"] == "large"]["y"].median(), df[df["kind"] == "small"]["y"].median()
    forecast = said.groupby("unique_id")["forecast"].mean()
    assert forecast["new1"] == pytest.approx(medians[0], rel=0.35)
    assert forecast["new0"] == pytest.approx(medians[1], rel=0.35)


@pytest.mark.slow
def test_known_future_covariates_move_a_cold_forecast():
    rng = np.random.default_rng(3)
    df = shops(series=90)
    df["sale"] = rng.integers(0, 2, len(df))
    df["y"] += 20 * df["sale"]
    model = small(future_covariates=["sale"]).fit(df.assign(y=df["y"]))
    new = newcomers("middle")
    days = pd.date_range("2024-01-25", periods=HORIZON)
    future = pd.DataFrame({"unique_id": "new0", "ds": days, "sale": [0, 1, 0, 1]})

    said = model.predict(static_df=new, future_df=future)["forecast"].to_numpy()

    np.testing.assert_allclose(said, [30, 50, 30, 50], atol=6)
    with pytest.raises(DataError, match=r"Got none of \['sale'\].*\('new0', 2024-01-25"):
        model.predict(static_df=new)


# ---- stamps and names ---------------------------------------------------------------------


def test_new_series_begin_after_the_newest_fitted_row(fitted, frame):
    said = fitted.predict(static_df=newcomers("small"), horizon=2)

    assert list(said.columns) == ["unique_id", "ds", "forecast"]
    assert said["ds"].tolist() == [frame["ds"].max() + pd.Timedelta(days=k) for k in (1, 2)]


def test_new_series_begin_where_their_future_does(fitted, frame):
    start = pd.Timestamp("2025-05-01")
    dates = pd.DataFrame({"unique_id": ["new1"], "ds": [start]})

    said = fitted.predict(static_df=newcomers("small", "large"), future_df=dates)

    first = said.groupby("unique_id")["ds"].first()
    assert first["new0"] == frame["ds"].max() + pd.Timedelta(days=1)
    assert first["new1"] == start


def test_a_start_off_the_grid_is_refused():
    monthly = shops()
    months = pd.date_range("2024-01-01", periods=24, freq="MS")
    monthly["ds"] = np.tile(months, 60)
    model = small(horizon=2).fit(monthly)
    dates = pd.DataFrame({"unique_id": ["new0"], "ds": [pd.Timestamp("2026-05-13")]})

    with pytest.raises(FrequencyError, match=r"Got 2026-05-13.*'new0'"):
        model.predict(static_df=newcomers("small"), future_df=dates)


def test_company_moves_no_new_series(fitted):
    alone = fitted.predict(static_df=newcomers("small"))
    together = fitted.predict(static_df=newcomers("small", "large", "middle"))

    kept = together[together["unique_id"] == "new0"]
    pd.testing.assert_frame_equal(alone, kept, rtol=1e-6)


def test_a_saved_forecaster_starts_cold_alike(fitted, tmp_path):
    fitted.save(tmp_path / "model")

    again = load(tmp_path / "model")

    new = newcomers(*LEVELS)
    expected = fitted.predict(static_df=new, level=[50, 90])
    pd.testing.assert_frame_equal(
        again.predict(static_df=new, level=[50, 90]), expected, check_exact=True
    )


def test_two_fits_start_cold_alike(fitted, frame):
    again = small().fit(frame)

    new = newcomers(*LEVELS)
    pd.testing.assert_frame_equal(
        again.predict(static_df=new), fitted.predict(static_df=new), check_exact=True
    )


def test_bounds_hold(frame):
    model = small(bounds=(0, 40)).fit(frame)

    said = model.predict(static_df=newcomers("large", "small"), level=95)

    assert said.drop(columns=["unique_id", "ds"]).to_numpy().max() <= 40


# ---- what is refused ----------------------------------------------------------------------


def test_a_series_with_a_history_is_refused(fitted):
    mixed = newcomers("small", "large").assign(unique_id=["new0", "s03"])

    with pytest.raises(DataError, match=r"not fitted. Got 's03'"):
        fitted.predict(static_df=mixed)


def test_too_few_series_are_said_to_be_too_few():
    model = small().fit(shops(series=6))

    with pytest.raises(DataError, match=r"at least 20 series. Got 6 at fit"):
        model.predict(static_df=newcomers("small"))


def test_a_horizon_beyond_the_fitted_one_is_refused(fitted):
    with pytest.raises(DataError, match=r"up to the fitted horizon of 4 steps. Got horizon=5"):
        fitted.predict(static_df=newcomers("small"), horizon=5)


def test_attributes_that_are_missing_are_named(fitted):
    with pytest.raises(DataError, match="'kind' "):
        fitted.predict(static_df=newcomers("small")[["unique_id"]])
    with pytest.raises(DataError, match=r"several for 'new0'"):
        fitted.predict(static_df=newcomers("small", "small").assign(unique_id="new0"))


def test_without_static_covariates_there_is_nothing_to_begin_with(frame):
    model = small(static_covariates=None).fit(frame.drop(columns="kind"))

    assert model.cold_ is None
    with pytest.raises(DataError, match="static_df"):
        model.predict(static_df=newcomers("small"))


def test_several_targets_are_refused(frame):
    model = small(target_col=["y", "z"]).fit(frame.assign(z=frame["y"]))

    with pytest.raises(DataError, match=r"one target. Got several"):
        model.predict(static_df=newcomers("small"))


# ---- sample paths -------------------------------------------------------------------------


def test_paths_of_new_series_have_the_quantiles_that_are_forecast(fitted):
    new = newcomers(*LEVELS)

    drawn = fitted.simulate(2000, static_df=new)

    assert len(drawn) == 3 * 2000 * HORIZON
    said = fitted.predict(static_df=new, quantiles=[0.1, 0.5, 0.9]).set_index(["unique_id", "ds"])
    by_step = drawn.groupby(["unique_id", "ds"])["value"]
    width = (said["forecast-q90"] - said["forecast-q10"]).max()
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(
            by_step.quantile(q), said[f"forecast-q{100 * q:.0f}"], atol=0.03 * width
        )


def test_steps_of_a_path_hang_together_as_those_of_the_fitted_series_do(frame):
    """What a category does not tell is two on the level, and one on each step: a correlation of 0.8."""
    model = small().fit(shops(series=600, rows=12))

    drawn = model.simulate(2000, static_df=newcomers("middle"), horizon=2)

    paths = drawn.pivot(index="path", columns="ds", values="value").to_numpy()
    assert np.corrcoef(paths.T)[0, 1] == pytest.approx(0.8, abs=0.1)
    again = model.simulate(2000, static_df=newcomers("middle"), horizon=2)
    pd.testing.assert_frame_equal(again, drawn, check_exact=True)
    other = model.simulate(2000, static_df=newcomers("middle"), horizon=2, random_state=5)
    assert not np.array_equal(other["value"], drawn["value"])


def test_paths_of_a_saved_forecaster_start_cold_alike(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    new = newcomers("large")

    pd.testing.assert_frame_equal(
        load(tmp_path / "model").simulate(5, static_df=new),
        fitted.simulate(5, static_df=new),
        check_exact=True,
    )


def test_paths_of_new_series_end_at_the_fitted_horizon(fitted):
    with pytest.raises(DataError, match=f"fitted horizon of {HORIZON} steps"):
        fitted.simulate(5, static_df=newcomers("small"), horizon=HORIZON + 1)
