"""Cells by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch

from tsrnn.nn.cells.contract import Cell
from tsrnn.nn.cells.minimal import MinGRU, MinLSTM
from tsrnn.nn.cells.mutated import MUT1, MUT2, MUT3
from tsrnn.nn.cells.nas import NAS
from tsrnn.nn.cells.native import GRU, LSTM, RNN, ReLURNN
from tsrnn.nn.cells.slstm import SLSTM
from tsrnn.nn.cells.window import WindowMLP

__all__ = ["CELLS", "KERNEL_CELLS", "fault_of_cell", "make_layer"]

CELLS: Mapping[str, type[Cell]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": RNN,
    "rnn_relu": ReLURNN,
    "mut1": MUT1,
    "mut2": MUT2,
    "mut3": MUT3,
    "nas": NAS,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "slstm": SLSTM,
    "mlp": WindowMLP,
}
KERNEL_CELLS: Mapping[str, type[GRU | LSTM]] = {"gru": GRU, "lstm": LSTM}  # trained through kernels


def make_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    custom_cells: Mapping[str, type[Cell]] | None = None,
    *,
    precision: str = "float32",
) -> Cell:
    """Return a recurrent layer: a cell that reads (batch, step, input) and returns (batch, step, hidden).

    Parameters
    ----------
    cell : str
        One of ``CELLS``, or of ``custom_cells``.
    input_size, hidden_size : int
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by name.
    precision : {"float32", "bfloat16"}
        Of matrix products in training; "bfloat16" for ``KERNEL_CELLS`` alone.
    """
    if precision != "float32":
        return KERNEL_CELLS[cell](input_size, hidden_size, precision=precision)
    return {**CELLS, **(custom_cells or {})}[cell](input_size, hidden_size)


def fault_of_cell(kind: type) -> str | None:
    """Return in which way a class of the user's own does not keep the contract of a cell; None where it does.

    A small layer of it reads a few steps.
    """
    name = kind.__name__
    if not issubclass(kind, Cell) or inspect.isabstract(kind):
        return f"The 'cell' parameter must be a name or a subclass of tsrnn.Cell with a step(). Got {kind!r}."
    if name in CELLS:
        return f"A cell of your own must have a name of its own. Got {name!r}, which is one of tsrnn's. Rename it."
    with torch.device("meta"):
        layer = kind(3, 4)
    layer.to_empty(device="cpu")
    weights = {name: each for name, each in layer.state_dict().items() if each.is_floating_point()}
    for weight in weights.values():
        weight.fill_(torch.nan)
    layer.initialise(torch.Generator().manual_seed(0))
    unset = [name for name, weight in weights.items() if weight.isnan().any()]
    if unset:
        return f"initialise() of the cell {name} must set every parameter and buffer. Got NaN in {unset!r}."
    with torch.no_grad():
        hidden, state = layer(torch.zeros(2, 5, 3))
        after = layer(torch.zeros(2, 1, 3), state)[1]
    got = [tuple(hidden.shape), *(tuple(part.shape) for part in after)]
    must = [(2, 5, 4), *((2, size) for size in layer.sizes)]
    if got != must:
        return (
            f"The cell {name} with hidden_size 4 must return hidden states and the parts {layer.parts!r} of its "
            f"state for 2 sequences of 5 steps as {must!r}. Got {got!r}."
        )
    return None
