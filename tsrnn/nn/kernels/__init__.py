"""Recurrent layers whose backward pass is written out: fewer, larger operations a step."""

from tsrnn.nn.kernels.layers import GRU, LSTM

__all__ = ["GRU", "LSTM"]
