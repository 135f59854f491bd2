"""The choices that make a network, which of their combinations are legal, and lists that cover pairs of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tsrnn import RNNForecaster
from tsrnn.nn.cells import CELLS
from tsrnn.nn.decoders import DECODERS

__all__ = ["CHOICES", "FRAME", "Combination", "build", "covering", "every", "is_legal"]

Combination = dict[str, Any]

CHOICES: dict[str, tuple[Any, ...]] = {
    "cell": tuple(CELLS),
    "decoder": tuple(DECODERS),
    "skip": ("none", "residual", "highway"),
    "num_layers": (1, 2),
    "dilations": (None, (1, 2), (3,)),
    "initial_state": ("zero", "learned", "static"),
    "bidirectional": (False, True),
    "convolution": (None, 3),
    "loss_at": ("auto", "every", "last"),
    "patch": (1, 3),
    "output": ("quantiles", "point", "normal", "student_t"),
    "representation": ("level", "log_return"),
    "recurrent_dropout": (0.0, 0.3),
    "teacher_forcing": ("auto", "scheduled", "always"),
    "truncated_bptt": (None, 4),
    "n_members": (1, 2),
}
ARCHITECTURE = (
    "cell",
    "decoder",
    "skip",
    "dilations",
    "initial_state",
    "bidirectional",
    "convolution",
)

_rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "unique_id": np.repeat(["a", "b"], 45),
        "ds": np.tile(pd.date_range("2024-01-01", periods=45, freq="D"), 2),
        "y": 20 + np.sin(np.arange(90) / 2) + _rng.normal(0, 0.1, 90),
        "kind": np.repeat(["left", "right"], 45),
    }
)


def is_legal(c: Combination) -> bool:
    """Return whether the choices go together, by what the docs say of them."""
    stepwise = c["decoder"] in {"recurrent", "attention"}
    draws_own_paths = c["decoder"] == "shift" or (stepwise and c["teacher_forcing"] == "always")
    illegal = (
        c["skip"] != "none"
        and c["num_layers"] == 1
        and (c["convolution"] is None or c["bidirectional"]),
        c["dilations"] is not None and len(c["dilations"]) != c["num_layers"],
        c["bidirectional"] and c["decoder"] == "shift",
        c["bidirectional"] and c["loss_at"] == "every",
        c["bidirectional"] and c["truncated_bptt"] is not None,
        c["decoder"] == "shift" and c["patch"] != 1,
        draws_own_paths and c["output"] == "point",
        not stepwise and c["teacher_forcing"] != "auto",
    )
    return not any(illegal)


def build(combination: Combination) -> RNNForecaster:
    """Return a forecaster that fits in a fraction of a second."""
    return RNNForecaster(
        horizon=3,
        hidden_size=4,
        max_steps=2,
        batch_size=4,
        context_length=12,
        season=1,
        val_size=6,
        static_covariates=["kind"],
        **combination,
    )


def covering(seed: int = 0) -> list[Combination]:
    """Return legal combinations that together hold every legal pair of choices (greedy, seeded)."""
    draw = random.Random(seed)
    missing = {  # in order, so that every process finds the same list
        ((one, a), (other, b)): None
        for one, other in itertools.combinations(CHOICES, 2)
        for a in CHOICES[one]
        for b in CHOICES[other]
    }
    chosen: list[Combination] = []
    fruitless = 0
    while missing and fruitless < 30:
        candidates = [_candidate(draw, missing) for _ in range(40)]
        gains = [sum(pair in missing for pair in _pairs(each)) for each in candidates]
        if not max(gains):
            fruitless += 1
            continue
        fruitless = 0
        chosen.append(candidates[gains.index(max(gains))])
        for pair in _pairs(chosen[-1]):
            missing.pop(pair, None)
    return chosen


def every(seed: int = 0) -> Iterator[Combination]:
    """Return each legal combination of the architecture, its other choices drawn."""
    draw = random.Random(seed)
    for values in itertools.product(*(CHOICES[name] for name in ARCHITECTURE)):
        fixed = dict(zip(ARCHITECTURE, values, strict=True))
        for _ in range(200):
            combination = {name: draw.choice(some) for name, some in CHOICES.items()} | fixed
            if is_legal(combination):
                yield combination
                break


def _candidate(draw: random.Random, missing: dict[Any, None]) -> Combination:
    """Return a legal combination, most often one that holds a pair still missing."""
    for _ in range(200):
        combination = {name: draw.choice(some) for name, some in CHOICES.items()}
        if draw.random() < 0.9:
            combination |= dict(draw.choice(tuple(missing)) if len(missing) < 200 else ())
        if is_legal(combination):
            return combination
    return dict.fromkeys(CHOICES)


def _pairs(combination: Combination) -> list[Any]:
    return list(itertools.combinations(combination.items(), 2))
