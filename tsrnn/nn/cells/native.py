"""Elman network, LSTM and GRU: a step as the equations say, a sequence as torch computes it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from tsrnn.nn import kernels
from tsrnn.nn.cells.contract import Cell, State

__all__ = ["GRU", "LSTM", "RNN", "ReLURNN"]


class _Native(Cell):
    """A cell whose sequences torch reads; ``rnn`` is torch's layer, with torch's names of the weights."""

    rnn: nn.RNNBase

    def project(self, x: Tensor) -> Tensor:
        """Return the products with the input and the biases beside them."""
        return linear(x, *self._weights("ih"))

    def _recurrent(self, h: Tensor) -> Tensor:
        return linear(h, *self._weights("hh"))

    def _weights(self, side: str) -> tuple[Tensor, Tensor]:
        return self.rnn.get_parameter(f"weight_{side}_l0"), self.rnn.get_parameter(
            f"bias_{side}_l0"
        )

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence; see :meth:`Cell.forward`."""
        if state is None:
            hidden, after = self.rnn(x)
        else:
            before = tuple(part.unsqueeze(0).contiguous() for part in state)
            hidden, after = self.rnn(x, before if len(before) > 1 else before[0])
        return hidden, tuple(part[0] for part in (after if len(self.parts) > 1 else (after,)))


class RNN(_Native):
    """Elman 1990: h' = tanh(W x + b + U h + c)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.rnn = nn.RNN(input_size, hidden_size, batch_first=True)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        return (torch.tanh(projected + self._recurrent(state[0])),)


class ReLURNN(_Native):
    """Elman's network with max(0, x): h' = max(0, W x + b + U h + c) (Le, Jaitly and Hinton 2015)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.rnn = nn.RNN(input_size, hidden_size, batch_first=True, nonlinearity="relu")

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        return (torch.relu(projected + self._recurrent(state[0])),)


class LSTM(_Native):
    """Hochreiter and Schmidhuber 1997 with forget gate (Gers, Schmidhuber and Cummins 2000).

    i, f, o = sigmoid(W x + b + U h + d), g = tanh(W x + b + U h + d), each with weights of its own;
    c' = f c + i g; h' = o tanh(c'). Forget gates start open: bias 1 (Jozefowicz et al. 2015, section 2.3).
    """

    parts: ClassVar[tuple[str, ...]] = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, *, precision: str = "float32") -> None:
        super().__init__(input_size, hidden_size)
        self.rnn = kernels.LSTM(input_size, hidden_size, precision=precision)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        h, c = state
        i, f, g, o = self._gates(projected, h)
        c = f * c + i * g
        return o * torch.tanh(c), c

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return input gate i, forget gate f, candidate g and output gate o."""
        return dict(zip("ifgo", self._gates(self.project(x), state[0]), strict=True))

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        i, f, g, o = (projected + self._recurrent(h)).chunk(4, -1)
        return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; forget gates start open."""
        super().initialise(generator)
        self._weights("ih")[1].split(self.hidden_size)[1].fill_(1.0)


class GRU(_Native):
    """Cho et al. 2014 with the reset gate behind the product, as in cuDNN.

    r, z = sigmoid(W x + b + U h + d), n = tanh(W x + b + r (U h + d)), each with weights of its own;
    h' = (1 - z) n + z h.
    """

    def __init__(self, input_size: int, hidden_size: int, *, precision: str = "float32") -> None:
        super().__init__(input_size, hidden_size)
        self.rnn = kernels.GRU(input_size, hidden_size, precision=precision)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        (h,) = state
        _, z, n = self._gates(projected, h)
        return ((1 - z) * n + z * h,)

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return reset gate r, update gate z (of what is kept) and candidate n."""
        return dict(zip("rzn", self._gates(self.project(x), state[0]), strict=True))

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        xr, xz, xn = projected.chunk(3, -1)
        hr, hz, hn = self._recurrent(h).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        return r, z, torch.tanh(xn + r * hn)
