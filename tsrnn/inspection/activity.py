"""What units and gates do while histories are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from tsrnn.nn.cells import Cell, State
from tsrnn.nn.encoder import RecurrentEncoder

__all__ = [
    "Activity",
    "dead_units",
    "observe",
    "recurrent_layers",
    "saturated_gates",
    "saturated_units",
]

STILL = 1e-6  # a unit that moves less over all histories is dead
CLOSED, OPEN = 0.01, 0.99
MOST = 0.95  # of the steps
CANDIDATES = {"g", "n", "h~"}  # what is written, not how much of it


@dataclass(frozen=True)
class Activity:
    """What one recurrent layer did.

    Parameters
    ----------
    hidden : Tensor of shape (series, step, hidden)
    gates : dict of str to Tensor of shape (series, step, unit)
        By the names in the cell's paper; empty for a cell without gates.
    """

    hidden: Tensor
    gates: dict[str, Tensor]


def recurrent_layers(encoder: RecurrentEncoder) -> list[Cell]:
    """Return the recurrent layers, in the order in which they read; those that read backwards last."""
    return cast(list[Cell], [*encoder.layers, *encoder.backward_layers])


@torch.no_grad()
def observe(encoder: RecurrentEncoder, x: Tensor, static: Tensor | None = None) -> list[Activity]:
    """Read histories, and return what each recurrent layer did.

    Step by step; a bidirectional encoder reads them as a whole, and its gates are not seen.

    Parameters
    ----------
    encoder : RecurrentEncoder
    x : Tensor of shape (series, step, feature)
    static : Tensor of shape (series, static), optional
        What the encoder's initial state is made of.
    """
    seen: list[list[tuple[Tensor, dict[str, Tensor]]]]
    seen = [[] for _ in recurrent_layers(encoder)]
    whole = encoder.plan.bidirectional

    def hear(i: int, layer: Cell, given: tuple[Any, ...], said: tuple[Any, ...]) -> None:
        state = given[1] if len(given) > 1 else None
        seen[i].append((said[0], {} if whole else _gates(layer, given[0][:, 0], state)))

    with _heard(encoder, hear):
        state: State | None = None
        for steps in [x] if whole else x.split(1, 1):
            _, state = encoder(steps, state, static=static)
    return [_joined(steps) for steps in seen]


@contextmanager
def _heard(encoder: RecurrentEncoder, hear: Callable[..., None]) -> Iterator[None]:
    """Call ``hear(i, layer, given, said)`` whenever a recurrent layer has read."""
    handles = [
        layer.register_forward_hook(partial(hear, i))
        for i, layer in enumerate(recurrent_layers(encoder))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _joined(steps: list[tuple[Tensor, dict[str, Tensor]]]) -> Activity:
    named = {name: torch.stack([gates[name] for _, gates in steps], 1) for name in steps[0][1]}
    gates = {name: gate for name, gate in named.items() if _between_zero_and_one(gate)}
    return Activity(torch.cat([hidden for hidden, _ in steps], 1), gates)


def dead_units(activity: Activity) -> Tensor:
    """Return which units never move, shape (hidden,)."""
    hidden = activity.hidden.flatten(0, 1)
    return hidden.amax(0) - hidden.amin(0) < STILL


def saturated_units(activity: Activity) -> Tensor:
    """Return which units are at an end of the tanh nearly always, shape (hidden,).

    None of a layer that goes beyond 1: it has no such end.
    """
    size = activity.hidden.flatten(0, 1).abs()
    return ((size > OPEN).double().mean(0) >= MOST) & (size.max() <= 1)


def saturated_gates(gate: Tensor) -> tuple[float, float]:
    """Return the shares of a gate's units that are nearly always closed, and nearly always open."""
    values = gate.flatten(0, 1)
    closed = (values < CLOSED).double().mean(0) >= MOST
    opened = (values > OPEN).double().mean(0) >= MOST
    return closed.double().mean().item(), opened.double().mean().item()


def _gates(layer: Cell, x: Tensor, before: State | None) -> dict[str, Tensor]:
    """Return the gates of one step, by name; x of shape (series, feature)."""
    state = layer.zero_state(len(x), like=x) if before is None else before
    named = layer.gates(x, state).items()
    return {name: gate for name, gate in named if name not in CANDIDATES}


def _between_zero_and_one(gate: Tensor) -> bool:
    return bool((gate >= 0).all() and (gate <= 1).all())
