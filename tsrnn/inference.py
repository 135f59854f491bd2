"""Inference: read histories once, forecast from what was read. Plain torch, no trainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tsrnn.nn.cold import ColdNetwork
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.ensemble import Network
from tsrnn.nn.outputs import HeadValues
from tsrnn.nn.paths import block_paths, shift_paths, stratified_uniforms
from tsrnn.nn.scaling import last_observed
from tsrnn.panel import Panel
from tsrnn.passes import covariates_of, gathered, newest_rows, states_at
from tsrnn.silence import before_silence
from tsrnn.windows import Origins

__all__ = [
    "Forecasting",
    "Reading",
    "read_origins",
    "torch_settings",
]

GATHERED_AT_ONCE = 4_000_000  # values of one gather: bounds memory, changes nothing else
READ_AT_ONCE = 4096  # recurrent steps of a stretch of a long history
FORECAST_AT_ONCE = 400_000  # values of newest rows that are forecast from together
ROLLED_AT_ONCE = 16_384  # sample paths rolled together


@dataclass(frozen=True)
class Reading:
    """What is left of histories once they are read: the newest rows and the state of the network.

    Parameters
    ----------
    rows : Tensor of shape (series, row), float64
        The newest ``look_back + context`` rows, NaN where there are none.
    state : tuple of Tensor, each of shape (layer, series, hidden)
    covariates : Covariates, optional
        Of the newest rows, and what is known of the steps after them.
    """

    rows: Tensor
    state: tuple[Tensor, ...]
    covariates: Covariates | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: slice | Tensor) -> Reading:
        covariates = None if self.covariates is None else self.covariates.take(which)
        return Reading(self.rows[which], tuple(part[:, which] for part in self.state), covariates)

    def with_ahead(self, ahead: np.ndarray | None) -> Reading:
        """Return it with other covariates of the steps ahead, shape (series, step, column)."""
        if self.covariates is None or ahead is None:
            return self
        return replace(self, covariates=self.covariates._replace(ahead=torch.from_numpy(ahead)))


@contextmanager
def torch_settings(*, threads: int = 1) -> Iterator[None]:
    """Compute with a fixed number of threads and denormals flushed; both are put back afterwards."""
    before = torch.get_num_threads()
    flushed = float(torch.tensor(1e-40) * torch.ones(())) == 0.0
    if before != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)


def read_origins(
    network: Network,
    panel: Panel,
    origins: Origins,
    *,
    context: int,
    max_rows: int | None = None,
) -> Reading:
    """Read the known rows before each origin.

    Origins with the same number of recurrent steps are read together, so that no series is padded
    and none can feel the company of others. Of a long silence less is read; see :mod:`tsrnn.silence`.

    Parameters
    ----------
    network : Network
    panel : Panel
    origins : Origins
    context : int
        Newest rows to keep beside the look-back.
    max_rows : int, optional
        Read no more than these newest rows (all when not given).
    """
    plan = network.plan
    if not plan.is_causal:  # no state is carried: the newest window is all that is read
        max_rows = context if max_rows is None else min(context, max_rows)
    asked = origins
    origins, spoken = before_silence(panel, origins, plan)
    read = spoken.known if max_rows is None else np.minimum(spoken.known, max_rows)
    patches = np.maximum(-(-read // plan.patch), 1)
    keep = plan.look_back + context
    width = 1 if panel.covariates is None else 1 + panel.covariates.width
    longest = plan.look_back + READ_AT_ONCE * plan.patch
    rows = torch.empty(len(origins), keep, dtype=torch.float64)
    states: list[tuple[np.ndarray, tuple[Tensor, ...]]] = []
    for count in np.unique(patches):
        members = np.flatnonzero(patches == count)
        length = int(count) * plan.patch + plan.look_back
        stretch = longest if plan.is_causal else length
        together = GATHERED_AT_ONCE // (width * max(keep, min(length, stretch)) * plan.channels)
        together = max(1, together) * plan.channels
        for first in range(0, len(members), together):
            chosen = members[first : first + together]
            rows[torch.from_numpy(chosen)] = newest_rows(panel, origins[chosen], keep)
            states.append((chosen, _read(network, panel, spoken[chosen], length, stretch)))
    order = torch.from_numpy(np.concatenate([chosen for chosen, _ in states]))
    joined = [torch.cat(parts, 1) for parts in zip(*(state for _, state in states), strict=True)]
    back = torch.argsort(order)
    newest = covariates_of(panel, origins, steps=keep, horizon=plan.horizon)
    if newest is not None and origins is not asked:
        after = covariates_of(panel, asked, steps=0, horizon=plan.horizon)
        newest = newest if after is None else newest._replace(ahead=after.ahead)
    return Reading(rows, tuple(part[:, back] for part in joined), newest)


def _read(network: Network, panel: Panel, origins: Origins, length: int, stretch: int) -> State:
    """Return the states after the newest ``length`` rows, read in stretches of so many rows."""
    look_back = network.plan.look_back
    state, before = None, None
    for start in range(0, length - look_back, stretch - look_back):
        some = min(stretch, length - start)
        until = Origins(origins.series, origins.known - length + start + some)
        values, covariates = gathered(panel, until, origins.known, some)
        state = network.read(values, state, covariates, before)
        before = last_observed(values[:, : some - look_back], before)[:, -1]
    if state is None:
        raise ValueError("a state needs at least one row behind the look-back")
    return state


def _said_cold(network: ColdNetwork, panel: Panel, ahead: np.ndarray | None) -> HeadValues:
    """Return what a network says of series without a history; ``ahead`` as in :meth:`Forecasting.cold`."""
    if panel.covariates is None:
        raise ValueError("a cold start needs a panel with covariates")
    if ahead is None:
        ahead = np.empty((len(panel), network.plan.horizon, 0))
    known = torch.from_numpy(ahead)[:, : network.plan.horizon]
    return network(torch.from_numpy(panel.covariates.static), known)


@dataclass(frozen=True)
class Forecasting:
    """How a network's words become a forecast: noise, and the bounds of the data.

    Parameters
    ----------
    n_paths : int
        Sample paths behind quantiles that have no closed form.
    seed : int
        Of the noise, which is common to all series.
    bounds : tuple of float or None
        Physical limits of the values.
    """

    n_paths: int
    seed: int
    bounds: tuple[float | None, float | None]

    def __call__(
        self,
        network: Network,
        reading: Reading,
        horizon: int,
        probabilities: tuple[float, ...],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return medians (series, horizon) and quantiles (series, horizon, quantile)."""
        asked = torch.tensor((*probabilities, 0.5), dtype=torch.float64)
        if not network.plan.conditional and horizon <= network.plan.horizon:
            head = network.say(reading.rows, reading.state, reading.covariates)
            said = network.quantiles(head, asked[None, None, :])[:, :horizon]
        else:
            said = torch.cat(
                [
                    torch.quantile(paths, asked, dim=1).permute(1, 2, 0)
                    for paths in self._rolled(network, reading, horizon, self.n_paths, self.seed)
                ]
            )
            if not network.plan.conditional:  # the first block has its margins in closed form
                said[:, : network.plan.horizon] = network.quantiles(
                    network.say(reading.rows, reading.state, reading.covariates),
                    asked[None, None, :],
                )
        bounded = self._bounded(said)
        return bounded[..., -1].numpy(), bounded[..., :-1].numpy()

    def cold(
        self,
        network: ColdNetwork,
        panel: Panel,
        ahead: np.ndarray | None,
        probabilities: tuple[float, ...],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return medians and quantiles of series without a history, of the steps of the fitted horizon.

        ``ahead`` are their covariates known in advance, shape (series, step, column).
        """
        asked = torch.tensor((*probabilities, 0.5), dtype=torch.float64)
        head = _said_cold(network, panel, ahead)
        bounded = self._bounded(network.quantiles(head, asked[None, None, :]))
        return bounded[..., -1].numpy(), bounded[..., :-1].numpy()

    def cold_paths(
        self,
        network: ColdNetwork,
        panel: Panel,
        ahead: np.ndarray | None,
        *,
        n_paths: int,
        seed: int,
    ) -> np.ndarray:
        """Return joint sample paths of series without a history, (series, path, fitted horizon)."""
        generator = torch.Generator().manual_seed(seed)
        (noise,) = stratified_uniforms(n_paths, network.plan.horizon, generator)
        head = _said_cold(network, panel, ahead)
        return self._bounded(network.paths(head, noise)).numpy()

    def from_origins(
        self,
        network: Network,
        panel: Panel,
        origins: Origins,
        horizon: int,
        probabilities: tuple[float, ...],
        *,
        context: int,
        ahead: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return medians and quantiles from many origins of a panel, each series read once.

        Equal to :func:`read_origins` and a call, origin by origin; ``ahead`` are the covariates of the
        steps after each, shape (origin, step, column).
        """
        places, spoken = before_silence(panel, origins, network.plan)
        state = states_at(network, panel, spoken)
        channels = network.plan.channels
        keep = network.plan.look_back + context
        width = 1 if panel.covariates is None else 1 + panel.covariates.width
        together = max(1, FORECAST_AT_ONCE // (width * keep * channels)) * channels
        said = []
        for first in range(0, len(origins), together):
            some = slice(first, first + together)
            beside = covariates_of(panel, places[some], steps=keep, horizon=0)
            own = tuple(part[:, some] for part in state)
            reading = Reading(newest_rows(panel, places[some], keep), own, beside)
            reading = reading.with_ahead(None if ahead is None else ahead[some])
            said.append(self(network, reading, horizon, probabilities))
        point, quantiles = zip(*said, strict=True)
        return np.concatenate(point), np.concatenate(quantiles)

    def paths(
        self, network: Network, reading: Reading, horizon: int, *, n_paths: int, seed: int
    ) -> np.ndarray:
        """Return joint sample paths of shape (series, path, horizon)."""
        drawn = torch.cat(list(self._rolled(network, reading, horizon, n_paths, seed)))
        return self._bounded(drawn).numpy()

    def _rolled(
        self, network: Network, reading: Reading, horizon: int, n_paths: int, seed: int
    ) -> Iterator[Tensor]:
        channels, generator = network.plan.channels, torch.Generator().manual_seed(seed)
        noise = stratified_uniforms(n_paths, horizon, generator, channels=channels)
        together = max(1, ROLLED_AT_ONCE // (n_paths * channels)) * channels
        for first in range(0, len(reading), together):
            some = reading[slice(first, first + together)]
            if network.plan.decoder == "shift":
                yield shift_paths(network, some.rows, some.state, noise, some.covariates)
            else:
                yield block_paths(network, some.rows, some.state, noise, some.covariates)

    def _bounded(self, values: Tensor) -> Tensor:
        low, high = self.bounds
        return values if low is None and high is None else values.clamp(low, high)
