"""Training of one network on one task: the same budget, optimiser and clipping for all."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from classic.models import build
from classic.tasks import Task
from tsrnn.inference import torch_settings

__all__ = ["Budget", "Learnt", "learn"]

JUDGED = 1000  # fresh sequences behind a score


@dataclass(frozen=True)
class Budget:
    """How a network is trained.

    Parameters
    ----------
    steps : int
        Optimiser steps at most; it ends early when the task is solved.
    hidden_size, batch_size : int
    learning_rate : float
        Of Adam.
    clip : float
        Largest norm of the gradient.
    check_every : int
        Steps between scores.
    """

    steps: int
    hidden_size: int = 64
    batch_size: int = 50
    learning_rate: float = 2e-3
    clip: float = 1.0
    check_every: int = 100


@dataclass(frozen=True)
class Learnt:
    """What came of it.

    Parameters
    ----------
    curve : list of (int, float)
        Step and score on sequences that were not trained on.
    solved_at : int or None
        Step of the first score that is as good as done.
    parameters : int
    seconds : float
        Of the processor.
    """

    curve: list[tuple[int, float]]
    solved_at: int | None
    parameters: int
    seconds: float


def learn(name: str, task: Task, budget: Budget, *, seed: int) -> Learnt:
    """Train a fresh network; the same seed draws the same sequences for all of them."""
    started = time.process_time()
    network = build(
        name,
        task,
        hidden_size=budget.hidden_size,
        generator=torch.Generator().manual_seed(seed),
    )
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, budget.learning_rate)
    draws = torch.Generator().manual_seed(1000 + seed)
    judged = task.draw(JUDGED, torch.Generator().manual_seed(2000 + seed))
    curve: list[tuple[int, float]] = []
    with torch_settings():
        for step in range(1, budget.steps + 1):
            batch = task.draw(budget.batch_size, draws)
            loss = task.loss(network(batch.x), batch.answer)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, budget.clip)
            optimizer.step()
            if step % budget.check_every == 0 or step == budget.steps:
                with torch.no_grad():
                    curve.append((step, task.score(network(judged.x), judged.answer)))
                if task.solved(curve[-1][1]):
                    break
    solved_at = curve[-1][0] if task.solved(curve[-1][1]) else None
    size = sum(each.numel() for each in parameters)
    return Learnt(curve, solved_at, size, time.process_time() - started)
