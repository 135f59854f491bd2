"""The recurrent weights: largest singular value and spectral radius, layer by layer and gate by gate."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrnn.inspection.activity import recurrent_layers
from tsrnn.inspection.blocks import kind_of
from tsrnn.nn.cells import CELLS
from tsrnn.nn.encoder import RecurrentEncoder

__all__ = ["Spectrum", "spectra"]

BLOCKS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.GRU: ("r", "z", "n"),
    nn.LSTM: ("i", "f", "g", "o"),
    nn.RNN: ("h",),
    CELLS["mut1"]: ("r", "h~"),
    CELLS["mut2"]: ("z", "r", "h~"),
    CELLS["mut3"]: ("z", "r", "h~"),
    CELLS["nas"]: tuple(f"l{k}" for k in range(8)),
    CELLS["slstm"]: ("z", "i", "f", "o"),
}


class Spectrum(NamedTuple):
    """How a recurrent matrix stretches.

    Parameters
    ----------
    layer : int
        From 1.
    gate : str
        The gate that the matrix feeds; "n", "g" and "h" are what is written into the state.
    singular_value : float
        The largest: how far one step can stretch.
    radius : float
        Largest absolute eigenvalue: how it stretches when repeated.
    """

    layer: int
    gate: str
    singular_value: float
    radius: float


@torch.no_grad()
def spectra(encoder: RecurrentEncoder) -> list[Spectrum]:
    """Return the spectrum of each square block of the weights called ``weight_hh...``."""
    found = []
    for number, layer in enumerate(recurrent_layers(encoder), start=1):
        for name, weight in layer.named_parameters():
            last = name.rpartition(".")[2]
            if last.startswith("weight_hh"):
                blocks = weight.detach().double().split(weight.shape[1])
                names = _names(layer, last, len(blocks))
                found += [_spectrum(number, gate, b) for gate, b in zip(names, blocks, strict=True)]
    return found


def _names(layer: nn.Module, weight: str, count: int) -> list[str]:
    for module in layer.modules():
        if kind_of(module) in BLOCKS:
            return list(BLOCKS[kind_of(module)])
    rest = weight.removeprefix("weight_hh").strip("_") or "h"
    return [rest] if count == 1 else [f"{rest}{i}" for i in range(1, count + 1)]


def _spectrum(layer: int, gate: str, block: Tensor) -> Spectrum:
    largest = torch.linalg.matrix_norm(block, 2).item()
    return Spectrum(layer, gate, largest, torch.linalg.eigvals(block).abs().max().item())
