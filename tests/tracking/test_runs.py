"""What a fit leaves in MLflow, and who opens and ends the run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import tsrnn
from tsrnn.exceptions import ParameterError, TrackingWarning
from tsrnn.tracking import runs, track
from tsrnn.tracking.record import fingerprint, metric_name
from tsrnn.tracking.store import experiment_id


def only_run(client, store_uri, experiment="tsrnn"):
    found = client.search_runs([experiment_id(client, store_uri, experiment)])
    assert len(found) == 1
    return found[0]


# ---- what is logged -----------------------------------------------------------------------


@pytest.fixture
def logged(client, store_uri, frame, last_value, autologged):
    last_value(horizon=2).fit(frame)
    return only_run(client, store_uri)


def test_a_run_holds_the_parameters_given_and_those_resolved(logged):
    params = logged.data.params

    assert params["estimator"] == "LastValue"
    assert params["epochs"] == "3"
    assert params["target_col"] == "None"
    assert params["horizon_"] == "2"
    assert params["season_"] == "7"
    assert params["plan/representation"] == "difference"
    assert params["plan/lags"] == "[1, 7]"


def test_a_run_is_tagged_with_version_size_and_span_of_the_data(logged):
    tags = logged.data.tags

    assert tags["tsrnn.version"] == tsrnn.__version__
    assert tags["tsrnn.task"] == "fit"
    assert tags["tsrnn.freq"] == "D"
    assert (tags["tsrnn.n_series"], tags["tsrnn.n_rows"]) == ("2", "9")
    assert (tags["tsrnn.start"], tags["tsrnn.end"]) == ("2024-01-01", "2024-01-05")
    assert tags["tsrnn.verdict"] == "better than naive"
    assert logged.info.run_name == "LastValue"
    assert logged.info.status == "FINISHED"


def test_every_epoch_is_a_point_of_the_curve(client, logged):
    curve = client.get_metric_history(logged.info.run_id, "train_loss")

    assert [(point.step, point.value) for point in curve] == [(10, 1.0), (20, 0.5), (30, 1 / 3)]
    assert "val_loss" not in logged.data.metrics  # NaN can't be stored


def test_held_out_scores_stand_next_to_those_of_the_baselines(client, logged):
    metrics = logged.data.metrics

    assert (metrics["test/mae"], metrics["naive/mae"]) == (1.0, 2.0)
    assert metrics["test/mase"] == 0.5
    assert "naive/mase" not in metrics  # infinite
    assert (metrics["test/mase_h01"], metrics["test/mase_h02"]) == (1.0, 3.0)
    assert (metrics["naive/mase_h01"], metrics["naive/mase_h02"]) == (2.0, 4.0)
    assert metrics["test/beats_naive"] == 1.0
    by_step = client.get_metric_history(logged.info.run_id, "test/mase_by_step")
    assert [(point.step, point.value) for point in by_step] == [(1, 1.0), (2, 3.0)]


def test_the_data_is_an_input_with_its_fingerprint(logged):
    (entry,) = logged.inputs.dataset_inputs

    assert entry.dataset.digest == logged.data.tags["tsrnn.data"]
    assert entry.dataset.profile == '{"num_rows": 9, "num_series": 2}'
    assert entry.tags[0].value == "training"


def test_the_forecast_is_an_artifact_equal_to_predict(client, logged, frame, last_value):
    path = client.download_artifacts(logged.info.run_id, "forecast.parquet")

    expected = last_value(horizon=2).fit(frame).predict(level=[80])
    pd.testing.assert_frame_equal(pd.read_parquet(path), expected, check_dtype=False)
    assert {file.path for file in client.list_artifacts(logged.info.run_id)} == {
        "forecast.parquet",
        "forecast.csv",
        "forecast.png",
    }


def test_a_baseline_is_a_run_too(client, store_uri, frame, autologged):
    tsrnn.BaselineForecaster(method="naive", horizon=2).fit(frame)

    run = only_run(client, store_uri)
    assert run.data.params["method"] == "naive"
    assert run.info.run_name == "BaselineForecaster"
    assert client.download_artifacts(run.info.run_id, "forecast.png").endswith(".png")


def test_artifacts_lie_under_the_store_wherever_the_process_runs(logged, home):
    expected = home / "mlruns" / "artifacts" / "tsrnn" / logged.info.run_id / "artifacts"
    assert (expected / "forecast.csv").is_file()
    assert [path.name for path in home.iterdir()] == ["mlruns"]


def test_two_thousand_epochs_travel_in_few_calls(
    store_uri, frame, last_value, monkeypatch, autologged
):
    calls = []
    log_batch = MlflowClient.log_batch
    monkeypatch.setattr(
        MlflowClient,
        "log_batch",
        lambda self, run_id, metrics=(), **rest: (
            calls.append(len(metrics)),
            log_batch(self, run_id, metrics=metrics, **rest),
        ),
    )

    last_value(epochs=2000).fit(frame)

    assert sum(calls) >= 2000
    assert max(calls) <= 1000
    assert len(calls) <= 10
    assert runs().loc[0, "metrics.train_loss"] == 1 / 2000


# ---- who opens and ends the run -----------------------------------------------------------


def test_without_being_asked_nothing_is_tracked(home, frame, last_value):
    last_value().fit(frame)

    assert list(home.iterdir()) == []


def test_track_gives_the_first_fit_its_own_run_and_nests_the_others(client, frame, last_value):
    with tsrnn.track(experiment="two", run_name="parent", tags={"desk": "fx"}) as run:
        last_value(epochs=1).fit(frame)
        last_value(epochs=2).fit(frame)

    parent = client.get_run(run.run_id)
    assert parent.info.run_name == "parent"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["desk"] == "fx"
    assert parent.data.params["epochs"] == "1"
    (child,) = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.run_id}'"
    )
    assert child.data.params["epochs"] == "2"
    assert child.info.status == "FINISHED"


def test_an_active_run_is_used_and_left_open(client, store_uri, frame, last_value):
    mlflow.set_tracking_uri(store_uri)
    try:
        with mlflow.start_run() as active:
            mlflow.log_param("epochs", "by hand")
            last_value().fit(frame)
            still = mlflow.active_run()
            status = client.get_run(active.info.run_id).info.status
    finally:
        mlflow.set_tracking_uri(None)

    assert still is active
    assert status == "RUNNING"
    params = client.get_run(active.info.run_id).data.params
    assert params["epochs"] == "by hand"
    assert params["tsrnn.epochs"] == "3"


def test_mlflows_own_words_work_inside_track_and_nothing_is_left_set(client, frame, monkeypatch):
    environment = dict(os.environ)

    with track(experiment="mine") as run:
        mlflow.log_metric("by_hand", 7.0)
        with mlflow.start_run(nested=True) as nested:
            pass

    assert client.get_run(run.run_id).data.metrics["by_hand"] == 7.0
    assert client.get_run(nested.info.run_id).data.tags["mlflow.parentRunId"] == run.run_id
    assert mlflow.active_run() is None
    assert not mlflow.is_tracking_uri_set()
    assert dict(os.environ) == environment


def test_tracks_within_tracks_restore_the_outer_store(client, store_uri, tmp_path, frame):
    other = f"sqlite:///{tmp_path}/other/mlruns/mlflow.db"
    (tmp_path / "other").mkdir()

    with track() as outer:
        with track(tracking_uri=other) as inner:
            assert mlflow.get_tracking_uri() == other
        assert mlflow.get_tracking_uri() == store_uri
        assert mlflow.active_run().info.run_id == outer.run_id

    assert runs(tracking_uri=other)["run_id"].tolist() == [inner.run_id]


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("boom"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(1), "KILLED")],
)
def test_a_fit_that_breaks_off_ends_its_run_with_the_reason(
    client, store_uri, frame, last_value, autologged, error, status
):
    with pytest.raises(type(error)):
        last_value(fault=error).fit(frame)

    run = only_run(client, store_uri)
    assert run.info.status == status
    assert run.data.tags["tsrnn.error"].startswith(type(error).__name__)
    assert run.data.metrics["train_loss"] == pytest.approx(1 / 3)


def test_a_block_that_breaks_off_ends_its_run_too(client, frame):
    with pytest.raises(KeyboardInterrupt), track() as killed:
        raise KeyboardInterrupt
    with pytest.raises(RuntimeError), track() as failed:
        raise RuntimeError

    assert client.get_run(killed.run_id).info.status == "KILLED"
    assert client.get_run(failed.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_a_fit_within_a_fit_is_no_run_of_its_own(client, store_uri, frame, last_value, autologged):
    last_value(inner=last_value()).fit(frame)
    last_value().fit(frame)

    found = client.search_runs([experiment_id(client, store_uri, "tsrnn")])
    assert sorted(run.data.params["inner"] for run in found) == ["LastValue()", "None"]


def test_autolog_can_be_switched_off_and_names_the_experiment(client, store_uri, frame, last_value):
    tsrnn.autolog(experiment="named")
    last_value().fit(frame)
    tsrnn.autolog(disable=True)
    last_value().fit(frame)

    assert only_run(client, store_uri, "named").info.status == "FINISHED"


def test_mlflows_current_experiment_is_used(
    client, store_uri, frame, last_value, monkeypatch, autologged
):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")

    last_value().fit(frame)

    assert only_run(client, store_uri, "from the environment").info.status == "FINISHED"


def test_fits_in_threads_get_a_run_each(client, store_uri, frame, last_value, autologged):
    threads = [threading.Thread(target=last_value(epochs=k).fit, args=(frame,)) for k in (1, 2, 3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = client.search_runs([experiment_id(client, store_uri, "tsrnn")])
    assert sorted(run.data.params["epochs"] for run in found) == ["1", "2", "3"]
    assert all(
        run.data.metrics["train_loss"] == 1 / int(run.data.params["epochs"]) for run in found
    )


@pytest.mark.parametrize("name", ["", "  ", 7])
def test_an_experiment_is_a_name(name):
    with pytest.raises(ParameterError, match="'experiment' parameter must be a name or None"):
        tsrnn.autolog(name)
    with pytest.raises(ParameterError, match="'experiment' parameter"), track(name):
        pass


def test_runs_lists_the_store_newest_first(client, frame, last_value):
    assert runs().empty
    for k in (1, 2):
        with track("list", run_name=f"run{k}"):
            last_value(epochs=k).fit(frame)
        time.sleep(0.002)

    table = runs("list")

    assert table["run_name"].tolist() == ["run2", "run1"]
    assert table["params.epochs"].tolist() == ["2", "1"]
    assert table["metrics.test/mase"].tolist() == [0.5, 0.5]
    assert runs("another").empty


def test_the_run_takes_tables_figures_texts_and_folders(client, tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "x.txt").write_text("x")
    table = pd.DataFrame({"a": np.arange(1500)})

    with track() as run:
        run.log_table(table, "backtest/folds")
        run.log_text("verdict", "verdict.md")
        run.log_artifact(tmp_path / "folder")
        run.log_metrics({"mae": 1, "odd [name]": 2.0, "text": "no", "nan": float("nan")}, step=4)

    read = pd.read_parquet(client.download_artifacts(run.run_id, "backtest/folds.parquet"))
    pd.testing.assert_frame_equal(read, table)
    assert len(pd.read_csv(client.download_artifacts(run.run_id, "backtest/folds.csv"))) == 1000
    assert client.download_artifacts(run.run_id, "folder/deep/x.txt").endswith("x.txt")
    assert client.get_run(run.run_id).data.metrics == {"mae": 1.0, "odd _name_": 2.0}


def test_a_backtest_is_logged_with_its_scores_curve_verdict_and_forecasts(client, frame):
    with track() as run:
        with tsrnn.tracking.untracked():
            result = tsrnn.backtest(
                tsrnn.BaselineForecaster(method="naive", horizon=1), frame, n_windows=2
            )
        run.log_backtest(result)

    logged = client.get_run(run.run_id)
    assert logged.data.metrics["backtest/model/mae"] == result.scores.loc["model", "mae"] == 5.5
    assert logged.data.metrics["backtest/drift/mae"] == result.scores.loc["drift", "mae"]
    curve = client.get_metric_history(run.run_id, "backtest/model/mae_by_step")
    assert [(point.step, point.value) for point in curve] == [(1, 5.5)]
    assert logged.data.tags["tsrnn.backtest"] == result.verdict
    table = pd.read_parquet(client.download_artifacts(run.run_id, "backtest/forecasts.parquet"))
    pd.testing.assert_frame_equal(table, result.forecasts, check_dtype=False)
    assert "estimator" not in logged.data.params  # untracked


def test_a_broken_plot_is_told_once_and_the_fit_and_its_numbers_stay(
    client, store_uri, frame, last_value, autologged
):
    class Odd(last_value):
        def plot(self):
            raise ZeroDivisionError("no ink")

    with pytest.warns(TrackingWarning, match="only a part of this fit: ZeroDivisionError: no ink"):
        model = Odd(horizon=1).fit(frame)

    assert model.predict()["forecast"].tolist() == [5.0, 40.0]
    run = only_run(client, store_uri)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/mae"] == 1.0


# ---- processes that are killed ------------------------------------------------------------

KILLED = """
import os, signal
from tsrnn.tracking import track
with track("killed") as run:
    print(run.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_run_of_a_killed_process_is_closed_by_the_next_run(client, home):
    dead = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, check=False)
    killed = dead.stdout.decode().strip()
    assert client.get_run(killed).info.status == "RUNNING"

    with track("killed") as alive:
        pass

    assert client.get_run(killed).info.status == "KILLED"
    assert "without closing" in client.get_run(killed).data.tags["tsrnn.error"]
    assert client.get_run(alive.run_id).info.status == "FINISHED"
    assert list((home / "mlruns" / ".leases").iterdir()) == []


def test_open_runs_of_living_processes_stay_open(client):
    with track() as outer:
        with track():
            pass
        assert client.get_run(outer.run_id).info.status == "RUNNING"


# ---- small parts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [("test/mase_h01", "test/mase_h01"), ("a[b]=c", "a_b__c"), ("é", "_"), ("/x/", "x"), ("", "_")],
)
def test_metric_names_have_only_letters_that_mlflow_takes(name, written):
    assert metric_name(name) == written


@pytest.mark.filterwarnings("ignore::tsrnn.exceptions.DataWarning")
def test_the_fingerprint_moves_with_every_part_of_the_data_and_not_with_precision(
    frame, last_value, monkeypatch
):
    def of(df):
        panel, _ = last_value()._read(df)
        return fingerprint(panel)

    other = {
        "value": frame.assign(y=frame["y"].where(frame.index != 3, 4.5)),
        "missing": frame.assign(y=frame["y"].where(frame.index != 3)),
        "id": frame.assign(id=frame["id"].replace("b", "c")),
        "time": frame.assign(ds=frame["ds"] + pd.Timedelta(days=1)),
        "row": frame.iloc[:-1],
    }

    digests = {of(frame), *(of(df) for df in other.values())}
    assert len(digests) == 6
    assert of(frame.astype({"y": np.float32})) == of(frame.copy()) == of(frame)
    assert all(len(digest) == 32 for digest in digests)
