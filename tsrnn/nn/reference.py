"""Reference forecasts, known at each step, that the network mixes and corrects.

They are the simple methods that are hard to beat (Hyndman and Athanasopoulos 2021, Forecasting:
Principles and Practice, 3rd ed., section 5.2): the last value, drift, the mean of the season and of a
longer past, an exponentially smoothed level, the median of the same values; for each season length the value one season ago, the same
moved by the change of level, the average of the last seasons moved likewise, and that pattern around
the newest value instead of the level; with the shortest season also this with drift, the pattern
around the longer mean, and for weeks and long seasons both patterns averaged over many more of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tsrnn.nn.kernels.median import median
from tsrnn.nn.scaling import CausalScale, last_observed

__all__ = ["look_back", "reference_forecasts", "reference_names"]

WEEK, LONG_SEASON = 7, 24
MANY_SEASONS, MANY_ROWS = 12, 2_000  # that the usual pattern is averaged over, at most
SHORT_MEAN = 4
SMOOTHING, SMOOTHED = (
    0.2,
    20,
)  # share of the newest value in the level, values it and the median are of


def reference_names(seasons: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the reference forecasts for these season lengths, in order."""
    names = ["last", "drift", "mean", "long-mean", "smooth", "median"]
    for season in seasons:
        if season > 1:
            names += [
                f"lag-{season}",
                f"shifted-{season}",
                f"average-{season}",
                f"adjusted-{season}",
            ]
    if seasons[0] > 1:
        names += [f"trending-{seasons[0]}", f"settled-{seasons[0]}"]
        if _usual(seasons[0]):
            names += [f"usual-{seasons[0]}", f"usual-adjusted-{seasons[0]}"]
    return tuple(names)


def look_back(seasons: tuple[int, ...], window: int, horizon: int) -> int:
    """Return how many rows before a step its level, scale and reference forecasts read."""
    return max(window, _farthest(seasons, horizon)) + min(seasons) + 1


def _farthest(seasons: tuple[int, ...], horizon: int) -> int:
    """Return how far before a step its reference forecasts read: whole seasons as long as the horizon, too."""
    read = (season * (-(-horizon // season) + many) for season, many in _all_averaged(seasons))
    return max(SMOOTHED, *read)


def _averaged(season: int) -> int:
    """Return how many seasons an average is over: five short ones, three long ones."""
    return 5 if season < LONG_SEASON else 3


def _usual(season: int) -> int:
    """Return how many seasons the usual pattern is averaged over; 0 where there is none.

    Weeks of seven days and seasons of 24 steps and more have one. Short seasons (quarters, months, trading
    days) gained nothing by it beside an average over five.
    """
    many = min(MANY_SEASONS, MANY_ROWS // season)
    return many if (season == WEEK or season >= LONG_SEASON) and many > _averaged(season) else 0


def _all_averaged(seasons: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return each season, and how many of them at most a reference reads before the newest; (1, 0): none."""
    read = [(season, _averaged(season)) for season in seasons if season > 1]
    return [*read, (seasons[0], _usual(seasons[0]))] if read else [(1, 0)]


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
    how = _How(positions, horizon, seasons, window)
    farthest = _farthest(seasons, horizon)
    gaps = torch.nonzero(values.isnan().any(1)).squeeze(1)
    if positions.min() < farthest or 2 * len(gaps) > len(values):
        return _forecasts_with_gaps(values, scale, how)
    said = _forecasts(values, scale, how, _whole_seasonal)
    if not len(gaps):
        return said
    patched = _forecasts_with_gaps(values[gaps], CausalScale(*(x[gaps] for x in scale)), how)
    return [whole.index_copy(0, gaps, part) for whole, part in zip(said, patched, strict=True)]


class _How(NamedTuple):
    positions: Tensor
    horizon: int
    seasons: tuple[int, ...]
    window: int


def _forecasts_with_gaps(values: Tensor, scale: CausalScale, how: _How) -> list[Tensor]:
    """Return the forecasts where rows may be missing: the last value for a method that lacks them."""
    said = _forecasts(values, scale, how, _seasonal)
    return [torch.where(forecast.isnan(), said[0], forecast) for forecast in said]


def _forecasts(
    values: Tensor, scale: CausalScale, how: _How, seasonal: Callable[..., list[Tensor]]
) -> list[Tensor]:
    positions, horizon, seasons, window = how
    ahead = torch.arange(1, horizon + 1, device=values.device)
    last = scale.last[:, positions].unsqueeze(-1)  # (batch, position, 1)
    flat = last.expand(-1, -1, horizon)
    drift = ahead * _slope(scale, positions, seasons[0], window).unsqueeze(-1)
    forecasts = [
        flat,
        last + drift,
        _recent_mean(scale, positions, seasons[0]).unsqueeze(-1).expand_as(flat),
        scale.long_mean[:, positions].unsqueeze(-1).expand_as(flat),
        *(level.unsqueeze(-1).expand_as(flat) for level in _smooth_and_median(scale, positions)),
    ]
    each = {
        season: seasonal(values, scale, positions, ahead, season, _averaged(season))
        for season in seasons
        if season > 1
    }
    for said in each.values():
        forecasts += said
    if each:
        _, _, average, adjusted = each[seasons[0]]
        settled = (scale.long_mean - scale.anchor)[:, positions].unsqueeze(-1)
        forecasts += [adjusted + drift, average + settled]
        many = _usual(seasons[0])
        if many:
            forecasts += seasonal(values, scale, positions, ahead, seasons[0], many)[2:]
    return forecasts


def _seasonal(
    values: Tensor,
    scale: CausalScale,
    positions: Tensor,
    ahead: Tensor,
    season: int,
    many: int,
) -> list[Tensor]:
    """Return the seasonal forecasts: lag, shifted, average over so ``many`` seasons, adjusted."""
    filled = _fill_by_season(values, season)
    cycles = (ahead + season - 1) // season  # whole seasons to go back so that the lag is known
    extra = torch.arange(many, device=values.device)[:, None, None]
    anchor_now = scale.anchor[:, positions]
    back = season * (cycles + extra)  # (season back, 1, horizon)
    then = positions[:, None] - back
    lags = _take(filled, then + ahead)  # (batch, season back, position, horizon)
    moved = lags + (anchor_now[:, None, :, None] - _take(scale.anchor, then))
    now = positions - season * extra.squeeze(
        -1
    )  # (season back, position): the newest value's phase
    same_phase = _take(filled, now) + (anchor_now[:, None] - _take(scale.anchor, now - season))
    average = moved.nanmean(1)
    newest = filled[:, positions] - same_phase.nanmean(1)
    return [lags[:, 0], moved[:, 0], average, average + newest.unsqueeze(-1)]


def _whole_seasonal(
    values: Tensor,
    scale: CausalScale,
    positions: Tensor,
    ahead: Tensor,
    season: int,
    many: int,
) -> list[Tensor]:
    """Return :func:`_seasonal` where no row is missing: seasons are averaged before rows are taken."""
    usual, level = (_seasonal_mean(rows, season, many) for rows in (values, scale.anchor))
    then = positions[:, None] - season * ((ahead + season - 1) // season)
    anchor_now = scale.anchor[:, positions].unsqueeze(-1)
    lag = values[:, then + ahead]
    moved = lag + (anchor_now - scale.anchor[:, then])
    average = usual[:, then + ahead] + (anchor_now - level[:, then])
    now = values[:, positions] - usual[:, positions] + level[:, positions - season]
    return [lag, moved, average, average + (now.unsqueeze(-1) - anchor_now)]


def _seasonal_mean(rows: Tensor, season: int, many: int) -> Tensor:
    """Return the mean of each row and those one, two, ... seasons before it, ``many`` in all, by doubling."""
    total, summed, doubled, so_many = rows, 0, rows, 1
    while True:
        if many & so_many:
            total = _added(doubled, total, season * so_many) if summed else doubled
            summed += so_many
        if summed == many:
            return total / many
        doubled = _added(doubled, doubled, season * so_many)
        so_many *= 2


def _added(rows: Tensor, earlier: Tensor, back: int) -> Tensor:
    """Return rows plus what lies so many rows ``back``, nothing before the first."""
    total = rows.clone()
    total[:, back:] += earlier[:, :-back]
    return total


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


def _slope(scale: CausalScale, positions: Tensor, season: int, window: int) -> Tensor:
    """Mean change a step of the season's mean over the last ``window`` steps, or since its first."""
    level = scale.mean
    first = (
        scale.last.isnan().sum(1, keepdim=True) + season - 1
    )  # (batch, 1): the first whole season
    start = torch.maximum(positions - window, first).clamp_max(level.shape[1] - 1)
    steps = positions - start
    change = level[:, positions] - level.gather(1, start)
    return torch.where(steps > 0, change / steps.clamp_min(1), torch.zeros_like(change))


def _recent_mean(scale: CausalScale, positions: Tensor, season: int) -> Tensor:
    """Mean of the last season, or of the last few values where there is no season."""
    if season > 1:
        return scale.mean[:, positions]
    back = torch.arange(SHORT_MEAN, device=positions.device)
    return _take(scale.last, positions - back[:, None]).nanmean(1)


def _smooth_and_median(scale: CausalScale, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Exponentially weighted mean of the last values, and their median."""
    back = torch.arange(SMOOTHED, device=positions.device)
    newest = scale.last[:, positions]
    away = _take(scale.last, positions[:, None] - back) - newest.unsqueeze(-1)
    weight = (1 - SMOOTHING) ** back.to(away.dtype) * ~away.isnan()
    smooth = newest + (weight * away.nan_to_num(0.0)).sum(-1) / weight.sum(-1)
    return smooth, newest + median(away)
