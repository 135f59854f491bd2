import numpy as np
import pandas as pd
import pytest

from tsrnn.calendars import TimeAxis
from tsrnn.learning.planning import choose_seasons
from tsrnn.learning.seasonality import detect_seasons
from tsrnn.panel import Panel


def panel(*series, kind="integer", freq="1"):
    lengths = [len(values) for values in series]
    times = np.concatenate([np.arange(n) for n in lengths])
    axis = TimeAxis(kind=kind, freq=freq)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Panel(np.concatenate(series), indptr, pd.RangeIndex(len(series)), times, axis)


def wave(period, steps=400, noise=0.3, seed=0):
    t = np.arange(steps)
    noise = noise * np.random.default_rng(seed).normal(size=steps)
    return 50 + 0.05 * t + np.sin(2 * np.pi * t / period) + noise


@pytest.mark.parametrize("period", [4, 7, 12, 24])
def test_the_period_of_a_noisy_trending_wave_is_found(period):
    found = detect_seasons(panel(*(wave(period, seed=seed) for seed in range(3))))

    assert found[0] == period


def test_the_week_is_found_beside_the_day():
    t = np.arange(168 * 6)
    weekend = np.where(t // 24 % 7 >= 5, 0.2, 1.0)

    found = detect_seasons(panel(weekend * (2 + np.sin(2 * np.pi * t / 24))))

    assert found == (24, 168)


def test_a_week_that_correlates_less_than_the_day_is_found_beside_it():
    t, rng = np.arange(168 * 8), np.random.default_rng(0)
    weekend = np.where(t // 24 % 7 >= 5, 0.5, 1.0)
    level = np.exp(0.05 * rng.normal(size=len(t) // 24).cumsum()).repeat(24)

    found = detect_seasons(panel(level * weekend * np.sin(2 * np.pi * t / 24)))

    assert found == (24, 168)


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_has_no_season(seed):
    walk = np.random.default_rng(seed).normal(size=300).cumsum()

    assert detect_seasons(panel(walk)) == (1,)


def test_constants_short_series_and_missing_values_are_no_obstacle():
    gappy = wave(12)
    gappy[::37] = np.nan

    assert detect_seasons(panel(np.ones(50), np.arange(5.0), np.full(30, np.nan))) == (1,)
    assert detect_seasons(panel(wave(12, noise=0.1))) == (12,)
    assert detect_seasons(panel(gappy, wave(12, seed=1)))[0] in {12}


def test_seasons_are_looked_for_only_where_the_axis_says_nothing():
    values = wave(24)

    assert choose_seasons(panel(values), None, 1)[0] == 24
    assert choose_seasons(panel(values), 6, 1) == (6,)
    assert choose_seasons(panel(values, kind="datetime", freq="D"), None, 1)[0] != 24


def test_the_rows_that_judge_choose_no_season():
    values = wave(12, steps=120)
    poisoned = values.copy()
    poisoned[-10:] = 1e6 * (np.arange(10) % 5)

    assert choose_seasons(panel(poisoned), None, 10) == choose_seasons(panel(values), None, 10)
