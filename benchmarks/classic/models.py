"""The networks: every cell of the library, a convolutional and a plain network, all with one readout."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from classic.tasks import Task
from tsrnn.nn.cells import CELLS
from tsrnn.nn.encoder import RecurrentEncoder
from tsrnn.nn.plan import EncoderPlan

__all__ = ["MODELS", "Recurrent", "build"]

MODELS = (*CELLS, "cnn", "plain")
KERNEL = 3
LAYERS = {
    "mingru": 3,
    "minlstm": 3,
}  # as in their paper: gates that see the input alone can't count


def build(name: str, task: Task, *, hidden_size: int, generator: torch.Generator) -> nn.Module:
    """Return a fresh network that maps (batch, step, feature) to (batch, answer, size).

    Parameters
    ----------
    name : str
        A cell of tsrnn, "cnn" or "plain".
    task : Task
    hidden_size : int
    generator : torch.Generator
        Of the weights.
    """
    if name == "plain":
        return Plain(task, hidden_size, generator)
    if name == "cnn":
        return Convolutional(task, hidden_size, generator)
    return Recurrent(name, task, hidden_size, generator)


class Recurrent(nn.Module):
    """One recurrent layer (minimal cells: three), drawn as the library draws them, and a linear readout."""

    def __init__(self, cell: str, task: Task, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.answers = task.answers
        self.encoder = RecurrentEncoder(
            task.features, EncoderPlan(cell, hidden_size, LAYERS.get(cell, 1), 0.0)
        )
        self.encoder.initialise(generator)
        self.readout = nn.Linear(hidden_size, task.size)
        _draw(self.readout, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Read the sequence, and answer at its last steps."""
        hidden, _ = self.encoder(x)
        return self.readout(hidden[:, -self.answers :])


class Convolutional(nn.Module):
    """Causal convolutions of kernel 3 whose dilation doubles until they see the whole sequence."""

    def __init__(self, task: Task, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.answers = task.answers
        depth = max(1, math.ceil(math.log2((task.steps - 1) / (KERNEL - 1) + 1)))
        sizes = [task.features] + [hidden_size] * depth
        self.layers = nn.ModuleList(
            [nn.Conv1d(sizes[i], sizes[i + 1], KERNEL, dilation=2**i) for i in range(depth)]
        )
        self.readout = nn.Linear(hidden_size, task.size)
        for layer in [*self.layers, self.readout]:
            _draw(layer, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Read the sequence, and answer at its last steps."""
        hidden = x.transpose(1, 2)  # (batch, feature, step)
        for i, layer in enumerate(self.layers):
            made = torch.relu(layer(pad(hidden, ((KERNEL - 1) * 2**i, 0))))
            hidden = made + hidden if i else made
        return self.readout(hidden[..., -self.answers :].transpose(1, 2))


class Plain(nn.Module):
    """One hidden layer over all steps at once."""

    def __init__(self, task: Task, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape = (task.answers, task.size)
        self.hidden = nn.Linear(task.steps * task.features, hidden_size)
        self.readout = nn.Linear(hidden_size, task.answers * task.size)
        for layer in (self.hidden, self.readout):
            _draw(layer, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Read all steps together, and answer."""
        return self.readout(torch.relu(self.hidden(x.flatten(1)))).unflatten(1, self.shape)


@torch.no_grad()
def _draw(layer: nn.Linear | nn.Conv1d, generator: torch.Generator) -> None:
    """Draw weights so that a relu behind them keeps the variance (He et al. 2015); biases are zero."""
    fan_in = layer.weight[0].numel()
    layer.weight.normal_(0.0, math.sqrt(2 / fan_in), generator=generator)
    layer.bias.zero_()
