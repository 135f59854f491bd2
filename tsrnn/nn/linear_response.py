"""What covariates known in advance say without training: a regression over all series."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LinearResponse"]

FARTHEST = 30.0  # units of the scale: a level farther from zero counts as this far
SHRINKAGE = 0.5  # times drivers per row: the ridge
STEPS = 15  # of iteratively reweighted least squares
SMALLEST = 0.1  # typical errors below which errors weigh the same


class LinearResponse(nn.Module):
    """How changes of the covariates move the mixture that follows track records, beside what is learned.

    The coefficients are common to all series and steps. A row ahead is compared with the newest row and with the rows that the seasonal reference forecasts
    repeat. Each change counts as it is and by its size, both alone and times the level of the series, so
    that sales fall by a share of what they are, and to nothing where nothing is on offer. A flag's change
    has no size of its own. Categories have no changes and no say.

    Parameters
    ----------
    numbers : int
        Columns known in advance that are numbers; they come first in what :meth:`drivers` is given.
    seasons : tuple of int
    horizon : int
    """

    weight: Tensor

    def __init__(self, numbers: int, *, seasons: tuple[int, ...], horizon: int) -> None:
        super().__init__()
        self.numbers, self.horizon = numbers, horizon
        self.lags = [season for season in seasons if season > 1]
        self.register_buffer("weight", torch.zeros(4 * numbers * (1 + len(self.lags))))

    def drivers(self, inputs: Tensor, positions: Tensor, level: Tensor) -> Tensor:
        """Return what the coefficients are of, shape (batch, position, horizon, driver).

        Parameters
        ----------
        inputs : Tensor of shape (batch, step, size)
            Encoded columns of past and future steps, NaN where missing.
        positions : Tensor of int64, shape (position,)
        level : Tensor of shape (batch, position)
            Of the series, in units of its scale.
        """
        numbers = inputs[..., : self.numbers]
        ahead = torch.arange(1, self.horizon + 1, device=positions.device)
        at = positions[:, None] + ahead
        now = numbers[:, at]  # (batch, position, horizon, number)
        changes = [now - numbers[:, positions].unsqueeze(2)]
        for season in self.lags:
            cycles = (ahead + season - 1) // season
            changes.append(now - numbers[:, at - season * cycles])
        change = torch.cat(changes, -1).nan_to_num(0.0)
        both = torch.cat([change, change.abs()], -1)
        share = level.clamp(-FARTHEST, FARTHEST).nan_to_num(0.0).to(both.dtype)
        return torch.cat([both, both * share[..., None, None]], -1)

    def forward(self, inputs: Tensor, positions: Tensor, level: Tensor) -> Tensor:
        """Return the response in units of the typical error, shape (batch, position, horizon)."""
        return self.drivers(inputs, positions, level) @ self.weight

    @torch.no_grad()
    def fit(
        self, drivers: Tensor, error: Tensor, importance: Tensor, *, rows: Tensor, flags: Tensor
    ) -> None:
        """Take the coefficients of the least absolute error, shrunk the more the fewer rows there are.

        Parameters
        ----------
        drivers : Tensor of shape (sample, driver)
        error : Tensor of shape (sample,)
            What is to be explained, in typical errors.
        importance : Tensor of shape (sample,)
        rows : Tensor of shape (number,)
            Rows that say something new of each column, behind samples that overlap.
        flags : Tensor of bool, shape (number,)
            Columns of no more than two values.
        """
        drivers, error, importance = drivers.double(), error.double(), importance.double()
        spread = drivers.square().mean(0).sqrt()
        changes = 1 + len(self.lags)
        sized = torch.cat([torch.zeros_like(flags).repeat(changes), flags.repeat(changes)]).repeat(
            2
        )
        varies = (spread > 1e-6 * spread.max().clamp_min(1e-6)) & ~sized
        if not bool(varies.any()):
            return
        unit = drivers[:, varies] / spread[varies]
        known = rows.repeat(4 * changes)[varies]
        ridge = torch.diag(SHRINKAGE * len(known) / known.clamp_min(1)).to(unit)
        weight, found = importance, unit.new_zeros(unit.shape[1])
        for _ in range(STEPS):
            weight = importance / (error - unit @ found).abs().clamp_min(SMALLEST)
            weighted = unit * (weight / weight.sum()).unsqueeze(1)
            found = torch.linalg.solve(weighted.T @ unit + ridge, weighted.T @ error)
        self.weight.zero_()
        self.weight[varies] = (found / spread[varies]).to(self.weight.dtype)
