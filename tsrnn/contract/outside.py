"""What a forecaster leaves as it found it: generators, signals, loggers, files, streams, threads."""

from __future__ import annotations

import io
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from tsrnn.contract.case import Case
from tsrnn.contract.rules import must, must_equal, rule
from tsrnn.exceptions import TsrnnWarning

__all__ = ["process_state"]

_LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning", "torch", "tsrnn", "mlflow")


def process_state() -> dict[str, Any]:
    """Return everything of the process that a fit could have moved."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in _LOGGERS)]
    state: dict[str, Any] = {
        "the generator of numpy": repr(np.random.get_state()),  # noqa: NPY002
        "the generator of random": random.getstate(),
        "loggers": [(log.name, log.level, log.disabled, list(log.handlers)) for log in loggers],
        "the filters of warnings": list(warnings.filters),
        "signal handlers": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "the current folder": Path.cwd(),
        "the files of the current folder": sorted(path.name for path in Path.cwd().iterdir()),
        "the environment": dict(os.environ),
        "sys.excepthook": sys.excepthook,
    }
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        state |= {
            "the generator of torch": torch.random.get_rng_state().tolist(),
            "the threads of torch": torch.get_num_threads(),
            "denormal numbers": float(torch.tensor(1e-40) * torch.ones(())),
            "the default type of torch": torch.get_default_dtype(),
            "gradients": torch.is_grad_enabled(),
            "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        }
    return state


def _use(case: Case) -> None:
    fitted = case.fit(case.frame())
    fitted.predict(level=case.level)
    fitted.predict(case.frame(series=3))
    fitted.score(case.later())


@contextmanager
def _generators_elsewhere() -> Iterator[None]:
    """Move the generators to where no fit would leave them, and put them back afterwards."""
    torch: Any = sys.modules.get("torch")
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    torch_state = None if torch is None else torch.random.get_rng_state()
    np.random.seed(820_417)  # noqa: NPY002
    random.seed(820_417)
    if torch is not None:
        torch.random.default_generator.manual_seed(820_417)
    try:
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        if torch is not None:
            torch.random.set_rng_state(torch_state)


@rule
def nothing_of_the_process_is_moved(case: Case) -> None:
    """Fit, predict and score leave generators, loggers, signals, threads, folder and environment alone."""
    _use(case)  # libraries that set something at their first import have done it now
    with _generators_elsewhere():
        before = process_state()
        _use(case)
        after = process_state()
    moved = sorted(name for name in before if before[name] != after[name])
    must(not moved, f"moved: {', '.join(moved)}")


@rule
def nothing_is_printed(case: Case) -> None:
    """Nothing is printed with verbose=0."""
    quiet = {"verbose": 0} if "verbose" in case.given.get_params() else {}
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        case.fit(case.frame(), **quiet).predict()
    must(not said.getvalue(), f"printed {said.getvalue()[:200]!r}")


@rule
def no_warning_of_a_library_below_gets_out(case: Case) -> None:
    """Every warning of fit and predict is one of tsrnn's own."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.fresh().fit(case.frame()).predict()
    foreign = [w for w in caught if not issubclass(w.category, TsrnnWarning)]
    must(not foreign, f"{foreign[0].category.__name__}: {foreign[0].message}" if foreign else "")


@rule
def threads_say_what_one_thread_says(case: Case) -> None:
    """Predict from four threads at once says what it says alone."""
    fitted = case.fitted()
    frames = [case.frame(series=3, seed=seed) for seed in range(4)]
    alone = [fitted.predict(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fitted.predict, frames))
    for one, other in zip(alone, together, strict=True):
        must_equal(other, one, "a forecast")
