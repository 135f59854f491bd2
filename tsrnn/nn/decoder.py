"""The head: from the state at a step to what it says about the next steps of the horizon."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from tsrnn.nn.dropout import dropout
from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.scaling import squash

__all__ = ["MixtureHead"]

LEAN = 10.0  # by which the logit of a reference starts lower for an error twice the smallest
SHRINKAGE = 1.0
OUTLIER = 20.0  # medians beyond which an error says no more about the typical one
PLACE = 0.5  # largest entry of a segment's vector at the start


class MixtureHead(nn.Module):
    """Mix the reference forecasts, add a learned correction, and say how sure that is.

    For each step of the horizon the location is a convex combination of the reference forecasts plus
    ``unit`` times a correction; the weights of the combination start at a mixture fitted on the
    training data alone (:meth:`set_mixture`) and are moved by the state. The last layer starts at
    zero, so that an untrained head says exactly that mixture.

    A long horizon is said in segments that share their weights: each sees the state, its own place
    (a learned vector) and the reference forecasts of its own steps, so that neither parameters nor
    time grow with the square of the horizon.

    Parameters
    ----------
    state_size, feature_size, hidden_size : int
    horizon, references : int
    segment : int
        Steps that are said together; ``horizon`` for all at once.
    dropout : float
    """

    unit: Tensor
    start: Tensor  # logits of the fitted mixture, before training moved them
    share: Tensor  # of what was learned that is said; the rest is the fitted mixture

    def __init__(
        self,
        *,
        state_size: int,
        feature_size: int,
        hidden_size: int,
        horizon: int,
        references: int,
        segment: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.references = references
        self.segment = segment
        self.segments = -(-horizon // segment)
        self.dropout = dropout
        self.mixture = nn.Parameter(torch.zeros(references, horizon))
        self.register_buffer("start", torch.zeros(references, horizon))
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("unit", torch.ones(horizon))
        self.known = nn.Linear(state_size + feature_size, hidden_size)
        self.ahead = nn.Linear(references * segment, hidden_size, bias=False)
        self.place = nn.Parameter(torch.zeros(self.segments, hidden_size))
        self.out = nn.Linear(hidden_size, (3 + references) * segment)

    def forward(
        self,
        state: Tensor,
        features: Tensor,
        references: Tensor,
        *,
        anchor: Tensor,
        scale: Tensor,
        generator: torch.Generator | None = None,
    ) -> HeadValues:
        """Say location and spreads.

        Parameters
        ----------
        state : Tensor of shape (batch, position, hidden)
        features : Tensor of shape (batch, position, feature)
        references : Tensor of shape (batch, position, reference, horizon)
            Reference forecasts relative to the anchor, in units of the scale.
        anchor, scale : Tensor of shape (batch, position), float64
        generator : torch.Generator, optional
            Source of dropout in training.
        """
        known = self.known(torch.cat([state, features], -1)).unsqueeze(-2)
        seen = known + self.ahead(self._cut(squash(references))) + self.place
        said = self._joined(self.out(dropout(gelu(seen), self.dropout, generator)))
        weights = torch.softmax(self.mixture + said[..., 3:, :], -2)
        location = (weights * references).sum(-2) + self.unit * said[..., 0, :]
        spread = said[..., 1:3, :]
        if self.share < 1:
            start = (torch.softmax(self.start, -2) * references).sum(-2)
            location = torch.lerp(start, location, self.share)
            spread = torch.mul(spread, self.share)
        unit = self.unit.expand_as(location)
        return HeadValues(location, spread, unit, anchor.unsqueeze(-1), scale.unsqueeze(-1))

    def _cut(self, references: Tensor) -> Tensor:
        """Cut (..., reference, horizon) into segments of shape (..., segment, reference * step)."""
        if self.segments == 1:
            return references.flatten(-2).unsqueeze(-2)
        missing = self.segments * self.segment - self.horizon
        padded = pad(references, (0, missing)) if missing else references
        return padded.unflatten(-1, (self.segments, self.segment)).transpose(-3, -2).flatten(-2)

    def _joined(self, said: Tensor) -> Tensor:
        """Join what the segments say, (..., segment, value * step), to (..., value, horizon)."""
        values = said.unflatten(-1, (3 + self.references, self.segment))
        return values.transpose(-3, -2).flatten(-2)[..., : self.horizon]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; the last layer is zero."""
        with torch.no_grad():
            bound = 1 / math.sqrt(self.known.in_features + self.ahead.in_features)
            for weight in (self.known.weight, self.ahead.weight):
                draw = torch.empty(weight.shape)
                weight.copy_(draw.uniform_(-bound, bound, generator=generator))
            place = torch.empty(self.place.shape)
            self.place.copy_(place.uniform_(-PLACE, PLACE, generator=generator))
            if self.segments == 1:  # one place needs no name
                self.place.zero_()
            for zero in (self.known.bias, self.out.weight, self.out.bias, self.mixture):
                zero.zero_()
            self.start.zero_()
            self.share.fill_(1.0)
            self.unit.fill_(1.0)

    def set_mixture(self, references: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Fit the starting mixture to data and return its residuals in units of ``unit``.

        Minimises the mean absolute error over logits that all steps of the horizon share plus a
        shrunken part of each step's own. The shared logits lean towards the methods that are best on
        average, the more the fewer samples there are.

        Parameters
        ----------
        references : Tensor of shape (sample, reference, horizon)
        target : Tensor of shape (sample, horizon)
            0 where not observed.
        weight : Tensor of shape (sample, horizon)
            0 where not observed.

        Returns
        -------
        Tensor of shape (observed,)
        """
        total = weight.sum().clamp_min(1)
        each = ((target.unsqueeze(-2) - references).abs() * weight.unsqueeze(-2)).sum((0, 2))
        lean = -LEAN * (each / each.min().clamp_min(1e-30) - 1).clamp_max(1.0)
        shared = lean.unsqueeze(-1).clone().requires_grad_()
        own = torch.zeros(self.references, self.horizon, requires_grad=True)
        optimizer = torch.optim.Adam([shared, own], lr=0.1, foreach=False)
        shrinkage = float(each.min() / total) * SHRINKAGE / math.sqrt(float(total))
        with torch.enable_grad():
            for _ in range(150):
                mix = torch.softmax(shared + own, -2)
                error = (target - (mix * references).sum(-2)).abs()
                away = own.square().mean() + (shared.squeeze(-1) - lean).square().mean()
                loss = (error * weight).sum() / total + shrinkage * away
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            self.mixture.copy_(shared + own)
            self.start.copy_(self.mixture)
            mix = torch.softmax(self.mixture, -2)
            residual = target - (mix * references).sum(-2)
            size = residual.abs()
            median = size[weight > 0].median()
            limit = OUTLIER * median if median > 0 else torch.inf
            size = size.clamp_max(limit) * weight
            unit, typical = size.sum(0) / weight.sum(0).clamp_min(1), size.sum() / total
            seen = (weight > 0).sum(0)
            share = seen / (seen + 10.0)  # few samples at a step: lean on the mean over the horizon
            unit = share * unit + (1 - share) * typical
            self.unit.copy_(unit.clamp_min(1e-3 * float(typical) + 1e-6))
            return (residual / self.unit)[weight > 0]
