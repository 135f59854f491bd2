"""One-to-many: a series that has no history, forecast from what is constant about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tsrnn.nn.covariates import Column, ColumnEncoder
from tsrnn.nn.outputs import HeadValues, QuantileOutput
from tsrnn.nn.paths import coupled

__all__ = ["ColdNetwork", "ColdPlan"]


@dataclass(frozen=True)
class ColdPlan:
    """Everything that is needed to build a network for series without a history again.

    Parameters
    ----------
    static, future : tuple of None or tuple of int
        Columns that are constant, and known in advance; see :class:`~tsrnn.nn.covariates.CovariatePlan`.
    horizon, hidden_size : int
    quantiles : tuple of float
    log : bool
        Work on logarithms.
    one_hot : bool
    """

    static: tuple[Column, ...]
    future: tuple[Column, ...]
    horizon: int
    hidden_size: int
    quantiles: tuple[float, ...]
    log: bool
    one_hot: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)


class ColdNetwork(nn.Module):
    """Unroll a recurrent network from static attributes (vector to sequence; Vinyals et al. 2015).

    The attributes are its initial state and, so that a long horizon does not forget them, an input of
    each step, beside the covariates known in advance and how far ahead the step is. Forecasts are relative to level and scale of all training
    series together. The last layer starts at zero: an untrained network says their pooled
    distribution, and unknown attributes lead back to it.

    Parameters
    ----------
    plan : ColdPlan
    """

    level: Tensor
    scale: Tensor
    unit: Tensor
    path_factor: Tensor

    def __init__(self, plan: ColdPlan) -> None:
        super().__init__()
        self.plan = plan
        self.static = ColumnEncoder(plan.static, one_hot=plan.one_hot)
        self.future = ColumnEncoder(plan.future, one_hot=plan.one_hot)
        size = plan.hidden_size
        self.start = nn.Linear(self.static.complete_size, size)
        read = self.static.complete_size + self.future.complete_size + 1
        self.cell = nn.GRU(read, size, batch_first=True)
        self.out = nn.Linear(size, 3)
        self.output = QuantileOutput(plan.quantiles, plan.horizon)
        self.register_buffer("level", torch.zeros((), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("unit", torch.ones(plan.horizon))
        # Cholesky factor of the copula that joins the steps to paths
        self.register_buffer(
            "path_factor", torch.zeros(plan.horizon, plan.horizon, dtype=torch.float64)
        )

    @classmethod
    def build(cls, plan: ColdPlan, generator: torch.Generator) -> ColdNetwork:
        """Return a fresh network whose weights come from ``generator`` alone."""
        with torch.device("meta"):
            network = cls(plan)
        network.to_empty(device="cpu")
        with torch.no_grad(), torch.device("cpu"):
            for weight in network.parameters():
                bound = 1 / math.sqrt(max(weight.shape[-1], plan.hidden_size))
                weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))
            network.out.weight.zero_()
            network.out.bias.zero_()
            for encoder in (network.static, network.future):
                encoder.initialise(generator)
            network.output.load_state_dict(
                QuantileOutput(plan.quantiles, plan.horizon).state_dict()
            )
            network.level.zero_()
            network.scale.fill_(1.0)
            network.unit.fill_(1.0)
            network.path_factor.copy_(torch.eye(plan.horizon, dtype=torch.float64))
        return network

    def relative(self, values: Tensor) -> Tensor:
        """Return raw values relative to the pooled level and scale, float32, NaN kept."""
        represented = values.log() if self.plan.log else values
        return ((represented - self.level) / self.scale).float()

    def forward(self, static: Tensor, ahead: Tensor) -> HeadValues:
        """Say the horizon.

        Parameters
        ----------
        static : Tensor of shape (series, column), float64
        ahead : Tensor of shape (series, horizon, column), float64

        Returns
        -------
        HeadValues of shape (series, horizon)
        """
        horizon = self.plan.horizon
        constant = self.static.complete(self.static(static))
        place = torch.linspace(-1, 1, horizon).expand(len(static), -1).unsqueeze(-1)
        known = self.future.complete(self.future(ahead))
        inputs = torch.cat([constant.unsqueeze(1).expand(-1, horizon, -1), known, place], -1)
        state = torch.tanh(self.start(constant))
        hidden, _ = self.cell(inputs, state.unsqueeze(0))
        said = self.out(hidden).transpose(1, 2)  # (series, 3, horizon)
        unit = self.unit.expand(len(static), -1)
        level, scale = (each.expand(len(static), 1) for each in (self.level, self.scale))
        return HeadValues(unit * said[:, 0], said[:, 1:], unit, level, scale)

    def quantiles(self, head: HeadValues, probability: Tensor) -> Tensor:
        """Return quantiles in the units of the data, shape (series, horizon, quantile)."""
        relative = self.output.quantile(head, probability).double()
        represented = self.level + self.scale * relative
        return represented.exp() if self.plan.log else represented

    def paths(self, head: HeadValues, noise: Tensor) -> Tensor:
        """Return joint sample paths in the units of the data, shape (series, path, horizon).

        Parameters
        ----------
        head : HeadValues of shape (series, horizon)
        noise : Tensor of shape (path, horizon)
            Independent uniforms, common to all series.
        """
        uniforms = coupled(noise, self.path_factor).T  # (horizon, path)
        return self.quantiles(head, uniforms.expand(len(head.location), -1, -1)).transpose(1, 2)
