"""Processes that share a fit take the steps of one process, and all end with the same forecaster."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsrnn import ParameterError, RNNForecaster
from tsrnn.parallel import Crew, crew, shared_fit

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.TsrnnWarning")

SCRIPT = """
import sys, warnings
import numpy as np
from tests.test_parallel import CASES, forecaster, frame, listen
from tsrnn.parallel import shared_fit

warnings.simplefilter("ignore")
with shared_fit() as processes:
    for name, changes in CASES.items():
        heard = listen()
        model = forecaster(**changes).fit(frame(**changes))
        said = model.predict(level=80).drop(columns=["id", "ds"]).to_numpy()
        history = model.history_.to_numpy()
        np.savez(f"{sys.argv[1]}/{name}-{processes.rank}.npz", said=said, history=history,
                 best=model.best_step_, seed=model.seed_, heard=len(heard))
    try:
        forecaster().fit(frame(seed=processes.rank))
    except Exception as error:
        open(f"{sys.argv[1]}/error-{processes.rank}", "w").write(f"{type(error).__name__}: {error}")
"""

CASES = {
    "weights": {"weight_col": "weight", "n_members": 2},
    "lanes": {"truncated_bptt": 4, "batch_size": 5},
    "joint": {"target_col": ["y", "z"], "max_steps": 60, "learning_rate": 4e-2, "patience": 2},
    "unseeded": {"random_state": None, "max_steps": 3, "max_time": 600.0},
}


def frame(*, seed=0, **_) -> pd.DataFrame:
    noise = np.random.default_rng(seed)
    parts = []
    for name, rows in (("a", 90), ("b", 120), ("c", 70)):
        wave = 10 + 3 * np.sin(np.arange(rows)) + noise.normal(size=rows)
        wave[noise.random(rows) < 0.1] = np.nan
        days = pd.date_range("2024-01-01", periods=rows)
        weight = noise.random(rows)
        parts.append(
            pd.DataFrame({"id": name, "ds": days, "y": wave, "z": wave**2, "weight": weight})
        )
    return pd.concat(parts, ignore_index=True)


def forecaster(**changes) -> RNNForecaster:
    small = {
        "horizon": 3,
        "hidden_size": 4,
        "context_length": 14,
        "batch_size": 9,
        "max_steps": 10,
        "learning_rate": 5e-2,
        "season": 1,
        "target_col": "y",
    }
    return RNNForecaster(**{**small, **changes})


@functools.cache
def alone_with(name: str) -> RNNForecaster:
    """What a single process learns."""
    return forecaster(**CASES[name]).fit(frame())


def listen() -> list[int]:
    from tsrnn.listeners import add_listener

    heard: list[int] = []

    class Listener:
        def on_fit_start(self, forecaster, panel): ...
        def on_epoch_end(self, forecaster, step, metrics):
            heard.append(step)

        def on_fit_end(self, forecaster): ...
        def on_fit_error(self, forecaster, error): ...

    add_listener(lambda forecaster: Listener())
    return heard


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """What two processes wrote that shared a fit of each case."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    where |= {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, **where, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        words = [process.communicate(timeout=400)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(words)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "unseeded"])
def test_two_processes_have_the_losses_decisions_and_forecasts_of_one(shared, name):
    alone = alone_with(name)

    both = [np.load(shared / f"{name}-{rank}.npz") for rank in range(2)]

    said = alone.predict(level=80).drop(columns=["id", "ds"]).to_numpy()
    assert len(alone.history_) > 2
    for each in both:
        np.testing.assert_allclose(each["history"], alone.history_.to_numpy(), rtol=3e-5)
        assert each["best"] == alone.best_step_
        np.testing.assert_allclose(each["said"], said, rtol=1e-5)
    np.testing.assert_array_equal(both[0]["said"], both[1]["said"])
    np.testing.assert_array_equal(both[0]["history"], both[1]["history"])


@pytest.mark.slow
def test_early_stopping_and_best_weights_are_those_of_one_process(shared):
    alone = alone_with("joint")

    stopped = [np.load(shared / f"joint-{rank}.npz")["history"][-1, 0] for rank in range(2)]

    assert stopped == [alone.history_["step"].iloc[-1]] * 2
    assert 0 < alone.best_step_ < stopped[0] < 60


@pytest.mark.slow
def test_a_seed_that_is_drawn_is_drawn_once(shared):
    first, second = (np.load(shared / f"unseeded-{rank}.npz") for rank in range(2))

    assert first["seed"] == second["seed"]
    np.testing.assert_array_equal(first["said"], second["said"])


@pytest.mark.slow
def test_listeners_hear_of_the_fit_in_the_first_process_alone(shared):
    first, second = (np.load(shared / f"weights-{rank}.npz") for rank in range(2))

    assert first["heard"] == len(first["history"])
    assert second["heard"] == 0


@pytest.mark.slow
def test_other_rows_in_another_process_are_refused_in_both(shared):
    for rank in range(2):
        assert (
            "DataError: Processes that share a fit must be given the same rows"
            in (shared / f"error-{rank}").read_text()
        )


def test_in_a_single_process_sharing_changes_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with shared_fit() as processes:
        assert processes == crew() == Crew()
        inside = forecaster(max_steps=3).fit(frame()).predict()

    pd.testing.assert_frame_equal(inside, forecaster(max_steps=3).fit(frame()).predict())


@pytest.mark.parametrize(("count", "channels"), [(9, 1), (12, 3), (2, 2), (64, 1)])
def test_parts_of_a_batch_are_the_batch_and_keep_channels_together(count, channels):
    rows = np.arange(count)

    parts = [rows[Crew(rank, 4).part(count, channels=channels)] for rank in range(4)]

    np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert all(len(part) % channels == 0 for part in parts)


def test_a_batch_smaller_than_the_crew_is_refused():
    with pytest.raises(ParameterError, match="'batch_size' parameter must be at least"):
        Crew(0, 4).check_batch(3)
