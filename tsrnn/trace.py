"""How far a network has read each series, and reading on from there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tsrnn.nn.covariates import Covariates
from tsrnn.nn.encoder import State
from tsrnn.nn.ensemble import Network
from tsrnn.nn.scaling import last_observed
from tsrnn.panel import Panel
from tsrnn.passes import covariates_of, newest_rows, states_at
from tsrnn.windows import Origins

__all__ = ["Trace", "read_trace"]

ROWS_AT_ONCE = 4096  # new rows read together


@dataclass(frozen=True, eq=False)
class Trace:
    """Where the reading of each series stands: all that reading on needs, the same however long it was.

    With patches, a recurrent step reads several rows: there is one state for each phase of their grid,
    so that the next row, whichever it is, ends a patch that begins where a known state ends.

    Parameters
    ----------
    known : ndarray of int64, shape (series,)
        Rows that were read, and that the rows below end with.
    rows : Tensor of shape (series, row), float64
        The newest of them, NaN where there are none.
    before : Tensor of shape (series,), float64
        The newest value observed before those; NaN where there is none.
    past : Tensor of shape (series, row, column), float64, or None
        Covariates of the newest rows.
    states : tuple of states
        After all rows, after all but the newest, and so on, one for each row of a patch. Where there are
        no rows before a state, it is not looked at.
    """

    known: np.ndarray
    rows: Tensor
    before: Tensor
    past: Tensor | None
    states: tuple[State, ...]

    def take(self, series: np.ndarray) -> Trace:
        """Return the trace of some series."""
        which = torch.from_numpy(series)
        return Trace(
            self.known[series],
            self.rows[which],
            self.before[which],
            None if self.past is None else self.past[which],
            tuple(tuple(part[:, which] for part in state) for state in self.states),
        )

    def put(self, series: np.ndarray, other: Trace) -> Trace:
        """Return the trace with some series replaced; neither is changed."""
        if len(series) == len(self.known):
            return other if (np.diff(series) > 0).all() else other.take(np.argsort(series))
        return self.put_rows(series, other).put_states(series, other)

    def put_rows(self, series: np.ndarray, other: Trace) -> Trace:
        """Return the trace with all but the states of some series replaced."""
        which = torch.from_numpy(series)
        known = self.known.copy()
        known[series] = other.known
        past = None
        if self.past is not None and other.past is not None:
            past = self.past.index_copy(0, which, other.past)
        rows = self.rows.index_copy(0, which, other.rows)
        before = self.before.index_copy(0, which, other.before)
        return Trace(known, rows, before, past, self.states)

    def put_states(self, series: np.ndarray, other: Trace) -> Trace:
        """Return the trace with the states of some series replaced."""
        which = torch.from_numpy(series)
        states = tuple(
            tuple(part.index_copy(1, which, new) for part, new in zip(*both, strict=True))
            for both in zip(self.states, other.states, strict=True)
        )
        return replace(self, states=states)

    def silent_for(self, steps: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the newest rows, and the newest value before them, so many steps without a value later."""
        keep = self.rows.shape[1]
        later = torch.from_numpy(np.minimum(steps, keep)).unsqueeze(1)
        at = torch.arange(keep) + later
        rows = self.rows.gather(1, at.clamp_max(keep - 1)).masked_fill(at >= keep, torch.nan)
        seen = torch.cat([self.before.unsqueeze(1), last_observed(self.rows, self.before)], 1)
        return rows, seen.gather(1, later).squeeze(1)

    def read_on(
        self, network: Network, values: Tensor, past: Tensor | None, static: Tensor | None
    ) -> Trace:
        """Return the trace after new rows, the same number for each series.

        Parameters
        ----------
        network : Network
        values : Tensor of shape (series, new row), float64
        past : Tensor of shape (series, new row, column), optional
            Their covariates.
        static : Tensor of shape (series, column), optional
            Covariates that are constant.
        """
        trace = self
        for start in range(0, values.shape[1], ROWS_AT_ONCE):
            new = slice(start, start + ROWS_AT_ONCE)
            beside = None if past is None else past[:, new]
            trace = trace._read_some(network, values[:, new], beside, static)
        return trace

    def _read_some(
        self, network: Network, new: Tensor, beside: Tensor | None, static: Tensor | None
    ) -> Trace:
        patch, count = network.plan.patch, new.shape[1]
        rows = torch.cat([self.rows, new], 1)
        past = None
        if self.past is not None and beside is not None:
            past = torch.cat([self.past, beside], 1)
        # lag k: the state after all rows but the newest k
        reached = {lag: self.states[lag - count] for lag in range(count, patch)}
        lags_by_patches: dict[int, list[int]] = {}
        for lag in range(min(patch, count)):
            lags_by_patches.setdefault(-(-(count - lag) // patch), []).append(lag)
        for patches, lags in lags_by_patches.items():
            reached |= self._step(network, rows, past, static, patches=patches, lags=lags)
        return Trace(
            self.known + count,
            rows[:, count:],
            _newest(rows[:, :count], self.before),
            None if past is None else past[:, count:],
            tuple(reached[lag] for lag in range(patch)),
        )

    def _step(
        self,
        network: Network,
        rows: Tensor,
        past: Tensor | None,
        static: Tensor | None,
        *,
        patches: int,
        lags: list[int],
    ) -> dict[int, State]:
        """Read so many patches that end ``lags`` rows before the newest; return the states there."""
        plan, series = network.plan, len(rows)
        length = plan.look_back + patches * plan.patch
        windows = [slice(rows.shape[1] - lag - length, rows.shape[1] - lag) for lag in lags]
        count = rows.shape[1] - self.rows.shape[1]
        older = [patches * plan.patch - (count - lag) for lag in lags]  # lags of where they begin
        values = _stacked([rows[:, window] for window in windows])
        covariates = None
        if static is not None:
            columns = values.new_empty(*values.shape, 0)
            if past is not None:
                columns = _stacked([past[:, window] for window in windows])
            known = 0 if plan.covariates is None else len(plan.covariates.future)
            ahead = values.new_empty(len(values), 0, known)
            covariates = Covariates(columns, ahead, static.repeat(len(lags), 1))
        before = None
        if values[:, 0].isnan().any():
            before = _stacked([_newest(rows[:, : each.start], self.before) for each in windows])
        begun = [self.states[lag] for lag in older]
        state = tuple(_stacked(list(parts), 1) for parts in zip(*begun, strict=True))
        fresh = (self.known[None, :] <= np.array(older)[:, None]).ravel()
        after = _read(network, values, state, covariates, before, fresh)
        return {
            lag: tuple(part[:, i * series : (i + 1) * series] for part in after)
            for i, lag in enumerate(lags)
        }


def _read(
    network: Network,
    values: Tensor,
    state: State,
    covariates: Covariates | None,
    before: Tensor | None,
    fresh: np.ndarray,
) -> State:
    """Read on from ``state``, or where a series is ``fresh`` from the beginning."""
    if not fresh.any():
        return network.read(values, state, covariates, before)
    result = tuple(torch.empty_like(part) for part in state)
    for begins in (False, True):
        which = torch.from_numpy(np.flatnonzero(fresh == begins))
        if not len(which):
            continue
        after = network.read(
            values[which],
            None if begins else tuple(part[:, which] for part in state),
            None if covariates is None else covariates.take(which),
            None if before is None else before[which],
        )
        for whole, part in zip(result, after, strict=True):
            whole[:, which] = part
    return result


def _stacked(parts: list[Tensor], dim: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _newest(rows: Tensor, before: Tensor) -> Tensor:
    """Return the newest value that is not missing of each series, shape (series,)."""
    if rows.shape[1] <= 1:
        return torch.where(rows[:, 0].isnan(), before, rows[:, 0]) if rows.shape[1] else before
    return last_observed(rows, before)[:, -1]


def read_trace(
    network: Network,
    panel: Panel,
    origins: Origins,
    *,
    keep: int,
    newest: State | None = None,
    spoken: Origins | None = None,
) -> Trace:
    """Return the trace after reading the known rows of each origin.

    Parameters
    ----------
    network : Network
    panel : Panel
    origins : Origins
    keep : int
        Newest rows to keep.
    newest : state, optional
        The states at the origins, where they have been read already.
    spoken : Origins, optional
        Where the states are read to, if that is elsewhere.
    """
    spoken = origins if spoken is None else spoken
    patch, known = network.plan.patch, spoken.known
    if not network.plan.is_causal:  # no reading goes on from there
        patch = 1
    lags = np.arange(0 if newest is None else 1, patch)
    series = np.tile(spoken.series, len(lags))
    at = np.tile(known, len(lags)) - np.repeat(lags, len(known))
    there = np.flatnonzero(at > 0)
    states: list[State] = [] if newest is None else [newest]
    if len(there):
        read = states_at(network, panel, Origins(series[there], at[there]))
        whole = [part.new_zeros(len(part), len(at), part.shape[2]) for part in read]
        for all_of_it, part in zip(whole, read, strict=True):
            all_of_it[:, torch.from_numpy(there)] = part
        chunks = [part.split(len(known), 1) for part in whole]
        states += [tuple(part) for part in zip(*chunks, strict=True)]
    elif newest is not None:
        states += [newest] * len(lags)  # never looked at
    covariates = covariates_of(panel, origins, steps=keep, horizon=0)
    return Trace(
        origins.known,
        newest_rows(panel, origins, keep),
        _observed_before(panel, origins.series, origins.known - keep),
        None if covariates is None else covariates.past,
        tuple(states),
    )


def _observed_before(panel: Panel, series: np.ndarray, stop: np.ndarray) -> Tensor:
    """Return the newest value before row ``stop`` of each series, NaN where there is none."""
    found = np.full(len(series), np.nan)
    for i in np.flatnonzero(stop > 0):
        rows = panel.series(series[i])[: stop[i]]
        if np.isnan(rows[-1]):
            rows = rows[~np.isnan(rows)]
        found[i] = rows[-1] if len(rows) else np.nan
    return torch.from_numpy(found)
