"""A pipeline: strict spec, whole files, a table that says what the backtest says, comparable runs."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines import files, report, steps
from tsrnn.pipelines.run import check_pipeline
from tsrnn.pipelines.spec import DataSpec, read_spec
from tsrnn.pipelines.ui import server_command

from tsrnn.exceptions import DataError, SpecError

SHIPPED = sorted((Path(__file__).parent.parent / "pipelines").glob("*.yaml"))

TINY = """
name: tiny
data: {path: sales.csv, id_col: shop, time_col: day, target_col: sold, unit: pieces}
model: {horizon: 4, max_steps: 6, hidden_size: 4, context_length: 16}
backtest: {n_windows: 2}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty project folder, which is the current one and has a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    days = pd.date_range("2024-01-01", periods=90)
    wave = 20 + 5 * np.sin(2 * np.pi * np.arange(90) / 7)
    sales = [
        pd.DataFrame({"shop": name, "day": days, "sold": wave * k})
        for k, name in ((1, "007"), (3, "011"))
    ]
    pd.concat(sales).to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


# ---- the spec ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_specs_are_read(path):
    spec = read_spec(path)

    assert spec.name == path.stem
    assert spec.folder == Path("runs", path.stem)
    assert spec.experiment_name == path.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {loader: co2}", "A spec needs the key 'name'"),
        ("name: a", "A spec needs the key 'data'"),
        ("name: a\ndata: {}", "either 'loader' .* or 'path'"),
        ("name: a\ndata: {loader: co2, path: b.csv}", "either 'loader' .* or 'path'"),
        ("name: a\ndata: {path: b.xlsx}", r"must end in \.csv or \.parquet. Got 'b\.xlsx'"),
        ("name: a\ndata: co2", "'data' must be a mapping of keys to values. Got 'co2'"),
        ("name: a\ndata: {lodaer: co2}", "Unknown key 'data.lodaer'. Did you mean 'loader'"),
        ("nmae: a\ndata: {loader: co2}", "Unknown key 'nmae'. Did you mean 'name'"),
        ("name: ../a\ndata: {loader: co2}", "name must be letters"),
        ("name: 7\ndata: {loader: co2}", "'name' must be text. Got 7"),
        ("name: a\ndata: {loader: co2}\nmodel: {freq: D}", "'freq' belongs under 'data'"),
        (
            "name: a\ndata: {loader: co2}\nbacktest: {n_windows: true}",
            "must be an integer. Got True",
        ),
        ("name: a\ndata: {loader: co2}\nbacktest: {refit: -1}", "an integer of at least 1. Got -1"),
        (
            "name: a\ndata: {loader: co2}\nforecast: {level: 80}",
            r"'forecast.level' must be a list .* Got 80",
        ),
        (
            "name: a\ndata: {loader: co2}\nforecast: {level: [100]}",
            r"must be a number in \(0, 100\)",
        ),
        ("name: a\ndata: {loader: co2}\noutput: {format: xlsx}", "one of 'csv', 'parquet'"),
        ("name: a\nname: b\ndata: {loader: co2}", "the key 'name' is given twice"),
        ("name: [a", "is no YAML"),
        ("name: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("- a", "A spec must be a mapping"),
        ("", "A spec must be a mapping"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_way_out(text, message, tmp_path):
    (tmp_path / "spec.yaml").write_text(text)

    with pytest.raises(SpecError, match=message):
        read_spec(tmp_path / "spec.yaml")


def test_set_changes_one_value_and_keeps_the_rest(place):
    spec = read_spec(
        "tiny.yaml", ["model.max_steps=9", "output.format=parquet", "data.start=2024-02-01"]
    )

    assert spec.model == {"horizon": 4, "max_steps": 9, "hidden_size": 4, "context_length": 16}
    assert spec.output.format == "parquet"
    assert spec.data.start == "2024-02-01"


@pytest.mark.parametrize("change", ["model.max_steps", "=3", "model..cell=gru", "name=[a"])
def test_a_change_that_is_no_key_and_value_is_refused(change, place):
    with pytest.raises(SpecError, match="--set"):
        read_spec("tiny.yaml", [change])


def test_unknown_model_parameter_and_data_set_name_the_nearest(place):
    with pytest.raises(SpecError, match=r"no parameter 'model.max_step'. Did you mean 'max_steps'"):
        check_pipeline(read_spec("tiny.yaml", ["model.max_step=3"]))
    with pytest.raises(
        SpecError, match=r"There is no data set 'us_market'. Did you mean 'us_markets'"
    ):
        steps.load(DataSpec(loader="us_market"))


# ---- loading -------------------------------------------------------------------------------------


def test_ids_that_look_like_numbers_stay_text_and_times_become_dates(place):
    frame = steps.load(read_spec("tiny.yaml").data)

    assert list(frame["shop"].unique()) == ["007", "011"]
    assert pd.api.types.is_datetime64_dtype(frame["day"])


def test_as_of_keeps_the_rows_up_to_the_end_of_that_day():
    times = pd.date_range("2024-01-01", periods=100, freq="6h")
    frame = pd.DataFrame({"time": times, "y": 1.0})

    kept = steps._keep_times(frame, DataSpec(loader="sine"), start="2024-01-03", stop="2024-01-05")

    assert kept["time"].min() == pd.Timestamp("2024-01-03")
    assert kept["time"].max() == pd.Timestamp("2024-01-05 18:00")


def test_as_of_follows_the_zone_of_the_data():
    times = pd.date_range("2024-01-01", periods=96, freq="h", tz="Asia/Tokyo")

    kept = steps._keep_times(
        pd.DataFrame({"time": times, "y": 1.0}),
        DataSpec(loader="sine"),
        start=None,
        stop="2024-01-02",
    )

    assert kept["time"].max() == pd.Timestamp("2024-01-02 23:00", tz="Asia/Tokyo")


def test_as_of_of_integer_times_is_an_integer():
    frame = pd.DataFrame({"t": range(10), "y": 1.0})

    kept = steps._keep_times(frame, DataSpec(loader="sine", time_col="t"), start=None, stop="4")

    assert kept["t"].max() == 4


@pytest.mark.parametrize(
    ("change", "as_of", "error", "message"),
    [
        ("data.path=none.csv", None, DataError, "Can't read data.path 'none.csv': No such file"),
        ("data.start=2030-01-01", None, DataError, "No rows are left"),
        ("data.series=['012']", None, DataError, "Series '012' .* Did you mean"),
        ("data.time_col=date", "2024-01-31", DataError, "no time column 'date'"),
        ("name=x", "soon", SpecError, "--as-of must be a time such as .* Got 'soon'"),
        ("data={path: tiny.yaml.csv}", None, DataError, "is no readable table"),
    ],
)
def test_unusable_data_are_refused_with_the_way_out(change, as_of, error, message, place):
    (place / "tiny.yaml.csv").write_bytes(b"")

    with pytest.raises(error, match=message):
        steps.load(read_spec("tiny.yaml", [change]).data, as_of=as_of)


def test_times_that_are_no_iso_dates_are_refused(place):
    (place / "sales.csv").write_text("shop,day,sold\n1,03/04/2024,5\n")

    with pytest.raises(DataError, match=r"time column 'day' .* must hold ISO dates"):
        steps.load(read_spec("tiny.yaml").data)


# ---- files and report ----------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    files.write_text(tmp_path / "a.txt", "old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(tmp_path / "a.txt", "new")

    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_comes_back_digit_for_digit(suffix, tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "forecast": [1 / 3, math.pi * 1e6]})

    path = files.write_table(tmp_path / f"new/table.{suffix}", frame)

    back = pd.read_csv(path, dtype=str) if suffix == "csv" else pd.read_parquet(path)
    assert back["forecast"].map(float).tolist() == [1 / 3, math.pi * 1e6]


def test_scores_are_printed_best_first_with_the_model_marked():
    scores = pd.DataFrame(
        {
            "mase": [1.01, 0.98, 1.2],
            "rmse": [12345.6, 12001.2, np.nan],
            "coverage_80": [np.nan, 0.79, np.nan],
        },
        index=["naive", "model", "drift"],
    )

    lines = report.backtest_table(SimpleNamespace(scores=scores)).splitlines()

    assert lines[0].split() == ["MASE", "RMSE", "in", "80", "%"]
    assert lines[1].split() == ["▸", "model", "0.980", "12,001", "79.0%"]
    assert lines[2].split() == ["naive", "1.010", "12,346"]
    assert lines[3].split() == ["drift", "1.200", "-"]


def test_the_server_is_told_the_store_and_where_to_listen():
    command = server_command("sqlite:///a/mlruns/mlflow.db", host="127.0.0.1", port=5001)

    assert command[2:6] == [
        "mlflow",
        "server",
        "--backend-store-uri",
        "sqlite:///a/mlruns/mlflow.db",
    ]
    assert command[6:] == ["--host", "127.0.0.1", "--port", "5001", "--workers", "1"]
