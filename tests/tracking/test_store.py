"""The embedded store: where it is, and that any number of processes can start it at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tsrnn.exceptions import ParameterError
from tsrnn.tracking.store import create_store, experiment_id, find_root, resolve_uri

# Forks its processes after what they need is loaded, and prints how each of them ended.
RACE = """
import os, pathlib, sys, time
from mlflow import MlflowClient
from tsrnn.tracking.store import create_store, experiment_id, resolve_uri
home = pathlib.Path(sys.argv[1])

def work():
    while not (home / "go").exists():
        time.sleep(0.005)
    uri = resolve_uri()
    create_store(uri)
    client = MlflowClient(uri)
    run = client.create_run(experiment_id(client, uri, "race"))
    client.log_metric(run.info.run_id, "mae", 1.0)
    client.set_terminated(run.info.run_id)

children = []
for _ in range(int(sys.argv[2])):
    children.append(os.fork())
    if children[-1] == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
(home / "go").touch()
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_the_store_is_in_tsrnn_home_where_that_is_set(home):
    uri = resolve_uri()

    assert uri == f"sqlite:///{home}/mlruns/mlflow.db"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("mark", ["pyproject.toml", "mlruns/"])
def test_a_subfolder_of_a_project_uses_the_projects_store(tmp_path, monkeypatch, mark):
    monkeypatch.delenv("TSRNN_HOME")
    (tmp_path / mark).mkdir() if mark.endswith("/") else (tmp_path / mark).touch()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)

    assert find_root(tmp_path / "notebooks" / "deep") == tmp_path


def test_without_a_project_the_store_is_in_the_current_folder(home, monkeypatch):
    monkeypatch.delenv("TSRNN_HOME")

    assert find_root() == home


def test_the_environment_variable_wins_also_when_it_is_set_late(monkeypatch):
    before = resolve_uri()

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")

    assert before.endswith("/mlruns/mlflow.db")
    assert resolve_uri() == "http://127.0.0.1:5999"
    assert resolve_uri("sqlite:///mine.db") == "sqlite:///mine.db"
    assert not mlflow.get_tracking_uri().startswith("sqlite")


def test_the_store_is_whole_and_its_artifacts_lie_beside_it(tmp_path, monkeypatch, capfd):
    home = tmp_path / "a b é"
    home.mkdir()
    monkeypatch.setenv("TSRNN_HOME", str(home))
    uri = resolve_uri()

    create_store(uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment(experiment_id(client, uri, "prices: daily/1"))
    run = client.create_run(experiment.experiment_id)
    client.log_text(run.info.run_id, "hello", "note.txt")

    folder = home / "mlruns" / "artifacts" / "prices-daily-1" / run.info.run_id / "artifacts"
    assert (folder / "note.txt").read_text() == "hello"
    assert sorted(path.name for path in (home / "mlruns").iterdir() if path.suffix != ".lock") == [
        "artifacts",
        "mlflow.db",
    ]
    assert client.get_experiment("0").artifact_location.endswith("/mlruns/artifacts/0")
    assert capfd.readouterr() == ("", "")
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def test_an_experiment_is_found_again_and_one_in_the_trash_is_named(store_uri):
    client = MlflowClient(store_uri)

    first = experiment_id(client, store_uri, "same")

    assert experiment_id(client, store_uri, "same") == first
    client.delete_experiment(first)
    with pytest.raises(ParameterError, match=f"mlflow experiments restore --experiment-id {first}"):
        experiment_id(client, store_uri, "same")


def test_an_old_file_store_is_left_alone_and_the_way_out_is_named(home):
    (home / "mlruns" / "0").mkdir(parents=True)
    (home / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")

    with pytest.raises(ParameterError, match="mlflow migrate-filestore --source") as caught:
        create_store(resolve_uri())

    assert f"--target sqlite:///{home}/mlruns/mlflow.db" in str(caught.value)
    assert not (home / "mlruns" / "mlflow.db").exists()


def test_what_a_killed_creation_left_is_cleared(home):
    (home / "mlruns").mkdir()
    draft = home / "mlruns" / ".mlflow.db.draft"
    draft.write_bytes(b"half a database")
    draft.with_name(draft.name + "-journal").write_bytes(b"x")

    create_store(resolve_uri())

    MlflowClient(resolve_uri()).search_experiments()
    assert not list((home / "mlruns").glob(".mlflow.db*"))


def race(home: Path, processes: int) -> None:
    home.mkdir()
    environment = {**os.environ, "TSRNN_HOME": str(home), "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [sys.executable, "-c", RACE, str(home), str(processes)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.stdout.split() == ["0"] * processes, done.stderr
    uri = f"sqlite:///{home}/mlruns/mlflow.db"
    client = MlflowClient(uri)
    found = client.search_runs([experiment_id(client, uri, "race")])
    assert [run.info.status for run in found] == ["FINISHED"] * processes
    assert [run.data.metrics["mae"] for run in found] == [1.0] * processes


@pytest.mark.slow
def test_four_processes_start_a_fresh_store_at_once(tmp_path):
    race(tmp_path / "fresh", 4)


if os.environ.get("TSRNN_SOAK"):

    @pytest.mark.slow
    @pytest.mark.parametrize("trial", range(20))
    def test_eight_processes_start_a_fresh_store_at_once(tmp_path, trial):
        race(tmp_path / "fresh", 8)
