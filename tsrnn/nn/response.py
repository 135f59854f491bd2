"""The response of the forecast to covariates that are known in advance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, gelu

from tsrnn.nn.covariates import ColumnEncoder, complete

__all__ = ["RESPONSES", "FutureResponse", "means", "means_size"]

RESPONSES = 16  # what is learned of each future row, half of it linear
SEGMENTS = 24  # of the future rows, that the direct head sees as means


class FutureResponse(nn.Module):
    """How future covariates move the forecast: gains times what is learned of each future row.

    Of a future row it sees the covariates, and their change against the newest row and against the
    rows that the seasonal reference forecasts repeat. The gains of each step of the horizon depend on
    state and features; they start at zero, so that an untrained network does not respond.

    Parameters
    ----------
    encoder : ColumnEncoder
        Of the columns known in advance.
    inner_size, hidden_size : int
        Size of what the gains depend on, and of their hidden layer.
    horizon : int
    seasons : tuple of int
    """

    def __init__(
        self,
        encoder: ColumnEncoder,
        *,
        inner_size: int,
        hidden_size: int,
        horizon: int,
        seasons: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.lags = [season for season in seasons if season > 1]
        self.size, self.numbers = encoder.size, len(encoder.numbers)
        self.row = nn.Linear(encoder.complete_size + encoder.size * (1 + len(self.lags)), RESPONSES)
        self.hidden = nn.Linear(inner_size, hidden_size)
        self.gain = nn.Linear(hidden_size, horizon * RESPONSES)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; the gains are zero."""
        with torch.no_grad():
            for layer in (self.row, self.hidden):
                bound = 1 / math.sqrt(layer.in_features)
                draw = torch.empty(layer.weight.shape)
                layer.weight.copy_(draw.uniform_(-bound, bound, generator=generator))
                layer.bias.zero_()
            self.row.weight[:, self.size : self.size + self.numbers] = 0.0  # missing is average
            self.gain.weight.zero_()
            self.gain.bias.zero_()

    def rows(self, inputs: Tensor, positions: Tensor) -> Tensor:
        """Return what is learned of each future row, shape (batch, position, horizon, response).

        Parameters
        ----------
        inputs : Tensor of shape (batch, step, size)
            Encoded columns of past and future steps.
        positions : Tensor of int64, shape (position,)
        """
        ahead = torch.arange(1, self.horizon + 1, device=positions.device)
        at = positions[:, None] + ahead
        now = inputs[:, at]  # (batch, position, horizon, size)
        parts = [
            complete(now, self.numbers),
            (now - inputs[:, positions].unsqueeze(2)).nan_to_num(0.0),
        ]
        for season in self.lags:
            cycles = (ahead + season - 1) // season
            parts.append((now - inputs[:, at - season * cycles]).nan_to_num(0.0))
        linear, curved = self.row(torch.cat(parts, -1)).chunk(2, -1)
        return torch.cat([linear, gelu(curved)], -1)

    def forward(self, inner: Tensor, rows: Tensor) -> Tensor:
        """Return the response in units of the typical error, shape (batch, position, horizon)."""
        gain = self.gain(gelu(self.hidden(inner))).unflatten(-1, (self.horizon, RESPONSES))
        return (gain * rows).sum(-1)


def means(rows: Tensor) -> Tensor:
    """Return the means of future rows over stretches of the horizon, (batch, position, mean)."""
    flat = rows.flatten(0, 1).transpose(1, 2)  # (batch * position, response, horizon)
    pooled = adaptive_avg_pool1d(flat, min(rows.shape[2], SEGMENTS))
    return pooled.flatten(1).unflatten(0, rows.shape[:2])


def means_size(size: int, horizon: int) -> int:
    """Return how many values :func:`means` gives of rows of this size."""
    return min(horizon, SEGMENTS) * size
