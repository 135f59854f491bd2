"""Training of one network on one task: the same budget, optimiser and clipping for all."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from classic.models import Recurrent, build
from classic.tasks import Task
from tsrnn.inference import torch_settings
from tsrnn.inspection import gradient_by_lag
from tsrnn.inspection.gradients import spread_lags

__all__ = ["Budget", "Learnt", "learn"]

JUDGED = 1000  # fresh sequences behind a score
FOLLOWED = 4  # of them, along which gradients are followed
LONGEST = 200  # steps


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
    gradients : list of (int, float, float)
        Lag, and the norm of dh_t/dh_(t-lag) before and after training, median over some sequences; empty for
        networks without a state.
    """

    curve: list[tuple[int, float]]
    solved_at: int | None
    parameters: int
    seconds: float
    gradients: list[tuple[int, float, float]] = field(default_factory=list)


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
    before = _gradients(network, judged.x)
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
    seconds = time.process_time() - started
    after = _gradients(network, judged.x)
    by_lag = [(lag, norm, after[lag]) for lag, norm in before.items()]
    return Learnt(curve, solved_at, size, seconds, by_lag)


def _gradients(network: nn.Module, x: Tensor) -> dict[int, float]:
    """Return the norm of dh_t/dh_(t-k) by lag k."""
    if not isinstance(network, Recurrent):
        return {}
    encoder = copy.deepcopy(network.encoder).double().requires_grad_(requires_grad=False)
    lags = spread_lags(min(x.shape[1] - 1, LONGEST))
    norms = gradient_by_lag(encoder, x[:FOLLOWED].double(), lags).median(0).values
    return dict(zip(lags, norms.tolist(), strict=True))
