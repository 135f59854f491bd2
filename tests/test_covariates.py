"""Covariates end to end: known answers, no leak, company, saving, and what the gate refuses."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from tests.contract.samples import fit_tiny, tiny, waves
from tsrnn import BaselineForecaster, RNNForecaster, load
from tsrnn.exceptions import DataError, DataWarning, ParameterError
from tsrnn.learning.validation import Validation

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

ROWS, HORIZON = 96, 4


def driven(*, rows=ROWS, series=2, seed=0) -> pd.DataFrame:
    """Series that follow a random driver, which no history of theirs can tell."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(series):
        driver = rng.normal(size=rows)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": f"s{i}",
                    "ds": pd.date_range("2024-01-01", periods=rows, freq="D"),
                    "y": 10 * i + 2 * driver + rng.normal(0, 0.05, rows),
                    "driver": driver,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def split(df: pd.DataFrame, steps=HORIZON) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The history, and the covariates of the newest ``steps`` of each series."""
    newest = df.groupby("unique_id").cumcount(ascending=False) < steps
    return df[~newest].reset_index(drop=True), df[newest].drop(columns="y").reset_index(drop=True)


def untrained(**changes) -> RNNForecaster:
    return tiny(**{"max_steps": 2, **changes})


def fit(df, **changes) -> RNNForecaster:
    return fit_tiny(df, **{"max_steps": 2, **changes})


def trained(df, **changes) -> RNNForecaster:
    """A forecaster whose every weight matters, whatever the few steps of training found."""
    model = fit(df, **changes)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.network_.parameters():
            weight.add_(0.2 * torch.empty(weight.shape).normal_(generator=g))
        for member in model.network_.members:  # all of it is said
            member.head.share.fill_(1.0)
    model.memory_ = model._remember(model._read(df, fitted=True)[0])
    return model


# ---- known answers ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["direct", "shift"])
def test_a_forecast_follows_the_driver_that_is_known_in_advance(decoder, monkeypatch):
    monkeypatch.setattr(Validation, "evidence", lambda *_: 9.0)  # what was learned is kept
    df = driven(rows=200)
    history, future = split(df)
    truth = df.merge(future, on=["unique_id", "ds"])["y"].to_numpy()

    model = tiny(
        future_covariates=["driver"],
        max_steps=200,
        learning_rate=1e-2,
        decoder=decoder,
        patience=None,
    ).fit(history)
    forecast = model.predict(future_df=future)["forecast"].to_numpy()

    assert np.abs(forecast - truth).mean() < 0.3 * np.abs(future["driver"] * 2).mean()


def test_the_driver_of_one_step_and_series_moves_that_series_alone():
    history, future = split(driven())
    model = trained(history, future_covariates=["driver"])
    moved = future.copy()
    moved.loc[2, "driver"] += 1.0  # step 3 of series s0

    change = (
        model.predict(future_df=moved)["forecast"] - model.predict(future_df=future)["forecast"]
    ).to_numpy()

    assert abs(change[2]) > 1e-3
    np.testing.assert_array_equal(change[HORIZON:], 0.0)


STILL = {"max_steps": 1, "learning_rate": 1e-12}  # what training starts from


def test_without_training_what_is_not_known_in_advance_moves_no_forecast():
    df = driven()
    df["calm"] = 5.0
    history, _ = split(df)
    plain = tiny(**STILL).fit(history[["unique_id", "ds", "y"]])

    named = tiny(**STILL, past_covariates=["calm", "driver"], target_col="y").fit(history)

    expected = plain.predict()["forecast"].to_numpy()
    np.testing.assert_allclose(named.predict()["forecast"], expected, rtol=1e-5, atol=1e-6)


def test_without_training_a_forecast_follows_what_is_known_in_advance():
    df = driven(series=4)
    history, future = split(df)
    truth = df.loc[df.groupby("unique_id").cumcount(ascending=False) < HORIZON, "y"].to_numpy()
    plain = tiny(**STILL).fit(history[["unique_id", "ds", "y"]])

    named = tiny(**STILL, future_covariates=["driver"], target_col="y").fit(history)

    said = named.predict(future_df=future)["forecast"]
    assert named.best_step_ == 0
    assert np.abs(said - truth).mean() < 0.75 * np.abs(plain.predict()["forecast"] - truth).mean()


def test_a_regression_that_does_not_forecast_better_is_not_used():
    """What the driver said is over when the rows begin that choose."""
    df = driven()
    over = df.groupby("unique_id").cumcount() >= ROWS // 2
    df["y"] = np.where(over, df["y"] - 4 * df["driver"], df["y"])  # now the other way round
    history, future = split(df)
    plain = tiny(**STILL, val_size=40).fit(history[["unique_id", "ds", "y"]])

    named = tiny(**STILL, val_size=40, future_covariates=["driver"], target_col="y").fit(history)

    expected = plain.predict()["forecast"].to_numpy()
    np.testing.assert_allclose(
        named.predict(future_df=future)["forecast"], expected, rtol=1e-5, atol=1e-6
    )


def test_a_constant_column_does_no_harm():
    df = driven().assign(calm=1e9)
    history, future = split(df)

    model = untrained(future_covariates=["calm", "driver"]).fit(history)

    assert np.isfinite(model.predict(future_df=future)["forecast"]).all()


def test_what_was_never_missing_in_training_counts_as_average_where_it_is():
    df = driven().assign(calm=np.tile([1.0, 3.0], ROWS))  # mean 2
    history, future = split(df)
    model = tiny(
        max_steps=12, past_covariates=["calm"], future_covariates=["driver"], target_col="y"
    ).fit(history)
    encoder = model.network_.members[0].covariates.past
    average = history.assign(calm=history["calm"].where(history.index < 80, encoder.centre.item()))
    missing = history.assign(calm=history["calm"].where(history.index < 80))

    with pytest.warns(DataWarning, match="'calm' has"):
        forecast = model.predict(missing, future_df=future)

    pd.testing.assert_frame_equal(forecast, model.predict(average, future_df=future))


# ---- where the future comes from ----------------------------------------------------------


def test_rows_without_a_target_are_the_future():
    df = driven()
    history, future = split(df)
    model = trained(history, future_covariates=["driver"])
    appended = pd.concat([history, future.assign(y=np.nan)], ignore_index=True)

    expected = model.predict(history, future_df=future)

    pd.testing.assert_frame_equal(model.predict(appended), expected, check_exact=True)
    again = untrained(future_covariates=["driver"]).fit(appended).predict()
    same = fit(history, future_covariates=["driver"]).predict(future_df=future)
    pd.testing.assert_frame_equal(again, same, check_exact=True)


def test_missing_rows_of_the_future_are_listed_and_can_be_made():
    history, future = split(driven())
    model = fit(history, future_covariates=["driver"])

    with pytest.raises(
        DataError, match=r"\('s0', 2024-04-02\), \('s0', 2024-04-03\).*\(8 in all\).*make_future"
    ):
        model.predict()
    with pytest.raises(DataError, match=r"series and time: \('s1', 2024-04-05\)\. Fill"):
        model.predict(future_df=future.iloc[:-1])
    blank = future.assign(driver=future["driver"].where(future.index != 1))
    with pytest.raises(DataError, match=r"none of \['driver'\] .*: \('s0', 2024-04-03\)\. Fill"):
        model.predict(future_df=blank)

    made = model.make_future()

    assert list(made.columns) == ["unique_id", "ds", "driver"]
    assert made["driver"].isna().all()
    filled = made.drop(columns="driver").merge(future)
    pd.testing.assert_frame_equal(
        model.predict(future_df=filled), model.predict(future_df=future), check_exact=True
    )


def test_a_longer_forecast_needs_its_longer_future():
    df = driven(rows=ROWS + HORIZON)
    history, future = split(df, 2 * HORIZON)
    model = trained(history, future_covariates=["driver"])

    long = model.predict(horizon=2 * HORIZON, future_df=future)
    short = model.predict(future_df=future)

    firsts = long.groupby("unique_id").head(HORIZON)["forecast"].to_numpy()
    np.testing.assert_array_equal(firsts, short["forecast"])
    with pytest.raises(DataError, match=r"A forecast of 8 steps.*\(8 in all\)"):
        model.predict(horizon=2 * HORIZON, future_df=future.groupby("unique_id").head(HORIZON))
    moved = future.copy()
    moved.loc[2 * HORIZON - 1, "driver"] += 3.0
    change = model.predict(horizon=2 * HORIZON, future_df=moved)["forecast"] - long["forecast"]
    assert abs(change[2 * HORIZON - 1]) > 1e-3
    np.testing.assert_array_equal(change[:HORIZON], 0.0)


@pytest.mark.parametrize("kind", ["indexed", "polars", "arrow", "time in index"])
def test_covariates_come_in_every_kind_of_long_frame(kind):
    history, future = split(driven())
    expected = fit(history, future_covariates=["driver"]).predict(future_df=future)
    turn = {
        "indexed": lambda df: df.set_index(["unique_id", "ds"]),
        "polars": pl.from_pandas,
        "arrow": lambda df: pa.Table.from_pandas(df, preserve_index=False),
        "time in index": lambda df: df.set_index("ds"),
    }[kind]

    model = untrained(future_covariates=["driver"]).fit(turn(history))
    forecast = model.predict(future_df=turn(future))
    made = model.make_future()

    assert type(forecast) is type(made) is type(turn(history))
    numbers = forecast["forecast"].to_numpy()
    np.testing.assert_array_equal(numbers, expected["forecast"])


# ---- nothing leaks ------------------------------------------------------------------------


def test_a_past_covariate_after_the_cutoff_has_no_influence():
    df = driven().rename(columns={"driver": "seen"})
    poisoned = df.copy()
    newest = df.groupby("unique_id").cumcount(ascending=False) < HORIZON
    poisoned.loc[newest, "seen"] = 1e6
    model = untrained(past_covariates=["seen"], max_steps=12)

    one, other = (model.backtest(each, n_windows=1).forecasts for each in (df, poisoned))

    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_category_seen_only_after_the_cutoff_has_no_influence():
    df = driven().assign(kind=np.tile(["a", "c"], ROWS))
    later = df.copy()
    later.loc[df.groupby("unique_id").cumcount(ascending=False) == 0, "kind"] = "b"
    model = untrained(past_covariates=["kind"], target_col="y", max_steps=12)

    one, other = (model.backtest(each, n_windows=1).forecasts for each in (df, later))

    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_backtest_knows_the_future_covariates_of_the_rows_that_judge():
    df = driven()
    history, future = split(df)
    model = untrained(future_covariates=["driver"], max_steps=12)

    found = model.backtest(df, n_windows=1).forecasts

    by_hand = model.fit(history).predict(future_df=future)
    np.testing.assert_array_equal(found["forecast"], by_hand["forecast"])


def test_a_past_covariate_is_read():
    history = driven().rename(columns={"driver": "seen"})
    model = trained(history, past_covariates=["seen"])
    moved = history.copy()
    moved.loc[ROWS - 1, "seen"] += 1.0

    change = (model.predict(moved)["forecast"] - model.predict(history)["forecast"]).to_numpy()

    assert (np.abs(change[:HORIZON]) > 1e-5).all()
    np.testing.assert_array_equal(change[HORIZON:], 0.0)


def test_a_series_is_forecast_alone_as_in_company():
    df = driven(series=3).assign(kind=np.tile(["a", "b", "c"], ROWS))
    df["size"] = df["unique_id"].map({"s0": 1.0, "s1": 2.0, "s2": 5.0})
    history, future = split(df)
    model = trained(
        history,
        target_col="y",
        future_covariates=["driver"],
        past_covariates=["kind"],
        static_covariates=["size"],
    )
    together = model.predict(history, future_df=future)

    alone = model.predict(history[history["unique_id"] == "s1"], future_df=future)

    expected = together.loc[together["unique_id"] == "s1", "forecast"].to_numpy()
    np.testing.assert_allclose(alone["forecast"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(model.predict(future_df=future)["forecast"], together["forecast"])


@pytest.mark.parametrize("decoder", ["direct", "shift"])
def test_a_saved_forecaster_forecasts_bit_for_bit(decoder, tmp_path):
    df = driven().assign(kind=np.tile(["a", "b"], ROWS))
    df["group"] = df["unique_id"].map({"s0": "left", "s1": "right"})
    history, future = split(df)
    history = pd.concat([history, future.groupby("unique_id").head(1)], ignore_index=True)
    model = trained(
        history,
        decoder=decoder,
        future_covariates=["driver"],
        past_covariates=["kind"],
        static_covariates=["group"],
    )
    model.save(tmp_path / "model")

    again = load(tmp_path / "model")

    for call in (
        lambda each: each.predict(future_df=future, level=[80]),
        lambda each: each.predict(horizon=1),
        lambda each: each.predict(history, future_df=future),
        lambda each: each.simulate(3, future_df=future),
        lambda each: each.make_future(),
    ):
        pd.testing.assert_frame_equal(call(again), call(model), check_exact=True)
    assert re.search(r"future covariates +driver\n", again.summary())


def test_score_takes_the_future_covariates_of_the_truth():
    df = driven()
    history, future = split(df)
    model = fit(history, future_covariates=["driver"])
    truth = df.merge(future)

    forecast = model.predict(future_df=future)["forecast"].to_numpy()

    naive = BaselineForecaster("seasonal_naive", season=1, horizon=HORIZON).fit(
        history[["unique_id", "ds", "y"]]
    )
    reference = np.abs(naive.predict()["forecast"].to_numpy() - truth["y"]).mean()
    expected = 1 - np.abs(forecast - truth["y"]).mean() / reference
    assert model.score(truth) == pytest.approx(expected)


# ---- categories and what is constant ------------------------------------------------------


def test_measured_values_written_as_text_are_no_categories():
    df = waves(rows=60).assign(x=lambda d: d["y"].round(3).astype(str))

    with pytest.raises(
        DataError, match=r"Column 'x' \(past_covariates\) must hold numbers as numb"
    ):
        tiny(past_covariates=["x"]).fit(df)

    codes = df.assign(x=(df["y"] > df["y"].mean()).astype(int).astype(str))
    assert tiny(past_covariates=["x"], max_steps=1).fit(codes).format_.covariates.past[0].categories
    tiny(past_covariates=["x"], max_steps=1).fit(df.assign(x=df["x"].astype("category")))


def test_categories_that_were_not_fitted_count_as_unknown_and_are_told():
    df = driven().assign(kind=np.tile(["a", "b"], ROWS))
    history, future = split(df)
    model = trained(history, future_covariates=["kind"], target_col="y")

    with pytest.warns(
        DataWarning, match=r"'kind' of future_df has 1 values.*'z' for \('s0', 2024-04-02\)"
    ):
        z = model.predict(future_df=future.assign(kind=["z", *future["kind"][1:]]))
    with pytest.warns(DataWarning, match="counts? as unknown"):
        q = model.predict(future_df=future.assign(kind=["q", *future["kind"][1:]]))
    known = model.predict(future_df=future)

    pd.testing.assert_frame_equal(z, q, check_exact=True)
    assert abs(z["forecast"][0] - known["forecast"][0]) > 1e-4
    with pytest.warns(DataWarning, match=r"'kind' has 1 values of categories that were not fitted"):
        model.predict(history.assign(kind=["z", *history["kind"][1:]]), future_df=future)


def grouped():
    """Series that follow the driver, up or down by their group, and their groups."""
    df = driven(rows=60, series=8)
    up = df["unique_id"].str[-1].astype(int) % 2 == 0
    df["y"] = np.where(up, 2.0, -2.0) * df["driver"]
    static = df[["unique_id"]].assign(group=np.where(up, "up", "down")).drop_duplicates()
    return df, static


GROUPED = {"target_col": "y", "future_covariates": ["driver"], "static_covariates": ["group"]}


@pytest.mark.slow
def test_what_is_constant_separates_groups_that_react_differently():
    df, static = grouped()
    model = tiny(**GROUPED, max_steps=60, patience=None).fit(df, static_df=static)
    # histories of two new series that say nothing of how they react
    silent = driven(rows=40, seed=1).assign(y=2 * np.random.default_rng(2).normal(size=80))
    kinds = pd.DataFrame({"unique_id": ["s0", "s1"], "group": ["up", "down"]})
    history, future = split(silent)

    rising, falling = (
        model.predict(history, future_df=future.assign(driver=driver), static_df=kinds)["forecast"]
        for driver in (1.0, -1.0)
    )

    reaction = (rising - falling).to_numpy() / 2
    np.testing.assert_allclose(reaction, np.repeat([2.0, -2.0], HORIZON), atol=1.2)


def test_what_is_constant_is_read_alike_from_a_column_and_from_a_frame_of_its_own():
    df, static = grouped()
    df, future = split(df)
    whole = df.merge(static)

    apart = untrained(**GROUPED).fit(df, static_df=static)
    beside = untrained(**GROUPED).fit(whole)

    expected = beside.predict(whole, future_df=future)
    pd.testing.assert_frame_equal(beside.predict(future_df=future), expected)
    pd.testing.assert_frame_equal(apart.predict(future_df=future), expected, check_exact=True)
    pd.testing.assert_frame_equal(
        apart.predict(df, future_df=future, static_df=static), expected, check_exact=True
    )


def test_missing_values_of_a_covariate_are_masked_and_told_once():
    history, future = split(driven())
    history.loc[[5, 6], "driver"] = np.nan

    with pytest.warns(
        DataWarning, match=r"'driver' has 2 missing values, the first for series 's0' at 2024-01-06"
    ) as told:
        model = fit(history, future_covariates=["driver"])

    assert len(told) == 1
    assert np.isfinite(model.predict(future_df=future)["forecast"]).all()


def test_a_past_covariate_may_be_missing_in_the_rows_to_forecast():
    df = driven().assign(seen=np.arange(2.0 * ROWS))
    history, future = split(df)
    appended = pd.concat([history, future.drop(columns="seen")], ignore_index=True)
    settings = {"future_covariates": ["driver"], "past_covariates": ["seen"], "target_col": "y"}

    forecast = untrained(**settings).fit(appended).predict()

    expected = fit(history, **settings).predict(future_df=future)
    pd.testing.assert_frame_equal(forecast, expected, check_exact=True)


def test_gaps_are_gaps_of_the_covariates_too():
    history, future = split(driven())
    with pytest.warns(DataWarning, match="3 steps have no row"):
        model = untrained(future_covariates=["driver"]).fit(history.drop(index=[10, 11, 12]))

    assert np.isfinite(model.predict(future_df=future)["forecast"]).all()


# ---- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"future_covariates": "driver"},
            "'future_covariates' parameter must be a list of column names",
        ),
        (
            {"future_covariates": ["driver"], "past_covariates": ["driver"]},
            "'driver' in past_covariates and future_covariates",
        ),
    ],
)
def test_covariates_are_named_once_and_in_lists(settings, message):
    with pytest.raises(ParameterError, match=message):
        tiny(**settings).fit(driven())


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (
            {},
            {"future_covariates": ["drivr"]},
            r"'drivr' \(future_covariates\).*Did you mean 'driver'",
        ),
        ({}, {"past_covariates": ["y"], "target_col": "y"}, r"beside series, time, target.*'y'"),
        (
            {"driver": np.nan},
            {"future_covariates": ["driver"]},
            r"'driver' \(future_covariates\) must hold values",
        ),
        (
            {"driver": pd.Timestamp("2024")},
            {"past_covariates": ["driver"]},
            r"numbers, booleans or categories.*dayofweek",
        ),
        (
            {"driver": np.inf},
            {"past_covariates": ["driver"]},
            r"192 values infinite.*series 's0' at 2024-01-01",
        ),
        (
            {},
            {"static_covariates": ["driver"]},
            r"must be constant for each series.*series 's0' at 2024-01-0",
        ),
    ],
)
def test_a_column_that_cant_be_used_is_named(change, settings, message):
    with pytest.raises(DataError, match=message):
        untrained(**settings).fit(driven().assign(**change))


def test_a_future_column_without_any_value_beside_the_target_is_refused():
    history, future = split(driven())
    df = pd.concat([history.assign(driver=np.nan), future.assign(y=np.nan)])

    with pytest.raises(DataError, match=r"'driver' \(future_covariates\) must hold values beside"):
        untrained(future_covariates=["driver"]).fit(df)


def test_a_wide_frame_has_no_covariates():
    wide = waves(series=3).pivot(index="ds", columns="unique_id", values="y")

    with pytest.raises(DataError, match=r"Covariates need .* long frame"):
        untrained(past_covariates=["s0"]).fit(wide)


def test_a_static_frame_has_one_row_for_each_series():
    df = driven().drop(columns="driver")
    model = untrained(static_covariates=["size"])
    static = pd.DataFrame({"unique_id": ["s0", "s1"], "size": [1, 2]})

    with pytest.raises(DataError, match=r"Got none for 's1' \(the first of 1\)"):
        model.fit(df, static_df=static[:1])
    with pytest.raises(DataError, match="Got several for 's0'"):
        model.fit(df, static_df=pd.concat([static, static[:1]]))
    with pytest.raises(DataError, match=r"'size' \(static_df\)"):
        model.fit(df, static_df=static.rename(columns={"size": "length"}))
    with pytest.raises(DataError, match="named in static_covariates"):
        untrained().fit(df, static_df=static)


def test_a_future_frame_is_refused_where_it_says_nothing_or_too_much():
    history, future = split(driven())
    model = fit(history, future_covariates=["driver"])

    with pytest.raises(DataError, match="one row per series and time"):
        model.predict(future_df=pd.concat([future, future[:1]]))
    with pytest.raises(DataError, match=r"'driver' \(future_df\)"):
        model.predict(future_df=future.drop(columns="driver"))
    with pytest.raises(DataError, match=r"of future_df must hold numbers.*\('s0', 2024-04-02\)"):
        model.predict(future_df=future.assign(driver=np.inf))
    with pytest.raises(DataError, match="named in future_covariates"):
        untrained().fit(history[["unique_id", "ds", "y"]]).predict(future_df=future)
