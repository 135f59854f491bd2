"""Spreads that are wider where errors were larger lately than usual on that very series."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Watch"]

CREDIT = 2.0  # usual errors that every series is said to have made before
FARTHEST = 4.0  # times the usual: an outlier says no more, nor does a time without errors


class Watch(nn.Module):
    """How much wider or narrower spreads are, from recent errors.

    The factor is ``x ** power``, where x is the recent error relative to the usual one: some series are
    harder to forecast than their changes tell, and some times are. The power is chosen by validation
    (:mod:`tsrnn.learning.watching`); 0, at first, heeds no errors.
    """

    power: Tensor
    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("power", torch.zeros(()))
        self.register_buffer("usual", torch.ones(()))

    def reset(self) -> None:
        """Heed no errors."""
        self.power.zero_()
        self.usual.fill_(1.0)

    def relative(self, recent: Tensor) -> Tensor:
        """Return recent errors relative to the usual one.

        Parameters
        ----------
        recent : Tensor of shape (..., 2)
            Sum of errors by their weights, in units of the scale, and the sum of weights.
        """
        error, count = recent.unbind(-1)
        ratio = (error / self.usual + CREDIT) / (count + CREDIT)
        return ratio.clamp(1 / FARTHEST, FARTHEST)

    def forward(self, recent: Tensor) -> Tensor:
        """Return the factor on spreads, shape (...)."""
        return self.relative(recent) ** self.power
