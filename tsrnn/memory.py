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
from tsrnn.calendars.features import calendar_codes, dated_ahead, with_calendar
from tsrnn.frames.following import NewRows
from tsrnn.inference import Reading, read_origins
from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.ensemble import Network, NetworkEnsemble
from tsrnn.nn.plan import NetworkPlan
from tsrnn.panel import Panel, PanelCovariates, thing_ids
from tsrnn.silence import (
    has_value,
    listen,
    silence_of,
    silent_rows,
    silent_steps,
    silent_together,
    skipped_steps,
)
from tsrnn.trace import Trace, read_trace
from tsrnn.windows import Origins

__all__ = ["Memory", "fingerprint", "places_of", "remember"]

CODES = 2  # columns of each feature of a stamp


@dataclass(frozen=True, eq=False)
class Memory:
    """Newest rows and states of every series, never the frame. It is not changed: :meth:`after` returns another.

    Parameters
    ----------
    ids : pandas.Index of shape (series,)
    places : dict
        Position of each series' name; of channels, that of what they are channels of.
    axis : TimeAxis
    dtype : numpy dtype
        Of the values as they were given.
    times : ndarray of int64, shape (series, row)
        Of the newest rows; without meaning before the first.
    now : Trace
        Where reading stands.
    heard : Trace
        Where it stood at the newest value of each series; the same object where none is silent. States
        that channels share are those at the newest value of any of them.
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
    channels : int
        Neighbouring series that share a state.
    calendar : tuple of str
        Features of stamps, the last of the future covariates of the traces; ``ahead`` is without them.
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
    channels: int = 1
    calendar: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def last_times(self) -> np.ndarray:
        """Time of the newest row of each series, shape (series,)."""
        return self.times[:, -1]

    @property
    def names(self) -> pd.Index:
        """Names of the series; of channels, of what they are channels of."""
        return thing_ids(self.ids, self.channels)

    @cached_property
    def panel(self) -> Panel:
        """The newest rows of every series as a panel, without the features of its calendar."""
        keep = self.times.shape[1]
        lengths = np.minimum(self.now.known, keep)
        there = np.arange(keep) >= keep - lengths[:, None]
        covariates = None
        if self.static is not None:
            future = self.ahead.shape[2]
            past = np.empty((int(lengths.sum()), 0))
            if self.now.past is not None:
                past = self.now.past.numpy()[there]
            other = past[:, future + CODES * len(self.calendar) :]
            if future + other.shape[1] + self.static.shape[1]:
                covariates = PanelCovariates(past[:, :future], other, self.static, self.ahead)
        return Panel(
            self.now.rows.numpy()[there].astype(self.dtype, copy=False),
            np.append(0, np.cumsum(lengths)).astype(np.int64),
            self.ids,
            self.times[there],
            self.axis,
            covariates=covariates,
            channels=self.channels,
        )

    def after(self, network: Network, new: NewRows) -> Memory:
        """Return the memory after new rows; see :func:`tsrnn.frames.following.read_following`."""
        return self._read(network, self._dated(new))._ready(network)  # noqa: SLF001

    def _dated(self, new: NewRows) -> NewRows:
        """Return new rows with the features of their stamps."""
        if not self.calendar:
            return new
        codes, future = calendar_codes(self.axis, new.times, self.calendar), self.ahead.shape[2]
        past = np.empty((len(new.times), 0)) if new.past is None else new.past
        return replace(new, past=np.concatenate([past[:, :future], codes, past[:, future:]], 1))

    def _read(self, network: Network, new: NewRows) -> Memory:
        """Read the rows up to the newest value of each series, and then the silence behind it."""
        lengths, every = np.diff(new.indptr), np.arange(len(self))
        alike = np.array_equal(new.series, every) and (lengths == lengths[0]).all()
        if alike and not np.isnan(new.values).any():
            return self._read_all(network, new, int(lengths[0]))
        speaks, spoken = self._spoken(new)
        mute = (spoken == lengths) & ~speaks
        mute = mute.reshape(-1, self.channels).all(1).repeat(self.channels)
        now, heard, silence = self.now, self.heard, self.silence
        static = None if self.static is None else torch.from_numpy(self.static)
        start = np.zeros_like(lengths)
        # from one channel's newest value to the next one's, and then what is silent in all
        stops = np.sort(spoken.reshape(-1, self.channels), 1).T
        for stop in (*(each.repeat(self.channels) for each in stops), lengths):
            for count in np.unique(stop - start):
                if not count:
                    continue
                which = np.flatnonzero(stop - start == count)
                at = (new.indptr[which] + start[which])[:, None] + np.arange(count)
                past = None if new.past is None else torch.from_numpy(new.past[at])
                series = new.series[which]
                whole = len(series) == len(self) and _ascending(series)
                before = now if whole else now.take(series)
                rows = torch.from_numpy(new.values[at])
                beside = None if static is None else static[torch.from_numpy(series)]
                read = before.read_on(network, rows, past, beside)
                silent = np.flatnonzero(spoken[which] <= start[which])
                if len(silent) and silence is not None and past is not None:
                    since = (before.known - heard.known[series])[silent]
                    silence = listen(silence, series[silent], since, past[torch.from_numpy(silent)])
                now = now.put(series, read)
                ends = spoken[which] == stop[which]
                heard = _heard(
                    heard, now, series, ends, (ends & speaks[which]) | mute[which], self.channels
                )
            start = stop
        return replace(
            self,
            times=self._times(new),
            now=now,
            heard=now if np.array_equal(heard.known, now.known) else heard,
            silence=silence,
            ahead=self._ahead(new),
            dtype=np.result_type(self.dtype, new.dtype),
        )

    def _spoken(self, new: NewRows) -> tuple[np.ndarray, np.ndarray]:
        """Return which series have a value among new rows, and how many rows of each end with its newest."""
        lengths = np.diff(new.indptr)
        row = np.where(np.isnan(new.values), -1, np.arange(len(new.values)))
        newest, some = np.zeros_like(lengths), np.flatnonzero(lengths)
        if len(some):
            newest[some] = np.maximum.reduceat(row, new.indptr[some]) - new.indptr[some] + 1
        # a series that never had a value stands where its rows end
        never = self.heard.rows[torch.from_numpy(new.series), -1].isnan().numpy()
        return newest > 0, np.where(newest > 0, newest, np.where(never, lengths, 0))

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
        rows, past, state = now.rows, now.past, now.states[0]
        if self.static is not None:
            static = torch.from_numpy(self.static)
        if now is not self.heard:
            rows, past = self._rows_before_silence(network.plan)
            state = self._state_before_silence(network, static)
        covariates = None
        if static is not None and past is not None:
            ahead = dated_ahead(self.axis, self.last_times, self.ahead, self.calendar)
            covariates = Covariates(past, torch.from_numpy(ahead), static)
        return replace(self, reading=Reading(rows, state, covariates))

    def _rows_before_silence(self, plan: NetworkPlan) -> tuple[Tensor, Tensor | None]:
        """Return the newest rows of each series and their covariates, long silences shorter."""
        now, silent = self.now, self.now.known - self.heard.known
        skipped = skipped_steps(silent, plan)
        moved = np.flatnonzero(skipped)
        if not len(moved):
            return now.rows, now.past
        heard, which, later = (
            self.heard.take(moved),
            torch.from_numpy(moved),
            (silent - skipped)[moved],
        )
        rows = now.rows.index_copy(0, which, heard.silent_for(later)[0])
        past = now.past
        if past is not None and heard.past is not None and self.silence is not None:
            until = torch.cat([heard.past, self.silence[which]], 1)
            at = torch.arange(rows.shape[1]) + torch.from_numpy(later).unsqueeze(1)
            own = until.gather(1, at.unsqueeze(2).expand(-1, -1, until.shape[2]))
            past = past.index_copy(0, which, own)
        return rows, past

    def _state_before_silence(self, network: Network, static: Tensor | None) -> State:
        """Return the states, those of series that are silent in all their channels read as less far."""
        plan, state = network.plan, self.now.states[0]
        silent = self.now.known - self.heard.known
        never = self.heard.rows[:, -1].isnan().numpy()
        common = silent_together(silent, never, self.channels)
        skipped = skipped_steps(common, plan)
        for steps in np.unique(common[skipped > 0]):
            series = np.flatnonzero((common == steps) & (skipped > 0))
            which, trace = torch.from_numpy(series), self._heard_together(series, int(steps))
            read = int(steps - skipped[series[0]])
            if read:
                nothing = torch.full((len(series), read), torch.nan, dtype=torch.float64)
                past = None if self.silence is None else self.silence[self._speaker(series), :read]
                beside = None if static is None else static[which]
                trace = trace.read_on(network, nothing, past, beside)
            new = trace.states[0]
            state = tuple(
                part.index_copy(1, which, one) for part, one in zip(state, new, strict=True)
            )
        return state

    def _speaker(self, series: np.ndarray) -> np.ndarray:
        """Return for each of some series, whole things, the channel that had a value last."""
        if self.channels == 1:
            return series
        never = self.heard.rows[torch.from_numpy(series), -1].isnan().numpy()
        known = np.where(never, -1, self.heard.known[series]).reshape(-1, self.channels)
        return (series[:: self.channels] + known.argmax(1)).repeat(self.channels)

    def _heard_together(self, series: np.ndarray, silent: int) -> Trace:
        """Return the trace of some series at the newest value of any of their channels."""
        trace = self.heard.take(series)
        if self.channels == 1:
            return trace
        known = self.now.known[series] - silent
        rows, before = trace.silent_for(np.maximum(known - trace.known, 0))
        past = None
        if self.heard.past is not None:
            past = self.heard.past[torch.from_numpy(self._speaker(series))]
        return Trace(known, rows, before, past, trace.states)


def _heard(
    heard: Trace,
    now: Trace,
    series: np.ndarray,
    ends: np.ndarray,
    speaks: np.ndarray,
    channels: int,
) -> Trace:
    """Return where series stood at their newest value, once some of them have been read on to it.

    ``ends`` says which have, ``speaks`` which of them their states follow.
    """
    if len(series) == len(heard.known) and ends.all():
        return now
    if ends.any():
        own = series[ends]
        heard = heard.put_rows(own, now.take(own))
    own = series[speaks.reshape(-1, channels).any(1).repeat(channels)]
    return heard.put_states(own, now.take(own)) if len(own) else heard


def remember(
    network: NetworkEnsemble, panel: Panel, context: int, *, calendar: tuple[str, ...] = ()
) -> Memory:
    """Return what is remembered of a panel; ``calendar`` are the features of its stamps."""
    plan, given = network.plan, panel
    panel = with_calendar(panel, calendar)
    every, known = np.arange(len(panel)), panel.lengths
    origins = Origins(every, known)
    reading = read_origins(network, panel, origins, context=context)
    keep = reading.rows.shape[1]
    silent = silent_rows(panel)
    if not plan.is_causal:  # nothing is read on from there
        silent[:] = 0
    moved = (silent >= silent_steps(plan)).any()
    now = read_trace(network, panel, origins, keep=keep, newest=None if moved else reading.state)
    heard = now
    common = silent_together(silent, ~has_value(panel), plan.channels)
    quiet = np.flatnonzero(silent.reshape(-1, plan.channels).any(1).repeat(plan.channels))
    if len(quiet):
        newest, spoken = (Origins(quiet, (known - each)[quiet]) for each in (silent, common))
        heard = now.put(quiet, read_trace(network, panel, newest, keep=keep, spoken=spoken))
    times = np.zeros((len(panel), keep), dtype=np.int64)
    tail = panel.tail(keep)
    there = np.arange(keep) >= keep - tail.lengths[:, None]
    times[there] = tail.times
    ahead, static, silence = np.empty((len(panel), 0, 0)), None, None
    if panel.covariates is not None:
        static = panel.covariates.static
        if given.covariates is not None:
            ahead = given.covariates.ahead
        silence = silence_of(panel, known - silent, silent, plan)
    return Memory(
        panel.ids,
        places_of(thing_ids(panel.ids, panel.channels)),
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
        panel.channels,
        calendar,
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


def _ascending(series: np.ndarray) -> bool:
    return bool((np.diff(series) > 0).all())
