"""A network's own recent errors: what it would have said before, against what came."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LOOKED_BACK", "outcomes", "recent_error"]

LOOKED_BACK = 14  # forecasts
FADING = 0.95  # by which each of them counts less than the next
LARGEST = 4.0  # spreads: a larger error says no more


def outcomes(values: Tensor, positions: Tensor, horizon: int) -> Tensor:
    """Return the values (batch, position, horizon) after each position, NaN behind the newest row."""
    ahead = torch.full((len(values), horizon), torch.nan, dtype=values.dtype, device=values.device)
    steps = torch.arange(1, horizon + 1, device=values.device)
    return torch.cat([values, ahead], 1)[:, positions[:, None] + steps]


def recent_error(sizes: Tensor) -> Tensor:
    """Return the sum of recent errors by their weight, and the sum of weights, (batch, 2).

    Parameters
    ----------
    sizes : Tensor of shape (batch, position, horizon)
        How large errors of forecasts from successive positions were, NaN where not known. Those of
        one forecast count as one, by the share of them that is known, and less the older it is.
    """
    known = ~sizes.isnan()
    steps = sizes.shape[1]
    age = torch.arange(steps - 1, -1, -1, dtype=sizes.dtype, device=sizes.device)
    weight = FADING**age / sizes.shape[2]
    counted = torch.where(known, sizes, torch.zeros_like(sizes)).clamp_max(LARGEST)
    error = counted.sum(-1) @ weight
    return torch.stack([error, known.to(sizes.dtype).sum(-1) @ weight], -1)
