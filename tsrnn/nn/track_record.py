"""How well each reference forecast did lately on the very series it is used for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tsrnn.nn.reference import reference_forecasts
from tsrnn.nn.scaling import CausalScale

__all__ = ["REMEMBERED", "TrackRecord", "record_of", "remembered_origins", "track_record"]

REMEMBERED = 32  # errors that a record is made of, each counting FADING times the next
FADING = 0.9
CREDIT = 2.0  # errors of average size that every reference is said to have made before


class TrackRecord(NamedTuple):
    """How the references did lately, one step ahead.

    Parameters
    ----------
    relative : Tensor of shape (batch, position, reference), float32
        Log of each reference's recent error relative to the mean over the references.
    recent : Tensor of shape (batch, position, 2), float64
        That mean, summed over the rows by their weight, in the units of the values; and the sum of weights.
    """

    relative: Tensor
    recent: Tensor


def track_record(
    values: Tensor,
    scale: CausalScale,
    positions: Tensor,
    *,
    seasons: tuple[int, ...],
    window: int,
) -> TrackRecord:
    """Return how large the recent errors of the references were, relative to each other and by themselves.

    The errors are those of forecasts one step ahead, which each reference would have made at the last
    ``REMEMBERED`` rows: exponentially weighted, rows without a value left out. Where nothing was seen
    yet, or all were right, the log is 0. It is bounded, since ``CREDIT`` errors of average size are
    added, and does not change with shift and scale of the values.

    Parameters
    ----------
    values : Tensor of shape (batch, step), float64
        NaN where nothing was observed.
    scale : CausalScale
        Level and scale of the same steps.
    positions : Tensor of int64, shape (position,)
        Each sees only ``values[:, : position + 1]``.
    seasons, window
        See :func:`~tsrnn.nn.reference.reference_forecasts`.

    Returns
    -------
    TrackRecord
    """
    origins = remembered_origins(positions)
    said = reference_forecasts(values, scale, origins, horizon=1, seasons=seasons, window=window)
    return record_of(said, values, origins, positions)


def remembered_origins(positions: Tensor) -> Tensor:
    """Return the steps before these positions of which a track record is made, ascending, each once."""
    before = positions[:, None] + torch.arange(-REMEMBERED, 0, device=positions.device)
    return before[0] if len(positions) == 1 else torch.unique(before)


def record_of(
    said: list[Tensor], values: Tensor, origins: Tensor, positions: Tensor
) -> TrackRecord:
    """Return :func:`track_record` from what each reference said at ``origins``, (batch, origin, 1)."""
    error = (torch.cat(said, -1) - values[:, origins + 1].unsqueeze(-1)).abs()
    seen = (~error[..., :1].isnan()).to(error.dtype)
    age = positions[:, None] - 1 - origins
    weight = FADING ** age.to(error.dtype)
    weight = weight.masked_fill((age < 0) | (age >= REMEMBERED), 0.0)
    recent = weight @ torch.cat([error.nan_to_num(0.0), seen], -1)
    total, count = recent[..., :-1], recent[..., -1:]
    average = total.mean(-1, keepdim=True)
    usual = torch.where(average > 0, average, torch.ones_like(average))
    relative = (total / usual * count + CREDIT) / (count + CREDIT)
    log = torch.where(average > 0, relative.log(), torch.zeros_like(relative)).float()
    return TrackRecord(log, torch.cat([average, count], -1))
