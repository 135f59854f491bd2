"""Sets with many cutoffs: the model is fitted once, to the rows before the first, and forecasts at each.

All series of such a set share their stamps. At a cutoff the model gets the rows known there, through
``predict(history)``, as a user would; forecasts of thousands of cutoffs are asked in few calls. Naive is
the last value, seasonal naive the value of the same phase one ``lag`` ago. Scores pool all cutoffs and
steps, series weighing alike; MSIS is scaled as MASE is.

- stocks_kdd17: opening prices of 50 stocks in US dollars, squared error 1, 3 and 5 trading days ahead
  over the last 252 days (252 - n targets), the test of Zhang, Aggarwal and Qi (2017).
- epf_np, epf_pjm: the 24 hourly prices of the next day at each midnight of the last 728 days (Lago et al. 2021);
  the naive forecast there is that of a week ago. Published models are recalibrated every day; ours is not.
- vic_elec: the next 48 half-hours at each 13:00 UTC (midnight of Melbourne's summer) of the last 364 days; seasonal
  naive is that of a week ago, which has the smaller MAE than that of a day ago.

The sets called ``_known`` give the model what is known a day ahead: two forecasts of load and generation
(epf), temperature and holidays (vic_elec: the measured temperature, where a forecast would know less).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from trial import Clock, Outcome, Trial, quiet

from tsrnn import RNNForecaster, datasets

__all__ = ["ROLLING", "Rolling", "Tally"]

AT_ONCE = 200_000  # rows of history, or of forecast, in one call of predict: more is slower
LEVELS = (80, 95)
LISTED = ("past_covariates", "future_covariates")


@dataclass(frozen=True)
class Rolling:
    """A set with many cutoffs.

    Parameters
    ----------
    read : callable
        Returns the long frame: unique_id, ds, y, covariates; the same stamps for every series.
    horizon, season : int
        The horizon is told to the model; the season divides MASE, and the axis says it.
    judged : int
        Rows at the end that judge; with ``--split validation`` as many before them.
    step : int
        Rows between cutoffs.
    lag : int
        Of seasonal naive.
    measures : tuple of str
        What is reported of :meth:`Tally.scores`.
    look_back : int, optional
        Newest rows that the model gets at a cutoff; all when None.
    whole : bool
        Whether a window must lie in the judged rows with its whole horizon.
    known : tuple of str
        Covariates of the set that the model gets for the steps ahead.
    """

    read: Callable[[], pd.DataFrame]
    horizon: int
    season: int
    judged: int
    step: int
    lag: int
    measures: tuple[str, ...]
    look_back: int | None = None
    whole: bool = True
    known: tuple[str, ...] = ()

    def run(self, trial: Trial) -> Outcome:
        """Fit once, forecast at every cutoff, score."""
        if self.known:
            settings = {"future_covariates": list(self.known), **trial.settings}
            trial = replace(trial, settings=settings)
        names, table = self._rows(trial)
        values, first = table.columns["y"], len(table.stamps) - self.judged
        lags = {"naive": 1, "seasonal_naive": self.lag}
        tallies = {method: Tally(len(names), self.horizon) for method in ("tsrnn", *lags)}
        model, clock = trial.model(horizon=self.horizon), Clock()
        with quiet(), clock("fit"):
            model.fit(table.frame(np.arange(len(names)), start=0, stop=first))
        known = self._cutoffs(len(table.stamps), trial.stride)
        for some in _chunks(known, len(names) * max(self.look_back or first, self.horizon)):
            with quiet(), clock("predict"):
                said = _forecast(model, table, some, self, trial)
            truth = _ahead(values, some, self.horizon)
            tallies["tsrnn"].add(truth, said)
            for method, lag in lags.items():
                back = lag - np.arange(self.horizon) % lag
                tallies[method].add(truth, {"forecast": values[:, some[:, None] - back]})
        scale = np.abs(values[:, self.season : first] - values[:, : first - self.season]).mean(1)
        each = {method: tally.scores(scale) for method, tally in tallies.items()}
        scores, per_series = self._reported(each)
        per_series.insert(0, "unique_id", names)
        sizes = {"series": len(names), "windows": len(known), "horizon": self.horizon}
        return Outcome(scores, sizes, clock, model, per_series)

    def _rows(self, trial: Trial) -> tuple[np.ndarray, Table]:
        """Return names and rows of the series, ending with the rows that judge."""
        frame = self.read()
        names = frame["unique_id"].unique()
        asked = [name for which in LISTED for name in trial.settings.get(which) or []]
        stamps = frame["ds"].to_numpy().reshape(len(names), -1)[0]
        rows = len(stamps) - self.judged * (trial.split == "validation")
        columns = {
            name: frame[name].to_numpy().reshape(len(names), -1)[: trial.first, :rows]
            for name in ("y", *asked)
        }
        return names[: trial.first], Table(stamps[:rows], columns)

    def _cutoffs(self, rows: int, stride: int) -> np.ndarray:
        """Return how many rows are known at each cutoff."""
        stop = rows - self.horizon + 1 if self.whole else rows
        return np.arange(rows - self.judged, stop, self.step * stride)

    def _reported(
        self, each: dict[str, dict[str, np.ndarray]]
    ) -> tuple[dict[str, dict[str, float]], pd.DataFrame]:
        """Return means over the series, and the model's scores of each."""
        weekly = each["seasonal_naive"]["mae"].mean()
        for scores in each.values():
            scores["rmae"] = scores["mae"] / weekly
        ours = each["tsrnn"]
        measures = [m for m in (*self.measures, *(f"in_{level}" for level in LEVELS)) if m in ours]
        means = {
            measure: {
                method: float(scores[measure].mean())
                for method, scores in each.items()
                if measure in scores
            }
            for measure in measures
        }
        return means, pd.DataFrame({measure: ours[measure] for measure in measures})


@dataclass(frozen=True)
class Table:
    """Series of the same stamps: ``stamps`` of shape (row,), each column of shape (series, row)."""

    stamps: np.ndarray
    columns: dict[str, np.ndarray]

    def frame(self, series: np.ndarray, *, start: Any, stop: Any) -> pd.DataFrame:
        """Return rows ``start:stop`` of each of the ``series`` as a long frame; ids count from 0."""
        start, stop = (np.broadcast_to(end, len(series)) for end in (start, stop))
        count = stop - start
        part = np.repeat(np.arange(len(series)), count)
        row = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
        values = {name: column[series[part], row] for name, column in self.columns.items()}
        return pd.DataFrame({"unique_id": part, "ds": self.stamps[row], **values})


class Tally:
    """Sums of losses per series and step, so that millions of forecasts need no memory."""

    def __init__(self, series: int, horizon: int) -> None:
        self._sums: dict[str, np.ndarray] = {}
        self._count = np.zeros((series, horizon))

    def add(self, truth: np.ndarray, said: dict[str, np.ndarray]) -> None:
        """Add forecasts of shape (series, cutoff, horizon); NaN in ``truth`` is not scored."""
        known = ~np.isnan(truth)
        self._count += known.sum(1)
        error = said["forecast"] - truth
        losses = {"mae": np.abs(error), "mse": error**2}
        for level in LEVELS:
            if f"forecast-lo-{level}" in said:
                low, high = said[f"forecast-lo-{level}"], said[f"forecast-hi-{level}"]
                losses[f"in_{level}"] = (low <= truth) & (truth <= high)
                missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
                losses[f"interval_{level}"] = high - low + 200 / (100 - level) * missed
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + np.where(known, loss, 0.0).sum(1)

    def scores(self, scale: np.ndarray) -> dict[str, np.ndarray]:
        """Return scores of each series, shape (series,); ``mse_3`` is the third step's."""
        total = self._count.sum(1)
        scores = {name: sums.sum(1) / total for name, sums in self._sums.items()}
        scores["mase"] = scores["mae"] / scale
        if "interval_95" in scores:
            scores["msis"] = scores["interval_95"] / scale
        for step in range(1, min(self._count.shape[1], 5) + 1):
            scores[f"mse_{step}"] = self._sums["mse"][:, step - 1] / self._count[:, step - 1]
        return scores


def _forecast(
    model: RNNForecaster, table: Table, known: np.ndarray, case: Rolling, trial: Trial
) -> dict[str, np.ndarray]:
    """Forecast at the cutoffs ``known``; arrays of shape (series, cutoff, horizon)."""
    count = len(table.columns["y"])
    series, stop = np.repeat(np.arange(count), len(known)), np.tile(known, count)
    start = 0 if case.look_back is None else np.maximum(stop - case.look_back, 0)
    asked: dict[str, Any] = {} if trial.settings.get("output") == "point" else {"level": LEVELS}
    if trial.settings.get("future_covariates"):
        future = table.frame(series, start=stop, stop=stop + case.horizon)
        asked["future_df"] = future.drop(columns=["y", *trial.settings.get("past_covariates", [])])
    said = model.predict(table.frame(series, start=start, stop=stop), **asked)
    if not (said["unique_id"].to_numpy() == np.repeat(np.arange(len(series)), case.horizon)).all():
        raise AssertionError("Forecasts must come back in the order of the histories.")
    shape = (count, len(known), case.horizon)
    return {
        name: said[name].to_numpy().reshape(shape)
        for name in said.columns
        if name.startswith("forecast")
    }


def _chunks(known: np.ndarray, rows_each: int) -> Iterator[np.ndarray]:
    """Return stretches of the cutoffs that fit into one call."""
    together = max(1, AT_ONCE // rows_each)
    for first in range(0, len(known), together):
        yield known[first : first + together]


def _ahead(values: np.ndarray, known: np.ndarray, horizon: int) -> np.ndarray:
    """Return what came true after each cutoff, shape (series, cutoff, horizon), NaN beyond the end."""
    padded = np.pad(values, ((0, 0), (0, horizon)), constant_values=np.nan)
    return padded[:, known[:, None] + np.arange(horizon)]


def _loaded(
    source: str, *, ids: Sequence[str] | None = None, target: str = "y"
) -> Callable[[], pd.DataFrame]:
    """Return a reader of a public set; ``target`` becomes ``y``."""

    def read() -> pd.DataFrame:
        frame = datasets.load(source, ids=ids)
        return frame.assign(y=frame[target])

    return read


ROLLING = {
    "stocks_kdd17": Rolling(
        _loaded("stocks_kdd17", target="sfm_open"), 5, 5, judged=251, step=1, lag=5,
        measures=("mse_1", "mse_3", "mse_5"), look_back=504, whole=False,
    ),
    **{
        f"epf_{market.lower()}{name}": Rolling(
            _loaded("epf", ids=[market]), 24, 24, judged=728 * 24, step=24, lag=168, measures=("mae", "rmae", "msis"),
            known=known,
        )
        for market in ("NP", "PJM")
        for name, known in (("", ()), ("_known", ("exog_1", "exog_2")))
    },
    **{
        f"vic_elec{name}": Rolling(
            _loaded("vic_elec"), 48, 48, judged=364 * 48, step=48, lag=336, measures=("mae", "mase", "msis"),
            known=known,
        )
        for name, known in (("", ()), ("_known", ("temperature", "holiday")))
    },
}  # fmt: skip
