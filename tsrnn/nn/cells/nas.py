"""The NAS cell: a cell whose wiring a controller network found.

Zoph and Le 2017, "Neural Architecture Search with Reinforcement Learning", figure 8 and appendix A, wired as
``tf.contrib.rnn.NASCell(use_bias=True)``, the authors' own code.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence; see :meth:`Cell.forward`."""
        if not torch.is_grad_enabled():
            return super().forward(x, state)
        h, c = self.zero_state(len(x), like=x) if state is None else state
        hidden, c = _Sequence.apply(  # type: ignore[no-untyped-call]
            x.transpose(0, 1).contiguous(), h, c, self.weight_ih, self.weight_hh, self.bias
        )
        return hidden.transpose(0, 1), (hidden[-1], c)

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


class _Sequence(torch.autograd.Function):
    """All steps, with a backward pass of its own.

    Products and derivatives are worked out step by step while what they need is still in the
    processor's cache, where all of W x and its gradient, as wide as eight states, would not be.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        size = h.shape[1]
        third = slice(3 * size, 4 * size)  # the product that is not a sum: x3 stays apart
        joint = torch.cat([u, w], 1)
        joint[third, size:] = 0.0
        x3s = x @ w[third].T
        hidden, saved = x.new_empty(len(x), *h.shape), []
        start, transposed = h, joint.T.contiguous()
        for t, x3 in enumerate(x3s):
            leaf = torch.addmm(b, torch.cat([h, x[t]], 1), transposed)
            l0, l1, l2, l3, l4, l5, l6, l7 = leaf.chunk(8, 1)
            m3 = l3.clone()
            l3.mul_(x3)
            for part in (l0, l2, l5, l7):
                part.sigmoid_()
            for part in (l1, l3):
                part.relu_()
            for part in (l4, l6):
                _tanh_(part)
            s0, s1 = _tanh_(l0 * l1), _tanh_(l2 + l3)
            s2, s3 = _tanh_(l4 * l5), (l6 + l7).sigmoid_()
            k, q = _tanh_(s0 + c), _tanh_(s2 + s3)
            c = k * s1
            h = _tanh_(torch.mul(c, q, out=hidden[t]))
            saved += [leaf, m3, s0, s1, s2, s3, k, q, c]
        ctx.save_for_backward(x, start, w, joint, x3s, hidden, *saved)
        return hidden, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_hidden: Tensor, of_c: Tensor) -> tuple[Tensor, ...]:
        x, start, w, joint, x3s, hidden, *saved = ctx.saved_tensors
        size, each = start.shape[1], len(saved) // len(x)
        third = slice(3 * size, 4 * size)
        of_x, of_x3s, of_joint = torch.empty_like(x), torch.empty_like(x3s), torch.zeros_like(joint)
        of_h, of_b, of_m = (
            torch.zeros_like(start),
            joint.new_zeros(len(joint)),
            torch.empty_like(saved[0]),
        )
        d0, d1, d2, d3, d4, d5, d6, d7 = of_m.chunk(8, 1)
        for t in range(len(x) - 1, -1, -1):
            leaf, m3, s0, s1, s2, s3, k, q, c = saved[each * t : each * (t + 1)]
            l0, l1, l2, l3, l4, l5, l6, l7 = leaf.chunk(8, 1)
            du = _through_tanh(of_h.add_(of_hidden[t]), hidden[t])  # h = tanh(u), u = c q
            dc = torch.addcmul(of_c, du, q)
            dv = _through_tanh(du * c, q)  # q = tanh(v), v = s2 + s3
            of_c = _through_tanh(dc * s1, k)  # k = tanh(s0 + c)
            a = _through_tanh(of_c, s0)
            torch.mul(a * l1, l0 - l0 * l0, out=d0)
            torch.mul(a * l0, l1.sign(), out=d1)
            a = _through_tanh(dc * k, s1)
            torch.mul(a, l2 - l2 * l2, out=d2)
            a = a * l3.sign()
            torch.mul(a, m3, out=of_x3s[t])
            torch.mul(a, x3s[t], out=d3)
            a = _through_tanh(dv, s2)
            torch.mul(a, l5, out=d4).addcmul_(d4 * l4, l4, value=-1)
            torch.mul(a * l4, l5 - l5 * l5, out=d5)
            a = dv * (s3 - s3 * s3)
            torch.addcmul(a, a * l6, l6, value=-1, out=d6)
            torch.mul(a, l7 - l7 * l7, out=d7)
            before = hidden[t - 1] if t else start
            of_joint.addmm_(of_m.T, torch.cat([before, x[t]], 1))
            of_b += of_m.sum(0)
            of_h, of_x[t] = (of_m @ joint).split([size, x.shape[2]], 1)
            of_h = of_h.contiguous()
        of_u, of_w = of_joint.split([size, x.shape[2]], 1)
        of_w[third] = of_x3s.flatten(0, 1).T @ x.flatten(0, 1)
        of_x += of_x3s @ w[third]
        return of_x, of_h, of_c, of_w, of_u, of_b


def _tanh_(x: Tensor) -> Tensor:
    """Turn fresh numbers into their tanh; torch's own takes several times as long as its sigmoid."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def _through_tanh(gradient: Tensor, result: Tensor) -> Tensor:
    return torch.addcmul(gradient, gradient * result, result, value=-1)
