"""Covariates: columns beside the target, as inputs of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "Column",
    "ColumnEncoder",
    "CovariateInputs",
    "CovariatePlan",
    "Covariates",
    "Encoded",
    "complete",
]

Column = tuple[int, ...] | None

LIMIT = 8.0  # standard deviations at which a number is worth about three quarters of itself


@dataclass(frozen=True)
class CovariatePlan:
    """Which columns there are: None for numbers, else the codes of the known categories, ascending.

    Parameters
    ----------
    future, past, static : tuple of None or tuple of int
        Known in advance; known up to now; constant for each series.
    one_hot : bool
        Categories as one-hot codes instead of embeddings that are learned.
    """

    future: tuple[Column, ...] = ()
    past: tuple[Column, ...] = ()
    static: tuple[Column, ...] = ()
    one_hot: bool = False

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CovariatePlan:
        """Return the plan of plain values."""
        kinds = {
            name: tuple(None if codes is None else tuple(codes) for codes in values[name])
            for name in ("future", "past", "static")
        }
        return cls(**kinds, one_hot=bool(values.get("one_hot", False)))


class Covariates(NamedTuple):
    """Raw covariates beside a batch of values: float64, categories as codes from 1, NaN where missing.

    ``past`` has shape (batch, step, column), its steps those of the values, columns known in advance
    first; ``ahead`` (batch, later step, future column) goes on behind them; ``static`` is
    (batch, column).
    """

    past: Tensor
    ahead: Tensor
    static: Tensor

    def take(self, which: slice | Tensor) -> Covariates:
        """Return those of some series of the batch."""
        return Covariates(*(part[which] for part in self))

    def repeat(self, times: int) -> Covariates:
        """Return each series' covariates ``times`` times, one after the other."""
        return Covariates(*(part.repeat_interleave(times, 0) for part in self))

    def between(self, start: int, stop: int) -> Covariates:
        """Return those of the past rows ``start:stop``, with no row ahead."""
        return self._replace(past=self.past[:, start:stop], ahead=self.ahead[:, :0])

    def newest(self, steps: int) -> Covariates:
        """Return the newest ``steps`` past rows, NaN before the first."""
        missing = steps - self.past.shape[1]
        if missing > 0:
            pad = self.past.new_full((len(self.past), missing, self.past.shape[2]), torch.nan)
            return self._replace(past=torch.cat([pad, self.past], 1))
        return self._replace(past=self.past[:, -steps:])

    def after(self, steps: int) -> Covariates:
        """Return those of ``steps`` steps later: what was ahead is past, its other columns missing."""
        known = self.known_ahead(steps)
        other = self.past.shape[2] - known.shape[2]
        unknown = known.new_full((*known.shape[:2], other), torch.nan)
        past = torch.cat([self.past, torch.cat([known, unknown], 2)], 1)[:, steps:]
        return self._replace(past=past, ahead=self.ahead[:, steps:])

    def known_ahead(self, steps: int) -> Tensor:
        """Return the first ``steps`` rows ahead, NaN behind the last that is known."""
        missing = steps - self.ahead.shape[1]
        if missing > 0:
            pad = self.ahead.new_full((len(self.ahead), missing, self.ahead.shape[2]), torch.nan)
            return torch.cat([self.ahead, pad], 1)
        return self.ahead[:, :steps]


class ColumnEncoder(nn.Module):
    """Columns as float32 inputs: numbers in standard deviations of training, categories embedded.

    A number that is missing stays NaN. Missing and unknown categories share one bucket, the zero
    vector.

    Parameters
    ----------
    columns : tuple of None or tuple of int
        None for numbers, else the codes of the known categories, ascending.
    one_hot : bool
        An input for each category instead of an embedding.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, columns: tuple[Column, ...], *, one_hot: bool = False) -> None:
        super().__init__()
        self.numbers = [i for i, codes in enumerate(columns) if codes is None]
        known = {i: codes for i, codes in enumerate(columns) if codes is not None}
        self.categories = list(known)
        widths = [len(codes) if one_hot else _width(len(codes)) for codes in known.values()]
        self.size = len(self.numbers) + sum(widths)
        self.register_buffer("centre", torch.zeros(len(self.numbers), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(len(self.numbers), dtype=torch.float64))
        self.codes = tuple(known.values())
        self.tables = nn.ModuleList(
            _OneHot(width) if one_hot else nn.Embedding(len(codes) + 1, width, padding_idx=0)
            for codes, width in zip(self.codes, widths, strict=True)
        )

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh embeddings; numbers are taken as they are until :meth:`standardise`."""
        with torch.no_grad():
            self.centre.zero_()
            self.spread.fill_(1.0)
            for weight in self.tables.parameters():
                weight.copy_(torch.empty(weight.shape).normal_(generator=generator))
                weight[0] = 0.0

    def standardise(self, rows: Tensor) -> None:
        """Take mean and standard deviation of the numbers from ``rows`` (row, column)."""
        numbers = rows[:, self.numbers]
        known = ~numbers.isnan()
        count = known.sum(0).clamp_min(1)
        centre = numbers.nan_to_num(0.0).sum(0) / count
        away = torch.where(known, numbers - centre, torch.zeros_like(numbers))
        spread = (away.square().sum(0) / count).sqrt()
        constant = ~(spread > 1e-9 * centre.abs())  # rounding of the mean is no variation
        self.centre.copy_(centre)
        self.spread.copy_(torch.where(constant, centre.abs().clamp_min(1.0), spread))

    def forward(self, rows: Tensor) -> Tensor:
        """Return inputs of shape (..., size) for raw columns (..., column)."""
        away = (rows[..., self.numbers] - self.centre) / self.spread
        parts = [(LIMIT * torch.tanh(away / LIMIT)).float()]
        for column, codes, table in zip(self.categories, self.codes, self.tables, strict=True):
            known = torch.tensor((0, *codes), dtype=torch.float64, device=rows.device)
            given = rows[..., column].nan_to_num(0.0).contiguous()
            index = torch.searchsorted(known, given).clamp_max(len(codes))
            parts.append(table(torch.where(known[index] == given, index, 0)))
        return torch.cat(parts, -1)

    def complete(self, inputs: Tensor) -> Tensor:
        """Return inputs without NaN; see :func:`complete`."""
        return complete(inputs, len(self.numbers))

    @property
    def complete_size(self) -> int:
        """Inputs of :meth:`complete`."""
        return self.size + len(self.numbers)


class _OneHot(nn.Module):
    """Codes from 1 as unit vectors, 0 as the zero vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, index: Tensor) -> Tensor:
        unit: Tensor = nn.functional.one_hot(index, self.width + 1)[..., 1:].float()
        return unit


class Encoded(NamedTuple):
    """Covariates as inputs, NaN where a number is missing.

    ``future`` has shape (batch, step + horizon, size), ``past`` (batch, step, size), ``static``
    (batch, size).
    """

    future: Tensor
    past: Tensor
    static: Tensor


class CovariateInputs(nn.Module):
    """Covariates as inputs of the recurrent steps: the rows of each patch, and what is constant.

    Parameters
    ----------
    plan : CovariatePlan
    patch, horizon : int
    """

    def __init__(self, plan: CovariatePlan, *, patch: int, horizon: int) -> None:
        super().__init__()
        self.patch = patch
        self.horizon = horizon
        self.known = len(plan.future)
        self.future = ColumnEncoder(plan.future, one_hot=plan.one_hot)
        self.past = ColumnEncoder(plan.past, one_hot=plan.one_hot)
        self.static = ColumnEncoder(plan.static, one_hot=plan.one_hot)
        by_row = self.future.complete_size + self.past.complete_size
        self.size = patch * by_row + self.static.complete_size

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh embeddings."""
        for encoder in (self.future, self.past, self.static):
            encoder.initialise(generator)

    @property
    def flags(self) -> Tensor:
        """Which inputs say that a number is missing, bool of shape (size,)."""

        def one(encoder: ColumnEncoder) -> list[bool]:
            return [False] * encoder.size + [True] * len(encoder.numbers)

        by_row = one(self.future) * self.patch + one(self.past) * self.patch
        return torch.tensor(by_row + one(self.static), dtype=torch.bool)

    def encode(self, covariates: Covariates) -> Encoded:
        """Return the columns as inputs, those known in advance for the horizon, too."""
        rows = covariates.past
        known = torch.cat([rows[..., : self.known], covariates.known_ahead(self.horizon)], 1)
        return Encoded(
            self.future(known), self.past(rows[..., self.known :]), self.static(covariates.static)
        )

    def forward(self, encoded: Encoded, positions: Tensor) -> Tensor:
        """Return the inputs at each position, shape (batch, position, size)."""
        rows = positions[:, None] + torch.arange(1 - self.patch, 1, device=positions.device)
        static = self.static.complete(encoded.static)
        parts = [
            self.future.complete(encoded.future[:, rows]).flatten(2),
            self.past.complete(encoded.past[:, rows]).flatten(2),
            static.unsqueeze(1).expand(-1, len(positions), -1),
        ]
        return torch.cat(parts, -1)


def complete(inputs: Tensor, numbers: int) -> Tensor:
    """Return inputs with 0 for what is missing, and behind them 1 where one of the numbers is missing."""
    missing = inputs[..., :numbers].isnan().float()
    return torch.cat([inputs.nan_to_num(0.0), missing], -1)


def _width(categories: int) -> int:
    """Return the size of an embedding: one number for a pair, about the root of many."""
    return max(1, min(16, round(math.sqrt(categories)) + 1, categories - 1))
