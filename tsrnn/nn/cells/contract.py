"""What a recurrent cell is: one step of its equations, and from it a layer that reads a sequence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

__all__ = ["Cell", "State"]

State = tuple[Tensor, ...]


class Cell(nn.Module, ABC):
    """A recurrent cell, and the layer that it makes: the equations of one step are all that must be written.

    A cell of your own is a subclass with :meth:`step`, given to the forecaster as it is:
    ``RNNForecaster(cell=MyCell)``. It is made by ``MyCell(input_size, hidden_size)``; its weights come from
    :meth:`initialise`, not from what the constructor may have put into them.

    Parameters
    ----------
    input_size : int
        Features read at each step.
    hidden_size : int
        Size of the hidden state.

    Attributes
    ----------
    parts : tuple of str
        Names of the parts of the state, as in the paper; the first is the hidden state.
    fixed : tuple of str
        Parts that always start at zero, where another initial state is learned.

    Examples
    --------
    >>> class Average(Cell):
    ...     def __init__(self, input_size, hidden_size):
    ...         super().__init__(input_size, hidden_size)
    ...         self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
    ...
    ...     def project(self, x):
    ...         return x @ self.weight_ih.T
    ...
    ...     def step(self, projected, state):
    ...         return (0.9 * state[0] + 0.1 * projected,)
    >>> layer = Average(3, 4)
    >>> layer.initialise(torch.Generator().manual_seed(0))
    >>> hidden, state = layer(torch.zeros(2, 5, 3))
    >>> hidden.shape, state[0].shape
    (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """

    parts: ClassVar[tuple[str, ...]] = ("h",)
    fixed: ClassVar[tuple[str, ...]] = ()

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Size of each part of the state; ``hidden_size`` where a cell says nothing else."""
        return (self.hidden_size,) * len(self.parts)

    def zero_state(self, batch: int, *, like: Tensor) -> State:
        """Return the state before the first step: tensors of shape (batch, size), zero, of the kind of ``like``."""
        return tuple(like.new_zeros(batch, size) for size in self.sizes)

    def project(self, x: Tensor) -> Tensor:
        """Return what :meth:`step` needs of the input, for all steps at once: by default the input itself.

        Parameters
        ----------
        x : Tensor of shape (..., input)

        Returns
        -------
        Tensor of shape (..., any)
        """
        return x

    @abstractmethod
    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step.

        Parameters
        ----------
        projected : Tensor of shape (batch, any)
            What :meth:`project` made of the step's input.
        state : tuple of Tensor, each of shape (batch, size)
            In the order of ``parts``.
        """

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:  # noqa: ARG002
        """Return what the gates of one step are, by their names in the paper; nothing where there are none.

        Parameters
        ----------
        x : Tensor of shape (batch, input)
        state : tuple of Tensor, each of shape (batch, size)
            The state before the step.
        """
        return {}

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence.

        Parameters
        ----------
        x : Tensor of shape (batch, step, input)
        state : tuple of Tensor, each of shape (batch, size), optional
            Where reading goes on from; zeros when not given.

        Returns
        -------
        hidden : Tensor of shape (batch, step, hidden)
        state : tuple of Tensor, each of shape (batch, size)
            After the last step.
        """
        if state is None:
            state = self.zero_state(len(x), like=x)
        hidden = []
        for projected in self.project(x.transpose(0, 1)).unbind():
            state = self.step(projected, state)
            hidden.append(state[0])
        return torch.stack(hidden, 1), state

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights from the generator alone.

        Recurrent matrices (named ``weight_hh...``) become orthogonal blocks (Saxe et al. 2014), other
        matrices uniform with the variance that keeps that of their input halved, everything else zero.
        """
        for name, weight in self.named_parameters():
            if _last(name).startswith("weight_hh"):
                for block in weight.split(self.hidden_size):
                    block.copy_(_orthogonal(self.hidden_size, generator))
            elif weight.dim() > 1:
                bound = math.sqrt(3.0 / weight[0].numel())
                draw = torch.empty(weight.shape).uniform_(-bound, bound, generator=generator)
                weight.copy_(draw / math.sqrt(2.0))
            else:
                weight.zero_()

    def input_weights(self) -> list[Tensor]:
        """Return the weights that the input meets (named ``weight_ih...``), each of shape (..., input)."""
        return [
            weight
            for name, weight in self.named_parameters()
            if _last(name).startswith("weight_ih")
        ]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.empty(size, size).normal_(generator=generator))
    return q * r.diagonal().sign()
