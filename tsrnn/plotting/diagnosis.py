"""The picture of a diagnosis: gradients by lag, gates over time, gradient norms during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from tsrnn.plotting.drawing import BASELINES, BLUE, DASHES, FAINT, INK, VERMILION, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_gradients", "plot_diagnosis"]

FLOOR = 1e-12  # the axis ends here: smaller is nothing
COLOURS = [BLUE, VERMILION, *BASELINES[:3]]


def plot_diagnosis(
    gradients: pd.DataFrame,
    gates: pd.DataFrame,
    training: pd.DataFrame,
    *,
    clip: float | None,
    title: str,
) -> Figure:
    """Draw what :class:`tsrnn.inspection.Diagnosis` holds.

    Parameters
    ----------
    gradients : pandas.DataFrame
        Index ``lag``; ``median``, ``smallest``, ``largest``.
    gates : pandas.DataFrame
        ``layer``, ``gate``, ``step``, ``mean``, ``low``, ``high``.
    training : pandas.DataFrame
        ``step`` and ``gradient_norm``.
    clip : float, optional
        Norm at which training cut gradients.
    title : str
    """
    layers = list(gates["layer"].unique())
    figure = new_figure(9.0, 2.6 + 2.3 * (len(layers) + 1), title)
    panels = list(figure.subplots(len(layers) + 2, 1, squeeze=False)[:, 0])
    draw_gradients(panels[0], {"median": gradients["median"]})
    if len(gradients):
        panels[0].fill_between(
            gradients.index,
            gradients["smallest"].clip(lower=FLOOR),
            gradients["largest"].clip(lower=FLOOR),
            color=BLUE,
            alpha=0.18,
            lw=0,
        )
    dress(
        panels[0],
        title="What the state still feels of the past",
        x="lag k, recurrent steps",
        y="|dh$_t$/dh$_{t-k}$|",
    )
    for axes, layer in zip(panels[1:], layers, strict=False):
        _draw_gates(axes, gates[gates["layer"] == layer])
        dress(
            axes,
            title=f"Gates of layer {layer}: mean, and deciles of units",
            x="step",
            y="0 closed, 1 open",
        )
    _draw_norms(panels[-1], training, clip)
    dress(
        panels[-1],
        title="Gradient norms in training, before clipping",
        x="optimiser step",
        y="norm",
    )
    return figure


def draw_gradients(axes: Axes, norms: Mapping[str, pd.Series]) -> None:
    """Draw norms of dh_t/dh_(t-k), indexed by lag k, of one or several networks on a logarithmic axis."""
    axes.axhline(1.0, color=FAINT, lw=0.8)
    axes.axhline(0.01, color=FAINT, lw=0.8, ls=(0, (2, 2)))
    for i, (name, values) in enumerate(norms.items()):
        axes.plot(
            values.index,
            values.clip(lower=FLOOR),
            color=COLOURS[i % len(COLOURS)],
            ls=DASHES[i // len(COLOURS) % len(DASHES)],
            lw=1.8,
            label=name,
        )
    axes.set_yscale("log")
    low = min((float(values.min()) for values in norms.values() if len(values)), default=1.0)
    axes.set_ylim(bottom=max(FLOOR, min(low, 1e-3) / 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_gates(axes: Axes, rows: pd.DataFrame) -> None:
    for i, (name, gate) in enumerate(rows.groupby("gate", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        axes.fill_between(gate["step"], gate["low"], gate["high"], color=colour, alpha=0.12, lw=0)
        axes.plot(gate["step"], gate["mean"], color=colour, lw=1.6, label=name)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, ncols=4, loc="upper right")


def _draw_norms(axes: Axes, training: pd.DataFrame, clip: float | None) -> None:
    if "gradient_norm" not in training or training.empty:
        axes.text(0.5, 0.5, "no training", transform=axes.transAxes, ha="center", color=FAINT)
        return
    norms = training["gradient_norm"].clip(lower=FLOOR)
    axes.plot(training["step"], norms, color=BLUE, lw=1.6, marker="o", ms=3)
    if clip is not None:
        axes.axhline(clip, color=VERMILION, lw=0.9, ls=(0, (4, 2)))
        axes.annotate(
            f"clipped at {clip:g}", (1.0, clip), xycoords=("axes fraction", "data"), ha="right",
            va="bottom", fontsize=8.5, color=VERMILION,
        )  # fmt: skip
    axes.set_yscale("log")
    spread = np.ptp(np.log10(norms)) if len(norms) else 0.0
    if spread < 1:
        axes.set_ylim(float(norms.min()) / 3, max(float(norms.max()), clip or 0.0) * 3)
