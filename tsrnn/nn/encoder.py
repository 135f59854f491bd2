"""Encoders: a stack of recurrent layers that reads a sequence and says its state at every step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tsrnn.nn.cells import Cell, State, make_layer

__all__ = ["RecurrentEncoder", "State", "dropout"]


def dropout(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Set a random share of ``x`` to zero and scale the rest up; nothing without a generator.

    The randomness comes from ``generator``, never from torch's global one.
    """
    if generator is None or probability == 0:
        return x
    keep = torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - probability, generator=generator)
    return x * keep.to(x.device) / (1 - probability)


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    cell : str
        See :mod:`tsrnn.nn.cells`.
    dropout : float
        Share of each layer's output that is dropped before the next layer, in training.
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by name.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        cell: str,
        dropout: float,
        custom_cells: Mapping[str, type[Cell]] | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.dropout = dropout
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            [make_layer(cell, size, hidden_size, custom_cells) for size in sizes]
        )

    def forward(
        self, x: Tensor, state: State | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Read a sequence.

        Parameters
        ----------
        x : Tensor of shape (batch, step, feature)
        state : tuple of Tensor, each of shape (layer, batch, size), optional
            Where reading goes on from: the parts of the cell's state. Zeros when not given.
        generator : torch.Generator, optional
            Source of dropout; without it nothing is dropped.

        Returns
        -------
        hidden : Tensor of shape (batch, step, hidden)
            State of the top layer at every step.
        state : tuple of Tensor, each of shape (layer, batch, size)
        """
        new: list[State] = []
        for i, layer in enumerate(self._layers):
            if i:
                x = dropout(x, self.dropout, generator)
            x, after = layer(x, None if state is None else tuple(part[i] for part in state))
            new.append(after)
        return x, tuple(torch.stack(parts) for parts in zip(*new, strict=True))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; see :meth:`tsrnn.nn.cells.Cell.initialise`."""
        for layer in self._layers:
            layer.initialise(generator)

    def input_weights(self) -> list[Tensor]:
        """Return the weights that the input meets, each of shape (..., input)."""
        return self._layers[0].input_weights()

    @property
    def _layers(self) -> list[Cell]:
        return list(self.layers)  # type: ignore[arg-type]
