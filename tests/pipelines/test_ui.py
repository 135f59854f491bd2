"""The address that tsrnn ui opens: the runs named, the newest of a pipeline, the newest experiment."""

import json
import socket
from contextlib import suppress
from urllib.parse import parse_qs

import pandas as pd
import pytest
from tsrnn.pipelines import ui
from tsrnn.pipelines.spec import read_spec

from tsrnn import track
from tsrnn.cli import main
from tsrnn.exceptions import ParameterError


def parts(page):
    """The path after #, and what is asked there."""
    path, _, asked = page.partition("/#/")[2].partition("?")
    return path, {key: values[0] for key, values in parse_qs(asked).items()}


@pytest.fixture
def logged(place, store_uri):
    """The ids of three runs of the pipeline, one of them failed, and one of something else."""
    ids = {}
    for name in ("one", "two"):
        with track("shop", name, tags={"tsrnn.pipeline": "shop"}) as run:
            ids[name] = run.run_id
    with suppress(ZeroDivisionError), track("shop", "fails", tags={"tsrnn.pipeline": "shop"}):
        _ = 1 / 0
    with track("other", "else") as run:
        ids["else"] = run.run_id
    return store_uri, ids


def test_runs_that_are_named_are_compared(logged):
    uri, ids = logged

    path, asked = parts(ui.find_page(uri, names=["two", ids["else"][:8]]))

    assert path == "compare-runs"
    assert json.loads(asked["runs"]) == [ids["two"], ids["else"]]
    assert len(json.loads(asked["experiments"])) == 2
    assert asked["workflowType"] == "machine_learning"


def test_the_newest_finished_runs_of_a_pipeline_are_compared(logged):
    uri, ids = logged

    _, asked = parts(ui.find_page(uri, pipeline=read_spec("shop.yaml")))

    assert json.loads(asked["runs"]) == [ids["two"], ids["one"]]
    with pytest.raises(ParameterError, match="'new' has no finished run"):
        ui.find_page(uri, pipeline=read_spec("shop.yaml", ["name=new"]))


def test_a_single_run_has_its_own_page_and_none_the_newest_experiment(logged):
    uri, ids = logged
    number = ui.find_page(uri).partition("/experiments/")[2].partition("/")[0]

    assert parts(ui.find_page(uri, names=["else"]))[0] == f"experiments/{number}/runs/{ids['else']}"
    assert parts(ui.find_page(uri))[0] == f"experiments/{number}/runs"
    with pytest.raises(ParameterError, match="There is no run 'three'"):
        ui.find_page(uri, names=["three"])


def test_a_remote_server_has_the_same_pages():
    runs = pd.DataFrame({"run_id": ["a", "b"], "experiment_id": ["1", "1"]})

    page = ui.runs_page("https://mlflow.firm/", runs)

    assert page.startswith("https://mlflow.firm/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&")


class Server:
    """A server that has ended once it is waited for."""

    def __init__(self, command, **_):
        self.command = command

    def poll(self):
        return None

    def wait(self):
        return 0

    terminate = wait


def test_the_command_prints_the_address_and_opens_it_once_the_server_is_up(
    logged, monkeypatch, capsys
):
    opened, done = [], ui.threading.Event()
    monkeypatch.setattr(ui.subprocess, "Popen", Server)
    monkeypatch.setattr(ui.urllib.request, "urlopen", lambda *_, **__: socket.socket())
    monkeypatch.setattr(ui.webbrowser, "open", lambda page: (opened.append(page), done.set()))
    monkeypatch.setenv("DISPLAY", ":0")

    assert main(["ui", "one", "two", "--port", "5999"]) == 0

    assert done.wait(5)
    said = capsys.readouterr().err
    assert opened[0].startswith("http://127.0.0.1:5999/#/compare-runs?")
    assert opened[0] in said
    assert main(["ui", "one", "two", "--port", "5999", "--no-browser"]) == 0
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(ui.sys, "platform", "linux")
    assert main(["ui", "--port", "5999"]) == 0
    assert len(opened) == 1


def test_a_port_that_is_taken_is_told(logged, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        assert main(["ui", "--port", str(port)]) == 1

    assert f"Port {port} of 127.0.0.1 is taken" in capsys.readouterr().err
