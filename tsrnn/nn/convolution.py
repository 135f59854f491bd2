"""A causal convolution over the inputs of the recurrent steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, gelu

__all__ = ["CausalConvolution"]


class CausalConvolution(nn.Module):
    """Each step's input together with those of the steps just before it.

    y_t = gelu(W_1 x_(t-k+1) + ... + W_k x_t + b). Inputs before the first are zeros.

    Parameters
    ----------
    input_size, output_size : int
    kernel : int
        Steps that are seen together, the present one included.
    """

    def __init__(self, input_size: int, output_size: int, *, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.zeros(output_size, input_size, kernel))
        self.bias = nn.Parameter(torch.zeros(output_size))

    def forward(self, x: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (batch, step, output) for ``x`` (batch, step, input), and the inputs to go on from.

        ``before`` are the inputs of the last ``kernel - 1`` steps, shape (kernel - 1, batch, input), newest
        last.
        """
        if before is None:
            before = x.new_zeros(self.kernel - 1, *x[:, 0].shape)
        seen = torch.cat([before.transpose(0, 1), x], 1)
        said = conv1d(seen.transpose(1, 2), self.weight, self.bias).transpose(1, 2)
        return gelu(said), seen[:, x.shape[1] :].transpose(0, 1)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        drawn = torch.empty(self.weight.shape).uniform_(-bound, bound, generator=generator)
        self.weight.copy_(drawn)
        self.bias.zero_()
