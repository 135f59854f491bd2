"""The pinball loss of quantiles around a median, its gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["pinball"]


def pinball(error: Tensor, spread: Tensor, below: Tensor, above: Tensor, lean: Tensor) -> Tensor:
    """Return twice the pinball loss summed over levels (Koenker and Bassett 1978).

    That of a level is ``|e| + lean * e`` with ``e = error - offset * spread`` and ``lean = 2 * level - 1``.
    The levels are added one by one, so that nothing larger than the errors is ever made.

    Parameters
    ----------
    error : Tensor of shape (..., horizon)
        Target minus median.
    spread : Tensor of shape (..., 2, horizon)
        Below and above the median.
    below, above : Tensor of shape (horizon, level)
        Offsets of the levels on either side, in units of the spread.
    lean : Tensor of shape (level,)
        Of all levels, the median's (0) between those below and above.

    Returns
    -------
    Tensor of shape (..., horizon)
    """
    summed: Tensor = _Pinball.apply(error, spread, below, above, lean)  # type: ignore[no-untyped-call]
    return summed


class _Pinball(Function):
    @staticmethod
    def forward(
        ctx: Any, error: Tensor, spread: Tensor, below: Tensor, above: Tensor, lean: Tensor
    ) -> Tensor:
        errors, aways = _by_step(error), [_by_step(side) for side in spread.unbind(-2)]
        ctx.save_for_backward(errors, *aways, below, above, lean)
        ctx.shape = error.shape
        leans = lean[: below.shape[1]], lean[below.shape[1] + 1 :]
        summed = errors.abs().add_(errors, alpha=float(lean.sum()))
        moved = torch.empty_like(errors)
        for away, offsets, slopes in zip(aways, (below, above), leans, strict=True):
            summed.addcmul_((offsets @ slopes).unsqueeze(1), away, value=-1)
            for offset in offsets.T.unsqueeze(-1):
                summed.add_(torch.addcmul(errors, offset, away, value=-1, out=moved).abs_())
        return _as_before(summed, error.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        errors, *aways, below, above, lean = ctx.saved_tensors
        leans, passed = (lean[: below.shape[1]], lean[below.shape[1] + 1 :]), _by_step(grad)
        of_error, sign = errors.sign().add_(lean.sum()), torch.empty_like(errors)
        of_spread = grad.new_empty(*grad.shape[:-1], 2, grad.shape[-1])
        of_offsets = [torch.empty_like(below), torch.empty_like(above)]
        for side, (away, offsets) in enumerate(zip(aways, (below, above), strict=True)):
            weighed = passed * away
            of_away = torch.zeros_like(away)
            columns = offsets.T.unsqueeze(-1)
            for level, (offset, slope) in enumerate(zip(columns, leans[side], strict=True)):
                torch.addcmul(errors, offset, away, value=-1, out=sign).sign_()
                of_error.add_(sign)
                of_away.addcmul_(offset, sign.add_(slope), value=-1)
                of_offsets[side][:, level] = -torch.linalg.vecdot(sign, weighed)
            of_spread[..., side, :] = _as_before(of_away.mul_(passed), ctx.shape)
        return _as_before(of_error.mul_(passed), ctx.shape), of_spread, *of_offsets, None


def _by_step(values: Tensor) -> Tensor:
    """Return values (..., horizon) as (horizon, value), each step's end to end."""
    return values.reshape(-1, values.shape[-1]).t().contiguous()


def _as_before(values: Tensor, shape: torch.Size) -> Tensor:
    return values.t().reshape(shape)
