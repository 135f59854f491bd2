"""Torch's GRU and LSTM layers, trained through kernels where these are faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsrnn.nn.kernels.gru import gru, read_gru
from tsrnn.nn.kernels.lstm import lstm
from tsrnn.nn.kernels.products import PRECISIONS
from tsrnn.nn.kernels.single import read_one_gru

__all__ = ["GRU", "LSTM"]

READING_PAYS = (32, 8)  # sequences and steps from which torch's own GRU is slower to read
LSTM_PAYS = 640_000  # batch * steps * hidden from which torch's own LSTM maps its memory anew


class GRU(nn.GRU):
    """``torch.nn.GRU`` of one layer, batch first: same parameters, same values, faster on a CPU.

    The kernels run where gradients are wanted in training mode, and where many sequences or a single one are
    read without; elsewhere torch's own does. With ``precision="bfloat16"`` products round their operands where
    gradients are wanted; reading does not.
    """

    def __init__(self, input_size: int, hidden_size: int, *, precision: str = "float32") -> None:
        super().__init__(input_size, hidden_size, batch_first=True)
        self.precision = precision

    def forward(  # type: ignore[override]  # packed sequences are not read
        self, x: Tensor, hx: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read (batch, step, feature); return (batch, step, hidden) and the state (1, batch, hidden)."""
        trains, reads = _trains_here(self, x), _reads_here(x)
        if reads and len(x) == 1:
            return self._read_one(x[0], hx)
        if not trains and not reads:
            said: tuple[Tensor, Tensor] = super().forward(x, hx)
            return said
        size = self.hidden_size
        start = x.new_zeros(size, len(x)) if hx is None else hx[0].t()
        read, recurrent, bias, inner = _parameters(self)
        read = torch.cat([read, bias], 1)
        blind = torch.cat([read[: 2 * size], torch.zeros_like(read[2 * size :])])  # q reads no x
        weight = torch.cat([recurrent, blind[:, :-1], blind[:, -1:] + inner], 1)
        arguments = x.permute(1, 2, 0), start, weight, read[2 * size :]
        states = gru(*arguments, PRECISIONS[self.precision]) if trains else read_gru(*arguments)
        return states.permute(2, 0, 1), states[-1].t().unsqueeze(0)

    def _read_one(self, x: Tensor, hx: Tensor | None) -> tuple[Tensor, Tensor]:
        start = x.new_zeros(self.hidden_size) if hx is None else hx[0, 0]
        read, recurrent, *biases = _parameters(self)
        states = read_one_gru(x, start, read, recurrent, torch.cat(biases, 1).t())
        return states.unsqueeze(0), states[-1:].unsqueeze(0)


class LSTM(nn.LSTM):
    """``torch.nn.LSTM`` of one layer, batch first: same parameters, same values, faster to train on a CPU.

    The kernel runs where gradients are wanted in training mode and the batch and its sequences are large enough.
    With ``precision="bfloat16"`` it runs for small ones, too, and its products round their operands.
    """

    def __init__(self, input_size: int, hidden_size: int, *, precision: str = "float32") -> None:
        super().__init__(input_size, hidden_size, batch_first=True)
        self.precision = precision

    def forward(  # type: ignore[override]  # packed sequences are not read
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read (batch, step, feature); return (batch, step, hidden) and the state, twice (1, batch, hidden)."""
        operands = PRECISIONS[self.precision]
        small = operands is None and x.shape[0] * x.shape[1] * self.hidden_size < LSTM_PAYS
        if small or not _trains_here(self, x):
            said: tuple[Tensor, tuple[Tensor, Tensor]] = super().forward(x, hx)
            return said
        zero = x.new_zeros(self.hidden_size, len(x))
        start = (zero, zero) if hx is None else (hx[0][0].t(), hx[1][0].t())
        read, recurrent, bias, inner = _parameters(self)
        weight = torch.cat([recurrent, read, bias + inner], 1)
        take, keep, fresh, show = weight.chunk(4)
        weight = torch.cat([take, keep, show, fresh])
        states, cell = lstm(x.permute(1, 2, 0), start, weight, operands)
        return states.permute(2, 0, 1), (states[-1].t().unsqueeze(0), cell.t().unsqueeze(0))


def _trains_here(layer: nn.Module, x: Tensor) -> bool:
    return layer.training and torch.is_grad_enabled() and x.device.type == "cpu"


def _reads_here(x: Tensor) -> bool:
    sequences, steps = READING_PAYS
    pays = (len(x) >= sequences or len(x) == 1) and x.shape[1] >= steps
    return pays and not torch.is_grad_enabled() and x.device.type == "cpu"


def _parameters(layer: nn.Module) -> list[Tensor]:
    """Return input weights, recurrent weights, and both biases as columns."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights: list[Tensor] = [getattr(layer, name) for name in names]
    return [w if w.dim() == 2 else w.unsqueeze(1) for w in weights]
