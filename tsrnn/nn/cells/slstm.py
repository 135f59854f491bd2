"""sLSTM: exponential gates, kept in range by a stabiliser.

Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter 2024, "xLSTM: Extended
Long Short-Term Memory", equations 8 to 17; one head, so that all units are mixed.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from tsrnn.nn.cells.contract import Cell, State

__all__ = ["SLSTM"]

LEAST = (
    -80.0
)  # logarithm of the least input gate: the first one must leave a normaliser to divide by
OPEN = (
    3.0,
    6.0,
)  # bias of the forget gates, from the first unit to the last: 20 to 400 steps are kept


class SLSTM(Cell):
    """The sLSTM of the xLSTM family.

    z = tanh(W x + R h + b), i~, f~ = W x + R h + b, o = sigmoid(W x + R h + b), each with weights of its
    own (eq. 11 to 14, with f = sigmoid(f~), one of the paper's two choices); in the range of the stabiliser
    m' = max(log f + m, i~), i' = exp(i~ - m'), f' = exp(log f + m - m') (eq. 15 to 17);
    c' = f' c + i' z, n' = f' n + i', h' = o c' / n' (eq. 8 to 10). Blocks of weights in the order z, i, f, o.
    """

    parts: ClassVar[tuple[str, ...]] = ("h", "c", "n", "m")
    fixed: ClassVar[tuple[str, ...]] = ("c", "n", "m")  # c without its n is the mean of nothing

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """Return W x + b."""
        return linear(x, self.weight_ih, self.bias)

    def step(self, projected: Tensor, state: State) -> State:
        """Return the state after one step."""
        _, c, n, _ = state
        z, i, f, o, m = self._gates(projected, state)
        c = torch.addcmul(i * z, f, c)  # eq. 8
        n = torch.addcmul(i, f, n)  # eq. 9
        return o * c / n, c, n, m  # eq. 10

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return cell input z, stabilised input and forget gates i' and f', output gate o."""
        gates = self._gates(self.project(x), state)
        return dict(zip(("z", "i'", "f'", "o"), gates[:4], strict=True))

    def _gates(self, projected: Tensor, state: State) -> tuple[Tensor, ...]:
        h, _, _, before = state
        z, i, f, o = torch.addmm(projected, h, self.weight_hh.T).chunk(4, -1)  # eq. 11 to 14
        kept = logsigmoid(f) + before
        m = torch.maximum(kept, i)  # eq. 15
        i, f = torch.exp((i - m).clamp(min=LEAST)), torch.exp(kept - m)  # eq. 16 and 17
        return z.tanh(), i, f, o.sigmoid(), m

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; forget gates start open, each unit's for another length of time."""
        super().initialise(generator)
        forget = self.bias.split(self.hidden_size)[2]
        forget.copy_(torch.linspace(*OPEN, self.hidden_size))
