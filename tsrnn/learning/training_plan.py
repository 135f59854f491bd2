"""How to train: the numbers that a training follows, without the machinery that does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OPTIMIZERS", "TrainingPlan"]

OPTIMIZERS = ("adamw", "adam", "rmsprop", "adagrad", "sgd")
WARM_UP = 0.1  # share of the steps over which the learning rate rises
FINAL_RATE = 0.05  # share of the learning rate that is left at the end


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Parameters
    ----------
    max_steps : int
        Optimiser steps at most; the learning rate falls to a twentieth over them.
    max_time : float, optional
        Seconds at most.
    check_every : int
        Steps between two validations.
    patience : int, optional
        Validations without a better score before training ends (None: never).
    batch_size : int
    learning_rate : float
    optimizer : str
        One of ``OPTIMIZERS``.
    gradient_clip, gradient_clip_value : float, optional
        Largest norm of the whole gradient, largest absolute value of each entry.
    average : float
        Decay of the running average of the weights, which is what is validated and kept.
    warm_up : bool
        Let the learning rate rise over the first tenth of the steps.
    seed : int
    device : str
        An accelerator of Lightning: "cpu" or "cuda".
    verbose : int
        0 is silent, 1 shows a progress bar, 2 a model summary, too.
    trainer_params : mapping
        Passed on to ``pytorch_lightning.Trainer``.
    truncated_bptt : int, optional
        Recurrent steps of a chunk of a lane (:mod:`tsrnn.lanes`); None trains on random windows.
    """

    max_steps: int
    max_time: float | None
    check_every: int
    patience: int | None
    batch_size: int
    learning_rate: float
    optimizer: str
    gradient_clip: float | None
    gradient_clip_value: float | None
    average: float
    warm_up: bool
    seed: int
    device: str
    verbose: int
    trainer_params: Mapping[str, Any] = field(default_factory=dict)
    truncated_bptt: int | None = None

    def rate(self, step: int) -> float:
        """Return the share of the learning rate at a step: a linear rise, then half a cosine down."""
        progress = min(1.0, (step + 1) / self.max_steps)
        if self.warm_up and progress < WARM_UP:
            return progress / WARM_UP
        start = WARM_UP if self.warm_up else 0.0
        fall = 0.5 * (1 + math.cos(math.pi * (progress - start) / (1 - start)))
        return FINAL_RATE + (1 - FINAL_RATE) * fall
