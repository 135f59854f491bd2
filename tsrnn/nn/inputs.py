"""What the encoder reads at each step: the newest patch, relative to what is known there."""

from __future__ import annotations

import torch
from torch import Tensor

from tsrnn.nn.plan import NetworkPlan
from tsrnn.nn.scaling import CausalScale, safe_ratio, squash

__all__ = ["causal_features", "feature_count", "newest_rows"]


def feature_count(plan: NetworkPlan) -> int:
    """Return how many values :func:`causal_features` gives a step."""
    lags = [season for season in plan.seasons if season > 1]
    return plan.patch * (2 + len(lags)) + 4


def causal_features(
    values: Tensor, scale: CausalScale, positions: Tensor, plan: NetworkPlan
) -> Tensor:
    """Return what is known at each position, shape (batch, position, feature), float32.

    The newest patch relative to the anchor, its change over each season, the last move of anchor and
    scale, the distance from the season's mean, which rows of the patch were observed, and age.

    Parameters
    ----------
    values : Tensor of shape (batch, step), float64
        Represented values, NaN where nothing was observed.
    scale : CausalScale
        Of the same steps.
    positions : Tensor of int64, shape (position,)
        Steps that end a patch.
    plan : NetworkPlan
    """
    patch = plan.patch
    rows = positions[:, None] + torch.arange(1 - patch, 1, device=positions.device)
    newest = values[:, rows]  # (batch, position, patch)
    unit = scale.scale[:, positions].unsqueeze(-1)
    anchor = scale.anchor[:, positions].unsqueeze(-1)
    before = positions - patch
    moves = [newest - anchor]
    moves += [newest - values[:, rows - season] for season in plan.seasons if season > 1]
    moves += [
        anchor - scale.anchor[:, before].unsqueeze(-1),
        (scale.last - scale.mean)[:, positions].unsqueeze(-1),
    ]
    grown = safe_ratio(unit, scale.scale[:, before].unsqueeze(-1)).log().clamp(-3, 3)
    parts = [safe_ratio(torch.cat(moves, -1), unit), grown]
    unheard = scale.last.isnan().sum(1, keepdim=True)  # steps before the first value
    age = (positions + 1 - unheard).clamp_min(0).unsqueeze(-1)
    relative = squash(torch.cat(parts, -1).nan_to_num(0.0, 0.0, 0.0).float())
    seen = (~newest.isnan()).to(relative.dtype)
    aged = torch.log1p(age.clamp_max(plan.look_back).to(relative.dtype)) / 5
    return torch.cat([relative, seen, aged], -1)


def newest_rows(rows: Tensor, count: int) -> Tensor:
    """Return the newest ``count`` rows of (batch, row), NaN before the first where there are fewer."""
    missing = count - rows.shape[1]
    if missing > 0:
        pad = torch.full((len(rows), missing), torch.nan, dtype=rows.dtype)
        return torch.cat([pad, rows], 1)
    return rows[:, -count:]
