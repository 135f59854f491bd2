"""A trial: one seed of one set, what it found and what it cost; kept as lines of JSON."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tables import machine

from tsrnn import RNNForecaster

__all__ = ["Clock", "Outcome", "Record", "Trial", "append", "quiet", "read"]


@dataclass(frozen=True)
class Trial:
    """What is asked of a set.

    Parameters
    ----------
    seed : int
    split : {"test", "validation"}
    first : int, optional
        So many series from the first on; all when None.
    stride : int
        Every so many cutoffs of a rolling set; 1: all of them.
    settings : dict
        Parameters of RNNForecaster instead of the defaults.
    """

    seed: int
    split: str = "test"
    first: int | None = None
    stride: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    def model(self, **told: Any) -> RNNForecaster:
        """Return the forecaster of this trial; ``told`` is what follows the set."""
        return RNNForecaster(**{**told, "random_state": self.seed, **self.settings})


class Clock:
    """Processor and wall seconds by name.

    >>> clock = Clock()
    >>> with clock("fit"):
    ...     pass
    >>> clock.cpu["fit"] >= 0
    True
    """

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add what the block takes."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall


@dataclass(frozen=True)
class Outcome:
    """What a set says about one trial.

    Parameters
    ----------
    scores : dict of str to dict of str to float
        Measure -> value of each method; the model is "tsrnn".
    sizes : dict of str to int
        "series", "windows" (forecasts that were judged), "horizon".
    clock : Clock
    model : RNNForecaster
    per_series : pandas.DataFrame
        The model's scores of each series.
    """

    scores: dict[str, dict[str, float]]
    sizes: dict[str, int]
    clock: Clock
    model: RNNForecaster
    per_series: pd.DataFrame


@dataclass(frozen=True)
class Record:
    """An outcome as plain values: one line of a file of results."""

    set: str
    trial: Trial
    scores: dict[str, dict[str, float]]
    sizes: dict[str, int]
    cpu: dict[str, float]
    wall: dict[str, float]
    best_step: int
    machine: str

    @classmethod
    def of(cls, name: str, trial: Trial, outcome: Outcome) -> Record:
        """Return what is kept of an outcome."""
        clock = outcome.clock
        return cls(
            name, trial, outcome.scores, outcome.sizes, clock.cpu, clock.wall,
            int(outcome.model.best_step_), machine(),
        )  # fmt: skip


def append(path: Path, record: Record) -> None:
    """Write a record at the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def read(path: Path) -> list[Record]:
    """Return the records of a file; a last line that was cut off is left out."""
    if not path.exists():
        return []
    records = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(
                f"Each line of {path} must be a JSON record. Got another text in line {number}. Remove it."
            ) from error
        records.append(Record(**{**values, "trial": Trial(**values["trial"])}))
    return records


@contextmanager
def quiet() -> Iterator[None]:
    """Hide warnings: missing values and verdicts are what the tables tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
