"""The parts of a network with their sizes and the textbook's count of their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tsrnn.nn.cells import CELLS, Cell

__all__ = ["Block", "blocks_of", "kind_of"]

FORMULAS: dict[type[nn.Module], tuple[str, str]] = {
    nn.RNN: ("Elman", "nh + h² + 2h"),
    nn.GRU: ("GRU", "3(nh + h² + 2h)"),
    nn.LSTM: ("LSTM", "4(nh + h² + 2h)"),
    nn.Linear: ("linear", "nm + m"),
    nn.Embedding: ("embedding", "nm"),
    CELLS["mut1"]: ("MUT1", "3nh + 2h² + 3h"),
    CELLS["mut2"]: ("MUT2", "3(nh + h² + h)"),
    CELLS["mut3"]: ("MUT3", "3(nh + h² + h)"),
    CELLS["nas"]: ("NAS cell", "8(nh + h² + h)"),
    CELLS["mingru"]: ("minGRU", "2(nh + h)"),
    CELLS["minlstm"]: ("minLSTM", "3(nh + h)"),
    CELLS["slstm"]: ("sLSTM", "4(nh + h² + h)"),
    CELLS["mlp"]: ("plain", "Knh + h"),
}


@dataclass(frozen=True)
class Block:
    """A part of a network that a textbook has a formula for.

    Parameters
    ----------
    name : str
        Where it stands, as in ``encoder.layers.0``.
    kind : str
        "GRU", "linear", ...
    sizes : dict of str to int
        The letters of the formula: n is what it reads, h its hidden units, m what it says, K the steps it sees.
    formula : str
        The count of parameters in these letters; empty where there is none.
    parameters : int
    """

    name: str
    kind: str
    sizes: dict[str, int]
    formula: str
    parameters: int

    def __str__(self) -> str:
        letters = ", ".join(f"{letter} = {size}" for letter, size in self.sizes.items())
        formula = f"{self.formula} = " if self.formula else ""
        return f"{self.kind}, {letters}: {formula}{self.parameters:,}"


def blocks_of(module: nn.Module, name: str = "") -> list[Block]:
    """Return the blocks inside a module, in its order; what no formula covers is left out.

    Examples
    --------
    >>> print(blocks_of(nn.GRU(9, 64), "encoder")[0])
    GRU, n = 9, h = 64: 3(nh + h² + 2h) = 14,400
    """
    known = FORMULAS.get(kind_of(module))
    if known is not None:
        return [_block(module, name, *known)]
    inner = [
        block
        for child, part in module.named_children()
        for block in blocks_of(part, f"{name}.{child}" if name else child)
    ]
    if not inner and isinstance(module, Cell):  # the user's own
        sizes = _sizes(module, n="input_size", h="hidden_size")
        return [Block(name, type(module).__name__, sizes, "", _count(module))]
    return inner


def kind_of(module: nn.Module) -> type[nn.Module]:
    """Return the class that tells what a module is: torch's own where it is one of torch's recurrent layers."""
    torchs = (kind for kind in (nn.RNN, nn.GRU, nn.LSTM) if isinstance(module, kind))
    return next(torchs, type(module))


def _block(module: nn.Module, name: str, kind: str, formula: str) -> Block:
    if isinstance(module, nn.RNNBase | Cell):
        sizes = _sizes(module, n="input_size", h="hidden_size")
        if "K" in formula:
            sizes |= _sizes(module, K="steps")
    elif isinstance(module, nn.Embedding):
        sizes = _sizes(module, n="num_embeddings", m="embedding_dim")
    else:
        sizes = _sizes(module, n="in_features", m="out_features")
        formula = "nm" if module.bias is None else formula
    return Block(name, kind, sizes, formula, _count(module))


def _sizes(module: nn.Module, **letters: str) -> dict[str, int]:
    return {letter: int(getattr(module, attribute)) for letter, attribute in letters.items()}


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
