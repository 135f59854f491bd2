"""Validation: honest scores of a network that forecasts freely."""

from __future__ import annotations

import numpy as np
import torch

from tsrnn.inference import Forecasting, Reading, read_origins
from tsrnn.metrics.pairing import average
from tsrnn.nn.networks import ForecastNetwork
from tsrnn.panel import Panel
from tsrnn.parallel import crew
from tsrnn.references import panel_scale
from tsrnn.windows import Origins, gather_rows

__all__ = ["Validation"]

ALL = slice(None)
COMMON = 0.06  # share of the loss by which an improvement differs between stretches of time
TIE = 0.01  # share of the loss up to which the simpler of two may be kept
REMAINS = 4.0  # what differs is a share of the loss before, but no more than of so many times the one after
ALIKE = 0.6  # the same of a single series, where one stretch tells; of so many it is less by their square root


class Validation:
    """Scores a network the way it will be used: it reads, then forecasts freely.

    The score is twice the mean pinball loss over the trained quantiles, in units of each series'
    naive error; with a point output that is the mean absolute scaled error.

    Parameters
    ----------
    panel : Panel
    origins : Origins
    stop : ndarray of int64, shape (series,)
        Rows of each series that may be looked at.
    horizon, context : int
    season : int
    probabilities : tuple of float
    forecasting : Forecasting
    """

    def __init__(
        self,
        panel: Panel,
        origins: Origins,
        stop: np.ndarray,
        *,
        horizon: int,
        context: int,
        season: int,
        probabilities: tuple[float, ...],
        forecasting: Forecasting,
    ) -> None:
        observed = np.concatenate([[0], np.cumsum(~np.isnan(panel.values))])
        first = panel.indptr[origins.series]
        seen = observed[first + origins.known] > observed[first]  # something to go by
        whole = seen.reshape(-1, panel.channels).any(1).repeat(panel.channels)
        origins, seen = origins[whole], seen[whole]
        self.panel, self.origins, self.stop = panel, origins, stop
        self.horizon, self.context = horizon, context
        self.probabilities, self.forecasting = probabilities, forecasting
        self.truth = gather_rows(
            panel.values, panel.indptr, origins.series, origins.known, stop[origins.series], horizon
        )
        self.truth[~seen] = np.nan
        scale = panel_scale(panel.take_rows(np.zeros_like(stop), stop), season)
        self.scale = np.where(scale > 0, scale, 1.0)[origins.series]

    def __bool__(self) -> bool:
        return bool(np.isfinite(self.truth).any())

    @property
    def stretch(self) -> np.ndarray:
        """Which stretch of one horizon each origin lies in, counted from the end, shape (origin,).

        A series' earliest stretch of less than half a horizon of origins is no stretch of its own: the few
        forecasts in it share most of their truth with those after them.
        """
        series, horizon = self.origins.series, self.horizon
        back = self.stop[series] - self.origins.known
        farthest = np.zeros_like(self.stop)
        np.maximum.at(farthest, series, back)
        whole = (farthest + 1 + horizon // 2) // horizon - 1  # one of half a horizon counts
        return np.minimum(back // horizon, np.maximum(whole, 1)[series])

    @property
    def can_compare(self) -> bool:
        """Whether there are several series, or several stretches of time."""
        things = self.origins.series // self.panel.channels
        return len(np.unique(things)) > 1 or len(np.unique(self.stretch)) > 1

    def reading(self, network: ForecastNetwork, part: slice = ALL) -> Reading:
        """Read the rows before each origin, about as many as a training window has."""
        return self._read(network, self.origins[part], 2 * self.context)

    def glance(self, network: ForecastNetwork) -> Reading:
        """Read the newest step before each origin: all for an untrained head, which heeds no state yet."""
        return self._read(network, self.origins, network.plan.patch)

    def _read(self, network: ForecastNetwork, origins: Origins, rows: int) -> Reading:
        with torch.inference_mode():
            return read_origins(network, self.panel, origins, context=self.context, max_rows=rows)

    def __call__(self, network: ForecastNetwork) -> float:
        """Return the score of ``network``; lower is better."""
        return self.score(self.losses(network))

    @staticmethod
    def score(losses: np.ndarray) -> float:
        """Return the score of a network with these losses."""
        score = float(np.nanmean(losses))
        return score if np.isfinite(score) else float("inf")

    def evidence(self, before: np.ndarray, after: np.ndarray) -> float:
        """Return by how many standard errors the second losses are lower than the first.

        Losses of origins within one horizon share their truth, and series often move together: the
        standard error is the larger of those over series and over stretches of one horizon in time.
        It is never below what moves a whole stretch at once, which a few stretches can't show: a share
        ``COMMON`` of the loss, and more where there are few series, which are often alike; less where hardly
        any loss remains. A single series over a single stretch is no evidence: 0.
        """
        gain, groups, errors = self._gain(before, after)
        if not np.nanmax([*errors, 0.0]) > 0:
            return 0.0
        series, stretches = (len(np.unique(group[np.isfinite(gain)])) for group in groups)
        shock = np.hypot(COMMON / np.sqrt(stretches), ALIKE / (np.sqrt(series) * stretches))
        errors.append(shock * min(float(np.nanmean(before)), REMAINS * float(np.nanmean(after))))
        return float(np.nanmean(gain) / np.nanmax(errors))

    def is_worth(self, before: np.ndarray, after: np.ndarray) -> bool:
        """Return whether what has the second losses deserves to stand in the place of something simpler.

        Not where it is within a hundredth and within one standard error (Breiman et al. 1984,
        Classification and Regression Trees, section 3.4.3).
        """
        gain, _, errors = self._gain(before, after)
        better = float(np.nanmean(gain))
        return better > min(TIE * float(np.nanmean(before)), float(np.nanmax([*errors, 0.0])))

    def _gain(
        self, before: np.ndarray, after: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...], list[float]]:
        """Return the gain of each origin, NaN where nothing was observed, its groups, the errors of its mean by them."""
        gain = average(before - after, 1)
        groups = (self.origins.series // self.panel.channels, self.stretch)
        return gain, groups, [_clustered_error(gain, group) for group in groups]

    def losses(
        self,
        network: ForecastNetwork,
        reading: Reading | None = None,
        *,
        medians: bool = False,
    ) -> np.ndarray:
        """Return the loss of each forecast step, shape (origin, horizon); NaN where the truth is.

        ``reading`` is what the network has read already, where only its head has changed since;
        ``medians`` are judged alone where asked.
        """
        part = crew().part(len(self.origins), channels=self.panel.channels)
        return crew().joined(self._losses(network, part, reading, medians=medians))

    def _losses(
        self, network: ForecastNetwork, part: slice, reading: Reading | None, *, medians: bool
    ) -> np.ndarray:
        truth = self.truth[part]
        if not len(truth):  # there are fewer origins than processes that share them
            return truth
        with torch.inference_mode():
            reading = self.reading(network, part) if reading is None else reading[part]
            point, quantiles = self.forecasting(network, reading, self.horizon, self.probabilities)
        alone = medians or not network.output.has_quantiles
        return self.loss_of(point[..., None] if alone else quantiles, part)

    def loss_of(self, quantiles: np.ndarray, part: slice = ALL) -> np.ndarray:
        """Return the loss of each forecast step, (origin, step), of quantiles (origin, step, level).

        The levels are the trained ones, or the median alone.
        """
        level = np.array(self.probabilities if quantiles.shape[2] > 1 else (0.5,))
        error = self.truth[part, : quantiles.shape[1], None] - quantiles
        loss = 2 * np.maximum(level * error, (level - 1) * error).mean(2)
        return loss / self.scale[part, None]


def _clustered_error(gain: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of the mean gain, origins being alike within groups; NaN for one group."""
    known = np.isfinite(gain)
    members, index = np.unique(groups[known], return_inverse=True)
    if len(members) < 2:
        return float("nan")
    total = np.bincount(index, gain[known] - gain[known].mean())
    many = len(members) / (len(members) - 1)
    return float(np.sqrt(many * (total**2).sum()) / known.sum())
