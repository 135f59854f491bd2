"""Encoders whose weights are set by hand, so that the answer is known."""

import torch

from tsrnn.nn.encoder import RecurrentEncoder
from tsrnn.nn.plan import EncoderPlan


def zeroed(cell, hidden_size=3, layers=1, features=2, **how):
    """Return an encoder in float64 with all weights zero and no gradients asked."""
    made = RecurrentEncoder(features, EncoderPlan(cell, hidden_size, layers, 0.0, **how)).double()
    made.requires_grad_(False)
    for parameter in made.parameters():
        parameter.zero_()
    return made


def drawn(cell, hidden_size=4, layers=1, features=2, **how):
    """Return an encoder in float64 as it is at the start of training."""
    made = RecurrentEncoder(features, EncoderPlan(cell, hidden_size, layers, 0.0, **how)).double()
    made.initialise(torch.Generator().manual_seed(0))
    return made.requires_grad_(False)


def weights(encoder, layer=0):
    """Return the weights of a layer by the first words of their names, such as weight_hh."""
    return {
        name.rpartition(".")[2].removesuffix("_l0"): weight
        for name, weight in encoder.layers[layer].named_parameters()
    }


def inputs(series=2, steps=12, features=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(series, steps, features, dtype=torch.float64).normal_(generator=generator)
