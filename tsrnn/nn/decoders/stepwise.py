"""Stepwise heads: a recurrent network of their own runs over the horizon."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from tsrnn.nn.decoders.mixture import PLACE, HeadInputs, HeadSizes, MixtureHead
from tsrnn.nn.dropout import dropout
from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.scaling import squash

__all__ = ["Step", "StepwiseHead"]

PLACE_SIZE = 8
CELLS: dict[str, Callable[[int, int], nn.RNNCellBase]] = {
    "gru": nn.GRUCell,
    "lstm": nn.LSTMCell,
    "rnn": nn.RNNCell,
    "rnn_relu": partial(nn.RNNCell, nonlinearity="relu"),
}


class Step(NamedTuple):
    """What a stepwise head makes of one step of the horizon, batch and positions as one dimension.

    ``learned`` is the location without what covariates add, (sample, 1); ``spread`` has shape
    (sample, 2), ``hidden``, the decoder's state, (sample, hidden).
    """

    learned: Tensor
    spread: Tensor
    hidden: Tensor


class StepwiseHead(MixtureHead):
    """Says the horizon step after step, each going on from the value before it.

    A recurrent network of its own starts from a learned map of the encoder's state and the features at
    the origin. At each step it reads the value before (and whether that was given or is the head's own
    location), the reference forecasts of the step, what is known of its row in advance, and its place
    in the horizon. With e the distance of the value before from what mixture and covariates said of it,
    the location is mixture + covariates + carry * e + unit * correction; carry lies in (-1, 1) and, as
    mixture, correction and spreads, is said by the last layer, which starts at zero.

    Parameters
    ----------
    sizes : HeadSizes
    cell : str
        Of the decoder: "gru", "lstm", "rnn" or "rnn_relu"; a GRU beside any other cell of the encoder.
    context_size : int
        Size of what :meth:`look` returns.
    """

    stepwise = True

    def __init__(self, sizes: HeadSizes, *, cell: str, context_size: int) -> None:
        inner_size, hidden = sizes.state + sizes.features, sizes.hidden
        super().__init__(sizes, inner_size=inner_size)
        seen_size = sizes.references + sizes.response + PLACE_SIZE
        self.parts = 2 if cell == "lstm" else 1
        self.begin = nn.Linear(inner_size, self.parts * hidden)
        self.cell = CELLS.get(cell, nn.GRUCell)(2 + seen_size, hidden)
        self.place = nn.Parameter(torch.zeros(sizes.horizon, PLACE_SIZE))
        self.ahead = nn.Linear(seen_size, hidden, bias=False)
        self.told = nn.Linear(context_size, hidden, bias=False)
        self.out = nn.Linear(hidden, 4 + sizes.references)

    @abstractmethod
    def look(self, hidden: Tensor, inputs: HeadInputs) -> Tensor:
        """Return what is said from, (sample, context), given the decoder's state (sample, hidden)."""

    def forward(
        self,
        inputs: HeadInputs,
        generator: torch.Generator | None = None,
        fed: Tensor | None = None,
    ) -> HeadValues:
        """Say location and spreads; see :meth:`MixtureHead.forward`."""
        values = [None] * self.horizon if fed is None else fed.unbind(-1)
        unrolled = self.unroll(inputs, generator)
        steps = [next(unrolled)]
        steps += [unrolled.send(value) for value in values[: self.horizon - 1]]
        return self.said(steps, inputs)

    def unroll(
        self, inputs: HeadInputs, generator: torch.Generator | None = None
    ) -> Generator[Step, Tensor | None, None]:
        """Go through the horizon; each step waits to be sent the relative value that came true.

        None, or NaN in a tensor of shape (batch, position), lets the head go on from its own location.
        """
        flat = [part.flatten(0, 1) for part in inputs[:4]]
        origin, references, newest = torch.cat(flat[:2], -1), flat[2], flat[3]
        tiles = squash(references).transpose(1, 2), self.place.expand(len(origin), -1, -1)
        rows = () if inputs.rows is None else (inputs.rows.flatten(0, 1),)
        seen = torch.cat([*tiles, *rows], -1)  # (sample, horizon, seen)
        known = (self.known(origin).unsqueeze(1) + self.ahead(seen)).unbind(1)
        moved = self._moved(inputs).flatten(0, 1).unsqueeze(-1).unbind(1)
        by_step = zip(
            seen.unbind(1), known, moved, references.unbind(2), self.mixture.unbind(1), strict=True
        )
        begin = torch.tanh(self.begin(origin)).chunk(self.parts, -1)
        state = begin if self.parts > 1 else begin[0]
        value, given = newest.split(1, -1)
        expected = value
        for step, (now, told, more, reference, mixture) in enumerate(by_step):
            state = self.cell(torch.cat([squash(value), given, now], -1), state)
            hidden = state[0] if self.parts > 1 else state
            inner = gelu(told + self.told(self.look(hidden, inputs)))
            answer = self.out(dropout(inner, self.dropout, generator))
            correction, spread, carry, logits = answer.split([1, 2, 1, self.references], -1)
            mixed = (torch.softmax(mixture + logits, -1) * reference).sum(-1, keepdim=True)
            error = value - expected
            learned = mixed + torch.tanh(carry) * error + self.unit[step] * correction
            expected, value, given = mixed + more, learned + more, torch.zeros_like(given)
            sent = yield Step(learned, spread, hidden)
            if sent is not None:
                sent = sent.reshape(-1, 1)
                given = (~sent.isnan()).to(given.dtype)
                value = torch.where(sent.isnan(), value, sent)

    def said(self, steps: Sequence[Step], inputs: HeadInputs, first: int = 0) -> HeadValues:
        """Return what is said of the steps from ``first`` on, the share of what was learned applied."""
        shape, which = inputs.state.shape[:2], slice(first, first + len(steps))
        location = torch.cat([step.learned for step in steps], 1).unflatten(0, shape)
        spread = torch.stack([step.spread for step in steps], 2).unflatten(0, shape)
        location, spread = self.blend(location, spread, inputs, which)
        location = location + self._moved(inputs)[..., which]
        anchor, scale = inputs.anchor.unsqueeze(-1), inputs.scale.unsqueeze(-1)
        return HeadValues(location, spread, self.unit_now(inputs, which), anchor, scale)

    def _moved(self, inputs: HeadInputs) -> Tensor:
        """Return by how much covariates move each step, (batch, position, horizon)."""
        if inputs.response is None:
            return self.unit.new_zeros(*inputs.state.shape[:2], self.horizon)
        return self.unit * inputs.response

    def ignore(self, inner: Tensor) -> None:
        """Set the weights of some of state and features to zero; see :meth:`MixtureHead.ignore`."""
        super().ignore(inner)
        self.begin.weight[:, inner] = 0.0

    def _draw(self, generator: torch.Generator) -> None:
        hidden = self.known.out_features
        into = self.known.in_features + self.ahead.in_features + self.told.in_features
        for weight, size in (
            (self.known.weight, into),
            (self.ahead.weight, into),
            (self.told.weight, into),
            (self.begin.weight, self.begin.in_features),
            (self.cell.weight_ih, self.cell.input_size),
        ):
            bound = 1 / math.sqrt(size)
            weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))
        for block in self.cell.weight_hh.split(hidden):  # Saxe et al. 2014
            block.copy_(nn.init.orthogonal_(torch.empty(hidden, hidden), generator=generator))
        for bias in (self.begin.bias, self.cell.bias_ih, self.cell.bias_hh):
            bias.zero_()
        if self.parts > 1:
            self.cell.bias_ih.split(hidden)[1].fill_(1.0)  # forget gates open
        place = torch.empty(self.place.shape)
        self.place.copy_(place.uniform_(-PLACE, PLACE, generator=generator))
