"""No state of the tracking server stops, changes or delays a fit, and its numbers are kept."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import tsrnn
from tsrnn.exceptions import ParameterError, TrackingWarning
from tsrnn.tracking import courier, recorder, replay, runs, track

EXPERIMENT = {"experiment_id": "1", "name": "tsrnn", "lifecycle_stage": "active"}
RUN = {
    "info": {
        "run_id": "r" * 32,
        "experiment_id": "1",
        "status": "RUNNING",
        "artifact_uri": "/dev/null",
    },
    "data": {},
}


class Server(ThreadingHTTPServer):
    """Answers the first ``healthy`` requests as MLflow would, and then shows its ``fault``."""

    daemon_threads = True

    def __init__(self, fault: str, healthy: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.healthy = fault, healthy
        self.seen: list[str] = []
        self.over = threading.Event()
        self.uri = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that gave up


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        server = self.server
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.seen.append(self.path.partition("?")[0].rpartition("mlflow/")[2])
        if len(server.seen) <= server.healthy:
            body = {"experiment": EXPERIMENT, "run": RUN, "run_info": RUN["info"], "model": {}}
            return self.reply(200, body)
        if server.fault == "500":
            return self.reply(500, {"error_code": "INTERNAL_ERROR", "message": "boom"})
        if server.fault == "hang":
            server.over.wait(30)
        if server.fault == "garbage":
            return self.reply(200, "<html>login</html>")
        return self.connection.close()

    do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 - names of the base class

    def reply(self, status: int, body: object) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(fault: str, healthy: int = 0):
    server = Server(fault, healthy)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setenv("TSRNN_TRACKING_TIMEOUT", "0.4")
    monkeypatch.setattr(courier, "_stalled", {})


def kept(home) -> list[dict]:
    (path,) = (home / "mlruns" / "pending").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("healthy", [0, 2, 3, 5, 8])
@pytest.mark.parametrize("fault", ["hang", "500", "closes", "garbage"])
def test_a_server_that_fails_after_some_calls_costs_a_warning_and_no_number(
    home, frame, last_value, monkeypatch, autologged, capfd, fault, healthy
):
    with serving(fault, healthy) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        began = time.monotonic()
        with pytest.warns(TrackingWarning) as caught:
            model = last_value(horizon=2).fit(frame)
        seconds = time.monotonic() - began

    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert seconds < 3.0
    tsrnn.autolog(disable=True)
    untracked = last_value(horizon=2).fit(frame).predict()
    np.testing.assert_array_equal(model.predict()["forecast"], untracked["forecast"])
    if "only a part" not in str(caught[0].message) and "not all of its files" not in str(
        caught[0].message
    ):
        points = [point for line in kept(home) for point in line.get("metrics", [])]
        assert {point[0] for point in points} >= {"train_loss", "test/mae", "naive/mase_h02"}
        assert str(home / "mlruns" / "pending") in str(caught[0].message)
    assert capfd.readouterr() == ("", "")


def test_a_server_that_refuses_costs_a_warning(home, frame, last_value, monkeypatch, autologged):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")

        with pytest.warns(TrackingWarning, match="tracking is off for the rest of this run"):
            last_value(horizon=1).fit(frame)

    lines = kept(home)
    assert lines[0]["kind"] == "run"
    assert lines[-1] == {"kind": "end", "status": "FINISHED", "time": lines[-1]["time"]}
    assert ["epochs", "3"] in [item for line in lines for item in line.get("params", [])]


def test_a_server_that_stalled_is_not_asked_again_at_once(
    frame, last_value, monkeypatch, autologged
):
    with serving("hang") as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with pytest.warns(TrackingWarning, match=r"did not answer within 0\.4 s"):
            last_value().fit(frame)
        asked = len(server.seen)
        with pytest.warns(TrackingWarning, match="did not answer a moment ago"):
            last_value().fit(frame)

    assert len(server.seen) == asked


def fit_inside(uri, model, frame):
    with track("prices", tracking_uri=uri) as run:
        model.fit(frame)
        run.log_metrics({"mae": 1.0})
    return run, model


def test_a_block_on_a_dead_server_runs_to_its_end(frame, last_value, monkeypatch):
    with serving("hang") as server:
        began = time.monotonic()
        with pytest.warns(TrackingWarning):
            run, model = fit_inside(server.uri, last_value(), frame)

    assert time.monotonic() - began < 3.0
    assert run.run_id is None
    assert len(model.predict()) == 2 * model.horizon_


def test_an_error_in_a_fit_is_not_hidden_by_a_dead_server(
    frame, last_value, monkeypatch, autologged
):
    with serving("hang") as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with pytest.warns(TrackingWarning), pytest.raises(KeyboardInterrupt):
            last_value(fault=KeyboardInterrupt()).fit(frame)


def test_a_locked_database_does_not_hold_a_fit(
    client, store_uri, frame, last_value, monkeypatch, autologged
):
    monkeypatch.setattr(recorder, "OPENING", 0.4)
    database = sqlite3.connect(store_uri.removeprefix("sqlite:///"))
    database.execute("begin exclusive")
    began = time.monotonic()

    with pytest.warns(TrackingWarning):
        last_value(horizon=1).fit(frame)
    database.rollback()
    database.close()

    assert time.monotonic() - began < 3.0


def test_a_store_that_is_a_folder_costs_a_warning(home, frame, last_value, autologged):
    (home / "mlruns" / "mlflow.db").mkdir(parents=True)

    with pytest.warns(TrackingWarning):
        last_value().fit(frame)


def test_kept_metrics_are_replayed_and_the_file_is_gone(
    home, frame, last_value, monkeypatch, client
):
    with serving("500") as server:
        tsrnn.autolog("later")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with pytest.warns(TrackingWarning):
            last_value(horizon=2).fit(frame)
        tsrnn.autolog(disable=True)
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (path,) = (home / "mlruns" / "pending").iterdir()

    run_id = replay(path)

    table = runs("later")
    assert table["run_id"].tolist() == [run_id]
    assert table["status"].tolist() == ["FINISHED"]
    assert table["metrics.test/mase"].tolist() == [0.5]
    assert table["params.epochs"].tolist() == ["3"]
    assert [p.value for p in client.get_metric_history(run_id, "train_loss")] == [1, 0.5, 1 / 3]
    assert not path.exists()


def test_a_store_that_does_not_answer_is_named_when_its_runs_are_asked_for(monkeypatch):
    monkeypatch.setattr("tsrnn.tracking.words._SEARCH", 0.3)
    with serving("hang") as server, pytest.raises(ConnectionError, match=server.uri):
        runs(tracking_uri=server.uri)


def test_replay_refuses_a_file_of_something_else(tmp_path):
    (tmp_path / "x.jsonl").write_text("[]\n")

    with pytest.raises(ParameterError, match="replay needs a file of kept metrics"):
        replay(tmp_path / "x.jsonl")
