"""Linear recurrences h' = k h + a, computed for all steps of a sequence at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["linear_scan"]

WIDE = 2**13  # numbers a step: so many keep the processor busy alone


def linear_scan(keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
    """Return h of every step of h_t = keep_t h_(t-1) + add_t.

    Sequences are cut into blocks that are run side by side, each from zero; then the blocks are joined one
    after the other (Blelloch 1990, in two levels). It multiplies shares between 0 and 1 and never divides
    by them, so that nothing overflows however long the sequence is.

    Parameters
    ----------
    keep, add : Tensor of shape (step, ...)
        What is kept lies between 0 and 1.
    start : Tensor of shape (...)
        h before the first step.

    Returns
    -------
    Tensor of shape (step, ...)
    """
    hidden: Tensor = _LinearScan.apply(keep, add, start)  # type: ignore[no-untyped-call]
    return hidden


class _LinearScan(torch.autograd.Function):
    """The gradient of the recurrence is the same recurrence, run from the end to the start."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
        hidden = _scan(keep, add, start)
        ctx.save_for_backward(keep, hidden, start)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, hidden, start = ctx.saved_tensors
        after = torch.cat([keep[1:], torch.zeros_like(keep[:1])])
        add = _scan(after.flip(0), grad.flip(0), torch.zeros_like(start)).flip(0)
        before = torch.cat([start.unsqueeze(0), hidden[:-1]])
        return add * before, add, add[0] * keep[0]


def _scan(keep: Tensor, add: Tensor, start: Tensor) -> Tensor:
    steps = len(keep)
    length = steps if start.numel() >= WIDE else math.isqrt(steps)
    whole = steps - steps % length
    hidden = torch.empty_like(add)
    blocks = hidden[:whole].unflatten(0, (-1, length))  # (block, step in block, ...)
    kept, added = (part[:whole].unflatten(0, (-1, length)) for part in (keep, add))
    if len(blocks) == 1:
        carried = start
        for t in range(whole):
            torch.addcmul(add[t], keep[t], carried, out=hidden[t])
            carried = hidden[t]
    else:
        blocks[:, 0] = added[:, 0]
        for j in range(1, length):
            torch.addcmul(added[:, j], kept[:, j], blocks[:, j - 1], out=blocks[:, j])
        shares = kept.cumprod(1)
        carried = start
        for block, share in zip(blocks, shares, strict=True):
            block.addcmul_(share, carried)
            carried = block[-1]
    for t in range(whole, steps):
        hidden[t] = add[t] + keep[t] * hidden[t - 1]
    return hidden
