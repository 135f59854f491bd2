"""Encoders: a stack of recurrent layers that reads a sequence and says its state at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["CELLS", "RecurrentEncoder", "dropout"]

CELLS = ("gru", "lstm", "rnn", "rnn_relu")
State = tuple[Tensor, ...]


def dropout(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Set a random share of ``x`` to zero and scale the rest up; nothing without a generator.

    The randomness comes from ``generator``, never from torch's global one.
    """
    if generator is None or probability == 0:
        return x
    keep = torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - probability, generator=generator)
    return x * keep.to(x.device) / (1 - probability)


class RecurrentEncoder(nn.Module):
    """Stacked Elman, LSTM or GRU layers (Elman 1990; Hochreiter and Schmidhuber 1997; Cho et al. 2014).

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    cell : {"gru", "lstm", "rnn", "rnn_relu"}
        "rnn" is Elman's network with tanh, "rnn_relu" with max(0, x).
    dropout : float
        Share of each layer's output that is dropped before the next layer, in training.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int, *, cell: str, dropout: float
    ) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        self.dropout = dropout
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList([_layer(cell, size, hidden_size) for size in sizes])

    def forward(
        self, x: Tensor, state: State | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Read a sequence.

        Parameters
        ----------
        x : Tensor of shape (batch, step, feature)
        state : tuple of Tensor, each of shape (layer, batch, hidden), optional
            Where reading goes on from: (h,) or, for the LSTM, (h, c). Zeros when not given.
        generator : torch.Generator, optional
            Source of dropout; without it nothing is dropped.

        Returns
        -------
        hidden : Tensor of shape (batch, step, hidden)
            State of the top layer at every step.
        state : tuple of Tensor, each of shape (layer, batch, hidden)
        """
        new: list[State] = []
        for i, layer in enumerate(self.layers):
            if i:
                x = dropout(x, self.dropout, generator)
            before = (
                None if state is None else tuple(part[i : i + 1].contiguous() for part in state)
            )
            x, after = layer(x, before if self.cell == "lstm" or before is None else before[0])
            new.append(after if self.cell == "lstm" else (after,))
        return x, tuple(torch.cat(parts) for parts in zip(*new, strict=True))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: uniform inputs, orthogonal recurrence, forget gates open (bias 1).

        Orthogonal recurrence: Saxe et al. 2014; forget bias: Jozefowicz et al. 2015.
        """
        with torch.no_grad():
            for layer in self.layers:
                for name, weight in layer.named_parameters():
                    if name.startswith("weight_hh"):
                        for block in weight.split(self.hidden_size):
                            block.copy_(_orthogonal(self.hidden_size, generator))
                    elif name.startswith("weight_ih"):
                        bound = math.sqrt(3.0 / weight.shape[1])
                        draw = torch.empty(weight.shape).uniform_(
                            -bound, bound, generator=generator
                        )
                        weight.copy_(draw / math.sqrt(2.0))
                    else:
                        weight.zero_()
                        if self.cell == "lstm" and name.startswith("bias_ih"):
                            forget = weight.split(self.hidden_size)[1]  # gates: i, f, g, o
                            forget.fill_(1.0)


def _layer(cell: str, input_size: int, hidden_size: int) -> nn.RNNBase:
    if cell == "gru":
        return nn.GRU(input_size, hidden_size, batch_first=True)
    if cell == "lstm":
        return nn.LSTM(input_size, hidden_size, batch_first=True)
    nonlinearity = "relu" if cell == "rnn_relu" else "tanh"
    return nn.RNN(input_size, hidden_size, batch_first=True, nonlinearity=nonlinearity)


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.empty(size, size).normal_(generator=generator))
    return q * r.diagonal().sign()
