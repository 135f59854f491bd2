"""Teacher forcing: which true values a stepwise head is fed in training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["TEACHER_FORCING", "Teacher"]

TEACHER_FORCING = ("never", "scheduled", "always")


class Teacher(NamedTuple):
    """Chooses which true values are fed, by how far training has come.

    Parameters
    ----------
    mode : {"scheduled", "always", "never"}
        "scheduled" feeds each true value with a probability that falls from 1 to 0 over training, one
        draw for each value (Bengio, Vinyals, Jaitly and Shazeer 2015, Scheduled sampling for sequence
        prediction with recurrent neural networks, section 2.4, linear decay).
    progress : float
        Share of training that is done, 0 to 1.
    generator : torch.Generator
        Source of the draws.
    """

    mode: str
    progress: float
    generator: torch.Generator

    @property
    def probability(self) -> float:
        """Probability that a true value is fed."""
        if self.mode == "scheduled":
            return min(max(1.0 - self.progress, 0.0), 1.0)
        return 1.0 if self.mode == "always" else 0.0

    def choose(self, truth: Tensor) -> Tensor | None:
        """Return the values that are fed, NaN where the network goes on from its own; None: all its own.

        Parameters
        ----------
        truth : Tensor of shape (batch, position, horizon)
            NaN where nothing was observed.
        """
        if self.probability == 0:
            return None
        if self.probability == 1:
            return truth
        drawn = torch.rand(truth.shape, generator=self.generator).to(truth.device)
        return truth.masked_fill(drawn >= self.probability, torch.nan)
