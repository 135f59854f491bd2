"""Dropout whose randomness comes from a generator: of values, of whole sequences, of recurrent weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from tsrnn.nn.cells import Cell, State

__all__ = ["Reader", "dropout", "locked_dropout", "weight_dropped"]

Reader = Callable[[Tensor, State | None], tuple[Tensor, State]]


def dropout(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Set a random share of ``x`` to zero and scale the rest up; nothing without a generator.

    The randomness comes from ``generator``, never from torch's global one.
    """
    if generator is None or probability == 0:
        return x
    keep = torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - probability, generator=generator)
    return x * keep.to(x.device) / (1 - probability)


def locked_dropout(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Drop the same features at every step of a sequence (Gal and Ghahramani 2016, section 4.2).

    Parameters
    ----------
    x : Tensor of shape (batch, step, feature)
        Each sequence has a mask of its own.
    probability : float
    generator : torch.Generator, optional
        Without it nothing is dropped.
    """
    if generator is None or probability == 0:
        return x
    return x * dropout(torch.ones_like(x[:, :1]), probability, generator)


def weight_dropped(layer: Cell, probability: float, generator: torch.Generator | None) -> Reader:
    """Return a layer that reads with some of its recurrent weights dropped (Merity et al. 2018, section 2).

    One mask of the weights named ``weight_hh...`` holds for all steps and the whole batch, so that torch's
    own layers can read with it. The layer itself is returned without a generator, or if it has no such
    weights.
    """
    if generator is None or probability == 0:
        return layer
    fewer = {
        name: dropout(weight, probability, generator)
        for name, weight in layer.named_parameters()
        if name.rpartition(".")[2].startswith("weight_hh")
    }
    return lambda x, state: functional_call(layer, fewer, (x, state))
