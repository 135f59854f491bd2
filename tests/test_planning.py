"""The plan: what is decided from the data, and which rows teach, choose and judge."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tsrnn.calendars import TimeAxis
from tsrnn.exceptions import DataError, ParameterError
from tsrnn.learning.planning import (
    DataPlan,
    choose_context,
    choose_patch,
    choose_representation,
    choose_seasons,
    plan_data,
    split_panel,
)
from tsrnn.panel import Panel


def make_panel(*series, freq="MS", grid="month") -> Panel:
    lengths = [len(s) for s in series]
    axis = TimeAxis("datetime", freq, grid=grid)
    times = np.concatenate([np.arange(n) for n in lengths])
    ids = pd.Index([f"s{i}" for i in range(len(series))])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Panel(np.concatenate(series).astype(float), indptr, ids, times, axis)


def wishes(**changes) -> SimpleNamespace:
    nothing = {
        "season": None,
        "patch": None,
        "decoder": "direct",
        "context_length": None,
        "representation": "auto",
        "output": "quantiles",
        "max_steps": 1000,
        "batch_size": 64,
        "calendar_features": False,
    }
    return SimpleNamespace(**{**nothing, **changes})


def multiplicative(rows=144) -> np.ndarray:
    """Grows fifteenfold with a seasonal swing of a fifth of its level."""
    step = np.arange(rows)
    return 100 * np.exp(0.019 * step) * (1 + 0.2 * np.sin(2 * np.pi * step / 12))


def additive(rows=144) -> np.ndarray:
    """Grows as much with a swing that stays the same."""
    step = np.arange(rows)
    return 100 + 10 * step + 20 * np.sin(2 * np.pi * step / 12)


# ---- what is decided ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "seasons", "representation"),
    [
        (multiplicative(), (12,), "log"),
        (multiplicative(), (1,), "log_return"),
        (additive(), (12,), "level"),
        (additive(), (1,), "difference"),
        (-multiplicative(), (12,), "level"),
        (multiplicative() - 100, (12,), "level"),
        (np.full(60, 5.0), (12,), "level"),
        (multiplicative(20), (1,), "difference"),
    ],
)
def test_logarithms_are_for_positive_data_whose_swings_grow_with_them(
    values, seasons, representation
):
    assert choose_representation(make_panel(values), seasons, 6) == representation


def test_the_rows_that_judge_do_not_choose_the_representation():
    calm = additive()
    wild = calm.copy()
    wild[-12:] *= np.tile([1, 40], 6)

    assert choose_representation(make_panel(wild), (12,), 12) == "level"
    multiplied = multiplicative()
    flat = multiplied.copy()
    flat[-12:] = flat[-13]
    assert choose_representation(make_panel(flat), (12,), 12) == "log"


def test_one_value_that_is_not_positive_rules_logarithms_out_wherever_it_is():
    values = multiplicative()
    for row in (0, 70, -1):
        spoiled = values.copy()
        spoiled[row] = 0.0
        assert choose_representation(make_panel(spoiled), (12,), 6) == "level"


def test_a_season_is_used_when_it_is_seen_twice():
    assert choose_seasons(make_panel(additive(25)), None, 1) == (12,)
    assert choose_seasons(make_panel(additive(24)), None, 1) == (1,)
    assert choose_seasons(make_panel(additive(24), additive(60)), None, 1) == (12,)
    assert choose_seasons(make_panel(additive(60)), 5, 1) == (5,)
    assert choose_seasons(make_panel(additive(60)), 1, 1) == (1,)


@pytest.mark.parametrize(
    ("season", "decoder", "patch"),
    [(1, "direct", 1), (12, "direct", 1), (24, "direct", 24), (52, "direct", 4), (24, "shift", 1)],
)
def test_long_seasons_are_read_in_patches(season, decoder, patch):
    assert choose_patch((season,), decoder) == patch


def test_what_was_wished_goes_first():
    asked = wishes(
        season=6,
        patch=2,
        context_length=15,
        representation="difference",
        max_steps=30,
        batch_size=3,
    )

    plan = plan_data(make_panel(additive()), 4, asked)

    assert plan == DataPlan(4, (6,), 2, 16, "difference", 30, 3)
    assert (plan.anchor, plan.log) == ("last", False)


def test_few_rows_take_fewer_steps_than_allowed():
    few, many = (make_panel(additive(n)) for n in (60, 4000))

    assert plan_data(few, 6, wishes()).steps < plan_data(many, 6, wishes()).steps <= 1000
    assert plan_data(few, 6, wishes(max_steps=7)).steps == 7


def test_a_window_is_no_longer_than_the_series():
    plan = plan_data(make_panel(additive(20)), 6, wishes())

    assert plan.context == 19


@pytest.mark.parametrize("representation", ["level", "difference", "log", "log_return"])
def test_a_plan_survives_plain_json_values(representation):
    plan = plan_data(make_panel(additive()), 4, wishes(representation=representation))

    assert DataPlan.from_dict(plan.to_dict()) == plan


def test_counts_are_never_taken_as_logarithms():
    plan = plan_data(make_panel(multiplicative()), 4, wishes(output="negative_binomial"))

    assert plan.representation == "level"


# ---- which rows teach, choose and judge ----------------------------------------------------


@pytest.mark.parametrize("val_size", [None, 9])
@pytest.mark.parametrize("lengths", [[100], [50, 80, 20], [30] * 120])
def test_every_row_has_one_office_and_the_newest_judge(lengths, val_size):
    panel = make_panel(*(np.arange(n) for n in lengths))

    split = split_panel(panel, horizon=6, val_size=val_size)

    assert (split.train <= split.choose).all()
    assert (split.choose <= panel.lengths).all()
    judged = split.choose < panel.lengths
    np.testing.assert_array_equal((panel.lengths - split.choose)[judged], 6)
    np.testing.assert_array_equal(split.test.series, np.flatnonzero(judged))
    np.testing.assert_array_equal(split.test.known, split.choose[judged])
    if val_size is not None:
        assert set((split.choose - split.train).tolist()) <= {0, 9}


def test_validation_forecasts_begin_behind_the_rows_that_teach_and_end_before_those_that_judge():
    panel = make_panel(np.arange(100), np.arange(60), np.arange(9))

    split = split_panel(panel, horizon=4, val_size=10)

    known, series = split.validation.known, split.validation.series
    assert (known >= split.train[series]).all()
    assert (known + 4 <= split.choose[series]).all()
    assert sorted(zip(series.tolist(), known.tolist(), strict=True)) == [
        *((0, k) for k in range(86, 93)),
        *((1, k) for k in range(46, 53)),
    ]


def test_a_series_of_fewer_than_three_horizons_only_teaches():
    panel = make_panel(np.arange(100), np.arange(10))

    split = split_panel(panel, horizon=6, val_size=None)

    assert (split.train[1], split.choose[1]) == (10, 10)
    assert 1 not in split.validation.series
    assert split.test.series.tolist() == [0]


def test_origins_of_a_long_series_are_one_of_each_equal_part():
    split = split_panel(make_panel(np.arange(20_000)), horizon=6, val_size=10_000)

    known = split.validation.known - split.train[0]
    assert len(known) == 256
    part = known * 256 / (10_000 - 6 + 1) - np.arange(256)
    assert -0.1 < part.min() < part.max() < 1


def test_which_rows_choose_does_not_follow_the_order_of_the_series():
    """One origin of each of 300 long series: at random their times would correlate with the order by 0.06."""
    split = split_panel(make_panel(*[np.arange(700.0)] * 300), horizon=10, val_size=None)

    origins = split.validation
    assert np.array_equal(origins.series, np.arange(300))
    assert abs(np.corrcoef(origins.series, origins.known)[0, 1]) < 0.05
    assert np.ptp(origins.known) > 40


def test_series_that_are_all_too_short_are_refused_by_name():
    with pytest.raises(
        DataError, match=r"The longest, 's1', has 2 rows; learning needs at least 3"
    ):
        split_panel(make_panel(np.arange(1), np.arange(2)), horizon=6, val_size=None)


def test_a_val_size_that_leaves_nothing_to_learn_from_is_refused():
    with pytest.raises(
        ParameterError, match=r"'val_size' parameter must leave at least 6 rows.*Got 55 for 54"
    ):
        split_panel(make_panel(np.arange(60)), horizon=6, val_size=55)


def test_a_window_is_no_longer_than_the_longest_series():
    assert choose_context(make_panel(np.arange(60.0)), (1,), 1, 100_000) == 59
    assert choose_context(make_panel(np.arange(60.0)), (1,), 4, 10) == 12
