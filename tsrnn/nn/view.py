"""What a network sees of raw rows: level and scale, references, records; and the way back to the data's units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.reference import reference_forecasts
from tsrnn.nn.scaling import (
    CausalScale,
    causal_scale,
    relative_move,
    represent,
    restore,
    safe_ratio,
)
from tsrnn.nn.track_record import TrackRecord, record_of, remembered_origins, track_record

__all__ = ["FARTHEST", "View"]

FARTHEST = 1e4  # units of the scale: a reference forecast farther away says no more
SAID_AT_ONCE = (
    1024  # values of a batch up to which forecasts are computed with those that the record asks for
)


@dataclass(frozen=True)
class View:
    """How a network sees rows: relative to their own level and scale, nothing of it learned.

    Parameters
    ----------
    plan : NetworkPlan
    """

    plan: NetworkPlan

    def represent(self, values: Tensor, before: Tensor | None = None) -> tuple[Tensor, CausalScale]:
        """Return represented values and their causal scale, both of shape (batch, step)."""
        plan = self.plan
        represented = represent(values, log=plan.log)
        scale = causal_scale(
            represented,
            season=plan.seasons[0],
            window=plan.window,
            anchor=plan.anchor,
            before=None if before is None else represent(before, log=plan.log),
        )
        return represented, scale

    def relative_references(self, values: Tensor, scale: CausalScale, positions: Tensor) -> Tensor:
        """Return the reference forecasts, relative, shape (batch, position, reference, horizon)."""
        return self._relative(self._said(values, scale, positions), scale, positions)

    def references_and_record(
        self, values: Tensor, scale: CausalScale, positions: Tensor
    ) -> tuple[Tensor, TrackRecord]:
        """Return :meth:`relative_references` and :meth:`track_record`, of a few values in one computation."""
        if len(positions) > 1 or len(values) * self.plan.horizon > SAID_AT_ONCE:
            record = self.track_record(values, scale, positions)
            return self.relative_references(values, scale, positions), record
        origins = remembered_origins(positions)
        said = self._said(values, scale, torch.cat([origins, positions]))
        before = [forecast[:, :-1, :1] for forecast in said]
        newest = [forecast[:, -1:] for forecast in said]
        record = record_of(before, values, origins, positions)
        return self._relative(newest, scale, positions), _in_units(record, scale, positions)

    def _said(self, values: Tensor, scale: CausalScale, positions: Tensor) -> list[Tensor]:
        plan = self.plan
        return reference_forecasts(
            values, scale, positions, horizon=plan.horizon, seasons=plan.seasons, window=plan.window
        )

    def _relative(self, said: list[Tensor], scale: CausalScale, positions: Tensor) -> Tensor:
        anchor, unit = scale.anchor[:, positions, None], scale.scale[:, positions, None]
        share = safe_ratio(torch.ones_like(unit), unit)
        moves = [relative_move(forecast - anchor, log=self.plan.log) for forecast in said]
        relative = torch.stack([move.mul_(share).float() for move in moves], -2)
        return relative.clamp_(-FARTHEST, FARTHEST).nan_to_num_(0.0)

    def track_record(self, values: Tensor, scale: CausalScale, positions: Tensor) -> TrackRecord:
        """Return how well the references did lately, the recent error in units of the scale."""
        plan = self.plan
        record = track_record(values, scale, positions, seasons=plan.seasons, window=plan.window)
        return _in_units(record, scale, positions)

    def level(self, scale: CausalScale, positions: Tensor) -> Tensor:
        """Return the level of the series in units of its scale, shape (batch, position).

        A rise of a logarithm by its scale is that share of the level, wherever the level is.
        """
        unit = scale.scale[:, positions]
        mean = scale.mean[:, positions]
        return safe_ratio(torch.ones_like(unit) if self.plan.log else mean, unit)

    def relative_target(self, target: Tensor, head: HeadValues) -> Tensor:
        """Return raw targets (..., horizon) relative to the head's anchor and scale, NaN kept."""
        return self.relative_to(target, anchor=head.anchor, scale=head.scale)

    def relative_to(self, target: Tensor, *, anchor: Tensor, scale: Tensor) -> Tensor:
        """Return raw targets (..., horizon) relative to anchor and scale (..., 1), NaN kept."""
        return self.relative_move(represent(target, log=self.plan.log), anchor, scale)

    def relative_move(self, represented: Tensor, anchor: Tensor, scale: Tensor) -> Tensor:
        """Return represented values relative to anchor and scale; NaN where nothing ever moved."""
        difference = relative_move(represented - anchor, log=self.plan.log)
        usable = scale > 0
        ratio = difference / torch.where(usable, scale, torch.ones_like(scale))
        return torch.where(usable, ratio, torch.full_like(ratio, torch.nan)).float()

    def restore(self, relative: Tensor, head: HeadValues) -> Tensor:
        """Return relative values (..., horizon) or (..., horizon, n) in the units of the data."""
        extra = (1,) * (relative.dim() - head.location.dim())
        anchor = head.anchor.reshape(*head.anchor.shape, *extra)
        scale = head.scale.reshape(*head.scale.shape, *extra)
        return restore(anchor, scale * relative.double(), log=self.plan.log)


def _in_units(record: TrackRecord, scale: CausalScale, positions: Tensor) -> TrackRecord:
    error, count = record.recent.split(1, -1)
    error = safe_ratio(error, scale.scale[:, positions].unsqueeze(-1))
    return record._replace(recent=torch.cat([error, count], -1).float())
