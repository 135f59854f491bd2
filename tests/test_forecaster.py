"""RNNForecaster end to end: settings, frames in and out, bounds, histories, saving."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.contract.samples import DECODERS, HORIZON, fit_tiny, tiny, waves
from tsrnn import RNNForecaster, load
from tsrnn.exceptions import (
    DataError,
    DataWarning,
    ModelFileError,
    ParameterError,
    SkillWarning,
    TrainingError,
)
from tsrnn.saving import read_folder, write_folder

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def counts() -> pd.DataFrame:
    frame = waves()
    return frame.assign(y=np.random.default_rng(0).poisson(4 + 2 * np.sin(frame.index / 3)))


def positive() -> pd.DataFrame:
    frame = waves()
    return frame.assign(y=np.exp(frame["y"] / 10) + 1)


# ---- every setting, pairwise --------------------------------------------------------------

SETTINGS = [
    # decoder, output, cell, representation, layers: every pair of values of two columns occurs
    ("direct", "quantiles", "gru", "level", 1),
    ("direct", "normal", "lstm", "difference", 2),
    ("direct", "student_t", "rnn", "log", 1),
    ("direct", "point", "rnn_relu", "log_return", 2),
    ("direct", "negative_binomial", "gru", "level", 1),
    ("shift", "quantiles", "lstm", "log_return", 2),
    ("shift", "normal", "gru", "log", 1),
    ("shift", "student_t", "rnn_relu", "level", 1),
    ("shift", "negative_binomial", "rnn", "level", 2),
    ("shift", "quantiles", "rnn", "difference", 1),
    ("recurrent", "quantiles", "gru", "level", 2),
    ("recurrent", "normal", "rnn", "log_return", 1),
    ("recurrent", "student_t", "lstm", "difference", 1),
    ("recurrent", "point", "rnn_relu", "log", 1),
    ("recurrent", "negative_binomial", "lstm", "level", 1),
    ("attention", "quantiles", "rnn_relu", "log_return", 1),
    ("attention", "normal", "gru", "log", 2),
    ("attention", "student_t", "rnn", "level", 1),
    ("attention", "point", "lstm", "difference", 1),
    ("attention", "negative_binomial", "gru", "level", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("decoder", "output", "cell", "representation", "layers"), SETTINGS)
def test_every_setting_fits_forecasts_and_survives_saving(
    decoder, output, cell, representation, layers, tmp_path
):
    frame = counts() if output == "negative_binomial" else positive()
    model = tiny(
        decoder=decoder,
        output=output,
        cell=cell,
        representation=representation,
        num_layers=layers,
        dropout=0.1,
        max_steps=3,
        horizon=3,
    ).fit(frame)
    level = None if output == "point" else [50, 80]

    forecast = model.predict(level=level)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")

    names = [] if level is None else [f"forecast-{end}-{p}" for p in level for end in ("lo", "hi")]
    assert list(forecast.columns) == ["unique_id", "ds", "forecast", *names]
    assert np.isfinite(forecast.iloc[:, 2:].to_numpy()).all()
    pd.testing.assert_frame_equal(again.predict(level=level), forecast, check_exact=True)
    pd.testing.assert_frame_equal(
        again.predict(frame, horizon=5), model.predict(frame, horizon=5), check_exact=True
    )
    if level is None:
        with pytest.raises(ParameterError, match="output='point' has none"):
            model.simulate(2)
    else:
        pd.testing.assert_frame_equal(again.simulate(4), model.simulate(4), check_exact=True)
        low, high = forecast["forecast-lo-80"], forecast["forecast-hi-80"]
        assert (low <= forecast["forecast-lo-50"]).all()
        assert (forecast["forecast-hi-50"] <= high).all()
        assert (low < high).all()
    if output == "negative_binomial":
        drawn = model.simulate(20)["value"]
        np.testing.assert_allclose(drawn, drawn.round(), atol=1e-6)
        assert (drawn > -1e-6).all()
    if representation in {"log", "log_return"} and level is not None:
        assert (forecast["forecast-lo-80"] > 0).all()


@pytest.mark.parametrize("teacher_forcing", ["always", "scheduled"])
@pytest.mark.parametrize("decoder", ["recurrent", "attention"])
def test_every_teacher_forcing_fits_forecasts_and_survives_saving(
    decoder, teacher_forcing, tmp_path
):
    model = tiny(decoder=decoder, teacher_forcing=teacher_forcing, max_steps=3, n_members=2)
    model.fit(waves())

    model.save(tmp_path / "model")
    again = load(tmp_path / "model")

    forecast = model.predict(level=80, horizon=HORIZON + 2)
    assert np.isfinite(forecast.iloc[:, 2:].to_numpy()).all()
    pd.testing.assert_frame_equal(
        again.predict(level=80, horizon=HORIZON + 2), forecast, check_exact=True
    )
    pd.testing.assert_frame_equal(again.simulate(3), model.simulate(3), check_exact=True)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "sgd"])
def test_every_optimiser_trains(optimizer):
    model = tiny(optimizer=optimizer, max_steps=3, gradient_clip_value=0.5).fit(waves())

    assert np.isfinite(model.history_["train_loss"]).all()


# ---- frames -------------------------------------------------------------------------------


def frames() -> dict[str, object]:
    long = waves()
    one = long[long["unique_id"] == "s0"]
    return {
        "long": long,
        "long without id": one[["ds", "y"]],
        "indexed": long.set_index(["unique_id", "ds"]),
        "wide": long.pivot(index="ds", columns="unique_id", values="y"),
        "series": one.set_index("ds")["y"],
        "polars": pl.from_pandas(long),
        "arrow": pa.Table.from_pandas(long, preserve_index=False),
        "categories": long.astype({"unique_id": "category"}),
        "other names": long.rename(columns={"unique_id": "id", "ds": "time", "y": "target"}),
    }


def numbers(forecast) -> np.ndarray:
    """The forecasts of series s0."""
    if isinstance(forecast, pl.DataFrame):
        forecast = forecast.to_pandas()
    if isinstance(forecast, pa.Table):
        forecast = forecast.to_pandas()
    if isinstance(forecast, pd.Series):
        return forecast.to_numpy()
    if "forecast" not in forecast:
        return forecast["s0"].to_numpy()
    return forecast["forecast"].to_numpy()[:HORIZON]


@pytest.mark.parametrize("kind", list(frames()))
def test_the_kind_of_frame_that_goes_in_comes_out(kind):
    frame = frames()[kind]
    model = tiny(max_steps=2).fit(frame)

    remembered, given = model.predict(), model.predict(frame)

    assert type(remembered) is type(given) is type(frame)
    alone = kind in {"long without id", "series"}
    same = waves()
    same = same[same["unique_id"] == "s0"][["ds", "y"]] if alone else same
    expected = tiny(max_steps=2).fit(same).predict()["forecast"].to_numpy()[:HORIZON]
    np.testing.assert_array_equal(numbers(remembered), expected)
    np.testing.assert_allclose(numbers(given), expected, rtol=0, atol=1e-6)


def test_levels_of_a_wide_frame_become_a_second_row_of_columns():
    wide = frames()["wide"]

    forecast = tiny(max_steps=2).fit(wide).predict(level=80)

    assert forecast.columns.nlevels == 2
    assert (forecast["s0"]["forecast-lo-80"] < forecast["s0"]["forecast-hi-80"]).all()


# ---- new ids, short histories -------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return tiny().fit(waves())


def test_series_that_were_never_seen_are_forecast_under_their_names(fitted):
    fresh = waves(series=3, seed=7).replace({"unique_id": {"s0": "new", "s1": "b", "s2": "z"}})

    forecast = fitted.predict(fresh)

    assert forecast["unique_id"].drop_duplicates().tolist() == ["new", "b", "z"]
    assert np.isfinite(forecast["forecast"]).all()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_short_history_is_forecast_from_what_there_is_and_named(decoder, rows):
    model = tiny(decoder=decoder, season=7, max_steps=2).fit(waves())
    short = waves(series=1).tail(rows)

    with pytest.warns(DataWarning, match=rf"'s0' has {rows} rows? .*fewer than 8"):
        forecast = model.predict(short, level=80)

    assert np.isfinite(forecast.iloc[:, 2:].to_numpy()).all()
    if rows == 1:
        np.testing.assert_allclose(forecast["forecast"], short["y"].iloc[0], atol=1e-9)


def test_a_series_without_any_value_is_named_and_harms_no_other(fitted):
    dead = waves()
    dead.loc[dead["unique_id"] == "s1", "y"] = np.nan
    living = dead["unique_id"] == "s0"

    with pytest.warns(DataWarning, match="Series 's1' has no value at all"):
        forecast = fitted.predict(dead)
    with pytest.warns(DataWarning, match="Series 's1' has no value at all"):
        model = tiny(max_steps=4).fit(dead)

    expected = fitted.predict(dead[living])["forecast"]
    np.testing.assert_allclose(forecast["forecast"][:HORIZON], expected, rtol=0, atol=1e-5)
    said = model.predict().set_index("unique_id")["forecast"]
    assert np.isfinite(said["s0"]).all()
    assert np.isnan(said["s1"]).all()
    assert model.skill_.n_steps == HORIZON


def test_a_frame_without_any_value_is_refused():
    with pytest.raises(DataError, match=r"must hold at least one value\. Got 144 missing ones"):
        tiny().fit(waves().assign(y=np.nan))


def test_a_short_series_among_long_ones_is_learned_and_forecast():
    frame = pd.concat([waves(), waves(series=1).assign(unique_id="short").tail(2)])

    model = tiny(max_steps=4).fit(frame)

    forecast = model.predict(level=80)
    assert set(forecast["unique_id"]) == {"s0", "s1", "short"}
    assert np.isfinite(forecast.iloc[:, 2:].to_numpy()).all()


def test_logarithms_refuse_a_history_that_is_not_positive():
    model = tiny(max_steps=2, representation="log").fit(positive())
    bad = positive()
    bad.loc[bad.index[-1], "y"] = 0.0

    with pytest.raises(
        DataError, match=r"needs positive values. Got .*0\.0.* in series 's1' at 2024"
    ):
        model.predict(bad)


# ---- bounds, levels, quantiles ------------------------------------------------------------


def demand(floor=0.0):
    """Sales that are nothing on three days of four."""
    frame = waves(series=3)
    rng = np.random.default_rng(0)
    frame["y"] = floor + rng.poisson(2.0, len(frame)) * (rng.random(len(frame)) < 0.25)
    return frame


def test_demand_is_not_forecast_below_zero_and_the_summary_says_so():
    free, model = (tiny(bounds=bounds, max_steps=4).fit(demand()) for bounds in (None, "auto"))

    assert free.predict(level=95)["forecast-lo-95"].min() < 0
    forecast = model.predict(level=95)
    assert forecast.iloc[:, 2:].to_numpy().min() == 0
    assert model.simulate(50)["value"].min() == 0
    assert re.search(r"bounds\s+from 0\n", model.summary())
    assert "bounds" not in free.summary()


@pytest.mark.parametrize("change", ["one is negative", "none is zero", "one is zero"])
def test_what_is_no_floor_of_the_values_bounds_nothing(change):
    frame = demand(floor=0.0 if change == "one is negative" else 1.0)
    frame.loc[17, "y"] = {"one is negative": -1.0, "none is zero": 1.0, "one is zero": 0.0}[change]

    model = tiny(max_steps=1).fit(frame)

    assert model.forecasting_.bounds == (None, None)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("bounds", [(0.2, 9.5), (None, 9.5), (0.2, None)])
def test_forecasts_quantiles_and_paths_stay_inside_the_bounds(decoder, bounds):
    model = tiny(decoder=decoder, bounds=bounds, max_steps=2).fit(waves())
    low, high = (-np.inf if bounds[0] is None else bounds[0], bounds[1] or np.inf)

    forecast = model.predict(level=95).iloc[:, 2:].to_numpy()
    paths = model.simulate(50)["value"].to_numpy()

    for said in (forecast, paths):
        assert said.min() >= low
        assert said.max() <= high
    assert (forecast == low).any() or (forecast == high).any()


def test_quantiles_outside_the_trained_ones_are_refused(fitted):
    with pytest.raises(
        ParameterError, match=r"trained quantiles 0.025 to 0.975 \(level at most 95\)"
    ):
        fitted.predict(level=99)
    with pytest.raises(ParameterError, match=r"Got probability 0.01"):
        fitted.predict(quantiles=[0.01])


def test_own_quantiles_are_trained_and_interpolated():
    model = tiny(quantiles=(0.05, 0.5, 0.95), max_steps=2).fit(waves())

    forecast = model.predict(quantiles=[0.05, 0.275, 0.5])

    half = (forecast["forecast-q5"] + forecast["forecast-q50"]) / 2
    np.testing.assert_allclose(forecast["forecast-q27.5"], half)


# ---- paths --------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", DECODERS)
def test_paths_have_the_quantiles_that_predict_says(decoder):
    model = tiny(decoder=decoder, max_steps=4).fit(waves())

    paths = model.simulate(400)["value"].to_numpy().reshape(2, 400, HORIZON)
    said = model.predict(level=80)

    low, high = np.quantile(paths, [0.1, 0.9], axis=1)
    width = (said["forecast-hi-80"] - said["forecast-lo-80"]).to_numpy().reshape(2, HORIZON)
    np.testing.assert_allclose(high - low, width, rtol=0.15)
    assert (np.abs((low + high) / 2 - said["forecast"].to_numpy().reshape(2, -1)) < width / 2).all()


def test_paths_come_as_a_long_frame_from_their_own_seed(fitted):
    paths = fitted.simulate(3, horizon=6)

    assert list(paths.columns) == ["unique_id", "path", "ds", "value"]
    assert len(paths) == 2 * 3 * 6
    assert paths.groupby("unique_id")["path"].unique().map(list).tolist() == [[0, 1, 2]] * 2
    pd.testing.assert_frame_equal(fitted.simulate(3, horizon=6), paths, check_exact=True)
    other = fitted.simulate(3, horizon=6, random_state=1)
    assert (other["value"] != paths["value"]).all()
    for wrong in (-1, 1.5, "x"):
        with pytest.raises(ParameterError, match="'random_state' parameter"):
            fitted.simulate(3, random_state=wrong)
    with pytest.raises(ParameterError, match="'n_paths' parameter"):
        fitted.simulate(0)


# ---- parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "ltsm"}, r"'cell' parameter must be one of .*Did you mean 'lstm'\?"),
        ({"decoder": "both"}, "'decoder' parameter must be one of"),
        ({"context_length": -3}, "'context_length' parameter must be an integer of at least 1"),
        ({"hidden_size": 0}, "'hidden_size' parameter"),
        ({"dropout": 1.0}, r"'dropout' parameter must be a number in \[0, 1\)"),
        ({"learning_rate": 0}, r"'learning_rate' parameter must be a number in \(0, inf"),
        ({"max_time": 0}, r"'max_time' parameter must be a number in \(0, inf.* or None"),
        ({"quantiles": (0.1, 0.9)}, "at least three ascending probabilities"),
        ({"quantiles": (0.5, 0.1, 0.9)}, "ascending"),
        ({"quantiles": None}, "'quantiles' parameter"),
        ({"bounds": (2, 1)}, r"low < high. Got \(2, 1\)"),
        ({"bounds": 3}, r'must be "auto", None or \(low, high\)'),
        ({"bounds": "none"}, r'must be "auto", None or \(low, high\)'),
        ({"trainer_params": [1]}, "must be a dict for pytorch_lightning.Trainer"),
        ({"decoder": "shift", "patch": 4}, "patch must be 1 or None. Got patch=4"),
        ({"decoder": "shift", "output": "point"}, "which output='point' can't draw"),
        ({"teacher_forcing": "often"}, "'teacher_forcing' parameter must be one of"),
        ({"teacher_forcing": "always"}, "decoder='direct' is never fed values of its own"),
        (
            {"decoder": "attention", "teacher_forcing": "always", "output": "point"},
            "which output='point' can't draw",
        ),
        ({"output": "negative_binomial", "representation": "log"}, "works on raw counts"),
        ({"random_state": -1}, "'random_state' parameter"),
        ({"missing": "fill"}, "'missing' parameter must be one of 'mask'"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_before_the_data_is_read(changes, message):
    with pytest.raises(ParameterError, match=message):
        tiny(**changes).fit("no frame at all")


def test_explicit_choices_are_checked_against_the_data():
    with pytest.raises(DataError, match=r"needs positive values.*'s0' at 2024-01-.*first of \d+"):
        tiny(representation="log").fit(waves())
    with pytest.raises(DataError, match=r"needs counts \(0, 1, 2, ...\)"):
        tiny(output="negative_binomial").fit(waves())


def test_parameters_that_are_set_after_a_fit_wait_for_the_next_one(tmp_path):
    model = tiny(max_steps=2).fit(waves())
    before = model.predict(level=80)

    model.set_params(
        decoder="shift", quantiles=(0.4, 0.5, 0.6), bounds=(0, 1), horizon=9, cell="rnn"
    )
    model.save(tmp_path / "model")

    pd.testing.assert_frame_equal(model.predict(level=80), before, check_exact=True)
    pd.testing.assert_frame_equal(load(tmp_path / "model").predict(level=80), before)
    assert "decoder direct" in model.summary()


# ---- when training goes wrong, or time ends -----------------------------------------------


def test_a_loss_that_explodes_is_an_error_with_advice_and_leaves_the_old_model():
    model = tiny(max_steps=4).fit(waves())
    before = model.predict()

    wild = {"learning_rate": 1e30, "gradient_clip": None, "optimizer": "sgd", "max_steps": 20}
    with pytest.raises(TrainingError, match="not finite at step"):
        model.set_params(**wild).fit(waves())

    pd.testing.assert_frame_equal(model.predict(), before, check_exact=True)


def test_max_time_ends_a_fit_that_can_predict():
    model = tiny(max_steps=200, max_time=1e-3, patience=None).fit(waves())

    assert model.history_["step"].max() < 200
    assert np.isfinite(model.predict()["forecast"]).all()


def test_a_model_without_skill_says_so_where_fit_was_called():
    """The judging rows repeat the value before them: naive is perfect there."""
    values = np.random.default_rng(3).normal(size=60).cumsum()
    values[-5:] = values[-5]
    frame = pd.Series(values, pd.date_range("2024-01-01", periods=60))

    with pytest.warns(SkillWarning, match=r"see skill_ of the forecaster") as caught:
        model = tiny(max_steps=1).fit(frame)

    assert caught[0].filename == __file__
    assert not model.skill_.beats_naive
    assert model.skill_.scores.loc["naive", "mae"] == 0.0


# ---- the folder ---------------------------------------------------------------------------


def test_a_loaded_model_knows_everything_but_the_frame(fitted, tmp_path):
    fitted.save(tmp_path / "model")

    again = RNNForecaster.load(tmp_path / "model")

    assert again.get_params() == fitted.get_params()
    assert again.summary() == fitted.summary()
    assert (again.plan_, again.best_step_, again.horizon_) == (
        fitted.plan_,
        fitted.best_step_,
        fitted.horizon_,
    )
    pd.testing.assert_frame_equal(again.history_, fitted.history_)
    pd.testing.assert_frame_equal(again.skill_.scores, fitted.skill_.scores)
    pd.testing.assert_frame_equal(
        again.predict(level=80), fitted.predict(level=80), check_exact=True
    )
    assert again.score(waves(rows=80)) == fitted.score(waves(rows=80))
    refitted = again.fit(waves())
    pd.testing.assert_frame_equal(refitted.predict(), fitted.predict(), check_exact=True)


def test_any_bit_that_flips_in_a_saved_model_is_found(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    rng = np.random.default_rng(0)

    for file in sorted((tmp_path / "model").iterdir()):
        whole = file.read_bytes()
        for position in rng.integers(0, len(whole), 20):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(bytes(flipped))
            with pytest.raises(ModelFileError, match=r"config\.json|weights-"):
                load(tmp_path / "model")
        file.write_bytes(whole)

    pd.testing.assert_frame_equal(load(tmp_path / "model").predict(), fitted.predict())


def test_a_folder_of_another_estimator_or_none_is_refused(fitted, tmp_path):
    from tsrnn.saving import write_folder

    with pytest.raises(ModelFileError, match=r"is no saved model: config\.json is missing"):
        load(tmp_path)
    write_folder(tmp_path / "other", {"estimator": "os.system"}, {})
    with pytest.raises(ModelFileError, match=r"must hold a saved RNNForecaster. Got 'os\.system'"):
        load(tmp_path / "other")


def test_ids_that_can_not_be_stored_are_refused_by_their_column(tmp_path):
    df = waves().rename(columns={"unique_id": "vintage"})
    df["vintage"] = df["vintage"].map(dict(zip(df["vintage"].unique(), pd.date_range("2020", periods=9), strict=False)))  # fmt: skip
    model = tiny(id_col="vintage", max_steps=1).fit(df)

    with pytest.raises(
        ParameterError, match=r"Got Timestamp\('2020-01-0\d.*column 'vintage'.*astype\(str"
    ):
        model.save(tmp_path / "model")

    assert not (tmp_path / "model").exists()


def test_a_saved_model_holds_no_training_frame_and_no_code(tmp_path):
    frame = waves(rows=2000)
    tiny(max_steps=1, val_size=8).fit(frame).save(tmp_path / "model")

    files = list((tmp_path / "model").iterdir())
    config = json.loads((tmp_path / "model" / "config.json").read_text())

    assert {file.suffix for file in files} == {".json", ".safetensors"}
    assert sum(file.stat().st_size for file in files) < 8 * len(frame)
    assert config["format_version"] == 1


# ---- looking --------------------------------------------------------------------------------


def test_the_summary_names_plan_blocks_parameters_and_verdict(fitted):
    text = fitted.summary()

    count = sum(p.numel() for p in fitted.network_.parameters())
    assert f"{count:,}" in text
    for word in ("encoder", "head", "output", "difference", "verdict", fitted.skill_.verdict):
        assert word in text


@pytest.mark.parametrize("output", ["quantiles", "point"])
def test_a_plot_shows_history_and_forecast(output):
    model = tiny(max_steps=1, output=output).fit(waves())

    figure = model.plot()
    other = model.plot(waves(series=1, seed=2), level=[50])

    assert len(figure.axes) >= 1
    assert len(other.axes) >= 1


@pytest.mark.parametrize("changed", ["missing", "of another shape"])
def test_weights_of_another_network_are_refused_by_name(changed, tmp_path):
    fit_tiny(waves()).save(tmp_path / "model")
    config, arrays = read_folder(tmp_path / "model")
    name = "network.members.0.head.share"
    if changed == "missing":
        arrays = {key: array for key, array in arrays.items() if key != name}
    else:
        arrays = {**arrays, name: arrays[name][:1]}
    write_folder(tmp_path / "other", config, arrays)

    with pytest.raises(ModelFileError, match=r"(?s)head\.share.*fit it anew"):
        load(tmp_path / "other")
