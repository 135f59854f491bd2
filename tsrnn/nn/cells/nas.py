"""The NAS cell: a cell whose wiring a controller network found.

Zoph and Le 2017, "Neural Architecture Search with Reinforcement Learning", figure 8 and appendix A, wired as
``tf.contrib.rnn.NASCell(use_bias=True)``, the authors' own code.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tsrnn.nn.cells.contract import Cell, State

__all__ = ["NAS"]


class NAS(Cell):
    """The base cell that was found on the Penn Treebank.

    With x_k = W_k x, m_k = U_k h + b_k, k from 0 to 7, the leaves of the tree are
    l0 = sigmoid(x0 + m0), l1 = relu(x1 + m1), l2 = sigmoid(x2 + m2), l3 = relu(x3 m3),
    l4 = tanh(x4 + m4), l5 = sigmoid(x5 + m5), l6 = tanh(x6 + m6), l7 = sigmoid(x7 + m7); above them
    c' = tanh(tanh(l0 l1) + c) tanh(l2 + l3) and h' = tanh(c' tanh(tanh(l4 l5) + sigmoid(l6 + l7))).
    """

    parts: ClassVar[tuple[str, ...]] = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(8 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(8 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(8 * hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """Return W x."""
        return x @ self.weight_ih.T

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        h, c = state
        l0, l1, l2, l3, l4, l5, l6, l7 = self._leaves(projected, h)
        c = torch.tanh(torch.tanh(l0 * l1) + c) * torch.tanh(l2 + l3)
        return torch.tanh(c * torch.tanh(torch.tanh(l4 * l5) + torch.sigmoid(l6 + l7))), c

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return the leaves l0 to l7; l0, l2, l5 and l7 are gates between 0 and 1."""
        leaves = self._leaves(self.project(x), state[0])
        return {f"l{k}": leaf for k, leaf in enumerate(leaves)}

    def _leaves(self, projected: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        x = projected.chunk(8, -1)
        m = torch.addmm(self.bias, h, self.weight_hh.T).chunk(8, -1)
        sums = [a + b for a, b in zip(x, m, strict=True)]
        return (
            sums[0].sigmoid(),
            sums[1].relu(),
            sums[2].sigmoid(),
            torch.relu(x[3] * m[3]),
            sums[4].tanh(),
            sums[5].sigmoid(),
            sums[6].tanh(),
            sums[7].sigmoid(),
        )
