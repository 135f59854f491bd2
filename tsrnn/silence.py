"""Long silences: rows without a value behind the newest one, read as if whole seasons had passed unseen.

A silence of more than two seasons, or than half the rows that the causal scale remembers where there is no
season, is read as one that is whole seasons shorter, so that there are values to go by. Of channels that share
a state, the state reads the silence of all, and each channel's newest rows are those before its own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsrnn.nn.plan import NetworkPlan
from tsrnn.panel import Panel
from tsrnn.passes import covariates_of
from tsrnn.windows import Origins

__all__ = [
    "before_silence",
    "has_value",
    "listen",
    "silence_of",
    "silent_rows",
    "silent_steps",
    "silent_together",
    "skipped_steps",
]


def silent_steps(plan: NetworkPlan) -> int:
    """Return from how many steps without a value on a silence is long."""
    season = plan.seasons[0]
    return 2 * season if season > 1 else plan.window // 2


def skipped_steps(silent: np.ndarray, plan: NetworkPlan) -> np.ndarray:
    """Return how many steps of silences are not read: of long ones whole seasons, the longest that fits."""
    most = np.zeros_like(silent)
    for season in plan.seasons:
        whole = -(-(silent - silent_steps(plan)) // season) * season
        most = np.where(whole <= silent, np.maximum(most, whole), most)
    return most


def before_silence(panel: Panel, origins: Origins, plan: NetworkPlan) -> tuple[Origins, Origins]:
    """Move origins after a long silence back by whole seasons.

    Returns
    -------
    rows, states : Origins
        Where the newest rows of each channel end, and where its state is read to: the silence of a state
        is that of all its channels.
    """
    limit = silent_steps(plan)
    newest = panel.indptr[origins.series] + origins.known - 1
    quiet = np.flatnonzero((origins.known > limit) & np.isnan(panel.values[newest]))
    if not len(quiet):
        return origins, origins
    silent = np.zeros_like(origins.known)
    never = np.zeros(len(origins), dtype=bool)
    for i in quiet:
        past = panel.series(origins.series[i])[: origins.known[i]]
        if not np.isnan(past[-limit:]).all():
            continue
        seen = np.flatnonzero(~np.isnan(past))
        never[i] = not len(seen)
        silent[i] = len(past) - 1 - seen[-1] if len(seen) else 0
    rows = Origins(origins.series, origins.known - skipped_steps(silent, plan))
    if plan.channels == 1:
        return rows, rows
    common = silent_together(silent, never, plan.channels)
    return rows, Origins(origins.series, origins.known - skipped_steps(common, plan))


def silent_together(silent: np.ndarray, never: np.ndarray, channels: int) -> np.ndarray:
    """Return how long all channels of a thing have been silent; those that ``never`` had a value don't count."""
    longest = np.iinfo(np.int64).max
    shortest = np.where(never, longest, silent).reshape(-1, channels).min(1)
    return np.where(shortest == longest, 0, shortest).repeat(channels)


def silent_rows(panel: Panel) -> np.ndarray:
    """Return the rows behind the newest value of each series; 0 where there is no value at all."""
    row = np.where(np.isnan(panel.values), -1, np.arange(len(panel.values)))
    newest = np.maximum.reduceat(row, panel.indptr[:-1])
    return np.where(newest < 0, 0, panel.indptr[1:] - 1 - newest)


def has_value(panel: Panel) -> np.ndarray:
    """Return which series have a value at all."""
    return np.logical_or.reduceat(~np.isnan(panel.values), panel.indptr[:-1])


def silence_of(
    panel: Panel, heard: np.ndarray, silent: np.ndarray, plan: NetworkPlan
) -> Tensor | None:
    """Return the covariates of the first rows of each silence."""
    steps = silent_steps(plan)
    until = Origins(np.arange(len(panel)), heard + steps)
    covariates = covariates_of(panel, until, steps=steps, horizon=0)
    if covariates is None:
        return None
    there = torch.arange(steps) < torch.from_numpy(silent)[:, None]
    return torch.where(there.unsqueeze(2), covariates.past, torch.nan)


def listen(silence: Tensor, series: np.ndarray, silent: np.ndarray, past: Tensor) -> Tensor:
    """Return the covariates of silences that go on with the rows ``past`` (series, row, column)."""
    silence = silence.clone()
    for i, start, rows in zip(series, silent, past, strict=True):
        room = rows[: max(silence.shape[1] - int(start), 0)]
        silence[i, start : start + len(room)] = room
    return silence
