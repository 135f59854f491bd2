"""tsrnn beside the recurrent models of other libraries: accuracy, coverage and processor seconds.

    TSRNN_DATA=folder python benchmarks/peers.py --results peers.jsonl --write docs/benchmarks.md

Each model is trained in a process and an environment of its own (``make bench-peers`` builds them in
``.peers/``), by a script of ``benchmarks/peers/`` with the library's own defaults, on the same rows, one
thread, one seed. Competition sets are trained on the training part and judged on the test part. The last
five horizons of the others are five windows: a model is fitted once before the first, and forecasts
each from the history up to it. What is judged never reaches the process.

A model of another library that trains longer than ``--limit-seconds`` (processor seconds) is stopped and
forecasts with what it has. Every result is a line of ``--results``; a run goes on where the last one was cut. ``--again``
measures anew what is there, and the newest line counts: ``--libraries tsrnn --again`` after a change.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from peer_report import report
from peer_sets import SEASONAL_NAIVE, SETS, Case, history, score, seasonal_naive
from tables import write_between

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".peers"
GRACE = 300.0  # processor seconds to load and to forecast
HANGS = 50  # wall seconds a processor second, on a machine shared with others
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Library:
    """A library and its recurrent models.

    Parameters
    ----------
    models : tuple of str
    script : Path
        Its runner.
    python : Path
        Interpreter of its environment.
    """

    models: tuple[str, ...]
    script: Path
    python: Path


def _library(name: str, *models: str) -> Library:
    python = Path(sys.executable) if name == "tsrnn" else ENVIRONMENTS / name / "bin" / "python"
    return Library(models, HERE / "peers" / f"run_{name}.py", python)


LIBRARIES = {
    "tsrnn": _library("tsrnn", "RNNForecaster"),
    "gluonts": _library("gluonts", "DeepAR"),
    "pytorch_forecasting": _library("pytorch_forecasting", "DeepAR"),
    "neuralforecast": _library("neuralforecast", "LSTM", "GRU", "DeepAR"),
    "darts": _library("darts", "RNNModel", "BlockRNNModel"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--limit-seconds", type=float, default=600, help="CPU seconds of a fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=ENVIRONMENTS / "results.jsonl")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument(
        "--smoke", action="store_true", help="20 series, a few steps; keeps nothing"
    )
    parser.add_argument("--write", type=Path, help="markdown file with the markers of this table")
    options = parser.parse_args(arguments)
    models = [(name, model) for name in options.libraries for model in LIBRARIES[name].models]
    results = [] if options.smoke else read(options.results)
    for name in options.sets:
        case, frame = SETS[name], SETS[name].frame()
        if options.smoke:
            frame = frame[frame["unique_id"].isin(frame["unique_id"].unique()[:20])]
        for library, model in [*models, (SEASONAL_NAIVE, "")]:
            key = {"set": name, "library": library, "model": model, "seed": options.seed}
            if not options.again and any(key.items() <= each.items() for each in results):
                continue
            if library == SEASONAL_NAIVE:
                found = score(frame, seasonal_naive(frame, case), case)
            else:
                found = measure(
                    LIBRARIES[library], model, case, frame,
                    seed=options.seed, limit=options.limit_seconds, smoke=options.smoke,
                )  # fmt: skip
            results.append(key | {"day": datetime.now(UTC).date().isoformat()} | found)
            print(json.dumps(results[-1]), flush=True)
            if not options.smoke:
                append(options.results, results[-1])
    text = report(newest(results, options.seed))
    print(f"\n{text}")
    if options.write is not None:
        write_between(options.write, "peers", text)


def measure(
    library: Library,
    model: str,
    case: Case,
    frame: pd.DataFrame,
    *,
    seed: int,
    limit: float,
    smoke: bool = False,
) -> dict[str, Any]:
    """Train and forecast in the library's environment, and score what is said.

    Returns
    -------
    dict
        ``limit``, the scores, and what the runner tells: seconds, versions, and ``cut`` if training was
        stopped. Or the last line of the ``error``. Or ``timeout``, the processor seconds after which a
        process that did not heed the limit was ended.
    """
    if not library.python.exists():
        raise FileNotFoundError(f"{library.python} must exist. `make bench-peers` builds it.")
    job = {
        "model": model, "horizon": case.horizon, "freq": case.freq, "windows": case.windows,
        "seed": seed, "limit": limit, "smoke": smoke,
    }  # fmt: skip
    patience = math.ceil(3 * limit + GRACE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        history(frame, case).to_parquet(folder / "history.parquet")
        try:
            _run(library, folder, patience)
            said = pd.read_parquet(folder / "forecast.parquet")
            took = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            return {"limit": limit} | score(frame, said, case) | took
        except subprocess.TimeoutExpired:
            return {"timeout": patience}
        except subprocess.CalledProcessError as error:
            if error.returncode == -signal.SIGXCPU:
                return {"timeout": patience}
            return {"error": (error.stderr.strip().splitlines() or ["no message"])[-1]}
        except ValueError as error:
            return {"error": str(error)}


def _run(library: Library, folder: Path, patience: int) -> None:
    """Run a runner on one thread for so many processor seconds, with its stray files in the folder."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (patience, patience + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    subprocess.run(
        [str(library.python), str(library.script), str(folder)],
        cwd=folder,
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        timeout=HANGS * patience,
        preexec_fn=limited,
        check=True,
    )


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results of earlier runs."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def append(path: Path, result: dict[str, Any]) -> None:
    """Add a line to the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def newest(results: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Return the last result of each set and model."""
    mine = [each for each in results if each["seed"] == seed]
    return list({(each["set"], each["library"], each["model"]): each for each in mine}.values())


if __name__ == "__main__":
    main()
