"""Windows: which rows a batch holds, and which it may never hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsrnn.calendars import TimeAxis
from tsrnn.panel import Panel
from tsrnn.windows import Origins, WindowSampler, gather_rows


def make_panel(*lengths, dtype=float, weights=False) -> Panel:
    """Series i holds 1000 i + 0, 1, 2, ...: each value tells where it is from."""
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.concatenate([1000 * i + np.arange(n) for i, n in enumerate(lengths)]).astype(dtype)
    times = np.concatenate([np.arange(n) for n in lengths])
    ids = pd.Index([f"s{i}" for i in range(len(lengths))])
    axis = TimeAxis("integer", "1")
    return Panel(values, indptr, ids, times, axis, values / 10 if weights else None)


def draw(sampler, size, rng):
    return sampler.gather(*sampler.places(size, rng))


def make_sampler(panel, stop=None, *, patch=1) -> WindowSampler:
    stop = panel.lengths if stop is None else np.asarray(stop)
    return WindowSampler(panel, stop, look_back=3, context=6, horizon=2, patch=patch)


def test_a_gathered_window_is_a_slice_of_its_series():
    panel = make_panel(8, 5, 9)
    series, start = np.array([2, 0]), np.array([3, 1])

    rows = gather_rows(panel.values, panel.indptr, series, start, panel.lengths[series], 4)

    np.testing.assert_array_equal(rows, [[2003, 2004, 2005, 2006], [1, 2, 3, 4]])
    assert rows.dtype == np.float64


def test_windows_never_cross_from_one_series_to_the_next_nor_into_held_out_rows():
    panel = make_panel(5, 4, dtype=np.float32)
    series, start, stop = np.array([0, 1, 1]), np.array([3, -2, 2]), np.array([4, 4, 2])

    rows = gather_rows(panel.values, panel.indptr, series, start, stop, 4)

    nan = np.nan
    np.testing.assert_array_equal(
        rows, [[3, nan, nan, nan], [nan, nan, 1000, 1001], [nan, nan, nan, nan]]
    )


def test_whole_windows_and_cut_ones_come_together_in_order():
    flat, indptr = np.arange(20.0), np.array([0, 8, 20])
    series, start = np.array([0, 1, 0, 1]), np.array([2, -2, 5, 9])

    rows = gather_rows(flat, indptr, series, start, np.array([8, 12, 8, 12]), 4)

    nan = np.nan
    expected = [[2, 3, 4, 5], [nan, nan, 8, 9], [5, 6, 7, nan], [17, 18, 19, nan]]
    np.testing.assert_array_equal(rows, expected)


def test_gathering_changes_no_row_of_the_panel():
    panel = make_panel(6)
    panel.values.flags.writeable = False

    rows = gather_rows(panel.values, panel.indptr, np.array([0]), np.array([0]), np.array([6]), 6)
    rows[0] = -1.0

    np.testing.assert_array_equal(panel.values, np.arange(6))


def test_every_drawn_window_is_consecutive_rows_before_the_stop():
    panel, stop = make_panel(40, 25, 7), np.array([30, 25, 5])
    values, weights = draw(make_sampler(panel, stop), 500, np.random.default_rng(0))

    assert values.shape == (500, 3 + 6 + 2)
    assert weights is None
    seen = set()
    for window in values:
        known = window[~np.isnan(window)]
        assert (np.diff(known) == 1).all()
        series = int(known[0] // 1000)
        assert known[-1] - 1000 * series < stop[series]
        seen |= set(known.tolist())
    assert seen == {1000.0 * i + j for i, n in enumerate(stop) for j in range(n)}


def test_the_newest_row_that_may_be_seen_is_forecast_in_some_window():
    panel = make_panel(40)

    values, _ = draw(make_sampler(panel, [30]), 400, np.random.default_rng(0))

    targets = values[:, 3 + 1 :]  # the rows behind the first that is read
    assert (targets == 29).any()
    assert np.nanmax(values) == 29


def test_series_are_drawn_by_how_many_windows_they_fill():
    panel = make_panel(60, 18, 1)

    values, _ = draw(make_sampler(panel), 4000, np.random.default_rng(0))

    series = (np.nanmax(values, axis=1) // 1000).astype(int)
    share = np.bincount(series, minlength=3) / 4000
    np.testing.assert_allclose(share, [10 / 13, 3 / 13, 0], atol=0.03)


def test_the_same_generator_draws_the_same_windows():
    sampler = make_sampler(make_panel(40, 25))

    one, same, other = (draw(sampler, 8, np.random.default_rng(seed))[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other, equal_nan=True)


def test_patches_may_begin_at_any_row():
    panel = make_panel(40)

    values, _ = draw(make_sampler(panel, patch=3), 300, np.random.default_rng(0))

    first_read = values[:, 3]
    phases = np.unique(first_read[~np.isnan(first_read)] % 3)
    np.testing.assert_array_equal(phases, [0, 1, 2])


def test_weights_are_gathered_with_their_rows_and_are_zero_where_there_are_none():
    panel = make_panel(8, 5, weights=True)

    values, weights = make_sampler(panel).gather(np.array([1]), np.array([0]))

    np.testing.assert_array_equal(weights[0], np.nan_to_num(values[0]) / 10)
    assert weights[0, 0] == 0.0


@pytest.mark.parametrize("which", [slice(1, 3), np.array([1, 2])])
def test_origins_are_taken_together(which):
    origins = Origins(np.array([0, 1, 2]), np.array([5, 6, 7]))

    some = origins[which]

    assert len(some) == 2
    np.testing.assert_array_equal(some.series, [1, 2])
    np.testing.assert_array_equal(some.known, [6, 7])


def at_end(panel, stop=None) -> WindowSampler:
    stop = panel.lengths if stop is None else np.asarray(stop)
    return WindowSampler(panel, stop, look_back=3, context=6, horizon=2, patch=1, at_end=True)


def test_the_end_of_a_window_that_is_taught_there_has_a_row_behind_it():
    values, _ = draw(at_end(make_panel(40, 9, 4), [30, 9, 4]), 500, np.random.default_rng(0))

    newest, first = values[:, 3 + 5], values[:, 3 + 6]
    assert not np.isnan(first).any()
    np.testing.assert_array_equal(first, newest + 1)
    assert set(first[first < 1000]) == set(
        range(6, 30)
    )  # whole windows, up to the row before the stop
    assert set(first[(first >= 1000) & (first < 2000)]) == {1004, 1005, 1006, 1007, 1008}
    assert set(first[first >= 2000]) == {2002, 2003}


def test_rows_before_the_first_of_a_short_series_are_missing_in_its_windows():
    values, _ = draw(at_end(make_panel(4)), 20, np.random.default_rng(0))

    for window in values:
        known = np.flatnonzero(~np.isnan(window))
        assert window[known[0]] == 0.0
        assert known[0] >= 3 + 6 - 3


def test_a_batch_is_spread_evenly_over_the_series():
    sampler = make_sampler(make_panel(*[20] * 64), patch=2)
    rng = np.random.default_rng(0)

    for size, least, most in ((64, 1, 1), (128, 2, 2), (16, 0, 1)):
        series, _ = sampler.places(size, rng)
        count = np.bincount(series, minlength=64)
        assert (count.min(), count.max()) == (least, most)

    drawn = np.bincount(np.concatenate([sampler.places(16, rng)[0] for _ in range(2000)]))
    np.testing.assert_allclose(drawn, 500, atol=100)  # each as often as any other
