"""The attention decoder: the recurrent one, which looks back at what the encoder said."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tsrnn.nn.decoders.mixture import HeadInputs, HeadSizes
from tsrnn.nn.decoders.stepwise import StepwiseHead

__all__ = ["AttentionHead", "newest_steps", "recall", "remember"]


class AttentionHead(StepwiseHead):
    """The recurrent decoder with attention over the encoder's newest states.

    With h the decoder's hidden state and e_k what the encoder said at step k of the ``slots`` newest up
    to the origin, the weights are softmax_k(h' W e_k / sqrt(hidden)) and the context is their sum over
    the e_k; it stands beside h where the step is said ("general" score and global attention of Luong,
    Pham and Manning 2015, Effective approaches to attention-based neural machine translation, equations
    5, 7 and 8; scaled as in Vaswani et al. 2017, equation 1). No position sees a state after its own.

    Parameters
    ----------
    sizes : HeadSizes
    cell : str
        Of the decoder; see :class:`StepwiseHead`.
    slots : int
        Newest steps of the encoder that are attended to.
    """

    def __init__(self, sizes: HeadSizes, *, cell: str, slots: int) -> None:
        super().__init__(sizes, cell=cell, context_size=sizes.hidden + sizes.state)
        self.slots = slots
        self.score = nn.Linear(sizes.hidden, sizes.state, bias=False)

    def look(self, hidden: Tensor, inputs: HeadInputs) -> Tensor:
        """Return the decoder's hidden state and the context beside it."""
        memory, _ = _visible(inputs)
        context = self.weights(hidden, inputs) @ memory
        return torch.cat([hidden, context.flatten(0, 1)], -1)

    def weights(self, hidden: Tensor, inputs: HeadInputs) -> Tensor:
        """Return the weight of each slot, (batch, position, slot); those not visible have none."""
        memory, visible = _visible(inputs)
        asked = self.score(hidden) / math.sqrt(hidden.shape[-1])
        scores = asked.unflatten(0, inputs.state.shape[:2]) @ memory.transpose(1, 2)
        return torch.softmax(scores.masked_fill(~visible, -torch.inf), -1)

    def attended(self, inputs: HeadInputs) -> Tensor:
        """Return the weights of each step of a freely said horizon, (batch, position, horizon, slot)."""
        return torch.stack([self.weights(s.hidden, inputs) for s in self.unroll(inputs)], -2)

    def _draw(self, generator: torch.Generator) -> None:
        super()._draw(generator)
        bound = 1 / math.sqrt(self.score.in_features)
        draw = torch.empty(self.score.weight.shape)
        self.score.weight.copy_(draw.uniform_(-bound, bound, generator=generator))


def _visible(inputs: HeadInputs) -> tuple[Tensor, Tensor]:
    if inputs.memory is None or inputs.visible is None:
        raise ValueError("attention needs what the encoder said before the origin")
    return inputs.memory, inputs.visible


def newest_steps(steps: Tensor, count: int, slots: int) -> Tensor:
    """Return which of ``count`` steps each of ``steps`` sees: up to itself, at most ``slots`` of them.

    Returns
    -------
    Tensor of bool, shape (1, position, count)
    """
    back = steps[:, None] - torch.arange(count, device=steps.device)
    return ((back >= 0) & (back < slots)).unsqueeze(0)


def remember(kept: tuple[Tensor, ...] | None, hidden: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """Return what is kept for attention once the encoder has said ``hidden``, as parts of a state.

    Parameters
    ----------
    kept : tuple of Tensor, optional
        What was kept before.
    hidden : Tensor of shape (batch, step, hidden)
    slots : int

    Returns
    -------
    memory : Tensor of shape (slots, batch, hidden)
        What was said at the newest steps, in order; zeros before the first.
    count : Tensor of shape (1, batch, 1)
        How many of them there are.
    """
    said = hidden.transpose(0, 1)
    steps, batch, size = said.shape
    if kept is None:
        kept = (said.new_zeros(slots, batch, size), said.new_zeros(1, batch, 1))
    memory = torch.cat([kept[0], said])[-slots:]
    return memory, (kept[1] + steps).clamp_max(slots)


def recall(memory: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Return memory (batch, slot, hidden) and what of it is visible (batch, 1, slot)."""
    slots = len(memory)
    missing = slots - count.transpose(0, 1)  # (batch, 1, 1)
    return memory.transpose(0, 1), torch.arange(slots, device=memory.device) >= missing
