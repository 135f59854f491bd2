"""Recurrent cells: one contract, one small file a paper, each beside its equations."""

from __future__ import annotations

from tsrnn.nn.cells.catalogue import CELLS, KERNEL_CELLS, fault_of_cell, make_layer
from tsrnn.nn.cells.contract import Cell, State

__all__ = ["CELLS", "KERNEL_CELLS", "Cell", "State", "fault_of_cell", "make_layer"]
