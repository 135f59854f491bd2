"""A recurrent network unrolled over three steps: time goes to the right, a step from bottom to top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.patches import FancyBboxPatch

from tsrnn.plotting.drawing import BLUE, FAINT, INK, PAPER, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Level", "plot_unrolled"]

STEPS = ("t − 2", "t − 1", "t")
LEFT, APART, WIDTH, HEIGHT = 3.9, 2.2, 1.45, 0.56


class Level(NamedTuple):
    """One row of the picture.

    Parameters
    ----------
    box : str
        In the box of each step.
    label, detail : str
        At the left: what it is, and its sizes.
    carries : bool
        Whether a state goes on from step to step.
    """

    box: str
    label: str
    detail: str
    carries: bool = False


def plot_unrolled(levels: Sequence[Level], *, title: str) -> Figure:
    """Draw a network unrolled over time.

    Parameters
    ----------
    levels : sequence of Level
        From what is read up to what is said.
    title : str
    """
    figure = new_figure(10.0, 1.0 + 0.95 * len(levels), title)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(0, LEFT + APART * len(STEPS) + 0.6)
    axes.set_ylim(-0.75, len(levels) - 0.4)
    for row, level in enumerate(levels):
        axes.text(0.0, row + 0.13, level.label, weight="bold", va="center", fontsize=9.5, color=INK)
        axes.text(0.0, row - 0.17, level.detail, va="center", fontsize=8.5, color=INK)
        for column in range(len(STEPS)):
            _box(axes, column, row, level)
            if row:
                _arrow(axes, (_x(column), row - 1 + HEIGHT / 2), (_x(column), row - HEIGHT / 2))
        if level.carries:
            _carry(axes, row)
    for column, name in enumerate(STEPS):
        axes.text(
            _x(column), -0.6, name, ha="center", va="center", fontsize=10, color=INK, style="italic"
        )
    return figure


def _x(column: float) -> float:
    return LEFT + APART * (column + 0.5)


def _box(axes: Axes, column: int, row: int, level: Level) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (_x(column) - WIDTH / 2, row - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="#dcebf5" if level.carries else PAPER,
            edgecolor=BLUE if level.carries else FAINT,
            lw=1.2,
        )
    )
    axes.text(_x(column), row, level.box, ha="center", va="center", fontsize=9, color=INK)


def _carry(axes: Axes, row: int) -> None:
    """Draw what a layer hands on: from the steps before the first to those after the last."""
    for column in range(-1, len(STEPS)):
        start = (_x(column) + WIDTH / 2, row) if column >= 0 else (_x(-0.5) - 0.05, row)
        end = (_x(column + 1) - WIDTH / 2, row)
        if column == len(STEPS) - 1:
            end = (_x(column + 0.5) + 0.1, row)
        _arrow(axes, start, end, colour=VERMILION)
    axes.text(_x(-0.5) - 0.12, row, "…", ha="right", va="center", color=VERMILION, fontsize=12)
    axes.text(_x(0.5), row + 0.1, "state", ha="center", va="bottom", color=VERMILION, fontsize=8)
    axes.text(_x(1.5), row + 0.1, "state", ha="center", va="bottom", color=VERMILION, fontsize=8)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, colour: str = INK
) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.1, "shrinkA": 0, "shrinkB": 0},
    )
