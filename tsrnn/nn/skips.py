"""Skip connections: what a layer read, beside what it said."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SKIPS", "Highway", "Residual", "make_skip"]

SKIPS = ("none", "residual", "highway")
CARRY = -2.0  # bias of the transform gate: at the start about seven eighths are carried


class Plain(nn.Module):
    """No skip: what the layer said."""

    def forward(self, read: Tensor, said: Tensor) -> Tensor:
        """Return what the layer said."""
        del read
        return said


class Residual(nn.Module):
    """What the layer said, added to what it read (He et al. 2016, eq. 1)."""

    def forward(self, read: Tensor, said: Tensor) -> Tensor:
        """Return the sum; both have the same shape."""
        return read + said


class Highway(nn.Module):
    """A gate between what the layer read and what it said (Srivastava, Greff and Schmidhuber 2015, eq. 3).

    t = sigmoid(W x + b); y = t h + (1 - t) x. The gate starts nearly closed (section 2.2): a deep stack
    begins as one that carries its input through.

    Parameters
    ----------
    size : int
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = nn.Linear(size, size)

    def forward(self, read: Tensor, said: Tensor) -> Tensor:
        """Return the mixture; all have shape (..., size)."""
        return torch.lerp(read, said, torch.sigmoid(self.gate(read)))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights."""
        bound = 1 / math.sqrt(self.gate.in_features)
        drawn = torch.empty(self.gate.weight.shape).uniform_(-bound, bound, generator=generator)
        self.gate.weight.copy_(drawn)
        self.gate.bias.fill_(CARRY)


def make_skip(kind: str, size: int) -> nn.Module:
    """Return the skip connection called ``kind`` around a layer that reads and says ``size`` values."""
    if kind == "highway":
        return Highway(size)
    return Residual() if kind == "residual" else Plain()
