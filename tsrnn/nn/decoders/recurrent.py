"""The recurrent decoder: encoder and decoder are two networks, joined by the state at the origin."""

from __future__ import annotations

from torch import Tensor

from tsrnn.nn.decoders.mixture import HeadInputs, HeadSizes
from tsrnn.nn.decoders.stepwise import StepwiseHead

__all__ = ["RecurrentHead"]


class RecurrentHead(StepwiseHead):
    """The decoder of an encoder-decoder network; see :class:`StepwiseHead`.

    Parameters
    ----------
    sizes : HeadSizes
    cell : str
        Of the decoder; see :class:`StepwiseHead`.

    References
    ----------
    Cho et al. 2014, Learning phrase representations using RNN encoder-decoder for statistical machine
    translation, section 2.2; Sutskever, Vinyals and Le 2014, Sequence to sequence learning with neural
    networks.
    """

    def __init__(self, sizes: HeadSizes, *, cell: str) -> None:
        super().__init__(sizes, cell=cell, context_size=sizes.hidden)

    def look(self, hidden: Tensor, inputs: HeadInputs) -> Tensor:
        """Return the decoder's hidden state itself."""
        del inputs
        return hidden
