"""On a random walk nothing beats the last value: the forecast must know that, at any level."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tsrnn import RNNForecaster

HORIZON = 24
KNOWN = 100
LEVELS = (0, 100, 10_000)
STEP = np.arange(1, HORIZON + 1)


def walks(count, rows, *, level, seed) -> np.ndarray:
    """Walks with standard normal steps, on a grid of 2**-20 that keeps its digits at every level."""
    steps = np.random.default_rng(seed).normal(size=(count, rows))
    return level + np.round(steps.cumsum(1) * 2**20) / 2**20


def as_frame(values) -> pd.DataFrame:
    count, rows = values.shape
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), rows),
            "ds": np.tile(pd.date_range("2022-01-03", periods=rows, freq="B"), count),
            "y": values.ravel(),
        }
    )


def fit(level, *, count=60, **changes) -> RNNForecaster:
    model = RNNForecaster(horizon=HORIZON, hidden_size=8, random_state=0, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(as_frame(walks(count, 200, level=level, seed=0)))


@pytest.fixture(scope="module")
def forecasts():
    """Forecasts of 1000 fresh walks by the direct decoder, at each level: arrays (walk, step)."""
    said = {}
    for level in LEVELS:
        fresh = as_frame(walks(1000, KNOWN + HORIZON, level=level, seed=1)[:, :KNOWN])
        frame = fit(level, max_steps=40).predict(fresh, level=80)
        columns = ("forecast", "forecast-lo-80", "forecast-hi-80")
        said[level] = [frame[name].to_numpy().reshape(-1, HORIZON) for name in columns]
    return said


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_no_step_is_worse_than_the_last_value_by_a_twentieth(forecasts, level):
    future = walks(1000, KNOWN + HORIZON, level=level, seed=1)
    last, truth = future[:, KNOWN - 1 : KNOWN], future[:, KNOWN:]

    def rmse(forecast):
        return np.sqrt(np.square(forecast - truth).mean(0))

    assert (rmse(forecasts[level][0]) <= 1.05 * rmse(last)).all()


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_four_fifths_of_what_comes_lie_in_the_80_percent_interval(forecasts, level):
    truth = walks(1000, KNOWN + HORIZON, level=level, seed=1)[:, KNOWN:]
    _, low, high = forecasts[level]

    covered = ((low <= truth) & (truth <= high)).mean(0)

    assert covered[[0, -1]] == pytest.approx(0.8, abs=0.035)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_interval_grows_like_the_square_root_of_the_step(forecasts, level):
    _, low, high = forecasts[level]

    width = (high - low).mean(0)

    np.testing.assert_allclose(width / width[0], np.sqrt(STEP), rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS[1:])
def test_the_level_of_a_walk_only_moves_its_forecast(forecasts, level):
    for moved, still in zip(forecasts[level], forecasts[0], strict=True):
        np.testing.assert_allclose(moved - level, still, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_shifted_walk_rolls_on_as_a_walk():
    """The next steps are normal with variance k, so coverage and error follow without more walks."""
    fresh = walks(8, KNOWN, level=0, seed=1)
    model = fit(0, count=12, decoder="shift", max_steps=8)
    drawn = model.simulate(500, as_frame(fresh))["value"].to_numpy().reshape(8, 500, HORIZON)
    drawn = drawn - fresh[:, -1, None, None]
    low, middle, high = np.quantile(drawn, [0.1, 0.5, 0.9], axis=1)  # (walk, step)

    covered = (norm.cdf(high, scale=np.sqrt(STEP)) - norm.cdf(low, scale=np.sqrt(STEP))).mean(0)
    rmse = np.sqrt(np.square(middle).mean(0) + STEP)
    width = (high - low).mean(0)

    assert covered[[0, -1]] == pytest.approx(0.8, abs=0.035)
    assert (rmse <= 1.05 * np.sqrt(STEP)).all()
    np.testing.assert_allclose(width / width[0], np.sqrt(STEP), rtol=0.1)
