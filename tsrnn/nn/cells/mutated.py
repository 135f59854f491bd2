"""MUT1, MUT2 and MUT3: cells that a search over ten thousand of them found.

Jozefowicz, Zaremba and Sutskever 2015, "An Empirical Exploration of Recurrent Network Architectures",
section 4. Where the paper lets the input x in without a matrix, it is as wide as the state there; here it goes
through a matrix W of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from tsrnn.nn.cells.contract import Cell, State

__all__ = ["MUT1", "MUT2", "MUT3"]


class _Mutated(Cell):
    """h' = tanh(U (r h) + ...) z + h (1 - z); blocks of weights in the order z, r, h."""

    def __init__(self, input_size: int, hidden_size: int, recurrent: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(recurrent * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """Return W x + b for z, r and the candidate."""
        return linear(x, self.weight_ih, self.bias)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        (h,) = state
        z, _, candidate = self._gates(projected, h)
        return (torch.lerp(h, candidate, z),)

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return update gate z (of what is new), reset gate r and the candidate h~."""
        return dict(zip(("z", "r", "h~"), self._gates(self.project(x), state[0]), strict=True))

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError


class MUT1(_Mutated):
    """z = sigmoid(W x + b), r = sigmoid(W x + U h + b), h' = tanh(U (r h) + tanh(W x) + b) z + h (1 - z)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, recurrent=2)

    def project(self, x: Tensor) -> Tensor:
        """Return z, W x + b for r, and tanh(W x) + b."""
        size = 2 * self.hidden_size
        z, r = linear(x, self.weight_ih[:size], self.bias[:size]).chunk(2, -1)
        new = linear(x, self.weight_ih[size:]).tanh() + self.bias[size:]
        return torch.cat([z.sigmoid(), r, new], -1)

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, xr, xh = projected.chunk(3, -1)
        of_r, of_h = self.weight_hh.chunk(2)
        r = torch.addmm(xr, h, of_r.T).sigmoid()
        return z, r, torch.addmm(xh, r * h, of_h.T).tanh()


class _TwoGates(_Mutated):
    """h' = tanh(U (r h) + W x + b) z + h (1 - z)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, recurrent=3)


class MUT2(_TwoGates):
    """z, r = sigmoid(W x + U h + b), h' = tanh(U (r h) + W x + b) z + h (1 - z); for r the paper has W = 1.

    Where W of r is a matrix, too, this is the GRU of Cho et al. 2014 with the reset gate before the product.
    """

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        size = 2 * self.hidden_size
        z, r = torch.addmm(projected[:, :size], h, self.weight_hh[:size].T).sigmoid().chunk(2, -1)
        return z, r, torch.addmm(projected[:, size:], r * h, self.weight_hh[size:].T).tanh()


class MUT3(_TwoGates):
    """As MUT2, with z = sigmoid(W x + U tanh(h) + b), and r = sigmoid(W x + U h + b)."""

    def _gates(self, projected: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        xz, xr, xh = projected.chunk(3, -1)
        of_z, of_r, of_h = self.weight_hh.chunk(3)
        z = torch.addmm(xz, h.tanh(), of_z.T).sigmoid()
        r = torch.addmm(xr, h, of_r.T).sigmoid()
        return z, r, torch.addmm(xh, r * h, of_h.T).tanh()
