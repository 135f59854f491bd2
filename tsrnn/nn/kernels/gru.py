"""The GRU over a sequence with its backward pass written out (Cho et al. 2014, in torch's form)."""

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
from tsrnn.nn.kernels.products import add_product_, product, product_

__all__ = ["gru", "read_gru"]


def gru(
    x: Tensor,
    start: Tensor,
    weight: Tensor,
    new_weight: Tensor,
    operands: torch.dtype | None = None,
) -> Tensor:
    """Return the state after every step, shape (step, hidden, batch).

    With ``s = [h, x, 1]``: ``r, z, q = weight s`` (r and z through the sigmoid),
    ``n = tanh(new_weight [x, 1] + r * q)``, ``h' = (1 - z) * n + z * h``. One product a step reads
    state, inputs and bias together.

    Parameters
    ----------
    x : Tensor of shape (step, feature, batch)
    start : Tensor of shape (hidden, batch)
        State before the first step.
    weight : Tensor of shape (3 * hidden, hidden + feature + 1)
        Zero where q would read x.
    new_weight : Tensor of shape (hidden, feature + 1)
    operands : torch.dtype, optional
        What the operands of matrix products are rounded to; states and sums keep the dtype of x.
    """
    operands = operands or x.dtype
    states: Tensor = _GRU.apply(x, start, weight, new_weight, operands)  # type: ignore[no-untyped-call]
    return states


def read_gru(x: Tensor, start: Tensor, weight: Tensor, new_weight: Tensor) -> Tensor:
    """Return the states of :func:`gru`, without a gradient: nothing else of a step is kept."""
    size, batch = start.shape
    row = torch.cat([start, x[0], torch.ones_like(start[:1])])
    h, seen = row[:size], row[size:]
    gates, n = x.new_empty(3 * size, batch), x.new_empty(size, batch)
    r, z, q = gates.split(size)
    states, doubled = x.new_empty(len(x), size, batch), 2 * new_weight
    for inputs, state in zip(x.unbind(), states.unbind(), strict=True):
        seen[:-1] = inputs
        torch.mm(weight, row, out=gates)
        gates[: 2 * size].sigmoid_()
        torch.mm(doubled, seen, out=n)
        halved_tanh_(n.addcmul_(r, q, value=2))
        torch.lerp(n, h, z, out=h)
        state.copy_(h)
    return states


class _GRU(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        start: Tensor,
        weight: Tensor,
        new_weight: Tensor,
        operands: torch.dtype,
    ) -> Tensor:
        rows, size = read_rows(x, start), len(start)
        inner = x.new_empty(len(x), 4 * size, x.shape[2])  # r, z, q, n
        rzq, rz, r, z, q, n = views(inner, size, (0, 3), (0, 2), (0, 1), (1, 2), (2, 3), (3, 4))
        row, h = rows.unbind(), rows[:, :size].unbind()
        rounded, doubled = weight.to(operands), (2 * new_weight).to(operands)
        for t, fresh in enumerate(product(doubled, rows[:-1, size:]).unbind()):
            product_(rzq[t], rounded, row[t])
            rz[t].sigmoid_()
            halved_tanh_(torch.addcmul(fresh, r[t], q[t], value=2, out=n[t]))
            torch.lerp(n[t], h[t], z[t], out=h[t + 1])
        ctx.save_for_backward(rows, inner, weight, new_weight)
        ctx.operands = operands
        return rows[1:, :size]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, inner, weight, new_weight = ctx.saved_tensors
        steps, size, batch = grad.shape
        needs_x, operands = ctx.needs_input_grad[0], ctx.operands
        rz, r, z, q, n = views(inner, size, (0, 2), (0, 1), (1, 2), (2, 3), (3, 4))
        h, row = rows[:, :size].unbind(), rows.transpose(1, 2).unbind()
        grad_weight = torch.zeros_like(weight)
        of_new = grad.new_empty(steps, size, batch)
        of_x = grad.new_empty(steps, rows.shape[1] - size - 1, batch) if needs_x else None
        read = (weight[:, :-1] if needs_x else weight[:, :size]).t().contiguous().to(operands)
        of_row = grad.new_empty(len(read), batch)
        carried = of_row[:size].zero_()
        of_rzq, of_gates = grad.new_empty(3 * size, batch), grad.new_empty(2 * size, batch)
        of_rz, of_q, of_r, of_z = (
            of_rzq[: 2 * size],
            of_rzq[2 * size :],
            of_gates[:size],
            of_gates[size:],
        )
        total, kept = torch.empty_like(carried), torch.empty_like(carried)
        for t, (outer, fresh) in reversed(
            list(enumerate(zip(grad.unbind(), of_new.unbind(), strict=True)))
        ):
            torch.add(carried, outer, out=total)
            torch.sub(h[t], n[t], out=of_z)
            of_z.mul_(total)
            torch.mul(total, z[t], out=kept)
            total.sub_(kept)
            tanh_backward(total, n[t], grad_input=fresh)
            torch.mul(fresh, q[t], out=of_r)
            torch.mul(fresh, r[t], out=of_q)
            sigmoid_backward(of_gates, rz[t], grad_input=of_rz)
            rounded = of_rzq.to(operands)
            add_product_(grad_weight, rounded, row[t])
            product_(of_row, read, rounded)
            carried.add_(kept)
            if of_x is not None:
                of_x[t] = of_row[size:]
        grad_weight[2 * size :, size:-1] = 0
        grad_new = product(of_new.to(operands), rows[:-1, size:].transpose(1, 2)).sum(0)
        if of_x is not None:
            of_x += product(new_weight[:, :-1].t().to(operands), of_new)
        return of_x, carried, grad_weight, grad_new, None
