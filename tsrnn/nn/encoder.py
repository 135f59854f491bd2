"""Encoders: a stack of recurrent layers that reads a sequence and says its state at every step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from tsrnn.nn.cells import Cell, State, make_layer
from tsrnn.nn.convolution import CausalConvolution
from tsrnn.nn.dilation import read_dilated
from tsrnn.nn.dropout import dropout, locked_dropout, weight_dropped
from tsrnn.nn.initial_state import InitialState
from tsrnn.nn.plan import EncoderPlan
from tsrnn.nn.skips import Highway, make_skip

__all__ = ["RecurrentEncoder", "State", "dropout"]


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers, and what a plan puts between and around them.

    The state is a tuple of tensors of shape (slot, batch, size):

    - with skip connections, the output of the newest step (1 slot);
    - each part of the cell's state, layer after layer, of each layer the newest ``dilation`` steps, newest
      last (one slot a layer without dilation);
    - with a convolution, the inputs of the newest ``convolution - 1`` steps.

    So ``state[0][-1]`` is what the encoder says at the newest step. A bidirectional encoder has no state to
    go on from, its state is what it says alone: the forward layers' value at the newest step beside the
    backward layers' at the oldest, where each has read all.

    Parameters
    ----------
    input_size : int
    plan : EncoderPlan
    static_size : int
        Inputs that static covariates make, for ``initial_state="static"``.
    custom_cells : mapping of str to type, optional
        Cells of the user's own, by name.
    """

    def __init__(
        self,
        input_size: int,
        plan: EncoderPlan,
        *,
        static_size: int = 0,
        custom_cells: Mapping[str, type[Cell]] | None = None,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.input_size = input_size
        self.dilations = plan.dilations or (1,) * plan.num_layers
        hidden, width = plan.hidden_size, input_size
        self.convolution: CausalConvolution | None = None
        if plan.convolution is not None:
            self.convolution = CausalConvolution(input_size, hidden, kernel=plan.convolution)
            width = hidden
        widths = [width] + [plan.output_size] * (plan.num_layers - 1)
        make = partial(make_layer, plan.cell, precision=plan.precision)
        self.layers = nn.ModuleList(make(w, hidden, custom_cells) for w in widths)
        self.backward_layers = nn.ModuleList(
            make(w, hidden, custom_cells) for w in widths if plan.bidirectional
        )
        self.skips = nn.ModuleList(
            make_skip(plan.skip if plan.skips_layer(i) else "none", plan.output_size)
            for i in range(plan.num_layers)
        )
        self.initial: InitialState | None = None
        if plan.initial_state != "zero":
            sizes = [_free_sizes(layer) for layer in self._all_layers]
            self.initial = InitialState(sizes, static_size)

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        generator: torch.Generator | None = None,
        static: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Read a sequence.

        Parameters
        ----------
        x : Tensor of shape (batch, step, feature)
        state : tuple of Tensor, each of shape (slot, batch, size), optional
            Where reading goes on from; the initial state when not given.
        generator : torch.Generator, optional
            Source of dropout; without it nothing is dropped.
        static : Tensor of shape (batch, static), optional
            What the initial state is made of, if the plan says so.

        Returns
        -------
        output : Tensor of shape (batch, step, output)
            Of the top layer at every step.
        state : tuple of Tensor, each of shape (slot, batch, size)
        """
        if self.plan.bidirectional and state is not None:
            raise ValueError("a bidirectional encoder reads a window as a whole, from no state")
        queues, before = self._unpacked(state, x, static)
        if self.convolution is not None:
            x, before = self.convolution(x, before)
        new: list[State] = []
        for i, skip in enumerate(self.skips):
            seen = dropout(x, self.plan.dropout, generator) if i else x
            seen = locked_dropout(seen, self.plan.recurrent_dropout, generator)
            said, queue = self._read(i, seen, queues, generator)
            if self.plan.bidirectional:
                back, _ = self._read(i + len(self.layers), seen.flip(1), queues, generator)
                said = torch.cat([said, back.flip(1)], -1)
            x = skip(x, said)
            new.append(queue)
        return x, self._packed(x, new, before)

    def _read(
        self, i: int, x: Tensor, queues: list[State] | None, generator: torch.Generator | None
    ) -> tuple[Tensor, State]:
        layer = weight_dropped(self._all_layers[i], self.plan.recurrent_dropout, generator)
        dilation = self.dilations[i % len(self.layers)]
        return read_dilated(layer, x, None if queues is None else queues[i], dilation)

    def _unpacked(
        self, state: State | None, x: Tensor, static: Tensor | None
    ) -> tuple[list[State] | None, Tensor | None]:
        """Return the queue of each layer (None: zeros), and the inputs that the convolution goes on from."""
        if state is None:
            return self._initial_queues(x, static), None
        if self.plan.skip != "none":
            state = state[1:]
        before = None
        if self.convolution is not None:
            state, before = state[:-1], state[-1]
        split = [part.split(self.dilations) for part in state]
        return list(zip(*split, strict=True)), before

    def _initial_queues(self, x: Tensor, static: Tensor | None) -> list[State] | None:
        if self.initial is None and max(self.dilations) == 1:
            return None
        zeros = [layer.zero_state(len(x), like=x) for layer in self._all_layers]
        if self.initial is not None:
            learned = self.initial(len(x), static)
            zeros = [
                tuple(
                    zero + part if part.shape[1] else zero for zero, part in zip(*both, strict=True)
                )
                for both in zip(zeros, learned, strict=True)
            ]
        return [
            tuple(part.expand(self.dilations[i % len(self.layers)], *part.shape) for part in parts)
            for i, parts in enumerate(zeros)
        ]

    def _packed(self, output: Tensor, queues: list[State], before: Tensor | None) -> State:
        if self.plan.bidirectional:
            ahead, back = output[:, -1], output[:, 0]
            half = self.plan.hidden_size
            return (torch.cat([ahead[:, :half], back[:, half:]], -1).unsqueeze(0),)
        state = tuple(torch.cat(parts) for parts in zip(*queues, strict=True))
        if self.plan.skip != "none":
            state = (output[:, -1].unsqueeze(0), *state)
        return state if before is None else (*state, before)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights; see :meth:`tsrnn.nn.cells.Cell.initialise`."""
        if self.convolution is not None:
            self.convolution.initialise(generator)
        for layer in self._all_layers:
            layer.initialise(generator)
        for skip in self.skips:
            if isinstance(skip, Highway):
                skip.initialise(generator)
        if self.initial is not None:
            self.initial.initialise()

    def input_weights(self) -> list[Tensor]:
        """Return the weights that the inputs meet, each of shape (..., input)."""
        if self.convolution is not None:
            return [self.convolution.weight.transpose(1, 2)]
        first = [*self._all_layers[:1], *self._all_layers[len(self.layers) :][:1]]
        return [weight for layer in first for weight in layer.input_weights()]

    @property
    def _all_layers(self) -> list[Cell]:
        return [*self.layers, *self.backward_layers]


def _free_sizes(layer: Cell) -> tuple[int, ...]:
    """Return the sizes of the parts of its state, 0 for those that always start at zero."""
    both = zip(layer.parts, layer.sizes, strict=True)
    return tuple(0 if part in layer.fixed else size for part, size in both)
