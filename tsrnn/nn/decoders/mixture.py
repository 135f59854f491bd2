"""What all heads share: the mixture of reference forecasts that they start from and move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrnn.nn.decoders.fitting import fit_mixtures, mixture_weights
from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.watch import Watch

__all__ = ["HeadInputs", "HeadSizes", "MixtureHead"]

OUTLIER = 20.0  # medians beyond which an error says no more about the typical one
ALONE = 50.0  # logit of a reference beside which the others weigh nothing
PLACE = 0.5  # largest entry at the start of the vector that tells a place in the horizon


@dataclass(frozen=True)
class HeadSizes:
    """What a head must know of the network around it.

    Parameters
    ----------
    state, features : int
        Size of what the encoder says at a step, and of what it reads there.
    response : int
        Size of what is learned of a row known in advance; 0 without such rows.
    hidden : int
        Size of the head's own layers.
    horizon, references : int
    dropout : float
    """

    state: int
    features: int
    response: int
    hidden: int
    horizon: int
    references: int
    dropout: float


class HeadInputs(NamedTuple):
    """What a head knows at each position; values are relative to the anchor, in units of the scale.

    Parameters
    ----------
    state : Tensor of shape (batch, position, hidden)
    features : Tensor of shape (batch, position, feature)
    references : Tensor of shape (batch, position, reference, horizon)
    newest : Tensor of shape (batch, position, 2)
        The last observed value, and 1 where it is that of the newest row.
    anchor, scale : Tensor of shape (batch, position), float64
    rows : Tensor of shape (batch, position, horizon, response), optional
        What is learned of each row that is known in advance.
    response : Tensor of shape (batch, position, horizon), optional
        By how many typical errors covariates move the forecast.
    memory : Tensor of shape (batch, slot, hidden), optional
        What the encoder said at the steps that may be attended to.
    visible : Tensor of bool, shape (batch or 1, position, slot), optional
        Which of them each position sees.
    record : Tensor of shape (batch, position, reference), optional
        How each reference did lately relative to the others, see
        :class:`~tsrnn.nn.track_record.TrackRecord`; not needed where all that is said is learned.
    recent : Tensor of shape (batch, position, 2), optional
        How large their errors were; likewise.
    """

    state: Tensor
    features: Tensor
    references: Tensor
    newest: Tensor
    anchor: Tensor
    scale: Tensor
    rows: Tensor | None = None
    response: Tensor | None = None
    memory: Tensor | None = None
    visible: Tensor | None = None
    record: Tensor | None = None
    recent: Tensor | None = None

    def repeat(self, times: int) -> HeadInputs:
        """Return those of a single position as ``times`` positions; the memory is common to them."""

        def many(part: Tensor) -> Tensor:
            return part.expand(-1, times, *part.shape[2:])

        kept = self._replace(memory=None)
        parts = [None if part is None else many(part) for part in kept]
        return HeadInputs(*parts)._replace(memory=self.memory)  # type: ignore[arg-type]


class MixtureHead(nn.Module, ABC):
    """Mixes the reference forecasts, adds a learned correction, and says how sure that is.

    For each step of the horizon the location is a convex combination of the reference forecasts plus
    ``unit`` times a correction; the state moves the weights of the combination. The last layer starts at
    zero, so that an untrained head says a mixture that was fitted on the training data alone
    (:meth:`set_mixture`).

    Beside what is learned stands a mixture whose weights follow how each reference did lately on that
    very series; ``share`` says how much of the forecast is learned and how much that mixture, of
    locations and of spreads.

    Parameters
    ----------
    sizes : HeadSizes
    inner_size : int
        Size of what is known at the origin.
    """

    unit: Tensor
    start: Tensor  # logits of the mixture that follows track records
    trust: Tensor  # power of its recent error by which the weight of a reference falls there
    share: Tensor  # of learned locations and spreads that is said; the rest is that mixture
    out: nn.Linear
    slots = 0  # states of the encoder that are kept beside its newest
    stepwise = False  # says the horizon step after step, and may be told what came true in between

    def __init__(self, sizes: HeadSizes, *, inner_size: int) -> None:
        super().__init__()
        self.horizon = horizon = sizes.horizon
        self.references = references = sizes.references
        self.dropout = sizes.dropout
        self.mixture = nn.Parameter(torch.zeros(references, horizon))
        self.register_buffer("start", torch.zeros(references, horizon))
        self.register_buffer("trust", torch.zeros(()))
        self.register_buffer("share", torch.ones(2))
        self.register_buffer("unit", torch.ones(horizon))
        self.watch = Watch()
        self.known = nn.Linear(inner_size, sizes.hidden)

    @abstractmethod
    def forward(
        self,
        inputs: HeadInputs,
        generator: torch.Generator | None = None,
        fed: Tensor | None = None,
    ) -> HeadValues:
        """Say location and spreads of the whole horizon.

        Parameters
        ----------
        inputs : HeadInputs
        generator : torch.Generator, optional
            Source of dropout in training.
        fed : Tensor of shape (batch, position, horizon), optional
            Relative values that a stepwise head goes on from instead of its own, NaN: its own.

        Returns
        -------
        HeadValues of shape (batch, position, horizon)
        """

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; the last layer and the mixture are zero."""
        self._draw(generator)
        for zero in (self.known.bias, self.out.weight, self.out.bias, self.mixture, self.start):
            zero.zero_()
        self.trust.zero_()
        self.share.fill_(1.0)
        self.unit.fill_(1.0)
        self.watch.reset()

    @abstractmethod
    def _draw(self, generator: torch.Generator) -> None:
        """Draw the weights before the last layer."""

    def ignore(self, inner: Tensor) -> None:
        """Set the weights of some of state and features to zero: training has to find them of use."""
        self.known.weight[:, inner] = 0.0

    def following_weights(self, record: Tensor | None) -> Tensor:
        """Return the weights that follow track records, shape (..., reference, horizon)."""
        return mixture_weights(self.start, self.trust, record)

    @property
    def learned_alone(self) -> bool:
        """Whether all that is said is learned."""
        return bool((self.share >= 1).all())

    def blend(
        self, location: Tensor, spread: Tensor, inputs: HeadInputs, which: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Return location and spreads of some steps of the horizon, learned by their share alone."""
        if self.learned_alone:
            return location, spread
        weights = self.following_weights(inputs.record)[..., which]
        followed = (weights * inputs.references[..., which]).sum(-2)
        of_location, of_spread = self.share
        return torch.lerp(followed, location, of_location), torch.mul(spread, of_spread)

    def recent_error(self, inputs: HeadInputs) -> Tensor | None:
        """Return the recent error of the references, each by its weight, and its weight: what a watch heeds."""
        if inputs.record is None or inputs.recent is None:
            return None
        weights = self.following_weights(inputs.record).mean(-1)
        error, count = inputs.recent.unbind(-1)
        return torch.stack([error * (weights * inputs.record.exp()).sum(-1), count], -1)

    def unit_now(self, inputs: HeadInputs, which: slice = slice(None)) -> Tensor:
        """Return the typical error at some steps of the horizon, larger where recent ones were."""
        unit = self.unit[which]
        recent = self.recent_error(inputs) if self.watch.power else None
        if recent is None:
            return unit.expand(*inputs.state.shape[:2], len(unit))
        return unit * self.watch(recent).unsqueeze(-1)

    @torch.no_grad()
    def stay(self) -> None:
        """Say the last value, the first of the references, where nothing is learned."""
        self.start.fill_(-ALONE)
        self.start[0] = ALONE
        self.trust.zero_()

    @property
    def stays(self) -> bool:
        """Whether what is not learned is the last value alone."""
        return not self.trust and bool((self.following_weights(None)[0] > 1 - 1e-6).all())

    @torch.no_grad()
    def set_mixture(
        self, references: Tensor, target: Tensor, weight: Tensor, record: Tensor | None = None
    ) -> Tensor:
        """Fit both mixtures to data and return residuals in units of ``unit``.

        They are those of the mixture that follows track records, where there are any.

        Parameters
        ----------
        references : Tensor of shape (sample, reference, horizon)
        target : Tensor of shape (sample, horizon)
            0 where not observed.
        weight : Tensor of shape (sample, horizon)
            0 where not observed.
        record : Tensor of shape (sample, reference), optional
            See :func:`~tsrnn.nn.track_record.track_record`.

        Returns
        -------
        Tensor of shape (observed,)
        """
        total = weight.sum().clamp_min(1)
        plain, following = fit_mixtures(references, target, weight, record)
        self.mixture.copy_(plain.logits)
        self.start.copy_(following.logits)
        self.trust.copy_(following.trust)
        residual = target - (self.following_weights(record) * references).sum(-2)
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
