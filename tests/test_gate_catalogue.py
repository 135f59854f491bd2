"""Bad inputs and odd ones, row by row of the catalogue: an error that says what to do, or the right panel."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import tsrnn.frames
from tsrnn.exceptions import DataError, DataWarning, FrequencyError
from tsrnn.frames import read_panel

pa = pytest.importorskip("pyarrow")


def long(rows=20, names=("A", "B"), freq="D", start="2024-01-01"):
    times = pd.date_range(start, periods=rows, freq=freq)
    return pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": times, "y": np.arange(rows) + 1.0})
            for name in names
        ],
        ignore_index=True,
    )


def read(df, **options):
    return read_panel(df, **options)[0]


def same(panel, expected):
    np.testing.assert_array_equal(panel.values, expected.values)
    np.testing.assert_array_equal(panel.indptr, expected.indptr)
    np.testing.assert_array_equal(panel.times, expected.times)
    assert panel.axis == expected.axis


# ---- 1 to 9: emptiness and values --------------------------------------------------------------


@pytest.mark.parametrize(
    "df", [pd.DataFrame(), long().iloc[:0], pd.Series(dtype=float), pd.DataFrame({"y": []})]
)
def test_a_frame_without_rows_is_refused(df):
    with pytest.raises(DataError, match=r"at least one row|needs a time column"):
        read(df)


def test_one_row_is_no_frequency():
    with pytest.raises(FrequencyError, match=r"two rows to tell the frequency.*freq="):
        read(long(rows=1))


def test_one_row_is_enough_when_the_frequency_is_stated():
    assert read(long(rows=1), freq="D").lengths.tolist() == [1, 1]


def test_a_constant_series_passes():
    df = long().assign(y=0.0)

    assert (read(df).values == 0).all()


def test_a_target_without_any_value_is_refused():
    with pytest.raises(DataError, match=r"Column 'y' must hold at least one value. Got 40 missing"):
        read(long().assign(y=np.nan))


def test_one_series_without_a_value_is_named():
    df = long()
    df.loc[df["unique_id"] == "B", "y"] = np.nan

    with pytest.warns(DataWarning, match=r"Series 'B' has no value at all"):
        read(df)


def test_missing_values_stay_missing_with_one_warning():
    df = long()
    df.loc[[3, 4, 25], "y"] = np.nan

    with pytest.warns(
        DataWarning, match=r"has 3 missing values, the first for series 'A' at 2024-01-04"
    ) as caught:
        panel = read(df)

    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.flatnonzero(np.isnan(panel.values)).tolist() == [3, 4, 25]


@pytest.mark.parametrize(
    ("value", "words"), [(np.inf, "infinite"), (-np.inf, "infinite"), (1e308, "beyond 1e\\+150")]
)
def test_infinite_and_overflowing_values_are_refused(value, words):
    df = long()
    df.loc[25, "y"] = value

    with pytest.raises(DataError, match=f"Got 1 values {words}.*for series 'B' at 2024-01-06"):
        read(df)


@pytest.mark.parametrize("scale", [1e12, 1e-12, 1e-300])
def test_values_of_any_scale_are_kept_exactly(scale):
    df = long()

    np.testing.assert_array_equal(read(df.assign(y=df["y"] * scale)).values, df["y"] * scale)


def test_small_moves_on_a_large_level_are_kept_exactly():
    df = long()

    np.testing.assert_array_equal(read(df.assign(y=df["y"] + 2.0**40)).values - 2.0**40, df["y"])


# ---- 10 to 13: types of the target -------------------------------------------------------------

EXACT = {
    "Decimal": lambda y: y.map(lambda v: Decimal(int(v))).astype(object),
    "int objects": lambda y: y.astype(int).astype(object),
    "int8": lambda y: y.astype("int8"),
    "uint64": lambda y: y.astype("uint64"),
    "float16": lambda y: y.astype("float16"),
    "float32": lambda y: y.astype("float32"),
    "Int64": lambda y: y.astype("Int64"),
    "Float64": lambda y: y.astype("Float64"),
    "arrow double": lambda y: y.astype("double[pyarrow]"),
    "arrow int": lambda y: y.astype("int64[pyarrow]"),
    "arrow decimal": lambda y: y.astype(pd.ArrowDtype(pa.decimal128(10, 2))),
    "sparse": lambda y: y.astype(pd.SparseDtype(float)),
    "sparse int": lambda y: y.astype(int).astype(pd.SparseDtype(int)),
}


@pytest.mark.parametrize("convert", EXACT.values(), ids=EXACT.keys())
def test_numbers_of_every_type_are_read_exactly(convert):
    df = long()

    same(read(df.assign(y=convert(df["y"]))), read(df))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "double[pyarrow]", object])
def test_missing_values_of_every_type_become_nan(dtype):
    df = long()
    y = df["y"].astype(dtype)
    y.iloc[2] = None

    with pytest.warns(DataWarning, match=r"has 1 missing values"):
        panel = read(df.assign(y=y))

    assert np.flatnonzero(np.isnan(panel.values)).tolist() == [2]


@pytest.mark.parametrize("dtype", [bool, "boolean", "bool[pyarrow]"])
def test_booleans_are_read_as_zero_and_one(dtype):
    df = long()
    expected = (df["y"] > 3).astype(float)

    np.testing.assert_array_equal(
        read(df.assign(y=(df["y"] > 3).astype(dtype)), target_col="y").values, expected
    )


REFUSED = {
    "number text": (
        lambda y: y.astype(str),
        "Column 'y' must be numeric. Got text such as '1.0'.*to_numeric",
    ),
    "object text": (lambda y: y.astype(str).astype(object), "Got text such as '1.0'.*to_numeric"),
    "one word": (
        lambda y: y.astype(str).replace("7.0", "n/a"),
        "first that is no number is 'n/a' at position 6",
    ),
    "mixed": (
        lambda y: y.astype(object).where(y != 7, "n/a"),
        "first that is no number is 'n/a' at position 6",
    ),
    "lists": (lambda y: y.map(lambda v: [v]), "one number per row. Got \\[1.0\\] of type list"),
    "complex": (lambda y: y.astype(complex), "dtype complex128.*real"),
    "time": (lambda y: pd.to_datetime(y), "dtype datetime64"),
    "timedelta": (lambda y: pd.to_timedelta(y, unit="s"), "total_seconds"),
    "category": (lambda y: y.astype("category"), r"dtype category.*astype\(float\)"),
    "periods": (lambda y: pd.Series(pd.period_range("2020", periods=40)), "dtype period"),
}


@pytest.mark.parametrize(("convert", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_other_targets_are_refused_with_the_conversion(convert, words):
    df = long()

    with pytest.raises(DataError, match=words):
        read(df.assign(y=convert(df["y"])), target_col="y", time_col="ds")


# ---- 14 and 15: ids ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        (7, 3),
        ("007", "7"),
        (1.5, 0.5),
        ("é ü", " a\n"),
        (True, False),
        (pd.Timestamp("2020"), pd.Timestamp("2019")),
    ],
    ids=repr,
)
def test_ids_keep_value_type_and_order_of_appearance(names):
    df = long(names=names)

    panel, kind = read_panel(df, id_col="unique_id", time_col="ds")
    back = kind.write(
        panel.ids,
        panel.axis.future(panel.last_times, 1),
        panel.axis,
        {"forecast": np.zeros((2, 1))},
    )

    assert panel.ids.tolist() == list(names)
    assert back["unique_id"].tolist() == list(names)
    assert back["unique_id"].dtype == df["unique_id"].dtype


def test_unused_categories_are_no_series():
    df = long(names=("b", "a"))
    df["unique_id"] = pd.Categorical(df["unique_id"], categories=["x", "a", "b"])

    panel = read(df)

    assert panel.ids.tolist() == ["b", "a"]
    assert len(panel) == 2


def test_ids_of_mixed_types_are_refused():
    df = long()
    df["unique_id"] = df["unique_id"].astype(object).map({"A": 1, "B": "1"})

    with pytest.raises(DataError, match=r"one type. Got int \(1\), str \('1'\)"):
        read(df)


@pytest.mark.parametrize("dtype", [object, "str", "category", "Int64"])
def test_a_missing_id_is_refused(dtype):
    df = long(names=(1, 2))
    df["unique_id"] = df["unique_id"].astype("str" if dtype != "Int64" else "Int64").astype(dtype)
    df.loc[5, "unique_id"] = None

    with pytest.raises(
        DataError, match=r"needs an id in column 'unique_id'. Got 1 rows.*position 5"
    ):
        read(df)


# ---- 16 to 20: rows in time --------------------------------------------------------------------


def test_duplicate_stamps_are_refused_by_name():
    df = long()
    df = pd.concat([df, df.iloc[[25]]], ignore_index=True)

    with pytest.raises(
        DataError, match=r"more than one for series 'B' at 2024-01-06 \(1 such rows in all\)"
    ):
        read(df)


def test_repeating_stamps_without_ids_ask_for_the_id_column():
    df = long().rename(columns={"unique_id": "site", "y": "value"}).assign(site=[0] * 20 + [1] * 20)

    with pytest.raises(DataError, match=r"id_col="):
        read(df, target_col="value")


@pytest.mark.parametrize("seed", range(3))
def test_row_order_changes_nothing_but_the_order_of_series(seed):
    df = long(names=("A", "B", "C"))
    shuffled = df.sample(frac=1, random_state=seed)

    panel, expected = read(shuffled), read(df)

    for i, name in enumerate(panel.ids):
        np.testing.assert_array_equal(panel.series(i), expected.series(expected.ids.get_loc(name)))
    assert panel.ids.tolist() == shuffled["unique_id"].unique().tolist()


def test_interleaved_series_are_put_end_to_end():
    df = long()

    same(read(df.sort_values(["ds", "unique_id"])), read(df))


def test_gaps_become_steps_without_a_value_with_one_warning():
    df = long().drop([4, 5, 30]).reset_index(drop=True)

    with pytest.warns(
        DataWarning, match=r"3 steps have no row, the first before series 'A' at 2024-01-07"
    ) as caught:
        panel = read(df)

    assert len(caught) == 1
    assert panel.lengths.tolist() == [20, 20]
    assert np.flatnonzero(np.isnan(panel.values)).tolist() == [4, 5, 30]
    same_times = read(long()).times
    np.testing.assert_array_equal(panel.times, same_times)


def test_a_mostly_empty_axis_is_refused():
    df = long(rows=30, names=("A",), freq="h")
    df.loc[29, "ds"] = pd.Timestamp("2034-01-01")

    with pytest.raises(
        FrequencyError, match=r"rows on most steps of its frequency 'h'. Got 30 rows on"
    ):
        read(df)


def test_jitter_is_refused_with_candidates_and_the_helper():
    df = long(names=("A",), freq="h")
    df["ds"] += pd.to_timedelta(np.where(np.arange(20) % 7 == 3, 3, 0), unit="min")

    with pytest.raises(
        FrequencyError,
        match=r"Got series 'A' at 2024-01-01 03:03:00.*candidates: \['h'.*regularize\(df, freq='h'\)",
    ):
        read(df)


def test_a_missing_time_is_refused():
    df = long()
    df.loc[3, "ds"] = pd.NaT

    with pytest.raises(
        DataError,
        match=r"needs a time in column 'ds'. Got 1 rows without one, the first at position 3",
    ):
        read(df)


MIXED = {
    "garbage": ["2024-01-01", "soon", "2024-01-03"],
    "forms": ["2024-01-01", "2024-01-02 10:00:00", "2024-01-03"],
    "local forms": ["01/02/2024", "02/02/2024", "03/02/2024"],
    "naive and aware": [
        pd.Timestamp("2024-01-01"),
        pd.Timestamp("2024-01-02", tz="UTC"),
        pd.Timestamp("2024-01-03"),
    ],
    "two zones": [pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02", tz="Asia/Tokyo")]
    * 2,
    "objects": [pd.Timestamp("2024-01-01"), 2, "2024-01-03"],
    "floats": [1.0, 2.0, 3.0],
    "booleans": [True, False, True],
    "timedeltas": list(pd.to_timedelta([1, 2, 3], unit="D")),
}


@pytest.mark.parametrize("times", MIXED.values(), ids=MIXED.keys())
def test_mixed_and_unreadable_times_are_refused(times):
    df = pd.DataFrame({"ds": times, "y": np.arange(float(len(times)))})

    with pytest.raises(DataError, match=r"column 'ds'"):
        read(df, time_col="ds")


# ---- 21 to 27: calendars -----------------------------------------------------------------------


def test_mixed_frequencies_between_series_name_both():
    df = pd.concat([long(names=("day",)), long(names=("hour",), freq="h", rows=60)])

    with pytest.raises(FrequencyError, match=r"Got 'D' for series 'day' and 'h' for series 'hour'"):
        read(df)


def test_monthly_and_daily_series_name_both():
    df = pd.concat([long(names=("month",), freq="MS", rows=40), long(names=("day",), rows=400)])

    with pytest.raises(
        FrequencyError, match=r"Got 'MS' for series 'month' and 'D' for series 'day'"
    ):
        read(df)


def test_daily_and_business_series_name_both():
    df = pd.concat([long(names=("coin",), rows=60), long(names=("stock",), rows=40, freq="B")])

    with pytest.raises(
        FrequencyError, match=r"Got 'B' for series 'stock' and 'D' for series 'coin'"
    ):
        read(df)


def test_weekly_series_on_different_days_share_a_step_of_seven_days():
    df = pd.concat([long(names=("A",), freq="W-MON"), long(names=("B",), freq="W-THU")])

    panel = read(df)

    future = panel.axis.to_index(panel.axis.future(panel.last_times, 1)[:, 0])
    assert future.day_name().tolist() == ["Monday", "Thursday"]
    assert panel.axis.season == 52


def test_holidays_are_neither_padded_nor_missing():
    df = long(rows=200, freq="B")
    df = df[~df["ds"].isin(pd.to_datetime(["2024-01-15", "2024-05-27"]))]

    with pytest.warns(
        DataWarning,
        match=r"4 weekdays have no row.*Future stamps follow the weekday pattern; calendar=",
    ):
        panel = read(df)

    np.testing.assert_array_equal(panel.values, df["y"])


@pytest.mark.parametrize("calendar", ["XNYS", ["2024-01-15"]])
def test_a_calendar_makes_a_missing_session_a_gap(calendar):
    df = long(rows=30, freq="B", names=("A",), start="2024-01-02")
    df = df[~df["ds"].isin(pd.to_datetime(["2024-01-15", "2024-01-23"]))]

    with pytest.warns(
        DataWarning, match=r"1 steps have no row, the first before series 'A' at 2024-01-24"
    ):
        panel = read(df, calendar=calendar)

    assert len(panel.values) == len(df) + 1


def test_a_row_on_a_holiday_is_refused():
    df = long(rows=30, freq="B", names=("A",), start="2024-01-02")

    with pytest.raises(
        FrequencyError, match=r"sessions of the calendar 'XNYS'. Got series 'A' at 2024-01-15"
    ):
        read(df, calendar="XNYS")


def test_a_calendar_without_its_package_names_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "exchange_calendars", None)

    with pytest.raises(
        tsrnn.exceptions.MissingDependencyError, match=r'pip install "tsrnn\[calendars\]"'
    ):
        read(long(freq="B"), calendar="XNYS")


@pytest.mark.parametrize("freq", ["MS", "ME", "W-MON", "QS-OCT", "QE-DEC", "YE-DEC", "B", "h", "D"])
def test_a_wrong_stated_frequency_is_refused_with_the_right_one(freq):
    stated = "W-SUN" if freq not in {"h", "D"} else "MS"

    with pytest.raises(FrequencyError, match=f"must follow freq='{stated}'.*They follow '{freq}'"):
        read(long(freq=freq), freq=stated)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "Int64", "int32[pyarrow]"])
@pytest.mark.parametrize("step", [1, 10])
def test_integer_times_keep_step_and_type(dtype, step):
    df = long(names=("A",), rows=9)
    df["ds"] = pd.Series(np.arange(9) * step + 5).astype(dtype)

    panel, kind = read_panel(df)
    back = kind.write(
        panel.ids,
        panel.axis.future(panel.last_times, 2),
        panel.axis,
        {"forecast": np.zeros((1, 2))},
    )

    assert back["ds"].tolist() == [9 * step + 5, 10 * step + 5]
    assert back["ds"].dtype == df["ds"].dtype


def test_negative_integer_times_are_times():
    df = long(names=("A",), rows=4).assign(ds=[-6, -4, -2, 0])

    assert read(df).axis.freq == "2"


TIMES = {
    "period": lambda t: t.dt.to_period("D"),
    "period objects": lambda t: t.dt.to_period("D").astype(object),
    "dates": lambda t: t.dt.date,
    "ISO text": lambda t: t.dt.strftime("%Y-%m-%d"),
    "ISO text with time": lambda t: t.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "seconds": lambda t: t.dt.as_unit("s"),
    "nanoseconds": lambda t: t.dt.as_unit("ns"),
    "zone": lambda t: t.dt.tz_localize("Europe/Paris"),
    "offset": lambda t: t.dt.tz_localize("+05:30"),
    "arrow": lambda t: t.astype("timestamp[ms][pyarrow]"),
    "arrow dates": lambda t: t.astype("date32[pyarrow]"),
    "Timestamps": lambda t: t.astype(object),
}


@pytest.mark.parametrize("convert", TIMES.values(), ids=TIMES.keys())
def test_times_of_every_type_are_read_and_written_alike(convert):
    times = pd.Series(pd.date_range("2024-02-20", periods=15, freq="D"))
    df = pd.DataFrame({"ds": convert(times), "y": np.arange(15.0)})

    panel, kind = read_panel(df.iloc[:10])
    back = kind.write(
        panel.ids,
        panel.axis.future(panel.last_times, 5),
        panel.axis,
        {"forecast": np.zeros((1, 5))},
    )

    assert panel.axis.freq == "D"
    assert back["ds"].tolist() == df["ds"].iloc[10:].tolist()
    native = df["ds"].dtype != object or type(df["ds"][0]) is dt.date
    assert back["ds"].dtype == df["ds"].dtype or not native


def test_nanosecond_steps_are_kept():
    df = pd.DataFrame(
        {"ds": pd.date_range("2024-01-01", periods=5, freq="3ns"), "y": np.arange(5.0)}
    )

    assert read(df).axis.freq == "3ns"


# ---- 28 and 32: many series, other columns -----------------------------------------------------


def test_thousands_of_series_of_any_length_all_come_through():
    lengths = np.random.default_rng(0).integers(2, 60, 3000)
    start = pd.Timestamp("2024-01-01")
    days = np.concatenate([np.arange(n) for n in lengths])
    names = np.repeat([f"s{i}" for i in range(3000)], lengths)
    df = pd.DataFrame(
        {"unique_id": names, "ds": start + pd.to_timedelta(days, unit="D"), "y": days * 1.0}
    )

    panel = read(df)

    np.testing.assert_array_equal(panel.lengths, lengths)


def test_extra_columns_are_ignored_even_if_empty():
    df = long()

    same(read(df.assign(note="x", empty=np.nan, when=pd.NaT)), read(df))


def test_a_renamed_column_is_named_with_the_nearest():
    df = long()
    panel, kind = read_panel(df)

    with pytest.raises(DataError, match=r"needs the column 'ds' \(time_col\).*Did you mean 'dss'"):
        read_panel(df.rename(columns={"ds": "dss"}), like=kind, axis=panel.axis)


def test_duplicated_columns_are_refused():
    df = pd.concat([long(), long()[["y"]]], axis=1)

    with pytest.raises(DataError, match=r"different names. Got \['y'\] more than once"):
        read(df)


def test_column_levels_are_refused_with_the_way_out():
    df = pd.DataFrame(
        np.ones((5, 2)),
        index=pd.date_range("2024", periods=5),
        columns=pd.MultiIndex.from_tuples([("Close", "A"), ("Close", "B")]),
    )

    with pytest.raises(DataError, match=r"Got 2 levels.*df\['Close'\]"):
        read(df)


@pytest.mark.parametrize("thing", [[1, 2, 3], np.arange(3.0), {"y": [1]}, "frame", None])
def test_what_is_no_frame_is_refused(thing):
    with pytest.raises(DataError, match=r"df must be a pandas DataFrame or Series"):
        read(thing)
