"""Cells by name."""

from __future__ import annotations

from collections.abc import Mapping

from tsrnn.nn.cells.contract import Cell
from tsrnn.nn.cells.native import GRU, LSTM, RNN, ReLURNN

__all__ = ["CELLS", "make_layer"]

CELLS: Mapping[str, type[Cell]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": RNN,
    "rnn_relu": ReLURNN,
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
