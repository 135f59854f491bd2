"""Cells by name."""

from __future__ import annotations

from collections.abc import Mapping

from tsrnn.nn.cells.contract import Cell
from tsrnn.nn.cells.minimal import MinGRU, MinLSTM
from tsrnn.nn.cells.mutated import MUT1, MUT2, MUT3
from tsrnn.nn.cells.nas import NAS
from tsrnn.nn.cells.native import GRU, LSTM, RNN, ReLURNN
from tsrnn.nn.cells.slstm import SLSTM
from tsrnn.nn.cells.window import WindowMLP

__all__ = ["CELLS", "make_layer"]

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


def make_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    custom_cells: Mapping[str, type[Cell]] | None = None,
) -> Cell:
    """Return a recurrent layer: a cell that reads (batch, step, input) and returns (batch, step, hidden).

    Parameters
    ----------
    cell : str
        One of ``CELLS``, or of ``custom_cells``.
    input_size, hidden_size : int
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by name.
    """
    return {**CELLS, **(custom_cells or {})}[cell](input_size, hidden_size)
