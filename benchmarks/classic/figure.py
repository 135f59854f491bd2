"""The figure: why tanh forgets and gates remember."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from classic.models import MODELS
from classic.results import Result, key
from classic.suites import Case
from tsrnn.plotting.diagnosis import draw_gradients
from tsrnn.plotting.drawing import INK, dress, new_figure

__all__ = ["draw_memory"]


def draw_memory(case: Case, results: Sequence[Result]) -> Figure | None:
    """Draw the norm of dh_t/dh_(t-k) by lag k of every cell, before and after it was trained on a case.

    Returns None where no cell has been trained on it.
    """
    known = {name: key(case, name, 0) for name in MODELS}
    found = {
        name: each
        for name, told in known.items()
        for each in results
        if each.key == told and each.learnt.gradients
    }
    if not found:
        return None
    figure = new_figure(
        9.0, 7.4, f"What a cell passes back through time: {case.task.name}, {case.title}"
    )
    panels = figure.subplots(2, 1, sharex=True)
    for axes, column, title in zip(
        panels, (1, 2), ("before training", "after training"), strict=True
    ):
        norms = {
            _label(name, each, trained=column == 2): pd.Series(
                {row[0]: row[column] for row in each.learnt.gradients}
            )
            for name, each in found.items()
        }
        draw_gradients(axes, norms)
        dress(axes, title=title, x="lag k" if column == 2 else "", y="|dh$_t$/dh$_{t-k}$|")
        axes.legend(
            frameon=False,
            fontsize=8.5,
            labelcolor=INK,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
    return figure


def _label(name: str, result: Result, *, trained: bool) -> str:
    if not trained:
        return name
    solved = result.learnt.solved_at
    return f"{name}: {'not learnt' if solved is None else f'learnt in {solved:,} steps'}"
