"""Sixteen questions that every forecasting library should pass; each existing one fails some."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.contract.samples import DECODERS, HORIZON, tiny, waves
from tsrnn import RNNForecaster
from tsrnn.exceptions import DataWarning

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

# Elsewhere: random walks in test_random_walk.py; quantiles that ascend, company, the best weights and
# the future in test_invariants.py; silence and four fits at once in test_outside.py; cloning, the grid
# search and the pipeline in test_estimator.py; MLflow in tests/tracking/test_flavor.py.


def test_the_newest_value_moves_every_step_of_the_forecast(network):
    frame = waves(series=1)
    nudged = frame.copy()
    nudged.loc[nudged.index[-1], "y"] += 0.5

    before, after = network.predict(frame, level=80), network.predict(nudged, level=80)

    moved = (after.iloc[:, 2:] - before.iloc[:, 2:]).abs()
    assert (moved > 1e-4).all().all()


@pytest.mark.parametrize("step", [1, 2, 6])
def test_one_step_of_the_horizon_is_the_same_alone_or_among_all(network, step):
    six = network.predict(horizon=6).groupby("unique_id").nth(step - 1)

    alone = network.predict(horizon=step).groupby("unique_id").nth(-1)

    np.testing.assert_array_equal(alone["forecast"], six["forecast"])


def test_a_forecast_varies_over_its_horizon_without_covariates():
    """A line goes up by its slope at every step."""
    frame = pd.DataFrame({"ds": np.arange(60), "y": 3.0 + 0.5 * np.arange(60)})

    forecast = RNNForecaster(horizon=6, hidden_size=8, max_steps=10).fit(frame).predict()

    np.testing.assert_allclose(forecast["forecast"], 3.0 + 0.5 * np.arange(60, 66), atol=0.05)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("row", [0, 40, -1])
def test_one_missing_value_is_masked_named_and_does_no_harm(decoder, row):
    frame = waves()
    place = frame.index[frame["unique_id"] == "s1"][row]
    frame.loc[place, "y"] = np.nan

    with pytest.warns(DataWarning, match=r"'s1'") as caught:
        model = tiny(decoder=decoder, max_steps=4).fit(frame)

    assert str(frame.loc[place, "ds"].date()) in str(caught[0].message)
    assert np.isfinite(model.predict(level=80).iloc[:, 2:].to_numpy()).all()
    assert np.isfinite(model.history_["train_loss"]).all()


HOLIDAYS = pd.to_datetime(["2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27"])


def prices(sessions) -> pd.DataFrame:
    moves = np.random.default_rng(0).normal(0, 0.01, len(sessions))
    return pd.DataFrame({"ds": sessions, "y": 100 * np.exp(moves.cumsum())})


def test_prices_on_trading_days_come_back_on_trading_days():
    """No padded row, and no forecast on a weekend or a holiday that was named."""
    days = pd.bdate_range("2024-01-02", "2024-05-22", freq="C", holidays=list(HOLIDAYS))

    model = tiny(horizon=5, max_steps=4, calendar=list(HOLIDAYS)).fit(prices(days))
    forecast = model.predict()

    kept = model.memory_.panel
    np.testing.assert_array_equal(kept.values, prices(days)["y"].tail(len(kept.values)))
    expected = ["2024-05-23", "2024-05-24", "2024-05-28", "2024-05-29", "2024-05-30"]
    assert forecast["ds"].dt.strftime("%Y-%m-%d").tolist() == expected


def test_prices_without_a_calendar_follow_the_weekdays_and_say_so():
    days = pd.bdate_range("2024-01-02", "2024-05-22", freq="C", holidays=list(HOLIDAYS))

    with pytest.warns(DataWarning, match="calendar"):
        model = tiny(horizon=5, max_steps=4).fit(prices(days))

    expected = pd.bdate_range("2024-05-23", periods=5)
    assert (model.predict()["ds"].to_numpy() == expected.to_numpy()).all()
    kept = model.memory_.panel
    np.testing.assert_array_equal(kept.values, prices(days)["y"].tail(len(kept.values)))


def test_a_forecast_covers_exactly_the_horizon_of_every_series(network):
    forecast = network.predict(waves(series=3), horizon=HORIZON + 1)

    assert forecast.groupby("unique_id").size().tolist() == [HORIZON + 1] * 3
