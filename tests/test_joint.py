"""Joint targets: channels of one series, read by one state, forecast under names of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.contract.samples import tiny
from tsrnn import BaselineForecaster, backtest, load
from tsrnn.exceptions import DataError, DataWarning

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

TARGETS = ["lead", "late"]
HORIZON = 3


def delayed(*, rows=160, series=2, delay=3, seed=0) -> pd.DataFrame:
    """A noise that no past tells, and the same ``delay`` steps later."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(series):
        noise = rng.normal(size=rows + delay)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": f"s{i}",
                    "ds": pd.date_range("2024-01-01", periods=rows, freq="D"),
                    "lead": 5 + noise[delay:],
                    "late": 100 + 10 * noise[:rows],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def small(**changes):
    return tiny(**{"horizon": HORIZON, "target_col": TARGETS, "max_steps": 6, **changes})


@pytest.fixture(scope="module")
def frame():
    return delayed()


@pytest.fixture(scope="module")
def fitted(frame):
    return small(max_steps=24).fit(frame)


# ---- known answers ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["direct", "shift"])
def test_a_delayed_channel_is_forecast_from_the_one_that_leads(decoder):
    df = delayed(rows=400)
    newest = df.groupby("unique_id").cumcount(ascending=False) < HORIZON
    past, truth = df[~newest], df[newest]["late"].to_numpy()
    how = {"max_steps": 250, "hidden_size": 16, "patience": None, "decoder": decoder}

    together = small(**how).fit(past).predict()["forecast-late"].to_numpy()
    alone = small(target_col="late", **how).fit(past).predict()["forecast"].to_numpy()

    assert np.abs(together - truth).mean() < 0.4 * np.abs(alone - truth).mean()


@pytest.mark.parametrize("decoder", ["direct", "shift"])
def test_paths_of_channels_are_correlated_as_their_errors_are(decoder):
    rng = np.random.default_rng(1)
    both = rng.multivariate_normal([0, 0], [[1, -0.8], [-0.8, 1]], size=600)
    df = pd.DataFrame({"ds": pd.RangeIndex(600), "a": both[:, 0], "b": 50 + 3 * both[:, 1]})

    model = tiny(horizon=2, target_col=["a", "b"], decoder=decoder).fit(df)
    paths = model.simulate(400)

    for _, step in paths.groupby("ds"):
        assert np.corrcoef(step["a"], step["b"])[0, 1] == pytest.approx(-0.8, abs=0.12)


def test_channels_without_anything_in_common_have_independent_paths():
    rng = np.random.default_rng(2)
    df = pd.DataFrame(
        {"ds": pd.RangeIndex(600), **dict(zip("ab", rng.normal(size=(2, 600)), strict=True))}
    )

    paths = tiny(horizon=2, target_col=["a", "b"]).fit(df).simulate(400)

    for _, step in paths.groupby("ds"):
        assert abs(np.corrcoef(step["a"], step["b"])[0, 1]) < 0.2


# ---- what comes out -----------------------------------------------------------------------


def test_each_target_has_columns_of_its_own(frame, fitted):
    forecast = fitted.predict(level=80, quantiles=[0.3])

    assert list(forecast.columns) == [
        "unique_id",
        "ds",
        *(
            f"forecast-{target}{what}"
            for target in TARGETS
            for what in ("", "-lo-80", "-hi-80", "-q30")
        ),
    ]
    assert forecast["unique_id"].tolist() == ["s0"] * HORIZON + ["s1"] * HORIZON
    assert forecast["ds"].iloc[0] == frame["ds"].max() + pd.Timedelta(days=1)
    assert forecast["forecast-lead"].between(2, 8).all()
    assert forecast["forecast-late"].between(60, 140).all()


def test_one_target_in_a_list_says_what_its_name_alone_does(frame):
    listed = small(target_col=["lead"]).fit(frame)
    plain = small(target_col="lead").fit(frame)

    said = listed.predict(level=80)

    expected = plain.predict(level=80).rename(
        columns=lambda name: name.replace("forecast", "forecast-lead")
    )
    pd.testing.assert_frame_equal(said, expected, check_exact=True)
    assert list(listed.simulate(2).columns) == ["unique_id", "path", "ds", "lead"]


def test_frames_of_other_kinds_say_the_same(frame, fitted):
    expected = fitted.predict()

    indexed = small(max_steps=24).fit(frame.set_index(["unique_id", "ds"])).predict()
    polars = small(max_steps=24).fit(pl.from_pandas(frame)).predict()
    shuffled = small(max_steps=24).fit(frame.sort_values("ds", kind="stable")).predict()

    pd.testing.assert_frame_equal(indexed.reset_index(), expected, check_exact=True)
    pd.testing.assert_frame_equal(shuffled, expected, check_exact=True)
    assert polars.columns == list(expected.columns)
    np.testing.assert_array_equal(polars["forecast-late"].to_numpy(), expected["forecast-late"])


def test_a_frame_without_ids_holds_one_series_of_several_channels(frame):
    one = frame[frame["unique_id"] == "s0"].drop(columns="unique_id")

    by_index = small().fit(one.set_index("ds"))
    model = small().fit(one)

    assert list(model.predict().columns) == ["ds", "forecast-lead", "forecast-late"]
    assert list(by_index.predict().columns) == ["forecast-lead", "forecast-late"]
    assert list(model.simulate(2).columns) == ["path", "ds", "lead", "late"]


def test_paths_have_a_column_for_each_target(fitted):
    paths = fitted.simulate(4)

    assert list(paths.columns) == ["unique_id", "path", "ds", *TARGETS]
    assert len(paths) == 2 * 4 * HORIZON
    assert paths["late"].mean() > 50 > paths["lead"].mean()


@pytest.mark.parametrize("decoder", ["direct", "shift"])
def test_paths_have_the_medians_that_are_forecast(frame, decoder):
    model = small(decoder=decoder).fit(frame)

    medians = model.simulate(801).groupby(["unique_id", "ds"])[TARGETS].median()

    said = model.predict()
    for target in TARGETS:
        spread = frame[target].std()
        np.testing.assert_allclose(medians[target], said[f"forecast-{target}"], atol=0.15 * spread)


def test_a_horizon_beyond_the_fitted_one_begins_the_same(fitted):
    longer = fitted.predict(horizon=2 * HORIZON + 1)

    begin = longer.groupby("unique_id").head(HORIZON).reset_index(drop=True)
    pd.testing.assert_frame_equal(begin, fitted.predict(), check_exact=True)
    assert longer.notna().all(axis=None)


# ---- who feels whom -----------------------------------------------------------------------


def test_a_forecast_does_not_feel_the_company_of_other_series(frame, fitted):
    alone = fitted.predict(frame[frame["unique_id"] == "s1"])
    paths = fitted.simulate(3, frame[frame["unique_id"] == "s1"])

    both, all_paths = fitted.predict(frame), fitted.simulate(3, frame)

    kept = both[both["unique_id"] == "s1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, kept, rtol=1e-6)
    kept = all_paths[all_paths["unique_id"] == "s1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(paths, kept, rtol=1e-6)


def test_a_channel_feels_the_others_of_its_series_alone(frame):
    model = small(max_steps=60, learning_rate=2e-2).fit(frame)
    weights = dict(model.network_.named_parameters())
    weights["members.0.head.out.weight"].data.add_(0.05)
    moved = frame.copy()
    at = moved.index[(moved["unique_id"] == "s0")][-1]
    moved.loc[at, "lead"] += 3.0

    before, after = model.predict(frame), model.predict(moved)

    changed = (before != after).drop(columns=["unique_id", "ds"])
    assert changed[before["unique_id"] == "s0"]["forecast-late"].any()
    assert not changed[before["unique_id"] == "s1"].any(axis=None)


def test_no_window_and_no_batch_splits_a_series(frame):
    from tsrnn.windows import WindowSampler

    panel, _ = small()._read(frame)
    sampler = WindowSampler(panel, panel.lengths, look_back=4, context=8, horizon=2, patch=1)

    series, start = sampler.places(7, np.random.default_rng(0))

    assert (series.reshape(-1, 2) % 2 == [0, 1]).all()
    assert (start.reshape(-1, 2) == start[::2, None]).all()


# ---- what data may be like ----------------------------------------------------------------


def test_a_value_missing_in_one_channel_is_masked_there_alone(frame):
    holes = frame.copy()
    holes.loc[[20, 21, 100], "late"] = np.nan
    holes.loc[holes.index[-2:], "late"] = np.nan

    with pytest.warns(DataWarning, match=r"Column 'late' has 5 missing values"):
        model = small().fit(holes)

    assert model.predict().notna().all(axis=None)
    assert len(model.predict()) == 2 * HORIZON


def test_a_channel_that_fell_silent_long_ago_is_still_forecast(frame):
    silent = frame.copy()
    silent.loc[silent.index[-110:], "late"] = np.nan

    with pytest.warns(DataWarning):
        said = small(season=1).fit(silent).predict()

    assert said.notna().all(axis=None)


def test_series_of_different_lengths_are_fine(frame):
    ragged = frame.drop(index=frame.index[:70])

    model = small().fit(ragged)

    assert model.predict()["unique_id"].tolist() == ["s0"] * HORIZON + ["s1"] * HORIZON


def test_a_gap_is_a_step_without_values_in_all_channels(frame):
    with pytest.warns(DataWarning, match="1 steps have no row"):
        panel, _ = small()._read(frame.drop(index=40))

    hole = np.isnan(panel.values)
    assert hole.sum() == 2
    assert panel.lengths.tolist() == [160] * 4
    assert panel.ids.tolist() == [(f"s{i}", name) for i in range(2) for name in TARGETS]


def test_covariates_belong_to_the_series(frame):
    rng = np.random.default_rng(5)
    driven = frame.assign(driver=rng.normal(size=len(frame)), kind=frame["unique_id"])
    newest = driven.groupby("unique_id").cumcount(ascending=False) < HORIZON
    model = small(future_covariates=["driver"], static_covariates=["kind"]).fit(driven[~newest])

    future = model.make_future()

    assert list(future.columns) == ["unique_id", "ds", "driver"]
    assert len(future) == 2 * HORIZON
    future = driven[newest][["unique_id", "ds", "driver"]]
    said = model.predict(future_df=future)
    pd.testing.assert_frame_equal(model.predict(driven[~newest], future_df=future), said, rtol=1e-6)
    with pytest.raises(DataError, match=r"for these values of series and time: \('s0', 2024"):
        model.predict()


# ---- the rest of the contract ---------------------------------------------------------------


def test_a_saved_forecaster_says_the_same(fitted, frame, tmp_path):
    fitted.save(tmp_path / "model")

    again = load(tmp_path / "model")

    pd.testing.assert_frame_equal(
        again.predict(level=80), fitted.predict(level=80), check_exact=True
    )
    pd.testing.assert_frame_equal(again.simulate(3), fitted.simulate(3), check_exact=True)
    pd.testing.assert_frame_equal(again.predict(frame), fitted.predict(frame), check_exact=True)
    pd.testing.assert_frame_equal(again.skill_.by_target, fitted.skill_.by_target)


def test_a_backtest_judges_each_target(frame):
    result = backtest(small(max_steps=2), frame, n_windows=2, refit=False, level=80)

    assert list(result.forecasts.columns) == [
        "unique_id",
        "cutoff",
        "ds",
        *(
            f"{what.format(target)}"
            for target in TARGETS
            for what in ("actual-{}", "forecast-{}", "forecast-{}-lo-80", "forecast-{}-hi-80")
        ),
    ]
    late = frame.set_index(["unique_id", "ds"])["late"]
    forecasts = result.forecasts.set_index(["unique_id", "ds"])
    np.testing.assert_array_equal(forecasts["actual-late"], late.loc[forecasts.index])
    error = (forecasts["actual-late"] - forecasts["forecast-late"]).abs().mean()
    assert result.by_target.loc[("late", "model"), "mae"] == pytest.approx(error)
    assert result.by_series.index.tolist() == [
        (f"s{i}", name) for i in range(2) for name in TARGETS
    ]
    assert result.metric == "mase"


def test_the_skill_tells_of_each_target(fitted):
    assert fitted.skill_.by_target.index.tolist() == TARGETS
    assert "model" in fitted.skill_.by_target.columns


def test_a_score_is_the_mean_of_its_targets(frame):
    newest = frame.groupby("unique_id").cumcount(ascending=False) < HORIZON
    model = small().fit(frame[~newest])

    score = model.score(frame[newest])

    alone = [
        BaselineForecaster("drift", horizon=HORIZON, season=1, target_col=name).fit(frame[~newest])
        for name in TARGETS
    ]
    simple = BaselineForecaster("drift", horizon=HORIZON, season=1, target_col=TARGETS)
    expected = np.mean([each.score(frame[newest]) for each in alone])
    assert simple.fit(frame[~newest]).score(frame[newest]) == pytest.approx(expected)
    assert np.isfinite(score)


def test_a_baseline_forecasts_each_target_by_itself(frame):
    together = BaselineForecaster("drift", horizon=HORIZON, target_col=TARGETS).fit(frame).predict()

    for name in TARGETS:
        alone = BaselineForecaster("drift", horizon=HORIZON, target_col=name).fit(frame).predict()
        np.testing.assert_array_equal(together[f"forecast-{name}"], alone["forecast"])


def test_a_picture_shows_each_channel(fitted):
    figure = fitted.plot()

    assert [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes][:2] == [
        "s0 lead",
        "s0 late",
    ]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "must name at least one column"),
        (["lead", "lead"], "'lead' more than once"),
        (["lead", "unique_id"], "'unique_id' more than once"),
        (["lead", "latte"], "needs the column 'latte'.*Did you mean 'late'"),
    ],
)
def test_targets_that_cant_be_used_are_refused(frame, targets, message):
    with pytest.raises(DataError, match=message):
        small(target_col=targets, id_col="unique_id").fit(frame)


def test_a_series_has_no_columns_for_several_targets(frame):
    with pytest.raises(DataError, match=r"target_col as a list needs a frame.*a Series"):
        small().fit(frame[frame["unique_id"] == "s0"].set_index("ds")["lead"])


def test_a_column_that_is_written_is_refused_as_a_name(frame):
    with pytest.raises(DataError, match="'forecast-lead'"):
        small(id_col="forecast-lead").fit(frame.rename(columns={"unique_id": "forecast-lead"}))


def test_tracking_shows_the_channels_and_an_example_that_can_be_forecast(fitted, frame):
    from tsrnn.tracking.record import head_frame, past_frame

    panel, _ = fitted._read(frame)
    example = past_frame(fitted)

    assert head_frame(panel)["id"].unique().tolist()[0] == "s0 lead"
    assert list(example.columns) == ["unique_id", "ds", *TARGETS]
    expected = frame[frame["unique_id"] == "s0"].tail(len(example)).reset_index(drop=True)
    pd.testing.assert_frame_equal(example, expected[example.columns], check_dtype=False)
    assert len(fitted.predict(example)) == HORIZON
