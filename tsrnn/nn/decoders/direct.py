"""The direct head: the whole horizon at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from tsrnn.nn.decoders.mixture import PLACE, HeadInputs, HeadSizes, MixtureHead
from tsrnn.nn.dropout import dropout
from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.response import means, means_size
from tsrnn.nn.scaling import squash

__all__ = ["DirectHead"]


class DirectHead(MixtureHead):
    """Says the whole horizon from the state at its origin.

    A long horizon is said in segments that share their weights: each sees the state, its own place
    (a learned vector) and the reference forecasts of its own steps, so that neither parameters nor
    time grow with the square of the horizon.

    Parameters
    ----------
    sizes : HeadSizes
    segment : int
        Steps that are said together; ``horizon`` for all at once.
    """

    def __init__(self, sizes: HeadSizes, *, segment: int) -> None:
        seen_ahead = means_size(sizes.response, sizes.horizon)
        super().__init__(sizes, inner_size=sizes.state + sizes.features + seen_ahead)
        self.segment = segment
        self.segments = -(-sizes.horizon // segment)
        self.ahead = nn.Linear(sizes.references * segment, sizes.hidden, bias=False)
        self.place = nn.Parameter(torch.zeros(self.segments, sizes.hidden))
        self.out = nn.Linear(sizes.hidden, (3 + sizes.references) * segment)

    def forward(
        self,
        inputs: HeadInputs,
        generator: torch.Generator | None = None,
        fed: Tensor | None = None,
    ) -> HeadValues:
        """Say location and spreads; see :meth:`MixtureHead.forward`. Nothing is fed."""
        del fed
        references = inputs.references
        inner = [inputs.state, inputs.features]
        if inputs.rows is not None:
            inner.append(means(inputs.rows))
        known = self.known(torch.cat(inner, -1)).unsqueeze(-2)
        seen = known + self.ahead(self._cut(squash(references))) + self.place
        said = self._joined(self.out(dropout(gelu(seen), self.dropout, generator)))
        correction, spread, moved = said.split([1, 2, self.references], -2)
        weights = torch.softmax(self.mixture + moved, -2)
        location = (weights * references).sum(-2) + self.unit * correction.squeeze(-2)
        location, spread = self.blend(location, spread, inputs)
        if inputs.response is not None:
            location = location + self.unit * inputs.response
        anchor, scale = inputs.anchor.unsqueeze(-1), inputs.scale.unsqueeze(-1)
        return HeadValues(location, spread, self.unit_now(inputs), anchor, scale)

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

    def _draw(self, generator: torch.Generator) -> None:
        bound = 1 / math.sqrt(self.known.in_features + self.ahead.in_features)
        for weight in (self.known.weight, self.ahead.weight):
            draw = torch.empty(weight.shape)
            weight.copy_(draw.uniform_(-bound, bound, generator=generator))
        place = torch.empty(self.place.shape)
        self.place.copy_(place.uniform_(-PLACE, PLACE, generator=generator))
        if self.segments == 1:  # one place needs no name
            self.place.zero_()
