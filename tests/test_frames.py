"""Every kind of frame in, the same kind out; recognition of columns; the helper regularize."""

import contextlib
import json
import pickle
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tsrnn.exceptions import DataError, DataWarning, FrequencyError, TsrnnError
from tsrnn.frames import FrameFormat, read_panel, regularize
from tsrnn.frames.layout import _even_step

DAYS = pd.date_range("2024-01-01", periods=10, freq="D")


def long(names=("A", "B"), times=DAYS):
    rows = [
        pd.DataFrame({"unique_id": name, "ds": times, "y": np.arange(len(times)) + 100.0 * i})
        for i, name in enumerate(names)
    ]
    return pd.concat(rows, ignore_index=True)


def forecast(df, columns=("forecast",), steps=3, **options):
    """Read a frame and write 0, 1, 2, ... as forecasts of each series."""
    panel, kind = read_panel(df, **options)
    kind = FrameFormat.from_dict(json.loads(json.dumps(kind.to_dict())))
    values = np.arange(len(panel) * steps).reshape(len(panel), steps) * 1.0
    stamps = panel.axis.future(panel.last_times, steps)
    return panel, kind.write(panel.ids, stamps, panel.axis, dict.fromkeys(columns, values))


BANDS = ("forecast", "forecast-lo-80", "forecast-hi-80")
NEXT = pd.date_range("2024-01-11", periods=3, freq="D")


# ---- the table of kinds ------------------------------------------------------------------------


def test_long_frame_comes_back_long_with_its_names():
    df = long().rename(columns={"unique_id": "ticker", "ds": "Date", "y": "close"})

    panel, out = forecast(df, BANDS)

    assert list(out.columns) == ["ticker", "Date", *BANDS]
    assert out["ticker"].tolist() == ["A"] * 3 + ["B"] * 3
    assert out["Date"].tolist() == [*NEXT, *NEXT]
    assert (out.dtypes[["ticker", "Date"]] == df.dtypes[["ticker", "Date"]]).all()
    assert panel.values.tolist() == df["close"].tolist()


def test_long_frame_without_ids_comes_back_without_them():
    panel, out = forecast(long(("A",)).drop(columns="unique_id"))

    assert list(out.columns) == ["ds", "forecast"]
    assert len(panel) == 1


def test_long_frame_with_times_in_the_index_keeps_them_there():
    _, out = forecast(long().set_index("ds"))

    assert list(out.columns) == ["unique_id", "forecast"]
    assert out.index.name == "ds"
    assert out.index.tolist() == [*NEXT, *NEXT]


@pytest.mark.parametrize("order", [["unique_id", "ds"], ["ds", "unique_id"]])
def test_series_and_time_index_keeps_its_levels(order):
    df = long().set_index(order)

    panel, out = forecast(df, BANDS)

    assert list(out.columns) == list(BANDS)
    assert list(out.index.names) == order
    assert out.index.get_level_values("unique_id").tolist() == ["A"] * 3 + ["B"] * 3
    assert (
        out.index.get_level_values("unique_id").dtype
        == df.index.get_level_values("unique_id").dtype
    )
    assert out.index.get_level_values("ds").tolist() == [*NEXT, *NEXT]
    assert panel.values.tolist() == long()["y"].tolist()


def test_wide_frame_comes_back_wide():
    df = long().pivot(index="ds", columns="unique_id", values="y")

    panel, out = forecast(df)

    assert panel.values.tolist() == long()["y"].tolist()
    pd.testing.assert_index_equal(out.columns, df.columns)
    assert out.index.tolist() == list(NEXT)
    assert out.index.name == "ds"
    assert out["B"].tolist() == [3.0, 4.0, 5.0]


def test_wide_frame_with_levels_has_series_and_columns():
    df = long().pivot(index="ds", columns="unique_id", values="y")

    _, out = forecast(df, BANDS)

    assert out.columns.tolist() == [(name, band) for name in "AB" for band in BANDS]
    assert out[("B", "forecast-hi-80")].tolist() == [3.0, 4.0, 5.0]


def test_wide_frame_out_of_order_is_put_in_order():
    df = long().pivot(index="ds", columns="unique_id", values="y")

    panel, _ = read_panel(df.sample(frac=1, random_state=0))

    assert panel.values.tolist() == long()["y"].tolist()


def test_wide_integers_are_read():
    df = long().pivot(index="ds", columns="unique_id", values="y").astype(int)

    assert read_panel(df)[0].values.tolist() == long()["y"].tolist()


@pytest.mark.parametrize("name", ["level", None])
def test_series_comes_back_as_series_and_with_levels_as_frame(name):
    column = pd.Series(np.arange(10.0), index=DAYS, name=name)

    _, out = forecast(column)
    _, bands = forecast(column, BANDS)

    assert isinstance(out, pd.Series)
    assert out.name == name
    assert out.index.tolist() == list(NEXT)
    assert list(bands.columns) == list(BANDS)


def test_series_with_row_numbers_counts_steps():
    _, out = forecast(pd.Series(np.arange(10.0)))

    assert out.index.tolist() == [10, 11, 12]


def test_indexed_frame_of_one_column_keeps_its_time_index():
    _, out = forecast(pd.DataFrame({"load": np.arange(10.0)}, index=DAYS.rename("when")))

    assert list(out.columns) == ["forecast"]
    assert out.index.equals(NEXT)
    assert out.index.name == "when"


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Int32, pl.Enum(["2", "1", "x"])])
def test_polars_frame_comes_back_as_polars(zone, dtype):
    source = long(("1", "2"), DAYS.tz_localize(zone))
    df = pl.DataFrame({name: source[name].tolist() for name in source}).with_columns(
        pl.col("unique_id").cast(dtype)
    )
    df = df.with_columns(
        pl.Series("ds", source["ds"].dt.tz_localize(None).to_numpy()).dt.replace_time_zone(zone)
    )

    panel, out = forecast(df, BANDS)

    assert isinstance(out, pl.DataFrame)
    assert out.columns == ["unique_id", "ds", *BANDS]
    assert out.schema["unique_id"] == df.schema["unique_id"]
    assert out.schema["ds"] == df.schema["ds"]
    assert out["ds"][0] == NEXT.tz_localize(zone)[0]
    assert panel.values.tolist() == source["y"].tolist()


def test_polars_dates_and_missing_values_are_read():
    df = pl.DataFrame({"ds": pl.Series(DAYS.to_numpy()).cast(pl.Date), "y": [1, None, *range(8)]})

    with pytest.warns(DataWarning, match="1 missing values"):
        panel, out = forecast(df)

    assert out.schema["ds"] == pl.Date
    assert np.isnan(panel.values[1])


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_arrow_table_comes_back_as_arrow(zone):
    df = pa.Table.from_pandas(long(times=DAYS), preserve_index=False)
    utc = DAYS.tz_localize(zone).tz_convert("UTC").tz_localize(None) if zone else DAYS
    stamps = pa.array(np.tile(utc.to_numpy(), 2)).cast(pa.timestamp("us", tz=zone))
    df = df.set_column(1, "ds", stamps)

    panel, out = forecast(df, BANDS)

    assert isinstance(out, pa.Table)
    assert out.column_names == ["unique_id", "ds", *BANDS]
    assert out.schema.field("ds").type == df.schema.field("ds").type
    assert out.schema.field("unique_id").type == df.schema.field("unique_id").type
    assert out.column("ds")[0].as_py() == NEXT.tz_localize(zone)[0].to_pydatetime()
    assert panel.values.tolist() == long()["y"].tolist()


def test_format_survives_pickle():
    kind = read_panel(long())[1]

    assert pickle.loads(pickle.dumps(kind)) == kind


# ---- recognition -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("unique_id", "ds", "y"),
        ("item_id", "timestamp", "target"),
        ("symbol", "Date", "close"),
        ("sensor", "time", "value"),
    ],
)
def test_usual_names_are_recognised(names):
    df = long().set_axis(list(names), axis=1)

    _, kind = read_panel(df.assign(other=1.0, volume=2))

    assert (kind.id_name, kind.time_name, kind.target_name) == names


def test_only_candidates_are_recognised():
    df = long().set_axis(["shop", "when", "units sold"], axis=1)

    _, kind = read_panel(df)

    assert (kind.id_name, kind.time_name, kind.target_name) == ("shop", "when", "units sold")


def test_text_beside_a_single_series_names_no_series():
    df = long(("A",)).assign(unique_id=["sun", "rain"] * 5).rename(columns={"unique_id": "weather"})

    assert read_panel(df)[1].single


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": 1.0, "close": 2.0, "y": None}, "target: \\['value', 'close'\\].*target_col="),
        ({"a": 1.0, "b": 2.0, "y": None}, "target: \\['a', 'b'\\].*target_col="),
        (
            {"ticker": "x", "symbol": "y", "unique_id": None},
            "id: \\['ticker', 'symbol'\\].*id_col=",
        ),
        (
            {"shop": "x", "city": "z", "unique_id": None},
            "Candidates: \\['shop', 'city'\\].*id_col=",
        ),
        (
            {"start": DAYS[0], "end": DAYS[0], "ds": None},
            "hold times: \\['start', 'end'\\].*time_col=",
        ),
        ({"ds": None}, "needs a time column"),
        ({"y": None}, "needs a numeric target column"),
    ],
)
def test_an_ambiguity_lists_the_candidates(change, words):
    df = long()
    for name, value in change.items():
        df = df.drop(columns=name) if value is None else df.assign(**{name: value})

    with pytest.raises(DataError, match=words):
        read_panel(df)


@pytest.mark.parametrize("parameter", ["id_col", "time_col", "target_col", "weight_col"])
def test_a_named_column_must_be_there(parameter):
    with pytest.raises(DataError, match=f"needs the column 'unique_idd' \\({parameter}\\)"):
        read_panel(long(), **{parameter: "unique_idd"})


def test_mixed_indexed_frame_lists_its_candidates():
    df = pd.DataFrame(
        {name: np.arange(10.0) for name in ("Open", "High", "Low", "Close")}, index=DAYS
    )

    with pytest.raises(DataError, match=r"Give target_col= \(candidates: \['Open', 'High'"):
        read_panel(df.assign(Volume=5))
    assert read_panel(df, target_col="Close")[1].target_name == "Close"


def test_columns_with_text_are_no_wide_frame():
    df = pd.DataFrame(
        {"a": np.arange(10.0), "b": np.arange(10.0), "note": list("abcdefghij")}, index=DAYS
    )

    with pytest.raises(
        DataError, match=r"'note' is str.*candidates: \['a', 'b'\]|'note' is object"
    ):
        read_panel(df)


def test_ids_of_three_levels_are_refused():
    df = long().assign(city="x").set_index(["city", "unique_id", "ds"])

    with pytest.raises(DataError, match=r"two levels series and time. Got 3"):
        read_panel(df)


def test_weights_follow_the_rows():
    df = long().assign(w=np.arange(20.0)).sample(frac=1, random_state=0)

    panel, _ = read_panel(df, weight_col="w", target_col="y")

    assert sorted(zip(panel.values, panel.weights, strict=True)) == sorted(
        zip(df["y"], df["w"], strict=True)
    )


def test_added_steps_weigh_nothing():
    df = long().assign(w=1.0).drop(3)

    with pytest.warns(DataWarning):
        panel, _ = read_panel(df, weight_col="w", target_col="y")

    assert panel.weights[3] == 0


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_negative_and_missing_weights_are_refused(weight):
    df = long().assign(w=1.0)
    df.loc[12, "w"] = weight

    with pytest.raises(DataError, match=r"finite and not negative.*series 'B' at 2024-01-03"):
        read_panel(df, weight_col="w", target_col="y")


# ---- what fit learned --------------------------------------------------------------------------


def test_one_row_of_a_new_series_is_a_history():
    panel, kind = read_panel(long())

    new, _ = read_panel(long(("C",), DAYS[:1]), like=kind, axis=panel.axis)

    assert new.ids.tolist() == ["C"]
    assert new.axis is panel.axis


def test_times_in_another_unit_are_brought_to_the_fitted_one():
    panel, kind = read_panel(long())

    new, _ = read_panel(long(times=DAYS.as_unit("s")), like=kind, axis=panel.axis)

    np.testing.assert_array_equal(new.times, panel.times)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (
            pd.date_range("2024-01-01", periods=10, freq="h"),
            "follow the fitted frequency 'D'.*They follow 'h'",
        ),
        (
            pd.date_range("2024-01-01", periods=10, freq="W-MON"),
            "fitted frequency 'D'. Got 'W-MON' for series 'A'",
        ),
        (DAYS.tz_localize("UTC"), "datetimes without a time zone. Got datetimes in the zone UTC"),
        (np.arange(10), "datetimes without a time zone. Got integers"),
    ],
)
def test_a_history_with_other_times_names_both(times, words):
    panel, kind = read_panel(long())

    with pytest.raises(DataError, match=words):
        read_panel(long(times=times), like=kind, axis=panel.axis)


def test_a_history_of_another_kind_is_refused():
    panel, kind = read_panel(long())
    wide = long().pivot(index="ds", columns="unique_id", values="y")

    with pytest.raises(
        DataError, match=r"needs the column 'unique_id'|of the kind that was fitted"
    ):
        read_panel(wide, like=kind, axis=panel.axis)


def test_a_series_history_follows_a_series():
    column = pd.Series(np.arange(10.0), index=DAYS)
    panel, kind = read_panel(column)

    assert read_panel(column[:1], like=kind, axis=panel.axis)[0].values.tolist() == [0.0]
    with pytest.raises(DataError, match=r"a pandas Series with a time index. Got a"):
        read_panel(long(), like=kind, axis=panel.axis)


def test_a_history_with_new_holidays_is_not_padded():
    days = pd.bdate_range("2024-01-01", periods=40)
    with pytest.warns(DataWarning):
        panel, kind = read_panel(long(times=days.delete(14)))

    new, _ = read_panel(long(times=days.delete(20)), like=kind, axis=panel.axis)

    assert new.lengths.tolist() == [39, 39]


# ---- no copy, no change, no weight -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_in_order_are_a_read_only_view(dtype):
    df = long().astype({"y": dtype})

    panel, _ = read_panel(df)

    assert np.shares_memory(panel.values, df["y"].to_numpy())
    assert panel.values.dtype == dtype
    assert not panel.values.flags.writeable


def test_wide_values_of_one_block_are_a_view():
    df = pd.DataFrame(np.arange(20.0).reshape(2, 10).T, index=DAYS, columns=["A", "B"])

    assert np.shares_memory(read_panel(df)[0].values, df.to_numpy())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_callers_frame_is_unchanged(seed):
    df = long().sample(frac=1, random_state=seed)
    before = df.copy()

    read_panel(df)

    pd.testing.assert_frame_equal(df, before)


def test_importing_the_gate_loads_no_network_library():
    code = "import sys, tsrnn.frames; print([m for m in ('torch', 'mlflow', 'pytorch_lightning', 'polars') if m in sys.modules])"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


@pytest.mark.speed
def test_a_million_rows_cost_a_few_times_factorize_and_copy():
    names = np.repeat([f"series_{i:04d}" for i in range(1000)], 1000)
    times = np.tile(pd.date_range("2024-01-01", periods=1000, freq="h").to_numpy(), 1000)
    df = pd.DataFrame({"unique_id": names, "ds": times, "y": np.arange(1e6)})

    def seconds(work):
        return min(_timed(work) for _ in range(3))

    plain = seconds(
        lambda: (
            pd.factorize(df["unique_id"]),
            df["y"].to_numpy().copy(),
            df["ds"].to_numpy().copy(),
        )
    )

    assert seconds(lambda: read_panel(df)) < 12 * plain + 0.1


def test_a_million_rows_pass_without_a_second_copy():
    names = pd.Categorical.from_codes(
        np.repeat(np.arange(1000), 1000), [f"s{i}" for i in range(1000)]
    )
    times = np.tile(pd.date_range("2024-01-01", periods=1000, freq="D").to_numpy(), 1000)
    df = pd.DataFrame({"unique_id": names, "ds": times, "y": np.arange(1e6)})

    tracemalloc.start()
    panel, _ = read_panel(df)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert np.shares_memory(panel.times, df["ds"].to_numpy())
    assert peak < 40e6  # the values alone are 8 MB; what is computed on the way goes block by block


def test_weekday_data_on_a_daily_model_names_both():
    panel, kind = read_panel(long(times=pd.date_range("2024-01-01", periods=30)))

    with pytest.raises(FrequencyError, match=r"fitted frequency 'D'. Got 'B' for series 'A'"):
        read_panel(long(times=pd.bdate_range("2024-01-01", periods=30)), like=kind, axis=panel.axis)


def test_the_one_series_without_a_frequency_is_named_beside_those_that_have_one():
    """A fiscal year that once moved to another month, as in FRED's series of the federal deficit."""
    years = pd.date_range("1990-01-01", periods=30, freq="YS")
    fiscal = [*pd.date_range("1989-06-30", periods=12, freq="YE-JUN"), pd.Timestamp("2001-09-30")]
    df = pd.concat([long("A", times=years), long("B", times=fiscal), long("C", times=years)])

    with pytest.raises(FrequencyError) as caught:
        read_panel(df)

    assert "Got series 'B' at 1989-06-30" in str(caught.value)
    assert "usual step is 'YS-JAN' (that of series 'A'; candidates" in str(caught.value)


def test_daily_data_on_a_weekday_model_is_refused():
    panel, kind = read_panel(long(times=pd.bdate_range("2024-01-01", periods=30)))

    with pytest.raises(
        FrequencyError, match=r"fitted frequency 'B'. Got series 'A' at 2024-01-06.*They follow 'D'"
    ):
        read_panel(long(times=pd.date_range("2024-01-01", periods=30)), like=kind, axis=panel.axis)


def test_a_stated_frequency_still_holds_at_predict():
    df = long(times=pd.date_range("2024-01-01", periods=30, freq="3h"))
    with pytest.warns(DataWarning, match="116 steps have no row"):
        panel, kind = read_panel(df, freq="h")

    with pytest.warns(DataWarning):
        again, _ = read_panel(df, freq="h", like=kind, axis=panel.axis)

    np.testing.assert_array_equal(again.values, panel.values)


def _timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# ---- regularize --------------------------------------------------------------------------------


def test_regularize_averages_the_rows_of_each_step():
    times = pd.to_datetime(["2024-01-01 00:02", "2024-01-01 00:58", "2024-01-01 02:01"])

    out = regularize(pd.Series([1.0, 3.0, 5.0], index=times, name="x"), "h")

    expected = pd.Series(
        [2.0, np.nan, 5.0], index=pd.date_range("2024-01-01", periods=3, freq="h"), name="x"
    )
    pd.testing.assert_series_equal(out, expected, check_freq=False, check_index_type=False)


@pytest.mark.parametrize("how", ["mean", "median", "first", "last", "min", "max", "sum"])
@pytest.mark.parametrize("freq", ["5min", "h", "D", "ME", "MS", "QE-DEC"])
def test_regularize_agrees_with_resample(freq, how):
    rng = np.random.default_rng(0)
    span = {"5min": 3e3, "h": 4e4, "D": 6e5}.get(freq, 2e7)
    seconds = np.sort(rng.integers(0, int(span), 60))
    column = pd.Series(
        rng.normal(size=60), index=pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")
    )

    out = regularize(column, freq, how=how)

    resampled = column.resample(freq)
    expected = resampled.sum(min_count=1) if how == "sum" else resampled.agg(how)
    np.testing.assert_allclose(out, expected)
    assert (out.index == expected.index).all()


def test_regularized_frames_pass_the_gate():
    df = long(times=DAYS + pd.to_timedelta(np.arange(10) * 7 % 50, unit="min")).assign(note="x")
    with pytest.raises(FrequencyError, match="regularize"):
        read_panel(df)

    out = regularize(df, "D")

    assert list(out.columns) == ["unique_id", "ds", "y"]
    assert read_panel(out)[0].values.tolist() == long()["y"].tolist()


def test_regularize_keeps_the_hours_of_a_time_zone():
    times = pd.to_datetime(["2024-01-01 00:10", "2024-01-01 01:20"]).tz_localize("Asia/Kolkata")

    out = regularize(pd.Series([1.0, 2.0], index=times), "h")

    assert (
        out.index.tolist()
        == pd.date_range("2024-01-01", periods=2, freq="h", tz="Asia/Kolkata").tolist()
    )


def test_regularize_counts_integer_steps():
    out = regularize(pd.DataFrame({"t": [1, 4, 7, 22], "y": [1, 2, 3, 4]}), 5, time_col="t")

    assert out["t"].tolist() == [0, 5, 10, 15, 20]
    np.testing.assert_array_equal(out["y"], [1.5, 3, np.nan, np.nan, 4])


def test_regularize_refuses_a_grid_without_end():
    with pytest.raises(FrequencyError, match="at most 100 steps per row"):
        regularize(pd.Series([1.0, 2.0], index=pd.to_datetime(["1924-01-01", "2024-01-01"])), "s")


# ---- any defect is an error of ours, or a sound panel ------------------------------------------

DEFECTS = {
    "nan": lambda df, rows: df.assign(y=df["y"].where(~rows)),
    "inf": lambda df, rows: df.assign(y=df["y"].mask(rows, np.inf)),
    "drop": lambda df, rows: df[~rows],
    "repeat": lambda df, rows: pd.concat([df, df[rows]]),
    "shuffle": lambda df, rows: df.sample(frac=1, random_state=int(rows.sum())),
    "no time": lambda df, rows: df.assign(ds=df["ds"].mask(rows)),
    "jitter": lambda df, rows: df.assign(ds=df["ds"] + pd.to_timedelta(rows * 13, unit="min")),
    "far": lambda df, rows: df.assign(ds=df["ds"] + pd.to_timedelta(rows * 4000, unit="D")),
    "no id": lambda df, rows: df.assign(unique_id=df["unique_id"].mask(rows)),
    "text": lambda df, rows: df.assign(y=df["y"].astype(object).mask(rows, "n/a")),
    "one id": lambda df, rows: df.assign(unique_id="A"),
    "float32": lambda df, rows: df.assign(
        y=df["y"].astype("float32") if df["y"].dtype != object else df["y"]
    ),
    "category": lambda df, rows: df.assign(unique_id=df["unique_id"].astype("category")),
    "zone": lambda df, rows: df.assign(
        ds=pd.to_datetime(df["ds"]).dt.tz_localize("UTC") if df["ds"].dt.tz is None else df["ds"]
    ),
    "empty": lambda df, rows: df.iloc[:0],
    "columns": lambda df, rows: df.drop(columns="y"),
    "index": lambda df, rows: df.set_index("ds") if "ds" in df else df,
    "twice": lambda df, rows: pd.concat([df, df[["y"]]], axis=1),
}


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    freq=st.sampled_from(["h", "D", "B", "W-SUN", "MS", "QE-DEC", "7min"]),
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    defects=st.lists(
        st.tuples(st.sampled_from(sorted(DEFECTS)), st.sets(st.integers(0, 60), max_size=4)),
        max_size=3,
    ),
)
@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning")
def test_random_defects_give_our_error_or_a_sound_panel(freq, lengths, defects):
    df = pd.concat(
        [
            long((name,), pd.date_range("2024-01-01", periods=n, freq=freq))
            for name, n in zip("ABCD", lengths, strict=False)
        ]
    )
    for name, rows in defects:
        hit = np.isin(np.arange(len(df)), sorted(rows))
        if {"unique_id", "ds", "y"} <= set(df.columns) and df.columns.is_unique:
            df = DEFECTS[name](df, hit)

    try:
        panel, kind = read_panel(df)
    except TsrnnError:
        return

    steps = np.diff(panel.axis.position(panel.times))
    inside = np.ones(len(steps), dtype=bool)
    inside[panel.indptr[1:-1] - 1] = False
    assert panel.indptr[0] == 0
    assert panel.indptr[-1] == len(panel.values) == len(panel.times)
    assert (panel.lengths > 0).all()
    assert panel.ids.is_unique
    assert not np.isinf(panel.values).any()
    assert (steps[inside] == panel.axis.step).all() or panel.axis.observed
    assert (np.diff(panel.times)[inside] > 0).all()
    future = panel.axis.future(panel.last_times, 3)
    assert (future > panel.last_times[:, None]).all()
    assert len(kind.write(panel.ids, future, panel.axis, {"forecast": np.zeros(future.shape)})) > 0
    given_values = pd.to_numeric(df["y"]).to_numpy() if "y" in df else np.array([])
    np.testing.assert_allclose(np.nansum(panel.values), np.nansum(given_values))


# ---- evenly spaced rows take a shorter way -------------------------------------------------------


@pytest.mark.parametrize("freq", ["D", "7D", "h", "90min", "W-WED", "B", "MS", "3h"])
@pytest.mark.parametrize("tz", [None, "Europe/Paris"])
@pytest.mark.parametrize("lengths", [(9, 5, 1), (40, 3)])
@pytest.mark.parametrize("hole", [False, True])
def test_the_shorter_way_of_even_rows_finds_the_same(monkeypatch, freq, tz, lengths, hole):
    starts = ["2024-03-27", "2024-03-06", "2024-04-03"]
    some = [
        pd.DataFrame(
            {"unique_id": i, "ds": pd.date_range(s, periods=n, freq=freq, tz=tz), "y": 1.0}
        )
        for i, (s, n) in enumerate(zip(starts, lengths, strict=False))
    ]
    df = pd.concat(some, ignore_index=True)
    df = df.drop(index=3) if hole else df

    def read():
        try:
            with pytest.warns(DataWarning) if hole else contextlib.nullcontext():
                panel, _ = read_panel(df)
        except TsrnnError as error:
            return str(error)
        return panel.axis, panel.times.tolist(), panel.indptr.tolist()

    shorter = read()
    monkeypatch.setattr("tsrnn.frames.layout._even_step", lambda times, indptr: None)

    assert shorter == read()


def test_evenness_is_seen_across_blocks_and_series(monkeypatch):
    monkeypatch.setattr("tsrnn.frames.layout.BLOCK", 4)
    times, indptr = np.r_[0:30:3, 1:22:3, 5], np.array([0, 10, 17, 18])

    assert _even_step(times, indptr) == 3
    for row in (*range(1, 9), *range(11, 16)):
        moved = times.copy()
        moved[row] += 1
        assert _even_step(moved, indptr) is None
    assert _even_step(np.array([4, 9]), np.array([0, 1, 2])) is None


# ---- what looks like something else ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "freq", "what"), [("%Y%m%d", "D", "a day"), ("%Y%m", "MS", "a month")]
)
def test_dates_written_as_numbers_are_refused(form, freq, what):
    """Counted in steps of one, 20240132 and 202313 would follow."""
    ds = pd.date_range("2023-12-01", periods=20, freq=freq).strftime(form).astype(int)
    df = pd.DataFrame({"ds": ds, "y": np.arange(20.0)})

    with pytest.raises(
        DataError, match=rf"reads as {what}.*format='{form}'\); where they do count"
    ):
        read_panel(df)


@pytest.mark.parametrize("first", [20_240_125, 202_001, 1999, 12, 20_249_101])
def test_integers_that_are_no_dates_count_steps(first):
    df = pd.DataFrame({"ds": np.arange(first, first + 12), "y": np.arange(12.0)})

    panel, _ = read_panel(df)

    assert panel.axis.kind == "integer"


def test_iso_text_with_a_zone_is_refused_with_a_way_out_that_works():
    ds = pd.Series(["2024-03-30T23:00:00+01:00", "2024-03-31T23:00:00+02:00"] * 1)
    df = pd.DataFrame({"ds": ds, "y": [1.0, 2.0]})

    with pytest.raises(DataError, match=r"pd.to_datetime\(..., utc=True\)"):
        read_panel(df)

    read_panel(df.assign(ds=pd.to_datetime(ds, utc=True)))


def test_a_single_saturday_makes_no_six_day_week():
    days = pd.bdate_range("2022-01-03", periods=60).union(pd.DatetimeIndex(["2022-02-12"]))
    df = pd.DataFrame({"ds": days, "y": np.arange(61.0)})

    with pytest.warns(DataWarning, match="1 rows lie outside the week of the others.*2022-02-12"):
        panel, _ = read_panel(df)

    assert panel.axis.freq == "B"
    assert panel.axis.weekmask == "1111100"


def test_an_error_about_thousands_of_columns_names_a_few():
    wide = pd.DataFrame(np.ones((9, 3000)), columns=[f"c{i}" for i in range(3000)])

    with pytest.raises(
        DataError, match=r"'c11', \.\.\. \(3000 in all\)\]\..*df\.set_index"
    ) as caught:
        read_panel(wide.assign(ds=pd.date_range("2024-01-01", periods=9)))

    assert len(str(caught.value)) < 400
