"""Causal level and scale: what is known about a series at each step, from rows up to that step.

Everything is float64 and free of absolute constants, so that adding 2**27 to a price or measuring a
sensor in other units changes nothing but the units of the forecast.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "CausalScale",
    "causal_scale",
    "last_observed",
    "relative_move",
    "represent",
    "restore",
    "safe_ratio",
    "squash",
]


class CausalScale(NamedTuple):
    """Level and scale at every step, each of shape (batch, step), float64.

    ``last`` is the newest observed value, ``anchor`` the level that forecasts are relative to,
    ``mean`` the mean of the last season, ``long_mean`` that of the window, ``scale`` the mean absolute
    change between neighbouring observations. Before the first observation they are NaN (``scale``: 0).
    """

    last: Tensor
    anchor: Tensor
    mean: Tensor
    long_mean: Tensor
    scale: Tensor


def represent(values: Tensor, *, log: bool) -> Tensor:
    """Return the values in the space the network works in: as they are, or their logarithms."""
    return values.log() if log else values


def relative_move(move: Tensor, *, log: bool) -> Tensor:
    """Return moves away from the anchor as forecasts are said: as they are, or bent for logarithms.

    A rise of the logarithm becomes the rise itself as a share of the anchor: rises are linear, falls
    logarithmic. Values stay positive, and a spread on a volatile series does not explode.
    """
    return torch.where(move > 0, move.expm1(), move) if log else move


def restore(anchor: Tensor, move: Tensor, *, log: bool) -> Tensor:
    """Return the values that are ``move`` (see :func:`relative_move`) away from the anchor.

    Exact for single values, paths and quantiles: it is monotone.
    """
    if not log:
        return anchor + move
    return anchor.exp() * torch.where(move > 0, 1 + move, move.clamp_max(0).exp())


def last_observed(values: Tensor, before: Tensor | None = None) -> Tensor:
    """Return the newest value that is not NaN at or before each step (NaN before the first).

    Parameters
    ----------
    values : Tensor of shape (batch, step)
    before : Tensor of shape (batch,), optional
        The newest value before these steps; NaN where there is none.
    """
    steps = torch.arange(values.shape[1], device=values.device)
    index = torch.where(values.isnan(), -1, steps).cummax(1).values
    found = values.gather(1, index.clamp_min(0))
    if before is None:
        return found.masked_fill(index < 0, torch.nan)
    return torch.where(index < 0, before.unsqueeze(1), found)


def safe_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return the ratio, and 0 where the denominator is 0 or not a number."""
    usable = denominator > 0
    ratio = numerator / torch.where(usable, denominator, 1.0)
    return torch.where(usable, ratio, 0.0)


def squash(x: Tensor) -> Tensor:
    """Return ``sign(x) * log(1 + |x|)``: the identity near zero, a logarithm far from it."""
    return torch.copysign(x.abs().log1p(), x)


def causal_scale(
    values: Tensor, *, season: int, window: int, anchor: str, before: Tensor | None = None
) -> CausalScale:
    """Return level and scale of each step from the rows up to it.

    Parameters
    ----------
    values : Tensor of shape (batch, step), float64
        NaN where nothing was observed.
    season : int
        Steps of the mean (1: the last value itself).
    window : int
        Steps that the scale and the long mean remember; shorter histories use what there is.
    anchor : {"last", "level"}
        What forecasts are relative to: the newest value (differences) or the season's mean (levels).
    before : Tensor of shape (batch,), optional
        The newest value before these steps, which a silence at their start goes on from; NaN where there
        is none.
    """
    missing = values.isnan()
    plain = values.device.type == "cpu" and not values.requires_grad
    if plain and not missing.any():
        return _complete_scale(values, season=season, window=window, anchor=anchor)
    observed = ~missing
    last = last_observed(values, before)
    origin = _first_observed(values)
    centred = torch.where(observed, values - origin, torch.zeros_like(values))

    def recent_mean(rows: int) -> Tensor:
        count = _window_sum(observed.to(values.dtype), rows)
        mean = origin + safe_ratio(_window_sum(centred, rows), count)
        return torch.where(count > 0, mean, last)

    mean = recent_mean(season)
    previous = torch.cat([torch.full_like(last[:, :1], torch.nan), last[:, :-1]], 1)
    change = (values - previous).abs()
    moved = ~change.isnan()
    total = _window_sum(torch.where(moved, change, torch.zeros_like(change)), window)
    scale = safe_ratio(total, _window_sum(moved.to(values.dtype), window)).clamp_min(0)
    level = last if anchor == "last" else mean
    return CausalScale(last, level, mean, recent_mean(window), scale)


def _complete_scale(values: Tensor, *, season: int, window: int, anchor: str) -> CausalScale:
    """Return :func:`causal_scale` where nothing is missing, bit for bit, in a third of the time."""
    step = torch.arange(values.shape[1], dtype=values.dtype)
    total = (values - values[:, :1]).cumsum_(1)

    def recent(total: Tensor, rows: int) -> Tensor:
        sums = total.clone()
        sums[:, rows:] -= total[:, :-rows]
        return sums

    def recent_mean(rows: int) -> Tensor:
        return recent(total, rows).div_((step + 1).clamp_max_(rows)).add_(values[:, :1])

    change = torch.zeros_like(values)
    torch.sub(values[:, 1:], values[:, :-1], out=change[:, 1:])
    scale = recent(change.abs_().cumsum_(1), window).div_(step.clamp(1, window)).clamp_min_(0)
    mean = recent_mean(season)
    level = values if anchor == "last" else mean
    return CausalScale(values, level, mean, recent_mean(window), scale)


def _first_observed(values: Tensor) -> Tensor:
    """First value that is not NaN in each row, shape (batch, 1); 0 where there is none."""
    index = (~values.isnan()).to(torch.int8).argmax(1, keepdim=True)
    return values.gather(1, index).nan_to_num(0.0)


def _window_sum(values: Tensor, window: int) -> Tensor:
    """Sum of the last ``window`` steps, shape kept; a stretch of zeros sums to exactly zero."""
    total = values.cumsum(1)
    if window >= total.shape[1]:
        return total
    return torch.cat([total[:, :window], total[:, window:] - total[:, :-window]], 1)
