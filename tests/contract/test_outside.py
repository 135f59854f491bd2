"""What a forecaster leaves as it found it: generators, threads, signals, loggers, files, streams."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import DECODERS, tiny, waves
from tsrnn import load
from tsrnn.exceptions import NotFittedError
from tsrnn.inference import torch_settings
from tsrnn.listeners import add_listener, remove_listener

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")

ROOT = Path(__file__).parents[2]


def outside() -> dict[str, object]:
    """Everything of the process that a fit could have moved."""
    tracked = ("pytorch_lightning", "lightning_fabric", "lightning", "torch", "tsrnn", "mlflow")
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in tracked)]
    return {
        "numpy": repr(np.random.get_state()),  # noqa: NPY002  (the global generator is the subject)
        "random": random.getstate(),
        "torch": torch.random.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "denormals": float(torch.tensor(1e-40) * torch.ones(())),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "loggers": [(log.name, log.level, log.disabled, list(log.handlers)) for log in loggers],
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "excepthook": sys.excepthook,
    }


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_generators_of_the_process_move_no_forecast(decoder):
    expected = tiny(decoder=decoder, max_steps=4).fit(waves())
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    torch.manual_seed(7)

    forecaster = tiny(decoder=decoder, max_steps=4).fit(waves())

    pd.testing.assert_frame_equal(forecaster.history_, expected.history_, check_exact=True)
    pd.testing.assert_frame_equal(forecaster.predict(), expected.predict(), check_exact=True)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_moves_no_bit(network, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        forecast = network.predict(waves(series=3), level=80)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)

    pd.testing.assert_frame_equal(
        forecast, network.predict(waves(series=3), level=80), check_exact=True
    )


def test_a_progress_bar_is_shown_when_asked_for(capfd):
    tiny(max_steps=2, verbose=1).fit(waves())

    assert "Epoch" in "".join(capfd.readouterr())


SCRIPT = """
import sys
from tests.contract.samples import tiny, waves
forecast = tiny().fit(waves()).predict(level=80)
assert "pytorch_lightning" in sys.modules and "mlflow" not in sys.modules
open(sys.argv[1], "w").write(" ".join(x.hex() for x in forecast.iloc[:, 2:].to_numpy().ravel()))
"""


@pytest.mark.slow
def test_another_process_says_the_same_bits_in_silence_without_mlflow_and_leaves_no_file(tmp_path):
    folder, path = tmp_path / "empty", tmp_path / "said"
    folder.mkdir()

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert (done.stdout, done.stderr) == ("", "")
    assert list(folder.iterdir()) == []
    here = tiny().fit(waves()).predict(level=80).iloc[:, 2:].to_numpy().ravel()
    assert path.read_text() == " ".join(value.hex() for value in here.tolist())


# ---- threads ------------------------------------------------------------------------------


def test_predict_from_four_threads_says_what_one_thread_says(network):
    frames = [waves(series=3, seed=seed) for seed in range(8)]
    alone = [network.predict(frame, level=80) for frame in frames]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: network.predict(frame, level=80), frames))

    for one, other in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_four_fits_at_once_equal_the_same_fits_alone(threads):
    def learned(seed):
        forecaster = tiny(random_state=seed, max_steps=4).fit(waves(seed=seed))
        return pd.concat([forecaster.history_, forecaster.predict(level=80)])

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        alone = [learned(seed) for seed in range(4)]
        state = outside()
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(learned, range(4)))

        after = outside()
        with ThreadPoolExecutor(1) as pool:
            fresh = pool.submit(torch.get_num_threads).result()
    finally:
        torch.set_num_threads(before)

    for one, other in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert {name for name in state if state[name] != after[name]} == set()
    assert fresh == threads


def test_settings_that_overlap_in_threads_are_put_back_when_the_last_ends():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    first_in, second_in = threading.Event(), threading.Event()
    seen = []

    def first():
        with torch_settings():
            first_in.set()
            second_in.wait(5)

    def second():
        first_in.wait(5)
        with torch_settings():
            second_in.set()
            started.join(5)
            seen.append(torch.get_num_threads())

    started = threading.Thread(target=first)
    other = threading.Thread(target=second)
    try:
        started.start()
        other.start()
        other.join(5)
        with ThreadPoolExecutor(1) as pool:
            after = pool.submit(torch.get_num_threads).result()
        here = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert seen == [1]
    assert (here, after) == (3, 3)


# ---- interrupts ---------------------------------------------------------------------------


class Interrupting:
    """Raises at the second stretch of training, as Ctrl-C would."""

    def __init__(self, error):
        self.error = error

    def on_fit_start(self, forecaster, panel): ...

    def on_epoch_end(self, forecaster, step, metrics):
        if step > 1:
            raise self.error

    def on_fit_end(self, forecaster): ...

    def on_fit_error(self, forecaster, error): ...


def listening(listener):
    def factory(_):
        return listener

    add_listener(factory)
    return factory


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("the listener broke")])
def test_an_interrupted_fit_leaves_the_forecaster_that_was(error):
    model = tiny(max_steps=8).fit(waves())
    before, state, process = model.predict(), dict(model.__dict__), outside()
    factory = listening(Interrupting(error))

    try:
        with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else RuntimeError):
            model.fit(waves(seed=3))
    finally:
        remove_listener(factory)

    assert model.__dict__ == state
    after = outside()
    assert {name for name in process if process[name] != after[name]} == set()
    pd.testing.assert_frame_equal(model.predict(), before, check_exact=True)
    model.fit(waves())
    pd.testing.assert_frame_equal(model.predict(), before, check_exact=True)


def test_an_interrupted_first_fit_leaves_an_unfitted_forecaster():
    model = tiny(max_steps=8)
    factory = listening(Interrupting(KeyboardInterrupt))

    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(waves())
    finally:
        remove_listener(factory)

    with pytest.raises(NotFittedError):
        model.predict()


CTRL_C = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it, and children inherit that
from tests.contract.samples import tiny, waves
from tsrnn.listeners import add_listener
model = tiny(max_steps=4).fit(waves())
before, state, handler = model.predict(), dict(model.__dict__), signal.getsignal(signal.SIGINT)

class Ready:
    def on_fit_start(self, forecaster, panel): pass
    def on_epoch_end(self, forecaster, step, metrics):
        if step == 1000: print("training", flush=True)
    def on_fit_end(self, forecaster): pass
    def on_fit_error(self, forecaster, error): print(type(error).__name__, flush=True)

add_listener(lambda forecaster: Ready())
from tsrnn.learning.planning import plan_data
import tsrnn.forecaster
from dataclasses import replace
tsrnn.forecaster.plan_data = lambda *a: replace(plan_data(*a), steps=100_000)  # a long training
try:
    model.set_params(max_steps=100_000, patience=None).fit(waves(seed=1))
except KeyboardInterrupt:
    model.set_params(max_steps=4, patience=8)
    assert model.__dict__ == state
    assert model.predict().equals(before)
    assert signal.getsignal(signal.SIGINT) is handler
    print("as before", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_ends_a_training_and_nothing_else():
    script = CTRL_C.replace("step == 1000", "step == 40")
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()

    assert out == "KeyboardInterrupt\nas before\n"
    assert err == ""
    assert process.returncode == 0


# ---- the disk -----------------------------------------------------------------------------


def test_a_full_disk_leaves_the_saved_model_that_was(network, direct, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    network.save(folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    other = tiny(max_steps=2).fit(waves(seed=5))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match="Could not save the model: No space left on device"
    ) as caught:
        other.save(folder)
    monkeypatch.undo()

    assert caught.value.filename == str(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    pd.testing.assert_frame_equal(load(folder).predict(), network.predict(), check_exact=True)


KILLED = """
import os, sys
from pathlib import Path
from tsrnn import load
folder = Path(sys.argv[1])
old, new = load(folder), load(f"{folder}-new")
for survived in range(6):
    pid = os.fork()
    if pid == 0:
        left = survived
        def dying(real):
            def call(*a, **k):
                global left
                left -= 1
                if left < 0: os._exit(9)
                return real(*a, **k)
            return call
        for name in ("fsync", "replace", "rename", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        new.save(folder)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = load(folder).predict()
    which = [name for name, model in (("old", old), ("new", new)) if found.equals(model.predict())]
    print(status, *which)
    old.save(folder)
    assert len(list(folder.iterdir())) == 2
"""


@pytest.mark.slow
def test_a_save_that_is_killed_leaves_the_old_model_or_the_new_one(direct, tmp_path):
    """Killed before each system call that moves the save on: the old model, until the new one is."""
    direct.save(tmp_path / "model")
    tiny(max_steps=2).fit(waves(seed=5)).save(tmp_path / "model-new")

    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "model")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    killed = done.stdout.split("\n")[:-1]
    assert killed == sorted(killed, key=["9 old", "9 new", "0 new"].index)
    assert killed[0] == "9 old"
    assert killed[-1] != "9 old"
