"""Windows: whole batches of raw rows gathered from a panel, one gather a batch, nothing stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tsrnn.panel import Panel

__all__ = ["Origins", "WindowSampler", "gather_covariates", "gather_rows", "of_channels"]


FEWEST = 8  # things of one batch, however many channels they have


@dataclass(frozen=True)
class Origins:
    """Places to forecast from: the first ``known`` rows of series ``series``, both of shape (origin,)."""

    series: np.ndarray
    known: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, which: slice | np.ndarray) -> Origins:
        return Origins(self.series[which], self.known[which])

    def thinned(self, step: int, channels: int) -> Origins:
        """Return every so manieth origin, channels of one thing kept together."""
        if channels == 1:
            return self[::step]
        kept = np.arange(len(self)).reshape(-1, channels)[::step]
        return self[kept.ravel()]

    def of_channels(self, channels: int) -> Origins:
        """Return the origins of each channel, from those of things with so many channels each."""
        if channels == 1:
            return self
        return Origins(of_channels(self.series, channels), self.known.repeat(channels))


def of_channels(things: np.ndarray, channels: int) -> np.ndarray:
    """Return the positions of all channels of some things, neighbours those of one thing."""
    if channels == 1:
        return things
    return np.asarray((things[:, None] * channels + np.arange(channels)).ravel())


def gather_rows(
    flat: np.ndarray,
    indptr: np.ndarray,
    series: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return rows ``start : start + count`` of each series as float64, shape (batch, count, ...).

    Rows before the series' first or at and after position ``stop`` are NaN: no window crosses into
    another series or into rows that are held out.
    """
    whole = (start >= 0) & (start + count <= stop)
    if flat.ndim == 1 and count and whole.any():  # whole windows are copied as they lie
        lying = sliding_window_view(flat, count)
        first = indptr[series] + start
        if whole.all():
            return lying[first].astype(np.float64, copy=False)
        rows = np.empty((len(series), count))
        rows[whole] = lying[first[whole]]
        cut = ~whole
        rows[cut] = _gather_cut(flat, indptr, series[cut], start[cut], stop[cut], count)
        return rows
    return _gather_cut(flat, indptr, series, start, stop, count)


def _gather_cut(
    flat: np.ndarray,
    indptr: np.ndarray,
    series: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return windows of which rows may lie outside, NaN there."""
    within = start[:, None] + np.arange(count)
    inside = (within >= 0) & (within < stop[:, None])
    rows = np.where(inside, within + indptr[series][:, None], 0)
    inside = inside.reshape(*inside.shape, *(1,) * (flat.ndim - 1))
    return np.where(inside, flat[rows].astype(np.float64, copy=False), np.nan)


def gather_covariates(
    panel: Panel, origins: Origins, *, steps: int, horizon: int
) -> tuple[np.ndarray, ...] | None:
    """Return the covariates around each origin, None where the panel has none.

    Returns
    -------
    past : ndarray of float64, shape (origin, steps, column)
        The newest rows before the origin, columns known in advance first.
    ahead : ndarray of float64, shape (origin, horizon, future column)
        Columns known in advance, of the rows that follow.
    static : ndarray of float64, shape (origin, column)
    """
    columns = panel.covariates
    if columns is None:
        return None
    series, known = origins.series, origins.known
    stop = panel.lengths[series]
    seen = np.minimum(known, stop)
    past = [
        gather_rows(each, panel.indptr, series, known - steps, seen, steps)
        for each in (columns.future, columns.past)
    ]
    ahead = gather_rows(columns.future, panel.indptr, series, known, stop, horizon)
    return np.concatenate(past, axis=2), ahead, columns.static[series]


class WindowSampler:
    """Draws training windows: series by their length, starts evenly, the newest rows included.

    Parameters
    ----------
    panel : Panel
    stop : ndarray of int64, shape (series,)
        Rows of each series that may be seen; what comes later is held out.
    look_back, context, horizon, patch : int
        A window is ``look_back`` rows that only serve as the past, ``context`` rows that are read in
        patches of ``patch``, and ``horizon`` rows that are only forecast.
    at_end : bool
        Only the step at the end of the context is taught: every window has a row behind it, and of a
        series shorter than two contexts, windows of half the series count, too, with missing rows before.
    """

    def __init__(
        self,
        panel: Panel,
        stop: np.ndarray,
        *,
        look_back: int,
        context: int,
        horizon: int,
        patch: int,
        at_end: bool = False,
    ) -> None:
        self.panel = panel
        self.stop = stop
        self.look_back = look_back
        self.context = context
        self.horizon = horizon
        self.patch = patch
        self.at_end = at_end
        useful = np.where(stop >= 2, stop, 0).astype(np.float64)[:: panel.channels]
        share = np.ceil(useful / context)
        self.cumulative = np.cumsum(share) / max(share.sum(), 1.0)

    def with_context(self, context: int) -> WindowSampler:
        """Return a sampler of windows that read another number of rows."""
        return WindowSampler(
            self.panel,
            self.stop,
            look_back=self.look_back,
            context=context,
            horizon=self.horizon,
            patch=self.patch,
        )

    def places(self, batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw about so many windows: their series and the rows where their read parts begin.

        Channels of one thing are drawn together. Of all series in a row, one window falls into each of so
        many equal parts: by chance, and yet spread evenly over the series.
        """
        channels = self.panel.channels
        batch_size = self.things(batch_size)
        drawn = (np.arange(batch_size) + rng.random(batch_size)) / batch_size
        thing = np.searchsorted(self.cumulative, drawn, side="right")
        series = np.minimum(thing, len(self.cumulative) - 1) * channels
        start = self._starts(series, rng)
        if channels == 1:
            return series, start
        return of_channels(series // channels, channels), start.repeat(channels)

    def things(self, batch_size: int) -> int:
        """Return of how many things the channels are about ``batch_size`` series together."""
        return max(batch_size // self.panel.channels, min(batch_size, FEWEST))

    def _starts(self, series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the rows where the read parts of windows begin."""
        count = len(series)
        if self.at_end:
            stop = self.stop[series]
            least = np.minimum(self.context, np.maximum(stop // 2, 1))
            known = least + (rng.random(count) * (stop - least)).astype(np.int64)
            return known - self.context
        # a window may hang over the end by all but one row of horizon: the newest rows are targets, too
        room = np.maximum(self.stop[series] - self.context - 1, 0)
        start = (rng.random(count) * (room + 1)).astype(np.int64)
        return np.asarray(start - rng.integers(0, self.patch, count))

    def gather(self, series: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the windows whose read part begins at row ``start`` of each series.

        Returns
        -------
        values : ndarray of float64, shape (batch, look_back + context + horizon)
        weights : ndarray of the same shape, or None
            Row weights of the panel.
        """
        count = self.look_back + self.context + self.horizon
        first, stop = start - self.look_back, self.stop[series]
        panel = self.panel
        values = gather_rows(panel.values, panel.indptr, series, first, stop, count)
        if panel.weights is None:
            return values, None
        weights = gather_rows(panel.weights, panel.indptr, series, first, stop, count)
        return values, np.nan_to_num(weights)

    def covariates(self, series: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, ...] | None:
        """Return the covariates of the same windows; see :func:`gather_covariates`."""
        known = start + self.context
        return gather_covariates(
            self.panel,
            Origins(series, known),
            steps=self.look_back + self.context,
            horizon=self.horizon,
        )
