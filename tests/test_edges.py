"""Odd but valid data and settings, end to end: finite answers, or errors of our own before any training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import tiny, waves
from tsrnn import BaselineForecaster, RNNForecaster, load
from tsrnn.exceptions import DataError, ParameterError
from tsrnn.learning import start
from tsrnn.nn.decoders import MixtureHead

pytestmark = [
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning"),
    pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning"),
]


def fast(**changes) -> RNNForecaster:
    return tiny(**{"max_steps": 2, **changes})


def one(values) -> pd.DataFrame:
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=len(values)), "y": values})


def weekly(rows=150, seed=0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.1, rows)
    return 10 + np.sin(2 * np.pi * np.arange(rows) / 7) + noise


# ---- missing values -----------------------------------------------------------------------


@pytest.mark.parametrize("missing", [100, 135, 140, 145])
def test_a_history_that_begins_late_is_learned_from(missing):
    values = weekly()
    values[:missing] = np.nan

    forecast = fast(horizon=7, season=7).fit(one(values)).predict(level=80)

    assert np.isfinite(forecast.iloc[:, 1:].to_numpy()).all()


@pytest.mark.parametrize("decoder", ["direct", "shift"])
@pytest.mark.parametrize("season", [1, 7])
def test_a_long_silence_is_forecast_across(decoder, season):
    known, silent = weekly(120), 203
    values = np.concatenate([known, np.full(silent, np.nan)])
    model = fast(horizon=7, season=season, decoder=decoder).fit(one(weekly(120)))

    forecast = model.predict(one(values), horizon=14, level=80)

    assert forecast["ds"].iloc[0] == pd.Timestamp("2024-01-01") + pd.Timedelta(days=323)
    said = forecast[["forecast-lo-80", "forecast", "forecast-hi-80"]].to_numpy()
    assert np.isfinite(said).all()
    assert ((said > 7) & (said < 13)).all()
    assert (said[:, 2] > said[:, 0]).all()


def test_the_season_keeps_its_phase_across_a_silence():
    step = np.arange(400)
    values = np.sin(2 * np.pi * step / 7)
    model = fast(horizon=7, season=7).fit(one(values[:120]))
    silent = values[:325].copy()
    silent[120:] = np.nan

    forecast = model.predict(one(silent))

    np.testing.assert_allclose(forecast["forecast"], values[325:332], atol=0.3)


# ---- size of values and weights -----------------------------------------------------------


def test_values_whose_squares_overflow_are_refused():
    with pytest.raises(DataError, match="beyond 1e\\+150 in size"):
        fast().fit(one(weekly() * 1e290))


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_the_unit_of_the_weights_is_no_matter(factor):
    frame = waves().assign(weight=np.linspace(0.5, 2, 144))
    model = fast(weight_col="weight")

    forecast = model.fit(frame).predict()
    other = model.fit(frame.assign(weight=frame["weight"] * factor)).predict()

    np.testing.assert_allclose(other["forecast"], forecast["forecast"], rtol=1e-5)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(DataError, match="Weights in column 'weight' must not all be 0"):
        fast(weight_col="weight").fit(waves().assign(weight=0.0))


# ---- names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "name"), [("unique_id", "forecast"), ("ds", "forecast-lo-80"), ("ds", "forecast")]
)
def test_columns_named_like_a_forecast_are_refused_and_not_overwritten(role, name):
    names = {"unique_id": "unique_id", "ds": "ds"} | {role: name}
    columns = {"id_col": names["unique_id"], "time_col": names["ds"], "target_col": "y"}
    model = BaselineForecaster("naive", horizon=2, **columns)

    with pytest.raises(DataError, match=rf"Got {name!r}. Rename it with df.rename"):
        model.fit(waves().rename(columns={role: name})).predict(level=80)


@pytest.mark.parametrize(("role", "name"), [("unique_id", "path"), ("ds", "value")])
def test_columns_named_like_those_of_paths_are_refused_and_not_overwritten(role, name):
    names = {"unique_id": "unique_id", "ds": "ds"} | {role: name}
    columns = {"id_col": names["unique_id"], "time_col": names["ds"], "target_col": "y"}
    model = fast(**columns).fit(waves().rename(columns={role: name}))

    with pytest.raises(DataError, match=rf"Got {name!r}. Rename it with df.rename"):
        model.simulate(2)


@pytest.mark.parametrize("name", ["ds", "unique_id", "forecast"])
def test_a_target_of_any_name_is_drawn(name):
    series = one(weekly(60)).set_index("ds")["y"].rename(name)

    assert fast().fit(series).plot().axes


# ---- intervals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantiles", "bands"), [((0.1, 0.5, 0.9), 1), ((0.3, 0.5, 0.6), 1), ((0.025, 0.5, 0.975), 2)]
)
def test_a_plot_draws_the_intervals_that_were_trained(quantiles, bands):
    axes = fast(quantiles=quantiles).fit(one(weekly(60))).plot().axes[0]

    assert len(axes.collections) == bands


@pytest.mark.parametrize("level", [np.int64(80), np.float32(80), np.array([80, 95]), [80, 95]])
def test_levels_may_be_numbers_of_numpy(level):
    forecast = BaselineForecaster("naive", horizon=2).fit(waves()).predict(level=level)

    assert list(forecast.columns[3:5]) == ["forecast-lo-80", "forecast-hi-80"]


@pytest.mark.parametrize("wrong", [{"level": object()}, {"quantiles": object()}])
def test_levels_of_another_kind_are_refused(wrong):
    with pytest.raises(ParameterError, match="parameter must hold"):
        BaselineForecaster("naive", horizon=2).fit(waves()).predict(**wrong)


# ---- parameters ---------------------------------------------------------------------------


def test_parameters_from_a_numpy_grid_are_plain_numbers(tmp_path):
    plain = {
        "hidden_size": 8,
        "num_layers": 2,
        "patch": 2,
        "horizon": 3,
        "context_length": 16,
        "random_state": 4,
        "quantiles": (0.1, 0.5, 0.9),
    }
    odd = {name: np.asarray(value)[()] for name, value in plain.items()}
    model = fast(**odd).fit(waves())

    expected = fast(**plain).fit(waves())

    pd.testing.assert_frame_equal(model.predict(), expected.predict(), check_exact=True)
    paths = model.simulate(2, random_state=np.int64(1))
    pd.testing.assert_frame_equal(paths, expected.simulate(2, random_state=1), check_exact=True)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").fit(waves())
    pd.testing.assert_frame_equal(again.predict(), expected.predict(), check_exact=True)


def test_seeds_beyond_torchs_are_refused():
    with pytest.raises(ParameterError, match="'random_state' parameter"):
        fast(random_state=2**70).fit(waves())


def test_settings_that_lightning_refuses_are_our_errors():
    with pytest.raises(ParameterError, match=r"'trainer_params' parameter .* 'max_epoch'"):
        fast(trainer_params={"max_epoch": 3}).fit(waves())


# ---- score --------------------------------------------------------------------------------


def test_score_computes_no_further_than_the_truth_goes():
    whole = one(weekly(400))
    model = BaselineForecaster("seasonal_naive", horizon=7, season=7).fit(whole.iloc[:390])
    asked = []
    forecast = model._forecast_panel
    model._forecast_panel = lambda panel, horizon, p: (
        asked.append(horizon) or forecast(panel, horizon, p)
    )

    assert model.score(whole) == model.score(whole.iloc[390:]) == 0
    assert asked == [10, 10]


def test_a_series_without_any_value_has_no_say_in_the_score():
    good = one(weekly(107)).assign(unique_id="a")
    both = pd.concat([good, good.assign(unique_id="b")])
    history = both[both["ds"] < good["ds"].iloc[100]]
    empty = history.assign(y=history["y"].where(history["unique_id"] == "a"))

    assert np.isfinite(fast(horizon=7).fit(empty).score(both))


# ---- time ---------------------------------------------------------------------------------


def test_a_long_horizon_fits_its_mixture_to_fewer_windows(monkeypatch):
    samples = []
    fit_mixture = MixtureHead.set_mixture

    def spy(self, references, target, *rest):
        samples.append(len(target))
        return fit_mixture(self, references, target, *rest)

    monkeypatch.setattr(MixtureHead, "set_mixture", spy)
    monkeypatch.setattr(start, "START_VALUES", 6 * 120)

    fast(horizon=6).fit(waves())

    assert samples
    assert max(samples) <= 120
