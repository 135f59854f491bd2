"""What is run: which tasks at which lags, with which budgets and how many seeds."""

from __future__ import annotations

from dataclasses import dataclass

from classic.tasks import Adding, Copy, Echo, GappySine, RegimeChange, Task
from classic.training import Budget

__all__ = ["FULL", "QUICK", "Case"]


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
        Trainings behind a number; medians are printed.
    """

    task: Task
    lag: int
    title: str
    budget: Budget
    seeds: int = 1


def _echo(n: int, k: int, steps: int = 2000) -> Case:
    return Case(Echo(n, k), n - k, f"{n}, {k}", Budget(steps, check_every=50))


def _adding(length: int, steps: int, seeds: int) -> Case:
    return Case(Adding(length), length, f"length {length}", Budget(steps), seeds)


def _copy(lag: int, steps: int) -> Case:
    return Case(Copy(lag), lag + 10, f"lag {lag}", Budget(steps))


def _sine(gap: int, steps: int = 2000) -> Case:
    return Case(GappySine(gap), gap, f"gap {gap}", Budget(steps))


def _regime(stay: int, steps: int = 1000) -> Case:
    return Case(RegimeChange(stay), stay, f"every {stay}", Budget(steps))


FULL = (
    _adding(100, 2000, seeds=5),
    _adding(200, 3000, seeds=5),
    _echo(5, 2, steps=4000),
    *(_echo(n, 2) for n in (10, 20, 40, 80, 160)),
    *(_echo(160, k) for k in (40, 80, 120)),
    *(_sine(gap) for gap in (5, 10, 20, 40, 80)),
    *(_regime(stay) for stay in (20, 50, 100)),
    _copy(10, 3000),
    _copy(50, 3000),
    _copy(100, 3000),
    _copy(1000, 500),
)
QUICK = (
    _echo(5, 2, steps=500),
    _echo(20, 2, steps=500),
    _adding(20, 500, seeds=1),
    _copy(5, 300),
    _sine(5, steps=300),
    _regime(20, steps=100),
)
