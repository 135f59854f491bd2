"""What units and gates do while histories are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from tsrnn.nn.encoder import RecurrentEncoder, State

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
WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


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


def recurrent_layers(encoder: RecurrentEncoder) -> list[nn.Module]:
    """Return the recurrent layers, in the order in which they read."""
    return list(encoder.layers)


@torch.no_grad()
def observe(encoder: RecurrentEncoder, x: Tensor, state: State | None = None) -> list[Activity]:
    """Read histories step by step, and return what each recurrent layer did.

    Parameters
    ----------
    encoder : RecurrentEncoder
    x : Tensor of shape (series, step, feature)
    state : tuple of Tensor, optional
        The state before the first step; the encoder's own when not given.
    """
    layers = recurrent_layers(encoder)
    seen: list[list[tuple[Tensor, dict[str, Tensor]]]] = [[] for _ in layers]

    def watch(layer: nn.Module, i: int) -> torch.utils.hooks.RemovableHandle:
        def hook(module: nn.Module, given: tuple[Any, ...], said: tuple[Any, ...]) -> None:
            before = given[1] if len(given) > 1 else None
            seen[i].append((said[0][:, 0], _gates(module, given[0][:, 0], before)))

        return layer.register_forward_hook(hook)

    handles = [watch(layer, i) for i, layer in enumerate(layers)]
    try:
        for step in range(x.shape[1]):
            _, state = encoder(x[:, step : step + 1], state)
    finally:
        for handle in handles:
            handle.remove()
    return [_joined(steps) for steps in seen]


def _joined(steps: list[tuple[Tensor, dict[str, Tensor]]]) -> Activity:
    named = {name: torch.stack([gates[name] for _, gates in steps], 1) for name in steps[0][1]}
    gates = {name: gate for name, gate in named.items() if _between_zero_and_one(gate)}
    return Activity(torch.stack([hidden for hidden, _ in steps], 1), gates)


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


def _gates(
    layer: nn.Module, x: Tensor, before: Tensor | tuple[Tensor, ...] | None
) -> dict[str, Tensor]:
    """Return the gates of one step, by name; x of shape (series, feature)."""
    if hasattr(layer, "gates"):
        cell = cast(Any, layer)
        state = cell.zero_state(len(x), like=x) if before is None else before
        named = cell.gates(x, state).items()
        return {name: gate for name, gate in named if name not in CANDIDATES}
    if not isinstance(layer, nn.GRU | nn.LSTM):
        return {}
    h = None if before is None else (before if isinstance(before, Tensor) else before[0])[0]
    h = x.new_zeros(len(x), layer.hidden_size) if h is None else h
    w_ih, w_hh, b_ih, b_hh = map(layer.get_parameter, WEIGHTS)
    sums = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    names = ("r", "z") if isinstance(layer, nn.GRU) else ("i", "f", "g", "o")
    parts = dict(zip(names, sums.sigmoid().split(layer.hidden_size, -1), strict=False))
    return {name: gate for name, gate in parts.items() if name not in CANDIDATES}


def _between_zero_and_one(gate: Tensor) -> bool:
    return bool((gate >= 0).all() and (gate <= 1).all())
