"""Reference forecasts, known at each step, that the network mixes and corrects.

They are the simple methods that are hard to beat (Hyndman and Athanasopoulos 2021, Forecasting:
Principles and Practice, 3rd ed., section 5.2): the last value, drift, the mean of the season and of a
longer past, the value one season ago, the same moved by the change of level, and the average of the
last seasons moved likewise; the seasonal ones once for each season length.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tsrnn.nn.scaling import CausalScale, last_observed

__all__ = ["look_back", "reference_forecasts", "reference_names"]

AVERAGED_SEASONS = 3
SHORT_MEAN = 4


def reference_names(seasons: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the reference forecasts for these season lengths, in order."""
    names = ["last", "drift", "mean", "long-mean"]
    for season in seasons:
        if season > 1:
            names += [f"lag-{season}", f"shifted-{season}", f"average-{season}"]
    return tuple(names)


def look_back(seasons: tuple[int, ...], window: int) -> int:
    """Return how many rows before a step its level, scale and reference forecasts read."""
    longest = max(seasons)
    return max(window, (AVERAGED_SEASONS + 1) * longest if longest > 1 else 0) + min(seasons) + 1


def reference_forecasts(
    values: Tensor,
    scale: CausalScale,
    positions: Tensor,
    *,
    horizon: int,
    seasons: tuple[int, ...],
    window: int,
) -> list[Tensor]:
    """Return what each simple method forecasts at each position, in the units of ``values``.

    Parameters
    ----------
    values : Tensor of shape (batch, step), float64
        NaN where nothing was observed.
    scale : CausalScale
        Level and scale of the same steps.
    positions : Tensor of int64, shape (position,)
        Steps to forecast from; each sees only ``values[:, : position + 1]``.
    horizon : int
    seasons : tuple of int
        Season lengths, shortest first.
    window : int
        Steps over which drift is measured.

    Returns
    -------
    list of Tensor, one a method, each of shape (batch, position, horizon)
        A method that lacks the history it needs says the last value.
    """
    ahead = torch.arange(1, horizon + 1, device=values.device)
    last = scale.last[:, positions].unsqueeze(-1)  # (batch, position, 1)
    flat = last.expand(-1, -1, horizon)
    forecasts = [
        flat,
        last + ahead * _slope(scale.last, positions, window).unsqueeze(-1),
        _recent_mean(scale, positions, seasons[0]).unsqueeze(-1).expand_as(flat),
        scale.long_mean[:, positions].unsqueeze(-1).expand_as(flat),
    ]
    anchor_now = scale.anchor[:, positions].unsqueeze(-1)
    for season in seasons:
        if season <= 1:
            continue
        filled = _fill_by_season(values, season)
        cycles = (ahead + season - 1) // season  # whole seasons to go back so that the lag is known
        moved = []
        for extra in range(AVERAGED_SEASONS):
            back = season * (cycles + extra)
            lag = _take(filled, positions[:, None] + ahead - back)
            then = _take(scale.anchor, positions[:, None] - back)
            moved.append(lag + (anchor_now - then))
            if extra == 0:
                forecasts.append(lag)
        forecasts += [moved[0], torch.stack(moved).nanmean(0)]
    return [torch.where(forecast.isnan(), flat, forecast) for forecast in forecasts]


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Return ``values[:, index]`` of shape (batch, *index.shape), NaN where the index is negative."""
    taken = values[:, index.clamp_min(0)]
    return taken.masked_fill(index < 0, torch.nan)


def _fill_by_season(values: Tensor, season: int) -> Tensor:
    """Fill what is missing by the value one season before (twice), else by the last value."""
    filled = values
    for _ in range(2):
        earlier = torch.full_like(filled, torch.nan)
        earlier[:, season:] = filled[:, :-season]
        filled = torch.where(filled.isnan(), earlier, filled)
    return torch.where(filled.isnan(), last_observed(filled), filled)


def _slope(last: Tensor, positions: Tensor, window: int) -> Tensor:
    """Mean change a step over the last ``window`` steps, or since the first observation."""
    first = last.isnan().sum(1, keepdim=True)  # (batch, 1): index of the first observation
    start = torch.maximum(positions - window, first).clamp_max(last.shape[1] - 1)
    steps = positions - start
    change = last[:, positions] - last.gather(1, start)
    return torch.where(steps > 0, change / steps.clamp_min(1), torch.zeros_like(change))


def _recent_mean(scale: CausalScale, positions: Tensor, season: int) -> Tensor:
    """Mean of the last season, or of the last few values where there is no season."""
    if season > 1:
        return scale.mean[:, positions]
    recent = torch.stack([_take(scale.last, positions - back) for back in range(SHORT_MEAN)])
    return recent.nanmean(0)
