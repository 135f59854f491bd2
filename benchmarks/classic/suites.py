"""What is run: which tasks at which lags, with which budgets and how many seeds."""

from __future__ import annotations

from dataclasses import dataclass

from classic.models import MODELS
from classic.tasks import Adding, Copy, Echo, GappySine, RegimeChange, Task
from classic.training import Budget

__all__ = ["FULL", "QUICK", "Case"]

CAUSAL = tuple(name for name in MODELS if name != "plain")  # that one reads all steps at once
COMPARED = ("gru", "lstm", "rnn")  # the lecture's three: several seeds, and the longest lags


@dataclass(frozen=True)
class Case:
    """One column of a table.

    Parameters
    ----------
    task : Task
    lag : int
        Steps between what must be remembered and the answer; the tables go by it.
    title : str
        Heading of the column.
    budget : Budget
    seeds : int
        Trainings behind a number of GRU, LSTM and Elman networks, whose medians are printed; the others have one.
    models : tuple of str
        The networks that take part.
    """

    task: Task
    lag: int
    title: str
    budget: Budget
    seeds: int = 1
    models: tuple[str, ...] = MODELS

    def seeds_of(self, model: str) -> int:
        """Return how many trainings stand behind the number of a network."""
        if model not in self.models:
            return 0
        return self.seeds if model in COMPARED else 1


def _echo(n: int, k: int, steps: int = 2000) -> Case:
    return Case(Echo(n, k), n - k, f"{n}, {k}", Budget(steps, check_every=50))


def _adding(length: int, steps: int, seeds: int) -> Case:
    return Case(Adding(length), length, f"length {length}", Budget(steps), seeds)


def _copy(lag: int, steps: int, models: tuple[str, ...] = MODELS) -> Case:
    return Case(Copy(lag), lag + 10, f"lag {lag}", Budget(steps), models=models)


def _sine(gap: int, steps: int = 2000) -> Case:
    return Case(GappySine(gap), gap, f"gap {gap}", Budget(steps))


def _regime(stay: int, steps: int = 1000) -> Case:
    return Case(RegimeChange(stay), stay, f"every {stay}", Budget(steps), models=CAUSAL)


FULL = (
    _adding(100, 2000, seeds=5),
    _adding(200, 3000, seeds=5),
    _echo(5, 2, steps=4000),
    *(_echo(n, 2) for n in (10, 20, 40, 80)),
    _echo(80, 40),
    *(_sine(gap) for gap in (5, 10, 20, 40)),
    _regime(20),
    _copy(10, 3000),
    _copy(50, 3000),
    _copy(100, 3000),
    _copy(1000, 500, models=(*COMPARED, "cnn")),
)
QUICK = (
    _echo(5, 2, steps=500),
    _echo(20, 2, steps=500),
    _adding(20, 500, seeds=1),
    _copy(5, 300),
    _sine(5, steps=300),
    _regime(20, steps=100),
)
