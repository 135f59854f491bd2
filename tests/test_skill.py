"""``skill_``: the standing against the naive forecasts, number by number."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.test_planning import make_panel
from tsrnn.exceptions import SkillWarning
from tsrnn.learning.skill import Skill, judge, warn_without_skill
from tsrnn.windows import Origins

SEASON = 2


def world(*, series=6, rows=20, known=16):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=rows).cumsum() + 10 for _ in range(series)]
    panel = make_panel(*values)
    origins = Origins(np.arange(series), np.full(series, known))
    truth = np.stack([v[known:] for v in values])
    return panel, origins, np.stack(values), truth


def interval(point, width=1.0):
    return np.stack([point - width, point + width], -1)


def test_the_scores_are_those_of_the_rows_behind_the_origin():
    panel, origins, values, truth = world()
    point = truth + np.array([1.0, -1.0, 1.0, -1.0])

    skill = judge(panel, origins, point, interval(point, 1.5), season=SEASON)

    past = values[:, :16]
    scale = np.abs(past[:, SEASON:] - past[:, :-SEASON]).mean(1, keepdims=True)
    naive = np.abs(truth - past[:, -1:])
    seasonal = np.abs(truth - np.tile(past[:, -2:], 2))
    drift = past[:, -1:] + (past[:, -1:] - past[:, :1]) / 15 * np.arange(1, 5)
    expected = {"naive": naive, "seasonal_naive": seasonal, "drift": np.abs(truth - drift)}
    for name, error in expected.items():
        assert skill.scores.loc[name, "mae"] == pytest.approx(error.mean())
        assert skill.scores.loc[name, "rmse"] == pytest.approx(np.sqrt((error**2).mean()))
        assert skill.scores.loc[name, "mase"] == pytest.approx((error / scale).mean())
        np.testing.assert_allclose(skill.by_horizon[name], (error / scale).mean(0))
    assert skill.scores.loc["model", "mae"] == pytest.approx(1.0)
    assert skill.scores.loc["model", "coverage_80"] == 1.0
    assert skill.n_steps == 24
    assert skill.by_horizon.index.tolist() == [1, 2, 3, 4]


def test_a_perfect_model_beats_and_a_copy_of_naive_does_not():
    panel, origins, values, truth = world(series=12)

    perfect = judge(panel, origins, truth, interval(truth), season=SEASON)
    copied = np.repeat(values[:, 15:16], 4, 1)
    copy = judge(panel, origins, copied, interval(copied), season=SEASON)

    assert perfect.beats_naive
    assert perfect.scores.loc["model", "mase"] == 0.0
    assert perfect.p_value < 0.05
    assert not copy.beats_naive
    assert copy.scores.loc["model", "mae"] == copy.scores.loc["naive", "mae"]


def test_rows_behind_the_horizon_and_other_series_have_no_say():
    panel, origins, _, truth = world()
    some = origins[np.array([1, 4])]

    skill = judge(panel, some, truth[[1, 4], :2] + 0.5, np.empty((2, 2, 0)), season=SEASON)

    assert skill.n_steps == 4
    assert skill.scores.loc["model", "mae"] == pytest.approx(0.5)
    assert "coverage_80" not in skill.scores


def test_steps_whose_truth_is_missing_are_not_scored():
    panel, origins, _, truth = world()
    panel.values[panel.indptr[:-1] + 17] = np.nan
    point = truth + 1.0

    skill = judge(panel, origins, point, interval(point, 2), season=SEASON)

    assert skill.n_steps == 18
    assert skill.scores.loc["model", "mae"] == pytest.approx(1.0)
    assert np.isnan(skill.by_horizon.loc[2, "model"])
    panel.values[:] = np.nan
    assert judge(panel, origins, point, interval(point), season=SEASON) is None


def test_a_skill_survives_plain_values():
    panel, origins, _, truth = world()
    skill = judge(panel, origins, truth + 0.1, interval(truth), season=SEASON)

    again = Skill.from_dict(skill.to_dict())

    pd.testing.assert_frame_equal(again.scores, skill.scores)
    pd.testing.assert_frame_equal(again.by_horizon, skill.by_horizon)
    assert (again.verdict, again.beats_naive, again.p_value) == (
        skill.verdict,
        skill.beats_naive,
        skill.p_value,
    )
    assert str(again) == str(skill)
    assert skill.verdict in str(skill)


def test_only_a_model_without_skill_warns():
    panel, origins, values, truth = world(series=1)
    copied = np.repeat(values[:, 15:16], 4, 1)
    without = judge(panel, origins, copied + 9, interval(copied), season=SEASON)
    with_skill = judge(panel, origins, truth, interval(truth), season=SEASON)

    with pytest.warns(SkillWarning, match=r"series 's0'; see skill_"):
        warn_without_skill(without, panel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_without_skill(with_skill, panel)
        warn_without_skill(None, panel)
