"""minGRU and minLSTM: gates that see the input alone, so that all steps are computed at once.

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs All We Needed?", sections 3.1 and 3.2. What is
trained in parallel there by a scan over logarithms is a scan over blocks here, which needs no positive
candidates (:mod:`tsrnn.nn.cells.scan`).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from tsrnn.nn.cells.contract import Cell, State
from tsrnn.nn.cells.scan import linear_scan

__all__ = ["MinGRU", "MinLSTM"]


class _Minimal(Cell):
    """h' = (1 - share) h + share h~, where share and candidate h~ come from the input."""

    def __init__(self, input_size: int, hidden_size: int, blocks: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(blocks * hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(blocks * hidden_size))

    @abstractmethod
    def _share(self, gates: Tensor) -> Tensor:
        """Return the share of the candidate in the new state."""

    def project(self, x: Tensor) -> Tensor:
        """Return share and candidate: nothing of them waits for the state."""
        products = linear(x, self.weight_ih, self.bias)
        gates, candidate = products.split(
            [products.shape[-1] - self.hidden_size, self.hidden_size], -1
        )
        return torch.cat([self._share(gates), candidate], -1)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        share, candidate = projected.chunk(2, -1)
        return ((1 - share) * state[0] + share * candidate,)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence; see :meth:`Cell.forward`."""
        (start,) = self.zero_state(len(x), like=x) if state is None else state
        share, candidate = self.project(x.transpose(0, 1)).chunk(2, -1)
        hidden = linear_scan(1 - share, share * candidate, start)
        return hidden.transpose(0, 1), (hidden[-1],)


class MinGRU(_Minimal):
    """minGRU (Feng et al. 2024, section 3.1): z = sigmoid(W x + b), h~ = V x + c, h' = (1 - z) h + z h~."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, blocks=2)

    def _share(self, gates: Tensor) -> Tensor:
        return gates.sigmoid()

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:  # noqa: ARG002
        """Return update gate z (of what is new) and candidate h~."""
        return dict(zip(("z", "h~"), self.project(x).chunk(2, -1), strict=True))


class MinLSTM(_Minimal):
    """minLSTM (Feng et al. 2024, section 3.2), with gates normalised to one.

    f, i = sigmoid(W x + b), h~ = V x + c, each with weights of its own; f' = f / (f + i),
    i' = i / (f + i); h' = f' h + i' h~. Forget gates start open: bias 1.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, blocks=3)

    def _share(self, gates: Tensor) -> Tensor:
        f, i = logsigmoid(gates).chunk(2, -1)
        return torch.sigmoid(i - f)  # i / (f + i), where both may be too small to divide by

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:  # noqa: ARG002
        """Return normalised input gate i', forget gate f' and candidate h~."""
        share, candidate = self.project(x).chunk(2, -1)
        return {"i'": share, "f'": 1 - share, "h~": candidate}

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; forget gates start open."""
        super().initialise(generator)
        self.bias[: self.hidden_size] = 1.0
