"""Series end to end: cuts, selections and views."""

import numpy as np
import pandas as pd
import pytest

from tsrnn.calendars import TimeAxis
from tsrnn.panel import Panel


@pytest.fixture
def panel():
    """Return series of 3, 1 and 4 rows with values 0 to 7 and times 10 to 17."""
    return Panel(
        np.arange(8.0),
        np.array([0, 3, 4, 8]),
        pd.Index(["a", "b", "c"]),
        np.arange(10, 18),
        TimeAxis("integer", "1"),
        weights=np.arange(8.0) / 8,
    )


def parts(panel):
    return [panel.series(i).tolist() for i in range(len(panel))]


def test_lengths_and_last_times_are_those_of_each_series(panel):
    assert panel.lengths.tolist() == [3, 1, 4]
    assert panel.last_times.tolist() == [12, 13, 17]
    assert len(panel) == 3


def test_tail_keeps_the_newest_rows_of_each_series(panel):
    assert parts(panel.tail(2)) == [[1, 2], [3], [6, 7]]


def test_drop_last_removes_the_newest_rows_of_each_series(panel):
    assert parts(panel.drop_last(2)) == [[0], [], [4, 5]]


def test_drop_last_and_tail_share_the_rows_between_them(panel):
    older, newer = panel.drop_last(1), panel.tail(1)

    assert [a + b for a, b in zip(parts(older), parts(newer), strict=True)] == parts(panel)


def test_times_and_weights_follow_the_values(panel):
    cut = panel.take_rows(np.array([1, 0, 2]), np.array([3, 1, 3]))

    np.testing.assert_array_equal(cut.times, cut.values + 10)
    np.testing.assert_array_equal(cut.weights, cut.values / 8)


def test_select_reorders_series_and_repeats_none(panel):
    chosen = panel.select(np.array([2, 0]))

    assert parts(chosen) == [[4, 5, 6, 7], [0, 1, 2]]
    assert chosen.ids.tolist() == ["c", "a"]
    assert chosen.last_times.tolist() == [17, 12]


def test_select_takes_a_mask(panel):
    assert parts(panel.select(np.flatnonzero([True, False, True]))) == [[0, 1, 2], [4, 5, 6, 7]]


def test_matrix_pads_short_series_on_the_left(panel):
    expected = [[1, 2], [np.nan, 3], [6, 7]]

    np.testing.assert_array_equal(panel.matrix(2), expected)


def test_one_series_is_cut_without_a_copy():
    values = np.arange(5.0)
    single = Panel(
        values, np.array([0, 5]), pd.Index(["y"]), np.arange(5), TimeAxis("integer", "1")
    )

    assert np.shares_memory(single.tail(3).values, values)
