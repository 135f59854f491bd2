"""No recurrence: a plain network on a window of the newest steps, the baseline in kind."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from tsrnn.nn.cells.contract import Cell, State

__all__ = ["WindowMLP"]

STEPS = 32


class WindowMLP(Cell):
    """A hidden layer on the inputs of the newest ``steps`` steps, and on nothing before them.

    h = max(0, W_0 x_t + W_1 x_(t-1) + ... + W_(K-1) x_(t-K+1) + b); a second layer on top reads its newest K
    outputs in turn (Waibel et al. 1989, "Phoneme Recognition Using Time-Delay Neural Networks"). The state
    holds, beside h, what the inputs up to now will add to each of the next K - 1 steps.

    Parameters
    ----------
    input_size, hidden_size : int
    steps : int
        K, the window's length in steps.
    """

    parts: ClassVar[tuple[str, ...]] = ("h", "ahead")

    def __init__(self, input_size: int, hidden_size: int, *, steps: int = STEPS) -> None:
        super().__init__(input_size, hidden_size)
        self.steps = steps
        self.weight_ih = nn.Parameter(torch.empty(steps * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Size of h, and of what is ahead."""
        return self.hidden_size, (self.steps - 1) * self.hidden_size

    def project(self, x: Tensor) -> Tensor:
        """Return what the input adds to its own step and to each of those after it."""
        return x @ self.weight_ih.T

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        size = self.hidden_size
        ahead = torch.cat([state[1], torch.zeros_like(projected[:, :size])], -1) + projected
        return torch.relu(ahead[:, :size] + self.bias), ahead[:, size:]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence; see :meth:`Cell.forward`."""
        batch, read, _ = x.shape
        kernel = self.weight_ih.unflatten(0, (self.steps, self.hidden_size))
        kernel = kernel.permute(1, 2, 0).flip(2)  # (hidden, input, step), the oldest first
        sums = conv1d(x.transpose(1, 2), kernel, padding=self.steps - 1).transpose(1, 2)
        if state is not None:
            before = state[1].unflatten(1, (self.steps - 1, self.hidden_size))
            sums = sums + torch.nn.functional.pad(before, (0, 0, 0, read))
        hidden = torch.relu(sums[:, :read] + self.bias)
        return hidden, (hidden[:, -1], sums[:, read:].reshape(batch, -1))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: uniform, with the variance that keeps half that of the whole window."""
        super().initialise(generator)
        self.weight_ih.div_(self.steps**0.5)
