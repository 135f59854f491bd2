"""What a step is: inference, stated frequencies, future stamps, defaults."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar

from tsrnn.calendars import TimeAxis
from tsrnn.calendars.frequency import infer_axis
from tsrnn.calendars.offsets import axis_from_calendar, axis_from_freq
from tsrnn.exceptions import DataError, ParameterError

ALIASES = [
    "D", "2D", "h", "30min", "15min", "90s", "36h", "MS", "ME", "BMS", "BME", "W-SUN", "W-WED",
    "2W-TUE", "QS-OCT", "QE-DEC", "BQE-NOV", "YS-JUN", "YE-DEC", "2YE-MAR", "B",
]  # fmt: skip


def bare(index):
    zone = None if index.tz is None else str(index.tz)
    return TimeAxis("datetime", "", unit=index.unit, tz=zone)


def infer(index):
    index = pd.DatetimeIndex(index)
    return infer_axis(bare(index), index.asi8, np.array([0, len(index)]))


@pytest.mark.parametrize("zone", [None, "Europe/Paris", "Asia/Kolkata"])
@pytest.mark.parametrize("alias", ALIASES)
def test_inferred_axis_continues_like_date_range(alias, zone):
    index = pd.date_range("2000-01-01", periods=60, freq=alias, tz=zone)

    axis = infer(index[:30])

    future = axis.to_index(axis.future(index[29:30].asi8, 30)[0])
    assert future.equals(index[30:])
    assert future.dtype == index.dtype


@pytest.mark.parametrize("alias", ALIASES)
def test_gaps_do_not_change_the_inferred_axis(alias):
    index = pd.date_range("2000-01-01", periods=60, freq=alias)
    kept = np.sort(np.random.default_rng(0).choice(np.arange(3, 60), 50, replace=False))

    axis = infer(index[np.append([0], kept)])  # the first gap is irregular, too

    assert axis.freq == infer(index).freq


@pytest.mark.parametrize("alias", ALIASES)
def test_stated_frequency_has_the_same_stamps_as_the_inferred_one(alias):
    index = pd.date_range("2000-01-01", periods=20, freq=alias)

    stated = axis_from_freq(bare(index), alias)

    np.testing.assert_array_equal(
        stated.future(index.asi8[-1:], 10), infer(index).future(index.asi8[-1:], 10)
    )
    assert stated.season == infer(index).season


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_of_datetimes_is_kept(unit):
    index = pd.date_range("1950-01-01", periods=5, freq="MS").as_unit(unit)

    axis = infer(index)

    assert axis.to_index(axis.future(index.asi8[-1:], 1)[0]).dtype == f"datetime64[{unit}]"
    assert axis.freq == "MS"


def test_two_stamps_one_day_apart_are_daily():
    assert infer(["2024-01-01", "2024-01-02"]).freq == "D"


def test_two_month_ends_are_monthly():
    assert infer(["2024-01-31", "2024-02-29"]).freq == "ME"


def test_a_fixed_day_of_the_month_is_cut_to_short_months():
    axis = infer(pd.DatetimeIndex(["2023-01-30", "2023-02-28", "2023-03-30"]).as_unit("us"))

    future = axis.to_index(axis.future(np.array([pd.Timestamp("2024-01-30").value // 1000]), 2)[0])

    assert [str(day.date()) for day in future] == ["2024-02-29", "2024-03-30"]


def test_hourly_steps_are_absolute_across_a_clock_change():
    index = pd.date_range("2024-03-30 12:00", periods=48, freq="h", tz="Europe/Paris")

    axis = infer(index[:12])

    assert (axis.to_index(axis.future(index[11:12].asi8, 36)[0]) == index[12:]).all()


def test_daily_steps_keep_the_wall_clock_across_a_clock_change():
    index = pd.date_range("2024-10-28 09:00", periods=14, freq="D", tz="America/New_York")

    axis = infer(index)
    future = axis.to_index(axis.future(index[:1].asi8, 13)[0])

    assert axis.freq == "D"
    assert set(future.hour) == {9}
    assert (future == index[1:]).all()


def test_a_skipped_wall_time_moves_on():
    axis = TimeAxis("datetime", "D", unit="s", tz="Europe/Paris", grid="day")
    last = np.array([pd.Timestamp("2024-03-30 02:30", tz="Europe/Paris").value // 10**9])

    assert axis.label(axis.future(last, 1)[0, 0]) == "2024-03-31 03:00:00+02:00"


def test_daily_midnights_that_a_clock_change_skips_are_daily():
    index = pd.date_range("2024-04-20", periods=12, freq="D").tz_localize(
        "Africa/Cairo", nonexistent="shift_forward"
    )

    axis = infer(index)

    assert axis.freq == "D"
    assert (axis.to_index(axis.future(index[:1].asi8, 11)[0]) == index[1:]).all()


def test_business_days_with_holidays_are_observed_sessions():
    index = pd.bdate_range("2024-01-01", "2024-12-31").drop(
        pd.to_datetime(["2024-01-15", "2024-07-04"])
    )

    axis = infer(index)

    assert (axis.freq, axis.grid, axis.observed) == ("B", "session", True)
    assert axis.label(axis.future(index.asi8[-1:], 1)[0, 0]) == "2025-01-01"


def test_a_week_from_sunday_to_thursday_is_recognised():
    index = pd.date_range("2024-01-01", "2024-04-30", freq="D")
    index = index[~index.day_name().isin(["Friday", "Saturday"])]

    axis = infer(index)

    assert axis.weekmask == "1111001"
    assert axis.label(axis.future(index.asi8[-1:], 3)[0, 2]) == "2024-05-05"


def test_most_weekdays_missing_is_a_gap_and_no_holiday():
    index = pd.bdate_range("2024-01-01", "2024-12-31")
    kept = index[np.sort(np.random.default_rng(0).choice(len(index), 150, replace=False))]

    axis = infer(kept.insert(0, index[0]).insert(1, index[1]).unique().sort_values())

    assert not axis.observed


def test_a_session_outside_the_week_counts_as_the_one_before():
    axis = TimeAxis("datetime", "B", unit="s", grid="session", weekmask="1111100")
    saturday = np.array([pd.Timestamp("2024-01-06").value // 10**9])

    assert axis.label(axis.future(saturday, 1)[0, 0]) == "2024-01-08"


def test_jitter_has_no_axis():
    times = pd.to_datetime(
        ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:07", "2024-01-01 03:00"]
    )

    assert infer(times) is None


@pytest.mark.parametrize(
    ("times", "step"), [([3, 4, 6], 1), ([10, 20, 50], 10), ([-30, -20, 0], 10), ([5], 1)]
)
def test_integer_times_keep_their_step(times, step):
    axis = infer_axis(
        TimeAxis("integer", "", dtype="int32"), np.array(times), np.array([0, len(times)])
    )

    future = axis.to_index(axis.future(np.array(times[-1:]), 2)[0])

    assert axis.freq == str(step)
    assert future.dtype == np.int32
    assert future.tolist() == [times[-1] + step, times[-1] + 2 * step]


@pytest.mark.parametrize("freq", ["D", "M", "W-SUN", "Q-DEC", "h", "Y-DEC"])
def test_periods_continue_like_period_range(freq):
    index = pd.period_range("2020-01-01", periods=10, freq=freq)
    axis = infer_axis(TimeAxis("period", index.freqstr), index[:5].asi8, np.array([0, 5]))

    pd.testing.assert_index_equal(axis.to_index(axis.future(index[4:5].asi8, 5)[0]), index[5:])


@pytest.mark.parametrize(
    ("alias", "seasons", "horizon"),
    [
        ("YE-DEC", (1,), 6), ("QS-OCT", (4,), 8), ("MS", (12,), 12), ("W-SUN", (52,), 13), ("D", (7,), 14),
        ("B", (1,), 10), ("h", (24, 168), 24), ("30min", (48, 336), 48), ("15min", (96, 672), 96),
        ("5min", (288, 2016), 96), ("min", (60, 1440), 60), ("s", (60,), 60), ("12h", (2, 14), 14), ("24h", (7,), 14),
    ],
)  # fmt: skip
def test_default_season_and_horizon_follow_the_table(alias, seasons, horizon):
    axis = axis_from_freq(TimeAxis("datetime", ""), alias)

    assert (axis.seasons, axis.horizon, axis.season) == (seasons, horizon, seasons[0])


@pytest.mark.parametrize(
    ("freq", "seasons"), [("M", (12,)), ("Q-DEC", (4,)), ("h", (24, 168)), ("Y-DEC", (1,))]
)
def test_periods_have_the_seasons_of_their_frequency(freq, seasons):
    assert TimeAxis("period", freq).seasons == seasons


def test_integers_have_no_season():
    axis = TimeAxis("integer", "1")

    assert (axis.seasons, axis.horizon) == ((1,), 10)


def test_axis_survives_json_and_pickle():
    axis = TimeAxis("datetime", "C", grid="session", weekmask="1111100", holidays=("2024-01-01",))

    assert TimeAxis.from_dict(json.loads(json.dumps(axis.to_dict()))) == axis
    assert pickle.loads(pickle.dumps(axis)) == axis
    assert hash(axis) == hash(TimeAxis.from_dict(axis.to_dict()))


def test_stamps_beyond_the_range_of_the_unit_are_refused():
    axis = TimeAxis("datetime", "D", unit="ns", grid="day")
    end = np.array([pd.Timestamp("2262-04-10").value])

    with pytest.raises(DataError, match=r"out of range for datetime64\[ns\]"):
        axis.future(end, 5)


@pytest.mark.parametrize(
    ("freq", "hint"), [("M", "'ME'"), ("H", "'h'"), ("3T", "'3min'"), ("Q-DEC", "'QE-DEC'")]
)
def test_old_aliases_are_refused_with_the_new_one(freq, hint):
    with pytest.raises(ParameterError, match=hint):
        axis_from_freq(TimeAxis("datetime", ""), freq)


@pytest.mark.parametrize("freq", ["nonsense", "bh", "WOM-3FRI", "-1D", 7, ""])
def test_frequencies_without_a_grid_are_refused(freq):
    with pytest.raises(ParameterError, match="'freq'"):
        axis_from_freq(TimeAxis("datetime", ""), freq)


@pytest.mark.parametrize("freq", ["D", 0, -1, 1.5, True])
def test_integer_times_need_an_integer_step(freq):
    with pytest.raises(ParameterError, match="positive integer"):
        axis_from_freq(TimeAxis("integer", ""), freq)


def session_axis(calendar):
    days = pd.DatetimeIndex(["2024-06-28", "2024-07-01"]).as_unit("us")
    return axis_from_calendar(bare(days), calendar, days.asi8)


@pytest.mark.parametrize(
    "calendar",
    [
        "XNYS",
        ["2024-07-04"],
        pd.offsets.CustomBusinessDay(holidays=["2024-07-04"]),
        USFederalHolidayCalendar(),
    ],
    ids=["exchange", "dates", "offset", "holiday calendar"],
)
def test_future_sessions_skip_the_holidays_of_a_calendar(calendar):
    axis = session_axis(calendar)
    last = np.array([pd.Timestamp("2024-07-02").value // 1000])

    future = [axis.label(time) for time in axis.future(last, 3)[0]]

    assert future == ["2024-07-03", "2024-07-05", "2024-07-08"]


def test_week_pattern_of_an_offset_is_kept():
    axis = session_axis(pd.offsets.CustomBusinessDay(weekmask="Sun Mon Tue Wed Thu"))

    assert axis.weekmask == "1111001"


def test_unknown_calendars_are_refused():
    with pytest.raises(ParameterError, match="'NOPE'"):
        session_axis("NOPE")
    with pytest.raises(ParameterError, match="'calendar'"):
        session_axis(3)
