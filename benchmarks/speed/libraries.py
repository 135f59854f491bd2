"""Other libraries: each does the same work in a process and an environment of its own, in turn.

The scripts are ``benchmarks/peers/time_<library>.py``. What is not installed is left out with a word.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import ENVIRONMENTS
from tables import table

from speed.pairs import BENCHMARKS, ONE_THREAD, process
from speed.series import weekly_panel

__all__ = ["Task", "installed", "libraries", "measure"]

WINDOW, HORIZON = 64, 16
ROUNDS = 3  # at most: each takes minutes
STEPS = 40
PATIENCE = 4 * 3600.0  # wall seconds of a process, on a machine shared with others


@dataclass(frozen=True)
class Model:
    """A model of a library, and how it is called here.

    Parameters
    ----------
    library : str
        Its environment, and the end of its script's name.
    variant : str
    imports : str
        The statement that brings its class.
    """

    library: str
    variant: str
    imports: str

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        if self.library in ("bare", "tsrnn"):
            return Path(sys.executable)
        return ENVIRONMENTS / self.library / "bin" / "python"


MODELS = {
    "bare loop": Model("bare", "", "import torch, pandas"),
    "tsrnn, loss at the last step": Model("tsrnn", "last", "from tsrnn import RNNForecaster"),
    "tsrnn": Model("tsrnn", "auto", "from tsrnn import RNNForecaster"),
    "darts BlockRNNModel": Model("darts", "", "from darts.models import BlockRNNModel"),
    "neuralforecast LSTM": Model("neuralforecast", "", "from neuralforecast.models import LSTM"),
    "GluonTS DeepAR": Model("gluonts", "week", "from gluonts.torch import DeepAREstimator"),
    "pytorch-forecasting RecurrentNetwork": Model(
        "pytorch_forecasting", "", "from pytorch_forecasting import RecurrentNetwork"
    ),
}


@dataclass(frozen=True)
class Task:
    """What a script is asked, as ``peers/timing.py`` describes it."""

    work: str
    freq: str = "D"
    window: int = WINDOW
    horizon: int = HORIZON
    hidden: int = 64
    batch: int = 256
    steps: int = STEPS
    variant: str = ""


def installed() -> dict[str, Model]:
    """Return the models whose environment is there."""
    return {name: model for name, model in MODELS.items() if model.python.exists()}


def measure(model: Model, task: Task, frame: pd.DataFrame) -> tuple[dict[str, Any], Any]:
    """Return what a script found, and the forecast it made if it trained."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(asdict(task)), encoding="utf-8")
        frame.to_parquet(folder / "frame.parquet")
        script = BENCHMARKS / "peers" / f"time_{model.library}.py"
        subprocess.run(
            [str(model.python), str(script), str(folder)],
            cwd=folder,
            env=ONE_THREAD,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        said = folder / "forecast.npy"
        return found, np.load(said) if said.exists() else None


def libraries(rounds: int) -> str:
    """Return the tables of training and of reading, a row a library, and what is not installed."""
    there, rounds = installed(), min(rounds, ROUNDS)
    lacking = [name for name in MODELS if name not in there]
    said = f"Not installed, and left out: {', '.join(lacking)}." if lacking else ""
    parts = [_training(there, rounds), _reading(there, rounds), said]
    return "\n\n".join(part for part in parts if part)


def _training(models: dict[str, Model], rounds: int) -> str:
    panel = weekly_panel(200, 984)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            _, spent = process([str(model.python), "-c", model.imports])
            result, _ = measure(model, Task("train", variant=model.variant), panel)
            found[name].append(result | {"import": spent})
    middle = {name: _middle(runs) for name, runs in found.items()}
    bare = middle["bare loop"]["step"]
    rows = [
        [
            name,
            f"{1e3 * each['step']:.0f}",
            f"{each['step'] / bare:.2f}",
            f"{each['first_step']:.2f}",
            f"{1e3 * each['predict']:.0f}",
            f"{each['import']:.2f}",
            f"{each['peak']:.0f}",
        ]
        for name, each in middle.items()
    ]
    head = ["LSTM 64, 200 series x 984, CPU time", "step, ms", "bare loops", "first step, s"]
    return table([*head, "predict, ms", "import, s", "peak, MB"], rows)


def _reading(models: dict[str, Model], rounds: int) -> str:
    """Return the table of frames of 1e6 and of 1e7 rows, 1,000 rows a series."""
    sizes = (1000, 10_000)
    models = {name: each for name, each in models.items() if not name.startswith("tsrnn,")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for series in sizes:
        panel = weekly_panel(series, 1000)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in models}
        for _ in range(rounds if series == sizes[0] else 1):
            for name, model in models.items():
                runs[name].append(measure(model, Task("read", variant=model.variant), panel)[0])
        for name, each in runs.items():
            found[name].append(_middle(each))
    rows = [
        [
            name,
            f"{few['read']:.3f}",
            f"{many['read']:.2f}",
            f"{1e3 * many['batch']:.2f}",
            f"{many['added']:.0f}",
        ]
        for name, (few, many) in found.items()
    ]
    head = ["ids as text, to the first 256 windows", "1e6 rows, CPU s", "1e7 rows, CPU s"]
    return table([*head, "a batch at 1e7, ms", "memory added at 1e7, MB"], rows)


def _middle(runs: list[dict[str, float]]) -> dict[str, float]:
    return {what: float(np.median([each[what] for each in runs])) for what in runs[0]}
