"""The state before the first step: a parameter, or a map of what is constant for a series."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from tsrnn.nn.cells import State

__all__ = ["INITIAL_STATES", "InitialState"]

INITIAL_STATES = ("zero", "learned", "static")


class InitialState(nn.Module):
    """States to start from, one for each layer: s_0 = b, or s_0 = W v + b of the static covariates v.

    Both start at zero.

    Parameters
    ----------
    sizes : list of tuple of int
        Sizes of the parts of each layer's state; 0 for a part that always starts at zero.
    static_size : int
        Inputs that the static covariates make; 0 for a state that is the same for every series.
    """

    def __init__(self, sizes: list[tuple[int, ...]], static_size: int) -> None:
        super().__init__()
        self.sizes = sizes
        total = sum(map(sum, sizes))
        self.weight = nn.Parameter(torch.zeros(total, static_size)) if static_size else None
        self.bias = nn.Parameter(torch.zeros(total))

    def forward(self, batch: int, static: Tensor | None) -> list[State]:
        """Return what is added to each layer's zero state, parts of shape (batch, size).

        Parameters
        ----------
        batch : int
        static : Tensor of shape (batch, static), optional
            Needed where the states are a map of it.
        """
        if self.weight is None:
            values = self.bias.expand(batch, -1)
        elif static is None:
            raise ValueError("an initial state from static covariates needs their values")
        else:
            values = linear(static, self.weight, self.bias)
        parts = iter(values.split([size for each in self.sizes for size in each], 1))
        return [tuple(next(parts) for _ in each) for each in self.sizes]

    @torch.no_grad()
    def initialise(self) -> None:
        """Start at zero."""
        for parameter in self.parameters():
            parameter.zero_()
