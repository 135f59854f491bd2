"""The mixture of reference forecasts with the least mean absolute error, its gradient written out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["fit_mixture", "mixture_weights"]

LEAN = 10.0  # by which the logit of a reference starts lower for an error twice the smallest
SHRINKAGE = 1.0
TRUST = 5.0  # largest power of its recent error by which the weight of a reference falls
STEPS, RATE = 150, 0.1  # of Adam (Kingma and Ba 2015)


class Samples(NamedTuple):
    """What a mixture is fitted to.

    Parameters
    ----------
    references : Tensor of shape (horizon, reference, sample)
    target, importance : Tensor of shape (horizon, sample)
        The importance sums to 1.
    record : Tensor of shape (reference, sample), optional
        See :func:`~tsrnn.nn.track_record.track_record`.
    """

    references: Tensor
    target: Tensor
    importance: Tensor
    record: Tensor | None


def mixture_weights(logits: Tensor, trust: Tensor, record: Tensor | None) -> Tensor:
    """Return weights from logits, lowered for a reference whose recent errors were large."""
    if record is not None:
        logits = logits - trust * record.unsqueeze(-1)
    return torch.softmax(logits, -2)


@torch.no_grad()
def fit_mixture(
    references: Tensor, target: Tensor, weight: Tensor, record: Tensor | None = None
) -> tuple[Tensor, float]:
    """Return logits, shape (reference, horizon), and trust of the least mean absolute error.

    All steps of the horizon share logits, each adds a shrunken part of its own. The shared logits lean
    towards the methods that are best on average, the more the fewer samples there are.

    Parameters
    ----------
    references : Tensor of shape (sample, reference, horizon)
    target, weight : Tensor of shape (sample, horizon)
        Both 0 where not observed.
    record : Tensor of shape (sample, reference), optional
        Without it the trust is 0.
    """
    total = weight.sum().clamp_min(1)
    each = ((target.unsqueeze(-2) - references).abs() * weight.unsqueeze(-2)).sum((0, 2))
    lean = -LEAN * (each / each.min().clamp_min(1e-30) - 1).clamp_max(1.0)
    shrinkage = 2 * float(each.min() / total) * SHRINKAGE / math.sqrt(float(total))
    samples = Samples(
        references.permute(2, 1, 0).contiguous(),
        target.t().contiguous(),
        (weight / total).t().contiguous(),
        None if record is None else record.t().contiguous(),
    )
    shape = references.shape[1:]
    sizes = [len(lean), shape.numel(), 1]
    sought = torch.cat([lean, lean.new_zeros(sum(sizes[1:]))])
    grad, mean, square = (torch.zeros_like(sought) for _ in range(3))
    shared, own, trust = sought.split(sizes)
    of_shared, of_own, of_trust = grad.split(sizes)
    for step in range(1, STEPS + 1):
        by_logits, by_trust = slope(samples, shared.unsqueeze(-1) + own.view(shape), trust)
        of_shared.copy_(by_logits.sum(-1)).add_(shared - lean, alpha=shrinkage / len(lean))
        of_own.copy_(by_logits.flatten()).add_(own, alpha=shrinkage / len(own))
        of_trust.copy_(by_trust)
        mean.lerp_(grad, 0.1)
        square.lerp_(grad.square(), 0.001)
        size = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
        sought.addcdiv_(mean, size, value=-RATE / (1 - 0.9**step))
        trust.clamp_(0, TRUST)
    return shared.unsqueeze(-1) + own.view(shape), trust.item()


def slope(samples: Samples, logits: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of the mean absolute error by logits (reference, horizon), and by trust.

    The weight of a reference is ``share * lowered``, divided by its sum over the references: so no
    exponential is taken of every sample, reference and step at once.
    """
    references, target, importance, record = samples
    share = torch.softmax(logits, 0).t().contiguous()  # (horizon, reference)
    lowered, weighted = torch.ones_like(references[0]), references
    if record is not None:
        lowered = (-trust * record).exp_()  # (reference, sample)
        weighted = references * lowered
    total = share @ lowered  # (horizon, sample)
    said = torch.bmm(share.unsqueeze(1), weighted).squeeze(1).div_(total)
    pull = (said - target).sign_().mul_(importance).div_(total)
    back = pull * said

    def by(weighted: Tensor, lowered: Tensor) -> Tensor:
        along = torch.bmm(pull.unsqueeze(1), weighted.transpose(1, 2)).squeeze(1)
        return share * (along - back @ lowered.t())  # (horizon, reference)

    of_logits = by(weighted, lowered).t()
    if record is None:
        return of_logits, torch.zeros(())
    return of_logits, -by(weighted.mul_(record), lowered.mul_(record)).sum()
