"""A pipeline: strict spec, whole files, a table that says what the backtest says, comparable runs."""

import io
import math
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tsrnn.pipelines import files, load, report, steps
from tsrnn.pipelines.run import check_pipeline, run_pipeline
from tsrnn.pipelines.sections import DataSpec
from tsrnn.pipelines.spec import read_spec
from tsrnn.pipelines.ui import experiment_page, server_command

import tsrnn
import tsrnn.tracking
from tsrnn.cli import main
from tsrnn.exceptions import DataError, ParameterError, SpecError
from tsrnn.tracking.store import create_store

SHIPPED = sorted((Path(__file__).parent.parent / "pipelines").glob("*.yaml"))

TINY = """
name: tiny
data: {path: sales.csv, id_col: shop, time_col: day, target_col: sold, unit: pieces}
model: {horizon: 4, max_steps: 6, hidden_size: 4, context_length: 16}
backtest: {n_windows: 2}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a project folder with data and spec, which is the current one and has its own store."""
    return furnish(tmp_path, monkeypatch)


def furnish(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TSRNN_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    days = pd.date_range("2024-01-01", periods=90)
    noise = np.random.default_rng(0).normal(size=90)
    wave = 20 + 5 * np.sin(2 * np.pi * np.arange(90) / 7) + noise
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


def test_the_spec_of_the_page_is_read_with_all_that_it_says_beside(tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "pipelines.md").read_text(encoding="utf-8")
    block = page.partition("## The spec")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "page.yaml").write_text(block)
    due = block.replace("when: always", "when: due").replace("# every", "  every")
    (tmp_path / "due.yaml").write_text(due.replace("# beat", "  beat").replace("# unit", "  unit"))

    spec = read_spec(tmp_path / "page.yaml")

    assert (spec.gate.margin, spec.schedule.cron) == (1, "30 6 * * mon-fri")
    assert read_spec(tmp_path / "due.yaml").fit.every == 20
    assert read_spec(tmp_path / "due.yaml").gate.beat == "naive"


def test_the_schedule_is_no_part_of_what_a_result_depends_on(place):
    spec = read_spec("tiny.yaml")

    assert spec.schedule is None
    assert read_spec("tiny.yaml", ["schedule.cron=0 6 * * *"]).digest == spec.digest
    assert read_spec("tiny.yaml", ["gate.margin=2"]).digest != spec.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {loader: co2}", "A spec needs the key 'name'"),
        (
            "name: a\ndata: {loader: co2}\nschedule: {crn: 1}",
            "Unknown key 'schedule.crn'. Did you mean 'cron'",
        ),
        ("name: a\ndata: {loader: co2}\nschedule: {}", "'schedule' needs the key 'cron'"),
        ("name: a\ndata: {loader: co2}\ngate: {beat: naiv}", "Did you mean 'naive'"),
        ("name: a\ndata: {loader: co2}\nfit: {every: 3}", "goes with 'when: due'"),
        ("name: a\ndata: {query: SELECT 1}", "data.query and data.url belong together"),
        ("name: a\ndata: {loader: co2}\noutput: {table: b}", "table and output.url belong"),
        ("name: a\ndata: {path: []}", "must name at least one file"),
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
        ("[a, b]: 1", "is no YAML"),
        ("1: a", "Unknown key .1."),
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
        load.load(DataSpec(loader="us_market"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.cell=gro", "'cell' parameter must be one of .* Did you mean 'gru'"),
        ("model.output=point", "need a predictive distribution"),
        ("forecast.level=[99]", "must lie within the trained quantiles"),
    ],
)
def test_a_model_that_can_not_be_trained_is_refused_before_the_data_are_read(
    change, message, place
):
    with pytest.raises(ParameterError, match=message):
        check_pipeline(read_spec("tiny.yaml", [change, "data.path=none.csv"]))


# ---- loading -------------------------------------------------------------------------------------


def test_ids_that_look_like_numbers_stay_text_and_times_become_dates(place):
    frame = load.load(read_spec("tiny.yaml").data)

    assert list(frame["shop"].unique()) == ["007", "011"]
    assert pd.api.types.is_datetime64_dtype(frame["day"])


def test_an_id_called_na_is_an_id(place):
    rows = pd.read_csv("sales.csv", dtype=str).replace({"shop": {"007": "NA"}})
    rows.to_csv("sales.csv", index=False)

    assert list(load.load(read_spec("tiny.yaml").data)["shop"].unique()) == ["NA", "011"]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_without_commas_is_refused_by_its_header(mark, place):
    pd.read_csv("sales.csv").to_csv("sales.csv", index=False, sep=mark, decimal=",")

    with pytest.raises(DataError, match=r"must have commas between its columns.*Got the header"):
        load.load(read_spec("tiny.yaml").data)


def test_a_mark_in_a_name_beside_commas_is_part_of_the_name(place):
    pd.read_csv("sales.csv", dtype=str).assign(**{"load|north": "1"}).to_csv(
        "sales.csv", index=False
    )

    assert "load|north" in load.load(read_spec("tiny.yaml").data).columns


def test_a_backtest_that_the_rows_can_not_hold_is_refused_before_it_runs(place):
    with pytest.raises(DataError, match=r"n_windows=500 .* needs a series of at least"):
        check_pipeline(read_spec("tiny.yaml", ["backtest.n_windows=500"]))


def test_a_parquet_file_with_the_times_in_its_index_is_read(tmp_path):
    frame = pd.DataFrame(
        {"level": [1.0, 2.0]}, index=pd.date_range("2024-01-01", periods=2, name="day")
    )
    frame.to_parquet(tmp_path / "river.parquet")

    read = load.load(DataSpec(path=str(tmp_path / "river.parquet")))

    assert list(read.columns) == ["day", "level"]
    assert read["day"].tolist() == frame.index.tolist()


def test_as_of_keeps_the_rows_up_to_the_end_of_that_day():
    times = pd.date_range("2024-01-01", periods=100, freq="6h")
    frame = pd.DataFrame({"time": times, "y": 1.0})

    kept = load._keep_times(frame, DataSpec(loader="sine"), start="2024-01-03", stop="2024-01-05")

    assert kept["time"].min() == pd.Timestamp("2024-01-03")
    assert kept["time"].max() == pd.Timestamp("2024-01-05 18:00")


def test_as_of_follows_the_zone_of_the_data():
    times = pd.date_range("2024-01-01", periods=96, freq="h", tz="Asia/Tokyo")

    kept = load._keep_times(
        pd.DataFrame({"time": times, "y": 1.0}),
        DataSpec(loader="sine"),
        start=None,
        stop="2024-01-02",
    )

    assert kept["time"].max() == pd.Timestamp("2024-01-02 23:00", tz="Asia/Tokyo")


def test_as_of_of_integer_times_is_an_integer():
    frame = pd.DataFrame({"t": range(10), "y": 1.0})

    kept = load._keep_times(frame, DataSpec(loader="sine", time_col="t"), start=None, stop="4")

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
        load.load(read_spec("tiny.yaml", [change]).data, as_of=as_of)


def test_times_that_are_no_iso_dates_are_refused(place):
    (place / "sales.csv").write_text("shop,day,sold\n1,03/04/2024,5\n")

    with pytest.raises(DataError, match=r"time column 'day' .* must hold ISO dates"):
        load.load(read_spec("tiny.yaml").data)


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

    lines = report.backtest_table(scores).splitlines()

    assert lines[0].split() == ["MASE", "RMSE", "in", "80", "%"]
    assert lines[1].split() == ["▸", "model", "0.9800", "12,001", "79.0%"]
    assert lines[2].split() == ["naive", "1.0100", "12,346"]
    assert lines[3].split() == ["drift", "1.2000", "-"]


def test_the_server_is_told_the_store_and_where_to_listen():
    command = server_command("sqlite:///a/mlruns/mlflow.db", host="127.0.0.1", port=5001)

    assert command[2:6] == [
        "mlflow",
        "server",
        "--backend-store-uri",
        "sqlite:///a/mlruns/mlflow.db",
    ]
    assert command[6:] == ["--host", "127.0.0.1", "--port", "5001", "--workers", "1"]


@pytest.mark.parametrize(
    ("uri", "start"),
    [
        ("sqlite:////a/mlflow.db", "http://127.0.0.1:5000/#/"),
        ("https://mlflow.firm/", "https://mlflow.firm/#/"),
    ],
)
def test_the_comparison_is_on_the_local_server_unless_the_store_is_one(uri, start):
    page = experiment_page(uri, "3")

    assert page.startswith(f"{start}experiments/3/runs?")


# ---- the whole run -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Return the folder, and exit code, stdout and result of two runs of the tiny pipeline."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        place = furnish(tmp_path_factory.mktemp("project"), monkeypatch)
        results, outputs = [], []

        def keep(*arguments, **options):
            results.append(run_pipeline(*arguments, **options))
            return results[-1]

        monkeypatch.setattr("tsrnn.pipelines.run.run_pipeline", keep)
        for again in ([], ["--again"]):
            with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()):
                code = main(["pipeline", "run", "tiny.yaml", *again])
            outputs.append((code, said.getvalue()))
        yield SimpleNamespace(place=place, outputs=outputs, results=results)


@pytest.mark.slow
def test_a_run_exits_with_0_and_leaves_the_files_it_names(two_runs):
    folder = two_runs.place / "runs/tiny"

    assert [code for code, _ in two_runs.outputs] == [0, 0]
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        *("forecast.csv", "backtest.csv", "scores.csv", "forecast.png", "backtest.png"),
        *("skill.png", "report.txt", "model", "dates"),
    }
    assert all(name in two_runs.outputs[0][1] for name in ("forecast.csv", "skill.png", "model)"))


@pytest.mark.slow
def test_the_forecast_file_is_what_the_forecaster_predicts(two_runs):
    written = pd.read_csv(two_runs.place / "runs/tiny/forecast.csv", dtype={"shop": str})
    predicted = tsrnn.load(two_runs.place / "runs/tiny/model").predict(level=[80, 95])

    assert list(written.columns) == list(predicted.columns)
    assert written["shop"].tolist() == predicted["shop"].tolist() == ["007"] * 4 + ["011"] * 4
    assert written["day"].tolist() == predicted["day"].dt.strftime("%Y-%m-%d").tolist()
    numbers = predicted.columns[2:]
    np.testing.assert_allclose(written[numbers], predicted[numbers], rtol=1e-5)


@pytest.mark.slow
def test_the_printed_table_has_the_numbers_of_the_backtest(two_runs):
    scores = two_runs.results[0].scores
    printed = two_runs.outputs[0][1]

    for method, row in scores.iterrows():
        line = next(
            x
            for x in printed.splitlines()
            if x.strip("▸ ").startswith(str(method).replace("_", " "))
        )
        first = float(
            line.strip("▸ ").removeprefix(str(method).replace("_", " ")).split()[0].replace(",", "")
        )
        assert first == pytest.approx(row["mase"], rel=1e-3)
    assert "in MASE on 16 held-out steps" in printed


@pytest.mark.slow
def test_two_runs_of_the_same_data_are_comparable_in_the_store(two_runs):
    found = tsrnn.tracking.runs(
        "tiny", nested=False, tracking_uri=f"sqlite:///{two_runs.place}/mlruns/mlflow.db"
    )
    whole = found[found["tags.tsrnn.pipeline"] == "tiny"]

    assert whole["status"].tolist() == ["FINISHED", "FINISHED"]
    assert whole["tags.tsrnn.data"].nunique() == 1
    assert whole["params.max_steps"].tolist() == ["6", "6"]
    scores = two_runs.results[0].scores
    for method in scores.index:
        logged = whole[f"metrics.backtest/{method}/mase"]
        np.testing.assert_allclose(logged, scores.loc[method, "mase"], rtol=1e-12)


@pytest.mark.slow
def test_the_second_report_shows_both_runs(two_runs):
    first, second = (said for _, said in two_runs.outputs)

    assert "1 run of this pipeline" in first
    assert "2 runs of this pipeline" in second
    assert second.count("same data") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")
def test_a_run_that_fails_is_failed_in_the_store(two_runs, monkeypatch):
    monkeypatch.chdir(two_runs.place)
    monkeypatch.setenv("TSRNN_HOME", str(two_runs.place))

    def full(*_, **__):
        raise OSError("No space left on device")

    spec = read_spec("tiny.yaml", ["experiment=broken", "register=false"])
    with monkeypatch.context() as broken:
        broken.setattr(steps, "publish", full)
        with pytest.raises(OSError, match="No space left"):
            run_pipeline(spec)

    found = tsrnn.tracking.runs(
        "broken", nested=False, tracking_uri=f"sqlite:///{two_runs.place}/mlruns/mlflow.db"
    )
    assert found["status"].tolist() == ["FAILED"]


@pytest.mark.slow
def test_check_reports_the_data_and_trains_nothing(place, capsys):
    assert main(["pipeline", "check", "tiny.yaml", "--as-of", "2024-02-10"]) == 0

    said = capsys.readouterr().out
    assert "2 series, 82 rows, 2024-01-01 to 2024-02-10, step D, horizon 4" in said
    assert not (place / "runs").exists()
    assert not (place / "mlruns").exists()


@pytest.mark.slow
def test_a_terminated_run_exits_with_143_and_is_killed_in_the_store(place):
    uri = f"sqlite:///{place}/mlruns/mlflow.db"
    create_store(uri)
    endless = ["--set", "model.max_steps=1000000", "--set", "model.patience=null"]
    command = [sys.executable, "-m", "tsrnn.cli", "pipeline", "run", "tiny.yaml", *endless]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if "RUNNING" in set(
                tsrnn.tracking.runs("tiny", nested=False, tracking_uri=uri)["status"]
            ):
                break
            time.sleep(0.3)
        process.terminate()
        began = time.monotonic()
        said = process.communicate(timeout=20)[1].decode()

    assert process.returncode == 143, said
    assert time.monotonic() - began < 10
    assert "Traceback" not in said
    found = tsrnn.tracking.runs("tiny", nested=False, tracking_uri=uri)
    assert found["status"].tolist() == ["KILLED"], said
