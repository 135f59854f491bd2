"""The mixture of reference forecasts with the least mean absolute error, its gradient written out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Mixture", "fit_mixtures", "mixture_weights"]

LEAN = 10.0  # by which the logit of a reference starts lower for an error twice the smallest
SHRINKAGE = 1.0
TRUST = 5.0  # largest power of its recent error by which the weight of a reference falls
TRUST_AT_FIRST = 2.0
RATE, MOMENTUM, SQUARES = 0.6, 0.5, 0.97  # of Adam (Kingma and Ba 2015); the rate falls to zero
PARTS = 4  # that many samples are cut into; the first steps see a part each
MANY = 1000  # samples that are cut
STEPS = ((16, 14), (12, 14))  # on parts and on all: from the references, on to track records


class Mixture(NamedTuple):
    """Weights of references as logits, shape (reference, horizon), and how far records move them."""

    logits: Tensor
    trust: Tensor


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

    def parts(self, count: int) -> list[Samples]:
        """Return every so many of the samples, from the first on, from the second on, and so forth."""
        return [self.part(slice(first, None, count)) for first in range(count)]

    def part(self, which: slice) -> Samples:
        """Return some of the samples; their importance, too, sums to 1."""
        references, target, importance, record = self
        importance = importance[:, which]
        return Samples(
            references[..., which].contiguous(),
            target[:, which].contiguous(),
            importance / importance.sum().clamp_min(1e-30),
            None if record is None else record[:, which].contiguous(),
        )


def mixture_weights(logits: Tensor, trust: Tensor, record: Tensor | None) -> Tensor:
    """Return weights from logits, lowered for a reference whose recent errors were large."""
    if record is not None:
        logits = logits - trust * record.unsqueeze(-1)
    return torch.softmax(logits, -2)


@torch.no_grad()
def fit_mixtures(
    references: Tensor, target: Tensor, weight: Tensor, record: Tensor | None = None
) -> tuple[Mixture, Mixture]:
    """Return the mixture of the least mean absolute error, and the one that follows track records.

    All steps of the horizon share logits, each adds a shrunken part of its own. The shared logits lean
    towards the methods that are best on average, the more the fewer samples there are. The second mixture
    is sought from the first on; without records they are the same.

    Parameters
    ----------
    references : Tensor of shape (sample, reference, horizon)
    target, weight : Tensor of shape (sample, horizon)
        Both 0 where not observed.
    record : Tensor of shape (sample, reference), optional
    """
    total = weight.sum().clamp_min(1)
    samples = Samples(
        references.permute(2, 1, 0).contiguous(),
        target.t().contiguous(),
        (weight / total).t().contiguous(),
        None,
    )
    away = (samples.references - samples.target.unsqueeze(1)).abs_()
    each = torch.bmm(away, samples.importance.unsqueeze(-1)).sum((0, 2))
    least = each.min()
    lean = -LEAN * (each / least.clamp_min(1e-30) - 1).clamp_max_(1.0)
    shrinkage = 2 * SHRINKAGE * float(least) / math.sqrt(float(total))
    start = torch.cat([lean, lean.new_zeros(references[0].numel() + 1)])
    plain = _descend(samples, start, lean, shrinkage, STEPS[0])
    if record is None:
        return (_mixture(plain, lean),) * 2
    samples = samples._replace(record=record.t().contiguous())
    start = plain.clone()
    start[-1] = TRUST_AT_FIRST
    following = _descend(samples, start, lean, shrinkage, STEPS[1])
    return _mixture(plain, lean), _mixture(following, lean)


def _mixture(sought: Tensor, lean: Tensor) -> Mixture:
    """Return the mixture of shared logits, (reference,), those of each step, and trust, end to end."""
    shared, own = sought[: len(lean)], sought[len(lean) : -1]
    return Mixture(shared.unsqueeze(-1) + own.view(len(lean), -1), sought[-1])


def _descend(
    samples: Samples, start: Tensor, lean: Tensor, shrinkage: float, steps: tuple[int, int]
) -> Tensor:
    """Return what Adam finds in so many steps on parts of the samples and then on all."""
    parts = samples.parts(PARTS) if samples.target.shape[1] >= MANY else [samples]
    seen = [parts[step % len(parts)] for step in range(steps[0])] + [samples] * steps[1]
    sought = start.clone()
    grad, mean, square = (torch.zeros_like(sought) for _ in range(3))
    sizes = [len(lean), len(sought) - len(lean) - 1, 1]
    (shared, own, trust), (of_shared, of_own, of_trust) = sought.split(sizes), grad.split(sizes)
    for step, some in enumerate(seen):
        by_logits, by_trust = slope(some, *_mixture(sought, lean))
        torch.sub(shared, lean, out=of_shared).mul_(shrinkage / sizes[0]).add_(by_logits.sum(-1))
        torch.add(by_logits.flatten(), own, alpha=shrinkage / sizes[1], out=of_own)
        of_trust.copy_(by_trust)
        mean.lerp_(grad, 1 - MOMENTUM)
        square.lerp_(grad.square(), 1 - SQUARES)
        size = (square / (1 - SQUARES ** (step + 1))).sqrt_().add_(1e-8)
        rate = RATE * (1 - step / len(seen)) / (1 - MOMENTUM ** (step + 1))
        sought.addcdiv_(mean, size, value=-rate)
        trust.clamp_(0, TRUST)
    return sought


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
