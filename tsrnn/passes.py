"""States at many places of many series, each series read once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.ensemble import Network
from tsrnn.nn.scaling import last_observed
from tsrnn.panel import Panel
from tsrnn.windows import Origins, gather_covariates, gather_rows, of_channels

__all__ = ["covariates_of", "gathered", "newest_rows", "states_at"]

GATHERED_AT_ONCE = 400_000  # values of a stretch: bounds memory, changes nothing else
READ_AT_ONCE = 1024  # recurrent steps of a stretch
LANES_AT_ONCE = 512


def states_at(network: Network, panel: Panel, origins: Origins) -> State:
    """Return the states after the known rows of each origin, in one pass over each series.

    Patches end at the origins, so there is one pass for each phase of the patch grid that has an
    origin. A pass goes on in stretches with the state carried: memory does not grow with the series.
    Channels that share a state are read together.

    Parameters
    ----------
    network : Network
    panel : Panel
    origins : Origins
        At least one row is known at each; neighbours are the channels of a thing.

    Returns
    -------
    tuple of Tensor, each of shape (slot, origin, size)
    """
    patch, channels = network.plan.patch, network.plan.channels
    thing, known = origins.series[::channels] // channels, origins.known[::channels]
    lane, place = np.unique(thing * patch + (known - 1) % patch, return_inverse=True)
    counts = -(-known // patch)
    totals = np.zeros(len(lane), dtype=np.int64)
    np.maximum.at(totals, place, counts)
    longest_first = np.argsort(-totals, kind="stable")
    rank = np.empty_like(longest_first)
    rank[longest_first] = np.arange(len(lane))
    place = rank[place]
    things, phase = np.divmod(lane[longest_first], patch)
    totals = totals[longest_first]
    result: list[Tensor] = []
    for first in range(0, len(lane), LANES_AT_ONCE):
        some = slice(first, first + LANES_AT_ONCE)
        asked = np.flatnonzero((place >= some.start) & (place < some.stop))
        asked = asked[np.argsort(counts[asked], kind="stable")]
        reached = _walk(
            network, panel, things[some], phase[some] + 1 - patch, totals[some], counts[asked]
        )
        for start, stop, state in reached:
            lanes = of_channels(place[asked[start:stop]] - first, channels)
            which = of_channels(asked[start:stop], channels)
            taken = [part[:, torch.from_numpy(lanes)] for part in state]
            if not result:
                result = [part.new_empty(len(part), len(origins), part.shape[2]) for part in taken]
            for whole, part in zip(result, taken, strict=True):
                whole[:, torch.from_numpy(which)] = part
    return tuple(result)


def _walk(
    network: Network,
    panel: Panel,
    things: np.ndarray,
    begin: np.ndarray,
    totals: np.ndarray,
    counts: np.ndarray,
) -> Iterator[tuple[int, int, State]]:
    """Read lanes side by side; yield where in the ascending ``counts`` each state reached belongs.

    A lane reads ``totals`` patches (longest first) of all channels of its thing from the row ``begin`` on.
    """
    plan, channels = network.plan, network.plan.channels
    series, begin = of_channels(things, channels), begin.repeat(channels)
    width = 1 if panel.covariates is None else 1 + panel.covariates.width
    rows = GATHERED_AT_ONCE // (width * len(series)) - plan.look_back
    stretch = min(max(rows // plan.patch, 1 + plan.look_back // plan.patch), READ_AT_ONCE)
    end = begin + totals.repeat(channels) * plan.patch
    state: State | None = None
    before = torch.full((len(series),), torch.nan, dtype=torch.float64)
    for start in range(0, int(totals[0]), stretch):
        stop = min(start + stretch, int(totals[0]))
        lanes = int(np.searchsorted(-totals, -start))  # with more than ``start`` patches
        going = lanes * channels
        read = (stop - start) * plan.patch
        until = begin[:going] + start * plan.patch + read
        values, covariates = gathered(
            panel, Origins(series[:going], until), end[:going], plan.look_back + read
        )
        low, high = np.searchsorted(counts, (start, stop), side="right")
        at = np.unique(np.append(counts[low:high], stop))
        before = before[:going]
        state = None if state is None else tuple(part[:, :going] for part in state)
        states = network.states(values, (at - start).tolist(), state, covariates, before)
        for count, after in zip(at, states, strict=True):
            span = np.searchsorted(counts, (count - 1, count), side="right")
            if span[0] < span[1]:
                yield int(span[0]), int(span[1]), after
        state = states[-1]
        before = last_observed(values[:, :read], before)[:, -1]


def gathered(
    panel: Panel, origins: Origins, stop: np.ndarray, rows: int
) -> tuple[Tensor, Covariates | None]:
    """Return the newest ``rows`` before each origin, none at or after ``stop``, and their covariates."""
    values = gather_rows(
        panel.values, panel.indptr, origins.series, origins.known - rows, stop, rows
    )
    return torch.from_numpy(values), covariates_of(panel, origins, steps=rows, horizon=0)


def covariates_of(panel: Panel, origins: Origins, *, steps: int, horizon: int) -> Covariates | None:
    """Return the covariates around each origin as tensors; see :func:`tsrnn.windows.gather_covariates`."""
    columns = gather_covariates(panel, origins, steps=steps, horizon=horizon)
    return None if columns is None else Covariates(*map(torch.from_numpy, columns))


def newest_rows(panel: Panel, origins: Origins, count: int) -> Tensor:
    """Return the newest ``count`` values before each origin, NaN where there are none."""
    known = origins.known
    return torch.from_numpy(
        gather_rows(panel.values, panel.indptr, origins.series, known - count, known, count)
    )
