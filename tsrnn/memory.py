"""What a fitted forecaster remembers of its series, moved on by new rows in constant time a row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsrnn.calendars import TimeAxis
from tsrnn.frames.following import NewRows
from tsrnn.inference import Reading, read_origins, silent_steps, skipped_steps
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.ensemble import Network, NetworkEnsemble
from tsrnn.nn.plan import NetworkPlan
from tsrnn.panel import Panel, PanelCovariates
from tsrnn.passes import covariates_of
from tsrnn.trace import Trace, read_trace
from tsrnn.windows import Origins

__all__ = ["Memory", "fingerprint", "places_of", "remember"]


@dataclass(frozen=True, eq=False)
class Memory:
    """Newest rows and states of every series, never the frame. It is not changed: :meth:`after` returns another.

    Parameters
    ----------
    ids : pandas.Index of shape (series,)
    places : dict
        Position of each id.
    axis : TimeAxis
    dtype : numpy dtype
        Of the values as they were given.
    times : ndarray of int64, shape (series, row)
        Of the newest rows; without meaning before the first.
    now : Trace
        Where reading stands.
    heard : Trace
        Where it stood at the newest value of each series; the same object where none is silent.
    silence : Tensor of shape (series, row, column), or None
        Covariates of the first rows of a silence.
    ahead : ndarray of shape (series, step, column)
        Future covariates of the steps after the newest row, as far as they came with the rows.
    static : ndarray of shape (series, column), or None
        Covariates that are constant; None where there are no covariates at all.
    reading : Reading
        What forecasts start from: that of ``now``, but before a long silence.
    network : str
        Fingerprint of the weights that read.
    """

    ids: pd.Index
    places: Mapping[Any, int]
    axis: TimeAxis
    dtype: np.dtype
    times: np.ndarray
    now: Trace
    heard: Trace
    silence: Tensor | None
    ahead: np.ndarray
    static: np.ndarray | None
    reading: Reading
    network: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def last_times(self) -> np.ndarray:
        """Time of the newest row of each series, shape (series,)."""
        return self.times[:, -1]

    @cached_property
    def panel(self) -> Panel:
        """The newest rows of every series as a panel."""
        keep = self.times.shape[1]
        lengths = np.minimum(self.now.known, keep)
        there = np.arange(keep) >= keep - lengths[:, None]
        covariates = None
        if self.static is not None:
            future = self.ahead.shape[2]
            past = np.empty((int(lengths.sum()), 0))
            if self.now.past is not None:
                past = self.now.past.numpy()[there]
            covariates = PanelCovariates(
                past[:, :future], past[:, future:], self.static, self.ahead
            )
        return Panel(
            self.now.rows.numpy()[there].astype(self.dtype, copy=False),
            np.append(0, np.cumsum(lengths)).astype(np.int64),
            self.ids,
            self.times[there],
            self.axis,
            covariates=covariates,
        )

    def after(self, network: Network, new: NewRows) -> Memory:
        """Return the memory after new rows; see :func:`tsrnn.frames.following.read_following`."""
        return self._read(network, new)._ready(network)  # noqa: SLF001

    def _read(self, network: Network, new: NewRows) -> Memory:
        """Read the rows up to the newest value of each series, and then the silence behind it."""
        lengths, every = np.diff(new.indptr), np.arange(len(self))
        alike = np.array_equal(new.series, every) and (lengths == lengths[0]).all()
        if alike and not np.isnan(new.values).any():
            return self._read_all(network, new, int(lengths[0]))
        row = np.where(np.isnan(new.values), -1, np.arange(len(new.values)))
        # a series that never had a value stands where its rows end
        never = self.heard.rows[torch.from_numpy(new.series), -1].isnan().numpy()
        spoken = np.where(never, lengths, 0)
        some = np.flatnonzero(lengths)
        if len(some):
            newest = np.maximum.reduceat(row, new.indptr[some]) - new.indptr[some] + 1
            spoken[some] = np.where(newest > 0, newest, spoken[some])
        now, heard = self.now, self.heard
        static = None if self.static is None else torch.from_numpy(self.static)
        silence = self.silence
        for start, stop, speaks in (
            (np.zeros_like(lengths), spoken, True),
            (spoken, lengths, False),
        ):
            for count in np.unique(stop - start):
                if not count:
                    continue
                which = np.flatnonzero(stop - start == count)
                at = (new.indptr[which] + start[which])[:, None] + np.arange(count)
                past = None if new.past is None else torch.from_numpy(new.past[at])
                series = new.series[which]
                before = (
                    now if len(series) == len(self) and _ascending(series) else now.take(series)
                )
                rows = torch.from_numpy(new.values[at])
                beside = None if static is None else static[torch.from_numpy(series)]
                read = before.read_on(network, rows, past, beside)
                if not speaks and silence is not None and past is not None:
                    silent = before.known - heard.known[series]
                    silence = _listen(silence, series, silent, past)
                now = now.put(series, read)
                if speaks:
                    heard = now if len(series) == len(self) else heard.put(series, read)
        return replace(
            self,
            times=self._times(new),
            now=now,
            heard=now if np.array_equal(heard.known, now.known) else heard,
            silence=silence,
            ahead=self._ahead(new),
            dtype=np.result_type(self.dtype, new.dtype),
        )

    def _read_all(self, network: Network, new: NewRows, count: int) -> Memory:
        """Do as :meth:`_read` where every series has as many rows, all of them with a value."""
        values = torch.from_numpy(new.values.reshape(-1, count))
        past = static = None
        if new.past is not None and self.static is not None:
            past = torch.from_numpy(new.past.reshape(len(self), count, -1))
            static = torch.from_numpy(self.static)
        now = self.now.read_on(network, values, past, static)
        keep = self.times.shape[1]
        times = np.concatenate([self.times, new.times.reshape(-1, count)], 1)[:, -keep:]
        ahead = self._ahead(new)
        dtype = np.result_type(self.dtype, new.dtype)
        return replace(self, times=times, now=now, heard=now, ahead=ahead, dtype=dtype)

    def _times(self, new: NewRows) -> np.ndarray:
        keep, lengths = self.times.shape[1], np.diff(new.indptr)
        times = self.times.copy()
        for count in np.unique(lengths):
            which = np.flatnonzero(lengths == count)
            series, fresh = new.series[which], min(count, keep)
            if not count:
                continue
            at = new.indptr[1:][which][:, None] + np.arange(-fresh, 0)
            times[series] = np.concatenate([self.times[series, fresh:], new.times[at]], 1)
        return times

    def _ahead(self, new: NewRows) -> np.ndarray:
        """Return what is known of the steps after the new rows: what came with them, then what was known."""
        if not self.ahead.shape[2]:
            return self.ahead
        lengths = np.zeros(len(self), dtype=np.int64)
        lengths[new.series] = np.diff(new.indptr)
        steps = max(int((self.ahead.shape[1] - lengths).max()), new.ahead.shape[1], 0)
        ahead = np.full((len(self), steps, self.ahead.shape[2]), np.nan)
        at = lengths[:, None] + np.arange(steps)
        known = at < self.ahead.shape[1]
        series = np.broadcast_to(np.arange(len(self))[:, None], at.shape)
        ahead[known] = self.ahead[series[known], at[known]]
        came = ahead[new.series, : new.ahead.shape[1]]
        ahead[new.series, : new.ahead.shape[1]] = np.where(np.isnan(new.ahead), came, new.ahead)
        return ahead

    def _ready(self, network: Network) -> Memory:
        """Return it with what forecasts start from: a long silence is read as whole seasons shorter."""
        now, static = self.now, None
        if self.static is not None:
            static = torch.from_numpy(self.static)
        if now is not self.heard:
            now = self._before_silence(network, static)
        covariates = None
        if static is not None and now.past is not None:
            covariates = Covariates(now.past, torch.from_numpy(self.ahead), static)
        return replace(self, reading=Reading(now.rows, now.states[0], covariates))

    def _before_silence(self, network: Network, static: Tensor | None) -> Trace:
        plan, now = network.plan, self.now
        silent = now.known - self.heard.known
        long = (silent >= silent_steps(plan)) & (now.known > silent_steps(plan))
        for steps in np.unique(silent[long]):
            if not skipped_steps(int(steps), plan):
                continue
            read = int(steps) - skipped_steps(int(steps), plan)
            series = np.flatnonzero(long & (silent == steps))
            which = torch.from_numpy(series)
            nothing = torch.full((len(series), read), torch.nan, dtype=torch.float64)
            past = None if self.silence is None else self.silence[which, :read]
            beside = None if static is None else static[which]
            trace = self.heard.take(series)
            if read:
                trace = trace.read_on(network, nothing, past, beside)
            now = now.put(series, trace)
        return now


def remember(network: NetworkEnsemble, panel: Panel, context: int) -> Memory:
    """Return what is remembered of a panel."""
    plan = network.plan
    every, known = np.arange(len(panel)), panel.lengths
    origins = Origins(every, known)
    reading = read_origins(network, panel, origins, context=context)
    keep = reading.rows.shape[1]
    silent = _silent_rows(panel)
    if not plan.is_causal:  # nothing is read on from there
        silent[:] = 0
    moved = (silent >= silent_steps(plan)).any()
    now = read_trace(network, panel, origins, keep=keep, newest=None if moved else reading.state)
    heard = now
    quiet = np.flatnonzero(silent)
    if len(quiet):
        newest = Origins(quiet, (known - silent)[quiet])
        heard = now.put(quiet, read_trace(network, panel, newest, keep=keep))
    times = np.zeros((len(panel), keep), dtype=np.int64)
    tail = panel.tail(keep)
    there = np.arange(keep) >= keep - tail.lengths[:, None]
    times[there] = tail.times
    ahead, static, silence = np.empty((len(panel), 0, 0)), None, None
    if panel.covariates is not None:
        ahead, static = panel.covariates.ahead, panel.covariates.static
        silence = _silence(panel, known - silent, silent, plan)
    return Memory(
        panel.ids,
        places_of(panel.ids),
        panel.axis,
        panel.values.dtype,
        times,
        now,
        heard,
        silence,
        ahead,
        static,
        reading,
        fingerprint(network),
    )


def places_of(ids: pd.Index) -> dict[Any, int]:
    """Return the position of each id."""
    return {name: i for i, name in enumerate(ids.tolist())}


def fingerprint(network: NetworkEnsemble) -> str:
    """Return a text that two networks share if their weights are the same, bit for bit."""
    digest = hashlib.sha256()
    for name, weight in network.state_dict().items():
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _silent_rows(panel: Panel) -> np.ndarray:
    """Return the rows behind the newest value of each series; 0 where there is no value at all."""
    row = np.where(np.isnan(panel.values), -1, np.arange(len(panel.values)))
    newest = np.maximum.reduceat(row, panel.indptr[:-1])
    return np.where(newest < 0, 0, panel.indptr[1:] - 1 - newest)


def _silence(
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


def _listen(silence: Tensor, series: np.ndarray, silent: np.ndarray, past: Tensor) -> Tensor:
    """Return the covariates of silences that go on with the rows ``past`` (series, row, column)."""
    silence = silence.clone()
    for i, start, rows in zip(series, silent, past, strict=True):
        room = rows[: max(silence.shape[1] - int(start), 0)]
        silence[i, start : start + len(room)] = room
    return silence


def _ascending(series: np.ndarray) -> bool:
    return bool((np.diff(series) > 0).all())
