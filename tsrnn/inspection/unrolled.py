"""``plot_network()``: a fitted network unrolled over its newest steps, with sizes and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import nn

from tsrnn.inspection.activity import recurrent_layers
from tsrnn.inspection.blocks import Block, blocks_of
from tsrnn.nn.networks import ForecastNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tsrnn.forecaster import RNNForecaster
    from tsrnn.plotting.network import Level

__all__ = ["plot_network"]


def plot_network(forecaster: RNNForecaster) -> Figure:
    """Draw the network of a fitted forecaster, unrolled over three steps: what it reads, carries and says.

    Parameters
    ----------
    forecaster : RNNForecaster
        Fitted. Of several members, which are alike, one is drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    NotFittedError
        The forecaster is not fitted.
    """
    from tsrnn.plotting.network import Level, plot_unrolled  # loads matplotlib

    forecaster._check_is_fitted()  # noqa: SLF001 - a part of the forecaster
    network = cast(ForecastNetwork, forecaster.network_.members[0])
    plan = network.plan
    layers = [blocks_of(layer)[0] for layer in recurrent_layers(network.encoder)]
    counts = {name: _count(part) for name, part in network.named_children()}
    beside = counts.pop("encoder") - sum(block.parameters for block in layers)
    beside += counts.pop("covariates", 0)
    output, head = counts.pop("output", 0), sum(counts.values())
    rows = "row" if plan.patch == 1 else f"{plan.patch} rows"
    read = f"the newest {rows}, relative to what is\nknown by then"
    ahead = "next step" if plan.horizon == 1 else f"next {plan.horizon} steps"
    said = f"{len(plan.quantiles)} quantiles" if plan.output == "quantiles" else plan.output
    levels = [
        Level(f"{layers[0].sizes['n']} features", "what is read", _with(read, beside)),
        *(_level(number, block) for number, block in enumerate(layers, start=1)),
        Level("head", "head: mixes references, corrects", f"{head:,} parameters"),
        Level(ahead, "what is said", _with(f"{said}, at every step", output)),
    ]
    total = _count(network)
    members = len(forecaster.network_.members)
    alike = f", {members} such networks" if members > 1 else ""
    return plot_unrolled(
        levels,
        title=f"{plan.encoder.cell} network unrolled: {total:,} parameters, the same at every step{alike}",
    )


def _level(number: int, block: Block) -> Level:
    from tsrnn.plotting.network import Level

    letters = ", ".join(f"{letter} = {size}" for letter, size in block.sizes.items())
    formula = f"{block.formula} = " if block.formula else ""
    return Level(
        f"{block.kind} {block.sizes['h']}",
        f"layer {number}: {letters}",
        f"{formula}{block.parameters:,} parameters",
        carries=True,
    )


def _with(text: str, parameters: int) -> str:
    return f"{text}; {parameters:,} parameters" if parameters else text


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
