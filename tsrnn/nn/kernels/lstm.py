"""The LSTM over a sequence with its backward pass written out (Hochreiter and Schmidhuber 1997; Gers 2000)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from tsrnn.nn.kernels.blocks import (
    halved_tanh_,
    read_rows,
    sigmoid_backward,
    tanh_backward,
    views,
)
from tsrnn.nn.kernels.products import add_product_, product_

__all__ = ["lstm"]


def lstm(
    x: Tensor,
    start: tuple[Tensor, Tensor],
    weight: Tensor,
    operands: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Return hidden state after every step, shape (step, hidden, batch), and the last cell state.

    With ``s = [h, x, 1]``: ``i, f, o, g = weight s`` (i, f, o through the sigmoid, g through tanh),
    ``c' = f * c + i * g``, ``h' = o * tanh(c')``. One product a step reads state, inputs and bias together.

    Parameters
    ----------
    x : Tensor of shape (step, feature, batch)
    start : tuple of Tensor, each of shape (hidden, batch)
        Hidden and cell state before the first step.
    weight : Tensor of shape (4 * hidden, hidden + feature + 1)
    operands : torch.dtype, optional
        What the operands of matrix products are rounded to; states and sums keep the dtype of x.
    """
    states, cell = _LSTM.apply(x, *start, weight, operands or x.dtype)  # type: ignore[no-untyped-call]
    return states, cell


class _LSTM(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, operands: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        rows, size, batch = read_rows(x, hidden), len(hidden), x.shape[2]
        cells, squashed = x.new_empty(2, len(x) + 1, size, batch)  # c, and tanh of c
        cells[0] = cell
        inner = x.new_empty(len(x), 4 * size, batch)
        ifo, i, f, o, g = views(inner, size, (0, 3), (0, 1), (1, 2), (2, 3), (3, 4))
        row, h, c, tanh = rows.unbind(), rows[:, :size].unbind(), cells.unbind(), squashed.unbind()
        doubled = torch.cat([weight[: 3 * size], 2 * weight[3 * size :]]).to(operands)
        for t, every in enumerate(inner.unbind()):
            product_(every, doubled, row[t])
            ifo[t].sigmoid_()
            halved_tanh_(g[t])
            torch.mul(f[t], c[t], out=c[t + 1])
            c[t + 1].addcmul_(i[t], g[t])
            halved_tanh_(torch.mul(c[t + 1], 2, out=tanh[t + 1]))
            torch.mul(o[t], tanh[t + 1], out=h[t + 1])
        ctx.save_for_backward(rows, cells, squashed, inner, weight)
        ctx.operands = operands
        return rows[1:, :size], cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
        rows, cells, squashed, inner, weight = ctx.saved_tensors
        size, batch, needs_x = grad.shape[1], grad.shape[2], ctx.needs_input_grad[0]
        operands = ctx.operands
        ifo, i, f, o, g = views(inner, size, (0, 3), (0, 1), (1, 2), (2, 3), (3, 4))
        c, tanh, row = cells.unbind(), squashed.unbind(), rows.transpose(1, 2).unbind()
        grad_weight = torch.zeros_like(weight)
        of_x = grad.new_empty(len(grad), rows.shape[1] - size - 1, batch) if needs_x else None
        read = (weight[:, :-1] if needs_x else weight[:, :size]).t().contiguous().to(operands)
        of_row = grad.new_empty(len(read), batch)
        total, of_c = of_row[:size].zero_(), grad_cell.clone()
        passed, blocks = torch.empty_like(of_c), grad.new_empty(4 * size, batch)
        of_ifo, of_g, activated = (
            blocks[: 3 * size],
            blocks[3 * size :],
            grad.new_empty(3 * size, batch),
        )
        of_i, of_f, of_o = activated.split(size)
        for t, outer in reversed(list(enumerate(grad.unbind()))):
            total.add_(outer)
            torch.mul(total, o[t], out=passed)
            tanh_backward(passed, tanh[t + 1], grad_input=passed)
            of_c.add_(passed)
            torch.mul(of_c, g[t], out=of_i)
            torch.mul(of_c, c[t], out=of_f)
            torch.mul(total, tanh[t + 1], out=of_o)
            torch.mul(of_c, i[t], out=passed)
            sigmoid_backward(activated, ifo[t], grad_input=of_ifo)
            tanh_backward(passed, g[t], grad_input=of_g)
            of_c.mul_(f[t])
            rounded = blocks.to(operands)
            add_product_(grad_weight, rounded, row[t])
            product_(of_row, read, rounded)
            if of_x is not None:
                of_x[t] = of_row[size:]
        return of_x, total, of_c, grad_weight, None
